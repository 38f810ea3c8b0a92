// What an HTTP answer to Invoke means, and what is sent. Answers are as AWS's were recorded (reference: Lambda's Invoke
// API) and as RIE's handlers.go writes them.
#include "lambda/remote/invoke_answer.h"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "weir/base/bytes.h"

#include "lambda/remote/exchange_failure.h"
#include "lambda/remote/invoke_request.h"
#include "remote/outcome_line.h"

using namespace weir;
using namespace weir::remote;
using namespace std::chrono_literals;
using test::line;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

http::Response response(int status, std::string body, const Fields& headers = {}) {
  http::Response made;
  made.status = status;
  made.body = std::move(body);
  for (const auto& [name, value] : headers) made.headers.add(name, value);
  return made;
}

Outcome read(http::Response answer, Dialect dialect = Dialect::kCompatible) {
  const AnswerContext context{"http://rie:8080", "6f1c-id", dialect};
  return read_invoke_answer(std::move(answer), context);
}

const Fields kLambda{{"x-amzn-RequestId", "0a1b-aws"}, {"Content-Type", "application/json"}};

Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

}  // namespace

TEST_CASE("a function's answer is what it returned, with version, log and request id") {
  std::string tail = "START RequestId: 0a1b-aws\nEND\n";
  std::string encoded;
  append_base64(encoded, tail);
  const Outcome outcome = read(
      response(200, R"({"ok":true})", with(kLambda, {{"X-Amz-Executed-Version", "7"}, {"X-Amz-Log-Result", encoded}})),
      Dialect::kLambda);
  CHECK(line(outcome) == R"(success {"ok":true})");
  CHECK(outcome.executed_version == "7");
  CHECK(outcome.log_tail == tail);
  CHECK(outcome.request_id == "0a1b-aws");
}

TEST_CASE("what a server does not say has Lambda's usual value") {
  const Outcome outcome = read(response(200, "null"));
  CHECK(line(outcome) == "success null");
  CHECK(outcome.executed_version == "$LATEST");
  CHECK(outcome.log_tail.empty());
  CHECK(outcome.request_id.empty());
  CHECK(read(response(200, "null", {{"X-Amz-Log-Result", "no base64 !"}})).log_tail.empty());
}

TEST_CASE("a function error is known by its header") {
  struct Row {
    std::string_view sentence, header, payload, type;
  };
  const auto row = GENERATE(values<Row>({
      {"an exception", "Unhandled", R"({"errorMessage":"no","errorType":"OrderRefused","stackTrace":[]})",
       "OrderRefused"},
      {"Lambda's own before 2025", "Unhandled",
       R"({"errorMessage":"2024-04-01T10:00:00.000Z 6f1c Task timed out after 1.00 seconds"})", "Sandbox.Timedout"},
      {"a document without a type", "Handled", R"({"errorMessage":"no"})", "Handled"},
      {"a type that is no text", "Unhandled", R"({"errorType":7})", "Unhandled"},
      {"no document at all", "Unhandled", "oh", "Unhandled"},
      {"nothing", "Unhandled", "", "Unhandled"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    for (const Dialect dialect : {Dialect::kLambda, Dialect::kCompatible}) {
      const Outcome outcome = read(
          response(200, std::string(row.payload), with(kLambda, {{"x-amz-function-error", std::string(row.header)}})),
          dialect);
      CHECK(line(outcome) == "function_error " + std::string(row.type) + " " + std::string(row.payload));
    }
  }
}

TEST_CASE("errors that RIE tells in the body only are understood, of servers that send no request id") {
  struct Row {
    std::string_view sentence, body, expected;
  };
  const auto row = GENERATE(values<Row>({
      {"an error document", R"({"errorMessage":"no","errorType":"OrderRefused"})",
       R"(function_error OrderRefused {"errorMessage":"no","errorType":"OrderRefused"})"},
      {"one with a type that is no text", R"({"errorMessage":"no","errorType":null})",
       R"(function_error Unhandled {"errorMessage":"no","errorType":null})"},
      {"a timeout, in plain text", "Task timed out after 3.00 seconds",
       R"(function_error Sandbox.Timedout {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 6f1c-id Error: Task timed out after 3.00 seconds"})"},
      {"one of the two members is an answer", R"({"errorMessage":"none"})", R"(success {"errorMessage":"none"})"},
      {"so is the other", R"({"errorType":"none"})", R"(success {"errorType":"none"})"},
      {"both, but deeper", R"({"log":{"errorMessage":"a","errorType":"b"}})",
       R"(success {"log":{"errorMessage":"a","errorType":"b"}})"},
      {"both, in a list", R"([{"errorMessage":"a","errorType":"b"}])",
       R"(success [{"errorMessage":"a","errorType":"b"}])"},
      {"both, in a text", R"("\"errorMessage\" \"errorType\"")", R"(success "\"errorMessage\" \"errorType\"")"},
      {"a text that says something else", "Task timed out after lunch seconds",
       "success Task timed out after lunch seconds"},
      {"the timeout's text as JSON", R"("Task timed out after 3.00 seconds")",
       R"(success "Task timed out after 3.00 seconds")"},
      {"a text without a number", "Task timed out after  seconds", "success Task timed out after  seconds"},
      {"nothing", "", "success "},
  }));
  DYNAMIC_SECTION(row.sentence) {
    CHECK(line(read(response(200, std::string(row.body), {{"Content-Type", "text/plain; charset=utf-8"}}))) ==
          row.expected);
    const std::string as_it_is = "success " + std::string(row.body);
    CHECK(line(read(response(200, std::string(row.body), kLambda))) == as_it_is);
    CHECK(line(read(response(200, std::string(row.body)), Dialect::kLambda)) == as_it_is);
  }
}

TEST_CASE("an answer may have 6 MB and 100 bytes, and none more") {
  CHECK(kind(read(response(200, std::string(kMaxResponseBytes, '1')))) == "success");
  CHECK(line(read(response(200, std::string(kMaxResponseBytes + 1, '1')))) ==
        R"(function_error Function.ResponseSizeTooLarge {"errorType":"Function.ResponseSizeTooLarge",)"
        R"("errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."})");
}

TEST_CASE("a refusal for want of concurrency is a throttle, with its reason") {
  struct Row {
    std::string_view body;
    ThrottleReason reason;
  };
  const auto row = GENERATE(values<Row>({
      {R"({"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."})",
       ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded},
      {R"({"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate exceeded"})",
       ThrottleReason::kCallerRateLimitExceeded},
      {R"({"Reason":"SomethingNew","message":"Rate exceeded"})", ThrottleReason::kConcurrentInvocationLimitExceeded},
      {R"({"Reason":7})", ThrottleReason::kConcurrentInvocationLimitExceeded},
      {"", ThrottleReason::kConcurrentInvocationLimitExceeded},
      {"<html>slow down</html>", ThrottleReason::kConcurrentInvocationLimitExceeded},
  }));
  for (const Dialect dialect : {Dialect::kLambda, Dialect::kCompatible}) {
    const Outcome outcome =
        read(response(429, std::string(row.body), {{"x-amzn-ErrorType", "TooManyRequestsException"}}), dialect);
    REQUIRE(std::holds_alternative<Throttled>(outcome.what));
    CHECK(std::get<Throttled>(outcome.what).reason == row.reason);
  }
}

TEST_CASE("an exception of Lambda keeps its status, its name and its sentence") {
  struct Row {
    int status;
    std::string_view error_type, body, expected;
  };
  const auto row = GENERATE(values<Row>({
      {404, "ResourceNotFoundException", R"({"Type":"User","Message":"Function not found: arn:x"})",
       "service_error 404 ResourceNotFoundException Function not found: arn:x"},
      {400, "InvalidRequestContentException:http://internal.amazon.com/coral/com.amazonaws.awsgirapi/",
       R"({"Type":"User","message":"Could not parse request body into json"})",
       "service_error 400 InvalidRequestContentException Could not parse request body into json"},
      {413, "RequestEntityTooLargeException",
       R"({"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"})",
       "service_error 413 RequestEntityTooLargeException Request must be smaller than 6291456 bytes for the "
       "InvokeFunction operation"},
      {403, "AccessDeniedException", R"({"Message":"User: P is not authorized"})",
       "service_error 403 AccessDeniedException User: P is not authorized"},
      {500, "ServiceException", R"({"Type":"Service","Message":"An error occurred"})",
       "service_error 500 ServiceException An error occurred"},
      {502, "InvalidRuntimeException", R"({"Type":"User","Message":"no such runtime","errorType":"x"})",
       "service_error 502 InvalidRuntimeException no such runtime"},
      {400, "", R"({"__type":"com.amazonaws.lambda#ValidationException","message":"1 validation error"})",
       "service_error 400 ValidationException 1 validation error"},
      {503, "", R"({"message":"down for a moment"})", "service_error 503 ServiceException down for a moment"},
      {503, "ServiceUnavailableException", "",
       "service_error 503 ServiceUnavailableException http://rie:8080 answered "
       "status 503, ServiceUnavailableException"},
      {403, "ExpiredTokenException", "<not json>",
       "service_error 403 ExpiredTokenException http://rie:8080 answered "
       "status 403, ExpiredTokenException"},
  }));
  Fields headers;
  if (!row.error_type.empty()) headers.emplace_back("x-amzn-errortype", std::string(row.error_type));
  for (const Dialect dialect : {Dialect::kLambda, Dialect::kCompatible})
    CHECK(line(read(response(row.status, std::string(row.body), headers), dialect)) == row.expected);
}

TEST_CASE("a sentence of a server is kept to a length, at a character's border") {
  const std::string kept(999, 'x');
  std::string body = R"({"message":")";
  body.append(kept).append("ü").append(5000, 'y').append("\"}");
  const Outcome outcome = read(response(500, body, {{"x-amzn-ErrorType", "ServiceException"}}));
  std::string expected = kept;
  expected.append(" ...");
  CHECK(std::get<ServiceFailed>(outcome.what).message == expected);
}

TEST_CASE("RIE's bare status codes: 400 while it is busy, 502 with the error of a runtime that died") {
  CHECK(line(read(response(400, ""))) == "throttle ConcurrentInvocationLimitExceeded");
  CHECK(
      line(read(
          response(502, R"({"errorType":"Runtime.ExitError","errorMessage":"RequestId: x Error: exit status 1"})"))) ==
      R"(function_error Runtime.ExitError {"errorType":"Runtime.ExitError","errorMessage":"RequestId: x Error: exit status 1"})");
  CHECK(line(read(response(504, ""))) ==
        "service_error 502 ServiceException http://rie:8080 answered status 504 with an empty body, which is no answer "
        "of "
        "Lambda's Invoke API; is it the address of such a server?");
  SECTION("of Lambda itself they mean nothing of the kind") {
    CHECK(kind(read(response(400, ""), Dialect::kLambda)) == "service_error");
    CHECK(kind(read(response(502, R"({"errorType":"x","errorMessage":"y"})"), Dialect::kLambda)) == "service_error");
  }
}

TEST_CASE("what does not speak the Invoke API is told by its address") {
  struct Row {
    int status;
    std::string_view type, body, words;
  };
  const auto row = GENERATE(values<Row>({
      {200, "text/html; charset=utf-8", "<!doctype html><title>Welcome</title>", "status 200 with a web page"},
      {200, "", "  \n<html></html>", "status 200 with a web page"},
      {200, "text/html", "It works!", "status 200 with a web page"},
      {404, "text/plain; charset=utf-8", "404 page not found\n", "status 404 with a body of type text/plain"},
      {404, "", "what?", "status 404 with a body of no type"},
      {502, "text/html", "<html>Bad Gateway</html>", "status 502 with a web page"},
      {500, "application/json", "{}", "status 500 with a body of type application/json"},
      {500, "application/json", "[1", "status 500 with a body of type application/json"},
      {202, "", "", "status 202 with an empty body"},
      {204, "", "", "status 204 with an empty body"},
      {101, "", "", "status 101 with an empty body"},
  }));
  Fields headers;
  if (!row.type.empty()) headers.emplace_back("Content-Type", std::string(row.type));
  const Outcome outcome = read(response(row.status, std::string(row.body), headers));
  CHECK(line(outcome).starts_with("service_error 502 ServiceException http://rie:8080 answered " +
                                  std::string(row.words)));
}

TEST_CASE("a function that returns a page through Lambda's API returns a page") {
  const std::string page = "<html>hello</html>";
  CHECK(line(read(response(200, page, kLambda))) == "success " + page);
  CHECK(line(read(response(200, R"({"a":1})", {{"Content-Type", "text/html"}}))) == R"(success {"a":1})");
}

TEST_CASE("a redirect is told with where it leads, and not followed") {
  CHECK(line(read(response(301, "", {{"Location", "https://user:word@elsewhere/x?token=1"}}))) ==
        "service_error 502 ServiceException http://rie:8080 answered status 301 and redirects to https://elsewhere/x; "
        "redirects are not followed, give the address where the function is");
  CHECK(line(read(response(304, "")))
            .starts_with("service_error 502 ServiceException http://rie:8080 answered status 304 (a redirect that "
                         "names no address)"));
}

TEST_CASE("a request carries what the API wants") {
  Invocation invocation;
  CHECK(invoke_request("http://h:9000", "function", "", invocation).url ==
        "http://h:9000/2015-03-31/functions/function/invocations");
  CHECK(invoke_request("http://h:9000/lambda/", "a b", "$LATEST", invocation).url ==
        "http://h:9000/lambda/2015-03-31/functions/a%20b/invocations?Qualifier=%24LATEST");
  CHECK(invoke_request("https://h", "arn:aws:lambda:eu-west-1:1:function:f", "live", invocation).url ==
        "https://h/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Af/invocations?Qualifier=live");

  const auto plain = invoke_request("http://h", "f", "", invocation);
  CHECK(plain.method == "POST");
  CHECK(plain.headers.get("X-Amz-Invocation-Type") == "RequestResponse");
  CHECK(plain.headers.get("Content-Type") == "application/json");
  for (const char* absent : {"X-Amz-Log-Type", "X-Amz-Client-Context", "X-Amzn-Trace-Id"})
    CHECK_FALSE(plain.headers.get(absent).has_value());

  invocation.log_tail = true;
  invocation.client_context = R"({"custom":1})";
  invocation.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
  const auto full = invoke_request("http://h", "f", "", invocation);
  CHECK(full.headers.get("X-Amz-Log-Type") == "Tail");
  CHECK(full.headers.get("X-Amz-Client-Context") == "eyJjdXN0b20iOjF9");
  CHECK(full.headers.get("X-Amzn-Trace-Id") == invocation.trace_header);

  invocation.trace_header = "Root=1\r\nX-Evil: 1";
  CHECK_FALSE(invoke_request("http://h", "f", "", invocation).headers.get("X-Amzn-Trace-Id").has_value());
}

TEST_CASE("an exchange that came to no answer is told by what happened") {
  const auto told = [](const char* words) {
    return line(no_answer(Error(ErrorCode::kHttpFailed, words), "http://h:9", 1500ms));
  };
  CHECK(told("Operation timed out after 1500 milliseconds with 0 bytes received") ==
        "service_error 504 ServiceException http://h:9 took the call and did not answer within 1.5 s");
  CHECK(told("Couldn't connect to server") ==
        "service_error 503 ServiceException http://h:9 cannot be reached (Couldn't connect to server)");
  CHECK(told("transfer closed with 5 bytes remaining to read") ==
        "service_error 502 ServiceException http://h:9 closed the connection before its answer was whole (transfer "
        "closed "
        "with 5 bytes remaining to read)");
  CHECK(told("SSL certificate problem: self-signed certificate") ==
        "service_error 502 ServiceException http://h:9 could not be asked (SSL certificate problem: self-signed "
        "certificate)");
  CHECK(told("the answer, of status 200, is larger than 6291556 bytes")
            .starts_with("function_error Function.ResponseSizeTooLarge"));
  CHECK(line(no_answer(Error(ErrorCode::kCancelled, "x"), "http://h", 1s)) == "cancelled");
}
