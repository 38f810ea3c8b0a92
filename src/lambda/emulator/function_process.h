#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "lambda/emulator/supervised_process.h"

namespace weir::emulator {

namespace net = boost::asio;

/// What a process does, told as it happens, on the executor's thread.
class ProcessEvents {
 public:
  virtual void on_output(std::string_view bytes) = 0;
  virtual void on_started() {}
  /// It could not be executed. `type`: Lambda's name of that, such as Runtime.InvalidEntrypoint.
  virtual void on_cannot_start(std::string type, std::string why) = 0;
  /// It has ended. `status`: what waitpid gave.
  virtual void on_exited(int status) = 0;

 protected:
  ~ProcessEvents() = default;
};

/// One process of an environment: started, heard (what it prints, how it ends), killed. The shell around
/// SupervisedProcess.
class FunctionProcess {
 public:
  /// `events` outlive run().
  FunctionProcess(net::any_io_executor executor, ProcessEvents& events) : executor_(executor), events_(events) {}

  /// Before run(), at a start that nobody has asked to end yet: what was asked after the last process does not hold.
  void begin() { end_asked_ = false; }
  /// Runs a process until all of it is gone. Once at a time.
  net::awaitable<void> run(ProcessPlan plan);
  /// Kills it: the one that runs, or the one that run() is about to start.
  void end();
  /// As SupervisedProcess has it; nothing when none runs.
  void freeze();
  void thaw();
  /// SIGTERM to the process itself, not to what it started; it goes on if it was frozen. False when none runs.
  bool terminate();
  /// Takes what it has printed so far; as much as a pipe holds, so that one who never stops printing is left in time.
  void drain_output();
  /// Its supervisor; 0 while nothing of it runs.
  pid_t supervisor() const { return process_ == nullptr || process_->gone() ? 0 : process_->supervisor(); }

 private:
  net::awaitable<void> read_output();
  void take_news(const ProcessNews& news, const ProcessPlan& plan);
  void forget_process();

  net::any_io_executor executor_;
  ProcessEvents& events_;
  SupervisedProcess* process_ = nullptr;             ///< on the frame of run()
  net::posix::stream_descriptor* output_ = nullptr;  ///< on the frame of run()
  int function_ = -1;                                ///< a descriptor of the process itself, from its start to its end
  bool end_asked_ = false;
};

}  // namespace weir::emulator
