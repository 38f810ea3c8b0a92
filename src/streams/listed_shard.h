#pragma once

#include <string>
#include <vector>

namespace weir::streams {

/// A shard as the service lists it.
struct ListedShard {
  ListedShard() = default;

  std::string id;
  std::vector<std::string> parents;  ///< none, one, or the two that were merged
  bool closed = false;               ///< it has an ending sequence number
};

}  // namespace weir::streams
