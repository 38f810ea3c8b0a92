#include <filesystem>

#include <catch2/catch.hpp>

#include "kafka/source_driver.h"
#include "support/mock_kafka.h"

using namespace weir;
using namespace weir::test;
using kafka::KafkaConfig;
using kafka::StartingPosition;

namespace {

/// Settings for the mock, which answers a waiting fetch only when its time is over.
KafkaConfig config_for(const MockKafka& broker, std::vector<std::int32_t> partitions) {
  KafkaConfig config;
  config.name = "clicks";
  config.bootstrap_servers = broker.bootstrap_servers();
  config.topic = "clicks";
  config.partitions = std::move(partitions);
  config.consumer_group_id = "readers";
  config.librdkafka = {
      {"fetch.wait.max.ms", "5"}, {"topic.metadata.propagation.max.ms", "200"}, {"reconnect.backoff.max.ms", "200"}};
  return config;
}

std::vector<std::string> numbers(int first, int last) {
  std::vector<std::string> texts;
  for (int number = first; number <= last; ++number) texts.push_back(std::to_string(number));
  return texts;
}

}  // namespace

TEST_CASE("explicit partitions are drained in order, each from its own fetch") {
  MockKafka broker;
  broker.create_topic("clicks", 3);
  broker.produce_numbers("clicks", 0, 1, 500);
  broker.produce_numbers("clicks", 2, 1, 7);

  SourceDriver driver(config_for(broker, {0, 2}));
  REQUIRE(driver.until_open(2));
  CHECK(driver.open == std::set<std::string>{"clicks-0", "clicks-2"});
  CHECK(driver.values("clicks-0", 500) == numbers(1, 500));
  CHECK(driver.values("clicks-2", 7) == numbers(1, 7));
  CHECK(driver.log.count("source.unreachable") == 0);
}
