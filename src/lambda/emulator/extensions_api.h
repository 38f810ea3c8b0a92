#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/random.h"
#include "weir/base/time.h"

#include "engine/environment_pool.h"
#include "http/message.h"
#include "lambda/emulator/emulator_settings.h"
#include "lambda/emulator/environment.h"

namespace weir::emulator {

/// What becomes of what extensions say.
class ExtensionEvents {
 public:
  /// One registered.
  virtual void on_extension_registered(Environment& environment, bool external) = 0;
  /// One waits for its next event.
  virtual void on_extension_ready(Environment& environment) = 0;

 protected:
  ~ExtensionEvents() = default;
};

/// The Extensions API (2020-01-01) of a function's environments. The Telemetry API (2022-07-01) and the Logs API
/// (2020-08-15) are answered as AWS's runtime interface emulator does: accepted, and nothing is ever sent.
class ExtensionsApi {
 public:
  /// All that is referred to outlives the last request.
  ExtensionsApi(net::any_io_executor executor, const EmulatorSettings& settings, ExtensionEvents& events);

  /// Whether it is a request for this API.
  static bool wants(const http::Request& request);
  net::awaitable<http::Response> handle(std::shared_ptr<Environment> environment, http::Request request);

  /// INVOKE, from what the runtime is told of the invocation.
  static std::string invoke_event(const http::Response& next);
  /// SHUTDOWN. `deadline`: by the wall clock.
  static std::string shutdown_event(engine::ShutdownReason reason, WallTime deadline);

 private:
  net::awaitable<http::Response> next(std::shared_ptr<Environment> environment, std::string id);

  net::any_io_executor executor_;
  const EmulatorSettings& settings_;
  ExtensionEvents& events_;
  Random random_;
};

}  // namespace weir::emulator
