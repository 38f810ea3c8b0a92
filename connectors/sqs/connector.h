#pragma once

#include "weir/queue_source.h"

namespace weir::sqs {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<QueueSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

}  // namespace weir::sqs
