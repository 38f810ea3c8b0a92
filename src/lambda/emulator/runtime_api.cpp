#include "lambda/emulator/runtime_api.h"

#include <string>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/bytes.h"

#include "http/streaming.h"
#include "lambda/emulator/error_documents.h"
#include "lambda/emulator/process_plan.h"
#include "lambda/emulator/stream_pace.h"

namespace weir::emulator {

using http::Request;
using http::Response;

namespace {

constexpr std::string_view kErrorType = "Lambda-Runtime-Function-Error-Type";
constexpr std::string_view kErrorBody = "Lambda-Runtime-Function-Error-Body";
/// A stream that breaks off is a runtime that ends, or one that went on without it: which one is known by then.
constexpr auto kExitGrace = std::chrono::milliseconds(100);

/// A request of the Runtime API, taken apart.
struct RuntimeCall {
  enum class What { kNext, kResponse, kError, kInitError, kUnknown };
  What what = What::kUnknown;
  std::string_view request_id;
};

RuntimeCall read_call(const Request& request) {
  constexpr std::string_view kRoot = "/2018-06-01/runtime/";
  constexpr std::string_view kInvocation = "invocation/";
  RuntimeCall call;
  std::string_view path = request.path();
  if (!path.starts_with(kRoot)) return call;
  path.remove_prefix(kRoot.size());
  const bool post = request.method == "POST";
  if (path == "init/error" && post) call.what = RuntimeCall::What::kInitError;
  if (!path.starts_with(kInvocation)) return call;
  path.remove_prefix(kInvocation.size());
  if (path == "next") {
    if (request.method == "GET") call.what = RuntimeCall::What::kNext;
    return call;
  }
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || !post) return call;
  call.request_id = path.substr(0, slash);
  const std::string_view verb = path.substr(slash + 1);
  if (verb == "response") call.what = RuntimeCall::What::kResponse;
  if (verb == "error") call.what = RuntimeCall::What::kError;
  return call;
}

Response refusal(int status, std::string_view type, std::string_view message) {
  return {status, "application/json", error_document(type, message)};
}

Response invalid_transition(std::string_view from, std::string_view to) {
  return refusal(403, "InvalidStateTransition",
                 "State transition from " + std::string(from) + " to " + std::string(to) +
                     " failed for runtime. Error: State transition is not allowed");
}

Response too_large(std::size_t limit) {
  return refusal(413, "RequestEntityTooLarge",
                 "Exceeded maximum allowed payload size (" + std::to_string(limit) + " bytes).");
}

Response accepted() {
  return {202, "application/json", "{\"status\":\"OK\"}\n"};
}

std::string arn(const EmulatorSettings& settings, const Invocation& invocation) {
  std::string text = "arn:aws:lambda:" + settings.region + ":" + settings.account + ":function:" + settings.name;
  if (!invocation.qualifier.empty()) text += ":" + invocation.qualifier;
  return text;
}

}  // namespace

RuntimeApi::RuntimeApi(net::any_io_executor executor, const EmulatorSettings& settings, const Clock& clock,
                       const engine::EnvironmentPool& pool, RuntimeEvents& events)
    : executor_(std::move(executor)),
      settings_(settings),
      clock_(clock),
      pool_(pool),
      events_(events),
      random_(seed_from_system()) {}

net::awaitable<Response> RuntimeApi::handle(std::shared_ptr<Environment> environment, Request request) {
  const RuntimeCall call = read_call(request);
  if (request.streamed_body != nullptr && call.what != RuntimeCall::What::kResponse) {
    // Only a response is streamed; anything else that says so of itself is read like the rest.
    for (;;) {
      const Result<std::string> piece = co_await request.streamed_body->read();
      if (!piece || piece->empty()) break;
      request.body_too_large = request.body_too_large || request.body.size() + piece->size() > kMaxResponseBytes;
      if (!request.body_too_large) request.body += *piece;
    }
  }
  switch (call.what) {
    case RuntimeCall::What::kNext:
      co_return co_await next(environment);
    case RuntimeCall::What::kResponse:
      if (request.streamed_body != nullptr) {
        if (auto refused = refuse_answer(*environment, call.request_id, "InvocationResponse")) co_return *refused;
        co_return co_await take_stream(environment, std::move(request));
      }
      [[fallthrough]];
    case RuntimeCall::What::kError:
      co_return take_answer(*environment, call.request_id, call.what == RuntimeCall::What::kError, request);
    case RuntimeCall::What::kInitError:
      co_return take_init_error(*environment, request);
    case RuntimeCall::What::kUnknown:
      break;
  }
  co_return Response(404, "text/plain; charset=utf-8", "404 page not found\n");
}

net::awaitable<Response> RuntimeApi::next(std::shared_ptr<Environment> environment) {
  if (environment->responding && environment->responding == pool_.call_of(environment->id) && !environment->cut_off) {
    // That its answer broke off may come to be known only now: it is told by another connection.
    environment->stream_read.expires_after(kExitGrace);
    boost::system::error_code ignored;
    co_await environment->stream_read.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  if (environment->cut_off && environment->cut_off == pool_.call_of(environment->id)) {
    // It went on without the rest of its answer.
    environment->answer = truncated(environment->request_id);
    events_.on_answer(*environment, true);
  }
  if (!pool_.may_ask(environment->id)) co_return invalid_transition("Running", "Ready");
  // A client that lost patience and asks again on another connection takes the place of its earlier request.
  if (environment->waiter != nullptr) environment->waiter->answer(invalid_transition("Ready", "Ready"));
  Waiter waiter(executor_);
  environment->waiter = &waiter;
  struct Forget {
    Environment& environment;
    Waiter* waiter;
    ~Forget() {
      if (environment.waiter == waiter) environment.waiter = nullptr;
    }
  } forget{*environment, &waiter};
  events_.on_ready(*environment);
  while (!waiter.response) {
    boost::system::error_code ignored;
    co_await waiter.woken.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  co_return std::move(*waiter.response);
}

Response RuntimeApi::next_response(Invocation& invocation, Instant deadline) {
  const Moment now = clock_.now();
  Response response(200, "application/json", std::move(invocation.payload));
  response.headers.add("Lambda-Runtime-Aws-Request-Id", invocation.request_id);
  response.headers.add("Lambda-Runtime-Deadline-Ms",
                       std::to_string(epoch_milliseconds(now.wall + (deadline - now.instant))));
  response.headers.add("Lambda-Runtime-Invoked-Function-Arn", arn(settings_, invocation));
  std::string trace = invocation.trace_header;
  if (trace.find("Root=") == std::string::npos) trace = new_trace() + (trace.empty() ? "" : ";") + trace;
  response.headers.add("Lambda-Runtime-Trace-Id", trace);
  if (!invocation.client_context.empty()) {
    response.headers.add("Lambda-Runtime-Client-Context", invocation.client_context);
  }
  return response;
}

std::optional<Response> RuntimeApi::refuse_answer(const Environment& environment, std::string_view request_id,
                                                  std::string_view state) const {
  if (request_id != environment.request_id) return refusal(400, "InvalidRequestID", "Invalid request ID");
  if (!pool_.call_of(environment.id)) return invalid_transition("Ready", state);
  if (environment.responding == pool_.call_of(environment.id)) return invalid_transition("InvocationResponse", state);
  return std::nullopt;
}

net::awaitable<Response> RuntimeApi::take_stream(std::shared_ptr<Environment> environment, Request request) {
  const auto call = pool_.call_of(environment->id);
  environment->responding = call;
  // Its invocation may be over by then, and another one be under way.
  struct Done {
    Environment& environment;
    std::optional<engine::CallId> call;
    ~Done() {
      if (environment.responding == call) environment.responding.reset();
      if (environment.cut_off == call) environment.cut_off.reset();
      environment.stream_read.cancel();
    }
  } done{*environment, call};
  const std::shared_ptr<ResponseSink> sink = events_.sink_of(*environment);
  const std::size_t limit = sink ? settings_.streaming.bytes_max : kMaxResponseBytes;
  if (sink) sink->begin({settings_.version, ""});
  StreamPace pace(settings_.streaming, clock_.now().instant);
  net::steady_timer timer(executor_);
  std::string whole;
  std::size_t size = 0;
  for (;;) {
    Result<std::string> piece = co_await request.streamed_body->read();
    if (!piece && !environment->exit_status) {
      environment->cut_off = call;
      environment->stream_read.cancel();
      timer.expires_after(kExitGrace);
      co_await timer.async_wait(net::use_awaitable);
    }
    // The invocation may have timed out meanwhile, or its caller called it off.
    if (pool_.call_of(environment->id) != call || (!piece && environment->exit_status))
      co_return invalid_transition("Ready", "InvocationResponse");
    if (!piece) {
      environment->answer = truncated(environment->request_id);
      events_.on_answer(*environment, true);
      co_return refusal(400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
    }
    if (piece->empty()) break;
    size += piece->size();
    if (size > limit) {
      environment->answer = response_too_large(limit);
      events_.on_answer(*environment, true);
      co_return too_large(limit);
    }
    if (!sink) {
      whole += *piece;
      continue;
    }
    const Duration wait = pace.on_bytes(clock_.now().instant, piece->size());
    co_await sink->write(std::move(*piece));
    if (wait > Duration::zero()) {
      timer.expires_after(wait);
      co_await timer.async_wait(net::use_awaitable);
    }
    if (pool_.call_of(environment->id) != call) co_return invalid_transition("Ready", "InvocationResponse");
  }
  end_stream(*environment, request, std::move(whole), sink != nullptr);
  co_return accepted();
}

void RuntimeApi::end_stream(Environment& environment, const Request& request, std::string whole, bool streamed) {
  const std::string type = request.streamed_body->trailer(kErrorType);
  const std::string body = request.streamed_body->trailer(kErrorBody);
  const bool error = !type.empty() || !body.empty();
  if (error) {
    FunctionFailed failed = posted_error(decode_base64(body).value_or(body), type);
    if (!type.empty()) failed.error_type = type;
    failed.in_stream = streamed;
    environment.answer = std::move(failed);
  } else {
    Succeeded succeeded;
    succeeded.payload = std::move(whole);
    environment.answer = std::move(succeeded);
  }
  events_.on_answer(environment, error);
}

Response RuntimeApi::take_answer(Environment& environment, std::string_view request_id, bool error, Request& request) {
  if (auto refused = refuse_answer(environment, request_id, error ? "InvocationErrorResponse" : "InvocationResponse")) {
    return *refused;
  }
  const auto mode = request.headers.get("Lambda-Runtime-Function-Response-Mode");
  if (!error && mode && !http::same_word(*mode, "streaming") && !http::same_word(*mode, "buffered")) {
    return refusal(400, "InvalidFunctionResponseMode", "Invalid response mode " + std::string(*mode));
  }
  if (request.body_too_large) {
    environment.answer = response_too_large(kMaxResponseBytes);
  } else if (error) {
    environment.answer = posted_error(std::move(request.body), request.headers.get(kErrorType).value_or(""));
  } else {
    // Passed through as it is, also when it is not JSON: so does Lambda.
    Succeeded succeeded;
    succeeded.payload = std::move(request.body);
    environment.answer = std::move(succeeded);
  }
  events_.on_answer(environment, error || request.body_too_large);
  if (!request.body_too_large) return accepted();
  return too_large(kMaxResponseBytes);
}

Response RuntimeApi::take_init_error(Environment& environment, Request& request) {
  if (!pool_.initializing(environment.id)) return invalid_transition("Ready", "InitError");
  if (environment.init_error) return invalid_transition("InitError", "InitError");
  environment.init_error = posted_error(std::move(request.body), request.headers.get(kErrorType).value_or(""));
  events_.on_init_error(environment);
  return accepted();
}

std::string RuntimeApi::new_trace() {
  const auto seconds = static_cast<std::uint64_t>(epoch_milliseconds(clock_.now().wall) / 1000);
  return "Root=1-" + hex(seconds, 8) + "-" + hex(random_.next(), 16) + hex(random_.next() >> 32U, 8) +
         ";Parent=" + hex(random_.next(), 16) + ";Sampled=0";
}

}  // namespace weir::emulator
