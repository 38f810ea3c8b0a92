#include "support/mock_kafka.h"

#include <stdexcept>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace weir::test {
namespace {

constexpr int kPatienceMs = 20'000;
constexpr std::int32_t kBroker = 1;

void set(rd_kafka_conf_t* conf, const char* property, const std::string& value) {
  char reason[512];
  if (rd_kafka_conf_set(conf, property, value.c_str(), reason, sizeof reason) != RD_KAFKA_CONF_OK)
    throw std::runtime_error(reason);
}

rd_kafka_t* make(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  char reason[512];
  rd_kafka_t* made = rd_kafka_new(type, conf, reason, sizeof reason);
  if (made == nullptr) throw std::runtime_error(reason);
  return made;
}

void quiet(const rd_kafka_t*, int, const char*, const char*) {}

void check(rd_kafka_resp_err_t problem) {
  if (problem) throw std::runtime_error(rd_kafka_err2str(problem));
}

}  // namespace

struct MockKafka::Parts {
  rd_kafka_t* producer = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;

  /// A consumer of a group that reads nothing, for its committed offsets.
  template <typename Use>
  void as_group(const std::string& group, const std::string& servers, Use use) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", servers);
    set(conf, "group.id", group);
    rd_kafka_conf_set_log_cb(conf, quiet);
    rd_kafka_t* consumer = make(RD_KAFKA_CONSUMER, conf);
    use(consumer);
    rd_kafka_destroy(consumer);
  }
};

MockKafka::MockKafka() : parts_(std::make_unique<Parts>()) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  // The cluster needs a handle to live in; the producer that fills it will do.
  set(conf, "test.mock.num.brokers", "1");
  set(conf, "message.max.bytes", "20000000");
  set(conf, "linger.ms", "0");
  set(conf, "queue.buffering.max.messages", "1000000");
  rd_kafka_conf_set_log_cb(conf, quiet);
  parts_->producer = make(RD_KAFKA_PRODUCER, conf);
  parts_->cluster = rd_kafka_handle_mock_cluster(parts_->producer);
  bootstrap_servers_ = rd_kafka_mock_cluster_bootstraps(parts_->cluster);
}

MockKafka::~MockKafka() {
  rd_kafka_destroy(parts_->producer);
}

void MockKafka::create_topic(const std::string& topic, int partitions) {
  check(rd_kafka_mock_topic_create(parts_->cluster, topic.c_str(), partitions, 1));
}

void MockKafka::produce(const std::string& topic, std::int32_t partition, const std::vector<KafkaMessage>& messages) {
  for (const KafkaMessage& message : messages) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(message.headers.size());
    for (const auto& [name, value] : message.headers)
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                          static_cast<ssize_t>(value.size()));
    const char* key = message.key ? message.key->data() : nullptr;
    const std::size_t key_size = message.key ? message.key->size() : 0;
    const char* value = message.value ? message.value->data() : nullptr;
    const std::size_t value_size = message.value ? message.value->size() : 0;
    // The headers are librdkafka's only once it has taken the message.
    const auto problem = rd_kafka_producev(
        parts_->producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(message.timestamp_ms.value_or(0)),
        RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(const_cast<char*>(value), value_size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (problem) rd_kafka_headers_destroy(headers);
    check(problem);
  }
  check(rd_kafka_flush(parts_->producer, kPatienceMs));
}

void MockKafka::produce_numbers(const std::string& topic, std::int32_t partition, int first, int last) {
  std::vector<KafkaMessage> messages;
  for (int number = first; number <= last; ++number)
    messages.push_back({.key = {}, .value = std::to_string(number), .headers = {}, .timestamp_ms = {}});
  produce(topic, partition, messages);
}

std::optional<std::int64_t> MockKafka::committed(const std::string& group, const std::string& topic,
                                                 std::int32_t partition) {
  std::int64_t offset = -1;
  parts_->as_group(group, bootstrap_servers_, [&](rd_kafka_t* consumer) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
    check(rd_kafka_committed(consumer, list, kPatienceMs));
    offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
  });
  if (offset < 0) return std::nullopt;
  return offset;
}

void MockKafka::commit(const std::string& group, const std::string& topic, std::int32_t partition,
                       std::int64_t offset) {
  parts_->as_group(group, bootstrap_servers_, [&](rd_kafka_t* consumer) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = offset;
    check(rd_kafka_commit(consumer, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
  });
}

void MockKafka::down() {
  check(rd_kafka_mock_broker_set_down(parts_->cluster, kBroker));
}
void MockKafka::up() {
  check(rd_kafka_mock_broker_set_up(parts_->cluster, kBroker));
}

void MockKafka::fail_next(std::int16_t request, int error, int count) {
  const std::vector<rd_kafka_resp_err_t> errors(static_cast<std::size_t>(count),
                                                static_cast<rd_kafka_resp_err_t>(error));
  rd_kafka_mock_push_request_errors_array(parts_->cluster, request, errors.size(), errors.data());
}

void MockKafka::topic_error(const std::string& topic, int error) {
  rd_kafka_mock_topic_set_error(parts_->cluster, topic.c_str(), static_cast<rd_kafka_resp_err_t>(error));
}

}  // namespace weir::test
