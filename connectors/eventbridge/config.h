#pragma once

#include <memory>
#include <string>

#include "weir/connector.h"

#include "connectors/eventbridge/input.h"

namespace weir::eventbridge {

struct EventBridgeConfig final : SourceConfig {
  std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const override;

  std::string bus;
  std::string pattern;
  InputSettings settings;
  TargetInput input;
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::eventbridge
