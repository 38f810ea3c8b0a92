#include "http/sigv4.h"

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

using namespace weir;
using namespace std::chrono_literals;
using namespace weir::http;

namespace {

constexpr std::string_view kKeyId = "AKIDEXAMPLE";
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kLambda = "lambda.eu-west-1.amazonaws.com";

WallTime signing_time() {
  return *parse_iso("2015-08-30T12:36:00Z");
}

Credentials example_credentials() {
  Credentials credentials;
  credentials.access_key_id = kKeyId;
  credentials.secret_access_key = kSecret;
  return credentials;
}

Headers headers_of(const std::vector<std::pair<std::string, std::string>>& fields) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.add(name, value);
  return headers;
}

/// What stands behind "Credential=AKIDEXAMPLE/20150830/REGION/SERVICE/aws4_request, SignedHeaders=".
std::string names_and_signature(const Headers& headers) {
  const std::string text(headers.get("Authorization").value_or(""));
  const std::size_t names = text.find("SignedHeaders=");
  return names == std::string::npos ? text : text.substr(names + 14);
}

std::optional<std::string> secret_of(std::string_view key_id) {
  if (key_id != kKeyId) return std::nullopt;
  return std::string(kSecret);
}

/// A request to Lambda, signed as a client does.
Request signed_request() {
  Request request;
  request.method = "POST";
  request.target = "/2015-03-31/functions/billing/invocations?Qualifier=live";
  request.body = R"({"n":1})";
  Headers headers = headers_of({{"Content-Type", "application/json"}, {"X-Amz-Invocation-Type", "Event"}});
  SigningScope scope{"eu-west-1", "lambda", signing_time()};
  sign(request.method, kLambda, request.target, request.body, example_credentials(), scope, headers);
  request.headers.add("Host", kLambda);
  for (const auto& [name, value] : headers.all()) request.headers.add(name, value);
  return request;
}

Request with_header(const Request& request, std::string_view name, std::string_view value) {
  Request changed = request;
  changed.headers = Headers();
  for (const auto& [key, old] : request.headers.all()) {
    if (!same_word(key, name)) changed.headers.add(key, old);
  }
  if (!value.empty()) changed.headers.add(name, value);
  return changed;
}

/// "" when the signature is right, else "Type: message".
std::string verdict(const Request& request, WallTime now = signing_time()) {
  const auto refused = verify_signature(request, &secret_of, now);
  return refused ? refused->type + ": " + refused->message : "";
}

const std::string kMismatch =
    "InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check "
    "your AWS Secret Access Key and signing method. Consult the service documentation for details.";

}  // namespace

TEST_CASE("signatures are those of the AWS Signature Version 4 test suite") {
  struct Row {
    std::string name, method, target;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body, expected;
  };
  const auto row = GENERATE(values<Row>({
      {"get-vanilla",
       "GET",
       "/",
       {},
       "",
       "host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla",
       "POST",
       "/",
       {},
       "",
       "host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/?Param2=value2&Param1=value1",
       {},
       "",
       "host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-empty-query-key",
       "GET",
       "/?Param1=value1",
       {},
       "",
       "host;x-amz-date, Signature=a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-utf8",
       "GET",
       "/ሴ",
       {},
       "",
       "host;x-amz-date, Signature=8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-space",
       "GET",
       "/example space/",
       {},
       "",
       "host;x-amz-date, Signature=652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-slash-dot-slash",
       "GET",
       "/./",
       {},
       "",
       "host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-relative",
       "GET",
       "/example/..",
       {},
       "",
       "host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-header-value-trim",
       "GET",
       "/",
       {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
       "",
       "host;my-header1;my-header2;x-amz-date, "
       "Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-header-key-duplicate",
       "GET",
       "/",
       {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
       "",
       "host;my-header1;x-amz-date, Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       "Param1=value1",
       "content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
  }));
  DYNAMIC_SECTION(row.name) {
    Headers headers = headers_of(row.headers);
    sign(row.method, "example.amazonaws.com", row.target, row.body, example_credentials(),
         {"us-east-1", "service", signing_time()}, headers);
    CHECK(names_and_signature(headers) == row.expected);
    CHECK(headers.get("X-Amz-Date") == "20150830T123600Z");
  }
}

TEST_CASE("a call of Lambda is signed as botocore 1.43 signs it") {
  const SigningScope scope{"eu-west-1", "lambda", signing_time()};
  SECTION("an ARN in the path is encoded twice; what proxies change is not signed") {
    Headers headers = headers_of({{"Content-Type", "application/json"},
                                  {"X-Amz-Invocation-Type", "Event"},
                                  {"User-Agent", "weir"},
                                  {"X-Amzn-Trace-Id", "Root=1-2-3"}});
    sign("POST", kLambda,
         "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Abilling/"
         "invocations?Qualifier=live",
         R"({"n":1})", example_credentials(), scope, headers);
    CHECK(headers.get("Authorization") ==
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/lambda/aws4_request, "
          "SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type, "
          "Signature=20a8436a2bec8b2446ba3dda0ab32ce0f17df2159d5f1521445a773af89ab102");
  }
  SECTION("a session token is sent and signed") {
    Headers headers = headers_of({{"Content-Type", "application/json"}, {"X-Amz-Client-Context", "  a   b  "}});
    Credentials credentials = example_credentials();
    credentials.session_token = "AQoDYXdzEPT//TOKEN==";
    sign("POST", kLambda, "/2015-03-31/functions/f/invocations", "{}", credentials, scope, headers);
    CHECK(headers.get("X-Amz-Security-Token") == "AQoDYXdzEPT//TOKEN==");
    CHECK(names_and_signature(headers) ==
          "content-type;host;x-amz-client-context;x-amz-date;x-amz-security-token, "
          "Signature=290a8afa8d8b42d1e4b94c5a52990f26f75f1e0d9b6a25d7d0210db66c6e33bc");
  }
}

TEST_CASE("signing again replaces the earlier signature") {
  Headers headers;
  sign("GET", kLambda, "/", "", example_credentials(), {"eu-west-1", "lambda", signing_time()}, headers);
  const auto first = headers.all();
  sign("GET", kLambda, "/", "", example_credentials(), {"eu-west-1", "lambda", signing_time()}, headers);
  CHECK(headers.all() == first);
}

TEST_CASE("a secret may be longer than a block of the hash") {
  // Source: Python's hmac, with the steps of "Create a signed AWS API request".
  const auto signature = [](std::size_t length) {
    Credentials credentials = example_credentials();
    credentials.secret_access_key = std::string(length, 'x');
    Headers headers;
    sign("POST", kLambda, "/", "{}", credentials, {"eu-west-1", "lambda", signing_time()}, headers);
    const std::string text(headers.get("Authorization").value_or(""));
    return text.substr(text.rfind('=') + 1);
  };
  CHECK(signature(60) == "862c3251414311571fbd54884d8349de6a401683870ca1c971464938d9c0b434");
  CHECK(signature(61) == "5927fffa888d67086d86ef74fb15dcc25a08bfd8edf4cae0fa24fd5d8b618729");
}

TEST_CASE("a key that is kept for the next signature is of its secret, day, region and service alone") {
  // More of them than are kept, so that each is made again.
  const auto sign_all = [] {
    std::vector<std::string> signatures;
    for (const char* secret : {"one", "two"}) {
      for (const char* region : {"eu-west-1", "us-east-1"}) {
        for (const char* service : {"lambda", "sqs", "kinesis"}) {
          for (const auto age : {0h, 24h}) {
            Credentials credentials = example_credentials();
            credentials.secret_access_key = secret;
            Headers headers;
            const SigningScope scope{region, service, signing_time() + age};
            sign("POST", kLambda, "/", "{}", credentials, scope, headers);
            const std::string text(headers.get("Authorization").value_or(""));
            signatures.push_back(text.substr(text.rfind('=') + 1));
          }
        }
      }
    }
    return signatures;
  };
  const std::vector<std::string> signatures = sign_all();
  CHECK(sign_all() == signatures);
  CHECK(std::set<std::string>(signatures.begin(), signatures.end()).size() == 24);
}

TEST_CASE("a signed request is accepted, also when a proxy has added to it") {
  CHECK(verdict(signed_request()) == "");
  CHECK(verdict(with_header(signed_request(), "X-Forwarded-For", "1.2.3.4")) == "");
  CHECK(verdict(with_header(signed_request(), "X-Amzn-Trace-Id", "Root=1")) == "");
}

TEST_CASE("no part of a signed request can be changed by one byte") {
  const Request original = signed_request();
  int accepted = 0;
  const auto spoil = [&](std::string text, std::size_t at, const std::function<Request(std::string)>& put) {
    for (const char other : {'!', 'a', 'Z', '0', '\xff'}) {
      if (text[at] == other) continue;
      std::string changed = text;
      changed[at] = other;
      if (verdict(put(std::move(changed))).empty()) {
        ++accepted;
        UNSCOPED_INFO(text << " at " << at);
      }
    }
  };
  const auto spoil_all = [&](const std::string& text, const std::function<Request(std::string)>& put) {
    for (std::size_t at = 0; at < text.size(); ++at) spoil(text, at, put);
  };
  const auto with = [&](std::string Request::*part) {
    return [&original, part](std::string changed) {
      Request request = original;
      request.*part = std::move(changed);
      return request;
    };
  };
  spoil_all(original.method, with(&Request::method));
  spoil_all(original.target, with(&Request::target));
  spoil_all(original.body, with(&Request::body));
  for (const auto& [name, value] : original.headers.all()) {
    spoil_all(value, [&original, key = name](std::string changed) { return with_header(original, key, changed); });
    CHECK_FALSE(verdict(with_header(original, name, "")).empty());
  }
  CHECK(accepted == 0);
  CHECK(verdict(with_header(original, "X-Amz-Log-Type", "Tail")) ==
        "InvalidSignatureException: 'x-amz-log-type' must be a 'SignedHeader' in the AWS Authorization.");
}

TEST_CASE("a refusal says what AWS says") {
  const Request good = signed_request();
  const std::string authorization(good.headers.get("Authorization").value());
  const auto replaced = [&](std::string_view what, std::string_view by) {
    std::string text = authorization;
    text.replace(text.find(what), what.size(), by);
    return with_header(good, "Authorization", text);
  };
  CHECK(verdict(with_header(good, "Authorization", "")) ==
        "MissingAuthenticationTokenException: Missing Authentication Token");
  CHECK(verdict(replaced("AKIDEXAMPLE", "AKIDOTHER")) ==
        "UnrecognizedClientException: The security token included in the request is invalid.");
  CHECK(verdict(replaced("Signature=", "Signature=0")) == kMismatch);
  CHECK(verdict(replaced("host;", "")) ==
        "InvalidSignatureException: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  CHECK(verdict(replaced("aws4_request", "aws5")) ==
        "InvalidSignatureException: Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.");
  CHECK(verdict(replaced("20150830", "20150831")) ==
        "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
        "from HTTP: '20150831' != '20150830', from '20150830T123600Z'.");
  CHECK(verdict(replaced("/eu-west-1", ""))
            .find("IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements") == 0);
  CHECK(verdict(with_header(good, "Authorization", "Bearer x")) ==
        "IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization header "
        "requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.");
  CHECK(verdict(with_header(good, "X-Amz-Date", "")) ==
        "IncompleteSignatureException: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
        "header.");
  CHECK(verdict(with_header(good, "X-Amz-Date", "yesterday")) ==
        "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got 'yesterday'. See "
        "http://en.wikipedia.org/wiki/ISO_8601");
}

TEST_CASE("a signature is good for 5 minutes, before and after") {
  const Request good = signed_request();
  CHECK(verdict(good, signing_time() + 5min) == "");
  CHECK(verdict(good, signing_time() - 5min) == "");
  CHECK(verdict(good, signing_time() + 9min) ==
        "InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T124000Z "
        "(20150830T124500Z - 5 min.)");
  CHECK(verdict(good, signing_time() - 6min) ==
        "InvalidSignatureException: Signature not yet current: 20150830T123600Z is still later than "
        "20150830T123500Z (20150830T123000Z + 5 min.)");
  CHECK(verdict(good, signing_time() + 5min + 1s) != "");
  CHECK(verdict(good, signing_time() - 5min - 1s) != "");
}

TEST_CASE("a hash of the body that comes with the request is right, or says that there is none") {
  const auto request = [](std::string_view hash) {
    Request made;
    made.method = "PUT";
    made.target = "/";
    Headers headers = headers_of({{"X-Amz-Content-Sha256", std::string(hash)}});
    sign("PUT", kLambda, "/", "", example_credentials(), {"eu-west-1", "lambda", signing_time()}, headers);
    made.headers = headers;
    made.headers.add("Host", kLambda);
    return made;
  };
  CHECK(verdict(request("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")) == "");
  CHECK(verdict(request("UNSIGNED-PAYLOAD")) == "");
  CHECK(verdict(request("f3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")) ==
        "InvalidSignatureException: The provided 'x-amz-content-sha256' header does not match what was computed.");
}

TEST_CASE("a presigned query is checked as botocore's SigV4QueryAuth makes it") {
  Request request;
  request.method = "GET";
  request.headers.add("Host", kLambda);
  const std::string good =
      "/2015-03-31/functions/f?a=b%20c&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-"
      "west-1%2Flambda%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
      "&X-Amz-Signature=b3ba05f27743eed02304f45c3c49e838a61b53d0abd971ebbfbecea231c48851";
  const auto said = [&](std::string_view what, std::string_view by, Duration later = {}) {
    request.target = good;
    request.target.replace(good.find(what), what.size(), by);
    return verdict(request, signing_time() + later);
  };
  CHECK(said("", "") == "");
  CHECK(said("", "", 600s) == "");
  CHECK(said("", "", 601s) ==
        "InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
        "(20150830T124601Z - 600 sec.)");
  CHECK(said("a=b", "a=c") == kMismatch);
  CHECK(said("Expires=600", "Expires=601") == kMismatch);
  CHECK(said("Signature=b3", "Signature=b4") == kMismatch);
  CHECK(said("Expires=600", "Expires=604801").find("IncompleteSignatureException: X-Amz-Expires must be less") == 0);
  CHECK(said("Expires=600", "Expires=-1") == "IncompleteSignatureException: X-Amz-Expires must be non-negative");
  CHECK(said("&X-Amz-Date=20150830T123600Z", "") ==
        "IncompleteSignatureException: AWS query-string parameters must include 'X-Amz-Date'.");
}

TEST_CASE("rubbish is refused and harms nothing") {
  Random random(7);
  const std::string_view alphabet = "=,;/&%?XAmzZ-HMAC4 \t0123456789abcdef\xff";
  const auto rubbish = [&] {
    std::string text;
    const auto size = random.below(60);
    for (std::uint64_t i = 0; i < size; ++i) text += alphabet[random.below(alphabet.size())];
    return text;
  };
  const Request good = signed_request();
  const std::string authorization(good.headers.get("Authorization").value());
  int accepted = 0;
  for (int i = 0; i < 5000; ++i) {
    Request request = with_header(good, "Authorization", "AWS4-HMAC-SHA256 " + rubbish());
    if (random.below(2) == 0) {
      std::string text = authorization;
      text.replace(random.below(text.size()), random.below(20), rubbish());
      if (text == authorization) continue;
      request = with_header(good, "Authorization", text);
    }
    if (random.below(3) == 0) {
      request = Request();
      request.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&" + rubbish();
      request.headers.add("X-Amz-Date", rubbish());
      request.headers.add("Authorization", rubbish());
    }
    if (verdict(request).empty()) ++accepted;
  }
  CHECK(accepted == 0);
}
