#include "lambda/emulator/function_process.h"

#include <cctype>
#include <cerrno>
#include <system_error>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/task_scope.h"

namespace weir::emulator {

namespace {

/// Closes a descriptor that nobody took over.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (number_ >= 0) ::close(release());
  }

 private:
  int number_;
};

/// "chdir /nowhere: no such file or directory": the words of Go's os package, which Lambda's messages are made of.
std::string go_error(const char* doing, const std::string& path, int error) {
  std::string reason = std::generic_category().message(error);
  if (!reason.empty()) reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  return std::string(doing) + " " + path + ": " + reason;
}

}  // namespace

net::awaitable<void> FunctionProcess::run(ProcessPlan plan) {
  // Also when this coroutine is cancelled: nobody refers to what lies on its frame any more.
  struct Detach {
    FunctionProcess& self;
    ~Detach() {
      self.process_ = nullptr;
      self.output_ = nullptr;
      self.forget_process();
    }
  } detach{*this};
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    events_.on_cannot_start("Sandbox.Failure", "no pipe: " + std::generic_category().message(errno));
    co_return;
  }
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  if (plan.command.empty()) {
    events_.on_cannot_start("Runtime.InvalidEntrypoint", plan.missing);
    co_return;
  }
  if (!find_program(plan.command.front(), plan.program_folder, plan.search_path)) {
    events_.on_cannot_start("Runtime.InvalidEntrypoint",
                            "exec: \"" + plan.command.front() + "\": executable file not found in $PATH");
    co_return;
  }
  auto made = SupervisedProcess::start(plan, write_end.get());
  if (!made) {
    events_.on_cannot_start("Sandbox.Failure", made.error().message());
    co_return;
  }
  write_end.close();
  SupervisedProcess process = std::move(made.value());
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  Descriptor news_end(::fcntl(process.descriptor(), F_DUPFD_CLOEXEC, 0));
  if (news_end.get() < 0) {
    events_.on_cannot_start("Sandbox.Failure", "no descriptor: " + std::generic_category().message(errno));
    co_return;
  }
  net::posix::stream_descriptor output(executor_, read_end.release());
  net::posix::stream_descriptor news(executor_, news_end.release());
  process_ = &process;
  output_ = &output;
  if (end_asked_) process.end();

  runtime::TaskScope reading(executor_);
  reading.spawn(read_output());
  while (!process.gone()) {
    boost::system::error_code error;
    co_await news.async_wait(net::posix::stream_descriptor::wait_read, net::redirect_error(net::use_awaitable, error));
    if (error) break;
    while (const auto heard = process.news()) take_news(*heard, plan);
  }
  drain_output();
  reading.cancel();
  co_await reading.join();
}

void FunctionProcess::end() {
  end_asked_ = true;
  if (process_ != nullptr) process_->end();
}

void FunctionProcess::freeze() {
  if (process_ != nullptr) process_->freeze();
}

void FunctionProcess::thaw() {
  if (process_ != nullptr) process_->thaw();
}

bool FunctionProcess::terminate() {
  thaw();
  return function_ >= 0 && ::syscall(SYS_pidfd_send_signal, function_, SIGTERM, nullptr, 0) == 0;
}

void FunctionProcess::forget_process() {
  if (function_ >= 0) ::close(std::exchange(function_, -1));
}

void FunctionProcess::take_news(const ProcessNews& news, const ProcessPlan& plan) {
  switch (news.kind) {
    case ProcessNews::Kind::kStarted:
      function_ = static_cast<int>(::syscall(SYS_pidfd_open, news.value, 0));
      events_.on_started();
      break;
    case ProcessNews::Kind::kChdirFailed:
      events_.on_cannot_start("Runtime.InvalidWorkingDir", go_error("chdir", plan.directory, news.value));
      break;
    case ProcessNews::Kind::kExecFailed:
      events_.on_cannot_start("Runtime.InvalidEntrypoint", go_error("fork/exec", plan.command.front(), news.value));
      break;
    case ProcessNews::Kind::kNoMounts:
      events_.on_cannot_start("Sandbox.Failure", "its view of the machine could not be made: " +
                                                     std::generic_category().message(news.value));
      break;
    case ProcessNews::Kind::kNoGroup:
      events_.on_cannot_start("Sandbox.Failure",
                              "its control group cannot be had: " + std::generic_category().message(news.value));
      break;
    case ProcessNews::Kind::kExited:
      forget_process();
      drain_output();
      events_.on_exited(news.value);
      break;
  }
}

net::awaitable<void> FunctionProcess::read_output() {
  while (output_ != nullptr) {
    boost::system::error_code error;
    co_await output_->async_wait(net::posix::stream_descriptor::wait_read,
                                 net::redirect_error(net::use_awaitable, error));
    if (error || output_ == nullptr) co_return;
    char bytes[16384];
    const ssize_t size = ::read(output_->native_handle(), bytes, sizeof(bytes));
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) co_return;
    if (size > 0) events_.on_output(std::string_view(bytes, static_cast<std::size_t>(size)));
  }
}

void FunctionProcess::drain_output() {
  if (output_ == nullptr) return;
  char bytes[16384];
  for (int rounds = 0; rounds < 8; ++rounds) {
    const ssize_t size = ::read(output_->native_handle(), bytes, sizeof(bytes));
    if (size <= 0) return;
    events_.on_output(std::string_view(bytes, static_cast<std::size_t>(size)));
  }
}

}  // namespace weir::emulator
