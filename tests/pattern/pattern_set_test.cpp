#include "pattern/pattern_set.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

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

TEST_CASE("a set knows for which members some pattern asks") {
  PatternSet set;
  CHECK_FALSE(set.asks_for("source"));
  REQUIRE(set.add(1, R"({"source":["a"],"detail":{"time":[{"exists":false}]}})").has_value());
  CHECK(set.asks_for("source"));
  CHECK(set.asks_for("detail"));
  CHECK_FALSE(set.asks_for("time"));
  REQUIRE(set.add(2, R"({"time":[{"exists":false}]})").has_value());
  CHECK(set.asks_for("time"));
}

TEST_CASE("what a piece of an event was read from may be gone when the event is finished") {
  PatternSet set;
  // Of the two fields one is looked at only when the other has passed.
  REQUIRE(set.add(1, R"({"a":["x"],"b":[{"anything-but":"long enough for a heap"}]})").has_value());
  REQUIRE(set.add(2, R"({"a":["x"],"b":[{"wildcard":"*ZZZ*"}]})").has_value());
  std::string piece = "long enough for a heap";
  set.begin();
  set.text("b", piece);
  piece.assign(piece.size(), 'Z');
  CHECK(set.member("a", R"("x")"));
  CHECK(set.finish().empty());
  set.begin();
  std::string object = R"({"b":"\u006cong enough for a heap"})";
  CHECK(set.members(object));
  object.assign(object.size(), 'Z');
  set.text("a", "x");
  CHECK(set.finish().empty());
}

TEST_CASE("a pattern that comes later may make a field matter that was not looked at") {
  PatternSet set;
  REQUIRE(set.add(1, R"({"a":["x"],"b":[{"anything-but":"y"}]})").has_value());
  CHECK(matches(set, R"({"a":"x","b":"z"})") == Ids{1});
  CHECK(matches(set, R"({"a":"x","b":"y"})").empty());
  REQUIRE(set.add(2, R"({"b":[{"anything-but":"y"}]})").has_value());
  CHECK(matches(set, R"({"a":"x","b":"z"})") == Ids{1, 2});
  CHECK(matches(set, R"({"a":"w","b":"z"})") == Ids{2});
  CHECK(matches(set, R"({"a":"x","b":"y"})").empty());
}

TEST_CASE("of a field with many values none is overlooked") {
  PatternSet set;
  // Neither test of "b" is looked at before "a" has passed.
  REQUIRE(set.add(1, R"({"a":["x"],"b":{"n":[{"anything-but":"y"}]}})").has_value());
  REQUIRE(set.add(2, R"({"a":["x"],"b":{"n":[{"anything-but":"y"}],"m":[{"wildcard":"*2*"}]}})").has_value());
  for (const std::size_t count : {1U, 2U, 63U, 64U, 65U, 127U, 128U, 129U, 200U}) {
    for (const std::size_t at : {std::size_t{0}, count / 2, count - 1, count}) {
      INFO(at << " of " << count);
      std::string list = "[";
      std::string objects = "[";
      for (std::size_t i = 0; i < count; ++i) {
        const std::string n = i == at ? R"("z")" : R"("y")";
        list += (i > 0 ? "," : "") + n;
        objects += (i > 0 ? "," : "") + (R"({"n":)" + n) + R"(,"m":")" + (i == at ? "2" : "1") + R"("})";
      }
      const bool there = at < count;
      CHECK(matches(set, R"({"b":{"n":)" + list + R"(]},"a":"x"})") == (there ? Ids{1} : Ids{}));
      CHECK(matches(set, R"({"a":"x","b":)" + objects + "]}") == (there ? Ids{1, 2} : Ids{}));
      CHECK(matches(set, R"({"b":)" + objects + R"(],"a":"w"})").empty());
    }
  }
}

TEST_CASE("wildcards that share their ends, their middles or all of them") {
  PatternSet set;
  const std::vector<std::string> texts{
      "arn:*/1/*.csv", "arn:*/2/*.csv", "arn:*/12/*.csv", "arn:*/1/*", "*/1/*.csv", "*1*", "*",
      "arn:*/1/*.csv", "a*v",           "arn:x/1/y.csv"};
  for (std::uint32_t i = 0; i < texts.size(); ++i)
    REQUIRE(set.add(i, R"({"a":[{"wildcard":")" + texts[i] + R"("}]})").has_value());
  CHECK(matches(set, R"({"a":"arn:x/1/y.csv"})") == Ids{0, 3, 4, 5, 6, 7, 8, 9});
  CHECK(matches(set, R"({"a":"arn:x/2/y.csv"})") == Ids{1, 6, 8});
  CHECK(matches(set, R"({"a":"arn:x/12/1/.csv"})") == Ids{0, 2, 3, 4, 5, 6, 7, 8});
  CHECK(matches(set, R"({"a":""})") == Ids{6});
}

TEST_CASE("blocks of addresses of one set: the quirks of comparing digits stay") {
  PatternSet set;
  const std::vector<std::string> tests{R"({"cidr":"10.0.0.0/8"})",    R"({"cidr":"10.0.1.0/24"})",
                                       R"({"cidr":"0.0.0.0/0"})",     R"({"cidr":"0a00::/9"})",
                                       R"({"cidr":"0a00:100::/24"})", R"("10.0.1.7")",
                                       R"("255.255.255.255")",        R"({"cidr":"255.255.255.254/31"})"};
  for (std::uint32_t i = 0; i < tests.size(); ++i) REQUIRE(set.add(i, R"({"a":[)" + tests[i] + "]}").has_value());
  CHECK(matches(set, R"({"a":"10.0.1.7"})") == Ids{0, 1, 2, 3, 4, 5});
  CHECK(matches(set, R"({"a":"10.0.2.0"})") == Ids{0, 2, 3});
  CHECK(matches(set, R"({"a":"11.0.0.0"})") == Ids{2});
  CHECK(matches(set, R"({"a":"255.255.255.255"})") == Ids{2, 6, 7});
  CHECK(matches(set, R"({"a":"0a00:0107::1"})") == Ids{0, 1, 2, 3, 4, 5});
  CHECK(matches(set, R"({"a":"none"})").empty());
}

/// Tests of every kind, and values that pass some of them.
std::string some_test(Random& random) {
  constexpr std::string_view kTests[] = {
      R"("a")",
      R"("ab")",
      "1",
      "9007199254740993",
      "true",
      "null",
      R"("10.0.0.1")",
      R"({"prefix":"a"})",
      R"({"suffix":"b"})",
      R"({"equals-ignore-case":"AB"})",
      R"({"equals-ignore-case":"É"})",
      R"({"prefix":{"equals-ignore-case":"A"}})",
      R"({"suffix":{"equals-ignore-case":"É"}})",
      R"({"wildcard":"a*b"})",
      R"({"wildcard":"*"})",
      R"({"wildcard":"*b*"})",
      R"({"numeric":[">",1]})",
      R"({"numeric":["=",1]})",
      R"({"cidr":"10.0.0.0/24"})",
      R"({"exists":true})",
      R"({"exists":false})",
      R"({"anything-but":["a","ab"]})",
      R"({"anything-but":1})",
      R"({"anything-but":{"prefix":"a"}})",
      R"({"anything-but":{"suffix":"b"}})",
      R"({"anything-but":{"wildcard":"*b*"}})",
      R"({"anything-but":{"equals-ignore-case":"é"}})",
  };
  return std::string(kTests[random.below(std::size(kTests))]);
}

std::string some_value(Random& random, int depth) {
  constexpr std::string_view kValues[] = {R"("a")",
                                          R"("ab")",
                                          R"("AB")",
                                          R"("é")",
                                          R"("\u0061\u0062")",
                                          R"("")",
                                          "1",
                                          "1.0",
                                          "2",
                                          "true",
                                          "null",
                                          "9007199254740993",
                                          "false",
                                          R"("10.0.0.1")",
                                          R"("010.0.0.1")",
                                          R"("10.0.0.77")"};
  if (depth > 0 && random.chance(0.3)) {
    std::string out = "[";
    for (std::uint64_t i = random.below(4); i > 0; --i) out += some_value(random, depth - 1) + (i > 1 ? "," : "");
    return out + "]";
  }
  if (depth > 0 && random.chance(0.4)) {
    return R"({"p":)" + some_value(random, depth - 1) + R"(,"q":)" + some_value(random, depth - 1) + "}";
  }
  return std::string(kValues[random.below(std::size(kValues))]);
}

TEST_CASE("which of its tests a set puts off does not change its answers") {
  Random random(8);
  std::size_t passed = 0;
  std::size_t judged = 0;
  for (int round = 0; round < 150; ++round) {
    PatternSet together;
    std::vector<PatternSet> alone(1 + random.below(30));
    // Fields by themselves: there every test is asked of each value.
    std::vector<PatternSet> fields(alone.size());
    std::vector<std::size_t> count(alone.size());
    for (std::uint32_t i = 0; i < alone.size(); ++i) {
      std::string pattern = "{";
      for (const std::string_view name : {R"("a")", R"("b.p")", R"("b.q")", R"("c")"}) {
        if (pattern.size() > 1 && random.chance(0.6)) continue;
        std::string field = std::string(name) + ":[" + some_test(random);
        if (random.chance(0.7)) field += "," + some_test(random);
        field += "]";
        REQUIRE(fields[i].add(static_cast<std::uint32_t>(count[i]++), "{" + field + "}").has_value());
        pattern += (pattern.size() > 1 ? "," : "") + field;
      }
      REQUIRE(alone[i].add(i, pattern + "}").has_value());
      REQUIRE(together.add(i, pattern + "}").has_value());
    }
    for (int events = 0; events < 20; ++events) {
      const bool arrays = random.chance(0.6);
      std::string event = R"({"a":)" + some_value(random, arrays ? 2 : 0);
      if (random.chance(0.8))
        event += R"(,"b":)" + (arrays ? some_value(random, 3) : R"({"p":1,"q":)" + some_value(random, 0) + "}");
      if (random.chance(0.8)) event += R"(,"c":)" + some_value(random, 0);
      event += "}";
      INFO(event);
      const Ids found = matches(together, event);
      for (std::uint32_t i = 0; i < alone.size(); ++i) {
        const bool matched = std::ranges::binary_search(found, i);
        REQUIRE(matched == !matches(alone[i], event).empty());
        // In arrays it matters also where the fields stand.
        if (!arrays) REQUIRE(matched == (matches(fields[i], event).size() == count[i]));
        passed += matched ? 1 : 0;
        ++judged;
      }
    }
  }
  CHECK(passed > judged / 10);
  CHECK(passed < judged / 2);
}

}  // namespace
}  // namespace weir::pattern
