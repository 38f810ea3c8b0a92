#include <array>
#include <memory>
#include <regex>
#include <string>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "weir/base/bytes.h"

#include "gateway/fake_functions.h"
#include "gateway/gateway.h"
#include "http/sigv4.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using http::Request;
using http::Response;
using test::FakeFunctions;

namespace {

constexpr std::string_view kUuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

using Keys = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 1> kOpen{"ConfirmSubscription"};
const std::array kTestServices{ServiceEntry{"sns", "sns", "sns", "", "2010-03-31", {}, kOpen, "Forms.", nullptr}};
const std::array kLambdaService{ServiceEntry{"lambda", "", "", "", "", {}, {}, "Functions.", nullptr}};

/// A gateway without a server.
class World {
 public:
  explicit World(Keys keys = {}, std::span<const ServiceEntry> services = kTestServices,
                 std::string address = "127.0.0.1:4580")
      : keys_(std::move(keys)) {
    handler_ = gateway::gateway_handler({functions, keys_, services, std::move(address), null_log(), clock});
  }

  Response send(Request request) { return test::run(io_, handler_(std::move(request))); }

  FakeFunctions functions;
  test::FakeClock clock;

 private:
  Keys keys_;
  net::io_context io_;
  http::Handler handler_;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

Request request(const std::string& method, const std::string& target, const std::string& body = "",
                const Fields& headers = {}) {
  Request made;
  made.method = method;
  made.target = target;
  for (const auto& [name, value] : headers) made.headers.add(name, value);
  made.body = body;
  made.body_bytes = body.size();
  return made;
}

Request invoke(const std::string& name, const std::string& body = "{}", const Fields& headers = {}) {
  return request("POST", "/2015-03-31/functions/" + name, body, headers);
}

Request too_large(std::size_t bytes, const std::string& type, const std::string& operation = "invocations") {
  const std::string version = operation == "invocations" ? "2015-03-31" : "2014-11-13";
  Request made =
      request("POST", "/" + version + "/functions/hello/" + operation, "", {{"x-amz-invocation-type", type}});
  made.body_bytes = bytes;
  made.body_too_large = true;
  return made;
}

/// "404 ResourceNotFoundException {...}"; without a type: "200 {...}".
std::string shown(const Response& response) {
  std::string out = std::to_string(response.status) + " ";
  if (const auto type = response.headers.get("x-amzn-ErrorType")) out.append(*type).append(" ");
  return out + response.body;
}

/// Status and headers as lines; the request id becomes ID, a trace that weir began TRACE.
std::string head(const Response& response) {
  std::string out = std::to_string(response.status) + "\n";
  for (const auto& [name, value] : response.headers.all()) out += name + ": " + value + "\n";
  out = std::regex_replace(out, std::regex(std::string(kUuid)), "ID");
  return std::regex_replace(out, std::regex("root=1-[0-9a-f]{8}-[0-9a-f]{24};parent=[0-9a-f]{16};sampled=0"), "TRACE");
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

Outcome with_tail(Outcome outcome, const std::string& tail) {
  outcome.log_tail = tail;
  return outcome;
}

}  // namespace

// Sources of statuses, headers and texts: docs/gateway.md.

TEST_CASE("a synchronous invocation's answer, header by header") {
  World world;
  SECTION("success") {
    world.functions.answer_next(Outcome(Succeeded{"{\"said\":\"hello\"}"}));
    const Response answer = world.send(invoke("hello/invocations", "{\"a\":1}"));
    CHECK(head(answer) ==
          "200\n"
          "Content-Type: application/json\n"
          "x-amzn-RequestId: ID\n"
          "x-amzn-Remapped-Content-Length: 0\n"
          "X-Amz-Executed-Version: $LATEST\n"
          "X-Amzn-Trace-Id: TRACE\n"
          "Date: Sat, 12 Sep 2026 08:00:00 GMT\n");
    CHECK(answer.body == "{\"said\":\"hello\"}");
    REQUIRE(world.functions.calls.size() == 1);
    const Invocation& call = world.functions.calls[0];
    CHECK(call.function == "hello");
    CHECK(call.qualifier.empty());
    CHECK(call.payload == "{\"a\":1}");
    CHECK(call.client_context.empty());
    CHECK_FALSE(call.log_tail);
    CHECK(call.request_id == *answer.headers.get("x-amzn-requestid"));
  }
  SECTION("a function error with the tail of the log, of a version") {
    Outcome outcome = with_tail(Outcome(FunctionFailed{"Oops", "{\"errorType\":\"Oops\"}"}), "START\nEND\n");
    outcome.executed_version = "7";
    world.functions.answer_next(std::move(outcome));
    const Response answer = world.send(invoke("hello/invocations?Qualifier=live", "{}", {{"X-Amz-Log-Type", "Tail"}}));
    CHECK(head(answer) ==
          "200\n"
          "Content-Type: application/json\n"
          "x-amzn-RequestId: ID\n"
          "x-amzn-Remapped-Content-Length: 0\n"
          "X-Amz-Executed-Version: 7\n"
          "X-Amz-Function-Error: Unhandled\n"
          "X-Amz-Log-Result: " +
              base64("START\nEND\n") +
              "\n"
              "X-Amzn-Trace-Id: TRACE\n"
              "Date: Sat, 12 Sep 2026 08:00:00 GMT\n");
    CHECK(answer.body == "{\"errorType\":\"Oops\"}");
    CHECK(world.functions.calls.at(0).qualifier == "live");
    CHECK(world.functions.calls.at(0).log_tail);
  }
  SECTION("no log unless it was asked for") {
    world.functions.answer_next(with_tail(Outcome(Succeeded{"1"}), "START\n"));
    CHECK_FALSE(
        world.send(invoke("hello/invocations", "1", {{"X-Amz-Log-Type", "None"}})).headers.get("X-Amz-Log-Result"));
  }
  SECTION("a request id that real Lambda chose is the one told") {
    Outcome outcome(Succeeded{"1"});
    outcome.request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
    world.functions.answer_next(std::move(outcome));
    CHECK(*world.send(invoke("hello/invocations")).headers.get("x-amzn-RequestId") ==
          "c6af9ac6-7b61-11e6-9a41-93e8deadbeef");
  }
  SECTION("an empty body is {}") {
    world.send(invoke("hello/invocations", ""));
    CHECK(world.functions.calls.at(0).payload == "{}");
  }
  SECTION("every call has an id of its own") {
    const Response first = world.send(invoke("hello/invocations"));
    const Response second = world.send(invoke("hello/invocations"));
    CHECK(*first.headers.get("x-amzn-RequestId") != *second.headers.get("x-amzn-RequestId"));
  }
}

TEST_CASE("an asynchronous invocation is a 202 without a body, once it was accepted") {
  World world;
  const auto type = GENERATE(values<std::string>({"Event", "InvokeAsync"}));
  const Response answer =
      world.send(type == "Event" ? invoke("hello:live/invocations", "[1]",
                                          {{"X-Amz-Invocation-Type", "Event"}, {"X-Amz-Log-Type", "Tail"}})
                                 : request("POST", "/2014-11-13/functions/hello:live/invoke-async/", "[1]"));
  CHECK(head(answer) ==
        "202\n"
        "x-amzn-RequestId: ID\n"
        "x-amzn-Remapped-Content-Length: 0\n"
        "X-Amzn-Trace-Id: TRACE\n"
        "Date: Sat, 12 Sep 2026 08:00:00 GMT\n");
  CHECK(answer.body.empty());
  REQUIRE(world.functions.events.size() == 1);
  const bridge::NewEvent& event = world.functions.events[0];
  CHECK(event.function == "hello");
  CHECK(event.qualifier == "live");
  CHECK(event.source.empty());
  CHECK(event.payload == "[1]");
  CHECK(event.request_id == *answer.headers.get("x-amzn-RequestId"));
  CHECK(world.functions.calls.empty());
}

TEST_CASE("an event that could not be kept is no 202") {
  World world;
  struct Row {
    Error error;
    std::string_view answer;
  };
  const auto row = GENERATE(values<Row>({
      {Error(ErrorCode::kStoreFull, "no room in /secret/place"),
       R"(500 ServiceException {"Message":"The event was not accepted (store.full).","Type":"Service"})"},
      {Error(ErrorCode::kCancelled, "stopping"),
       R"(500 ServiceException {"Message":"The event was not accepted, because weir is starting or stopping.","Type":"Service"})"},
      {Error(ErrorCode::kEventRefused, "too large"),
       R"(400 InvalidRequestContentException {"Type":"User","message":"too large"})"},
  }));
  world.functions.refuse_next(row.error);
  CHECK(shown(world.send(invoke("hello/invocations", "1", {{"X-Amz-Invocation-Type", "Event"}}))) == row.answer);
}

TEST_CASE("a dry run is a 204 that runs nothing") {
  World world;
  const Response answer = world.send(invoke("hello/invocations", "{}", {{"X-Amz-Invocation-Type", "DryRun"}}));
  CHECK(head(answer) == "204\nDate: Sat, 12 Sep 2026 08:00:00 GMT\nx-amzn-RequestId: ID\n");
  CHECK(answer.body.empty());
  CHECK(world.functions.calls.empty());
  CHECK(world.functions.events.empty());
  CHECK(world.send(invoke("nobody/invocations", "{}", {{"X-Amz-Invocation-Type", "DryRun"}})).status == 404);
}

TEST_CASE("what did not become an answer of the function") {
  struct Row {
    Outcome outcome;
    std::string_view answer;
  };
  const auto row = GENERATE(values<Row>({
      {Outcome(Throttled{ThrottleReason::kConcurrentInvocationLimitExceeded}),
       R"(429 TooManyRequestsException {"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."})"},
      {Outcome(Throttled{ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded}),
       R"(429 TooManyRequestsException {"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."})"},
      {Outcome(Throttled{ThrottleReason::kCallerRateLimitExceeded}),
       R"(429 TooManyRequestsException {"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate exceeded"})"},
      {Outcome(ServiceFailed{500, "it broke"}), R"(500 ServiceException {"Message":"it broke","Type":"Service"})"},
      {Outcome(ServiceFailed{404, "Function not found: x:$LATEST"}),
       R"(404 ResourceNotFoundException {"Message":"Function not found: x:$LATEST","Type":"User"})"},
      {Outcome(ServiceFailed{502, "no network", "EC2UnexpectedException"}),
       R"(502 EC2UnexpectedException {"Message":"no network","Type":"Service"})"},
      {Outcome(ServiceFailed{409, "not ready", "ResourceConflictException"}),
       R"(409 ResourceConflictException {"Type":"User","message":"not ready"})"},
      {Outcome(ServiceFailed{0, "nobody answers there"}),
       R"(500 ServiceException {"Message":"nobody answers there","Type":"Service"})"},
      {Outcome(Cancelled{}),
       R"(500 ServiceException {"Message":"weir is stopping and called the invocation off; it is not known whether the function ran.","Type":"Service"})"},
  }));
  World world;
  world.functions.answer_next(row.outcome);
  const Response answer = world.send(invoke("hello/invocations"));
  CHECK(shown(answer) == row.answer);
  CHECK_FALSE(answer.headers.get("X-Amz-Executed-Version"));
  CHECK(answer.headers.get("x-amzn-RequestId"));
  CHECK(*answer.headers.get("Content-Type") == "application/json");
}

TEST_CASE("a bug behind the gateway is a ServiceException, and the next call is answered") {
  World world;
  world.functions.throw_next("a pointer was null at 0x1234");
  CHECK(shown(world.send(invoke("hello/invocations"))) ==
        R"(500 ServiceException {"Message":"The request could not be processed.","Type":"Service"})");
  CHECK(world.send(invoke("hello/invocations")).status == 200);
}

TEST_CASE("the forms of a function's name") {
  const std::string arn = "arn:aws:lambda:us-east-1:000000000000:function:";
  struct Row {
    std::string path;
    std::string seen;  ///< NAME QUALIFIER
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"hello/invocations", "hello "},
      {"hello/invocations?Qualifier=$LATEST", "hello $LATEST"},
      {"hello/invocations?Qualifier=%24LATEST", "hello $LATEST"},
      {"hello/invocations?Qualifier=", "hello "},
      {"hello/invocations?x=y&Qualifier=live", "hello live"},
      {"hello:live/invocations", "hello live"},
      {"hello%3Alive/invocations", "hello live"},
      {"hello:live/invocations?Qualifier=live", "hello live"},
      {"hello:$LATEST/invocations", "hello $LATEST"},
      {"h%65llo/invocations", "hello "},
      {"000000000000:function:hello/invocations", "hello "},
      {"000000000000:hello:7/invocations", "hello 7"},
      {"function:hello/invocations", "hello "},
      {arn + "hello/invocations", "hello "},
      {arn + "hello:live/invocations", "hello live"},
      {"arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Ahello%3A7/invocations", "hello 7"},
      {"hello/invocations/", "hello "},
  }));
  INFO(row.path);
  World world;
  CHECK(world.send(invoke(row.path)).status == 200);
  REQUIRE(world.functions.calls.size() == 1);
  CHECK(world.functions.calls[0].function + " " + world.functions.calls[0].qualifier == row.seen);
}

TEST_CASE("while weir starts, a function that is not known may be one yet: the caller is to try again") {
  World world;
  world.functions.starting = true;
  CHECK(shown(world.send(invoke("nobody/invocations"))).starts_with("503 ServiceUnavailable "));
  CHECK(world.send(invoke("hello/invocations")).status == 200);
}

TEST_CASE("names that lead nowhere") {
  const std::string pattern =
      R"((arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?)"
      R"(([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?)";
  const auto no_match = [&](const std::string& value) {
    return "400 ValidationException {\"message\":\"1 validation error detected: Value '" + value +
           "' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: " +
           pattern + "\"}";
  };
  const auto not_found = [](const std::string& name) {
    return R"(404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:)" +
           name + R"(","Type":"User"})";
  };
  struct Row {
    std::string path;
    std::string answer;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"nobody/invocations", not_found("nobody:$LATEST")},
      {"hello/invocations?Qualifier=8", not_found("hello:8")},
      {"hello:blue/invocations", not_found("hello:blue")},
      {std::string(64, 'x') + "/invocations", not_found(std::string(64, 'x') + ":$LATEST")},
      {std::string(65, 'x') + "/invocations",
       "400 InvalidParameterValueException {\"Type\":\"User\",\"message\":\"1 validation error detected: Value '" +
           std::string(65, 'x') +
           "' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64\"}"},
      {std::string(257, 'x') + "/invocations",
       "400 ValidationException {\"message\":\"1 validation error detected: Value '" + std::string(257, 'x') +
           "' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 256\"}"},
      {"../invocations", not_found("..:$LATEST")},
      {"%2e%2e%2fetc/invocations", no_match("../etc")},
      {"%2E%2E%2F%2E%2E/invocations", no_match("../..")},
      {"hello%00/invocations", no_match("hello\\u0000")},
      {"hello%0d%0aX-Evil:1/invocations", no_match("hello\\r\\nX-Evil:1")},
      {"hello%/invocations", no_match("hello%")},
      {"hello%zz/invocations", no_match("hello%zz")},
      {"%ff/invocations", no_match("\xEF\xBF\xBD")},
      {"hell%C3%B6/invocations", no_match("hell\xC3\xB6")},
      {"hello:/invocations", no_match("hello:")},
      {":live/invocations", no_match(":live")},
      {"a:b:c:d/invocations", no_match("a:b:c:d")},
      {"hello:$FIRST/invocations", no_match("hello:$FIRST")},
      {"arn:aws:sqs:us-east-1:000000000000:hello/invocations", no_match("arn:aws:sqs:us-east-1:000000000000:hello")},
      {"//invocations",
       R"(501 NotImplementedException {"message":"weir does not serve POST /2015-03-31/functions///invocations."})"},
      {"/invocations", no_match("")},
      {"arn:aws:lambda:eu-west-1:000000000000:function:hello/invocations",
       R"_(404 ResourceNotFoundException {"Message":"Functions from 'eu-west-1' are not reachable in this region ('us-east-1')","Type":"User"})_"},
      {"arn:aws:lambda:us-gov-west-1:000000000000:function:hello/invocations",
       R"_(404 ResourceNotFoundException {"Message":"Functions from 'us-gov-west-1' are not reachable in this region ('us-east-1')","Type":"User"})_"},
      {"arn:aws:lambda:us-east-1:123456789012:function:hello/invocations",
       R"(403 AccessDeniedException {"Message":"User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:hello because no resource-based policy allows the lambda:InvokeFunction action"})"},
      {"123456789012:function:hello/invocations",
       R"(403 AccessDeniedException {"Message":"User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:hello because no resource-based policy allows the lambda:InvokeFunction action"})"},
      {"hello:7/invocations?Qualifier=live",
       R"(400 InvalidParameterValueException {"Type":"User","message":"The derived qualifier from the function name does not match the specified qualifier."})"},
      {"hello/invocations?Qualifier=a%2Fb",
       R"(400 ValidationException {"message":"1 validation error detected: Value 'a/b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+"})"},
      {"hello/invocations?Qualifier=" + std::string(128, '1'), not_found("hello:" + std::string(128, '1'))},
      {"hello/invocations?Qualifier=" + std::string(129, '1'),
       "400 ValidationException {\"message\":\"1 validation error detected: Value '" + std::string(129, '1') +
           "' at 'qualifier' failed to satisfy constraint: Member must have length less than or equal to 128\"}"},
  }));
  INFO(row.path);
  World world;
  CHECK(shown(world.send(invoke(row.path))) == row.answer);
  CHECK(world.functions.calls.empty());
}

TEST_CASE("types that there are not, all told at once") {
  World world;
  CHECK(
      shown(world.send(invoke("hello/invocations", "{}", {{"X-Amz-Invocation-Type", "Later"}}))) ==
      R"(400 ValidationException {"message":"1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]"})");
  CHECK(
      shown(world.send(invoke("hello/invocations", "{}", {{"X-Amz-Log-Type", "tail"}}))) ==
      R"(400 ValidationException {"message":"1 validation error detected: Value 'tail' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]"})");
  CHECK(
      shown(world.send(invoke("hello/invocations?Qualifier=a.b", "{}",
                              {{"X-Amz-Invocation-Type", "event"}, {"X-Amz-Log-Type", "All"}}))) ==
      R"(400 ValidationException {"message":"3 validation errors detected: Value 'a.b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+; Value 'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]; Value 'All' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]"})");
  CHECK(world.functions.calls.empty());
}

TEST_CASE("a payload that is not JSON is refused before anything runs or is accepted") {
  const auto type = GENERATE(values<std::string>({"RequestResponse", "Event", "DryRun"}));
  World world;
  CHECK(
      shown(world.send(invoke("hello/invocations", "{\"a\":1,\n}", {{"X-Amz-Invocation-Type", type}}))) ==
      R"(400 InvalidRequestContentException {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: Unexpected character ('}' (code 125)): was expecting double-quote to start field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 2, column: 2]"})");
  CHECK(world.functions.calls.empty());
  CHECK(world.functions.events.empty());
}

TEST_CASE("both sides of the payload limits") {
  World world;
  const auto payload = [](std::size_t bytes) { return "\"" + std::string(bytes - 2, 'x') + "\""; };
  const Fields event{{"X-Amz-Invocation-Type", "Event"}};
  CHECK(world.send(invoke("hello/invocations", payload(6'291'456))).status == 200);
  CHECK(world.functions.calls.at(0).payload.size() == 6'291'456);
  CHECK(
      shown(world.send(too_large(6'291'457, "RequestResponse"))) ==
      R"(413 RequestEntityTooLargeException {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"})");
  CHECK(world.send(too_large(6'291'457, "DryRun")).status == 413);
  CHECK(world.send(invoke("hello/invocations", payload(1'048'576), event)).status == 202);
  CHECK(
      shown(world.send(invoke("hello/invocations", payload(1'048'577), event))) ==
      R"_(413 RequestEntityTooLargeException {"Message":"1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"})_");
  CHECK(
      shown(world.send(too_large(7'000'000, "Event"))) ==
      R"_(413 RequestEntityTooLargeException {"Message":"7000000 byte payload is too large for the Event invocation type (limit 1048576 bytes)"})_");
  CHECK(world.send(request("POST", "/2014-11-13/functions/hello/invoke-async", payload(262'144))).status == 202);
  CHECK(
      shown(world.send(request("POST", "/2014-11-13/functions/hello/invoke-async", payload(262'145)))) ==
      R"_(413 RequestEntityTooLargeException {"Message":"262145 byte payload is too large for the Event invocation type (limit 262144 bytes)"})_");
}

TEST_CASE("the client context reaches the handler of a synchronous call") {
  World world;
  const auto with = [&](const std::string& context, const std::string& type = "RequestResponse") {
    return world.send(
        invoke("hello/invocations", "{}", {{"X-Amz-Client-Context", context}, {"X-Amz-Invocation-Type", type}}));
  };
  const std::string bad =
      R"(400 InvalidRequestContentException {"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."})";
  CHECK(with(base64("{\"custom\":{\"a\":\"b\"}}")).status == 200);
  CHECK(world.functions.calls.at(0).client_context == "{\"custom\":{\"a\":\"b\"}}");
  CHECK(with("e30").status == 200);  // {} without its padding
  CHECK(shown(with("not base64!")) == bad);
  CHECK(shown(with(base64("not json"))) == bad);
  CHECK(shown(with(base64("[]"))) == bad);
  CHECK(shown(with(base64(" "))) == bad);
  // 3,583 characters of base64, the last without its padding.
  const auto sized = [](std::size_t bytes) { return base64("{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}"); };
  CHECK(with(sized(2'685)).status == 200);  // 3,580
  CHECK(with(sized(2'687).substr(0, 3'583)).status == 200);
  CHECK(
      shown(with(sized(2'687))) ==
      R"(400 InvalidRequestContentException {"Type":"User","message":"Client context must be at most 3583 bytes of Base64."})");
  // An asynchronous call has no use for one, right or wrong.
  CHECK(with("not base64!", "Event").status == 202);
  CHECK(with(sized(5'000), "Event").status == 202);
}

TEST_CASE("a caller's trace is joined, one that is none is not") {
  World world;
  const std::string root = "Root=1-5759e988-bd862e3fe1be46a994272793";
  const auto with = [&](const std::string& trace) {
    const Response answer = world.send(invoke("hello/invocations", "{}", {{"X-Amzn-Trace-Id", trace}}));
    return *world.functions.calls.back().trace_header.c_str() == 'R'
               ? world.functions.calls.back().trace_header + " | " + std::string(*answer.headers.get("X-Amzn-Trace-Id"))
               : "";
  };
  const std::string own =
      "Root=1-6aa50680-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0 \\| "
      "root=1-6aa50680-[0-9a-f]{24};parent=[0-9a-f]{16};sampled=0";
  CHECK(with(root + ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:c82228f9:0;Self=1-2") ==
        root +
            ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:c82228f9:0 | "
            "root=1-5759e988-bd862e3fe1be46a994272793;parent=53995c3f42cd8ad8;sampled=1");
  CHECK_THAT(with(root), Catch::Matchers::Matches(root + ";Parent=[0-9a-f]{16};Sampled=0 \\| .*"));
  CHECK_THAT(with(root + "; Sampled=?"), Catch::Matchers::Matches(root + ";Parent=[0-9a-f]{16};Sampled=0 \\| .*"));
  CHECK_THAT(with("Root=1-xyz;Parent=53995c3f42cd8ad8;Sampled=1"), Catch::Matchers::Matches(own));
  CHECK_THAT(with("garbage"), Catch::Matchers::Matches(own));
  CHECK_THAT(with(root + ";x=" + std::string(2000, 'y')), Catch::Matchers::Matches(own));
  CHECK_THAT(with(root + ";x=\xff"), Catch::Matchers::Matches(own));
}

TEST_CASE("paths and methods that are none of the operations") {
  struct Row {
    std::string method, target, answer;
  };
  const std::string none = R"(404 UnknownOperationException {"message":"There is no such operation here."})";
  const auto refused = [](const std::string& what) {
    return R"(501 NotImplementedException {"message":"weir does not serve )" + what + R"(."})";
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"POST", "/", none},
      {"GET", "/favicon.ico", none},
      {"POST", "/2015-03-31", none},
      {"POST", "/2015-03-31/nonsense/x", none},
      {"POST", "/a/b/c", none},
      {"GET", "/2015-03-31/functions", refused("GET /2015-03-31/functions")},
      {"GET", "/2015-03-31/functions/?MaxItems=1", refused("GET /2015-03-31/functions/")},
      {"GET", "/2015-03-31/functions/hello", refused("GET /2015-03-31/functions/hello")},
      {"POST", "/2016-01-01/functions/hello/invocations", refused("POST /2016-01-01/functions/hello/invocations")},
      {"POST", "/2015-03-31/functions/hello/invocations/more",
       refused("POST /2015-03-31/functions/hello/invocations/more")},
      {"GET", "/2015-03-31/event-source-mappings", refused("GET /2015-03-31/event-source-mappings")},
      {"POST", "/2015-03-31/functions/hello/response-streaming-invocations",
       refused("POST /2015-03-31/functions/hello/response-streaming-invocations")},
      {"GET", "/2015-03-31/functions/hello/invocations",
       R"(405 UnknownOperationException {"message":"This operation takes POST."})"},
      {"OPTIONS", "/2015-03-31/functions/hello/invocations",
       R"(405 UnknownOperationException {"message":"This operation takes POST."})"},
      {"DELETE", "/2014-11-13/functions/hello/invoke-async",
       R"(405 UnknownOperationException {"message":"This operation takes POST."})"},
  }));
  World world;
  INFO(row.method << " " << row.target);
  const Response answer = world.send(request(row.method, row.target, "{}"));
  CHECK(shown(answer) == row.answer);
  CHECK((answer.status == 405) == answer.headers.get("Allow").has_value());
  CHECK(answer.headers.get("x-amzn-RequestId"));
  CHECK(world.functions.calls.empty());
}

TEST_CASE("the address says what it serves") {
  World world;
  const Response page = world.send(request("GET", "/"));
  CHECK(page.status == 200);
  CHECK(page.body.find("POST /2015-03-31/functions/NAME/invocations") != std::string::npos);
  CHECK(world.send(request("HEAD", "/")).status == 200);
}

TEST_CASE("a webhook goes to its source, whatever its method") {
  World world;
  const Response answer =
      world.send(request("PUT", "/s3/uploads?x=1", "{\"a\":1}", {{"Authorization", "Bearer t"}, {"X-More", "y"}}));
  CHECK(shown(answer) == "200 {\"ok\":true}");
  CHECK(*answer.headers.get("Content-Type") == "application/json");
  CHECK(world.functions.webhooks == std::vector<std::pair<std::string, std::string>>{{"s3", "uploads"}});
  CHECK(world.functions.last_webhook.method == "PUT");
  CHECK(world.functions.last_webhook.body == "{\"a\":1}");
  CHECK(world.functions.last_webhook.headers.at(1) == std::pair<std::string, std::string>("X-More", "y"));
  CHECK(world.send(request("POST", "/s3/nobody")).status == 404);
  CHECK(world.send(request("POST", "/s3/up%2Floads/")).status == 404);
  CHECK(world.functions.webhooks.back() == std::pair<std::string, std::string>("s3", "up/loads"));
  Request large = request("POST", "/s3/uploads");
  large.body_too_large = true;
  CHECK(world.send(large).status == 413);
  CHECK(world.functions.webhooks.size() == 3);
}

TEST_CASE("web pages may not invoke what runs on the machine of whoever looks at them") {
  World world;
  const auto field = GENERATE(values<std::pair<std::string, std::string>>({{"Origin", "https://evil.example"},
                                                                           {"Origin", "null"},
                                                                           {"Sec-Fetch-Site", "cross-site"},
                                                                           {"Sec-Fetch-Site", "same-origin"}}));
  const std::string refused =
      R"(403 AccessDeniedException {"Message":"This address takes no requests from web pages."})";
  CHECK(shown(world.send(invoke("hello/invocations", "{}", {field}))) == refused);
  CHECK(shown(world.send(request("POST", "/s3/uploads", "{}", {field}))) == refused);
  CHECK(world.send(request("GET", "/", "", {field})).status == 200);
  CHECK(world.functions.calls.empty());
  CHECK(world.functions.webhooks.empty());
  // Typed into the address bar.
  CHECK(world.send(request("GET", "/s3/uploads", "", {{"Sec-Fetch-Site", "none"}})).status == 200);
}

TEST_CASE("with access keys, calls of AWS's APIs are signed") {
  World world(Keys{{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}});
  const auto sign = [&](Request made, const std::string& id, const std::string& secret) {
    http::Credentials credentials;
    credentials.access_key_id = id;
    credentials.secret_access_key = secret;
    made.headers.add("Host", "127.0.0.1:4580");
    http::sign(made.method, "127.0.0.1:4580", made.target, made.body, credentials,
               {"us-east-1", "lambda", world.clock.now().wall}, made.headers);
    return made;
  };
  const std::string secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  CHECK(world.send(sign(invoke("hello/invocations"), "AKIDEXAMPLE", secret)).status == 200);
  CHECK(world.send(sign(invoke("hello%3Alive/invocations?Qualifier=live"), "AKIDEXAMPLE", secret)).status == 200);
  // Who signs is no drive-by page.
  CHECK(world.send(sign(invoke("hello/invocations", "{}", {{"Origin", "https://app.example"}}), "AKIDEXAMPLE", secret))
            .status == 200);
  CHECK(world.functions.calls.size() == 3);

  const auto type = [&](Request made) {
    const Response answer = world.send(std::move(made));
    CHECK(answer.status == 403);
    return std::string(answer.headers.get("x-amzn-ErrorType").value_or(""));
  };
  CHECK(type(invoke("hello/invocations")) == "MissingAuthenticationTokenException");
  CHECK(type(sign(invoke("hello/invocations"), "AKIDEXAMPLE", "wrong")) == "InvalidSignatureException");
  CHECK(type(sign(invoke("hello/invocations"), "AKIDNOBODY", secret)) == "UnrecognizedClientException");
  Request changed = sign(invoke("hello/invocations"), "AKIDEXAMPLE", secret);
  changed.body = "{\"other\":1}";
  CHECK(type(std::move(changed)) == "InvalidSignatureException");
  // Neither functions nor operations are told apart without a key.
  CHECK(type(invoke("nobody/invocations")) == "MissingAuthenticationTokenException");
  CHECK(type(request("GET", "/2015-03-31/functions")) == "MissingAuthenticationTokenException");
  CHECK(world.functions.calls.size() == 3);
  // Webhooks have tokens of their own; and the page that says what is here holds no secret.
  CHECK(world.send(request("POST", "/s3/uploads", "{}")).status == 200);
  CHECK(world.send(request("GET", "/")).status == 200);
}

TEST_CASE("a call of a service is the service's to answer") {
  World world;
  const Response response =
      world.send(request("GET", "/?Action=Publish&Version=2010-03-31", "", {{"X-Amzn-Trace-Id", "Root=1-2-3"}}));
  CHECK(response.status == 201);
  CHECK(response.body == R"({"answered":true})");
  CHECK(response.headers.get("Content-Type") == "application/x-amz-json-1.1");
  CHECK(response.headers.get("x-amzn-ErrorType") == "None");
  REQUIRE(world.functions.service_calls.size() == 1);
  const auto& [service, call] = world.functions.service_calls[0];
  CHECK(service == "sns");
  CHECK(call.operation == "Publish");
  CHECK(call.request_id == response.headers.get("x-amzn-RequestId"));
  CHECK_THAT(call.trace_header, Catch::StartsWith("Root="));
}

TEST_CASE("a call of a service that weir does not stand in for says so") {
  World world;
  const Response response = world.send(request("POST", "/", "{}", {{"X-Amz-Target", "AmazonSQS.SendMessage"}}));
  CHECK(response.status == 400);
  CHECK(response.headers.get("x-amzn-ErrorType") == "UnknownOperationException");
  CHECK(response.body ==
        R"({"__type":"UnknownOperationException","message":"weir does not stand in for the service of this call."})");
  const Response form = world.send(request("GET", "/?Action=SendEmail&Version=2010-12-01"));
  CHECK(form.status == 400);
  CHECK_THAT(form.body, Catch::StartsWith("<ErrorResponse><Error><Type>Sender</Type><Code>UnknownOperationException"));
  CHECK(world.functions.service_calls.empty());
}

TEST_CASE("with keys, services' calls have to be signed, but for those whose link is enough") {
  World world(Keys{{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}});
  CHECK(world.send(request("GET", "/?Action=Publish&Version=2010-03-31")).status == 403);
  CHECK(world.functions.service_calls.empty());
  CHECK(world.send(request("GET", "/?Action=ConfirmSubscription&Version=2010-03-31")).status == 201);
}

TEST_CASE("without keys nothing is read under a name that a web page's owner may have pointed here") {
  World world({}, kLambdaService);
  const auto status = [&](const std::string& host) {
    return world.send(request("GET", "/2015-03-31/functions/hello/configuration", "", {{"Host", host}})).status;
  };
  for (const char* host : {"127.0.0.1:4580", "localhost:4580", "[::1]:4580", "10.0.0.7", "weir:4580", "weir",
                           "host.docker.internal:4580", "Box.LOCAL", "weir.jobs.svc.cluster.local:80"}) {
    INFO(host);
    CHECK(status(host) == 201);
  }
  for (const char* host : {"evil.example", "evil.example:4580", "internal.evil.example", "127.0.0.1.evil.example"}) {
    INFO(host);
    CHECK(status(host) == 403);
  }
  World keyed(Keys{{"AKIDEXAMPLE", "secret"}}, kLambdaService);
  CHECK_THAT(shown(keyed.send(request("GET", "/2015-03-31/functions/hello", "", {{"Host", "weir.example"}}))),
             Catch::Contains("MissingAuthenticationTokenException"));
}

TEST_CASE("functions are changed by whoever reaches a loopback address, and by keys elsewhere") {
  const auto status = [](World& world, const std::string& method) {
    return world.send(request(method, "/2015-03-31/functions/hello/configuration", "{}")).status;
  };
  for (const char* address : {"127.0.0.1:4580", "localhost:4580", "[::1]:4580"}) {
    World world({}, kLambdaService, address);
    CHECK(status(world, "PUT") == 201);
  }
  for (const char* address : {"0.0.0.0:4580", "[::]:4580", "10.0.0.7:4580"}) {
    World world({}, kLambdaService, address);
    CHECK(status(world, "PUT") == 403);
    CHECK(status(world, "GET") == 201);
    CHECK(world.send(invoke("hello/invocations")).status == 200);
  }
}

TEST_CASE("services take no calls from web pages either") {
  World world;
  CHECK(world.send(request("GET", "/?Action=Publish&Version=2010-03-31", "", {{"Origin", "http://evil"}})).status ==
        403);
  CHECK(world.functions.service_calls.empty());
}
