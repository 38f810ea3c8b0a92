#include "base/json_scanner.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using weir::JsonScanner;

namespace {

struct Scanned {
  bool whole = false;
  std::string inside;
  bool escapes = false;
};

Scanned scan(const std::string& text) {
  JsonScanner in(text);
  JsonScanner::Raw raw;
  Scanned out;
  out.whole = in.string(raw) && in.at_end();
  if (out.whole) out.inside = raw.text;
  out.escapes = raw.escapes;
  return out;
}

}  // namespace

TEST_CASE("escapes are found anywhere in a string, and one right behind another") {
  for (const char* const escape : {R"(\")", R"(\\)", R"(\n)", R"(\/)", R"(\u20aC)", R"(\\\\\")", R"(\"\n\u0000\\)"}) {
    for (std::size_t before = 0; before < 40; ++before) {
      for (const std::size_t behind : {0, 1, 15, 16, 17, 40}) {
        const std::string inside = std::string(before, 'x') + escape + std::string(behind, 'y');
        const Scanned scanned = scan('"' + inside + '"');
        INFO(inside);
        REQUIRE(scanned.whole);
        CHECK(scanned.inside == inside);
        CHECK(scanned.escapes);
      }
    }
  }
}

TEST_CASE("a simple text is read as it is meant, and any other is left to be read") {
  struct Row {
    const char* written;
    std::string meant;  ///< "": it is not simple
  };
  const auto row = GENERATE(
      values<Row>({{R"(\"a\" \\ \/)", R"("a" \ /)"},
                   {R"(\b\f\n\r\t)", "\b\f\n\r\t"},
                   {R"({\"a\":{\"b\":[\"c\",1,\"\\\\\"]},\"d\":\"e\"})", R"({"a":{"b":["c",1,"\\"]},"d":"e"})"},
                   {R"(\u0041)", ""},
                   {"\xC3\xA9", ""},
                   {"\x1F", ""},
                   {R"(\x)", ""}}));
  for (std::size_t before = 0; before < 40; ++before) {
    for (const std::size_t behind : {0, 1, 15, 16, 17, 600}) {
      const std::string letters(before, 'x');
      const std::string end(behind, 'y');
      const std::string text = '"' + letters + row.written + end + R"(", "next")";
      JsonScanner in(text);
      std::string out;
      INFO(text);
      if (row.meant.empty()) {
        CHECK_FALSE(in.simple_text(out));
        CHECK(in.at() == text.data());
      } else {
        REQUIRE(in.simple_text(out));
        CHECK(out == letters + row.meant + end);
        CHECK(in.peek() == ',');
      }
    }
  }
  for (const std::string& text :
       std::vector<std::string>{R"(")", R"("\)", R"("\")", R"("abcdefghijklmnopqrstuvwxyzabcdefghij\")", "x"}) {
    JsonScanner in(text);
    std::string out;
    CHECK_FALSE(in.simple_text(out));
    CHECK(in.at() == text.data());
  }
}

TEST_CASE("a string ends at its first quote that is not escaped") {
  for (std::size_t before = 0; before < 40; ++before) {
    const std::string inside = std::string(before, 'x') + R"(\\)";
    const std::string text = '"' + inside + R"(", "next": "a string that is longer than a block"})";
    JsonScanner in(text);
    JsonScanner::Raw raw;
    REQUIRE(in.string(raw));
    CHECK(raw.text == inside);
    CHECK(in.peek() == ',');
  }
  const Scanned plain = scan(R"("plain")");
  CHECK(plain.whole);
  CHECK_FALSE(plain.escapes);
}

TEST_CASE("what no string may hold is refused anywhere, also behind an escape") {
  for (const std::string& wrong :
       {std::string("\x1F"), std::string("\0", 1), std::string("\\x"), std::string("\\u12g4"), std::string("\\\n"),
        std::string("\xFF"), std::string("\\\xC3\xA9")}) {
    for (std::size_t before = 0; before < 40; ++before) {
      for (const std::size_t behind : {0, 1, 40}) {
        const std::string text =
            '"' + std::string(before, 'x') + R"(\")" + wrong + R"(\")" + std::string(behind, 'y') + '"';
        INFO(text);
        CHECK_FALSE(scan(text).whole);
      }
    }
  }
  for (const char* open : {R"(")", R"("\)", R"("\")", R"("abcdefghijklmnopqrstuvwxyz\")", R"("abcdefghijklmnop\)"}) {
    CHECK_FALSE(scan(open).whole);
  }
}
