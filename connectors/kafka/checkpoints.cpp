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
    return error_of(problem).during("asking for the partitions of " + config.topic);
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

Result<void> forget(const Client& client, const KafkaConfig& config, const rd_kafka_topic_partition_list_t& list) {
  struct DestroyQueue {
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  };
  struct DestroyRequest {
    void operator()(rd_kafka_DeleteConsumerGroupOffsets_t* request) const {
      rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
    }
  };
  struct DestroyEvent {
    void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  };
  const std::unique_ptr<rd_kafka_queue_t, DestroyQueue> answers(rd_kafka_queue_new(client.get()));
  const std::unique_ptr<rd_kafka_DeleteConsumerGroupOffsets_t, DestroyRequest> request(
      rd_kafka_DeleteConsumerGroupOffsets_new(config.group().c_str(), &list));
  rd_kafka_DeleteConsumerGroupOffsets_t* requests[] = {request.get()};
  rd_kafka_DeleteConsumerGroupOffsets(client.get(), requests, 1, nullptr, answers.get());
  const std::unique_ptr<rd_kafka_event_t, DestroyEvent> answer(rd_kafka_queue_poll(answers.get(), kPatienceMs));
  if (!answer) return error_of(RD_KAFKA_RESP_ERR__TIMED_OUT);
  if (const auto problem = rd_kafka_event_error(answer.get())) return error_of(problem);
  std::size_t groups = 0;
  const auto* result = rd_kafka_event_DeleteConsumerGroupOffsets_result(answer.get());
  const rd_kafka_group_result_t** group = rd_kafka_DeleteConsumerGroupOffsets_result_groups(result, &groups);
  for (std::size_t i = 0; i < groups; ++i) {
    if (const rd_kafka_error_t* problem = rd_kafka_group_result_error(group[i]))
      return error_of(rd_kafka_error_code(problem));
    const auto* deleted = rd_kafka_group_result_partitions(group[i]);
    for (int j = 0; deleted != nullptr && j < deleted->cnt; ++j)
      if (deleted->elems[j].err) return error_of(deleted->elems[j].err);
  }
  return {};
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
    SourceCheckpoint checkpoint{.shard = shard_name(config.topic, partition.partition), .upto = {}};
    // The group keeps what is read next. 0 is kept by a group that has settled nothing.
    if (partition.offset > 0) checkpoint.upto = Position(static_cast<std::uint64_t>(partition.offset - 1));
    checkpoints.push_back(std::move(checkpoint));
  }
  return checkpoints;
}

Result<void> move_checkpoint(const SourceConfig& settings, std::string_view shard, std::optional<Position> upto) {
  const auto& config = dynamic_cast<const KafkaConfig&>(settings);
  const std::string doing = "moving the checkpoint of " + std::string(shard);
  const auto partition = partition_of(config.topic, shard);
  if (!partition)
    return Error(ErrorCode::kSourceNotFound, "topic " + config.topic + " has no partition named " + std::string(shard))
        .during(doing);
  constexpr auto kNone = static_cast<std::uint64_t>(INT64_MAX);
  const std::uint64_t number = upto ? upto->number().value_or(kNone) : 0;
  if (number >= kNone) return Error(ErrorCode::kSourceData, upto->text() + " is no offset of Kafka").during(doing);

  const auto client = Client::make(config);
  if (!client) return client.error();
  const auto known = partitions(**client, config);
  if (!known) return Error(known.error()).during(doing);
  if (rd_kafka_topic_partition_list_find(known->get(), config.topic.c_str(), *partition) == nullptr)
    return Error(ErrorCode::kSourceNotFound,
                 "topic " + config.topic + " has no partition " + std::to_string(*partition))
        .during(doing);

  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_t* moved = rd_kafka_topic_partition_list_add(list.get(), config.topic.c_str(), *partition);
  if (!upto) {
    auto forgotten = forget(**client, config, *list);
    if (!forgotten) return std::move(forgotten.error()).during(doing);
    return {};
  }
  moved->offset = static_cast<std::int64_t>(number) + 1;
  if (const auto problem = rd_kafka_commit((*client)->get(), list.get(), 0)) return error_of(problem).during(doing);
  if (moved->err) return error_of(moved->err).during(doing);
  return {};
}

}  // namespace weir::kafka
