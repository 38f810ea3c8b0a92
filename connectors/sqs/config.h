#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/connector.h"

namespace weir::sqs {

/// What the setting `queue` says of a queue.
struct QueueName {
  QueueName() = default;

  std::string name;
  std::string url;      ///< "" unless the setting is a URL
  std::string account;  ///< of an ARN; "" otherwise
  std::string region;   ///< of an ARN, or of AWS's own URL; "": the setting does not say it

  bool fifo() const { return name.ends_with(".fifo"); }
  /// Of a URL: "http://127.0.0.1:9324".
  std::string origin() const;
};

/// Reads a queue's URL, its ARN or its name. Nothing if it is none of them.
std::optional<QueueName> parse_queue(std::string_view text);

/// The region of "arn:aws:sqs:REGION:ACCOUNT:NAME"; nothing if it is no such ARN.
std::optional<std::string> region_of_arn(std::string_view arn);

struct SqsConfig final : SourceConfig {
  QueueName queue;
  AwsAccess access;

  EventSourceView event_source(const AwsAccess& aws) const override;
  std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const override;
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::sqs
