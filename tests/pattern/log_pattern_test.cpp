#include "pattern/log_pattern.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "pattern/decimal.h"
#include "pattern/log_regex.h"

// Source: reference patterns.md (b), whose facts are recordings of TestMetricFilter.
namespace weir::pattern {
namespace {

LogPattern compiled(std::string_view text) {
  auto pattern = LogPattern::compile(text);
  INFO(text << ": " << (pattern ? "" : pattern.error().message()));
  REQUIRE(pattern.has_value());
  return *pattern;
}

std::string refusal(std::string_view text) {
  const auto pattern = LogPattern::compile(text);
  return pattern ? "" : pattern.error().message();
}

/// The numbers, from 1, of the messages that match: "1 3".
std::string matching(std::string_view pattern, const std::vector<std::string>& messages) {
  const LogPattern made = compiled(pattern);
  std::string numbers;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (made.matches(messages[i])) numbers += (numbers.empty() ? "" : " ") + std::to_string(i + 1);
  }
  return numbers;
}

/// "a=x|2=y"
std::string fields(std::string_view pattern, std::string_view message) {
  std::string out;
  for (const auto& [name, text] : compiled(pattern).fields_of(message))
    out += (out.empty() ? "" : "|") + name + "=" + text;
  return out;
}

struct Row {
  std::string_view pattern;
  std::string_view matched;
};

}  // namespace

TEST_CASE("terms are found anywhere; all of them, one of them, none of them") {
  const std::vector<std::string> messages = {"ERROR",   "ERRORS",     "xERROR",        "error",
                                             "[ERROR]", "ERROR_code", "ERROR timeout", "INFO timeout",
                                             "WARN",    "two words",  "two  words"};
  const auto row = GENERATE(values<Row>({
      {"ERROR", "1 2 3 5 6 7"},
      {"error", "4"},
      {"ERROR timeout", "7"},
      {"ERROR -timeout", "1 2 3 5 6"},
      {"-ERROR", "4 8 9 10 11"},
      {"?ERROR ?WARN", "1 2 3 5 6 7 9"},
      {"?ERROR timeout", "7 8"},
      {"?ERROR -timeout", "1 2 3 4 5 6 9 10 11"},
      {"\"two words\"", "10"},
      {"-\"two words\"", "1 2 3 4 5 6 7 8 9 11"},
      {"?\"two words\" ?WARN", "9 10"},
      {"\"ERR*\"", ""},
      {"", "1 2 3 4 5 6 7 8 9 10 11"},
      {" ", "1 2 3 4 5 6 7 8 9 10 11"},
      {"\" \"", "7 8 10 11"},
      {"ERROR?WARN", "1 2 3 5 6 7"},
      {"two-ERROR", "10 11"},
  }));
  DYNAMIC_SECTION(row.pattern) {
    CHECK(matching(row.pattern, messages) == row.matched);
  }
  CHECK(matching("caf\xC3\xA9", {"caf\xC3\xA9", "cafe"}) == "1");
  CHECK(matching("a_b", {"a_b", "a b"}) == "1");
  CHECK(matching("a.b", {"a.b", "a b"}) == "1");
}

TEST_CASE("regular expressions are found anywhere, in ASCII") {
  const std::vector<std::string> messages = {"ERROR",       "WARN",      "aaaa", "aa",          "cat",  "a cat", "hat",
                                             "color",       "colour",    "a-b",  "a b",         "a\nb", "123",   "_",
                                             "caf\xC3\xA9", "key:value", "ab",   "back\\slash", "!"};
  const auto row = GENERATE(values<Row>({
      {"%^[ch]at%", "5 7"},
      {"%^a{3,5}$%", "3"},
      {"%colou?r%", "8 9"},
      {"%\\d+%", "13"},
      {"%\\w+%", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"},
      {"%a\\sb%", "11 12"},
      {"%\\x3A%", "16"},
      {"%a.b%", "10 11"},
      {"%a\\-b%", "10"},
      {"%a+?%", "3 4 5 6 7 10 11 12 15 16 17 18"},
      {"%^caf.$%", "15"},
      {"%^[^a-z]+$%", "1 2 13 14 19"},
      {"%at$|^WARN%", "2 5 6 7"},
      {"%^\\D\\W%", "6 10 11 12"},
      {"%^a?b?c?a?$%", "4 17"},
  }));
  DYNAMIC_SECTION(row.pattern) {
    CHECK(matching(row.pattern, messages) == row.matched);
  }
  CHECK(matching("%x$%", {"x", "x\n", "x\r\n", "x\n\n", "xy"}) == "1 2 3");
  CHECK(matching("%a|%", {"b"}) == "1");
  CHECK(matching("%^a{0,3}b{2}c*d%", {"bbd", "aaabbccd", "aaaabbd", "abd", "bbccc"}) == "1 2");
}

TEST_CASE("places of an expression are counted across machine words") {
  // 130 places, of which a run that may be left out crosses two words.
  const std::string front(60, 'a');
  const LogRegex regex = *LogRegex::compile(front + "b{0,68}c");
  CHECK(regex.found_in(front + "c"));
  CHECK(regex.found_in("x" + front + std::string(68, 'b') + "c"));
  CHECK(regex.found_in(front + std::string(5, 'b') + "c"));
  CHECK_FALSE(regex.found_in(front + std::string(69, 'b') + "c"));
  CHECK_FALSE(regex.found_in(front.substr(1) + "bc"));
  CHECK(LogRegex::compile("a{8000}").has_value());
  CHECK_FALSE(LogRegex::compile("a{8193}").has_value());
}

TEST_CASE("conditions on JSON: values") {
  const std::vector<std::string> messages = {R"({"a":1})",        R"({"a":"1"})",   R"({"a":1.0})",
                                             R"({"a":"01"})",     R"({"a":true})",  R"({"a":false})",
                                             R"({"a":"true"})",   R"({"a":null})",  R"({})",
                                             R"({"a":{}})",       R"({"a":[]})",    R"({"a":"foo"})",
                                             R"({"a":"foobar"})", R"({"a":"FOO"})", R"({"a":1e3})",
                                             R"({"a":"1e3"})",    R"({"a":1e309})", R"({"a":"1e309"})",
                                             R"({"a":1e-999})",   R"({"a":-0.0})",  R"({"a":9007199254740993})"};
  const auto row = GENERATE(values<Row>({
      {"{ $.a = 1 }", "1 2 3"},
      {"{ $.a = \"1\" }", "1 2"},
      {"{ $.a != 1 }", "4 7 12 13 14 15 16 18 19 20 21"},
      {"{ $.a != \"foo\" }", "1 2 3 4 7 13 14 15 16 17 18 19 20 21"},
      {"{ $.a > 0 }", "1 3 15 21"},
      {"{ $.a = foo }", "12"},
      {"{ $.a = true }", "7"},
      {"{ $.a = \"true\" }", "7"},
      {"{ $.a IS TRUE }", "5"},
      {"{ $.a is false }", "6"},
      {"{ $.a IS NULL }", "8"},
      {"{ $.a NOT EXISTS }", "9"},
      {"{ $.a = * }", "1 2 3 4 7 12 13 14 15 16 17 18 19 20 21"},
      {"{ $.a = \"*\" }", "1 2 3 4 7 12 13 14 15 16 17 18 19 20 21"},
      {"{ $.a = foo* }", "12 13"},
      {"{ $.a = 1e3 }", "15 16"},
      {"{ $.a = +1 }", "1 3"},
      {"{ $.a = 1e309 }", "18"},
      {"{ $.a = 1e-999 }", ""},
      {"{ $.a = 9007199254740992 }", ""},
      {"{ $.a = 9007199254740993 }", "21"},
      {"{ $.a = %1% }", "1 2 3 4 15 16 18 21"},
      {"{ $.a = 0 }", "19 20"},
      {"{ $.a = 1.0 }", "1 3"},
      {"{ $.a = 1 && $.b = 2 || $.a = foo }", "12"},
      {"{ $.a = 1 && ($.b NOT EXISTS || $.a = foo) }", "1 2 3"},
      {"{ ($.a >= 1e3) && ($.a < 9007199254740993) }", "15"},
  }));
  DYNAMIC_SECTION(row.pattern) {
    CHECK(matching(row.pattern, messages) == row.matched);
  }
  CHECK(matching("{ $.a = \"1e0\" }", {R"({"a":1e0})", R"({"a":"1e0"})"}) == "2");
  CHECK(matching("{ $.a = \"1.0\" }", {R"({"a":1e0})", R"({"a":1})"}) == "1");
  CHECK(matching("{ $.a = \"caf\xC3\xA9\" }", {R"({"a":"caf\u00e9"})", R"({"\u0061":"caf\u00E9"})"}) == "1 2");
  CHECK(matching("{ $.a > 1e-999 }", {R"({"a":0})", R"({"a":1e-999})", R"({"a":1e308})", R"({"a":1e309})"}) == "3");
}

TEST_CASE("conditions on JSON: paths") {
  const std::vector<std::string> messages = {R"({"a":[1,2]})",
                                             R"({"a":[2,1]})",
                                             R"({"a":[null,2]})",
                                             R"({"a":{"x":1,"y":2}})",
                                             R"({"a":{"x":2,"y":1}})",
                                             R"({"a":[{"b":1},{"b":2}]})",
                                             R"({"a.b":2})",
                                             R"({"a-b":2})",
                                             R"({"a":null})",
                                             R"({})",
                                             "[1,2]",
                                             R"({"a":2} trailing)"};
  const auto row = GENERATE(values<Row>({
      {"{ $.a[1] = 2 }", "1 3"},
      {"{ $.a[*] = 2 }", "1 2 3 4 5"},
      {"{ $.a.* = 2 }", "1 2 3 4 5"},
      {"{ $.a[*].b = 2 }", "6"},
      {"{ $.['a.b'] = 2 }", "7"},
      {"{ $.a-b = 2 }", "8"},
      {"{ $.a IS NULL }", "3 9"},
      {"{ $.a = 9 || $.missing NOT EXISTS }", "1 2 3 4 5 6 7 8 9 10"},
      {"{ $.a[*] != 2 }", "6 9"},
  }));
  DYNAMIC_SECTION(row.pattern) {
    CHECK(matching(row.pattern, messages) == row.matched);
  }
  const std::vector<std::string> shapes = {R"({})",
                                           R"({"a":null})",
                                           R"({"a":2})",
                                           R"({"a":1})",
                                           R"({"a":"2"})",
                                           R"({"a":[]})",
                                           R"({"a":[1,2]})",
                                           R"({"a":[2,1]})",
                                           R"({"a":[1]})",
                                           R"({"a":[null,2]})",
                                           R"({"a":{}})",
                                           R"({"a":{"b":2}})",
                                           R"({"a":[{"b":1},{"b":2}]})",
                                           R"({"a":[{"b":null}]})",
                                           R"({"a":[[1,2]]})",
                                           R"({"a":[true,false]})",
                                           R"({"a":[[null]]})"};
  const auto shape = GENERATE(values<Row>({
      {"{ $.a IS NULL }", "2 10"},
      {"{ $.a = 2 }", "3 5"},
      {"{ $.a != 2 }", "4"},
      {"{ $.a[*] != 2 }", "2 3 4 5 6 9 11 13 14 15 16 17"},
      {"{ $.a[*] IS NULL }", "10"},
      {"{ $.a[*] NOT EXISTS }", "1 2 3 4 5 6 11"},
      {"{ $.a NOT EXISTS }", "1"},
      {"{ $.a.b = 2 }", "12"},
      {"{ $.a.b NOT EXISTS }", "1 2 3 4 5 6 7 8 9 10 11 13 14 15 16 17"},
      {"{ $.a = * }", "3 4 5"},
      {"{ $.a != %2% }", "4"},
      {"{ $.a = %1% || $.a = %2% }", "3 4 5"},
      {"{ $.a IS TRUE }", ""},
      {"{ $.a[*] IS TRUE }", "16"},
  }));
  DYNAMIC_SECTION("shapes: " << shape.pattern) {
    CHECK(matching(shape.pattern, shapes) == shape.matched);
  }
  CHECK(matching("{ $.a[*].b != 2 }", {R"({"a":true})", R"({"a":[true,false]})", R"({"a":[{"b":2},{"b":1}]})",
                                       R"({"a":[{}]})", R"({})"}) == "1 2 4");
  // Of a name that is there twice, the last one counts.
  CHECK(matching("{ $.a = 2 }", {R"({"a":1,"a":2})", R"({"a":2,"a":1})"}) == "1");
}

TEST_CASE("fields are split at blanks, quotes and brackets") {
  struct FieldRow {
    std::string_view pattern, message, fields;
  };
  const auto row = GENERATE(values<FieldRow>({
      {"[a, b, c]", "ERROR one two", "a=ERROR|b=one|c=two"},
      {"[a, b, c]", "ERROR one", ""},
      {"[a, b, c]", "a \"two words\" c", "a=a|b=two words|c=c"},
      {"[a, b, c]", "a  b   c ", "a=a|b=b|c=c"},
      {"[a, b, c]", "a\tb\tc", "a=a|b=b|c=c"},
      {"[a, b, c]", "a \"b\"c d", "a=a|b=b|c=c d"},
      {"[a, b, c]", "x \"y z q", "a=x|b=\"y|c=z q"},
      {"[a, rest]", "a \"two words\" c", "a=a|rest=\"two words\" c"},
      {"[a, rest]", "a [two words]", "a=a|rest=two words"},
      {"[a, rest]", "a  b   c ", "a=a|rest=b   c "},
      {"[a, rest]", "a [unclosed", "a=a|rest=[unclosed"},
      {"[a, rest]", "x  ", ""},
      {"[a, rest]", "x \"\"", "a=x|rest="},
      {"[a, rest]", "x [y] ", "a=x|rest=y"},
      {"[a]", "a  b   c ", "a=a  b   c "},
      {"[]", "a \"b\"c d", "1=a|2=b|3=c|4=d"},
      {"[..., last]", "ERROR", "last=ERROR"},
      {"[..., last]", "a [two words] c", "1=a|2=two words|last=c"},
      {"[first, ..., last]", "one", ""},
      {"[first, ..., last]", "a b c d", "first=a|2=b|3=c|last=d"},
      {"[first, ...]", "a b c", "first=a|2=b|3=c"},
      {"[, b,]", "a b c d", "1=a|b=b|3=c d"},
      {"[a,]", "a b", "a=a|2=b"},
      {"[level=ERROR, rest]", "ERROR one two", "level=ERROR|rest=one two"},
      {"[level=ERROR, rest]", "ERROR", ""},
      {"[level=ERROR, rest]", "WARN one", ""},
      {"[level=ERROR || level=WARN, rest]", "WARN one", "level=WARN|rest=one"},
      {"[level!=ERROR && level!=WARN, rest]", "WARN one", ""},
      {"[level!=ERROR && level!=WARN, rest]", "INFO one", "level=INFO|rest=one"},
      {"[a=1, rest]", "1.0 2", "a=1.0|rest=2"},
      {"[a=\"1\", rest]", "1.0 2", ""},
      {"[a=\"1\", rest]", "1 2", "a=1|rest=2"},
      {"[a=%ERR%, rest]", "xERROR one", "a=xERROR|rest=one"},
      {"[ip, user, ..., status=4*, bytes>1000]", "10.0.0.1 - x [1 Jan] \"GET /\" 404 1024",
       "ip=10.0.0.1|user=-|3=x|4=1 Jan|5=GET /|status=404|bytes=1024"},
      {"[ip, ..., status=4*, bytes>1000]", "10.0.0.1 404 1000", ""},
      {"[ip, request=*.html*, size<=1e3]", "x /index.html?a 1000", "ip=x|request=/index.html?a|size=1000"},
      {"[a=\"x, y]\", b]", "\"x, y]\" z", "a=x, y]|b=z"},
  }));
  DYNAMIC_SECTION(row.pattern << " on " << row.message) {
    CHECK(fields(row.pattern, row.message) == row.fields);
    CHECK(compiled(row.pattern).matches(row.message) == !row.fields.empty());
  }
}

TEST_CASE("what AWS refuses is refused in its words") {
  struct Refused {
    std::string_view pattern, sentence;
  };
  const auto row = GENERATE(values<Refused>({
      {"ERR*", "Invalid character(s) in term '*'"},
      {"ERROR!", "Invalid character(s) in term '!'"},
      {"ERROR:", "Invalid character(s) in term ':'"},
      {"a/b", "Invalid character(s) in term '/'"},
      {"ERROR %WARN%", "Invalid character(s) in term '%'"},
      {"?%WARN%", "Invalid character(s) in term '%'"},
      {"\"\"", "Invalid metric filter pattern"},
      {"\"open", "Invalid metric filter pattern"},
      {"\"a\"b", "Invalid metric filter pattern"},
      {"%(ab)+%", "Invalid character(s) in term '%('"},
      {"%\\(ab\\)%", "Invalid character(s) in term '%\\('"},
      {"%caf\xC3\xA9%", "Invalid character(s) in term '%caf\xC3\xA9'"},
      {"%!%", "Invalid character(s) in term '%!'"},
      {"%[a&&b]%", "Invalid character(s) in term '%[a&'"},
      {"%\\p%", "Failed to compile regular expression."},
      {"%[z-a]%", "Failed to compile regular expression."},
      {"%a++%", "Failed to compile regular expression."},
      {"%*a%", "Failed to compile regular expression."},
      {"%[a%", "Failed to compile regular expression."},
      {"%a{2,1}%", "Failed to compile regular expression."},
      {"%%", "Invalid character(s) in term '%%'"},
      {"%abc", "If a filter pattern starts with '%' it must end with '%'"},
      {"%", "If a filter pattern starts with '%' it must end with '%'"},
      {"%ERROR% %WARN%", "Invalid character(s) in term ' '"},
      {"{ $.a = 1 AND $.b = 2 }", "Invalid metric filter pattern"},
      {"{ $.a == 1 }", "Invalid metric filter pattern"},
      {"{ $.a = 1 } x", "If a filter pattern starts with '{' it must end with '}'"},
      {"{ $.a > \"0\" }", "Invalid character(s) in term '\"0\"'"},
      {"{ $['a.b'] = 2 }", "Invalid character(s) in term '$['"},
      {"{ $.[\"a.b\"] = 2 }", "Invalid character(s) in term '$.[\"'"},
      {"{ $[1] = 2 }", "Invalid character(s) in term '$['"},
      {"{ $ = 2 }", "Invalid character(s) in term '$ '"},
      {"{ $.a[-1] = 2 }", "Invalid character(s) in term '[-'"},
      {"{ $.a = a:b }", "Invalid character(s) in term ':'"},
      {"{ $.a = null }", "Invalid metric filter pattern"},
      {"{ $.a IS NOT NULL }", "Invalid character(s) in term 'NOT'"},
      {"{ $.a EXISTS }", "Invalid metric filter pattern"},
      {"{ $.a = 1e2147483648 }", "Invalid metric filter pattern"},
      {"{ ($.a = 1 }", "Invalid metric filter pattern"},
      {"{}", "Invalid metric filter pattern"},
      {"{ $.a[*].* = 2 }",
       "Your filter pattern has a JSON path selector that exceeds the maximum of 1 wildcard allowed per json "
       "selector."},
      {"{ $.a = %1% || $.a = %2% || $.a = %3% }",
       "Your input has exceeded the maximum of 2 regular expressions per filter pattern."},
      {"[a, ..., b, ...]", "Duplicate field '...'"},
      {"[a, a]", "Duplicate field 'a'"},
      {"[1a]", "Invalid character(s) in term '1a'"},
      {"[a == 1]", "Invalid metric filter pattern"},
      {"[a>\"1\", b]", "Invalid metric filter pattern"},
      {"[a=ERROR || b=one, b]", "Multiple variables used in a single filter. Var1 : a, Var2 : b"},
      {"[a", "If a filter pattern starts with '[' it must end with ']'"},
  }));
  DYNAMIC_SECTION(row.pattern) {
    CHECK(refusal(row.pattern) == row.sentence);
  }
}

TEST_CASE("a pattern has at most 1024 characters, however many bytes they are") {
  CHECK(LogPattern::compile(std::string(1024, 'a')).has_value());
  CHECK(refusal(std::string(1025, 'a')).ends_with("Member must have length less than or equal to 1024"));
  std::string accents;
  for (int i = 0; i < 1024; ++i) accents += "\xC3\xA9";
  CHECK(LogPattern::compile(accents).has_value());
  CHECK_FALSE(LogPattern::compile(accents + "e").has_value());
  CHECK_FALSE(LogPattern::compile("\xFF").has_value());
}

TEST_CASE("what is in every match may be looked for first") {
  const auto needles = [](std::string_view text) {
    const pattern::LogPattern pattern = compiled(text);
    return std::vector<std::string>(pattern.needles().begin(), pattern.needles().end());
  };
  CHECK(needles("ERROR timeouts -x") == std::vector<std::string>{"timeouts"});
  CHECK(needles("?ERROR ?WARN") == std::vector<std::string>{"ERROR", "WARN"});
  CHECK(needles("?a ?b ?c ?d").size() == 4);
  CHECK(needles("?a ?b ?c ?d ?e").empty());
  CHECK(needles("?a -b").empty());
  CHECK(needles("{ $.a = 1 }").empty());
}

TEST_CASE("hostile patterns and messages take time in proportion to the message") {
  const std::string row(1 << 20, 'a');
  std::string brackets;
  for (int i = 0; i < 1 << 19; ++i) brackets += "[ ";
  std::string json = R"({"x":)";
  for (int i = 0; i < 900; ++i) json += R"({"a":)";
  json += "1" + std::string(900, '}') + R"(,"y":")" + row + "\"}";
  std::string path = "{ $.x";
  for (int i = 0; i < 480; ++i) path += ".a";
  path += " = 1 }";
  const auto started = std::chrono::steady_clock::now();
  CHECK_FALSE(compiled("%a*a*a*a*a*a*a*a*a*a*b%").matches(row));
  CHECK_FALSE(compiled("%^" + std::string(400, 'a') + "{0,500}b$%").matches(row));
  CHECK_FALSE(compiled("{ $.y = a*a*a*a*a*a*ab }").matches(json));
  CHECK_FALSE(compiled("[a, ..., b=x]").matches(brackets));
  CHECK_FALSE(compiled("\"" + std::string(500, 'a') + "b\"").matches(row));
  CHECK_FALSE(compiled(path).matches(json));
  // Each is done in milliseconds; a quadratic one would take minutes.
  CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(10));
}

TEST_CASE("decimal numbers are compared as they are written") {
  const auto order = [](std::string_view a, std::string_view b) {
    const auto says = *Decimal::parse(a) <=> *Decimal::parse(b);
    return std::string(says < 0 ? "less" : says > 0 ? "greater" : "equal");
  };
  CHECK(order("1", "1.0") == "equal");
  CHECK(order("-1", "0.5") == "less");
  CHECK(order("-2", "-1") == "less");
  CHECK(order("-0", "0e5") == "equal");
  CHECK(order("12e-1", "1.2") == "equal");
  CHECK(order("0.00100", "1e-3") == "equal");
  CHECK(order("123456789012345678901", "123456789012345678900") == "greater");
  for (const char* none : {"", ".", "-", "e1", "1e", "1e+-1", "1x", "--1", "1e2147483648"})
    CHECK_FALSE(Decimal::parse(none).has_value());
  CHECK(java_text(1) == "1.0");
  CHECK(java_text(1e7) == "1.0E7");
  CHECK(java_text(1234567.5) == "1234567.5");
  CHECK(java_text(0.001) == "0.001");
  CHECK(java_text(-0.00012) == "-1.2E-4");
  CHECK(java_text(-0.0) == "-0.0");
}

}  // namespace weir::pattern
