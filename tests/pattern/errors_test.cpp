// Source: the table of errors in reference patterns.md (a); places as event-ruler 2.0.1 gives them.
#include <catch2/catch.hpp>

#include "verdict.h"

namespace weir::pattern {
namespace {

TEST_CASE("each mistake has AWS's sentence") {
  struct Row {
    std::string_view pattern;
    std::string_view reason;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"("x")", "Filter is not an object"},
           {"", "Filter is not an object"},
           {R"({})", "Empty objects are not allowed"},
           {R"({"a":{}})", "Empty objects are not allowed"},
           {R"({"a":[]})", "Empty arrays are not allowed"},
           {R"({"a":"x"})", "\"a\" must be an object or an array"},
           {R"({"a":[[1]]})", "Match value must be String, number, true, false, or null"},
           {R"({"a":[{}]})", "Match expression name not found"},
           {R"({"a":[{"EXISTS":true}]})", "Unrecognized match type EXISTS"},
           {R"({"a":[{"prefix":"x","suffix":"y"}]})", "Only one key allowed in match expression"},
           {R"({"a":[{"prefix":1}]})", "prefix match pattern must be a string"},
           {R"({"a":[{"cidr":1}]})", "prefix match pattern must be a string"},
           {R"({"a":[{"suffix":1}]})", "suffix match pattern must be a string"},
           {R"({"a":[{"equals-ignore-case":["x"]}]})", "equals-ignore-case match pattern must be a string"},
           {R"({"a":[{"wildcard":1}]})", "wildcard match pattern must be a string"},
           {R"({"a":[{"exactly":1}]})", "exact match pattern must be a string"},
           {R"({"a":[{"prefix":{"suffix":"x"}}]})", "Unsupported prefix pattern: suffix"},
           {R"({"a":[{"suffix":{"prefix":"x"}}]})", "Unsupported suffix pattern: prefix"},
           {R"({"a":[{"exists":"true"}]})", "exists match pattern must be either true or false."},
           {R"({"a":[{"numeric":5}]})", "Value of numeric must be an array."},
           {R"({"a":[{"numeric":[5]}]})", "Invalid member in numeric match: 5"},
           {R"({"a":[{"numeric":[]}]})", "Invalid member in numeric match: ]"},
           {R"({"a":[{"numeric":["!=",5]}]})", "Unrecognized numeric range operator: !="},
           {R"({"a":[{"numeric":["=","5"]}]})", "Value of equals must be numeric"},
           {R"({"a":[{"numeric":[">","5"]}]})", "Value of > must be numeric"},
           {R"({"a":[{"numeric":[">",1,"<"]}]})", "Value of < must be numeric"},
           {R"({"a":[{"numeric":[">",1,">",2]}]})", "Bad numeric range operator: >"},
           {R"({"a":[{"numeric":[">",1,2]}]})", "Bad value in numeric range: 2"},
           {R"({"a":[{"numeric":["<",1,">",0]}]})", "Too many elements in numeric expression"},
           {R"({"a":[{"numeric":["=",1,2]}]})", "Too many elements in numeric expression"},
           {R"({"a":[{"numeric":["=",1],"x":1}]})", "Too many elements in numeric expression"},
           {R"({"a":[{"numeric":[">",1,"<",2,"<",3]}]})", "Too many terms in numeric range expression"},
           {R"({"a":[{"numeric":[">=",1,"<=",1]}]})", "Bottom must be less than top"},
           {R"({"a":[{"numeric":["=",123456789012345678]}]})", "Cannot compare number : 123456789012345678"},
           {R"({"a":[{"numeric":["=",1e400]}]})", "Cannot compare number : 1e400"},
           {R"({"a":[{"anything-but":null}]})",
            "Value of anything-but must be an array or single string/number value."},
           {R"({"a":[{"anything-but":[null]}]})", "Inside anything but list, start|null|boolean is not supported."},
           {R"({"a":[{"anything-but":["x",1]}]})",
            "Inside anything but list, either all values are number or string, mixed type is not supported"},
           {R"({"a":[{"anything-but":[]}]})",
            "Inside anything but list, either all values are number or string, mixed type is not supported"},
           {R"({"a":[{"anything-but":{"numeric":["=",1]}}]})", "Unsupported anything-but pattern: numeric"},
           {R"({"a":[{"anything-but":{"prefix":[1]}}]})", "prefix/suffix match pattern must be a string"},
           {R"({"a":[{"anything-but":{"prefix":""}}]})", "Null prefix/suffix not allowed"},
           {R"({"a":[{"anything-but":{"suffix":[""]}}]})", "Null prefix/suffix not allowed"},
           {R"({"a":[{"anything-but":{"equals-ignore-case":[1]}}]})",
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."},
           {R"({"a":[{"anything-but":{"wildcard":[1]}}]})", "wildcard match pattern must be a string"},
           {R"({"a":[{"anything-but":{"wildcard":""}}]})", ""},
           {R"({"a":[{"anything-but":{"equals-ignore-case":""}}]})", ""},
           {R"({"a":[{"wildcard":"abc**def"}]})", "Consecutive wildcard characters at pos 4"},
           {R"({"a":[{"wildcard":"a\\*"}]})", ""},
           {R"({"a":[{"wildcard":"\\**"}]})", ""},
           {R"({"a":[{"wildcard":"a\\x"}]})", "Invalid escape character at pos 2"},
           {R"({"a":[{"wildcard":"a\\"}]})", "Invalid escape character at pos 2"},
           {R"({"a":[{"cidr":"10.0.0.0"}]})", "Malformed CIDR, one '/' required"},
           {R"({"a":[{"cidr":"10.0.0.0/x"}]})", "Malformed CIDR, mask bits must be an integer"},
           {R"({"a":[{"cidr":"10.0.0.0/-1"}]})", "Malformed CIDR, mask bits must not be negative"},
           {R"({"a":[{"cidr":"10.0.0.0/31"}]})", ""},
           {R"({"a":[{"cidr":"10.0.0.0/32"}]})", "IPv4 mask bits must be < 32"},
           {R"({"a":[{"cidr":"2001:db8::/127"}]})", ""},
           {R"({"a":[{"cidr":"2001:db8::/128"}]})", "IPv6 mask bits must be < 128"},
           {R"({"a":[{"cidr":"host/8"}]})", "Nonstandard IP address: host"},
           {R"({"a":[{"cidr":"1:2/8"}]})", "Invalid IP address: 1:2"},
           {R"({"$or":[{"a":[1]}]})", "There must have at least 2 Objects in $or relationship."},
           {R"({"$or":[]})", "There must have at least 2 Objects in $or relationship."},
           {R"({"$or":[{"a":[1]},1]})", "Only JSON object is allowed in array of $or relationship."},
           {R"({"$or":{"a":[1]}})", "It must be an Array followed with $or."},
           {R"({"$or":[{"a":[1]},{}]})", "Empty objects are not allowed"},
           {R"({"$or":[{"a":[1]},{"b":{"numeric":[1]}}]})",
            "numeric is Ruler reserved fieldName which cannot be used inside $or."},
           {R"({"$or":[{"a":[1]},{"in-date-range":[1]}]})",
            "in-date-range is Ruler reserved fieldName which cannot be used inside $or."},
           {"this is not",
            "Unrecognized token 'this': was expecting (JSON String, Number, Array, Object or token 'null', "
            "'true' or 'false')"},
           {"{'a':[1]}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name"},
       }) {
    INFO(row.pattern);
    CHECK(reason(row.pattern) == row.reason);
  }
}

TEST_CASE("a sentence begins with AWS's, and ends with the place where the reader stood") {
  CHECK(verdict(R"({"a":"x"})", "{}") ==
        "Event pattern is not valid. Reason: \"a\" must be an object or an array\n at [Source: "
        "(String)\"{\"a\":\"x\"}\"; "
        "line: 1, column: 7]");
  CHECK(verdict("{\n \"é\":\r\n5}", "{}") ==
        "Event pattern is not valid. Reason: \"é\" must be an object or an array\n at [Source: (String)\"{\n "
        "\"é\":\r\n5}\"; "
        "line: 3, column: 2]");
  // Of a list AWS complains twice over.
  CHECK(verdict(R"({"a":[{"anything-but":[null]}]})", "{}").find("column: 28]\n at [Source: ") != std::string::npos);
  // These have no place.
  CHECK(verdict(R"({"a":[{"cidr":"1"}]})", "{}") ==
        "Event pattern is not valid. Reason: Malformed CIDR, one '/' required");
}

}  // namespace
}  // namespace weir::pattern
