#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "pattern/text_table.h"
#include "pattern/text_trie.h"

namespace weir::pattern {
namespace {

using Numbers = std::vector<std::uint32_t>;

/// Of few letters, so that texts begin, end and hold one another.
std::string some_text(Random& random, std::uint64_t longest) {
  std::string out;
  for (std::uint64_t i = random.below(longest + 1); i > 0; --i) out += static_cast<char>("ab\xC3"[random.below(3)]);
  return out;
}

Numbers inside(TextTrie& trie, std::string_view value) {
  Numbers out;
  trie.each_inside(value, [&](std::uint32_t number) { out.push_back(number); });
  std::ranges::sort(out);
  return out;
}

TEST_CASE("a table gives each text its number, whatever its length") {
  TextTable table;
  CHECK(table.empty());
  CHECK(table.find("") == TextTable::kNone);
  std::vector<std::string> texts{""};
  for (std::size_t length = 1; length <= 40; ++length) {
    // Differing in one byte only, which may be any of them.
    for (std::size_t at = 0; at < length; ++at) {
      texts.emplace_back(length, 'x');
      texts.back()[at] = 'y';
    }
  }
  for (std::uint32_t i = 0; i < texts.size(); ++i) REQUIRE(table.add(texts[i], i) == i);
  for (std::uint32_t i = 0; i < texts.size(); ++i) {
    REQUIRE(table.find(texts[i]) == i);
    REQUIRE(table.add(texts[i], 0) == i);
  }
  CHECK(table.find("x") == TextTable::kNone);
  CHECK(table.find(std::string(41, 'x')) == TextTable::kNone);
  CHECK(table.find(std::string_view("\0", 1)) == TextTable::kNone);
}

TEST_CASE("a trie finds every text that begins a value or occurs in it, and tells each once") {
  Random random(5);
  std::size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    TextTrie trie;
    std::vector<std::string> texts;
    for (int values = 0; values < 20; ++values) {
      // Texts also come between two searches.
      for (std::uint64_t more = random.below(4); more > 0; --more) {
        texts.push_back(some_text(random, 5));
        trie.add(texts.back(), static_cast<std::uint32_t>(texts.size()) - 1);
      }
      const std::string value = some_text(random, 12);
      Numbers fronts;
      trie.each_front(value.begin(), value.end(), [&](std::uint32_t number) { fronts.push_back(number); });
      std::ranges::sort(fronts);
      Numbers expected_fronts, expected;
      for (std::uint32_t i = 0; i < texts.size(); ++i) {
        if (value.starts_with(texts[i])) expected_fronts.push_back(i);
        if (value.find(texts[i]) != std::string::npos) expected.push_back(i);
      }
      REQUIRE(fronts == expected_fronts);
      REQUIRE(inside(trie, value) == expected);
      found += expected.size();
    }
  }
  CHECK(found > 10'000);
}

TEST_CASE("texts that end in one another cost no more than they are") {
  // Each place of the value is the end of 2,000 texts: told at each, this would take hours.
  TextTrie trie;
  for (std::uint32_t length = 1; length <= 2000; ++length) trie.add(std::string(length, 'a'), length);
  for (int i = 0; i < 20; ++i) CHECK(inside(trie, std::string(1'000'000, 'a')).size() == 2000);
}

}  // namespace
}  // namespace weir::pattern
