#include "bridge/checkpoints.h"

#include <algorithm>

namespace weir::bridge {
namespace {

/// Of a source that keeps its checkpoints itself.
Result<void> forget_all(const config::SourceEntry& entry) {
  const std::string doing = "forgetting the checkpoints of " + entry.name;
  auto kept = entry.connector->list_checkpoints(*entry.settings);
  if (!kept) return std::move(kept.error()).during(doing);
  for (const SourceCheckpoint& each : *kept) {
    if (!each.upto) continue;
    auto forgotten = entry.connector->move_checkpoint(*entry.settings, each.shard, std::nullopt);
    if (!forgotten) return std::move(forgotten.error()).during(doing);
  }
  return {};
}

}  // namespace

Result<const config::SourceEntry*> find_source(const config::Config& config, const std::string& name) {
  const auto found =
      std::find_if(config.sources.begin(), config.sources.end(), [&](const auto& each) { return each.name == name; });
  if (found != config.sources.end()) return &*found;
  std::string known;
  for (const config::SourceEntry& entry : config.sources) known += (known.empty() ? "" : ", ") + entry.name;
  return Error(ErrorCode::kConfigInvalid,
               "no source " + name + " is configured; there is " + (known.empty() ? "none" : known));
}

Result<std::vector<CheckpointRow>> list_checkpoints(store::StateFolder& store, const config::Config& config) {
  std::vector<CheckpointRow> rows;
  auto stored = store.list_checkpoints();
  if (!stored) return std::move(stored.error());
  for (store::StoredCheckpoint& each : *stored)
    rows.push_back({each.shard.source, each.shard.name, std::move(each.upto), each.saved_at});
  for (const config::SourceEntry& entry : config.sources) {
    if (entry.connector->list_checkpoints == nullptr) continue;
    auto kept = entry.connector->list_checkpoints(*entry.settings);
    if (!kept) return std::move(kept.error()).during("listing the checkpoints of " + entry.name);
    for (SourceCheckpoint& each : *kept) rows.push_back({entry.name, each.shard, std::move(each.upto), std::nullopt});
  }
  return rows;
}

Result<void> move_checkpoint(store::StateFolder& store, const config::SourceEntry& entry, const std::string& shard,
                             std::optional<Position> upto) {
  if (entry.connector->move_checkpoint != nullptr) {
    if (shard.empty()) return forget_all(entry);
    auto moved = entry.connector->move_checkpoint(*entry.settings, shard, std::move(upto));
    if (!moved) return std::move(moved.error()).during("moving a checkpoint of " + entry.name);
    return moved;
  }
  const ShardId id{entry.name, shard};
  if (upto) return store.set_checkpoint(id, *upto);
  auto forgotten = store.reset_checkpoints(entry.name, shard);
  if (!forgotten) return std::move(forgotten.error());
  if (*forgotten == 0) return Error(ErrorCode::kSourceNotFound, id.text() + " has no checkpoint");
  return {};
}

}  // namespace weir::bridge
