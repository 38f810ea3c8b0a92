#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::test {

/// A record as a test produces it. Bytes may be anything.
struct KafkaMessage {
  std::optional<std::string> key;
  std::optional<std::string> value;  ///< none: a tombstone
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<std::int64_t> timestamp_ms;  ///< none: now
};

/// A Kafka cluster in this process, on loopback: librdkafka's mock, with one broker. It keeps 5 MB a partition (the
/// newest), and answers a waiting fetch only when its time is over: give consumers a small fetch.wait.max.ms.
class MockKafka {
 public:
  MockKafka();
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  /// "127.0.0.1:PORT"
  const std::string& bootstrap_servers() const { return bootstrap_servers_; }

  void create_topic(const std::string& topic, int partitions);
  /// Returns when the broker has them all.
  void produce(const std::string& topic, std::int32_t partition, const std::vector<KafkaMessage>& messages);
  /// Values "FIRST" to "LAST" as decimal numbers, without keys.
  void produce_numbers(const std::string& topic, std::int32_t partition, int first, int last);
  /// What the group has committed of a partition: the offset it reads next. Nothing when it has committed nothing.
  std::optional<std::int64_t> committed(const std::string& group, const std::string& topic, std::int32_t partition);
  void commit(const std::string& group, const std::string& topic, std::int32_t partition, std::int64_t offset);

  /// The broker cuts all connections and takes none, until up().
  void down();
  void up();
  /// The next `count` requests of a kind (16-bit key of Kafka's protocol) get this error (its number).
  void fail_next(std::int16_t request, int error, int count);
  /// What the cluster says of a topic from now on; 0 is nothing wrong.
  void topic_error(const std::string& topic, int error);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::string bootstrap_servers_;
};

}  // namespace weir::test
