#include "lambda/emulator/environment_folder.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

namespace weir::emulator {

namespace {

namespace fs = std::filesystem;

/// A descriptor of the locked folder, or -1 when somebody else holds it.
int lock_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0 && ::flock(folder, LOCK_EX | LOCK_NB) != 0) {
    ::close(folder);
    return -1;
  }
  return folder;
}

/// A function may have taken its own rights to its folders away; then they are given back first.
void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) return;
  std::error_code ignored;
  for (auto it = fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, ignored);
       !ignored && it != fs::recursive_directory_iterator(); it.increment(ignored)) {
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    }
  }
  fs::remove_all(path, ignored);
}

void remove_leftovers(const fs::path& root, const std::string& prefix) {
  std::error_code error;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  for (const fs::path& path : found) {
    const int lock = lock_folder(path.string());
    if (lock < 0) continue;
    remove_tree(path);
    ::close(lock);
  }
}

}  // namespace

Result<EnvironmentFolder> EnvironmentFolder::make(const std::string& root, const std::string& function) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error) {
    return Error(ErrorCode::kEndpointFailed, "cannot make the folder " + root + ": " + error.message());
  }
  const std::string prefix = function + ".";
  remove_leftovers(root, prefix);
  std::string path = (fs::path(root) / (prefix + "XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) {
    return Error(ErrorCode::kEndpointFailed,
                 "cannot make a folder in " + root + ": " + std::generic_category().message(errno));
  }
  const int lock = lock_folder(path);
  if (lock < 0) return Error(ErrorCode::kEndpointFailed, "cannot lock the folder " + path);
  return EnvironmentFolder(std::move(path), lock);
}

EnvironmentFolder::EnvironmentFolder(EnvironmentFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      lock_(std::exchange(other.lock_, -1)),
      mounts_(std::exchange(other.mounts_, {})) {}

EnvironmentFolder& EnvironmentFolder::operator=(EnvironmentFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  std::swap(mounts_, other.mounts_);
  return *this;
}

EnvironmentFolder::~EnvironmentFolder() {
  if (lock_ < 0) return;
  remove_tree(path_);
  ::close(lock_);
}

std::string EnvironmentFolder::make_subfolder(const std::string& name) const {
  const fs::path path = fs::path(path_) / name;
  std::error_code ignored;
  if (fs::create_directory(path, ignored)) {
    // As /tmp is: a function that changes its user can still write there.
    fs::permissions(path, fs::perms::all | fs::perms::sticky_bit, ignored);
  }
  return path.string();
}

std::shared_ptr<MountNamespace> EnvironmentFolder::mounts_of(const std::string& name) {
  std::shared_ptr<MountNamespace>& mounts = mounts_[name];
  if (!mounts) mounts = std::make_shared<MountNamespace>();
  return mounts;
}

void EnvironmentFolder::remove_subfolder(const std::string& name) {
  mounts_.erase(name);
  remove_tree(fs::path(path_) / name);
}

}  // namespace weir::emulator
