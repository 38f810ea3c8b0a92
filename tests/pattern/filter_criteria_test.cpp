// Source: reference stream-sources.md section 7, patterns.md "Lambda event source mappings".
#include "pattern/filter_criteria.h"

#include <vector>

#include <catch2/catch.hpp>

namespace weir::pattern {
namespace {

std::shared_ptr<const FilterCriteria> criteria(FilterSource source, std::vector<std::string> patterns) {
  auto compiled = FilterCriteria::compile(patterns, source);
  INFO((compiled ? "" : compiled.error().describe()));
  REQUIRE(compiled.has_value());
  return *compiled;
}

std::string refusal(FilterSource source, std::vector<std::string> patterns) {
  const auto compiled = FilterCriteria::compile(patterns, source);
  return compiled ? "" : compiled.error().message();
}

bool keeps(const FilterCriteria& filter, std::string_view body, std::string metadata = "{}") {
  FilterView view;
  view.metadata = std::move(metadata);
  view.body = body;
  return filter.keeps(view);
}

constexpr auto kKinesis = FilterSource::kKinesis;
constexpr auto kDynamodb = FilterSource::kDynamodb;
constexpr auto kKafka = FilterSource::kKafka;
constexpr auto kSqs = FilterSource::kSqs;

TEST_CASE("the forms of body and pattern, source by source") {
  struct Row {
    std::string_view sentence;
    FilterSource source;
    std::string pattern;
    std::string_view body;
    bool kept;
  };
  const std::string meta = R"("partitionKey":["k"])";
  for (const Row& row : std::initializer_list<Row>{
           {"text on text filters", kSqs, R"({"body":["x"]})", "x", true},
           {"text on text filters", kSqs, R"({"body":["x"]})", "y", false},
           {"text on text filters", kKafka, R"({"value":[{"anything-but":["error"]}]})", "error", false},
           {"text on text filters", kKafka, R"({"value":[{"anything-but":["error"]}]})", "fine", true},
           {"a JSON pattern drops text", kKinesis, R"({"data":{"a":[1]}})", "text", false},
           {"a JSON pattern drops text, also one that asks for nothing to be there", kKinesis,
            R"({"data":{"a":[{"exists":false}]}})", "text", false},
           {"a JSON pattern drops text", kSqs, R"({"body":{"a":[{"exists":false}]}})", "text", false},
           {"of Kafka the body does not count then", kKafka, R"({"value":{"a":[1]}})", "text", true},
           {"a text pattern drops JSON", kSqs, R"({"body":[{"prefix":"{"}]})", R"({"a":1})", false},
           {"of Kafka the body does not count then", kKafka, R"({"value":["x"]})", R"({"a":1})", true},
           {"JSON on JSON filters", kKinesis, R"({"data":{"a":[1]}})", R"({"a":1})", true},
           {"JSON on JSON filters", kKinesis, R"({"data":{"a":[1]}})", R"({"a":2})", false},
           {"JSON on JSON filters", kSqs, R"({"body":{"a":[1]}})", R"({"a":2})", false},
           {"JSON on JSON filters", kKafka, R"({"value":{"a":[1]}})", R"({"a":2})", false},
           {"a number is a text", kSqs, R"({"body":["12"]})", "12", true},
           {"what is not UTF-8 does not count", kKafka, R"({"value":["x"]})", "\xFF", true},
       }) {
    INFO(row.sentence << ": " << row.pattern << " on " << row.body);
    CHECK(keeps(*criteria(row.source, {row.pattern}), row.body) == row.kept);
  }
}

TEST_CASE("metadata counts whatever the body is") {
  const auto kinesis = criteria(kKinesis, {R"({"partitionKey":["k"]})"});
  CHECK(kinesis->needs_metadata());
  CHECK(keeps(*kinesis, "text", R"({"partitionKey":"k"})"));
  CHECK_FALSE(keeps(*kinesis, R"({"partitionKey":"k"})", R"({"partitionKey":"j"})"));
  const auto kafka = criteria(kKafka, {R"({"topic":["t"],"value":{"a":[1]}})"});
  CHECK(keeps(*kafka, "text", R"({"topic":"t"})"));
  CHECK_FALSE(keeps(*kafka, "text", R"({"topic":"u"})"));
  CHECK_FALSE(keeps(*kafka, R"({"a":2})", R"({"topic":"t"})"));
  CHECK(keeps(*kafka, R"({"a":1})", R"({"topic":"t"})"));
  CHECK_FALSE(criteria(kSqs, {R"({"body":["x"]})"})->needs_metadata());
}

TEST_CASE("a mapping's filters are ORed, each with its own form") {
  const auto filter = criteria(kSqs, {R"({"body":["x"]})", R"({"body":{"a":[1]}})", R"({"messageId":["m"]})"});
  CHECK(filter->needs_metadata());
  CHECK(keeps(*filter, "x"));
  CHECK(keeps(*filter, R"({"a":1})"));
  CHECK(keeps(*filter, "y", R"({"messageId":"m"})"));
  CHECK_FALSE(keeps(*filter, "y"));
  CHECK_FALSE(keeps(*filter, R"({"a":2})"));
}

TEST_CASE("DynamoDB: the whole record, with its type tags") {
  const std::string record = R"({"eventName":"INSERT","dynamodb":{"NewImage":{"k":{"S":"v"},"n":{"N":"5"}}}})";
  const auto keeps_record = [&](std::string pattern) { return keeps(*criteria(kDynamodb, {pattern}), "", record); };
  CHECK(keeps_record(R"({"eventName":["INSERT"]})"));
  CHECK(keeps_record(R"({"dynamodb":{"NewImage":{"k":{"S":["v"]}}}})"));
  CHECK_FALSE(keeps_record(R"({"dynamodb":{"NewImage":{"n":{"N":[{"numeric":["=",5]}]}}}})"));
  CHECK_FALSE(keeps_record(R"({"dynamodb":{"NewImage":{"k":[{"exists":true}]}}})"));
  CHECK(keeps_record(R"({"dynamodb":{"NewImage":{"k":[{"exists":false}]}}})"));
  CHECK(criteria(kDynamodb, {R"({"eventName":["INSERT"]})"})->needs_metadata());
}

TEST_CASE("Kafka: the key as text or as JSON, and a value that is missing is null") {
  const auto json = criteria(kKafka, {R"({"key":{"user":[7]}})"});
  CHECK(keeps(*json, "v", R"({"key":"{\"user\":7}"})"));
  CHECK_FALSE(keeps(*json, "v", R"({"key":"{\"user\":8}"})"));
  CHECK_FALSE(keeps(*json, "v", R"({"key":"user"})"));
  CHECK(keeps(*criteria(kKafka, {R"({"key":["user"]})"}), "v", R"({"key":"user"})"));
  // JSON in the key is read, JSON in a string of that is a string.
  CHECK(keeps(*criteria(kKafka, {R"({"key":[5]})"}), "v", R"({"key":"[5]"})"));
  CHECK_FALSE(keeps(*criteria(kKafka, {R"({"key":[5]})"}), "v", R"({"key":"[\"[5]\",\"x\"]"})"));
  CHECK(keeps(*criteria(kKafka, {R"({"key":["x"]})"}), "v", R"({"key":"[\"[5]\",\"x\"]"})"));
  FilterView tombstone;
  tombstone.has_body = false;
  CHECK(criteria(kKafka, {R"({"value":[null]})"})->keeps(tombstone));
  CHECK_FALSE(criteria(kKafka, {R"({"value":["x"]})"})->keeps(tombstone));
  CHECK_FALSE(criteria(kKafka, {R"({"value":{"a":[1]}})"})->keeps(tombstone));
}

TEST_CASE("what AWS refuses has AWS's sentence first") {
  for (const char* pattern :
       {"", "text", "[]", "null", "1", "{}", R"({"data":"x"})", R"({"data":{"a":[]}})", R"({"data":{"a":{}}})",
        R"({"data":{"a":"x"}})", R"({"data":{"a":null}})", R"({"data":{"a":[{"nosuch":1}]}})"}) {
    INFO(pattern);
    CHECK(refusal(kKinesis, {pattern}).starts_with("Invalid filter pattern definition."));
  }
  CHECK(refusal(kKinesis, {R"({"data":["x"]})"}).starts_with("Invalid filter pattern definition."));
  CHECK(refusal(kDynamodb, {R"({"dynamodb":["x"]})"}).starts_with("Invalid filter pattern definition."));
  CHECK(refusal(kSqs, {R"({"body":["x"]})"}).empty());
  CHECK(refusal(kSqs, {}).starts_with("Invalid filter pattern definition."));
  CHECK(refusal(kSqs, std::vector<std::string>(10, R"({"body":["x"]})")).empty());
  CHECK(refusal(kSqs, std::vector<std::string>(11, R"({"body":["x"]})"))
            .starts_with("Invalid filter pattern definition."));
  const std::string long_one = R"({"body":[")" + std::string(4096 - 13, 'x') + R"("]})";
  CHECK(long_one.size() == 4096);
  CHECK(refusal(kSqs, {long_one}).empty());
  CHECK(refusal(kSqs, {long_one + " "}).starts_with("Invalid filter pattern definition."));
}

}  // namespace
}  // namespace weir::pattern
