#include "pattern/pattern_set.h"

#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

namespace weir::pattern {
namespace {

std::vector<std::uint32_t> matches(PatternSet& set, std::string_view event) {
  const auto matched = set.match(event);
  REQUIRE(matched.has_value());
  std::vector<std::uint32_t> ids(matched->begin(), matched->end());
  std::ranges::sort(ids);
  return ids;
}

using Ids = std::vector<std::uint32_t>;

TEST_CASE("a set tells which of its patterns match, event after event") {
  PatternSet set;
  REQUIRE(set.add(1, R"({"source":["a"],"detail":{"n":[1]}})").has_value());
  REQUIRE(set.add(2, R"({"source":["a"],"detail":{"n":[{"numeric":[">",0]}]}})").has_value());
  REQUIRE(set.add(3, R"({"source":["b"]})").has_value());
  REQUIRE(set.add(4, R"({"detail":{"m":[{"exists":false}]}})").has_value());
  CHECK(matches(set, R"({"source":"a","detail":{"n":1}})") == Ids{1, 2, 4});
  CHECK(matches(set, R"({"source":"b","detail":{"m":1}})") == Ids{3});
  CHECK(matches(set, R"({"source":"a","detail":{"n":2,"m":0}})") == Ids{2});
  CHECK(matches(set, "{}") == Ids{4});
  SECTION("patterns come later too") {
    REQUIRE(set.add(5, R"({"source":[{"prefix":""}]})").has_value());
    CHECK(matches(set, R"({"source":"b","detail":{"m":1}})") == Ids{3, 5});
  }
  SECTION("a refused pattern changes nothing") {
    CHECK_FALSE(set.add(6, R"({"source":[]})").has_value());
    CHECK(matches(set, R"({"source":"b","detail":{"m":1}})") == Ids{3});
  }
  SECTION("a malformed event matches nothing, and the next is judged as ever") {
    CHECK_FALSE(set.match(R"({"source":"b",})").has_value());
    CHECK(matches(set, R"({"source":"b","detail":{"m":1}})") == Ids{3});
  }
}

TEST_CASE("an id may have many patterns, and is told once") {
  PatternSet set;
  REQUIRE(set.add(9, R"({"a":[1]})").has_value());
  REQUIRE(set.add(9, R"({"b":[1]})").has_value());
  REQUIRE(set.add(9, R"({"$or":[{"a":[1]},{"b":[1]}]})").has_value());
  CHECK(matches(set, R"({"a":1,"b":1})") == Ids{9});
  CHECK(matches(set, R"({"b":1})") == Ids{9});
  CHECK(matches(set, R"({"c":1})").empty());
}

TEST_CASE("two thousand patterns, of which each event fits one") {
  PatternSet set;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::string n = std::to_string(i);
    const auto added = set.add(
        i, R"({"source":["s"],"d":{"k":["k)" + n + R"("],"p":[{"prefix":")" + n + R"(/"}],"f)" + n + R"(":[1]}})");
    REQUIRE(added.has_value());
  }
  for (const std::uint32_t i : {0U, 1U, 999U, 1999U}) {
    const std::string n = std::to_string(i);
    CHECK(matches(set, R"({"source":"s","d":{"f)" + n + R"(":1,"p":")" + n + R"(/x","k":"k)" + n + R"("}})") == Ids{i});
    CHECK(matches(set, R"({"source":"s","d":{"p":")" + n + R"(/x","k":"k)" + n + R"("}})").empty());
  }
}

TEST_CASE("an event may come in pieces") {
  PatternSet set;
  REQUIRE(set.add(1, R"({"data":{"x":[1]},"key":["k"]})").has_value());
  REQUIRE(set.add(2, R"({"data":["plain"]})").has_value());
  set.begin();
  CHECK(set.members(R"({"key":"k","other":[1]})"));
  CHECK(set.member("data", R"({"x":1})"));
  CHECK(Ids(set.finish().begin(), set.finish().end()) == Ids{1});
  set.begin();
  set.text("data", "plain");
  CHECK(set.finish().size() == 1);
  set.begin();
  CHECK_FALSE(set.member("data", R"({"x":1)"));
  CHECK(set.finish().empty());
  set.begin();
  CHECK_FALSE(set.member("nobody asks", "1 2"));
}

}  // namespace
}  // namespace weir::pattern
