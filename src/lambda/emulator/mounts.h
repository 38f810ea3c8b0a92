#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace weir::emulator {

/// What a process finds in place of the machine's own folders.
struct MountPlan {
  int tmp_megabytes = 0;                 ///< the size of its /tmp, in memory; 0: none of its own
  std::string task;                      ///< the folder that is its /var/task, read-only; "" for none
  std::string opt;                       ///< the folder that is its /opt, read-only; "" for none
  std::vector<std::string> still_there;  ///< paths that stay where they are, also those below the machine's /tmp
};

/// Whether a process can have mounts of its own here: for root, or where unprivileged user namespaces are permitted.
/// Tried once, by a process that ends at once.
bool private_mounts_available();

/// The mounts of an environment, which outlive each of its processes: what is in its /tmp is still there when the next
/// one starts. Gone with this and the last process that has them.
class MountNamespace {
 public:
  MountNamespace() = default;
  MountNamespace(const MountNamespace&) = delete;
  MountNamespace& operator=(const MountNamespace&) = delete;
  ~MountNamespace();

  bool made() const { return mounts_ >= 0; }
  /// Holds on to these namespaces, as a process that has them opened them (/proc/self/ns); takes the descriptors over.
  /// Those that are weir's own are left.
  void keep(int user, int mounts);
  /// In a fork of weir: takes part in them. Async-signal-safe.
  bool join() const;

 private:
  int user_ = -1;  ///< the user namespace that owns the mounts; -1: weir's own
  int mounts_ = -1;
};

/// A MountPlan with all that can be decided before the fork: between fork and exec nothing may allocate.
class PreparedMounts {
 public:
  PreparedMounts() = default;
  explicit PreparedMounts(const MountPlan& plan);

  /// In a fork of weir with one thread: makes a mount namespace and the mounts. Async-signal-safe. False when something
  /// could not be had; what is there then is for nobody to run in.
  bool make();

 private:
  struct Tree {
    std::string from;
    std::string to;
    bool read_only = false;
    int descriptor = -1;
  };
  struct Link {
    std::string target;
    std::string path;
  };

  void prepare_tmp(const MountPlan& plan);
  void prepare_var(const MountPlan& plan);

  std::string uid_map_;
  std::string gid_map_;
  std::string tmp_options_;  ///< "": the machine's /tmp stays
  bool var_ = false;         ///< a /var that has /var/task beside what the machine's has
  std::vector<std::string> folders_;
  std::vector<std::string> files_;
  std::vector<Link> links_;
  std::vector<Tree> trees_;
};

}  // namespace weir::emulator
