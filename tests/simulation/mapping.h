#pragma once

#include <cstddef>
#include <set>

#include "streams/shard_lineage.h"

namespace weir::simulation {

/// One life of a mapping over a stream: which shards it may open, and has opened.
struct Mapping {
  streams::ShardLineage lineage;
  std::set<std::size_t> open;  ///< and not released
  bool stopping = false;
};

}  // namespace weir::simulation
