// Source of every line: reference patterns.md (a), that is event-ruler 2.0.1 and recordings of TestEventPattern.
#include <catch2/catch.hpp>

#include "verdict.h"

namespace weir::pattern {
namespace {

struct Row {
  std::string_view pattern;
  std::string_view event;
  std::string_view answer;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    INFO(row.pattern << "  on  " << row.event);
    CHECK(verdict(row.pattern, row.event) == row.answer);
  }
}

TEST_CASE("all fields have to pass, and of a field's tests one") {
  check({
      {R"({"a":["x","y"],"b":[1]})", R"({"a":"y","b":1,"c":"ignored"})", "yes"},
      {R"({"a":["x","y"],"b":[1]})", R"({"a":"z","b":1})", "no"},
      {R"({"a":["x","y"],"b":[1]})", R"({"a":"x","b":2})", "no"},
      {R"({"a":["x"]})", R"({})", "no"},
      {R"({"a":{"b":["x"]}})", R"({"a":"{\"b\":\"x\"}"})", "no"},
      {R"({"prefix":["x"]})", R"({"prefix":"x"})", "yes"},
      {R"({"a":["x"]})", R"({"A":"x"})", "no"},
  });
}

TEST_CASE("a dot in a name is a step") {
  check({
      {R"({"a.b":[1]})", R"({"a":{"b":1}})", "yes"},
      {R"({"a":{"b":[1]}})", R"({"a.b":1})", "yes"},
      {R"({"a.b":{"c":[1]}})", R"({"a":{"b.c":1}})", "yes"},
      {R"({"a.b":[1]})", R"({"a":{"c":1}})", "no"},
      {R"({"\u0061":[1]})", R"({"\u0061":1})", "yes"},
  });
}

TEST_CASE("of a path that stands twice in a pattern the last counts; in an event both do") {
  check({
      {R"({"a":["x"],"a":["y"]})", R"({"a":"x"})", "no"},
      {R"({"a":["x"],"a":["y"]})", R"({"a":"y"})", "yes"},
      {R"({"d":{"a":[1]},"d":{"b":[2]}})", R"({"d":{"a":1,"b":2}})", "yes"},
      {R"({"d":{"a":[1]},"d":{"b":[2]}})", R"({"d":{"b":2}})", "no"},
      {R"({"a":[1],"a":{"b":[2]}})", R"({"a":[1,{"b":2}]})", "yes"},
      {R"({"a":{"b":[1]},"a.b":[2]})", R"({"a":{"b":2}})", "yes"},
      {R"({"a":["y"]})", R"({"a":"x","a":"y"})", "yes"},
      {R"({"a":["x"]})", R"({"a":"x","a":"y"})", "yes"},
  });
}

TEST_CASE("exact values match only themselves") {
  check({
      {R"({"a":["x"]})", R"({"a":"X"})", "no"},
      {R"({"a":["x "]})", R"({"a":"x"})", "no"},
      {R"({"a":["\u0078\n"]})", R"({"a":"x\u000a"})", "yes"},
      {R"({"a":[true]})", R"({"a":true})", "yes"},
      {R"({"a":[true]})", R"({"a":"true"})", "no"},
      {R"({"a":[true]})", R"({"a":1})", "no"},
      {R"({"a":[null]})", R"({"a":null})", "yes"},
      {R"({"a":[null]})", R"({"a":"null"})", "no"},
      {R"({"a":[null]})", R"({})", "no"},
      {R"({"a":[null]})", R"({"a":[]})", "no"},
      {R"({"a":[""]})", R"({"a":""})", "yes"},
      {R"({"a":[""]})", R"({"a":null})", "no"},
      {R"({"a":["300"]})", R"({"a":300})", "no"},
      {R"({"a":[300]})", R"({"a":"300"})", "no"},
      {R"({"a":[{"exactly":"x"}]})", R"({"a":"x"})", "yes"},
  });
}

TEST_CASE("numbers match by value, and those that no double is by their spelling") {
  check({
      {R"({"a":[300]})", R"({"a":300.0})", "yes"},
      {R"({"a":[3.0e2]})", R"({"a":300})", "yes"},
      {R"({"a":[-0]})", R"({"a":0.0})", "yes"},
      {R"({"a":[0.1]})", R"({"a":1e-1})", "yes"},
      {R"({"a":[123456789012]})", R"({"a":123456789012})", "yes"},
      {R"({"a":[9007199254740993]})", R"({"a":9007199254740993})", "yes"},
      {R"({"a":[9007199254740993]})", R"({"a":9007199254740992})", "no"},
      {R"({"a":[9007199254740993]})", R"({"a":9007199254740993.0})", "no"},
      {R"({"a":[1e400]})", R"({"a":1e400})", "yes"},
      {R"({"a":[1e400]})", R"({"a":1E400})", "no"},
      {R"({"a":[4.9e-324]})", R"({"a":0.49e-323})", "yes"},
  });
}

TEST_CASE("an address in a pattern is an address, however it is written") {
  check({
      {R"({"a":["2001:db8::1"]})", R"({"a":"2001:0DB8:0:0:0:0:0:1"})", "yes"},
      {R"({"a":["10.0.0.1"]})", R"({"a":"010.0.0.01"})", "yes"},
      {R"({"a":["10.0.0.1"]})", R"({"a":"10.0.0.2"})", "no"},
      {R"({"a":["10.0.0.256"]})", R"({"a":"10.0.0.256"})", "yes"},
      {R"({"a":[{"anything-but":"10.0.0.1"}]})", R"({"a":"010.0.0.01"})", "yes"},
  });
}

TEST_CASE("prefix and suffix, with and without letter case") {
  check({
      {R"({"a":[{"prefix":"ab"}]})", R"({"a":"abc"})", "yes"},
      {R"({"a":[{"prefix":"ab"}]})", R"({"a":"a"})", "no"},
      {R"({"a":[{"prefix":""}]})", R"({"a":""})", "yes"},
      {R"({"a":[{"prefix":""}]})", R"({"a":1})", "no"},
      {R"({"a":[{"prefix":{"equals-ignore-case":"AB"}}]})", R"({"a":"aBc"})", "yes"},
      {R"({"a":[{"suffix":"bc"}]})", R"({"a":"abc"})", "yes"},
      {R"({"a":[{"suffix":"bc"}]})", R"({"a":"bcd"})", "no"},
      {R"({"a":[{"suffix":""}]})", R"({"a":null})", "no"},
      {R"({"a":[{"suffix":{"equals-ignore-case":"TÉ"}}]})", R"({"a":"été"})", "yes"},
  });
}

TEST_CASE("equals-ignore-case folds letters one by one, beyond ASCII too") {
  check({
      {R"({"a":[{"equals-ignore-case":"aBc"}]})", R"({"a":"AbC"})", "yes"},
      {R"({"a":[{"equals-ignore-case":"ÉTÉ"}]})", R"({"a":"été"})", "yes"},
      {R"({"a":[{"equals-ignore-case":"abc"}]})", R"({"a":"abcd"})", "no"},
      {R"({"a":[{"equals-ignore-case":""}]})", R"({"a":""})", "yes"},
      {R"({"a":[{"equals-ignore-case":"straße"}]})", R"({"a":"STRASSE"})", "yes"},
      {R"({"a":[{"equals-ignore-case":"😀"}]})", R"({"a":"😀"})", "yes"},
      {R"({"a":[{"equals-ignore-case":"true"}]})", R"({"a":true})", "no"},
  });
}

TEST_CASE("wildcards") {
  check({
      {R"({"a":[{"wildcard":"a*c"}]})", R"({"a":"ac"})", "yes"},
      {R"({"a":[{"wildcard":"a*c"}]})", R"({"a":"a\nbbc"})", "yes"},
      {R"({"a":[{"wildcard":"a*c"}]})", R"({"a":"abcd"})", "no"},
      {R"({"a":[{"wildcard":"ab*b"}]})", R"({"a":"ab"})", "no"},
      {R"({"a":[{"wildcard":"*b*"}]})", R"({"a":"abc"})", "yes"},
      {R"({"a":[{"wildcard":"*"}]})", R"({"a":""})", "yes"},
      {R"({"a":[{"wildcard":"*"}]})", R"({"a":1})", "no"},
      {R"({"a":[{"wildcard":""}]})", R"({"a":""})", "yes"},
      {R"({"a":[{"wildcard":""}]})", R"({"a":"x"})", "no"},
      {R"({"a":[{"wildcard":"a\\*b"}]})", R"({"a":"a*b"})", "yes"},
      {R"({"a":[{"wildcard":"a\\*b"}]})", R"({"a":"axb"})", "no"},
      {R"({"a":[{"wildcard":"a\\\\b"}]})", R"({"a":"a\\b"})", "yes"},
  });
}

TEST_CASE("numeric tests: both sides of each bound") {
  check({
      {R"({"a":[{"numeric":["=",300]}]})", R"({"a":3.0e2})", "yes"},
      {R"({"a":[{"numeric":["=",300]}]})", R"({"a":"300"})", "no"},
      {R"({"a":[{"numeric":["<",5]}]})", R"({"a":5})", "no"},
      {R"({"a":[{"numeric":["<",5]}]})", R"({"a":4.999})", "yes"},
      {R"({"a":[{"numeric":["<=",5]}]})", R"({"a":5.0})", "yes"},
      {R"({"a":[{"numeric":[">",5]}]})", R"({"a":5})", "no"},
      {R"({"a":[{"numeric":[">=",5]}]})", R"({"a":5})", "yes"},
      {R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":0})", "no"},
      {R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":5})", "yes"},
      {R"({"a":[{"numeric":[">",0]}]})", R"({"a":0.1234567890123456789})", "no"},
      {R"({"a":[{"numeric":[">=",1.7976931348623157e308]}]})", R"({"a":1.7976931348623157e308})", "yes"},
      {R"({"a":[{"numeric":[">",0]}]})", R"({"a":true})", "no"},
  });
}

TEST_CASE("exists looks at leaves") {
  check({
      {R"({"a":[{"exists":true}]})", R"({"a":null})", "yes"},
      {R"({"a":[{"exists":true}]})", R"({"a":[1]})", "yes"},
      {R"({"a":[{"exists":true}]})", R"({"a":[]})", "no"},
      {R"({"a":[{"exists":true}]})", R"({"a":{"b":1}})", "no"},
      {R"({"a":[{"exists":false}]})", R"({"a":{"b":1}})", "yes"},
      {R"({"a":[{"exists":false}]})", R"({"a":""})", "no"},
      {R"({"a":{"b":[{"exists":false}]}})", R"({})", "yes"},
      {R"({"a":["x",{"exists":false}]})", R"({"a":"x"})", "yes"},
      {R"({"a":["x",{"exists":false}]})", R"({"b":1})", "yes"},
      {R"({"a":["x",{"exists":false}]})", R"({"a":"y"})", "no"},
      {R"({"a":[{"exists":true},{"exists":false}]})", R"({})", "yes"},
  });
}

TEST_CASE("exists in an array of objects, and the trap of the order of paths") {
  constexpr std::string_view kEvent = R"({"r":[{"k":"x"},{"k":"y","a":1,"z":1}]})";
  check({
      {R"({"r":{"k":["y"],"z":[{"exists":true}]}})", kEvent, "yes"},
      {R"({"r":{"k":["x"],"z":[{"exists":true}]}})", kEvent, "no"},
      {R"({"r":{"k":["x"],"z":[{"exists":false}]}})", kEvent, "yes"},
      {R"({"r":{"k":["y"],"z":[{"exists":false}]}})", kEvent, "no"},
      // "r.a" sorts before "r.k": no element is chosen yet, and one of them has an a.
      {R"({"r":{"a":[{"exists":false}],"k":["x"]}})", kEvent, "no"},
  });
}

TEST_CASE("anything-but passes on every scalar that is not excluded") {
  check({
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":"x"})", "no"},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":null})", "yes"},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":5})", "yes"},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":["x","y"]})", "yes"},
      {R"({"a":[{"anything-but":"x"}]})", R"({})", "no"},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":{}})", "no"},
      {R"({"a":[{"anything-but":1}]})", R"({"a":1.0})", "no"},
      {R"({"a":[{"anything-but":1}]})", R"({"a":"1"})", "yes"},
      {R"({"a":[{"anything-but":1}]})", R"({"a":0.1234567890123456789})", "yes"},
      {R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":"y"})", "no"},
      {R"({"a":[{"anything-but":"x"},{"anything-but":"y"}]})", R"({"a":"x"})", "yes"},
      {R"({"a":[{"anything-but":{"prefix":["a","b"]}}]})", R"({"a":"bc"})", "no"},
      {R"({"a":[{"anything-but":{"prefix":["a","b"]}}]})", R"({"a":"cb"})", "yes"},
      {R"({"a":[{"anything-but":{"suffix":"c"}}]})", R"({"a":"abc"})", "no"},
      {R"({"a":[{"anything-but":{"equals-ignore-case":["ÉTÉ"]}}]})", R"({"a":"été"})", "no"},
      {R"({"a":[{"anything-but":{"wildcard":"a*c"}}]})", R"({"a":"abc"})", "no"},
      {R"({"a":[{"anything-but":{"wildcard":"a*c"}}]})", R"({"a":false})", "yes"},
  });
}

TEST_CASE("cidr, with the quirks of comparing digits") {
  check({
      {R"({"a":[{"cidr":"10.0.0.77/24"}]})", R"({"a":"10.0.0.255"})", "yes"},
      {R"({"a":[{"cidr":"10.0.0.77/24"}]})", R"({"a":"10.0.1.0"})", "no"},
      {R"({"a":[{"cidr":"10.0.0.0/8"}]})", R"({"a":"0a00::1"})", "yes"},
      {R"({"a":[{"cidr":"10.0.0.0/8"}]})", R"({"a":"10.0.0.256"})", "no"},
      {R"({"a":[{"cidr":"10.0.0.0/8"}]})", R"({"a":"::ffff:10.0.0.1"})", "no"},
      {R"({"a":[{"cidr":"2001:db8::/32"}]})", R"({"a":"2001:DB8:ffff::"})", "yes"},
      {R"({"a":[{"cidr":"2001:db8::/32"}]})", R"({"a":"2001:db9::"})", "no"},
      {R"({"a":[{"cidr":"0.0.0.0/0"}]})", R"({"a":123456789012345678})", "no"},
  });
}

TEST_CASE("$or") {
  check({
      {R"({"a":[1],"$or":[{"b":[2]},{"c":[3]}]})", R"({"a":1,"c":3})", "yes"},
      {R"({"a":[1],"$or":[{"b":[2]},{"c":[3]}]})", R"({"a":1})", "no"},
      {R"({"a":[1],"$or":[{"b":[2]},{"c":[3]}]})", R"({"b":2})", "no"},
      {R"({"d":{"$or":[{"b":[2]},{"c":[3]}]}})", R"({"d":{"b":2}})", "yes"},
      {R"({"$or":[{"a":[1]},{"b":[2]}],"$or":[{"c":[3]},{"d":[4]}]})", R"({"a":1,"c":3})", "yes"},
      {R"({"$or":[{"a":[1]},{"b":[2]}],"$or":[{"c":[3]},{"d":[4]}]})", R"({"a":1,"b":2})", "no"},
      {R"({"a":[1],"$or":[{"a":[2]},{"b":[3]}]})", R"({"a":2})", "yes"},
      {R"({"a":[1],"$or":[{"a":[2]},{"b":[3]}]})", R"({"a":1,"b":3})", "yes"},
      {R"({"a":[1],"$or":[{"a":[2]},{"b":[3]}]})", R"({"a":1})", "no"},
  });
}

TEST_CASE("two fields are not taken from different elements of one array") {
  constexpr std::string_view kTwo =
      R"({"e":[{"f":"Anna","l":"Smith"},{"f":"John","l":"Jones"}],"o":[{"x":1},{"x":2}],"top":"t"})";
  check({
      {R"({"e":{"f":["Anna"],"l":["Smith"]}})", kTwo, "yes"},
      {R"({"e":{"f":["Anna"],"l":["Jones"]}})", kTwo, "no"},
      {R"({"e":{"f":["Anna"]},"o":{"x":[2]},"top":["t"]})", kTwo, "yes"},
      {R"({"a":{"b":[1],"c":[2]}})", R"({"a":[[{"b":1}],[{"c":2}]]})", "no"},
      {R"({"a":{"b":[1],"c":[2]}})", R"({"a":[[{"b":9}],[{"b":1,"c":2}]]})", "yes"},
      {R"({"a":{"b":{"x":[1]},"c":[2]}})", R"({"a":[{"b":[{"x":0},{"x":1}],"c":2}]})", "yes"},
      {R"({"a":["x"]})", R"({"a":[{"b":"x"},"x"]})", "yes"},
      {R"({"a":{"b":["x"]}})", R"({"a":[{"b":"x"},"x"]})", "yes"},
      {R"({"a":["x",[["y"]]]})", R"({"a":1})",
       "Event pattern is not valid. Reason: Match value must be String, number, "
       "true, false, or null\n at [Source: (String)\"{\"a\":[\"x\",[[\"y\"]]]}\"; "
       "line: 1, column: 12]"},
      {R"({"a":["y"]})", R"({"a":["x",[["y"]]]})", "yes"},
  });
}

TEST_CASE("an event is one well-formed JSON object, also where no pattern looks") {
  for (const std::string_view event :
       {"", "[]", "1", "{", R"({"z":})", R"({"z":[1,]})", R"({"z":"\x"})", "{\"z\":\"\xFF\"}", R"({"a":1} x)",
        R"({"z":01})", R"({"z":{"y" 1}})", "{\"z\":\"\n\"}"}) {
    INFO(event);
    CHECK(verdict(R"({"a":[1]})", event).starts_with("Parameter Event is not valid."));
  }
  const auto nested = [](std::size_t depth) {
    return R"({"z":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  CHECK(verdict(R"({"a":[1]})", nested(1000)) == "no");
  CHECK(verdict(R"({"a":[1]})", nested(1001)).starts_with("Parameter Event is not valid."));
  CHECK(verdict(R"({"z":[1]})", nested(1000)) == "no");
  CHECK(verdict(R"({"z":[1]})", nested(1001)).starts_with("Parameter Event is not valid."));
}

}  // namespace
}  // namespace weir::pattern
