#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"
#include "weir/lambda_endpoint.h"

#include "engine/environment_pool.h"
#include "http/message.h"
#include "lambda/emulator/emulator_settings.h"
#include "lambda/emulator/environment.h"

namespace weir::emulator {

/// What becomes of what a runtime says.
class RuntimeEvents {
 public:
  /// It asks for an invocation.
  virtual void on_ready(Environment& environment) = 0;
  /// Who takes the response of its invocation as it comes; null: it is wanted whole.
  virtual std::shared_ptr<ResponseSink> sink_of(const Environment& environment) = 0;
  /// It posted the answer to its invocation, which is in `environment`, or all of it has gone to its sink.
  virtual void on_answer(Environment& environment, bool failed) = 0;
  /// It posted init/error, which is in `environment`.
  virtual void on_init_error(Environment& environment) = 0;

 protected:
  ~RuntimeEvents() = default;
};

/// The Runtime API (2018-06-01) of a function's environments: takes their requests apart, refuses what Lambda refuses
/// (reference invoke.md 2.1), and tells the rest. The pool says what an environment may do.
class RuntimeApi {
 public:
  /// All that is referred to outlives the last request.
  RuntimeApi(net::any_io_executor executor, const EmulatorSettings& settings, const Clock& clock,
             const engine::EnvironmentPool& pool, RuntimeEvents& events);

  /// A request at the environment's own listener: it is about this environment and no other.
  net::awaitable<http::Response> handle(std::shared_ptr<Environment> environment, http::Request request);

  /// The answer to the `next` of whom the invocation is given to. Its payload is consumed: a call is delivered once.
  http::Response next_response(Invocation& invocation, Instant deadline);

 private:
  net::awaitable<http::Response> next(std::shared_ptr<Environment> environment);
  /// Why an answer is not taken now, if so.
  std::optional<http::Response> refuse_answer(const Environment& environment, std::string_view request_id,
                                              std::string_view state) const;
  /// Passes a streamed answer on as it comes.
  net::awaitable<http::Response> take_stream(std::shared_ptr<Environment> environment, http::Request request);
  /// Ends the invocation with what its stream came to.
  void end_stream(Environment& environment, const http::Request& request, std::string whole, bool streamed);
  http::Response take_answer(Environment& environment, std::string_view request_id, bool error, http::Request& request);
  http::Response take_init_error(Environment& environment, http::Request& request);
  std::string new_trace();

  net::any_io_executor executor_;
  const EmulatorSettings& settings_;
  const Clock& clock_;
  const engine::EnvironmentPool& pool_;
  RuntimeEvents& events_;
  Random random_;
};

}  // namespace weir::emulator
