// A Kafka topic for the benchmarks, in a process of its own.
//
// weir-bench-topic serve TOPIC=PARTITIONS...
//   librdkafka's mock cluster with these topics. Prints HOST:PORT and serves until its standard input is closed.
// weir-bench-topic feed SERVERS TOPIC PARTITIONS COUNT INTERVAL_MS
//   Produces COUNT records to the partitions in turn, each INTERVAL_MS after the broker has taken the one before it
//   (and a little later, at random, so that it keeps no step with a reader that polls). A record's value is the wall
//   clock as it was produced, in Unix nanoseconds.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include "support/mock_kafka.h"

using namespace weir;

namespace {

constexpr int kFlushMs = 20'000;

int serve(const std::vector<std::string>& topics) {
  test::MockKafka broker;
  for (const std::string& topic : topics) {
    const std::size_t sign = topic.find('=');
    if (sign == std::string::npos) throw std::runtime_error(topic + " is not TOPIC=PARTITIONS");
    broker.create_topic(topic.substr(0, sign), std::stoi(topic.substr(sign + 1)));
  }
  std::printf("%s\n", broker.bootstrap_servers().c_str());
  std::fflush(stdout);
  char nothing;
  while (::read(STDIN_FILENO, &nothing, 1) > 0) {
  }
  return 0;
}

struct DestroyProducer {
  void operator()(rd_kafka_t* producer) const { rd_kafka_destroy(producer); }
};

int feed(const std::string& servers, const std::string& topic, int partitions, int count, int interval_ms) {
  char reason[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const std::pair<const char*, std::string> properties[] = {
      {"bootstrap.servers", servers}, {"linger.ms", "0"}, {"acks", "1"}};
  for (const auto& [property, value] : properties) {
    if (rd_kafka_conf_set(conf, property, value.c_str(), reason, sizeof reason) != RD_KAFKA_CONF_OK)
      throw std::runtime_error(reason);
  }
  const std::unique_ptr<rd_kafka_t, DestroyProducer> producer(
      rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason));
  if (!producer) throw std::runtime_error(reason);
  std::minstd_rand random(1);
  std::uniform_int_distribution<int> extra_us(0, interval_ms * 500);
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms) + std::chrono::microseconds(extra_us(random)));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::string value = std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    const auto problem = rd_kafka_producev(
        producer.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(i % partitions),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value.data(), value.size()), RD_KAFKA_V_END);
    if (problem) throw std::runtime_error(rd_kafka_err2str(problem));
    // Else the first records would wait for the connection, with their times already in them.
    if (rd_kafka_flush(producer.get(), kFlushMs)) throw std::runtime_error("a record was not taken");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() >= 2 && words[0] == "serve") return serve({words.begin() + 1, words.end()});
    if (words.size() == 6 && words[0] == "feed")
      return feed(words[1], words[2], std::stoi(words[3]), std::stoi(words[4]), std::stoi(words[5]));
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "weir-bench-topic: %s\n", problem.what());
    return 1;
  }
  std::fprintf(stderr,
               "weir-bench-topic serve TOPIC=PARTITIONS... | feed SERVERS TOPIC PARTITIONS COUNT INTERVAL_MS\n");
  return 2;
}
