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
  std::optional<Resume> resume;
  std::optional<WallTime> saved_at;  ///< unknown where the source keeps it
};

/// Every checkpoint of the configured sources: those of the store, and those that sources keep themselves, which are
/// asked for. What cannot be asked for comes as an error that names the source. Blocks.
Result<std::vector<CheckpointRow>> list_checkpoints(store::StateFolder& store, const config::Config& config);

/// Whether checkpoints of that source can be moved so, as far as that can be told without asking anybody. Error
/// config.invalid: the source has none, there can be no such shard, or the place is none to go on at.
Result<void> check_move(const config::SourceEntry& entry, const std::string& shard, const std::optional<Resume>& to);

/// Moves a checkpoint of a source that is not being read; without `to` it is forgotten. An empty `shard` means all of
/// the source's, and needs `to` to be none. It has passed check_move(). Blocks.
Result<void> move_checkpoint(store::StateFolder& store, const config::SourceEntry& entry, const std::string& shard,
                             std::optional<Resume> to);

/// What happens next to a shard of that source whose checkpoint was moved: "the next record read is the one behind
/// 1041". An empty `shard`: to all of them.
std::string what_follows(const config::SourceEntry& entry, const std::string& shard, const std::optional<Resume>& to);

/// The source of that name, or what is told to a user who named none of the configuration.
Result<const config::SourceEntry*> find_source(const config::Config& config, const std::string& name);

}  // namespace weir::bridge
