// Source: reference patterns.md, "SNS filter policies".
#include "pattern/sns_policy.h"

#include <catch2/catch.hpp>

namespace weir::pattern {
namespace {

std::string judged(std::string_view policy, PolicyScope scope, std::string_view message) {
  const auto matched = sns_policy_matches(policy, scope, message);
  if (!matched) return matched.error().message();
  return *matched ? "yes" : "no";
}

std::string attributes(std::string_view policy, std::string_view message) {
  return judged(policy, PolicyScope::kMessageAttributes, message);
}

std::string body(std::string_view policy, std::string_view message) {
  return judged(policy, PolicyScope::kMessageBody, message);
}

TEST_CASE("a policy on attributes") {
  CHECK(attributes(R"({"a":["x"]})", R"({"a":{"Type":"String","Value":"x"}})") == "yes");
  CHECK(attributes(R"({"a":["x"]})", R"({"a":{"DataType":"String","StringValue":"y"}})") == "no");
  CHECK(attributes(R"({"a":[5]})", R"({"a":{"Type":"Number","Value":"5.0"}})") == "yes");
  CHECK(attributes(R"({"a":[5]})", R"({"a":{"Type":"String","Value":"5"}})") == "no");
  CHECK(attributes(R"({"a":["x"]})", R"({"a":{"Type":"Binary","Value":"x"}})") == "no");
  CHECK(attributes(R"({"a":[true]})", R"({"a":{"Type":"String.Array","Value":"[\"y\",true,null]"}})") == "yes");
  CHECK(attributes(R"({"a":["y"]})", R"({"a":{"Type":"String.Array","Value":"y"}})") == "no");
  CHECK(attributes(R"({"a":[{"exists":false}]})", "{}") == "yes");
  CHECK(attributes(R"({"a":[null,{"anything-but":"x"}]})", "{}") == "no");
  CHECK(attributes(R"({"a":["x"]})", R"({"a":"x","b":[1]})") == "yes");
  CHECK(attributes(R"({"a":{"b":["x"]}})", "{}") ==
        "Invalid parameter: FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy");
  CHECK(attributes(R"({"a":["x"]})", "[]").starts_with("Invalid parameter: MessageAttributes"));
}

TEST_CASE("a policy on the body; what is no JSON object is not delivered") {
  CHECK(body(R"({"a":{"b":[1]}})", R"({"a":[{"b":1}]})") == "yes");
  CHECK(body(R"({"a.b":[1]})", R"({"a":{"b":1}})") == "yes");
  CHECK(body(R"({"$or":[{"a":[1]},{"b":[2]}]})", R"({"b":2})") == "yes");
  CHECK(body(R"({"a":[{"exists":false}]})", "text") == "no");
  CHECK(body(R"({"a":[{"exists":false}]})", R"("text")") == "no");
  CHECK(body(R"({"a":[{"anything-but":{"suffix":"x"}}]})", "{}")
            .starts_with("Invalid parameter: FilterPolicy: Unsupported anything-but pattern: suffix"));
}

TEST_CASE("at most 5 keys and 150 combinations") {
  CHECK(body(R"({"a":[1],"b":[1],"c":[1],"d":[1],"e":[1]})", "{}") == "no");
  CHECK(body(R"({"a":[1],"b":[1],"c":[1],"d":[1],"e":{"f":[1],"g":[1]}})", "{}") ==
        "Invalid parameter: FilterPolicy: Filter policy can not have more than 5 keys");
  const auto values = [](int count) {
    std::string out = "[0";
    for (int i = 1; i < count; ++i) out += "," + std::to_string(i);
    return out + "]";
  };
  const auto flat = [&](int count) { return R"({"a":)" + values(count) + "}"; };
  CHECK(attributes(flat(150), "{}") == "no");
  CHECK(attributes(flat(151), "{}") == "Invalid parameter: FilterPolicy: Filter policy is too complex");
  // Two steps deep, each field counts double.
  const auto deep = [&](int count) { return R"({"a":{"b":)" + values(count) + R"(},"c":[1]})"; };
  CHECK(body(deep(75), "{}") == "no");
  CHECK(body(deep(76), "{}") == "Invalid parameter: FilterPolicy: Filter policy is too complex");
  const auto either = [&](int count) { return R"({"$or":[{"a":)" + values(count) + R"(},{"b":)" + values(50) + "}]}"; };
  CHECK(body(either(100), "{}") == "no");
  CHECK(body(either(101), "{}") == "Invalid parameter: FilterPolicy: Filter policy is too complex");
}

TEST_CASE("a policy of 256 KB is measured before $or multiplies its fields") {
  const auto either = [](int branches) {
    std::string out = R"("$or":[{"a":[0]})";
    for (int i = 1; i < branches; ++i) out += R"(,{"a":[)" + std::to_string(i) + "]}";
    return out + "]";
  };
  std::string keys;
  for (int i = 0; keys.size() < 230'000; ++i) keys += ",\"" + std::to_string(i) + "\":[1]";
  const std::string begins = "Invalid parameter: FilterPolicy: ";
  CHECK(body("{" + either(150) + "}", "{}") == "no");
  CHECK(body("{" + either(151) + "}", "{}") == begins + "Filter policy is too complex");
  CHECK(body("{" + either(1001) + keys + "}", "{}") == begins + "Filter policy is too complex");
  CHECK(body("{" + either(150) + keys + "}", "{}") == begins + "Filter policy can not have more than 5 keys");
  // Till the end it is read: what AWS's compiler refuses comes first.
  CHECK(body("{" + either(2) + keys + R"(,"z":1})", "{}").starts_with(begins + R"("z" must be an object or an array)"));
}

}  // namespace
}  // namespace weir::pattern
