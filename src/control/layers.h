#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weir::control {

inline constexpr std::size_t kMaxLayers = 5;

/// A version of a layer, as its ARN names it.
struct LayerVersionName {
  std::string name;
  std::string version;
  std::string region;
  bool here = false;  ///< it is of this region and account
};
/// Nothing when it is not such an ARN.
std::optional<LayerVersionName> parse_layer_version(const std::string& arn);

/// Under which name a layer's content is kept beside the functions' code: no function that the API makes has a dot in
/// its name.
inline std::string owner_of_layer(std::string_view name) {
  return "layer." + std::string(name);
}

}  // namespace weir::control
