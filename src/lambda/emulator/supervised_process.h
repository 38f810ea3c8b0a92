#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "weir/base/error.h"

namespace weir::emulator {

/// What is executed, all of it settled before the fork.
struct ProcessPlan {
  std::vector<std::string> command;      ///< at least the program
  std::vector<std::string> environment;  ///< "NAME=value", the whole of it
  std::string directory;                 ///< where it starts; absolute
  std::string title;                     ///< how its supervisor shows in a process list
  std::string search_path;               ///< PATH, for a program without a slash
  std::string tmp;                       ///< the folder that stands in for /tmp; "" for none of its own
};

/// What a supervisor says of its process.
struct ProcessNews {
  enum class Kind {
    kStarted,      ///< executed; `value` is its process id
    kChdirFailed,  ///< `value` is an errno
    kExecFailed,   ///< `value` is an errno
    kExited,       ///< ended by itself or killed; `value` is the wait status
  };
  Kind kind{};
  std::int32_t value = 0;
};

/// A process and everything it ever forks, daemons in sessions of their own included, under a supervisor: a fork of
/// weir that does nothing but wait. When the process ends, when end() is called, and when weir is gone (however it
/// went: the kernel closes weir's end of their socket), the supervisor kills every descendant, and ends when none is
/// left.
///
/// The supervisor is a child subreaper, so what its descendants orphan becomes its child and is killed too. Where a
/// mount namespace can be had (root, or unprivileged user namespaces), the process has a /tmp of its own.
class SupervisedProcess {
 public:
  /// Forks. `output`: what becomes the process's stdout and stderr. endpoint.failed when weir may not fork.
  static Result<SupervisedProcess> start(const ProcessPlan& plan, int output);
  SupervisedProcess(SupervisedProcess&& other) noexcept;
  SupervisedProcess& operator=(SupervisedProcess&& other) noexcept;
  /// end(), and waits; it takes milliseconds.
  ~SupervisedProcess();

  /// Readable when there is news, and when everything has ended.
  int descriptor() const { return socket_; }
  /// The next news, without waiting. Nothing: none yet, or (gone() says which) there will be none.
  std::optional<ProcessNews> news();
  /// Everything has ended and the supervisor was reaped.
  bool gone() const { return supervisor_ == 0; }
  /// Kill all of it. The supervisor goes on to tell how it went.
  void end();
  pid_t supervisor() const { return supervisor_; }

 private:
  SupervisedProcess(pid_t supervisor, int socket) : supervisor_(supervisor), socket_(socket) {}
  void reap();

  pid_t supervisor_ = 0;
  int socket_ = -1;
};

/// Where a program is, as execvp would find it for a process that starts in `directory`; nothing when it is not on the
/// path.
std::optional<std::string> find_program(const std::string& program, const std::string& directory,
                                        const std::string& search_path);

/// Whether processes can have a /tmp of their own here. Tried once, by a process that ends at once.
bool private_tmp_available();

}  // namespace weir::emulator
