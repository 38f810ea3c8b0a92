#include "lambda/emulator/extensions_api.h"

#include <string_view>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/json_writer.h"

#include "lambda/emulator/error_documents.h"

namespace weir::emulator {

using http::Request;
using http::Response;

namespace {

constexpr std::string_view kRoot = "/2020-01-01/extension/";

/// Without the slash that some clients end it with.
std::string_view path_of(const Request& request) {
  std::string_view path = request.path();
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

bool is_telemetry(const Request& request) {
  const std::string_view path = path_of(request);
  return path == "/2022-07-01/telemetry" || path == "/2020-08-15/logs";
}

Response not_found() {
  return {404, "text/plain; charset=utf-8", "404 page not found\n"};
}

}  // namespace

ExtensionsApi::ExtensionsApi(net::any_io_executor executor, const EmulatorSettings& settings, ExtensionEvents& events)
    : executor_(std::move(executor)), settings_(settings), events_(events), random_(seed_from_system()) {}

bool ExtensionsApi::wants(const Request& request) {
  return request.path().starts_with(kRoot) || is_telemetry(request);
}

net::awaitable<Response> ExtensionsApi::handle(std::shared_ptr<Environment> environment, Request request) {
  if (is_telemetry(request)) {
    if (request.method != "PUT") co_return not_found();
    const bool logs = path_of(request).ends_with("logs");
    // An extension that only wants to know whether it may subscribe goes on.
    co_return Response(202, "application/json",
                       error_document(logs ? "Logs.NotSupported" : "Telemetry.NotSupported",
                                      logs ? "Logs API is not supported" : "Telemetry API is not supported"));
  }
  const std::string_view verb = path_of(request).substr(kRoot.size());
  const bool post = request.method == "POST";
  ExtensionSet& extensions = environment->extensions;
  if (verb == "register" && post) {
    const ExtensionSet::Function function{settings_.name, settings_.version, settings_.handler, settings_.account};
    Response response = extensions.register_extension(request, function, random_);
    if (response.status == 200) {
      const Extension* known =
          extensions.find(request.headers.get("Lambda-Extension-Name").value_or(std::string_view()));
      events_.on_extension_registered(*environment, known != nullptr && known->external);
    }
    co_return response;
  }
  const bool waits = verb == "event/next" && request.method == "GET";
  const bool init_error = verb == "init/error" && post;
  const bool exit_error = verb == "exit/error" && post;
  if (!waits && !init_error && !exit_error) co_return not_found();
  Response refusal;
  Extension* extension = extensions.identify(request, refusal);
  if (extension == nullptr) co_return refusal;
  if (init_error) co_return extensions.init_error(*extension, request);
  if (exit_error) co_return extensions.exit_error(*extension, request);
  if (!extensions.may_wait(*extension, refusal)) co_return refusal;
  co_return co_await next(environment, extension->id);
}

net::awaitable<Response> ExtensionsApi::next(std::shared_ptr<Environment> environment, std::string id) {
  const auto late = environment->undelivered.find(id);
  if (late != environment->undelivered.end()) {
    Response response(200, "application/json", std::move(late->second));
    environment->undelivered.erase(late);
    co_return response;
  }
  Waiter waiter(executor_);
  const auto before = environment->extension_waiters.find(id);
  // It came back on another connection.
  if (before != environment->extension_waiters.end()) {
    before->second->answer({403, "application/json",
                            error_document("Extension.InvalidExtensionState", "It asked again on another connection")});
  }
  environment->extension_waiters[id] = &waiter;
  struct Forget {
    Environment& environment;
    const std::string& id;
    Waiter* waiter;
    ~Forget() {
      const auto mine = environment.extension_waiters.find(id);
      if (mine != environment.extension_waiters.end() && mine->second == waiter) {
        environment.extension_waiters.erase(mine);
      }
    }
  } forget{*environment, id, &waiter};
  events_.on_extension_ready(*environment);
  while (!waiter.response) {
    boost::system::error_code ignored;
    co_await waiter.woken.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  co_return std::move(*waiter.response);
}

std::string ExtensionsApi::invoke_event(const Response& next) {
  const auto header = [&](std::string_view name) { return next.headers.get(name).value_or(std::string_view()); };
  std::string text;
  JsonWriter out(text);
  out.begin_object().member("eventType", "INVOKE").key("deadlineMs").raw(header("Lambda-Runtime-Deadline-Ms"));
  out.member("requestId", header("Lambda-Runtime-Aws-Request-Id"));
  out.member("invokedFunctionArn", header("Lambda-Runtime-Invoked-Function-Arn"));
  out.key("tracing").begin_object().member("type", "X-Amzn-Trace-Id");
  out.member("value", header("Lambda-Runtime-Trace-Id")).end_object().end_object();
  return text;
}

std::string ExtensionsApi::shutdown_event(engine::ShutdownReason reason, WallTime deadline) {
  std::string text;
  JsonWriter out(text);
  out.begin_object().member("eventType", "SHUTDOWN").member("deadlineMs", epoch_milliseconds(deadline));
  // In lower case, as it comes from real Lambda; the documentation has capitals.
  out.member("shutdownReason", reason == engine::ShutdownReason::kSpindown  ? "spindown"
                               : reason == engine::ShutdownReason::kTimeout ? "timeout"
                                                                            : "failure");
  out.end_object();
  return text;
}

}  // namespace weir::emulator
