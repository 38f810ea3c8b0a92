#include <algorithm>

#include <librdkafka/rdkafka.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/connector.h"

namespace weir::kafka {
namespace {

constexpr int kPatienceMs = 10'000;

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

Error error_of(rd_kafka_resp_err_t problem) {
  return Error(code_of(problem), rd_kafka_err2str(problem));
}

/// Why the first question to the cluster had no answer. librdkafka calls that a lost connection or a timeout; that the
/// cluster refuses us stands only among its events.
Error why_no_answer(const Client& client, rd_kafka_resp_err_t problem) {
  struct Destroy {
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
    void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  };
  const std::unique_ptr<rd_kafka_queue_t, Destroy> events(rd_kafka_queue_get_consumer(client.get()));
  while (const std::unique_ptr<rd_kafka_event_t, Destroy> event{rd_kafka_queue_poll(events.get(), 0)}) {
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) continue;
    Error error = connection_error(rd_kafka_event_error(event.get()), rd_kafka_event_error_string(event.get()));
    if (error.code() == ErrorCode::kSourceRefused) return error;
  }
  return error_of(problem);
}

/// All partitions of the topic, or those of the settings.
Result<PartitionList> partitions(const Client& client, const KafkaConfig& config) {
  PartitionList list(rd_kafka_topic_partition_list_new(8));
  for (const std::int32_t partition : config.partitions)
    rd_kafka_topic_partition_list_add(list.get(), config.topic.c_str(), partition);
  if (list->cnt > 0) return list;

  struct DestroyTopic {
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  };
  const std::unique_ptr<rd_kafka_topic_t, DestroyTopic> topic(
      rd_kafka_topic_new(client.get(), config.topic.c_str(), nullptr));
  const rd_kafka_metadata_t* metadata = nullptr;
  if (const auto problem = rd_kafka_metadata(client.get(), 0, topic.get(), &metadata, kPatienceMs))
    return why_no_answer(client, problem).during("asking for the partitions of " + config.topic);
  std::optional<Error> refused;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& found = metadata->topics[i];
    if (found.err) refused = error_of(found.err).during("asking for the partitions of " + config.topic);
    for (int j = 0; j < found.partition_cnt; ++j)
      rd_kafka_topic_partition_list_add(list.get(), config.topic.c_str(), found.partitions[j].id);
  }
  rd_kafka_metadata_destroy(metadata);
  if (refused) return *refused;
  rd_kafka_topic_partition_list_sort(list.get(), nullptr, nullptr);
  return list;
}

/// Where the source begins to read a partition that the group knows nothing of.
Resume beginning(const KafkaConfig& config) {
  switch (config.starting_position) {
    case StartingPosition::kLatest:
      return Resume::latest();
    case StartingPosition::kAtTimestamp:
      return Resume::at_timestamp(config.starting_timestamp.value_or(WallTime()));
    case StartingPosition::kTrimHorizon:
      break;
  }
  return Resume::trim_horizon();
}

/// The offset of the record that is read first, which may be one that is not there yet.
Result<std::int64_t> first_to_read(const Client& client, const KafkaConfig& config, std::int32_t partition,
                                   const Resume& from) {
  if (from.kind() == Resume::Kind::kShardEnd)
    return Error(ErrorCode::kSourceData, "a partition of Kafka has no end that could be its checkpoint");
  if (from.kind() == Resume::Kind::kAfter) {
    constexpr auto kMost = static_cast<std::uint64_t>(INT64_MAX) - 1;
    const auto number = from.position().number();
    if (!number || *number > kMost) return Error(ErrorCode::kSourceData, from.text() + " is no offset of Kafka");
    return static_cast<std::int64_t>(*number) + 1;
  }
  if (from.kind() == Resume::Kind::kAtTimestamp) {
    const PartitionList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t* asked = rd_kafka_topic_partition_list_add(list.get(), config.topic.c_str(), partition);
    asked->offset = epoch_milliseconds(from.time());
    if (const auto problem = rd_kafka_offsets_for_times(client.get(), list.get(), kPatienceMs))
      return error_of(problem);
    if (asked->err) return error_of(asked->err);
    if (asked->offset >= 0) return asked->offset;
    // Nothing is as young as that: the end.
  }
  std::int64_t low = 0;
  std::int64_t high = 0;
  if (const auto problem =
          rd_kafka_query_watermark_offsets(client.get(), config.topic.c_str(), partition, &low, &high, kPatienceMs))
    return error_of(problem);
  return from.kind() == Resume::Kind::kTrimHorizon ? low : high;
}

}  // namespace

Result<std::vector<SourceCheckpoint>> list_checkpoints(const SourceConfig& settings) {
  const auto& config = dynamic_cast<const KafkaConfig&>(settings);
  const auto client = Client::make(config);
  if (!client) return client.error();
  auto list = partitions(**client, config);
  if (!list) return std::move(list.error());
  if (const auto problem = rd_kafka_committed((*client)->get(), list->get(), kPatienceMs))
    return error_of(problem).during("asking for the offsets of group " + config.group());
  std::vector<SourceCheckpoint> checkpoints;
  for (int i = 0; i < (*list)->cnt; ++i) {
    const rd_kafka_topic_partition_t& partition = (*list)->elems[i];
    if (partition.err)
      return error_of(partition.err)
          .during("asking for the offset of " + shard_name(config.topic, partition.partition));
    SourceCheckpoint checkpoint{.shard = shard_name(config.topic, partition.partition), .resume = {}};
    // The group keeps what is read next.
    if (partition.offset > 0)
      checkpoint.resume = Resume::after(Position(static_cast<std::uint64_t>(partition.offset - 1)));
    else if (partition.offset == 0)
      checkpoint.resume = Resume::trim_horizon();
    checkpoints.push_back(std::move(checkpoint));
  }
  return checkpoints;
}

Result<void> move_checkpoint(const SourceConfig& settings, std::string_view shard, std::optional<Resume> to) {
  const auto& config = dynamic_cast<const KafkaConfig&>(settings);
  const std::string doing = "moving the checkpoint of " + std::string(shard);
  const auto partition = partition_of(config.topic, shard);
  if (!partition)
    return Error(ErrorCode::kSourceNotFound, "topic " + config.topic + " has no partition named " + std::string(shard))
        .during(doing);
  const auto client = Client::make(config);
  if (!client) return client.error();
  const auto known = partitions(**client, config);
  if (!known) return Error(known.error()).during(doing);
  if (rd_kafka_topic_partition_list_find(known->get(), config.topic.c_str(), *partition) == nullptr)
    return Error(ErrorCode::kSourceNotFound,
                 "topic " + config.topic + " has no partition " + std::to_string(*partition))
        .during(doing);

  // Forgetting is going back to the start, not a deleted offset: brokers before 2.4, and others that speak Kafka's
  // protocol, cannot delete one, and librdkafka 2.0.2 ends the process with a failed assertion when it asks such a one.
  const auto next = first_to_read(**client, config, *partition, to ? *to : beginning(config));
  if (!next) return Error(next.error()).during(doing);
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_t* moved = rd_kafka_topic_partition_list_add(list.get(), config.topic.c_str(), *partition);
  moved->offset = *next;
  if (const auto problem = rd_kafka_commit((*client)->get(), list.get(), 0)) return error_of(problem).during(doing);
  if (moved->err) return error_of(moved->err).during(doing);
  return {};
}

}  // namespace weir::kafka
