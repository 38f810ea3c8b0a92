#pragma once

#include "weir/connector.h"

namespace weir::kinesis {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();
std::string check_checkpoint(const SourceConfig& config, std::string_view shard, const Resume& to);

}  // namespace weir::kinesis
