#include "aws/run_program.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace weir::aws {
namespace {

/// How long a wait goes on before `stop` is looked at.
constexpr auto kGlance = std::chrono::milliseconds(50);

Error failed(std::string message) {
  return {ErrorCode::kEndpointFailed, std::move(message)};
}

class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void close() {
    if (number >= 0) ::close(number);
    number = -1;
  }
  int number = -1;
};

/// What posix_spawn is told; freed in any case.
struct SpawnPlan {
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

/// A process that was started: killed with its group unless it was waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (waited_) return;
    ::kill(-pid_, SIGKILL);
    int ignored = 0;
    while (::waitpid(pid_, &ignored, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// How it ended; nothing while it runs.
  std::optional<int> ended() {
    int status = 0;
    const pid_t found = ::waitpid(pid_, &status, WNOHANG);
    if (found == 0 || (found < 0 && errno == EINTR)) return std::nullopt;
    waited_ = true;
    return status;
  }

 private:
  pid_t pid_;
  bool waited_ = false;
};

Result<pid_t> start(const std::vector<std::string>& arguments, int output) {
  SpawnPlan plan;
  ::posix_spawn_file_actions_addopen(&plan.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&plan.actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&plan.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Ours are CLOEXEC; libraries' and those that weir was started with need not be.
  ::posix_spawn_file_actions_addclosefrom_np(&plan.actions, STDERR_FILENO + 1);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&plan.attributes, &none);
  ::posix_spawnattr_setsigdefault(&plan.attributes, &all);
  ::posix_spawnattr_setpgroup(&plan.attributes, 0);
  ::posix_spawnattr_setflags(&plan.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> words = arguments;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv.front(), &plan.actions, &plan.attributes, argv.data(), environ);
  if (error != 0) return failed(arguments.front() + " cannot be started: " + std::strerror(error));
  return pid;
}

}  // namespace

Result<std::string> run_program(const std::vector<std::string>& arguments, Duration timeout,
                                const std::atomic<bool>& stop, std::size_t output_max) {
  WEIR_ASSERT(!arguments.empty());
  using Time = std::chrono::steady_clock;
  const Time::time_point end = Time::now() + timeout;
  Descriptor mine;
  Descriptor its;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("no pipe for " + arguments.front());
  mine.number = ends[0];
  its.number = ends[1];
  const Result<pid_t> pid = start(arguments, its.number);
  if (!pid) return pid.error();
  Child child(*pid);
  its.close();

  std::string output;
  std::optional<int> status;
  bool open = true;
  while (!status) {
    if (stop) return Error(ErrorCode::kCancelled, arguments.front() + " was ended, because weir stops");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Time::now());
    if (left.count() <= 0) return failed(arguments.front() + " did not end in time and was killed");
    if (!open) {
      // It closed its output, and is about to end.
      status = child.ended();
      if (!status) std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(5)));
      continue;
    }
    pollfd waiting{mine.number, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, kGlance).count()));
    if (ready <= 0) continue;
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(mine.number, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) open = false;
    if (count > 0) output.append(bytes.data(), static_cast<std::size_t>(count));
    if (output.size() > output_max)
      return failed(arguments.front() + " printed more than " + std::to_string(output_max) + " bytes and was killed");
  }
  if (WIFSIGNALED(*status))
    return failed(arguments.front() + " was ended by signal " + std::to_string(WTERMSIG(*status)));
  if (WEXITSTATUS(*status) != 0)
    return failed(arguments.front() + " ended with exit status " + std::to_string(WEXITSTATUS(*status)));
  return output;
}

}  // namespace weir::aws
