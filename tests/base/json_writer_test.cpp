#include "weir/base/json_writer.h"

#include <limits>

#include <catch2/catch.hpp>

#include "weir/base/bytes.h"
#include "weir/base/random.h"

using weir::append_json_escaped;
using weir::JsonWriter;

namespace {
std::string escaped(std::string_view text) {
  std::string out;
  append_json_escaped(out, text);
  return out;
}
}  // namespace

TEST_CASE("JSON strings are escaped as little as JSON allows") {
  struct Row {
    std::string text, inside;
  };
  const auto row = GENERATE(values<Row>({
      {"", ""},
      {"plain /text~ \x7F", "plain /text~ \x7F"},
      {"\"quoted\" \\", "\\\"quoted\\\" \\\\"},
      {"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
      {std::string("\0\x01\x1F", 3), "\\u0000\\u0001\\u001f"},
      {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x9F", "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x9F"},
      {"\xFF", "\xEF\xBF\xBD"},
      {"a\xC3", "a\xEF\xBF\xBD"},
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE2\x82\"", "\xEF\xBF\xBD\xEF\xBF\xBD\\\""},
  }));
  DYNAMIC_SECTION(row.inside) {
    CHECK(escaped(row.text) == row.inside);
    CHECK(weir::json_escaped_size(row.text) == row.inside.size());
  }
}

TEST_CASE("what has to be escaped is found anywhere in a long text") {
  for (std::size_t at = 0; at < 40; ++at) {
    const std::string before(at, 'x');
    const std::string behind(40, '~');
    CHECK(escaped(before + "\"" + behind) == before + "\\\"" + behind);
    CHECK(escaped(before + "\\" + behind) == before + "\\\\" + behind);
    CHECK(escaped(before + "\x1F" + behind) == before + "\\u001f" + behind);
    CHECK(escaped(before + "\xE2\x82\xAC" + behind) == before + "\xE2\x82\xAC" + behind);
    CHECK(escaped(before + "\xFF" + behind) == before + "\xEF\xBF\xBD" + behind);
  }
}

TEST_CASE("the size of an escaped text is known before it is written, for any bytes") {
  weir::Random random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    for (auto left = random.below(40); left > 0; --left) {
      // Mostly what is special: quotes, controls, lead and continuation bytes.
      constexpr std::string_view kSpecial = "\"\\\n\x01\xC3\xA9\xE2\x82\xAC\xF0\x9F\xED\xA0\x80";
      bytes.push_back(random.chance(0.7) ? kSpecial[random.below(kSpecial.size())]
                                         : static_cast<char>(random.below(256)));
    }
    const std::string text = escaped(bytes);
    REQUIRE(weir::json_escaped_size(bytes) == text.size());
    REQUIRE(weir::is_utf8(text));
  }
}

TEST_CASE("the size of a number is the size of its digits") {
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{9}, std::int64_t{10}, std::int64_t{99}, std::int64_t{100},
        std::int64_t{1'763'881'200'123}, std::int64_t{-1}, std::int64_t{-9}, std::int64_t{-10},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    std::string digits;
    weir::append_number(digits, number);
    CHECK(digits == std::to_string(number));
    CHECK(weir::number_size(number) == digits.size());
  }
}

TEST_CASE("a document is written compactly, commas where they belong") {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("empty").begin_object().end_object();
  json.key("list").begin_array().value(1).value("two").null().begin_array().end_array().value(true).end_array();
  json.member("text", "a\"b").member("no", false).member("most", std::numeric_limits<std::uint64_t>::max());
  json.key("spliced").raw(R"({"as":"it is"})");
  json.member("last", std::string_view("x"));
  json.end_object();
  CHECK(out == R"({"empty":{},"list":[1,"two",null,[],true],"text":"a\"b","no":false,"most":18446744073709551615,)"
               R"("spliced":{"as":"it is"},"last":"x"})");
}

TEST_CASE("numbers with a fraction are written with the fewest digits that read back") {
  struct Row {
    double number;
    std::string text;
  };
  const auto row = GENERATE(values<Row>({
      {0.0, "0"},
      {1.5, "1.5"},
      {0.1, "0.1"},
      {-2.0, "-2"},
      {1e300, "1e+300"},
      {std::numeric_limits<double>::infinity(), "null"},
      {std::numeric_limits<double>::quiet_NaN(), "null"},
  }));
  DYNAMIC_SECTION(row.text) {
    std::string out;
    JsonWriter(out).value(row.number);
    CHECK(out == row.text);
  }
}
