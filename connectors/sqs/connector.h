#pragma once

#include "weir/queue_source.h"

namespace weir::sqs {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
/// What make_source() makes the queue of for a source of another type, which only receives and deletes. `queue`: its
/// setting of that name.
std::shared_ptr<const SourceConfig> read_queue(ConfigNode& node, const std::string& queue);
std::unique_ptr<QueueSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

}  // namespace weir::sqs
