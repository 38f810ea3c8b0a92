#include <catch2/catch.hpp>

#include "config/scalar.h"
#include "config/substitute.h"
#include "config/suggest.h"
#include "fake_connectors.h"

namespace weir::config {
namespace {

TEST_CASE("what an unquoted scalar is, by YAML 1.2's core schema") {
  struct Row {
    std::string_view scalar;
    Shape shape;
  };
  const auto row = GENERATE(values<Row>({
      {"0", Shape::kWholeNumber},
      {"-12", Shape::kWholeNumber},
      {"+12", Shape::kWholeNumber},
      {"007", Shape::kWholeNumber},
      {"0x1F", Shape::kWholeNumber},
      {"0o17", Shape::kWholeNumber},
      {"0o18", Shape::kText},
      {"0x", Shape::kText},
      {"1.5", Shape::kNumber},
      {"-.5", Shape::kNumber},
      {"1.", Shape::kNumber},
      {"1e3", Shape::kNumber},
      {"1.5E-3", Shape::kNumber},
      {".inf", Shape::kNumber},
      {"-.INF", Shape::kNumber},
      {".nan", Shape::kNumber},
      {".", Shape::kText},
      {"e3", Shape::kText},
      {"1e", Shape::kText},
      {"1_000", Shape::kText},
      {"1.2.3", Shape::kText},
      {"-", Shape::kText},
      {"", Shape::kText},
      {"true", Shape::kTruth},
      {"FALSE", Shape::kTruth},
      {"tRUE", Shape::kText},
      {"yes", Shape::kText},
      {"2026-09-12", Shape::kText},
      {"12:30", Shape::kText},
      {"10 ", Shape::kText},
  }));
  INFO(row.scalar);
  CHECK(shape_of(row.scalar) == row.shape);
}

TEST_CASE("whole numbers") {
  CHECK(whole_number("9223372036854775807") == 9'223'372'036'854'775'807);
  CHECK(whole_number("-9223372036854775808") == std::int64_t{-9'223'372'036'854'775'807} - 1);
  CHECK_FALSE(whole_number("9223372036854775808").has_value());
  CHECK(whole_number("+7") == 7);
  CHECK(whole_number("010") == 10);
  CHECK(whole_number("0x1f") == 31);
  CHECK(whole_number("0o17") == 15);
  CHECK_FALSE(whole_number("1.0").has_value());
  CHECK_FALSE(whole_number("").has_value());
}

TEST_CASE("the word that was probably meant") {
  const std::vector<std::string> words{"batch_size", "topics", "starting_position", "tls", "user"};
  struct Row {
    std::string_view written;
    std::optional<std::string> meant;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"bacth_size", "batch_size"},
      {"BatchSize", "batch_size"},
      {"batch-size", "batch_size"},
      {"topic", "topics"},
      {"StartingPosition", "starting_position"},
      {"TLS", "tls"},
      {"ssl", std::nullopt},
      {"usr", "user"},
      {"x", std::nullopt},
      {"", std::nullopt},
      {"bootstrap_servers", std::nullopt},
  }));
  INFO(row.written);
  CHECK(nearest(row.written, words) == row.meant);
}

TEST_CASE("a word that is far too long is compared with nothing") {
  const std::vector<std::string> words{std::string(1000, 'a')};
  CHECK_FALSE(nearest(std::string(1001, 'a'), words).has_value());
}

TEST_CASE("words are listed as one says them") {
  CHECK(listed(std::vector<std::string>{"a"}) == "a");
  CHECK(listed(std::vector<std::string>{"a", "b"}) == "a or b");
  CHECK(listed(std::vector<std::string>{"a", "b", "c"}) == "a, b or c");
}

TEST_CASE("variables are replaced once, from left to right") {
  const auto variables = environment({{"A", "1"}, {"_b2", "two"}, {"EMPTY", ""}, {"NESTED", "${A}"}});
  struct Row {
    std::string_view written, text;
  };
  const auto row = GENERATE(values<Row>({
      {"", ""},
      {"plain $ $A {A} }", "plain $ $A {A} }"},
      {"${A}", "1"},
      {"x${A}y${_b2}z", "x1ytwoz"},
      {"${A:-9}", "1"},
      {"${NOBODY:-9}", "9"},
      {"${EMPTY:-9}", "9"},
      {"${EMPTY}", ""},
      {"${NOBODY:-}", ""},
      {"${NESTED}", "${A}"},
      {"$${A}", "${A}"},
      {"$$${A}", "$${A}"},
      {"a$${A} ${A}", "a${A} 1"},
  }));
  INFO(row.written);
  const Substitution result = substitute(row.written, variables);
  CHECK_FALSE(result.mistake.has_value());
  CHECK(result.text == row.text);
}

TEST_CASE("what is no variable is a mistake") {
  const auto written =
      GENERATE(values<std::string_view>({"${", "${A", "${}", "${ A}", "${1A}", "${A-B}", "${A:B}", "${NOBODY}"}));
  INFO(written);
  CHECK(substitute(written, environment({{"A", "1"}})).mistake.has_value());
}

}  // namespace
}  // namespace weir::config
