#include "lambda/emulator/runtime_api.h"

#include <string>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lambda/emulator/error_documents.h"
#include "lambda/emulator/process_plan.h"

namespace weir::emulator {

using http::Request;
using http::Response;

namespace {

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
  switch (call.what) {
    case RuntimeCall::What::kNext:
      co_return co_await next(environment);
    case RuntimeCall::What::kResponse:
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

Response RuntimeApi::take_answer(Environment& environment, std::string_view request_id, bool error, Request& request) {
  if (request_id != environment.request_id) return refusal(400, "InvalidRequestID", "Invalid request ID");
  if (!pool_.call_of(environment.id)) {
    return invalid_transition("Ready", error ? "InvocationErrorResponse" : "InvocationResponse");
  }
  const auto mode = request.headers.get("Lambda-Runtime-Function-Response-Mode");
  if (!error && mode && !http::same_word(*mode, "streaming") && !http::same_word(*mode, "buffered")) {
    return refusal(400, "InvalidFunctionResponseMode", "Invalid response mode " + std::string(*mode));
  }
  if (request.body_too_large) {
    environment.answer = response_too_large();
  } else if (error) {
    environment.answer =
        posted_error(std::move(request.body), request.headers.get("Lambda-Runtime-Function-Error-Type").value_or(""));
  } else {
    // Passed through as it is, also when it is not JSON: so does Lambda.
    Succeeded succeeded;
    succeeded.payload = std::move(request.body);
    environment.answer = std::move(succeeded);
  }
  events_.on_answer(environment, error || request.body_too_large);
  if (!request.body_too_large) return accepted();
  return refusal(413, "RequestEntityTooLarge",
                 "Exceeded maximum allowed payload size (" + std::to_string(kMaxResponseBytes) + " bytes).");
}

Response RuntimeApi::take_init_error(Environment& environment, Request& request) {
  if (!pool_.initializing(environment.id)) return invalid_transition("Ready", "InitError");
  if (environment.init_error) return invalid_transition("InitError", "InitError");
  environment.init_error =
      posted_error(std::move(request.body), request.headers.get("Lambda-Runtime-Function-Error-Type").value_or(""));
  events_.on_init_error(environment);
  return accepted();
}

std::string RuntimeApi::new_trace() {
  const auto seconds = static_cast<std::uint64_t>(epoch_milliseconds(clock_.now().wall) / 1000);
  return "Root=1-" + hex(seconds, 8) + "-" + hex(random_.next(), 16) + hex(random_.next() >> 32U, 8) +
         ";Parent=" + hex(random_.next(), 16) + ";Sampled=0";
}

}  // namespace weir::emulator
