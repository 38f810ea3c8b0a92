#include "base/utf8.h"

#include <catch2/catch.hpp>

#include "weir/base/bytes.h"

namespace weir {
namespace {

std::string written(std::uint32_t letter) {
  std::string out = "<";
  append_utf8(out, letter);
  return out;
}

TEST_CASE("a letter takes one to four bytes") {
  struct Row {
    std::uint32_t letter;
    std::string_view bytes;
  };
  for (const Row& row :
       {Row{0x41, "A"}, Row{0x7F, "\x7F"}, Row{0x80, "\xC2\x80"}, Row{0xE9, "é"}, Row{0x7FF, "\xDF\xBF"},
        Row{0x800, "\xE0\xA0\x80"}, Row{0x65E5, "日"}, Row{0xFFFF, "\xEF\xBF\xBF"}, Row{0x10000, "\xF0\x90\x80\x80"},
        Row{0x1F600, "😀"}, Row{0x10FFFF, "\xF4\x8F\xBF\xBF"}}) {
    INFO(row.letter);
    CHECK(written(row.letter) == "<" + std::string(row.bytes));
    CHECK(is_utf8(row.bytes));
    CHECK(utf8_sequence_length(row.bytes) == row.bytes.size());
  }
  CHECK(written(0) == std::string("<\0", 2));
}

TEST_CASE("what no letter is can be written, and is not taken for text") {
  CHECK(written(0xD800) == "<\xED\xA0\x80");
  CHECK(written(0x110000) == "<\xF4\x90\x80\x80");
  CHECK_FALSE(is_utf8(written(0xD800)));
  CHECK_FALSE(is_utf8(written(0x110000)));
}

}  // namespace
}  // namespace weir
