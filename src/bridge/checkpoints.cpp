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
    if (!each.resume) continue;
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
  return Error(ErrorCode::kSourceNotFound,
               "no source " + name + " is configured; there is " + (known.empty() ? "none" : known));
}

Result<std::vector<CheckpointRow>> list_checkpoints(store::StateFolder& store, const config::Config& config) {
  std::vector<CheckpointRow> rows;
  auto stored = store.list_checkpoints();
  if (!stored) return std::move(stored.error());
  for (store::StoredCheckpoint& each : *stored)
    rows.push_back({each.shard.source, each.shard.name, std::move(each.resume), each.saved_at});
  for (const config::SourceEntry& entry : config.sources) {
    if (entry.connector->list_checkpoints == nullptr) continue;
    auto kept = entry.connector->list_checkpoints(*entry.settings);
    if (!kept) return std::move(kept.error()).during("listing the checkpoints of " + entry.name);
    for (SourceCheckpoint& each : *kept) rows.push_back({entry.name, each.shard, std::move(each.resume), std::nullopt});
  }
  return rows;
}

Result<void> check_move(const config::SourceEntry& entry, const std::string& shard, const std::optional<Resume>& to) {
  const auto refused = [&](const std::string& sentence) { return Error(ErrorCode::kConfigInvalid, sentence); };
  const std::string what = entry.name + " (" + std::string(entry.connector->type) + ")";
  switch (entry.connector->delivery) {
    case Delivery::kPoll:
      break;
    case Delivery::kQueue:
      return refused(what + " has no checkpoints: what is not done stays in the queue itself");
    case Delivery::kPush:
      return refused(what + " has no checkpoints: what it accepted waits in weir's own queue until it is done");
  }
  if (!to) return {};
  if (shard.empty()) return refused("a position is one shard's: say which of " + what);
  if (to->kind() == Resume::Kind::kShardEnd) {
    return refused("SHARD_END is what weir remembers of a shard that ended; a checkpoint cannot be set to it");
  }
  if (to->kind() == Resume::Kind::kAtTimestamp && to->time() > SystemClock().now().wall) {
    return refused(iso_milliseconds(to->time()) + " is in the future");
  }
  if (entry.connector->check_checkpoint == nullptr) return {};
  const std::string sentence = entry.connector->check_checkpoint(*entry.settings, shard, *to);
  if (!sentence.empty()) return refused(entry.name + ": " + sentence);
  return {};
}

std::string what_follows(const config::SourceEntry& entry, const std::string& shard, const std::optional<Resume>& to) {
  // Then what LATEST is was found when it was moved, and a shard's starting position is its own affair.
  const bool kept_by_source = entry.connector->move_checkpoint != nullptr;
  if (!to) {
    if (shard.empty() || kept_by_source) return "forgotten, read from its starting position";
    return "forgotten, read from its oldest record; from the source's starting position if no other shard of " +
           entry.name + " has a checkpoint";
  }
  switch (to->kind()) {
    case Resume::Kind::kAfter:
      return "the next record read is the one behind " + to->position().text();
    case Resume::Kind::kTrimHorizon:
      return "read from the oldest record there is";
    case Resume::Kind::kLatest:
      return kept_by_source ? "read from behind the newest record there is now"
                            : "read from behind the newest record there is when reading begins";
    case Resume::Kind::kAtTimestamp:
      return "read from the first record that came at " + iso_milliseconds(to->time()) + " or later";
    case Resume::Kind::kShardEnd:
      return "not read any more";
  }
  return "";
}

Result<void> move_checkpoint(store::StateFolder& store, const config::SourceEntry& entry, const std::string& shard,
                             std::optional<Resume> to) {
  if (entry.connector->move_checkpoint != nullptr) {
    if (shard.empty()) return forget_all(entry);
    auto moved = entry.connector->move_checkpoint(*entry.settings, shard, std::move(to));
    if (!moved) return std::move(moved.error()).during("moving a checkpoint of " + entry.name);
    return moved;
  }
  const ShardId id{entry.name, shard};
  if (to) return store.set_checkpoint(id, *to);
  auto forgotten = store.reset_checkpoints(entry.name, shard);
  if (!forgotten) return std::move(forgotten.error());
  if (*forgotten == 0) {
    return Error(ErrorCode::kSourceNotFound,
                 (shard.empty() ? entry.name : id.text()) + " has no checkpoint; `weir checkpoint list` shows all");
  }
  return {};
}

}  // namespace weir::bridge
