#pragma once

#include <map>
#include <memory>
#include <string>

#include "weir/base/error.h"

#include "lambda/emulator/mounts.h"

namespace weir::emulator {

/// The folder in which one function's environments have their /tmp, where they cannot have one in memory; and what else
/// outlives an environment's processes. Locked while its owner lives; removed with it. What a killed bridge left behind
/// is not locked any more, and is removed by the next one.
class EnvironmentFolder {
 public:
  /// Makes `root` and a folder for the function in it. endpoint.failed when that cannot be.
  static Result<EnvironmentFolder> make(const std::string& root, const std::string& function);
  EnvironmentFolder(EnvironmentFolder&& other) noexcept;
  EnvironmentFolder& operator=(EnvironmentFolder&& other) noexcept;
  ~EnvironmentFolder();

  const std::string& path() const { return path_; }
  /// Makes (or finds again) a folder in it, and says where.
  std::string make_subfolder(const std::string& name) const;
  /// With the mounts of that name.
  void remove_subfolder(const std::string& name);
  /// The mounts that the processes of an environment share; shared with those processes.
  std::shared_ptr<MountNamespace> mounts_of(const std::string& name);

 private:
  EnvironmentFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_ = -1;
  std::map<std::string, std::shared_ptr<MountNamespace>> mounts_;
};

}  // namespace weir::emulator
