#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/aws_access.h"
#include "weir/connector.h"
#include "weir/event/resume.h"

namespace weir::kinesis {

/// The settings of a Kinesis stream.
struct KinesisConfig final : SourceConfig {
  std::string stream_name;
  std::string stream_arn;    ///< "": the service is asked for it
  std::string consumer_arn;  ///< "": shards are read with GetRecords, not with enhanced fan-out
  AwsAccess access;
  Resume starting_position = Resume::trim_horizon();

  EventSourceView event_source(const AwsAccess& aws) const override;
  std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const override;
};

/// An ARN of a stream or of a consumer taken apart.
struct StreamArn {
  StreamArn() = default;

  std::string partition;  ///< "aws"
  std::string region;
  std::string account;
  std::string stream_name;
  std::string stream_arn;    ///< of a consumer's ARN that of its stream
  std::string consumer_arn;  ///< "" of a stream's ARN
};

/// Reads "arn:aws:kinesis:REGION:ACCOUNT:stream/NAME" or "....:stream/NAME/consumer/CONSUMER:NUMBER". Nothing if it is
/// anything else.
std::optional<StreamArn> parse_stream_arn(std::string_view text);

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::kinesis
