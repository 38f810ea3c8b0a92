#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "pattern/pattern_set.h"

namespace weir::pattern {
namespace {

constexpr std::string_view kPieces[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"a\"",
                                        "\"b\":",
                                        "\"a\":[",
                                        "\"$or\":[",
                                        "\"",
                                        "\\",
                                        "\\u00",
                                        "1",
                                        "-0.5e3",
                                        "1e999",
                                        "true",
                                        "null",
                                        "false",
                                        "{\"prefix\":",
                                        "*",
                                        "\"*a*\"",
                                        "\"10.0.0.1\"",
                                        "\"::/0\"",
                                        "\xC3\xA9",
                                        "\xFF",
                                        " ",
                                        "\n",
                                        "{\"numeric\":[\">\",",
                                        "{\"exists\":",
                                        "{\"anything-but\":",
                                        "{\"wildcard\":",
                                        "{\"cidr\":",
                                        "{\"suffix\":",
                                        "{\"equals-ignore-case\":",
                                        "{\"a\":[1]}",
                                        "\\ud83d",
                                        "]}"};

std::string noise(Random& random) {
  // One in five is a pattern but for what stands in it, so that some are good.
  if (random.chance(0.2)) {
    const std::string piece(kPieces[random.below(std::size(kPieces))]);
    return R"({"a":[)" + piece + (piece.ends_with(':') ? R"("*a")" : "") + (piece.starts_with('{') ? "}" : "") + "]}";
  }
  std::string out = random.chance(0.7) ? "{\"a\":[" : "";
  for (std::uint64_t i = random.below(16); i > 0; --i) {
    if (random.chance(0.1)) {
      out += static_cast<char>(random.below(256));
    } else {
      out += kPieces[random.below(std::size(kPieces))];
    }
  }
  return out;
}

TEST_CASE("whatever comes as a pattern and as an event gets an answer") {
  Random random(4);
  int compiled = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string pattern = noise(random);
    const std::string event = random.chance(0.3) ? pattern : noise(random);
    PatternSet set;
    const bool good = set.add(1, pattern).has_value();
    compiled += good ? 1 : 0;
    REQUIRE((is_json(pattern) || !good));
    // Judged with a pattern that looks into it, and with one that passes it over: they agree on what is well-formed.
    PatternSet other;
    REQUIRE(other.add(1, R"({"zzz":[1]})").has_value());
    const bool fine = set.match(event).has_value();
    REQUIRE(fine == other.match(event).has_value());
    REQUIRE((is_json(event) || !fine));
  }
  CHECK(compiled > 100);
}

TEST_CASE("long values and wildcards do not take long") {
  // Each is thousands of times above what it takes; a search that goes back and forth would not end at all.
  const auto begin = std::chrono::steady_clock::now();
  PatternSet set;
  REQUIRE(set.add(1, R"({"a":[{"wildcard":"*a*a*a*b"}]})").has_value());
  REQUIRE(set.add(2, R"({"a":[{"anything-but":{"wildcard":"*aaaaab*"}}]})").has_value());
  const std::string value(1'000'000, 'a');
  CHECK(set.match(R"({"a":")" + value + R"("})")->size() == 1);
  std::string stars = R"({"a":[{"wildcard":")";
  while (stars.size() < 4000) stars += "a*bcd*";
  PatternSet other;
  CHECK_FALSE(other.add(3, stars + R"("}]})").has_value());

  // A field of each element, in arrays that are free of each other: ways do not multiply.
  std::string event = "{";
  std::string pattern = "{";
  for (int array = 0; array < 8; ++array) {
    const std::string name = "f" + std::to_string(array);
    pattern += (array > 0 ? ",\"" : "\"") + name + R"(":{"x":[1],"y":[)" + (array == 7 ? "2" : "1") + "]}";
    event += (array > 0 ? ",\"" : "\"") + name + R"(":[{"x":1,"y":1})";
    for (int i = 0; i < 300; ++i) event += R"(,{"x":1,"y":1})";
    event += "]";
  }
  PatternSet arrays;
  REQUIRE(arrays.add(1, pattern + "}").has_value());
  CHECK(arrays.match(event + "}")->empty());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
}

}  // namespace
}  // namespace weir::pattern
