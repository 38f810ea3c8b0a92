#include "lambda/emulator/supervised_process.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lambda/emulator/memory_use.h"

namespace weir::emulator {

namespace {

namespace fs = std::filesystem;

/// Lambda's own limit on descriptors (quotas).
constexpr rlim_t kDescriptorsMax = 1024;

/// The memory that /proc/PID/cmdline shows: the supervisor writes its title there, so that a process list tells it from
/// weir, and nobody who ends weir by its command line ends the supervisors along with it.
struct TitleArea {
  char* begin = nullptr;
  std::size_t size = 0;
};

TitleArea read_title_area() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  // The name in parentheses may hold anything; behind it stand fields 3 and up. 48 and 49 are arg_start and arg_end.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::size_t at = name_end + 1;
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  for (int field = 3; field <= 49; ++field) {
    at = text.find_first_not_of(' ', at);
    if (at == std::string::npos) return {};
    if (field == 48) begin = std::strtoull(text.c_str() + at, nullptr, 10);
    if (field == 49) end = std::strtoull(text.c_str() + at, nullptr, 10);
    at = text.find(' ', at);
  }
  if (begin == 0 || end <= begin + 1) return {};
  TitleArea area;
  area.begin = reinterpret_cast<char*>(begin);
  area.size = end - begin;
  return area;
}

/// Everything the child needs, made before the fork: between fork and exec nothing may allocate, since another thread
/// may have held the allocator's lock.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::string directory;
  std::string title;
  PreparedMounts mounts;
  bool own_mounts = false;               ///< `mounts` are to be made
  const MountNamespace* join = nullptr;  ///< or these are there already
  TitleArea title_area;
  int output = -1;
  int socket = -1;
  int null = -1;
  int group = -1;  ///< cgroup.procs of the function's control group; -1: none
};

// ---- What runs in the supervisor: async-signal-safe calls only. ----

void tell(int socket, ProcessNews::Kind kind, int value) {
  ProcessNews news;
  news.kind = kind;
  news.value = value;
  // A bridge that is gone hears nothing, and the next poll ends the supervisor.
  static_cast<void>(::send(socket, &news, sizeof(news), MSG_NOSIGNAL));
}

/// Tells that the function runs, and hands weir the namespaces it runs in: weir may hear of it when nobody is in them
/// any more.
void tell_started(int socket, pid_t function) {
  ProcessNews news;
  news.kind = ProcessNews::Kind::kStarted;
  news.value = function;
  const int namespaces[2] = {::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
                             ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)};
  iovec data{&news, sizeof(news)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(namespaces))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (namespaces[0] >= 0 && namespaces[1] >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(namespaces));
    std::memcpy(CMSG_DATA(header), namespaces, sizeof(namespaces));
  }
  static_cast<void>(::sendmsg(socket, &message, MSG_NOSIGNAL));
  for (const int descriptor : namespaces) ::close(descriptor);
}

[[noreturn]] void run_function(const Prepared& plan) {
  // The supervisor has one thread, so this cannot fire too early; a parent that is gone already is found by its id.
  const pid_t supervisor = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::_exit(127);
  // Only from here on: the supervisor is weir's, and survives what the function's memory comes to.
  if (plan.group >= 0 && ::write(plan.group, "0", 1) != 1) {
    tell(plan.socket, ProcessNews::Kind::kNoGroup, errno);
    ::_exit(127);
  }
  if (::chdir(plan.directory.c_str()) != 0) {
    tell(plan.socket, ProcessNews::Kind::kChdirFailed, errno);
    ::_exit(127);
  }
  ::dup2(plan.null, STDIN_FILENO);
  ::dup2(plan.output, STDOUT_FILENO);
  ::dup2(plan.output, STDERR_FILENO);
  rlimit limit{};
  ::setrlimit(RLIMIT_CORE, &limit);
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptorsMax);
    limit.rlim_max = limit.rlim_cur;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  tell(plan.socket, ProcessNews::Kind::kExecFailed, errno);
  ::_exit(127);
}

/// Kills the supervisor's children. What they leave behind becomes its child in turn, so the caller repeats this.
void kill_children(const char* children_path, pid_t function) {
  const int file = ::open(children_path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    ::kill(function, SIGKILL);
    return;
  }
  char text[4096];
  pid_t number = 0;
  ssize_t size = 0;
  while ((size = ::read(file, text, sizeof(text))) > 0) {
    for (ssize_t i = 0; i < size; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        number = number * 10 + (text[i] - '0');
      } else if (number > 1) {
        ::kill(number, SIGKILL);
        number = 0;
      }
    }
  }
  if (number > 1) ::kill(number, SIGKILL);
  ::close(file);
}

/// Negative ones are none.
void close_descriptors_but(int a, int b, int c, int d) {
  int kept[4] = {a, b, c, d};
  std::sort(kept, kept + 4);
  unsigned first = 0;
  for (const int descriptor : kept) {
    if (descriptor < 0) continue;
    const auto number = static_cast<unsigned>(descriptor);
    if (number > first) ::close_range(first, number - 1, 0);
    first = number + 1;
  }
  ::close_range(first, ~0U, 0);
}

[[noreturn]] void supervise(Prepared& plan) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "lambda-env");
  // Before the descriptors of what is joined are closed.
  if (plan.join != nullptr ? !plan.join->join() : plan.own_mounts && !plan.mounts.make()) {
    tell(plan.socket, ProcessNews::Kind::kNoMounts, errno);
    ::_exit(1);
  }
  close_descriptors_but(plan.output, plan.socket, plan.null, plan.group);
  // The numbers of stdin, stdout and stderr stay taken, so that what is opened from here on survives the function's
  // dup2.
  for (int standard = 0; standard <= 2; ++standard) ::dup2(plan.null, standard);
  struct sigaction ordinary {};
  ordinary.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &ordinary, nullptr);
  // That a child was stopped or goes on is no news.
  ordinary.sa_flags = SA_NOCLDSTOP;
  ::sigaction(SIGCHLD, &ordinary, nullptr);
  if (plan.title_area.size > 1) {
    std::memset(plan.title_area.begin, 0, plan.title_area.size);
    std::memcpy(plan.title_area.begin, plan.title.data(), std::min(plan.title.size(), plan.title_area.size - 1));
  }

  // Signals are blocked since before the fork; children are heard of through the descriptor.
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int ended = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);

  // A pipe that exec closes: what comes out of it, or nothing, tells whether the function runs.
  int executed[2] = {-1, -1};
  if (ended < 0 || ::pipe2(executed, O_CLOEXEC) != 0) {
    tell(plan.socket, ProcessNews::Kind::kExecFailed, errno);
    ::_exit(1);
  }
  const pid_t function = ::_Fork();
  if (function == 0) run_function(plan);
  if (function < 0) {
    tell(plan.socket, ProcessNews::Kind::kExecFailed, errno);
    ::_exit(1);
  }
  ::close(executed[1]);
  ::close(plan.output);
  ::close(plan.null);
  if (plan.group >= 0) ::close(plan.group);
  char unused = 0;
  while (::read(executed[0], &unused, 1) < 0 && errno == EINTR) {
  }
  ::close(executed[0]);
  tell_started(plan.socket, function);

  char children_path[] = "/proc/self/task/0000000000/children";
  {
    char digits[16];
    std::size_t length = 0;
    for (pid_t number = ::getpid(); number > 0; number /= 10) digits[length++] = static_cast<char>('0' + number % 10);
    char* at = children_path + std::strlen("/proc/self/task/");
    while (length > 0) *at++ = digits[--length];
    std::memcpy(at, "/children", sizeof("/children"));
  }

  bool killing = false;
  for (;;) {
    pollfd watched[2] = {{ended, POLLIN, 0}, {plan.socket, POLLIN, 0}};
    // While killing, a child that was forked in between is met a moment later.
    ::poll(watched, killing ? 1 : 2, killing ? 5 : -1);
    // Whatever comes from weir means the end, and so does weir's own.
    if (!killing && watched[1].revents != 0) killing = true;
    signalfd_siginfo ignored;
    while (::read(ended, &ignored, sizeof(ignored)) > 0) {
    }
    int status = 0;
    pid_t child = 0;
    while ((child = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (child != function) continue;
      tell(plan.socket, ProcessNews::Kind::kExited, status);
      killing = true;
    }
    if (child < 0 && errno == ECHILD) ::_exit(0);
    if (killing) kill_children(children_path, function);
  }
}

// ---- What runs in weir. ----

/// What the plan names stays where it is: the program, and every path among the arguments and the environment's values.
MountPlan with_named_paths(const ProcessPlan& plan, const std::string& program) {
  MountPlan mounts = plan.mounts;
  mounts.still_there.push_back(plan.program_folder);
  mounts.still_there.push_back(program);
  for (const std::string& argument : plan.command) mounts.still_there.push_back(argument);
  for (const std::string& variable : plan.environment) {
    mounts.still_there.push_back(variable.substr(std::min(variable.size(), variable.find('=') + 1)));
  }
  return mounts;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  // execve's signature is older than const.
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

bool executable_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

/// Blocks every signal while it lives, so that none of weir's handlers runs in a child that shares its descriptors.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

Error cannot(const char* what) {
  return {ErrorCode::kEndpointFailed, std::string(what) + ": " + std::generic_category().message(errno)};
}

}  // namespace

std::optional<std::string> find_program(const std::string& program, const std::string& directory,
                                        const std::string& search_path) {
  if (program.find('/') != std::string::npos) {
    return program.front() == '/' ? program : (fs::path(directory) / program).lexically_normal().string();
  }
  for (std::size_t at = 0; at <= search_path.size();) {
    const std::size_t end = std::min(search_path.find(':', at), search_path.size());
    const std::string folder = search_path.substr(at, end - at);
    if (!folder.empty()) {
      std::string candidate = folder + "/" + program;
      if (executable_file(candidate)) return candidate;
    }
    at = end + 1;
  }
  return std::nullopt;
}

Result<SupervisedProcess> SupervisedProcess::start(const ProcessPlan& plan, int output) {
  static const TitleArea title_area = read_title_area();
  Prepared prepared;
  prepared.program =
      find_program(plan.command.front(), plan.program_folder, plan.search_path).value_or(plan.command.front());
  prepared.argv = pointers(plan.command);
  prepared.envp = pointers(plan.environment);
  prepared.directory = plan.directory;
  prepared.title = plan.title;
  prepared.title_area = title_area;
  prepared.output = output;
  if (plan.group) prepared.group = plan.group->processes();
  if (plan.shared_mounts && plan.shared_mounts->made()) {
    prepared.join = plan.shared_mounts.get();
  } else if (plan.mounts.tmp_megabytes > 0 || !plan.mounts.task.empty() || !plan.mounts.opt.empty()) {
    prepared.own_mounts = true;
    prepared.mounts = PreparedMounts(with_named_paths(plan, prepared.program));
  }

  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return cannot("no socket for a supervisor");
  prepared.socket = ends[1];
  prepared.null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_t supervisor = -1;
  if (prepared.null >= 0) {
    const SignalsBlocked blocked;
    supervisor = ::_Fork();
    if (supervisor == 0) supervise(prepared);
  }
  const int failure = errno;
  ::close(ends[1]);
  if (prepared.null >= 0) ::close(prepared.null);
  if (supervisor < 0) {
    ::close(ends[0]);
    errno = failure;
    return cannot("no process for a function");
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return SupervisedProcess(supervisor, ends[0], plan.shared_mounts, plan.group);
}

SupervisedProcess::SupervisedProcess(SupervisedProcess&& other) noexcept
    : supervisor_(std::exchange(other.supervisor_, 0)),
      socket_(std::exchange(other.socket_, -1)),
      mounts_(std::move(other.mounts_)),
      group_(std::move(other.group_)),
      stopped_(std::exchange(other.stopped_, {})) {}

SupervisedProcess& SupervisedProcess::operator=(SupervisedProcess&& other) noexcept {
  std::swap(supervisor_, other.supervisor_);
  std::swap(socket_, other.socket_);
  std::swap(mounts_, other.mounts_);
  std::swap(group_, other.group_);
  std::swap(stopped_, other.stopped_);
  return *this;
}

SupervisedProcess::~SupervisedProcess() {
  if (socket_ >= 0) ::close(socket_);
  reap();
}

std::optional<ProcessNews> SupervisedProcess::news() {
  ProcessNews news;
  int namespaces[2] = {-1, -1};
  iovec data{&news, sizeof(news)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(namespaces))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = socket_ < 0 ? 0 : ::recvmsg(socket_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size == static_cast<ssize_t>(sizeof(news))) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(namespaces))) {
      std::memcpy(namespaces, CMSG_DATA(header), sizeof(namespaces));
      // Of nobody's use but the environment's.
      MountNamespace unused;
      (mounts_ ? *mounts_ : unused).keep(namespaces[0], namespaces[1]);
    }
    return news;
  }
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) reap();
  return std::nullopt;
}

void SupervisedProcess::end() {
  if (socket_ >= 0) ::shutdown(socket_, SHUT_WR);
}

void SupervisedProcess::freeze() {
  if (supervisor_ == 0) return;
  // What is forked between two looks is met by the next one; a process that forks faster than that is no idle one.
  constexpr int kLooksMax = 4;
  for (int looks = 0; looks < kLooksMax; ++looks) {
    bool more = false;
    for (const pid_t process : processes_below(supervisor_)) {
      if (std::find(stopped_.begin(), stopped_.end(), process) != stopped_.end()) continue;
      if (::kill(process, SIGSTOP) != 0) continue;
      stopped_.push_back(process);
      more = true;
    }
    if (!more) return;
  }
}

void SupervisedProcess::thaw() {
  // Parents last: what they wait for goes on already.
  for (auto process = stopped_.rbegin(); process != stopped_.rend(); ++process) ::kill(*process, SIGCONT);
  stopped_.clear();
}

void SupervisedProcess::reap() {
  if (supervisor_ == 0) return;
  while (::waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
  }
  supervisor_ = 0;
  stopped_.clear();
}

}  // namespace weir::emulator
