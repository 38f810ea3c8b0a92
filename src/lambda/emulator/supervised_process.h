#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "weir/base/error.h"

#include "lambda/emulator/control_groups.h"
#include "lambda/emulator/mounts.h"

namespace weir::emulator {

/// What is executed, all of it settled before the fork.
struct ProcessPlan {
  std::vector<std::string> command;      ///< at least the program; none when `missing` says why
  std::string missing;                   ///< what a runtime would need and does not find
  std::vector<std::string> environment;  ///< "NAME=value", the whole of it
  std::string directory;                 ///< where it starts; absolute, as the process sees it
  std::string program_folder;            ///< from where a program with a relative path is found, as weir sees it
  std::string title;                     ///< how its supervisor shows in a process list
  std::string search_path;               ///< PATH, for a program without a slash
  MountPlan mounts;                      ///< what it sees of the machine
  /// Those of its environment, shared with the environment's other processes and its next ones. The first process makes
  /// them, as `mounts` says; those that come when it has started take part in them. Null: of its own.
  std::shared_ptr<MountNamespace> shared_mounts;
  std::shared_ptr<ControlGroup> group;  ///< in which it runs, shared like the mounts; null: in weir's
};

/// What a supervisor says of its process.
struct ProcessNews {
  enum class Kind {
    kStarted,      ///< executed; `value` is its process id
    kChdirFailed,  ///< `value` is an errno
    kExecFailed,   ///< `value` is an errno
    kNoMounts,     ///< what it was to see of the machine could not be had; nothing was executed
    kNoGroup,      ///< its control group could not be had; `value` is an errno
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
/// The supervisor is a child subreaper, so what its descendants orphan becomes its child and is killed too.
///
/// A process that is frozen gets no processor time, its descendants neither; what it has (memory, connections) stays.
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
  /// Kill all of it, frozen or not. The supervisor goes on to tell how it went.
  void end();
  /// Stops it and its descendants where they are. A child that is forked at this moment may get away once.
  void freeze();
  /// Lets it go on. Cheap when it is not frozen.
  void thaw();
  bool frozen() const { return !stopped_.empty(); }
  pid_t supervisor() const { return supervisor_; }

 private:
  SupervisedProcess(pid_t supervisor, int socket, std::shared_ptr<MountNamespace> mounts,
                    std::shared_ptr<ControlGroup> group)
      : supervisor_(supervisor), socket_(socket), mounts_(std::move(mounts)), group_(std::move(group)) {}
  void reap();

  pid_t supervisor_ = 0;
  int socket_ = -1;
  std::shared_ptr<MountNamespace> mounts_;
  std::shared_ptr<ControlGroup> group_;
  std::vector<pid_t> stopped_;  ///< what freeze() stopped
};

/// Where a program is, as execvp would find it for a process that starts in `directory`; nothing when it is not on the
/// path.
std::optional<std::string> find_program(const std::string& program, const std::string& directory,
                                        const std::string& search_path);

}  // namespace weir::emulator
