#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/lambda_endpoint.h"

#include "lambda/emulator/emulator_settings.h"

namespace weir::emulator {

/// The environments of a function, for status.
struct EnvironmentCounts {
  int starting = 0;
  int idle = 0;
  int busy = 0;
  std::uint64_t cold_starts = 0;  ///< so far
};

/// Runs a function as Lambda does: execution environments, each a process that speaks the Runtime API (2018-06-01) with
/// a listener of its own on loopback, started when a call finds none idle. Timeouts, exits, crashes, failed
/// initialization and too much memory end as Lambda's own errors. Nothing the function starts outlives the endpoint, or
/// the bridge. What it decides is in engine::EnvironmentPool; this is the shell. One executor, whose context runs in
/// one thread.
class EmulatorEndpoint final : public LambdaEndpoint {
 public:
  /// Nothing is started before the first call, or provision(). endpoint.failed when the folder or the log file cannot
  /// be made, or a layer is not there. `log` and `clock` outlive the endpoint. `blocking`: where layers are put
  /// together, which the first calls wait for; none: the executor itself. What is wrong with them then is what calls
  /// are told.
  static Result<std::unique_ptr<EmulatorEndpoint>> make(net::any_io_executor executor, EmulatorSettings settings,
                                                        Log& log, const Clock& clock,
                                                        std::optional<net::any_io_executor> blocking = std::nullopt);
  /// close() comes first, unless the io_context runs no more. Kills what still runs.
  ~EmulatorEndpoint() override;

  net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) override;
  std::vector<ColdStart> take_cold_starts() override;
  void provision(int environments) override;
  ProvisionedEnvironments provisioned() const override;
  net::awaitable<void> close() override;

  EnvironmentCounts counts() const;

 private:
  struct State;
  explicit EmulatorEndpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir::emulator
