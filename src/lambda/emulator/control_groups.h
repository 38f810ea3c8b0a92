#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "weir/base/error.h"
#include "weir/base/log.h"

namespace weir::emulator {

/// Where the machine's control groups are found; tests have files of their own in its place.
struct ControlGroupPlace {
  std::string own = "/proc/self/cgroup";        ///< which group this process is in
  std::string mounts = "/proc/self/mountinfo";  ///< where the hierarchy is mounted
};

/// What an execution environment may have.
struct GroupLimits {
  std::uint64_t memory_bytes = 0;
  double processors = 0;
};

/// The control group of one environment. Gone with it, once its processes have ended.
class ControlGroup {
 public:
  ControlGroup(std::string folder, int processes) : folder_(std::move(folder)), processes_(processes) {}
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  /// A descriptor of cgroup.procs: a process that writes "0" to it is in the group, with all that it forks from then
  /// on.
  int processes() const { return processes_; }
  /// How often the kernel has killed what is in it for its memory.
  std::uint64_t memory_kills() const;
  /// From now on.
  void limit_processors(double processors) const;

 private:
  std::string folder_;
  int processes_;
};

/// The part of the machine's control groups (cgroup v2) that is weir's to divide, if there is one. For that weir has to
/// be alone in a group that its user may write to and that has the controllers memory and cpu, as with `systemd-run
/// --user --scope -p Delegate=yes weir run ...`. Since a group that is divided has no processes, weir moves to one
/// below it, beside which those of the environments are.
class ControlGroups {
 public:
  /// Looks whether that is so, and makes it so. What a weir left behind that is gone is removed.
  static ControlGroups find(const ControlGroupPlace& place = {});
  /// None, on purpose.
  static ControlGroups none(std::string reason) { return ControlGroups("", std::move(reason)); }

  bool available() const { return reason_.empty(); }
  /// Why there are none, in a sentence; "" when there are.
  const std::string& reason() const { return reason_; }
  const std::string& folder() const { return folder_; }

  /// A group with these limits. endpoint.failed when the kernel refuses one. Only when available().
  Result<std::shared_ptr<ControlGroup>> make(const GroupLimits& limits);

 private:
  ControlGroups(std::string folder, std::string reason) : folder_(std::move(folder)), reason_(std::move(reason)) {}

  std::string folder_;
  std::string reason_;
  std::uint64_t made_ = 0;
};

/// The control groups of this process, for all its functions: looked for when the first environment is started, which
/// is when it is logged what that came to.
class SharedControlGroups {
 public:
  /// `wanted`: else there are none. `log` outlives it.
  SharedControlGroups(Log& log, bool wanted, ControlGroupPlace place = {})
      : log_(log), wanted_(wanted), place_(std::move(place)) {}

  /// A group with these limits; null where none can be had.
  std::shared_ptr<ControlGroup> make(const GroupLimits& limits);
  /// What was found; nothing before the first make().
  const std::optional<ControlGroups>& found() const { return found_; }

 private:
  Log& log_;
  bool wanted_;
  ControlGroupPlace place_;
  std::optional<ControlGroups> found_;
  bool failed_ = false;
};

/// Lambda's share: 1,769 MB are one processor (gettingstarted-limits).
double processors_of(int memory_megabytes);

}  // namespace weir::emulator
