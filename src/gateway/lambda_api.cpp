#include "gateway/lambda_api.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "bridge/invoker.h"
#include "control/api.h"
#include "control/function_name.h"
#include "gateway/aws_error.h"
#include "gateway/http_date.h"
#include "gateway/paths.h"
#include "gateway/response_pipe.h"
#include "gateway/streamed_answer.h"
#include "gateway/trace_header.h"
#include "http/uri.h"
#include "runtime/task_scope.h"

namespace weir::gateway {
namespace {

using control::FunctionName;
using control::is_qualifier;
using control::kFunctionNamePattern;
using control::parse_function_name;
using control::Validation;
using http::Request;
using http::Response;

/// InvokeAsync, which AWS has given up on, kept the limit of its day.
constexpr std::size_t kMaxInvokeAsyncBytes = 262'144;
constexpr std::size_t kMaxClientContextBytes = 3'583;
constexpr std::size_t kMaxNamespacedName = 256;
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxQualifier = 128;

constexpr std::string_view kTooLarge = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";

struct Understood {
  InvokeCall call;
  std::optional<AwsError> error;
};

std::string_view header(const Request& request, std::string_view name) {
  return request.headers.get(name).value_or("");
}

std::string qualified_arn(const std::string& function, const std::string& qualifier) {
  return bridge::function_arn(function) + ":" + (qualifier.empty() ? "$LATEST" : qualifier);
}

/// Why nothing may be invoked under this name from here, if so.
std::optional<AwsError> out_of_reach(const FunctionName& name, std::string_view text) {
  if (!name.region.empty() && name.region != kLocalRegion) {
    return AwsError(
        404, "ResourceNotFoundException",
        "Functions from '" + name.region + "' are not reachable in this region ('" + std::string(kLocalRegion) + "')");
  }
  if (!name.account.empty() && name.account != kLocalAccount) {
    const std::string arn = text.starts_with("arn:") ? std::string(text)
                                                     : "arn:aws:lambda:" + std::string(kLocalRegion) + ":" +
                                                           name.account + ":function:" + name.name;
    return AwsError(403, "AccessDeniedException",
                    "User: arn:aws:iam::" + std::string(kLocalAccount) +
                        ":root is not authorized to perform: lambda:InvokeFunction on resource: " + arn +
                        " because no resource-based policy allows the lambda:InvokeFunction action");
  }
  return std::nullopt;
}

Understood understand(const Request& request, std::string_view name_segment, InvokeCall::Operation operation) {
  Understood out;
  out.call.operation = operation;
  Validation validation;
  const std::string text = segment_meaning(name_segment);
  const std::optional<FunctionName> name = parse_function_name(text);
  if (!name) {
    validation.mistake(text, "functionName",
                       "Member must satisfy regular expression pattern: " + std::string(kFunctionNamePattern));
  } else if (text.size() > kMaxNamespacedName) {
    validation.mistake(text, "functionName", "Member must have length less than or equal to 256");
  }
  std::string qualifier;
  if (operation == InvokeCall::Operation::kInvokeAsync) {  // which has neither types nor a qualifier
    out.call.kind = InvokeCall::Kind::kEvent;
  } else {
    if (const auto fields = http::parse_query(request.query(), http::Plus::kSpace)) {
      const auto found = std::find_if(fields->begin(), fields->end(), [](auto& f) { return f.first == "Qualifier"; });
      if (found != fields->end()) qualifier = found->second;
    } else {
      qualifier = request.query();  // an escape that is none: no qualifier has a percent sign
    }
    if (qualifier.size() > kMaxQualifier) {
      validation.mistake(qualifier, "qualifier", "Member must have length less than or equal to 128");
    } else if (!qualifier.empty() && !is_qualifier(qualifier)) {
      validation.mistake(qualifier, "qualifier", "Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+");
    }
    const bool streaming = operation == InvokeCall::Operation::kInvokeWithResponseStream;
    const std::string_view type = header(request, "X-Amz-Invocation-Type");
    if (type == "Event" && !streaming) {
      out.call.kind = InvokeCall::Kind::kEvent;
    } else if (type == "DryRun") {
      out.call.kind = InvokeCall::Kind::kDryRun;
    } else if (!type.empty() && type != "RequestResponse") {
      validation.mistake(type, "invocationType",
                         streaming ? "Member must satisfy enum value set: [RequestResponse, DryRun]"
                                   : "Member must satisfy enum value set: [Event, RequestResponse, DryRun]");
    }
    const std::string_view log = header(request, "X-Amz-Log-Type");
    out.call.log_tail = log == "Tail";
    if (!log.empty() && log != "Tail" && log != "None")
      validation.mistake(log, "logType", "Member must satisfy enum value set: [None, Tail]");
  }
  out.error = validation.error();
  if (out.error) return out;
  if (name->name.size() > kMaxName) {
    Validation length;
    length.mistake(name->name, "functionName", "Member must have length less than or equal to 64");
    out.error = AwsError(400, "InvalidParameterValueException", length.sentence());
  } else if (auto unreachable = out_of_reach(*name, text)) {
    out.error = std::move(unreachable);
  } else if (!qualifier.empty() && !name->qualifier.empty() && qualifier != name->qualifier) {
    out.error = AwsError(400, "InvalidParameterValueException",
                         "The derived qualifier from the function name does not match the specified qualifier.");
  }
  out.call.function = name->name;
  out.call.qualifier = qualifier.empty() ? name->qualifier : qualifier;
  return out;
}

std::optional<AwsError> too_large(const Request& request, const InvokeCall& call) {
  const std::size_t size = request.body_too_large ? request.body_bytes : request.body.size();
  if (call.kind != InvokeCall::Kind::kEvent) {
    if (!request.body_too_large && size <= kMaxRequestBytes) return std::nullopt;
    return AwsError(413, "RequestEntityTooLargeException", std::string(kTooLarge));
  }
  const std::size_t limit =
      call.operation == InvokeCall::Operation::kInvokeAsync ? kMaxInvokeAsyncBytes : kMaxAsyncRequestBytes;
  if (!request.body_too_large && size <= limit) return std::nullopt;
  return AwsError(413, "RequestEntityTooLargeException",
                  std::to_string(size) + " byte payload is too large for the Event invocation type (limit " +
                      std::to_string(limit) + " bytes)");
}

AwsError unreadable(std::string message) {
  return {400, "InvalidRequestContentException", std::move(message)};
}

/// The JSON of an X-Amz-Client-Context; nothing when it is none.
std::optional<std::string> client_context(std::string_view encoded) {
  std::string padded(encoded);
  while (padded.size() % 4 != 0) padded += '=';
  auto json = decode_base64(padded);
  if (!json || !is_json(*json) || !std::string_view(*json).substr(json->find_first_not_of(" \t\r\n")).starts_with('{'))
    return std::nullopt;
  return json;
}

AwsError refused_event(const Error& error) {
  if (error.code() == ErrorCode::kEventRefused) return unreadable(error.message());
  // Where the store is and what it is made of is not the caller's business: the log says it.
  return {500, "ServiceException",
          error.code() == ErrorCode::kCancelled
              ? "The event was not accepted, because weir is starting or stopping."
              : "The event was not accepted (" + std::string(weir::text(error.code())) + ")."};
}

AwsError no_such_operation(const Request& request, const std::vector<std::string_view>& parts) {
  if (parts.size() < 2 || !is_api_version(parts[0]) || !is_api_resource(parts[1])) {
    return {404, "UnknownOperationException", "There is no such operation here."};
  }
  return control::not_served(request.method, request.path());
}

}  // namespace

Response LambdaApi::refuse(const AwsError& error, const std::string& request_id) {
  deps_.log.debug("request.refused", {{"request_id", request_id}, {"status", error.status}, {"type", error.type}});
  return error_response(error);
}

net::awaitable<Response> LambdaApi::answer(Request request, const std::string& request_id) {
  const std::string path(request.path());
  const auto parts = path_segments(path);
  const std::string_view operation = parts.size() == 4 && parts[1] == "functions" ? parts[3] : std::string_view();
  InvokeCall::Operation asked{};
  if (operation == "invocations" && parts[0] == "2015-03-31") {
    asked = InvokeCall::Operation::kInvoke;
  } else if (operation == "invoke-async" && parts[0] == "2014-11-13") {
    asked = InvokeCall::Operation::kInvokeAsync;
  } else if (operation == "response-streaming-invocations" && parts[0] == "2021-11-15") {
    asked = InvokeCall::Operation::kInvokeWithResponseStream;
  } else {
    co_return refuse(no_such_operation(request, parts), request_id);
  }
  if (request.method != "POST") {
    Response response = refuse({405, "UnknownOperationException", "This operation takes POST."}, request_id);
    response.headers.add("Allow", "POST");
    co_return response;
  }
  Understood understood = understand(request, parts[2], asked);
  if (const auto refusal = too_large(request, understood.call)) {
    co_return refuse(*refusal, request_id);
  }
  if (understood.error) co_return refuse(*understood.error, request_id);
  co_return co_await perform(understood.call, std::move(request), request_id);
}

net::awaitable<Response> LambdaApi::perform(const InvokeCall& call, Request request, const std::string& request_id) {
  if (!deps_.functions.knows(call.function, call.qualifier)) {
    if (!deps_.functions.known_are_all()) {
      co_return refuse({503, "ServiceUnavailable", "weir is starting; try again."}, request_id);
    }
    co_return refuse(
        {404, "ResourceNotFoundException", "Function not found: " + qualified_arn(call.function, call.qualifier)},
        request_id);
  }
  // An empty body is legal; the handler sees {}.
  if (request.body.empty()) request.body = "{}";
  if (!is_json(request.body)) {
    co_return refuse(unreadable("Could not parse request body into json: Could not parse payload into json: " +
                                json_complaint(request.body)),
                     request_id);
  }
  if (call.kind == InvokeCall::Kind::kDryRun) {
    Response response;
    response.status = 204;
    co_return response;
  }
  const TraceHeader trace = join_trace(header(request, "X-Amzn-Trace-Id"), deps_.clock.now().wall, random_);
  if (call.kind == InvokeCall::Kind::kEvent) co_return co_await accept(call, std::move(request), trace, request_id);

  Invocation invocation;
  if (const std::string_view encoded = header(request, "X-Amz-Client-Context"); !encoded.empty()) {
    if (encoded.size() > kMaxClientContextBytes)
      co_return refuse(unreadable("Client context must be at most 3583 bytes of Base64."), request_id);
    auto context = client_context(encoded);
    if (!context)
      co_return refuse(unreadable("Client context must be a valid Base64-encoded JSON object."), request_id);
    invocation.client_context = std::move(*context);
  }
  invocation.function = call.function;
  invocation.qualifier = call.qualifier;
  invocation.request_id = request_id;
  invocation.payload = std::move(request.body);
  invocation.trace_header = trace.passed_on;
  invocation.log_tail = call.log_tail;
  if (call.operation == InvokeCall::Operation::kInvokeWithResponseStream && request.answer_stream != nullptr) {
    co_return co_await stream(call, std::move(invocation), *request.answer_stream, trace, request_id);
  }
  Outcome outcome = co_await deps_.functions.invoke(std::move(invocation));
  deps_.log.debug("invocation.answered",
                  {{"function", call.function}, {"request_id", request_id}, {"outcome", kind(outcome)}});
  co_return tell(std::move(outcome), call, trace, request_id);
}

net::awaitable<Response> LambdaApi::stream(const InvokeCall& call, Invocation invocation, http::AnswerStream& answer,
                                           const TraceHeader& trace, const std::string& request_id) {
  // Being called off is an outcome of the invocation, and what has to be told then is told.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  const net::any_io_executor executor = co_await net::this_coro::executor;
  const auto pipe = std::make_shared<ResponsePipe>(executor);
  invocation.response_sink = pipe;
  StreamedAnswer streamed(answer, request_id, trace.answered, http_date(deps_.clock.now().wall));
  runtime::TaskScope passing(executor);
  passing.spawn(streamed.pass_on(pipe));
  Outcome outcome = co_await deps_.functions.invoke(std::move(invocation));
  pipe->close();
  if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) {
    pipe->abandon();
    passing.cancel();
  }
  co_await passing.join();
  deps_.log.debug("invocation.answered",
                  {{"function", call.function}, {"request_id", request_id}, {"outcome", kind(outcome)}});
  Response refused;
  if (answer.begun() || std::holds_alternative<Succeeded>(outcome.what) ||
      std::holds_alternative<FunctionFailed>(outcome.what)) {
    co_await streamed.end(std::move(outcome), call.log_tail);
  } else {
    refused = tell(std::move(outcome), call, trace, request_id);
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return refused;
}

net::awaitable<Response> LambdaApi::accept(const InvokeCall& call, Request request, const TraceHeader& trace,
                                           const std::string& request_id) {
  bridge::NewEvent event;
  event.function = call.function;
  event.qualifier = call.qualifier;
  event.request_id = request_id;
  event.trace_header = trace.passed_on;
  event.payload = std::move(request.body);
  const Result<std::string> accepted = co_await deps_.functions.accept(std::move(event));
  if (!accepted) co_return refuse(refused_event(accepted.error()), request_id);
  Response response;
  response.status = 202;
  response.headers.add("x-amzn-RequestId", *accepted);
  response.headers.add("x-amzn-Remapped-Content-Length", "0");
  response.headers.add("X-Amzn-Trace-Id", trace.answered);
  co_return response;
}

Response LambdaApi::tell(Outcome outcome, const InvokeCall& call, const TraceHeader& trace,
                         const std::string& request_id) {
  if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
    AwsError error(429, "TooManyRequestsException",
                   throttled->reason == ThrottleReason::kCallerRateLimitExceeded ? "Rate exceeded" : "Rate Exceeded.");
    error.reason = weir::text(throttled->reason);
    return refuse(error, request_id);
  }
  if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) {
    AwsError error(service->status, service->type, service->message);
    // An endpoint that got no answer has no status to pass on.
    if (error.status < 400 || error.status > 599) error.status = 500;
    if (error.status == 404 && error.type == "ServiceException") {
      error.type = "ResourceNotFoundException";
      if (error.message.empty()) error.message = "Function not found: " + qualified_arn(call.function, call.qualifier);
    }
    return refuse(error, request_id);
  }
  if (std::holds_alternative<Cancelled>(outcome.what)) {
    return refuse({500, "ServiceException",
                   "weir is stopping and called the invocation off; it is not known whether the function ran."},
                  request_id);
  }
  auto* failed = std::get_if<FunctionFailed>(&outcome.what);
  Response response(
      200, "application/json",
      failed != nullptr ? std::move(failed->payload) : std::move(std::get<Succeeded>(outcome.what).payload));
  response.headers.add("x-amzn-RequestId", outcome.request_id.empty() ? request_id : outcome.request_id);
  response.headers.add("x-amzn-Remapped-Content-Length", "0");
  response.headers.add("X-Amz-Executed-Version", outcome.executed_version);
  if (failed != nullptr) response.headers.add("X-Amz-Function-Error", "Unhandled");
  if (call.log_tail) {
    std::string tail;
    append_base64(tail, outcome.log_tail);
    response.headers.add("X-Amz-Log-Result", tail);
  }
  response.headers.add("X-Amzn-Trace-Id", trace.answered);
  return response;
}

}  // namespace weir::gateway
