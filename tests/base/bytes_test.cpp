#include "weir/base/bytes.h"

#include <catch2/catch.hpp>

#include "weir/base/random.h"

using weir::append_base64;
using weir::base64_size;
using weir::decode_base64;
using weir::is_utf8;

TEST_CASE("base64 as in RFC 4648, section 10") {
  struct Row {
    std::string bytes, text;
  };
  const auto row = GENERATE(values<Row>({
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {std::string("\0\xFF\xFE", 3), "AP/+"},
  }));
  DYNAMIC_SECTION(row.text) {
    std::string text = "before:";
    append_base64(text, row.bytes);
    CHECK(text == "before:" + row.text);
    CHECK(base64_size(row.bytes.size()) == row.text.size());
    CHECK(decode_base64(row.text) == row.bytes);
  }
}

TEST_CASE("base64 reads back what it wrote, at every length") {
  weir::Random random(1);
  for (std::size_t length = 0; length < 300; ++length) {
    std::string bytes;
    for (std::size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(random.below(256)));
    std::string text;
    append_base64(text, bytes);
    REQUIRE(text.size() == base64_size(length));
    REQUIRE(decode_base64(text) == bytes);
  }
}

TEST_CASE("what is not base64 is refused") {
  for (const std::string text :
       {"Z", "Zg", "Zg=", "Zg===", "Zm9v\n", "Zm9 ", "Zm-_", "=Zg=", "Z===", "====", "Zg==Zg=="}) {
    INFO(text);
    CHECK_FALSE(decode_base64(text));
  }
}

TEST_CASE("well-formed UTF-8, by table 3-7 of the Unicode standard") {
  struct Row {
    std::string_view sentence;
    std::string bytes;
    bool good;
  };
  const auto row = GENERATE(values<Row>({
      {"nothing", "", true},
      {"ASCII, controls and zero", std::string("a\0\x7F\n", 4), true},
      {"U+0080", "\xC2\x80", true},
      {"U+07FF", "\xDF\xBF", true},
      {"U+0800", "\xE0\xA0\x80", true},
      {"U+D7FF, before the surrogates", "\xED\x9F\xBF", true},
      {"U+E000, behind the surrogates", "\xEE\x80\x80", true},
      {"U+FFFF", "\xEF\xBF\xBF", true},
      {"U+10000", "\xF0\x90\x80\x80", true},
      {"U+10FFFF", "\xF4\x8F\xBF\xBF", true},
      {"a lone continuation", "\x80", false},
      {"overlong in two bytes", "\xC0\x80", false},
      {"overlong in two bytes, C1", "\xC1\xBF", false},
      {"overlong in three bytes", "\xE0\x9F\xBF", false},
      {"overlong in four bytes", "\xF0\x8F\xBF\xBF", false},
      {"a surrogate", "\xED\xA0\x80", false},
      {"past U+10FFFF", "\xF4\x90\x80\x80", false},
      {"F5", "\xF5\x80\x80\x80", false},
      {"FF", "\xFF", false},
      {"cut off after one of two", "\xC2", false},
      {"cut off after two of three", "\xE0\xA0", false},
      {"cut off after three of four", "\xF0\x90\x80", false},
      {"a letter in place of a continuation",
       "\xE0\xA0"
       "a",
       false},
      {"bad bytes behind good ones", "good\xC3", false},
  }));
  DYNAMIC_SECTION(row.sentence) {
    CHECK(is_utf8(row.bytes) == row.good);
  }
}
