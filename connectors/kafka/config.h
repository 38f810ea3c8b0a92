#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"
#include "weir/connector.h"

namespace weir::kafka {

/// Where a partition without a committed offset begins.
enum class StartingPosition { kTrimHorizon, kLatest, kAtTimestamp };

/// The settings of a source of type kafka, after all checks.
struct KafkaConfig final : SourceConfig {
  std::string bootstrap_servers;         ///< "HOST:PORT,HOST:PORT"
  std::string topic;                     ///< 1 to 249 characters
  std::vector<std::int32_t> partitions;  ///< read these, without group membership; empty: the whole topic, as a member
  std::string consumer_group_id;         ///< "": group() makes one of the source's name
  StartingPosition starting_position = StartingPosition::kTrimHorizon;
  std::optional<WallTime> starting_timestamp;  ///< with kAtTimestamp only
  std::string event_source_arn;                ///< given: events are those of Amazon MSK
  std::string sasl_mechanism;                  ///< "": none
  std::string sasl_username;
  std::string sasl_password;
  bool tls = false;
  std::string ca_certificate;  ///< paths; "": the system's, or none
  std::string client_certificate;
  std::string client_key;
  std::map<std::string, std::string> librdkafka;  ///< extra properties, each known to librdkafka

  EventSourceView event_source(const AwsAccess& aws) const override;
  std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const override;

  /// The consumer group whose offsets are the checkpoints.
  std::string group() const { return consumer_group_id.empty() ? "weir-" + name : consumer_group_id; }
};

/// Whether a topic may be called that.
bool is_topic_name(std::string_view name);

/// The name of a partition's shard, which is also its key in the event: "clicks-3".
std::string shard_name(std::string_view topic, std::int32_t partition);
/// The partition of such a name; nothing when it is not one of the topic.
std::optional<std::int32_t> partition_of(std::string_view topic, std::string_view shard);

}  // namespace weir::kafka
