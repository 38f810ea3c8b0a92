#include "http/uri.h"

#include <catch2/catch.hpp>

using namespace weir::http;

TEST_CASE("everything but the unreserved characters is percent-encoded") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a/b c+d%") == "a%2Fb%20c%2Bd%25");
  CHECK(percent_encode("ü") == "%C3%BC");
  CHECK(percent_encode("arn:aws:lambda:eu-west-1:1:function:f:live") ==
        "arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Af%3Alive");
  CHECK(percent_encode_path("/a b/c:d") == "/a%20b/c%3Ad");
  CHECK(percent_encode("").empty());
}

TEST_CASE("decoding undoes encoding, for every byte") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(percent_decode("%c3%BC") == "ü");
}

TEST_CASE("a percent sign without two hex digits is refused") {
  for (const char* wrong : {"%", "a%2", "%2", "%zz", "%2g", "%%20", "% 20", "%-1"}) {
    INFO(wrong);
    CHECK_FALSE(percent_decode(wrong).has_value());
    CHECK_FALSE(parse_query(wrong).has_value());
  }
}

TEST_CASE("a plus sign is a space only where it is said") {
  CHECK(percent_decode("a+b%2B") == "a+b+");
  CHECK(percent_decode("a+b%2B", Plus::kSpace) == "a b+");
}

TEST_CASE("a query is taken apart in its order") {
  CHECK(parse_query("b=1&a=%3D&&c&=x&b=2=3") ==
        QueryFields{{"b", "1"}, {"a", "="}, {"c", ""}, {"", "x"}, {"b", "2=3"}});
  CHECK(parse_query("") == QueryFields{});
}

TEST_CASE("what may be secret in a URL is not shown") {
  CHECK(without_secrets("https://user:pw@host:1/a/b@c?token=1#x") == "https://host:1/a/b@c");
  CHECK(without_secrets("http://host?token=1") == "http://host");
  CHECK(without_secrets("http://a@b:c@host/") == "http://host/");
  CHECK(without_secrets("host/a") == "host/a");
  CHECK(without_secrets("").empty());
}

TEST_CASE("a URL is taken apart as a connection and a signature need it") {
  struct Row {
    std::string_view url, host, target, name;
    int port;
  };
  const auto row = GENERATE(values<Row>({
      {"https://lambda.eu-west-1.amazonaws.com", "lambda.eu-west-1.amazonaws.com", "/",
       "lambda.eu-west-1.amazonaws.com", 443},
      {"HTTPS://h:443/a?b=c#d", "h", "/a?b=c", "h", 443},
      {"http://h:80", "h", "/", "h", 80},
      {"http://h:", "h", "/", "h", 80},
      {"http://h:443/", "h:443", "/", "h", 443},
      {"http://h:65535/", "h:65535", "/", "h", 65535},
      {"http://user:word@h:4566/x", "h:4566", "/x", "h", 4566},
      {"http://[::1]:9/x", "[::1]:9", "/x", "::1", 9},
      {"http://[fd00:ec2::254]", "[fd00:ec2::254]", "/", "fd00:ec2::254", 80},
      {"http://h?q", "h", "/?q", "h", 80},
      {"http://h/a/../b%2Fc", "h", "/a/../b%2Fc", "h", 80},
  }));
  const auto parts = split_url(row.url);
  REQUIRE(parts.has_value());
  CHECK(parts->host == row.host);
  CHECK(parts->target == row.target);
  CHECK(parts->name == row.name);
  CHECK(parts->port == row.port);
  CHECK(parts->user_info == (row.port == 4566 ? "user:word" : ""));
  for (const char* wrong :
       {"", "h", "ftp://h", "http://", "http:///x", "http://[::1", "http://[::1]x", "http://h:65536/", "http://h:x/",
        "http://h:-1/", "http://h/a b", "http://h/a\r\nb", "http://h\x7f/"})
    CHECK_FALSE(split_url(wrong).has_value());
}
