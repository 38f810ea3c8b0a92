#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// All processes below one, found by their parents, so that sessions of their own do not hide them.
std::vector<pid_t> descendants(pid_t root) {
  std::vector<pid_t> found{root};
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string stat = file_text("/proc/" + name + "/stat");
      const std::size_t at = stat.rfind(')');
      if (at == std::string::npos || stat.size() < at + 5) continue;
      if (std::stoi(stat.substr(at + 4)) == found[i]) found.push_back(std::stoi(name));
    }
  }
  found.erase(found.begin());
  return found;
}

/// A process that can be waited for, whoever's child it is, and whatever its number is used for later.
class Watched {
 public:
  explicit Watched(pid_t pid) : pid_(pid), descriptor_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  Watched(Watched&& other) noexcept : pid_(other.pid_), descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~Watched() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  bool ends_within(int milliseconds) const {
    if (descriptor_ < 0) return true;
    pollfd ended{descriptor_, POLLIN, 0};
    return ::poll(&ended, 1, milliseconds) == 1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  int descriptor_;
};

struct Bridge {
  pid_t pid = 0;
  std::string folder;
};

/// Starts the bridge-like program in a session of its own and waits until it says that its functions run.
Bridge start_bridge() {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string program = BRIDGE_LIKE;
  std::array<char*, 2> arguments{program.data(), nullptr};
  Bridge bridge;
  REQUIRE(::posix_spawn(&bridge.pid, program.c_str(), &actions, &attributes, arguments.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(ends[1]);
  std::string said;
  char byte = 0;
  while (::read(ends[0], &byte, 1) == 1 && byte != '\n') said += byte;
  ::close(ends[0]);
  REQUIRE(said.substr(0, 6) == "ready ");
  bridge.folder = said.substr(6);
  return bridge;
}

}  // namespace

TEST_CASE("no process of a function outlives the bridge, however the bridge ends") {
  struct Row {
    const char* sentence;
    int signal;
    bool whole_group;
  };
  const auto row = GENERATE(values<Row>({
      {"killed by SIGKILL", SIGKILL, false},
      {"killed by SIGTERM", SIGTERM, false},
      {"crashed", SIGSEGV, false},
      {"its process group killed, as a terminal or a shell does", SIGKILL, true},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const Bridge bridge = start_bridge();
    std::vector<Watched> processes;
    for (const pid_t pid : descendants(bridge.pid)) processes.emplace_back(pid);
    // Two environments: a supervisor, the function, and a daemon that it forked, each.
    CHECK(processes.size() == 6);
    ::kill(row.whole_group ? -bridge.pid : bridge.pid, row.signal);
    ::waitpid(bridge.pid, nullptr, 0);
    for (const Watched& process : processes) {
      INFO("process " << process.pid());
      CHECK(process.ends_within(5000));
    }
    std::filesystem::remove_all(bridge.folder);
  }
}
