#include "connectors/table.h"

#include <algorithm>
#include <array>

#include "connectors/destinations/destinations.h"
#include "connectors/dynamodb/connector.h"
#include "connectors/eventbridge/connector.h"
#include "connectors/file/connector.h"
#include "connectors/kafka/connector.h"
#include "connectors/kafka/destination.h"
#include "connectors/kinesis/connector.h"
#include "connectors/logs/connector.h"
#include "connectors/s3/connector.h"
#include "connectors/schedule/connector.h"
#include "connectors/sns/connector.h"
#include "connectors/sqs/connector.h"

namespace weir {
namespace {

/// A bucket's notifications are read from a queue as the event source mapping of a queue reads it.
std::unique_ptr<SourceConfig> read_s3(ConfigNode& node) {
  return s3::read_config(node, {&sqs::read_queue, &sqs::make_source});
}

// One line per source; a new one is added here and nowhere else.
constexpr std::array kConnectors{
    ConnectorEntry{"dynamodb", Delivery::kPoll, "The stream of a DynamoDB table.", &dynamodb::read_config,
                   &dynamodb::make_source, &dynamodb::sample_event, nullptr, nullptr, nullptr, nullptr,
                   &dynamodb::check_checkpoint, &dynamodb::samples},
    ConnectorEntry{"eventbridge", Delivery::kPush, "A rule on an event bus of weir's own.", &eventbridge::read_config,
                   nullptr, &eventbridge::sample_event, nullptr, nullptr, &eventbridge::make_source, nullptr, nullptr,
                   &eventbridge::samples},
    ConnectorEntry{"file", Delivery::kPoll, "A file that stands in for a stream: JSON lines or a recording.",
                   &file::read_config, &file::make_source, &file::sample_event, nullptr, nullptr, nullptr, nullptr,
                   &file::check_checkpoint},
    ConnectorEntry{"kafka", Delivery::kPoll, "A topic of a Kafka cluster, self-managed or MSK.", &kafka::read_config,
                   &kafka::make_source, &kafka::sample_event, &kafka::list_checkpoints, &kafka::move_checkpoint,
                   nullptr, nullptr, nullptr, &kafka::samples},
    ConnectorEntry{"kinesis", Delivery::kPoll, "A Kinesis data stream, by its shards or with enhanced fan-out.",
                   &kinesis::read_config, &kinesis::make_source, &kinesis::sample_event, nullptr, nullptr, nullptr,
                   nullptr, &kinesis::check_checkpoint, &kinesis::samples},
    ConnectorEntry{"logs", Delivery::kPush, "Log events that a filter pattern wants: of files, or of PutLogEvents.",
                   &logs::read_config, nullptr, &logs::sample_event, nullptr, nullptr, &logs::make_source, nullptr,
                   nullptr, &logs::samples},
    ConnectorEntry{"s3", Delivery::kPush,
                   "A bucket's notifications, by webhook or from a queue, or a folder that stands in for a bucket.",
                   &read_s3, nullptr, &s3::sample_event, nullptr, nullptr, &s3::make_source, nullptr, nullptr,
                   &s3::samples},
    ConnectorEntry{"schedule", Delivery::kPush, "A schedule: rate(), cron() or at(), in any time zone.",
                   &scheduled::read_config, nullptr, &scheduled::sample_event, nullptr, nullptr,
                   &scheduled::make_source, nullptr, nullptr, &scheduled::samples},
    ConnectorEntry{"sns", Delivery::kPush, "A topic of weir's own, or the webhook of topics elsewhere.",
                   &sns::read_config, nullptr, &sns::sample_event, nullptr, nullptr, &sns::make_source, nullptr,
                   nullptr, &sns::samples},
    ConnectorEntry{"sqs", Delivery::kQueue, "An SQS queue, standard or FIFO.", &sqs::read_config, nullptr,
                   &sqs::sample_event, nullptr, nullptr, nullptr, &sqs::make_source, nullptr, &sqs::samples},
};
static_assert(std::ranges::is_sorted(kConnectors, {}, &ConnectorEntry::type));
static_assert(std::ranges::adjacent_find(kConnectors, {}, &ConnectorEntry::type) == kConnectors.end());

constexpr std::array kDestinations{
    DestinationEntry{"eventbridge", "an event bus's NAME or ARN", &destination::check_eventbridge,
                     &destination::make_eventbridge},
    DestinationEntry{"kafka", "TOPIC, of the source's own cluster", &kafka::check_destination,
                     &kafka::make_destination},
    DestinationEntry{"s3", "BUCKET or BUCKET/PREFIX", &destination::check_s3, &destination::make_s3},
    DestinationEntry{"sns", "a topic's NAME or ARN", &destination::check_sns, &destination::make_sns},
    DestinationEntry{"sqs", "a queue's NAME or URL", &destination::check_sqs, &destination::make_sqs},
};
static_assert(std::ranges::is_sorted(kDestinations, {}, &DestinationEntry::scheme));

constexpr std::array kServices{
    ServiceEntry{"events",
                 "eventbridge",
                 "eventbridge",
                 "AWSEvents",
                 "",
                 {},
                 {},
                 "EventBridge: event buses, rules, archives and replays.",
                 &eventbridge::make_service},
    ServiceEntry{"logs",
                 "logs",
                 "logs",
                 "Logs_20140328",
                 "",
                 {},
                 {},
                 "CloudWatch Logs: groups, streams, events, subscription filters.",
                 &logs::make_service},
    ServiceEntry{"sns", "sns", "sns", "", "2010-03-31", sns::kPaths, sns::kUnsigned,
                 "Simple Notification Service: topics, subscriptions, publishing.", &sns::make_service},
};
static_assert(std::ranges::is_sorted(kServices, {}, &ServiceEntry::name));

}  // namespace

std::span<const ConnectorEntry> connectors() {
  return kConnectors;
}

std::span<const DestinationEntry> destinations() {
  return kDestinations;
}

std::span<const ServiceEntry> services() {
  return kServices;
}

}  // namespace weir
