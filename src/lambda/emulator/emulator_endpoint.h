#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/lambda_endpoint.h"

namespace weir::emulator {

/// A function that weir runs itself. The numbers have passed the configuration's checks.
struct EmulatorSettings {
  std::string name;
  std::vector<std::string> command;  ///< program and arguments; at least the program
  std::string directory;             ///< absolute; where it starts, LAMBDA_TASK_ROOT
  std::string handler;               ///< _HANDLER; "" for none
  Duration timeout = std::chrono::seconds(3);
  int memory_size = 128;                           ///< MB of resident memory, the function's descendants included
  int ephemeral_storage = 512;                     ///< MB; told to the function's owner, not enforced
  std::map<std::string, std::string> environment;  ///< a reserved name is Lambda's, except the AWS credentials
  std::string region = "us-east-1";
  std::string account = "000000000000";
  std::string folder;    ///< absolute; the environments' /tmp folders are made in it
  std::string log_file;  ///< absolute; what the function prints, with START, END, REPORT; "": none
  Duration init_timeout = std::chrono::seconds(10);  ///< Lambda's; shorter in tests
  Duration idle_limit = std::chrono::minutes(5);     ///< an unused environment is taken down after it
};

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
  /// Nothing is started before the first call. endpoint.failed when the folder or the log file cannot be made. `log`
  /// and `clock` outlive the endpoint.
  static Result<std::unique_ptr<EmulatorEndpoint>> make(net::any_io_executor executor, EmulatorSettings settings,
                                                        Log& log, const Clock& clock);
  /// close() comes first, unless the io_context runs no more. Kills what still runs.
  ~EmulatorEndpoint() override;

  net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) override;
  net::awaitable<void> close() override;

  EnvironmentCounts counts() const;

 private:
  struct State;
  explicit EmulatorEndpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir::emulator
