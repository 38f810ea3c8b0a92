// What calls of AWS's services come to: signatures, errors of each protocol, credentials that end, streams.
#include "aws/client.h"

#include <chrono>
#include <functional>
#include <map>
#include <span>
#include <variant>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "aws/clock_skew.h"
#include "aws/environment.h"
#include "http/server.h"
#include "http/sigv4.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::aws;
using namespace std::chrono_literals;
namespace net = boost::asio;

namespace {

/// "404 ResourceNotFoundException: no such" of an answer.
std::string told(int status, const std::string& body,
                 const std::vector<std::pair<std::string, std::string>>& headers = {}) {
  http::Response response(status, "text/plain", body);
  for (const auto& [name, value] : headers) response.headers.add(name, value);
  const ServiceError error = read_service_error(response);
  std::string text = std::to_string(error.status) + " " + error.code + ": " + error.message;
  if (error.retry_after) text += " after " + std::to_string(error.retry_after->count() / 1'000'000'000) + " s";
  return text;
}

/// How often the time was corrected, and by what.
class Corrections final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    if (event != "clock.corrected") return;
    for (const LogField& field : fields) {
      if (field.key == "seconds") seconds.push_back(std::get<std::int64_t>(field.value));
    }
  }
  std::vector<std::int64_t> seconds;
};

struct World {
  World() {
    variables["HOME"] = folder.path();
    variables["AWS_EC2_METADATA_DISABLED"] = "true";
    variables["AWS_ACCESS_KEY_ID"] = "AKID";
    variables["AWS_SECRET_ACCESS_KEY"] = "secret-of-AKID";
    auto made = http::Server::listen(
        context.get_executor(), "127.0.0.1:0",
        [this](http::Request request) -> net::awaitable<http::Response> {
          requests.push_back(request);
          if (on_request) on_request();
          while (requests.size() < together) co_await net::post(context, net::use_awaitable);
          if (const auto refusal = http::verify_signature(
                  request, [](std::string_view id) { return "secret-of-" + std::string(id); },
                  clock.now().wall + ahead)) {
            http::Response refused(403, "application/json", "{\"__type\":\"" + refusal->type + "\"}");
            if (!date.empty()) refused.headers.add("Date", date);
            co_return refused;
          }
          http::Response answer = answers.empty() ? http::Response(200, "application/json", "{}") : answers.front();
          if (!answers.empty()) answers.erase(answers.begin());
          co_return answer;
        },
        http::ServerOptions());
    REQUIRE(made.has_value());
    server = std::move(*made);
  }

  std::unique_ptr<Client> client(const std::string& service, const std::string& signing = "") {
    ClientSettings settings;
    settings.name = "clicks";
    settings.service = service;
    settings.signing = signing;
    settings.access.region = "eu-west-1";
    settings.access.endpoint_url = "http://" + server->address();
    settings.environment = test::environment_of(variables);
    auto made = Client::make(context.get_executor(), blocking.get_executor(), settings, log, clock);
    REQUIRE(made.has_value());
    return std::move(*made);
  }

  net::awaitable<void> called(Client& asked, ServiceResult<std::string>& result) {
    result = co_await asked.call("Kinesis_20131202.ListShards", "1.1", "{\"a\":1}");
    co_await asked.close();
    co_await server->close();
  }

  /// Two calls after each other, and whether each succeeded.
  net::awaitable<void> called_twice(Client& asked, std::vector<bool>& results) {
    for (int i = 0; i < 2; ++i) {
      const auto answer = co_await asked.call("Kinesis_20131202.ListShards", "1.1", "{}");
      results.push_back(answer.has_value());
    }
    co_await asked.close();
    co_await server->close();
  }

  net::awaitable<void> one_call(Client& asked, std::vector<bool>& results) {
    const auto answer = co_await asked.call("Kinesis_20131202.ListShards", "1.1", "{}");
    results.push_back(answer.has_value());
  }
  /// Two calls at the same time.
  net::awaitable<void> called_together(Client& asked, std::vector<bool>& results) {
    net::co_spawn(context, one_call(asked, results), net::detached);
    co_await one_call(asked, results);
    while (results.size() < 2) co_await net::post(context, net::use_awaitable);
    co_await asked.close();
    co_await server->close();
  }

  net::awaitable<void> opened(Client& asked, std::string& result) {
    ServiceRequest request;
    request.headers.add("Content-Type", "application/json");
    auto stream = co_await asked.open(std::move(request));
    if (!stream) {
      result = "error " + stream.error().code;
    } else {
      for (;;) {
        const auto more = co_await (*stream)->read();
        if (!more || more->empty()) break;
        result += *more;
      }
      stream->reset();
    }
    co_await asked.close();
    co_await server->close();
  }

  net::io_context context{1};
  net::thread_pool blocking{1};
  test::FakeClock clock;
  test::TemporaryFolder folder;
  std::map<std::string, std::string> variables;
  std::vector<http::Request> requests;
  std::vector<http::Response> answers;
  Duration ahead{0};         ///< the server's clock, of this one
  std::size_t together = 0;  ///< no request is answered before so many have come
  std::string date;          ///< what it says of a refused signature; "": nothing
  Corrections log;
  std::function<void()> on_request;
  std::unique_ptr<http::Server> server;
};

}  // namespace

TEST_CASE("errors of each protocol say the same") {
  CHECK(told(400, R"({"__type":"com.amazonaws.kinesis#ResourceNotFoundException","message":"no such"})") ==
        "400 ResourceNotFoundException: no such");
  CHECK(told(400, R"({"__type":"ExpiredIteratorException","Message":"old"})") == "400 ExpiredIteratorException: old");
  CHECK(told(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"})",
             {{"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}}) ==
        "400 AWS.SimpleQueueService.NonExistentQueue: none");
  CHECK(told(429, R"({"message":"slow"})",
             {{"x-amzn-ErrorType", "TooManyRequestsException:http://internal/"}, {"Retry-After", "3"}}) ==
        "429 TooManyRequestsException: slow after 3 s");
  CHECK(told(404, "<Error><Code>NoSuchBucket</Code><Message>a &amp; b</Message></Error>") == "404 NoSuchBucket: a & b");
  CHECK(told(502, "<html>Bad Gateway</html>") == "502 : ");
  CHECK(told(500, "") == "500 : ");
}

TEST_CASE("what helps to try again, and what a source's error it is") {
  struct Row {
    int status;
    std::string code;
    bool transient;
    ErrorCode source;
  };
  const Row row = GENERATE(values<Row>({
      {0, "RequestFailed", true, ErrorCode::kSourceUnreachable},
      {0, "CredentialsProviderError", true, ErrorCode::kSourceRefused},
      {0, "cancelled", false, ErrorCode::kCancelled},
      {400, "ProvisionedThroughputExceededException", true, ErrorCode::kSourceFailed},
      {400, "ResourceNotFoundException", false, ErrorCode::kSourceNotFound},
      {400, "AWS.SimpleQueueService.NonExistentQueue", false, ErrorCode::kSourceNotFound},
      {404, "", false, ErrorCode::kSourceNotFound},
      {400, "AccessDeniedException", false, ErrorCode::kSourceRefused},
      {403, "", false, ErrorCode::kSourceRefused},
      {400, "InvalidArgumentException", false, ErrorCode::kSourceFailed},
      {429, "", true, ErrorCode::kSourceFailed},
      {403, "AccessDenied", false, ErrorCode::kSourceRefused},
      {400, "KMS.AccessDeniedException", false, ErrorCode::kSourceRefused},
      {400, "KmsAccessDenied", false, ErrorCode::kSourceRefused},
      {400, "RequestTimeout", true, ErrorCode::kSourceFailed},
      {400, "RequestTimeoutException", true, ErrorCode::kSourceFailed},
      {499, "", false, ErrorCode::kSourceFailed},
      {500, "InternalFailure", true, ErrorCode::kSourceFailed},
  }));
  ServiceError error;
  error.status = row.status;
  error.code = row.code;
  CAPTURE(row.status, row.code);
  CHECK(error.is_transient() == row.transient);
  CHECK(error.as_source_error("reading").code() == row.source);
}

// botocore's retries/standard.py, and what Kinesis, SQS and SNS have beside it.
TEST_CASE("a throttle is known by its code, whatever its status is") {
  const std::string code = GENERATE(
      values<std::string>({"Throttling",       "ThrottlingException",      "ThrottledException",
                           "SlowDown",         "TooManyRequestsException", "RequestThrottledException",
                           "RequestThrottled", "RequestLimitExceeded",     "ProvisionedThroughputExceededException",
                           "OverLimit",        "BandwidthLimitExceeded",   "TransactionInProgressException",
                           "KmsThrottled",     "LimitExceededException",   "PriorRequestNotComplete",
                           "KMSThrottling",    "KMSThrottlingException",   "EC2ThrottledException",
                           "Throttled",        "KMS.ThrottlingException",  "AWS.SimpleQueueService.OverLimit"}));
  // SQS answers RequestThrottled with 403.
  const int status = GENERATE(400, 403, 429, 503);
  ServiceError error;
  error.status = status;
  error.code = code;
  CAPTURE(status, code);
  CHECK(error.is_throttle());
  CHECK(error.is_transient());
  CHECK(error.as_source_error("reading").code() == ErrorCode::kSourceFailed);
}

TEST_CASE("a call of a JSON protocol is signed as its service, and gives the body") {
  World world;
  const auto client = world.client("streams.dynamodb", "dynamodb");
  ServiceResult<std::string> result = std::string();
  world.answers = {http::Response(200, "application/x-amz-json-1.1", "{\"Shards\":[]}")};
  test::run(world.context, world.called(*client, result));
  REQUIRE(result.has_value());
  CHECK(*result == "{\"Shards\":[]}");
  REQUIRE(world.requests.size() == 1);
  const http::Request& request = world.requests[0];
  CHECK(request.method == "POST");
  CHECK(request.target == "/");
  CHECK(request.body == "{\"a\":1}");
  CHECK(request.headers.get("X-Amz-Target") == "Kinesis_20131202.ListShards");
  CHECK(request.headers.get("Content-Type") == "application/x-amz-json-1.1");
  CHECK(request.headers.get("Authorization")->find("/eu-west-1/dynamodb/aws4_request") != std::string_view::npos);
}

TEST_CASE("credentials that were refused as ended are fetched again, and others tried once") {
  World world;
  const bool fresh = GENERATE(true, false);
  world.variables.erase("AWS_ACCESS_KEY_ID");
  world.variables.erase("AWS_SECRET_ACCESS_KEY");
  const auto write = [&](const std::string& key) {
    return world.folder.write("credentials",
                              "[default]\naws_access_key_id = " + key + "\naws_secret_access_key = secret-of-" + key);
  };
  world.variables["AWS_SHARED_CREDENTIALS_FILE"] = write("OLD");
  world.on_request = [&] {
    if (fresh) write("NEW");
  };
  const auto client = world.client("kinesis");
  world.answers = {http::Response(400, "application/json", R"({"__type":"ExpiredTokenException","message":"ended"})"),
                   http::Response(200, "application/json", "{}")};
  ServiceResult<std::string> result = std::string();
  test::run(world.context, world.called(*client, result));
  const std::string_view authorization = *world.requests.back().headers.get("Authorization");
  if (fresh) {
    CHECK(result.has_value());
    CHECK(authorization.find("Credential=NEW/") != std::string_view::npos);
  } else {
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == "ExpiredTokenException");
    CHECK(world.requests.size() == 1);
  }
}

// FakeClock stands at 2026-09-12T08:00:00Z.
TEST_CASE("a clock that is wrong is corrected by the Date of the refusal, once for all requests that follow") {
  World world;
  struct Row {
    Duration ahead;
    std::string date;
    std::int64_t seconds;
  };
  const Row row = GENERATE(values<Row>({
      {1h, "Sat, 12 Sep 2026 09:00:00 GMT", 3600},
      {-24h, "Fri, 11 Sep 2026 08:00:00 GMT", -86400},
      {5min + 1s, "Sat, 12 Sep 2026 08:05:01 GMT", 301},
  }));
  world.ahead = row.ahead;
  world.date = row.date;
  const auto client = world.client("kinesis");
  std::vector<bool> results;
  test::run(world.context, world.called_twice(*client, results));
  CHECK(results == std::vector<bool>{true, true});
  CHECK(world.requests.size() == 3);
  CHECK(world.log.seconds == std::vector<std::int64_t>{row.seconds});
}

TEST_CASE("requests that were on their way with the wrong time are all sent again, and it is said once") {
  World world;
  world.ahead = 1h;
  world.date = "Sat, 12 Sep 2026 09:00:00 GMT";
  world.together = 2;
  const auto client = world.client("kinesis");
  std::vector<bool> results;
  test::run(world.context, world.called_together(*client, results));
  CHECK(results == std::vector<bool>{true, true});
  CHECK(world.requests.size() == 4);
  CHECK(world.log.seconds == std::vector<std::int64_t>{3600});
}

TEST_CASE("a signature that is wrong for another reason than the time is not sent again") {
  World world;
  // Too little to be the reason; none; one that is none.
  world.date = GENERATE("Sat, 12 Sep 2026 08:03:59 GMT", "", "tomorrow");
  const std::string code = GENERATE("SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed");
  http::Response refusal(403, "application/json", R"({"__type":")" + code + R"("})");
  if (!world.date.empty()) refusal.headers.add("Date", world.date);
  world.answers = {refusal};
  const auto client = world.client("kinesis");
  ServiceResult<std::string> result = std::string();
  test::run(world.context, world.called(*client, result));
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == code);
  CHECK(result.error().as_source_error("x").code() == ErrorCode::kSourceRefused);
  CHECK(world.requests.size() == 1);
  CHECK(world.log.seconds.empty());
}

TEST_CASE("a service that refuses every time is asked twice, not for ever") {
  World world;
  world.ahead = 1h;
  world.date = "Sun, 13 Sep 2026 08:00:00 GMT";  // not what it goes by
  const auto client = world.client("kinesis");
  ServiceResult<std::string> result = std::string();
  test::run(world.context, world.called(*client, result));
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == "InvalidSignatureException");
  CHECK(world.requests.size() == 2);
}

TEST_CASE("what is asked of STS to assume a role is signed with the corrected time too") {
  World world;
  world.variables.erase("AWS_ACCESS_KEY_ID");
  world.variables.erase("AWS_SECRET_ACCESS_KEY");
  world.variables["AWS_SHARED_CREDENTIALS_FILE"] =
      world.folder.write("credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = secret-of-BASE\n");
  world.variables["AWS_CONFIG_FILE"] = world.folder.write(
      "config", "[default]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n");
  world.variables["AWS_ENDPOINT_URL_STS"] = "http://" + world.server->address();
  http::Response expired(403, "text/xml",
                         "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message>"
                         "</Error></ErrorResponse>");
  expired.headers.add("Date", "Sat, 12 Sep 2026 09:00:00 GMT");
  world.answers = {expired,
                   http::Response(200, "text/xml",
                                  "<R><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>secret-of-ROLE"
                                  "</SecretAccessKey><SessionToken>token</SessionToken>"
                                  "<Expiration>2026-09-12T10:00:00Z</Expiration></Credentials></R>"),
                   http::Response(200, "application/json", "{}")};
  // The first request is taken as it was signed and refused by hand; from then on the server goes by its own time.
  world.on_request = [&] { world.ahead = world.requests.size() == 1 ? 0h : 1h; };
  const auto client = world.client("kinesis");
  ServiceResult<std::string> result = std::string();
  test::run(world.context, world.called(*client, result));
  CHECK(result.has_value());
  CHECK(world.requests.size() == 3);
  CHECK(world.log.seconds == std::vector<std::int64_t>{3600});
}

TEST_CASE("a Date header is read, and nothing else as one") {
  const auto read = [](std::string_view text) {
    const auto time = parse_http_date(text);
    return time ? iso_milliseconds(*time) : std::string("none");
  };
  CHECK(read("Sun, 06 Nov 1994 08:49:37 GMT") == "1994-11-06T08:49:37.000Z");
  CHECK(read("Thu, 29 Feb 2024 23:59:60 GMT") == "2024-03-01T00:00:00.000Z");
  // Times saturate (base/time.h).
  CHECK(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT") > parse_http_date("Fri, 31 Dec 2100 23:59:59 GMT"));
  for (const std::string_view text :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 EST", "Sun, 31 Feb 2026 08:49:37 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "1994-11-06T08:49:37Z"}) {
    CAPTURE(text);
    CHECK(read(text) == "none");
  }
}

TEST_CASE("nobody there, and no credentials") {
  World world;
  SECTION("nobody there") {
    const auto client = world.client("kinesis");
    ServiceResult<std::string> result = std::string();
    test::run(world.context, world.server->close());
    test::run(world.context, world.called(*client, result));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().status == 0);
    CHECK(result.error().is_transient());
  }
  SECTION("no credentials") {
    world.variables.erase("AWS_ACCESS_KEY_ID");
    world.variables.erase("AWS_SECRET_ACCESS_KEY");
    const auto client = world.client("kinesis");
    ServiceResult<std::string> result = std::string();
    test::run(world.context, world.called(*client, result));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().as_source_error("x").code() == ErrorCode::kSourceRefused);
    CHECK(world.requests.empty());
  }
}

TEST_CASE("a stream's body is read as it comes, its refusal is an error") {
  World world;
  const auto client = world.client("kinesis");
  std::string result;
  SECTION("a body larger than what waits to be read") {
    const std::string body(1U << 20U, 'x');
    world.answers = {http::Response(200, "application/vnd.amazon.eventstream", body)};
    test::run(world.context, world.opened(*client, result));
    CHECK(result == body);
  }
  SECTION("refused") {
    world.answers = {http::Response(400, "application/json", R"({"__type":"ResourceInUseException"})")};
    test::run(world.context, world.opened(*client, result));
    CHECK(result == "error ResourceInUseException");
  }
}

TEST_CASE("S3 is told the hash of the body") {
  World world;
  const auto client = world.client("s3");
  ServiceResult<std::string> result = std::string();
  test::run(world.context, world.called(*client, result));
  CHECK(result.has_value());
  CHECK(world.requests.at(0).headers.get("x-amz-content-sha256")->size() == 64);
}
