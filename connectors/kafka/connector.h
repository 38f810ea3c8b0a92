#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/connector.h"

/// Apache Kafka, its own protocol (README.md): what the table of connectors needs of it.
namespace weir::kafka {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();
/// The committed offsets of the consumer group, one line a partition of the topic. Blocks for up to 10 s when no broker
/// answers.
Result<std::vector<SourceCheckpoint>> list_checkpoints(const SourceConfig& config);
/// Commits as the group's offset where reading is to go on: behind `to`'s offset, at the oldest record or behind the
/// newest one there is now, or at the first one of that time or later; without `to` where the source's starting
/// position is now. The broker refuses it while members of the group run.
Result<void> move_checkpoint(const SourceConfig& config, std::string_view shard, std::optional<Resume> to);

}  // namespace weir::kafka
