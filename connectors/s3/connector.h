#pragma once

#include "weir/connector.h"

#include "connectors/s3/config.h"

namespace weir::s3 {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node, const QueueReading& queues);
std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

}  // namespace weir::s3
