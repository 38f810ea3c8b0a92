#pragma once

#include "weir/connector.h"

namespace weir::s3 {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

}  // namespace weir::s3
