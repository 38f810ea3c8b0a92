#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/base/time.h"
#include "weir/event/invocation.h"

#include "engine/environment_pool.h"
#include "http/server.h"
#include "lambda/emulator/extension_set.h"
#include "lambda/emulator/function_log.h"
#include "lambda/emulator/function_process.h"
#include "lambda/emulator/platform_lines.h"

namespace weir::emulator {

/// A runtime or an extension that waits for what comes next.
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
  /// An extension's process was started.
  virtual void on_extension_started(Environment& environment) = 0;
  /// An extension's process has ended or could not be started. `type` and `why` are Lambda's words.
  virtual void on_extension_ended(Environment& environment, std::string type, std::string why) = 0;

 protected:
  ~EnvironmentOwner() = default;
};

/// The process of an external extension.
struct ExtensionProcess final : private ProcessEvents {
  ExtensionProcess(Environment& whose, const std::string& path, net::any_io_executor executor,
                   FunctionLog& function_log, EnvironmentOwner& owner);

  std::string path;
  std::string name;  ///< of its file
  FunctionProcess process;
  LogStream log;
  bool started = false;
  bool ended = false;

 private:
  void on_output(std::string_view bytes) override;
  void on_started() override;
  void on_cannot_start(std::string type, std::string why) override;
  void on_exited(int status) override;
  void end(std::string type, std::string why);

  Environment& environment_;
  EnvironmentOwner& owner_;
};

/// One execution environment, and what the engine does not need to know of it.
struct Environment final : private ProcessEvents {
  /// `log_stream`: what its part of the function's log is called, whatever process it has.
  Environment(engine::EnvironmentId number, net::any_io_executor executor, FunctionLog& function_log,
              std::string log_stream, EnvironmentOwner& owner);

  /// Forgets what the process before this one came to.
  void begin_start();
  /// What it holds in memory, extensions included, is added to its peak; nothing while it has no process.
  void look_at_memory(Instant now);
  /// Nothing of it gets processor time any more, or all of it does again.
  void freeze();
  void thaw();
  /// Gives the event to an extension, now or when it asks.
  void tell(const Extension& extension, std::string event);

  engine::EnvironmentId id;
  LogStream log;
  FunctionProcess process;
  std::string folder;                        ///< the name of its own /tmp in the function's folder
  std::shared_ptr<ControlGroup> group;       ///< of the processes that run, shared with them; null: none
  std::unique_ptr<http::Server> server;      ///< of the process that runs
  Waiter* waiter = nullptr;                  ///< owned by the handler of `next`
  std::string request_id;                    ///< of the invocation that the process was given last
  std::optional<Outcome::What> answer;       ///< what it posted
  std::optional<engine::CallId> responding;  ///< of which it streams the answer; there is more to come
  std::optional<engine::CallId> cut_off;     ///< of which that broke off, and it is not yet known why
  bool exit_waits = false;                   ///< its end is told when that is read
  net::steady_timer stream_read;             ///< cancelled when it is
  std::optional<FunctionFailed> init_error;  ///< what it posted to init/error
  std::optional<int> exit_status;            ///< what waitpid gave
  std::string cannot_start_type;
  std::string cannot_start_why;
  bool out_of_memory = false;
  bool provisioned = false;           ///< it is kept ready
  bool active = false;                ///< initializing or busy: its memory is watched
  std::optional<Instant> idle_since;  ///< runtime and extensions wait, and it is not frozen yet
  std::uint64_t memory_peak = 0;
  Instant sampled_at{};
  std::optional<Report> report;               ///< not yet written
  std::optional<Instant> report_waits_since;  ///< for extensions, which are not done with the invocation
  std::optional<engine::CallId> report_call;  ///< who waits for the log's tail, and so for the report

  ExtensionSet extensions;  ///< of this start
  std::vector<std::unique_ptr<ExtensionProcess>> extension_processes;
  std::map<std::string, Waiter*> extension_waiters;  ///< by identifier; owned by the handlers of `event/next`
  std::map<std::string, std::string> undelivered;    ///< events for extensions that have not asked, by identifier
  std::string extension_error_type;                  ///< of the first extension that failed
  std::string extension_error_why;
  net::steady_timer extensions_changed;  ///< cancelled when one was started, registered or ended
  bool runtime_asked = false;            ///< since the last invocation
  bool stopping = false;                 ///< a runtime that was not started need not be

 private:
  void on_output(std::string_view bytes) override;
  void on_cannot_start(std::string type, std::string why) override;
  void on_exited(int status) override;

  EnvironmentOwner& owner_;
};

}  // namespace weir::emulator
