#include <cmath>

#include <catch2/catch.hpp>

#include "pattern/number.h"
#include "pattern/wildcard.h"
#include "verdict.h"

namespace weir::pattern {
namespace {

std::string either(std::size_t branches, std::string_view field) {
  std::string out = R"("$or":[)";
  for (std::size_t i = 0; i < branches; ++i)
    out += (i > 0 ? "," : "") + (R"({")" + std::string(field) + R"(":[)" + std::to_string(i) + "]}");
  return out + "]";
}

TEST_CASE("all $or together have at most 1000 combinations") {
  CHECK(reason("{" + either(10, "a") + "," + either(10, "b") + "," + either(10, "c") + "}").empty());
  CHECK(reason("{" + either(10, "a") + "," + either(10, "b") + "," + either(11, "c") + "}") ==
        "Too many combinations of $or: more than 1000");
}

TEST_CASE("a pattern has at most 4096 characters") {
  const auto of_length = [](std::size_t length) { return R"({"a":[")" + std::string(length - 9, 'x') + R"("]})" + ""; };
  CHECK(of_length(100).size() == 100 + 1);
  CHECK(reason(of_length(4095)).empty());
  CHECK(reason(of_length(4096)).starts_with("1 validation error detected"));
  std::string wide = R"({"a":[")";
  while (wide.size() < 6000) wide += "é";  // two bytes, one character
  CHECK(reason(wide + R"("]})").empty());
}

TEST_CASE("a branch has at most 256 fields") {
  const auto fields = [](int count) {
    std::string out = "{";
    for (int i = 0; i < count; ++i) out += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":[1]";
    return out + "}";
  };
  CHECK(reason(fields(256)).empty());
  CHECK(reason(fields(257)) == "Size of rule exceeds max value of 256");
}

TEST_CASE("wildcards that a value can be in too many places of at once are refused") {
  struct Row {
    std::string_view text;
    std::size_t ways;
  };
  // Source: what event-ruler 2.0.1 figures; AWS takes the second and refuses the first.
  for (const Row& row :
       {Row{"*:*:*:*:*:event-bus/*", 11}, Row{"/Users/*/dir/dir/dir/dir/dir/doc.txt", 7}, Row{"*", 2}, Row{"abc", 1}}) {
    std::string complaint;
    const Wildcard wildcard = *Wildcard::parse(row.text, complaint);
    INFO(row.text);
    CHECK(wildcard_ways(std::span(&wildcard, 1), 100) == row.ways);
  }
  CHECK(reason(R"({"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]})").starts_with("Rule is too complex - try using fewer"));
  CHECK(reason(R"({"a":[{"anything-but":{"wildcard":"*:*:*:*:*:event-bus/*"}}]})").starts_with("Rule is too complex"));
  CHECK(reason(R"({"a":[{"wildcard":"/Users/*/dir/dir/dir/dir/dir/doc.txt"}]})").empty());
}

TEST_CASE("numbers that can be compared are those that are their double's shortest text") {
  for (const std::string_view text :
       {"0", "-0.0", "300", "3.0e2", "0.1", "123456789012345", "9007199254740992", "0.30000000000000004",
        "1.7976931348623157e308", "4.9e-324", "5e9", "0e99999999999"}) {
    INFO(text);
    CHECK(comparable_number(text).has_value());
  }
  for (const std::string_view text : {"9007199254740993", "123456789012345678", "1e400", "1e-400",
                                      "0.1234567890123456789", "5e-324", "1e99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(comparable_number(text).has_value());
  }
  CHECK(*comparable_number("-12") == -12.0);
  CHECK(*comparable_number("12.5") == 12.5);
  CHECK(*comparable_number("-0.1") == -0.1);
  CHECK(*comparable_number("0.00000000000001") == 1e-14);
  CHECK(*comparable_number("9999999999999.9") == 9999999999999.9);
  CHECK_FALSE(std::signbit(*comparable_number("-0.0")));
  CHECK(*comparable_number("1000.0") == *comparable_number("1e3"));
}

}  // namespace
}  // namespace weir::pattern
