#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/connector.h"

namespace weir::dynamodb {

/// The settings of a table's stream. Either `table` or `stream_arn` is given.
struct DynamodbConfig final : SourceConfig {
  std::string table;       ///< whose newest stream is looked up when reading begins
  std::string stream_arn;  ///< the stream itself
  Resume starting_position = Resume::trim_horizon();
  AwsAccess access;

  EventSourceView event_source(const AwsAccess& aws) const override;
  std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const override;
};

/// The region in "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL"; nothing when the text is no such ARN.
std::optional<std::string> region_of_stream(std::string_view arn);

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::dynamodb
