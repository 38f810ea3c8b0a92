#include "lambda/emulator/mounts.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::emulator {

namespace {

namespace fs = std::filesystem;

/// What of the machine's /var is carried over; more of it would make starts slow.
constexpr std::size_t kVarEntriesMax = 64;

bool write_file(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  return written;
}

bool enter_namespace(const std::string& uid_map, const std::string& gid_map) {
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", uid_map) ||
        !write_file("/proc/self/gid_map", gid_map)) {
      return false;
    }
  }
  // What is mounted here stays here.
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool make_read_only(int descriptor, const char* path, unsigned flags) {
  struct mount_attr change {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  return ::mount_setattr(descriptor, path, flags, &change, sizeof(change)) == 0;
}

std::string id_map(unsigned id) {
  return std::to_string(id) + " " + std::to_string(id) + " 1";
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// The paths below /tmp that stay: folders, and files together with their folder, since programs come with libraries
/// beside them. A folder that holds another one keeps it too.
std::vector<std::string> kept_below_tmp(const std::vector<std::string>& named) {
  const auto is_below_tmp = [](const fs::path& path) {
    const std::string text = path.string();
    return text.size() > 5 && text.starts_with("/tmp/");
  };
  std::vector<std::string> places;
  for (fs::path path : named) {
    path = path.lexically_normal();
    if (!is_below_tmp(path)) continue;
    if (path.filename().empty()) path = path.parent_path();
    if (!is_folder(path) && is_below_tmp(path.parent_path())) path = path.parent_path();
    std::error_code error;
    if (fs::exists(path, error)) places.push_back(path.string());
  }
  std::sort(places.begin(), places.end());
  std::vector<std::string> outermost;
  for (std::string& place : places) {
    const bool held = std::any_of(outermost.begin(), outermost.end(), [&](const std::string& outer) {
      return place == outer || place.starts_with(outer + "/");
    });
    if (!held) outermost.push_back(std::move(place));
  }
  return outermost;
}

}  // namespace

bool private_mounts_available() {
  static const bool available = [] {
    MountPlan trial;
    trial.tmp_megabytes = 1;
    trial.task = "/usr";
    PreparedMounts mounts(trial);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    // None of weir's handlers shall run in a child that shares its descriptors.
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t child = ::_Fork();
    if (child == 0) ::_exit(mounts.make() ? 0 : 1);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    int status = 1;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }();
  return available;
}

MountNamespace::~MountNamespace() {
  if (user_ >= 0) ::close(user_);
  if (mounts_ >= 0) ::close(mounts_);
}

void MountNamespace::keep(int user, int mounts) {
  const auto is_weirs_own = [](int descriptor, const char* own_path) {
    struct stat theirs {};
    struct stat own {};
    return ::fstat(descriptor, &theirs) == 0 && ::stat(own_path, &own) == 0 && theirs.st_ino == own.st_ino;
  };
  if (made() || is_weirs_own(mounts, "/proc/self/ns/mnt")) {
    ::close(user);
    ::close(mounts);
    return;
  }
  mounts_ = mounts;
  user_ = user;
  if (is_weirs_own(user, "/proc/self/ns/user")) ::close(std::exchange(user_, -1));
}

bool MountNamespace::join() const {
  if (user_ >= 0 && ::setns(user_, CLONE_NEWUSER) != 0) return false;
  return ::setns(mounts_, CLONE_NEWNS) == 0;
}

PreparedMounts::PreparedMounts(const MountPlan& plan) : uid_map_(id_map(::geteuid())), gid_map_(id_map(::getegid())) {
  if (plan.tmp_megabytes > 0) prepare_tmp(plan);
  if (!plan.task.empty()) prepare_var(plan);
  if (!plan.opt.empty()) trees_.push_back({plan.opt, "/opt", true});
}

void PreparedMounts::prepare_tmp(const MountPlan& plan) {
  tmp_options_ = "mode=1777,size=" + std::to_string(plan.tmp_megabytes) + "m";
  for (std::string& place : kept_below_tmp(plan.still_there)) {
    std::vector<std::string> above;
    for (fs::path path = fs::path(place).parent_path(); path != "/tmp"; path = path.parent_path()) {
      above.push_back(path.string());
    }
    folders_.insert(folders_.end(), above.rbegin(), above.rend());
    (is_folder(place) ? folders_ : files_).push_back(place);
    trees_.push_back({place, place, false});
  }
}

/// Few machines have a /var/task, and none has it for each function: /var becomes a folder of its own, with all that
/// the machine's has.
void PreparedMounts::prepare_var(const MountPlan& plan) {
  var_ = true;
  std::error_code error;
  std::size_t entries = 0;
  for (const auto& entry : fs::directory_iterator("/var", error)) {
    const std::string path = entry.path().string();
    if (path == "/var/task" || path == "/var/runtime" || ++entries > kVarEntriesMax) continue;
    std::error_code ignored;
    if (entry.is_symlink(ignored)) {
      links_.push_back({fs::read_symlink(path, ignored).string(), path});
    } else if (entry.is_directory(ignored)) {
      folders_.push_back(path);
      trees_.push_back({path, path, false});
    }
  }
  folders_.push_back("/var/runtime");
  folders_.push_back("/var/task");
  trees_.push_back({plan.task, "/var/task", true});
  // Node looks for modules in the folders above the code, too. The nearest has to do, as /var/task has but one above.
  for (fs::path above = fs::path(plan.task).parent_path(); above != above.parent_path(); above = above.parent_path()) {
    if (!is_folder(above / "node_modules")) continue;
    folders_.push_back("/var/node_modules");
    trees_.push_back({(above / "node_modules").string(), "/var/node_modules", true});
    break;
  }
}

bool PreparedMounts::make() {
  if (!enter_namespace(uid_map_, gid_map_)) return false;
  // Taken while everything still is where it is for the machine; a folder that is not there is told of by who needs it.
  for (Tree& tree : trees_) {
    tree.descriptor = ::open_tree(AT_FDCWD, tree.from.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree.descriptor < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES) return false;
    if (tree.descriptor >= 0 && tree.read_only && !make_read_only(tree.descriptor, "", AT_EMPTY_PATH | AT_RECURSIVE)) {
      return false;
    }
  }
  constexpr unsigned long kNoDevices = MS_NODEV | MS_NOSUID;
  if (!tmp_options_.empty() && ::mount("tmpfs", "/tmp", "tmpfs", kNoDevices, tmp_options_.c_str()) != 0) return false;
  if (var_ && ::mount("tmpfs", "/var", "tmpfs", kNoDevices, "mode=755,size=64k") != 0) return false;
  for (const std::string& folder : folders_) ::mkdir(folder.c_str(), 0755);
  for (const std::string& path : files_) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0) ::close(file);
  }
  bool done = true;
  for (const Link& link : links_) done = ::symlink(link.target.c_str(), link.path.c_str()) == 0 && done;
  for (const Tree& tree : trees_) {
    if (tree.descriptor < 0) continue;
    done = ::move_mount(tree.descriptor, "", AT_FDCWD, tree.to.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0 && done;
    ::close(tree.descriptor);
  }
  return done && (!var_ || make_read_only(AT_FDCWD, "/var", 0));
}

}  // namespace weir::emulator
