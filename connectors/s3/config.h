#pragma once

#include <memory>
#include <string>

#include "weir/queue_source.h"

#include "connectors/s3/object_event.h"
#include "connectors/s3/rules.h"

namespace weir::s3 {

enum class StartingPosition { kTrimHorizon, kLatest };

/// What the function gets.
enum class EventForm {
  kNotification,  ///< {"Records": [...]}, as from the bucket itself
  kEventBridge,   ///< the envelope of EventBridge, as from a rule on the default bus
};

/// Who reads queues: another connector, brought by whoever links both.
struct QueueReading {
  /// Of a setting `queue` with that text.
  std::shared_ptr<const SourceConfig> (*read)(ConfigNode& node, const std::string& queue) = nullptr;
  std::unique_ptr<QueueSource> (*make)(std::shared_ptr<const SourceConfig> queue, SourceContext context) = nullptr;
};

struct S3Config final : SourceConfig {
  std::string bucket;
  EventRules rules;
  std::string folder;      ///< stands in for the bucket; "": only the webhook
  std::string queue_name;  ///< of a queue that is polled, as it was written; "": there is none
  std::shared_ptr<const SourceConfig> queue;
  QueueReading queues;
  std::string authorization;  ///< the header that a notification must have; "": none is asked for
  std::string region;         ///< in events whose sender names none
  std::string configuration;  ///< `configurationId` of events; "": the source's name
  StartingPosition starting_position = StartingPosition::kTrimHorizon;
  EventForm form = EventForm::kNotification;
  bool unwrap = false;  ///< notifications within messages of SNS, SQS and EventBridge are looked for

  const std::string& configuration_id() const { return configuration.empty() ? name : configuration; }

  /// Whether the function is to get it, if it is of this bucket.
  bool wants(const ObjectEvent& event) const;
  /// The function's event of one that it wants.
  std::string event_text(const ObjectEvent& event) const;
  /// A bucket's own notifications may not overlap. EventBridge's rules may, and so may subscriptions of a topic, and
  /// who reads a queue, unless it is one queue.
  std::string overlap_with(const SourceConfig& other) const override;
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node, const QueueReading& queues);

}  // namespace weir::s3
