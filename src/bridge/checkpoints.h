#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "store/store.h"

namespace weir::bridge {

/// A checkpoint as `weir checkpoint list` shows it, wherever it is kept.
struct CheckpointRow {
  std::string source;
  std::string shard;
  std::optional<Position> upto;
  std::optional<WallTime> saved_at;  ///< unknown where the source keeps it
};

/// Every checkpoint of the configured sources: those of the store, and those that sources keep themselves, which are
/// asked for. What cannot be asked for comes as an error that names the source. Blocks.
Result<std::vector<CheckpointRow>> list_checkpoints(store::StateFolder& store, const config::Config& config);

/// Moves a checkpoint of a source that is not being read; without `upto` it is forgotten. An empty `shard` means all of
/// the source's, and needs `upto` to be none. Blocks.
Result<void> move_checkpoint(store::StateFolder& store, const config::SourceEntry& entry, const std::string& shard,
                             std::optional<Position> upto);

/// The source of that name, or what is told to a user who named none of the configuration.
Result<const config::SourceEntry*> find_source(const config::Config& config, const std::string& name);

}  // namespace weir::bridge
