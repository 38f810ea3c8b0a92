#include "connectors/kafka/config.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "config/config.h"
#include "connectors/kafka/connector.h"
#include "connectors/kafka/destination.h"
#include "support/temporary_folder.h"

using namespace weir;
using kafka::KafkaConfig;
using kafka::StartingPosition;

namespace {

constexpr std::array kTable{ConnectorEntry{"kafka", Delivery::kPoll, "A Kafka topic.", &kafka::read_config,
                                           &kafka::make_source, &kafka::sample_event, &kafka::list_checkpoints,
                                           &kafka::move_checkpoint}};

constexpr std::array kDestinations{
    DestinationEntry{"kafka", "TOPIC", &kafka::check_destination, &kafka::make_destination}};

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.path() + "/weir.yaml";
    std::ofstream(file) << "functions: {f: {command: run}}\nsources: {clicks: {type: kafka, function: f, " << settings
                        << "}}\n";
    report = config::read_config(
        std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; }, kDestinations);
  }
  const KafkaConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const KafkaConfig&>(*report.config.sources.at(0).settings);
  }
  /// "path: sentence", a line each, without "sources.clicks.".
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.clicks.")) path.erase(0, 15);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

const std::string kLeast = "bootstrap_servers: 127.0.0.1:9092, topics: [clicks]";

}  // namespace

TEST_CASE("a topic of the same cluster as destination, as weir and as AWS write it; never the source's own") {
  for (const char* written : {"kafka:lost", "kafka://lost"}) {
    const Reading reading(kLeast + ", destination_on_failure: \"" + written + "\"");
    CHECK(reading.right().mapping.destination_on_failure == "kafka:lost");
    // With a destination, the attempts have an end (kafka-retry-configurations).
    CHECK(reading.right().mapping.maximum_retry_attempts == 10);
  }
  for (const char* written : {"kafka:clicks", "kafka://clicks"}) {
    CHECK(Reading(kLeast + ", destination_on_failure: \"" + written + "\"").mistakes() ==
          "destination_on_failure: the source's own topic cannot be its destination\n");
  }
  CHECK(Reading(kLeast + ", destination_on_failure: \"kafka:lo/st\"").mistakes() ==
        "destination_on_failure: \"lo/st\" is no name of a topic: letters, digits, '.', '_' and '-' only\n");
}

TEST_CASE("what is not said has AWS's default") {
  const Reading reading(kLeast);
  const KafkaConfig& config = reading.right();
  CHECK(config.bootstrap_servers == "127.0.0.1:9092");
  CHECK(config.topic == "clicks");
  CHECK(config.partitions.empty());
  CHECK(config.group() == "weir-clicks");
  CHECK(config.starting_position == StartingPosition::kTrimHorizon);
  CHECK(config.mapping.batch_size == 100);
  CHECK(config.mapping.maximum_batching_window == std::chrono::milliseconds(500));
  CHECK(config.event_source_arn.empty());
  CHECK_FALSE(config.tls);
}

TEST_CASE("what is said") {
  const Reading reading(
      "bootstrap_servers: ['a:1,b:2', '[::1]:3'], topics: orders, partitions: [0, 5], consumer_group_id: readers, "
      "starting_position: "
      "AT_TIMESTAMP, starting_position_timestamp: 1700000000, maximum_batching_window_in_seconds: 0, sasl_mechanism: "
      "SCRAM-SHA-512, "
      "sasl_username: me, sasl_password: word, tls: true, ca_certificate: ca.pem, client_certificate: /c.pem, "
      "client_key: /k.pem, "
      "event_source_arn: 'arn:aws:kafka:eu-west-1:123456789012:cluster/a/b', librdkafka: {fetch.wait.max.ms: 5}");
  const KafkaConfig& config = reading.right();
  CHECK(config.bootstrap_servers == "a:1,b:2,[::1]:3");
  CHECK(config.topic == "orders");
  CHECK(config.partitions == std::vector<std::int32_t>{0, 5});
  CHECK(config.group() == "readers");
  CHECK(config.starting_timestamp == from_epoch_milliseconds(1'700'000'000'000));
  CHECK(config.mapping.maximum_batching_window == Duration(0));
  CHECK(config.sasl_mechanism == "SCRAM-SHA-512");
  CHECK(config.ca_certificate == reading.folder.path() + "/ca.pem");
  CHECK(config.client_key == "/k.pem");
  CHECK(config.librdkafka == std::map<std::string, std::string>{{"fetch.wait.max.ms", "5"}});
}

TEST_CASE("a starting time is epoch seconds or ISO 8601") {
  struct Row {
    std::string_view text;
    std::int64_t milliseconds;
  };
  const auto row = GENERATE(values<Row>({{"0", 0},
                                         {"1700000000", 1'700'000'000'000},
                                         {"1700000000.5", 1'700'000'000'500},
                                         {"'2023-11-14T22:13:20Z'", 1'700'000'000'000}}));
  INFO(row.text);
  const Reading reading(kLeast +
                        ", starting_position: AT_TIMESTAMP, starting_position_timestamp: " + std::string(row.text));
  CHECK(reading.right().starting_timestamp == from_epoch_milliseconds(row.milliseconds));
}

TEST_CASE("what is refused, and the words") {
  struct Row {
    std::string_view settings;
    std::string_view mistakes;
  };
  const auto row = GENERATE(values<Row>({
      {"starting_position: AT_TIMESTAMP",
       "starting_position: When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be "
       "provided.\n"},
      {"parallelization_factor: 2",
       "parallelization_factor: Unsupported 'parallelizationFactor' parameter for given event source mapping type.\n"},
      {"tumbling_window_in_seconds: 30",
       "tumbling_window_in_seconds: Unsupported 'tumblingWindowInSeconds' parameter for given event source mapping "
       "type.\n"},
      {"maximum_concurrency: 5",
       "maximum_concurrency: Unsupported 'scalingConfig' parameter for given event source mapping type.\n"},
      {"function_response_types: [ReportBatchItemFailure]",
       "function_response_types[0]: \"ReportBatchItemFailure\" is not allowed, allowed is ReportBatchItemFailures; did "
       "you mean ReportBatchItemFailures?\n"},
      {"starting_position: OLDEST",
       "starting_position: 1 validation error detected: Value 'OLDEST' at 'startingPosition' failed to satisfy "
       "constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]\n"},
      {"starting_position_timestamp: 1700000000",
       "starting_position_timestamp: only goes with starting_position AT_TIMESTAMP\n"},
      {"starting_position: AT_TIMESTAMP, starting_position_timestamp: 4102444800",
       "starting_position_timestamp: 4102444800 is in the future\n"},
      {"starting_position: AT_TIMESTAMP, starting_position_timestamp: soon",
       "starting_position_timestamp: \"soon\" is no time; allowed are epoch seconds and ISO 8601 such as "
       "2026-09-12T07:00:00Z\n"},
      {"partitions: [0, x, -1, 0]",
       "partitions: \"x\" is no partition, allowed is 0 to 99999\n"
       "partitions: \"-1\" is no partition, allowed is 0 to 99999\n"
       "partitions: 0 stands there twice\n"},
      {"sasl_mechanism: PLAIN", "sasl_mechanism: needs sasl_username\nsasl_mechanism: needs sasl_password\n"},
      {"sasl_username: me", "sasl_username: needs sasl_mechanism\n"},
      {"ca_certificate: ca.pem", "ca_certificate: needs tls: true\n"},
      {"tls: true, client_key: k.pem", "client_key: client_certificate and client_key go together\n"},
      {"event_source_arn: mine", "event_source_arn: \"mine\" is no ARN\n"},
      {"librdkafka: {enable.auto.commit: true}", "librdkafka: enable.auto.commit: is fixed by weir\n"},
      {"librdkafka: {group.id: g}", "librdkafka: group.id: say it with consumer_group_id\n"},
      {"librdkafka: {fetch.wait.max.mss: 5}", "librdkafka: fetch.wait.max.mss: librdkafka has no such property\n"},
      {"librdkafka: {fetch.wait.max.ms: soon}", "librdkafka: fetch.wait.max.ms: librdkafka refuses this value\n"},
  }));
  INFO(row.settings);
  CHECK(Reading(kLeast + ", " + std::string(row.settings)).mistakes() == row.mistakes);
}

TEST_CASE("servers and topics") {
  CHECK(Reading("bootstrap_servers: localhost, topics: [clicks]").mistakes() ==
        "bootstrap_servers: \"localhost\" is not HOST:PORT\n");
  CHECK(Reading("bootstrap_servers: 'localhost:0', topics: [clicks]").mistakes() ==
        "bootstrap_servers: \"localhost:0\" is not HOST:PORT\n");
  CHECK(Reading("bootstrap_servers: 'a:1', topics: ['^cl.*']").mistakes() ==
        "topics: \"^cl.*\" is no name of a topic: letters, digits, '.', '_' and '-' only\n");
  CHECK(Reading("bootstrap_servers: 'a:1', topics: [" + std::string(249, 'x') + "]").mistakes().empty());
  for (const char* wrong :
       {"bootstrap_servers: 'a:1', topics: [one, two]", "bootstrap_servers: 'a:1', topics: []",
        "bootstrap_servers: 'a:1'", "topics: [clicks]", "bootstrap_servers: '', topics: [clicks]"}) {
    INFO(wrong);
    CHECK_FALSE(Reading(wrong).mistakes().empty());
  }
  CHECK_FALSE(Reading("bootstrap_servers: 'a:1', topics: [" + std::string(250, 'x') + "]").mistakes().empty());
  CHECK_FALSE(Reading(kLeast + ", consumer_group_id: " + std::string(201, 'x')).mistakes().empty());
}

TEST_CASE("one topic, in AWS's words") {
  CHECK(Reading("bootstrap_servers: 'a:1', topics: [one, two]").mistakes() ==
        "topics: 1 validation error detected: Value '[one, two]' at 'topics' failed to satisfy constraint: Member must "
        "have length less than or equal to 1\n");
  CHECK(Reading("bootstrap_servers: 'a:1', topics: []").mistakes() ==
        "topics: Required 'topics' parameter is missing.\n");
  CHECK(Reading("bootstrap_servers: 'a:1'").mistakes() == "topics: Required 'topics' parameter is missing.\n");
}

TEST_CASE("a topic of a cluster is read once for a function; partitions that differ are no repetition") {
  const auto mistakes = [](const std::string& first, const std::string& second) {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{folder.write("weir.yaml",
                                                      "functions: {f: {command: run}}\nsources:\n  a: {type: kafka, "
                                                      "function: f, " +
                                                          first + "}\n  b: {type: kafka, function: f, " + second +
                                                          "}\n")};
    std::string all;
    for (const config::Mistake& each : config::read_config(
                                           files, kTable, [](std::string_view) { return std::nullopt; }, kDestinations)
                                           .mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  CHECK(mistakes("bootstrap_servers: 'k1:1,k2:1', topics: [t]",
                 "bootstrap_servers: ['k3:1', 'k2:1'], topics: [t], consumer_group_id: other") ==
        "sources.b: An event source mapping with event source (\"k2:1\"), function (\"f\"), topics (\"t\") already "
        "exists. Please update or delete the existing mapping, sources.a\n");
  CHECK(mistakes("bootstrap_servers: 'k1:1', topics: [t]", "bootstrap_servers: 'k2:1', topics: [t]").empty());
  CHECK(mistakes("bootstrap_servers: 'k1:1', topics: [t]", "bootstrap_servers: 'k1:1', topics: [u]").empty());
  const std::string topic = "bootstrap_servers: 'k1:1', topics: [t]";
  CHECK(mistakes(topic + ", partitions: [0, 1]", topic + ", partitions: [2]").empty());
  CHECK_FALSE(mistakes(topic + ", partitions: [0, 1]", topic + ", partitions: [1, 2]").empty());
  CHECK_FALSE(mistakes(topic + ", partitions: [0, 1]", topic).empty());
  const std::string msk = ", topics: [t], event_source_arn: 'arn:aws:kafka:eu-west-1:123456789012:cluster/c/1'";
  CHECK_FALSE(mistakes("bootstrap_servers: 'k1:1'" + msk, "bootstrap_servers: 'k2:1'" + msk).empty());
}

TEST_CASE("a function of a topic may take 840 seconds") {
  const auto mistakes = [](const std::string& function) {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{folder.write(
        "weir.yaml", "functions: {f: {" + function + "}}\nsources: {a: {type: kafka, function: f, " + kLeast + "}}\n")};
    std::string all;
    for (const config::Mistake& each :
         config::read_config(files, kTable, [](std::string_view) { return std::nullopt; }).mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  CHECK(mistakes("command: run, timeout: 840").empty());
  CHECK(mistakes("command: run, timeout: 841") ==
        "sources.a.function: \"f\" has a timeout of 841 seconds, the most that goes with Kafka are 840\n");
  CHECK(mistakes("url: 'http://127.0.0.1:9000'").empty());  // 900 is how long weir waits, not what the function has
  CHECK_FALSE(mistakes("url: 'http://127.0.0.1:9000', timeout: 900").empty());
}

TEST_CASE("a password is in no message") {
  const Reading reading(kLeast + ", sasl_password: hunter2, sasl_mechanism: NTLM, batch_size: 0");
  CHECK_FALSE(reading.report.mistakes.empty());
  CHECK(reading.mistakes().find("hunter2") == std::string::npos);
}
