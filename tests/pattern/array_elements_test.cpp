#include "pattern/array_elements.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "pattern/pattern_set.h"

namespace weir::pattern {
namespace {

using Condition = ArrayElements::Condition;

/// An event as a text: `[` an array, `{` an element of it, `2` a value that condition 2 passes on, `c` one that it does
/// not pass on. Conditions as a text: `+` wants a value, `-` is content when there is none.
struct Event {
  struct Value {
    std::size_t condition;
    bool passes;
    std::map<std::uint32_t, std::uint32_t> stands_in;  ///< element, by array
  };

  std::vector<Value> values;
  std::vector<Condition> conditions;
  ArrayElements elements;

  Event(std::string_view text, std::string_view wanted) {
    for (const char each : wanted) conditions.push_back({.absent_passes = each == '-'});
    std::vector<std::uint32_t> arrays;
    std::vector<std::uint32_t> open{ArrayElements::kNone};
    for (const char c : text) {
      if (c == '[') arrays.push_back(elements.add_array(open.back()));
      if (c == ']') arrays.pop_back();
      if (c == '{') open.push_back(elements.add_element(arrays.back()));
      if (c == '}') open.pop_back();
      const bool passes = c >= '0' && c <= '9';
      if (!passes && !(c >= 'a' && c <= 'z')) continue;
      Value value{.condition = static_cast<std::size_t>(c - (passes ? '0' : 'a')), .passes = passes};
      for (std::size_t i = 0; i < arrays.size(); ++i) value.stands_in[arrays[i]] = open[i + 1];
      Condition& condition = conditions.at(value.condition);
      elements.note(condition.values, open.back());
      if (passes) elements.note(condition.hits, open.back());
      values.push_back(std::move(value));
    }
  }

  bool consistent() { return elements.consistent(conditions); }

  /// The rule as event-ruler has it: one condition after the other, with every value that it passes on.
  bool by_trying_all(std::size_t condition = 0, const std::map<std::uint32_t, std::uint32_t>& taken = {}) const {
    if (condition == conditions.size()) return true;
    const auto fits = [&](const Value& value) {
      return value.condition == condition && std::ranges::all_of(value.stands_in, [&](const auto& each) {
               const auto known = taken.find(each.first);
               return known == taken.end() || known->second == each.second;
             });
    };
    if (conditions[condition].absent_passes && std::ranges::none_of(values, fits) &&
        by_trying_all(condition + 1, taken)) {
      return true;
    }
    return std::ranges::any_of(values, [&](const Value& value) {
      if (!value.passes || !fits(value)) return false;
      auto more = taken;
      more.insert(value.stands_in.begin(), value.stands_in.end());
      return by_trying_all(condition + 1, more);
    });
  }
};

TEST_CASE("of each array one element is taken") {
  struct Row {
    std::string_view sentence, wanted, event;
    bool passes;
  };
  const auto row = GENERATE(values<Row>({
      {"both in one element", "++", "[{0}{01}]", true},
      {"each in its own", "++", "[{0}{1}]", false},
      {"one of them outside of the array", "++", "0[{1}]", true},
      {"or outside too", "++", "0[{0}{1}]", true},
      {"arrays side by side are free of each other", "++++", "[{0}{01}][{23}{2}]", true},
      {"also when one of them has nothing to offer", "++++", "[{0}{01}][{3}{2}]", false},
      {"an array in an element", "+++", "[{0[{1}{12}]}{12}]", true},
      {"an array in another element", "+++", "[{0}{[{12}]}]", false},
      {"an array in an array", "++", "[{[{0}]}{[{1}]}]", false},
      {"a name that stands twice leads to two arrays, and each gives an element", "++", "[{0}{0}][{1}]", true},
      {"and each gives one only", "+++", "[{0}{1}][{2}{12}]", true},
      {"so that three do not fit in two", "+++", "[{0}{1}][{0}{1}{2}]", false},
  }));
  DYNAMIC_SECTION(row.sentence) {
    Event event(row.event, row.wanted);
    CHECK(event.consistent() == row.passes);
    CHECK(event.by_trying_all() == row.passes);
  }
}

TEST_CASE("a field is absent when no value stands in what the conditions before it took") {
  struct Row {
    std::string_view sentence, wanted, event;
    bool passes;
  };
  const auto row = GENERATE(values<Row>({
      {"it is missing in the element taken", "+-", "[{0}{b}]", true},
      {"it stands in that element", "+-", "[{0b}{}]", false},
      {"another element would do", "+-", "[{0b}{0}]", true},
      {"it stands around the array", "+-", "b[{0}]", false},
      {"nothing is taken yet, and an element has it", "-+", "[{1}{a}]", false},
      {"nothing is taken yet, and no element has it", "-+", "[{1}{1}]", true},
      {"what is taken without need helps those after it", "+-+", "0[{0}{b}][{2}]", true},
      {"but not those before it", "-+", "1[{1}{a}]", false},
      {"its own values may pass too", "+-", "[{01}{0b}]", true},
      {"also beside one that does not", "+-", "[{0b[{1}]}]", true},
      {"it is missing in an inner element", "++-", "[{0[{1}{c}]}]", true},
      {"it is taken too late", "+-+", "[{0[{2}{b}]}]", false},
  }));
  DYNAMIC_SECTION(row.sentence) {
    Event event(row.event, row.wanted);
    CHECK(event.consistent() == row.passes);
  }
}

/// Values of `conditions` here and in up to two arrays; a condition stands in one of the arrays, or at times in both.
std::string some_event(Random& random, const std::string& conditions, int depth, bool twice) {
  std::string out;
  for (const char c : conditions) {
    if (random.chance(depth == 0 ? 0.1 : 0.35)) out += random.chance(0.5) ? c : static_cast<char>(c - '0' + 'a');
  }
  if (depth == 3) return out;
  std::string parts[2];
  for (const char c : conditions) {
    const std::uint64_t part = random.below(depth == 0 ? 4 : 3);
    if (part == 1 || part == 3 || (twice && part == 0)) parts[0] += c;
    if (part == 2 || (twice && part == 0)) parts[1] += c;
  }
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    out += '[';
    for (std::uint64_t i = random.below(4); i > 0; --i) out += "{" + some_event(random, part, depth + 1, twice) + "}";
    out += ']';
  }
  return out;
}

TEST_CASE("whatever the event, the answer is that of trying all combinations") {
  Random random(11);
  std::size_t passed = 0;
  constexpr std::size_t kEvents = 10'000;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::string conditions = std::string("012345").substr(0, 1 + random.below(6));
    std::string wanted;
    for (std::size_t j = 0; j < conditions.size(); ++j) wanted += random.chance(0.4) ? '-' : '+';
    const std::string text = some_event(random, conditions, 0, random.chance(0.3));
    Event event(text, wanted);
    INFO(wanted << " " << text);
    const bool expected = event.by_trying_all();
    REQUIRE(event.consistent() == expected);
    REQUIRE(event.consistent() == expected);  // nothing of the first answer is left
    passed += expected ? 1 : 0;
  }
  CHECK(passed > kEvents / 5);
  CHECK(passed < kEvents * 4 / 5);
}

// No clock is looked at below: where the cost grows with the square of the elements, with the depth for each value, or
// with all ways to choose, these take from minutes to for ever.

TEST_CASE("fields of one array: the time is linear in its elements") {
  constexpr int kObjects = 150'000;
  std::string event = R"({"r":[)";
  for (int i = 0; i < kObjects; ++i) event += i % 2 == 0 ? R"({"x":1,"y":0},)" : R"({"x":0,"y":1},)";
  event += "0]}";
  PatternSet set;
  REQUIRE(set.add(1, R"({"r":{"x":[1],"y":[1]}})").has_value());
  REQUIRE(set.add(2, R"({"r":{"x":[1],"y":[0]}})").has_value());
  REQUIRE(set.add(3, R"({"r":{"x":[1],"y":[{"exists":false}]}})").has_value());
  REQUIRE(set.add(4, R"({"r":{"x":[0,1],"y":[0,1],"z":[{"exists":true}]}})").has_value());
  const auto matched = set.match(event);
  REQUIRE(matched.has_value());
  CHECK(std::vector(matched->begin(), matched->end()) == std::vector<std::uint32_t>{2});
}

TEST_CASE("lists in lists: the time is linear in their depth and in their values") {
  constexpr std::size_t kDepth = 990;
  // Each list has a scalar before the inner list and one behind it, so that no two of a list come together.
  std::string event = R"({"r":)";
  for (std::size_t i = 0; i < kDepth; ++i) event += R"([{"x":1},0,)";
  for (int i = 0; i < 100'000; ++i) event += R"(1,)";
  event += "1";
  for (std::size_t i = 0; i < kDepth; ++i) event += R"(,0,{"y":1}])";
  PatternSet set;
  REQUIRE(set.add(1, R"({"r":[1]})").has_value());
  REQUIRE(set.add(2, R"({"r":{"x":[1],"y":[1]}})").has_value());
  REQUIRE(set.add(3, R"({"$or":[{"r":[0,1]},{"r":[3]}],"r":{"x":[1]}})").has_value());
  const auto matched = set.match(event + "}");
  REQUIRE(matched.has_value());
  std::vector<std::uint32_t> ids(matched->begin(), matched->end());
  std::ranges::sort(ids);
  CHECK(ids == std::vector<std::uint32_t>{1, 3});
}

TEST_CASE("names that stand twice: what takes too many ways to try does not pass") {
  // Each array can give one of all fields, so that the ways are as many as orders of the fields.
  const auto matches = [](int fields, int arrays) {
    std::string pattern = R"({"r":{"x":[1])";
    for (int i = 1; i < fields; ++i) pattern += ",\"x" + std::to_string(i) + "\":[1]";
    std::string event = "{";
    for (int i = 0; i < arrays; ++i) {
      event += R"("r":[{"x":1})";
      for (int field = 1; field < fields; ++field) event += ",{\"x" + std::to_string(field) + "\":1}";
      event += "],";
    }
    PatternSet set;
    REQUIRE(set.add(1, pattern + "}}").has_value());
    const auto found = set.match(event + R"("s":1})");
    REQUIRE(found.has_value());
    return found->size() == 1;
  };
  CHECK(matches(6, 6));
  CHECK_FALSE(matches(6, 5));
  CHECK_FALSE(matches(40, 39));
  CHECK_FALSE(matches(40, 40));  // it would pass, after some 10^30 years
}

}  // namespace
}  // namespace weir::pattern
