#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "weir/base/error.h"

namespace weir::package {

constexpr std::size_t kLayersMax = 5;

/// endpoint.failed when a layer is not there, or there are too many of them. What is in them is not looked at.
Result<void> check_layers(const std::vector<std::string>& layers);

struct PreparedLayers {
  std::string opt;  ///< one folder with what all layers hold; "" without layers
  /// What was unpacked stays as long as these are held.
  std::vector<std::shared_ptr<const void>> held;
};

/// A folder in which zips of layers are unpacked, each under its content's hash, once. May be used by several threads,
/// and by several processes as long as none of them cleans it.
class LayerCache {
 public:
  /// That of the folder; shared by all who ask for it, so that one sees what another uses.
  static std::shared_ptr<LayerCache> of(const std::string& folder);
  explicit LayerCache(std::string folder) : folder_(std::move(folder)) {}

  /// What is to be /opt; later layers win. A layer is a folder or a .zip. A single layer is used where it lies; several
  /// are copied together into `merged`, which is emptied before. Blocks. The errors of check_layers(); endpoint.failed
  /// when a layer is no zip, or when they are larger than Lambda allows.
  Result<PreparedLayers> prepare(const std::vector<std::string>& layers, const std::string& merged);
  /// Removes what nobody holds. Blocks.
  void clean();

 private:
  std::shared_ptr<const void> hold(const std::string& name);
  Result<std::string> unpacked(const std::string& path, PreparedLayers& prepared);

  std::string folder_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const void>> held_;  ///< by the names of folders in the cache
};

/// The names of the external extensions that layers bring: what is executable in `opt`/extensions, sorted.
std::vector<std::string> extensions_in(const std::string& opt);

}  // namespace weir::package
