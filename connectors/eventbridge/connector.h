#pragma once

#include <memory>
#include <span>
#include <string>

#include "weir/connector.h"
#include "weir/service.h"

namespace weir::eventbridge {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::unique_ptr<Service> make_service(ServiceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

}  // namespace weir::eventbridge
