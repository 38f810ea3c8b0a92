#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/base/time.h"
#include "weir/event/invocation.h"

#include "engine/environment_pool.h"
#include "http/server.h"
#include "lambda/emulator/function_log.h"
#include "lambda/emulator/function_process.h"
#include "lambda/emulator/platform_lines.h"

namespace weir::emulator {

/// A runtime that waits for an invocation.
struct Waiter {
  explicit Waiter(net::any_io_executor executor) : woken(std::move(executor)) {
    woken.expires_at(net::steady_timer::time_point::max());
  }
  void answer(http::Response with) {
    response = std::move(with);
    woken.cancel();
  }
  net::steady_timer woken;
  std::optional<http::Response> response;
};

struct Environment;

/// Whoever has the environments hears what their processes do.
class EnvironmentOwner {
 public:
  /// Something was added to the log.
  virtual void on_logged() = 0;
  /// The function's process has ended, or (`cannot_start`) could not be executed.
  virtual void on_exited(Environment& environment, bool cannot_start) = 0;

 protected:
  ~EnvironmentOwner() = default;
};

/// One execution environment, and what the engine does not need to know of it.
struct Environment final : private ProcessEvents {
  Environment(engine::EnvironmentId number, net::any_io_executor executor, FunctionLog& function_log,
              EnvironmentOwner& owner);

  /// Forgets what the process before this one came to.
  void begin_start();
  /// What it holds in memory is added to its peak; nothing while it has no process.
  void look_at_memory(Instant now);

  engine::EnvironmentId id;
  LogStream log;
  FunctionProcess process;
  std::string folder;                        ///< the name of its own /tmp in the function's folder
  std::unique_ptr<http::Server> server;      ///< of the process that runs
  Waiter* waiter = nullptr;                  ///< owned by the handler of `next`
  std::string request_id;                    ///< of the invocation that the process was given last
  std::optional<Outcome::What> answer;       ///< what it posted
  std::optional<FunctionFailed> init_error;  ///< what it posted to init/error
  std::optional<int> exit_status;            ///< what waitpid gave
  std::string cannot_start_type;
  std::string cannot_start_why;
  bool out_of_memory = false;
  bool active = false;  ///< initializing or busy: its memory is watched
  std::uint64_t memory_peak = 0;
  Instant sampled_at{};
  std::optional<Report> report;  ///< not yet written

 private:
  void on_output(std::string_view bytes) override;
  void on_cannot_start(std::string type, std::string why) override;
  void on_exited(int status) override;

  EnvironmentOwner& owner_;
};

}  // namespace weir::emulator
