#include "connectors/logs/lines.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

struct Told {
  std::string messages;  ///< "one|two"
  std::uint64_t done = 0;
};

/// What comes of a text that is given in pieces of that size.
Told cut(std::string_view text, std::size_t piece, std::string_view filter, std::string_view start = "",
         std::size_t message_bytes = 100, bool to_end = false) {
  const auto wanted = pattern::LogPattern::compile(filter).value();
  std::optional<pattern::LogPattern> begin;
  if (!start.empty()) begin = pattern::LogPattern::compile("%" + std::string(start) + "%").value();
  logs::LineCutter cutter(wanted, begin, message_bytes, 1000);
  Told told;
  std::uint64_t last = 1000;
  const auto take = [&](std::string_view message, std::uint64_t end) {
    told.messages += (told.messages.empty() ? "" : "|") + std::string(message);
    CHECK(end >= last);
    last = end;
  };
  for (std::size_t i = 0; i < text.size(); i += piece) cutter.feed(text.substr(i, piece), take);
  if (to_end) cutter.flush(true, take);
  CHECK(cutter.read_to() == 1000 + text.size());
  told.done = cutter.done_to() - 1000;
  return told;
}

}  // namespace

TEST_CASE("lines come out the same however their bytes come in") {
  const std::size_t piece = GENERATE(1U, 2U, 3U, 7U, 1000U);
  const std::string_view text = "one\ntwo words\r\n\nERROR three\nxERROR\npart";
  CHECK(cut(text, piece, "").messages == "one|two words|ERROR three|xERROR");
  CHECK(cut(text, piece, "").done == text.size() - 4);
  CHECK(cut(text, piece, "ERROR").messages == "ERROR three|xERROR");
  CHECK(cut(text, piece, "ERROR").done == text.size() - 4);
  CHECK(cut(text, piece, "?words ?three ?nowhere").messages == "two words|ERROR three");
  CHECK(cut(text, piece, "?ERROR ?three ?E ?R").messages == "ERROR three|xERROR");
  CHECK(cut(text, piece, "-ERROR").messages == "one|two words");
  CHECK(cut(text, piece, "part").messages.empty());
  const Told whole = cut(text, piece, "part", "", 100, true);
  CHECK(whole.messages == "part");
  CHECK(whole.done == text.size());
}

TEST_CASE("a message goes from one beginning to the next") {
  const std::size_t piece = GENERATE(1U, 5U, 1000U);
  const std::string_view text = "rest\n[1] a\n at b\n\n at c\n[2] d\n[3] e\n at f\n at";
  const Told told = cut(text, piece, "", "^\\[");
  CHECK(told.messages == "rest|[1] a\n at b\n\n at c|[2] d");
  CHECK(told.done == text.find("[3]"));
  CHECK(cut(text, piece, "f", "^\\[", 100, true).messages == "[3] e\n at f\n at");
}

TEST_CASE("what is too long becomes several messages, between characters") {
  const std::size_t piece = GENERATE(1U, 4U, 1000U);
  CHECK(cut("0123456789\nabc\n", piece, "", "", 10).messages == "0123456789|abc");
  CHECK(cut("0123456789x\nabc\n", piece, "", "", 10).messages == "0123456789|x|abc");
  CHECK(cut("01234567\xC3\xA9\xC3\xA9\n", piece, "", "", 9).messages == "01234567|\xC3\xA9\xC3\xA9");
  // Without any end of a line it is not waited for.
  CHECK(cut("0123456789012345678901", piece, "", "", 10).messages == "0123456789|0123456789");
  CHECK(cut("[a\nbbbb\ncccc\n[d\n", piece, "", "^\\[", 10).messages == "[a\nbbbb|cccc");
}
