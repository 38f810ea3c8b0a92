#include "weir/base/json_check.h"

#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/random.h"

using namespace weir;

namespace {

/// Undoes \n \r \t \\ \xNN.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (text.at(++i)) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'x':
        out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
        i += 2;
        break;
      default:
        out += text[i];
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a payload that is no JSON is complained about as Jackson does") {
  std::ifstream file(JACKSON_GOLDEN);
  std::string line;
  while (std::getline(file, line) && !line.empty()) {
  }
  int payloads = 0;
  std::string payload;
  std::string words;
  while (std::getline(file, payload) && std::getline(file, words)) {
    INFO(payload);
    CHECK_FALSE(is_json(unescaped(payload)));
    CHECK(json_complaint(unescaped(payload)) == unescaped(words));
    ++payloads;
    std::getline(file, line);
  }
  CHECK(payloads == 102);
}

TEST_CASE("what is JSON and what is not") {
  const auto good = GENERATE(values<std::string>(
      {"{}", "[]", "\"\"", "0", "-0", "-0.0e-0", "10.25E+3", "true", "false", "null", " \t\r\n{ \"a\" : [ 1 , 2 ] } ",
       "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\"", "{\"a\":1,\"a\":2}", "\"\\ud800\"", "\"\x7f\"",
       "\"\xc2\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"", "[[[]],{\"\":{}}]", "1e999999",
       "\"eight bytes and then some, with \xe2\x82\xac in the middle of it\""}));
  INFO(good);
  CHECK(is_json(good));
}

TEST_CASE("what Jackson would let pass and an event may not be") {
  struct Row {
    std::string payload;
    std::string_view complaint;
  };
  const auto row = GENERATE(values<Row>({
      {" \n", "No content to map due to end-of-input"},
      {"\"\xc0\x80\"", "Invalid UTF-8 start byte 0xc0"},
      {"\"\xed\xa0\x80\"", "Invalid UTF-8 middle byte 0xa0"},
      {"\"\xf4\x90\x80\x80\"", "Invalid UTF-8 middle byte 0x90"},
      {"\xef\xbb\xbf{}", "Invalid UTF-8 start byte 0xbb"},
      {std::string("{\"a\":\"\0\"}", 9), "Illegal unquoted character ((CTRL-CHAR, code 0))"},
      {std::string("\0", 1), "Illegal character ((CTRL-CHAR, code 0))"},
  }));
  INFO(row.payload);
  CHECK_FALSE(is_json(row.payload));
  CHECK_THAT(json_complaint(row.payload), Catch::Matchers::StartsWith(std::string(row.complaint)));
}

TEST_CASE("a thousand levels are JSON, one more is too deep, empty ones too") {
  const auto nested = [](std::size_t depth, const std::string& open, const std::string& close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  CHECK(is_json(nested(1000, "[", "]")));
  CHECK_FALSE(is_json(nested(1001, "[", "]")));
  CHECK(is_json("[" + nested(999, "[", "]") + ",{}]"));
  std::string objects;
  for (int i = 0; i < 1001; ++i) objects += "{\"a\":";
  CHECK(is_json(objects.substr(0, 999 * 5) + "{}" + std::string(999, '}')));
  CHECK_FALSE(is_json(objects.substr(0, 1000 * 5) + "{}" + std::string(1000, '}')));
  CHECK(json_complaint(nested(1001, "[", "]")) ==
        "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
        "`StreamReadConstraints.getMaxNestingDepth()`)");
  CHECK_FALSE(is_json(std::string(6'000'000, '[')));
}

// Few digits and edits: nlohmann refuses numbers that no double holds, Jackson and we do not.
TEST_CASE("of bytes at random, what is called JSON is what nlohmann calls so, and there are words for the rest") {
  Random random(4580);
  const std::string alphabet = "{}[]:,\"\\ \n0123456789-+.eEtrufalsnb/x\x01\x7f\xc3\xa9\xe2\x82\xac\xff";
  const std::vector<std::string> seeds{"{\"a\":1,\"b\":[true,false,null,-1.5,\"x\\n\\u00e9\"],\"c\":{\"d\":{}}}",
                                       "[1,2,[3,[]],{\"k\":\"v\"}]", "\"hello \\\"w\\\" \xc3\xa9\xe2\x82\xac\"", "-12"};
  int good = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = seeds[random.below(seeds.size())];
    for (std::uint64_t edits = 1 + random.below(3); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.below(text.size());
      const char c = alphabet[random.below(alphabet.size())];
      switch (random.below(4)) {
        case 0:
          text.erase(at, 1);
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        case 2:
          text[at] = c;
          break;
        default:
          text.resize(at);
      }
    }
    INFO(text);
    const bool json = is_json(text);
    REQUIRE(json == nlohmann::json::accept(text));
    if (!json) REQUIRE(json_complaint(text) != "not JSON");
    good += json ? 1 : 0;
  }
  CHECK(good > 1000);
}
