#pragma once

#include "weir/connector.h"

namespace weir::dynamodb {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();

}  // namespace weir::dynamodb
