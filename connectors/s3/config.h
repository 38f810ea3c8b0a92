#pragma once

#include <memory>
#include <string>

#include "weir/connector.h"

#include "connectors/s3/rules.h"

namespace weir::s3 {

enum class StartingPosition { kTrimHorizon, kLatest };

struct S3Config final : SourceConfig {
  std::string bucket;
  EventRules rules;
  std::string folder;         ///< stands in for the bucket; "": only the webhook
  std::string authorization;  ///< the header that a notification must have; "": none is asked for
  std::string region;         ///< in events whose sender names none
  std::string configuration;  ///< `configurationId` of events; "": the source's name
  StartingPosition starting_position = StartingPosition::kTrimHorizon;

  const std::string& configuration_id() const { return configuration.empty() ? name : configuration; }
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::s3
