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
    return true;
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

TEST_CASE("of a function's log the time and the stream before a line are no part of it") {
  const std::size_t piece = GENERATE(1U, 7U, 1000U);
  const std::string stream = " 2026/09/12/[$LATEST]0123456789abcdef0123456789abcdef ";
  const std::string text = "2026-09-12T00:00:00.001Z" + stream + "[1] ERROR 2026\n2026-09-12T00:00:00.002Z" + stream +
                           " at a\nan old line\n2026-09-12T00:00:00.003Z" + stream + "[2] well\n";
  const auto taken = [&](std::string_view filter, std::optional<pattern::LogPattern> begin) {
    const auto wanted = pattern::LogPattern::compile(filter).value();
    logs::LineCutter cutter(wanted, begin, 100, 0, true);
    std::string told;
    const auto take = [&](std::string_view message, std::uint64_t) {
      told += std::string(message) + "@" + (cutter.time() ? std::to_string(*cutter.time() % 1000) : "-") + "|";
      return true;
    };
    for (std::size_t i = 0; i < text.size(); i += piece) cutter.feed(std::string_view(text).substr(i, piece), take);
    cutter.flush(true, take);
    return told;
  };
  CHECK(taken("", std::nullopt) == "[1] ERROR 2026@1| at a@2|an old line@-|[2] well@3|");
  CHECK(taken("2026", std::nullopt) == "[1] ERROR 2026@1|");
  CHECK(taken("-ERROR", std::nullopt) == " at a@2|an old line@-|[2] well@3|");
  CHECK(taken("", pattern::LogPattern::compile("%^\\[%").value()) ==
        "[1] ERROR 2026\n at a\nan old line@1|[2] well@3|");
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

TEST_CASE("after the line with which no more is wanted the bytes are the next ones again") {
  const std::string_view filter = GENERATE("", "a", "?a ?nowhere");
  const auto wanted = pattern::LogPattern::compile(filter).value();
  const std::optional<pattern::LogPattern> every_line;
  logs::LineCutter cutter(wanted, every_line, 100, 0);
  const std::string text = "a 1\na 2\na 3\na 4\npart of a";
  std::string all;
  for (int round = 0; round < 4; ++round) {
    std::string told;
    const auto take = [&](std::string_view message, std::uint64_t) {
      told += std::string(message) + "|";
      return told.size() < 8;
    };
    cutter.feed(std::string_view(text).substr(cutter.read_to()), take);
    CHECK(cutter.read_to() == (round == 0 ? 8 : round == 1 ? 16 : text.size()));
    all += told;
  }
  CHECK(all == "a 1|a 2|a 3|a 4|");
}

TEST_CASE("what is not complete can be forgotten and read again") {
  const auto wanted = pattern::LogPattern::compile("").value();
  std::optional<pattern::LogPattern> start;
  const bool several = GENERATE(false, true);
  if (several) start = pattern::LogPattern::compile("%^\\[%").value();
  logs::LineCutter cutter(wanted, start, 1000, 0);
  const std::string text = "[1\n[2" + std::string(several ? "\nstill 2\n and" : "") + std::string(100, 'x');
  std::string told;
  const auto take = [&](std::string_view message, std::uint64_t) {
    told += std::string(message) + "|";
    return true;
  };
  cutter.feed(text, take);
  CHECK(cutter.memory() > 100);
  CHECK(cutter.waiting() == several);
  cutter.rewind();
  CHECK(cutter.memory() < 100);
  CHECK_FALSE(cutter.waiting());
  CHECK(cutter.read_to() == 3);
  CHECK(cutter.done_to() == 3);
  cutter.feed(text.substr(3) + "\n", take);
  cutter.flush(false, take);
  CHECK(told == text.substr(0, 2) + "|" + text.substr(3) + "|");
}
