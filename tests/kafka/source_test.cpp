#include <filesystem>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "connectors/kafka/client.h"
#include "kafka/source_driver.h"
#include "support/mock_kafka.h"

using namespace weir;
using namespace weir::test;
using kafka::KafkaConfig;
using kafka::StartingPosition;

namespace {

/// Settings for the mock, which answers a waiting fetch only when its time is over. Without partitions: the whole
/// topic, as the only member of the group (the mock hangs with several).
KafkaConfig config_for(const MockKafka& broker, std::vector<std::int32_t> partitions) {
  KafkaConfig config;
  config.name = "clicks";
  config.bootstrap_servers = broker.bootstrap_servers();
  config.topic = "clicks";
  config.partitions = std::move(partitions);
  config.consumer_group_id = "readers";
  config.librdkafka = {
      {"fetch.wait.max.ms", "5"}, {"topic.metadata.propagation.max.ms", "200"}, {"reconnect.backoff.max.ms", "200"}};
  // A refresh of the metadata while a member joins makes librdkafka join again, and the mock never answers that.
  if (!config.partitions.empty()) config.librdkafka["topic.metadata.refresh.interval.ms"] = "200";
  return config;
}

std::vector<std::string> numbers(int first, int last) {
  std::vector<std::string> texts;
  for (int number = first; number <= last; ++number) texts.push_back(std::to_string(number));
  return texts;
}

std::size_t count_entries(const char* folder) {
  const std::filesystem::directory_iterator entries(folder);
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}
std::size_t open_files() {
  return count_entries("/proc/self/fd");
}
std::size_t threads() {
  return count_entries("/proc/self/task");
}

constexpr int kUnknownTopicOrPartition = 3;  // Kafka's error numbers
constexpr int kTopicAuthorizationFailed = 29;
constexpr int kTransport = -195;
constexpr int kAuthentication = -169;

}  // namespace

TEST_CASE("explicit partitions are drained in order, each by its own fetch") {
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

TEST_CASE("the whole topic is read as a member of the group") {
  MockKafka broker;
  broker.create_topic("clicks", 2);
  broker.produce_numbers("clicks", 0, 1, 3);
  broker.produce_numbers("clicks", 1, 4, 6);

  SourceDriver driver(config_for(broker, {}));
  REQUIRE(driver.until_open(2));
  CHECK(driver.values("clicks-0", 3) == numbers(1, 3));
  CHECK(driver.values("clicks-1", 3) == numbers(4, 6));
  CHECK(driver.commit("clicks-1", 1).has_value());
  driver.stop();
  CHECK(broker.committed("readers", "clicks", 1) == 2);
}

TEST_CASE("a new source goes on behind the commit of the one before") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 0, 9);
  {
    SourceDriver driver(config_for(broker, {0}));
    REQUIRE(driver.until_open(1));
    CHECK(driver.values("clicks-0", 10) == numbers(0, 9));
    REQUIRE(driver.commit("clicks-0", 6).has_value());
  }
  CHECK(broker.committed("readers", "clicks", 0) == 7);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  CHECK(driver.values("clicks-0", 3) == numbers(7, 9));
}

TEST_CASE("commits that come while one is under way are all answered, and the last one stands") {
  MockKafka broker;
  broker.create_topic("clicks", 2);
  broker.produce_numbers("clicks", 0, 0, 99);
  broker.produce_numbers("clicks", 1, 0, 99);
  SourceDriver driver(config_for(broker, {0, 1}));
  REQUIRE(driver.until_open(2));

  std::vector<std::optional<Result<void>>> results(60);
  for (std::uint64_t i = 0; i < results.size(); ++i)
    driver.begin_commit(i % 2 == 0 ? "clicks-0" : "clicks-1", i / 2, results[i]);
  REQUIRE(driver.until([&] {
    return std::all_of(results.begin(), results.end(), [](const auto& result) { return result.has_value(); });
  }));
  for (const auto& result : results) CHECK(result->has_value());
  CHECK(broker.committed("readers", "clicks", 0) == 30);
  CHECK(broker.committed("readers", "clicks", 1) == 30);
}

TEST_CASE("where a partition without a committed offset begins") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce("clicks", 0,
                 {{.key = {}, .value = "old", .headers = {}, .timestamp_ms = 1'700'000'000'000},
                  {.key = {}, .value = "new", .headers = {}, .timestamp_ms = 1'750'000'000'000}});
  KafkaConfig config = config_for(broker, {0});

  SECTION("TRIM_HORIZON: at the oldest") {
    SourceDriver driver(config);
    REQUIRE(driver.until_open(1));
    CHECK(driver.values("clicks-0", 2) == std::vector<std::string>{"old", "new"});
  }
  SECTION("LATEST: behind the newest") {
    config.starting_position = StartingPosition::kLatest;
    SourceDriver driver(config);
    REQUIRE(driver.until_open(1));
    auto& pending = driver.begin_fetch("clicks-0");
    // The end was looked up when the first fetch was answered, which backlog shows.
    REQUIRE(driver.until([&] { return driver.source().backlog(driver.id("clicks-0"), Position(0)).has_value(); }));
    broker.produce_numbers("clicks", 0, 1, 1);
    REQUIRE(driver.until([&] { return pending.done; }));
    REQUIRE(pending.batch.records.size() == 1);
    CHECK(pending.batch.records[0].data == "1");
  }
  SECTION("LATEST: what comes while the bridge is away is not skipped, though nothing was settled yet") {
    config.starting_position = StartingPosition::kLatest;
    {
      SourceDriver driver(config);
      REQUIRE(driver.until_open(1));
      driver.stop();
    }
    CHECK(broker.committed("readers", "clicks", 0) == 2);
    broker.produce_numbers("clicks", 0, 1, 1);
    SourceDriver driver(config);
    REQUIRE(driver.until_open(1));
    CHECK(driver.values("clicks-0", 1) == std::vector<std::string>{"1"});
  }
  SECTION("AT_TIMESTAMP: the committed offset stands, if there is one") {
    broker.commit("readers", "clicks", 0, 0);
    config.starting_position = StartingPosition::kAtTimestamp;
    config.starting_timestamp = from_epoch_milliseconds(1'720'000'000'000);
    SourceDriver driver(config);
    REQUIRE(driver.until_open(1));
    CHECK(driver.values("clicks-0", 2) == std::vector<std::string>{"old", "new"});
  }
  SECTION("AT_TIMESTAMP: asks the broker for the offset of that time") {
    config.starting_position = StartingPosition::kAtTimestamp;
    config.starting_timestamp = from_epoch_milliseconds(1'720'000'000'000);
    SourceDriver driver(config);
    REQUIRE(driver.until_open(1));
    auto& pending = driver.begin_fetch("clicks-0");
    // The mock knows no times: it says that nothing is as young, so the source begins at the end.
    REQUIRE(driver.until([&] { return driver.source().backlog(driver.id("clicks-0"), Position(0)).has_value(); }));
    broker.produce_numbers("clicks", 0, 3, 3);
    REQUIRE(driver.until([&] { return pending.done; }));
    CHECK(pending.batch.records.back().data == "3");
  }
}

TEST_CASE("what a record holds") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  const std::string no_text("\xff\x00\xc3", 3);
  broker.produce(
      "clicks", 0,
      {{.key = "k", .value = std::nullopt, .headers = {}, .timestamp_ms = 1'700'000'000'123},
       {.key = no_text, .value = no_text, .headers = {{"a\xff", "\x01\xff"}, {"a\xff", ""}}, .timestamp_ms = {}},
       {.key = "", .value = "", .headers = {}, .timestamp_ms = {}}});
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  RecordBatch batch = driver.fetch("clicks-0");
  while (batch.records.size() < 3) {
    RecordBatch more = driver.fetch("clicks-0");
    for (Record& record : more.records) batch.records.push_back(std::move(record));
  }

  const auto& [tombstone, bytes, empty] = std::tie(batch.records[0], batch.records[1], batch.records[2]);
  CHECK_FALSE(tombstone.has_data);
  CHECK(tombstone.key == "k");
  CHECK(tombstone.arrival == from_epoch_milliseconds(1'700'000'000'123));
  CHECK(bytes.key == no_text);
  CHECK(bytes.data == no_text);
  CHECK(empty.has_key);
  CHECK(empty.has_data);

  std::string event;
  driver.source().write_event(driver.id("clicks-0"), std::span(&bytes, 1), event);
  CHECK(event.size() == driver.source().envelope_bytes(driver.id("clicks-0")) + bytes.encoded_bytes);
  CHECK(event.find(R"("key":"/wDD","value":"/wDD","headers":[{"a)"
                   "\xEF\xBF\xBD"
                   R"(":[1,-1]},{"a)"
                   "\xEF\xBF\xBD"
                   R"(":[]}])") != std::string::npos);
}

TEST_CASE("the limits of a fetch") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  std::vector<KafkaMessage> messages;
  for (int i = 0; i < 100; ++i)
    messages.push_back({.key = {}, .value = std::string(10'000, 'x'), .headers = {}, .timestamp_ms = {}});
  broker.produce("clicks", 0, messages);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));

  std::size_t records = 0;
  while (records < 100) {
    const RecordBatch batch = driver.fetch("clicks-0", 7, 35'000);
    REQUIRE(!batch.records.empty());
    // A limit of bytes is passed by the last record only.
    CHECK(batch.records.size() <= 4);
    for (const Record& record : batch.records) CHECK(record.position == Position(records++));
  }
}

TEST_CASE("a message over 6 MB is handed on") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce("clicks", 0, {{.key = {}, .value = std::string(7'000'000, 'x'), .headers = {}, .timestamp_ms = {}}});
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  const RecordBatch batch = driver.fetch("clicks-0", 1000, 1000);
  REQUIRE(batch.records.size() == 1);
  CHECK(batch.records[0].data.size() == 7'000'000);
  CHECK(batch.records[0].encoded_bytes > 9'333'333);
}

TEST_CASE("a broker that is away at start is waited for, and said so once") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 1, 3);
  broker.down();
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until([&] { return driver.log.count("source.unreachable") == 1; }));
  CHECK(driver.trouble().starts_with("source.unreachable: "));
  auto& pending = driver.begin_fetch("clicks-0");
  broker.up();
  REQUIRE(driver.until([&] { return pending.done; }));
  CHECK(pending.batch.records.at(0).data == "1");
  CHECK(driver.log.count("source.unreachable") == 1);
  CHECK(driver.log.count("source.reachable") == 1);
  CHECK(driver.trouble().empty());
  CHECK_FALSE(driver.ended());
}

TEST_CASE("the end of a partition is asked for until a broker is there to say it, or the source is stopped") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 1, 3);
  KafkaConfig config = config_for(broker, {0});
  config.starting_position = StartingPosition::kLatest;
  broker.down();
  {
    SourceDriver driver(config);
    REQUIRE(driver.until([&] { return driver.log.count("source.unreachable") == 1; }));
    CHECK(driver.open.empty());
    driver.stop();
  }
  SourceDriver driver(config);
  REQUIRE(driver.until([&] { return driver.log.count("source.unreachable") == 1; }));
  broker.up();
  REQUIRE(driver.until_open(1));
  CHECK(broker.committed("readers", "clicks", 0) == 3);
}

TEST_CASE("a broker that goes away and comes back costs nothing, even when the topic is idle") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 1, 3);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  CHECK(driver.values("clicks-0", 3) == numbers(1, 3));

  broker.down();
  REQUIRE(driver.until([&] { return driver.log.count("source.unreachable") == 1; }));
  broker.up();
  REQUIRE(driver.until([&] { return driver.log.count("source.reachable") == 1; }));
  broker.produce_numbers("clicks", 0, 4, 4);
  CHECK(driver.values("clicks-0", 1) == numbers(4, 4));
  CHECK(driver.commit("clicks-0", 3).has_value());
  CHECK_FALSE(driver.ended());
}

TEST_CASE("what ends a source") {
  MockKafka broker;
  broker.create_topic("clicks", 1);

  SECTION("a topic that does not exist, as a member of the group") {
    broker.topic_error("clicks", kUnknownTopicOrPartition);
    SourceDriver driver(config_for(broker, {}));
    REQUIRE(driver.until([&] { return driver.ended().has_value(); }));
    CHECK(driver.ended()->code() == ErrorCode::kSourceNotFound);
    CHECK(driver.ended()->describe().find("topic clicks does not exist") != std::string::npos);
  }
  SECTION("a topic that does not exist, explicit partitions") {
    broker.topic_error("clicks", kUnknownTopicOrPartition);
    SourceDriver driver(config_for(broker, {0}));
    REQUIRE(driver.until_open(1));
    auto& pending = driver.begin_fetch("clicks-0");
    REQUIRE(driver.until([&] { return driver.ended().has_value(); }));
    CHECK(driver.ended()->code() == ErrorCode::kSourceNotFound);
    pending.cancel.emit(net::cancellation_type::all);
    CHECK(driver.until([&] { return pending.done; }));
  }
  SECTION("a partition that does not exist") {
    SourceDriver driver(config_for(broker, {0, 7}));
    REQUIRE(driver.until_open(2));
    auto& pending = driver.begin_fetch("clicks-7");
    REQUIRE(driver.until([&] { return driver.ended().has_value(); }));
    CHECK(driver.ended()->code() == ErrorCode::kSourceNotFound);
    pending.cancel.emit(net::cancellation_type::all);
    CHECK(driver.until([&] { return pending.done; }));
  }
  SECTION("a topic that must not be read") {
    broker.topic_error("clicks", kTopicAuthorizationFailed);
    SourceDriver driver(config_for(broker, {}));
    REQUIRE(driver.until([&] { return driver.ended().has_value(); }));
    CHECK(driver.ended()->code() == ErrorCode::kSourceRefused);
  }
  SECTION("a certificate file that is not there") {
    KafkaConfig config = config_for(broker, {0});
    config.tls = true;
    config.ca_certificate = "/nonexistent/ca.pem";
    SourceDriver driver(config);
    REQUIRE(driver.until([&] { return driver.ended().has_value(); }));
    CHECK(driver.ended()->code() == ErrorCode::kSourceFailed);
  }
}

TEST_CASE("what is said of a connection is the same at each try, and tells a refusal from a loss") {
  const auto refused = kafka::connection_error(
      kAuthentication, "sasl_ssl://b:1/bootstrap: Authentication failed (after 302ms in state AUTH_REQ)");
  CHECK(refused.describe() == "source.refused: sasl_ssl://b:1/bootstrap: Authentication failed");

  const auto no_certificate = kafka::connection_error(
      kTransport,
      "ssl://b:1/1: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 "
      "(after 1ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)");
  CHECK(no_certificate.describe() ==
        "source.refused: ssl://b:1/1: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL "
        "alert "
        "number 42");

  constexpr int kBadMessage = -199;
  const auto other = kafka::connection_error(kBadMessage,
                                             "b:1/bootstrap: Receive failed: Invalid response size 1213486160 "
                                             "(0..100000000): increase receive.message.max.bytes");
  CHECK(other.code() == ErrorCode::kSourceUnreachable);
  CHECK(other.message().starts_with("what answers there does not speak Kafka: b:1/bootstrap: Receive failed"));
  CHECK(kafka::connection_error(kBadMessage, "clicks [0]: CRC32 mismatch").code() == ErrorCode::kSourceData);

  const auto lost = kafka::connection_error(kTransport, "b:1/1: Disconnected (after a while)");
  CHECK(lost.describe() == "source.unreachable: b:1/1: Disconnected (after a while)");
}

TEST_CASE("a fetch that is called off gives nothing, and loses nothing") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  auto& pending = driver.begin_fetch("clicks-0");
  REQUIRE(driver.until([&] { return driver.source().backlog(driver.id("clicks-0"), Position(0)).has_value(); }));
  pending.cancel.emit(net::cancellation_type::all);
  REQUIRE(driver.until([&] { return pending.done; }));
  CHECK(pending.batch.records.empty());

  broker.produce_numbers("clicks", 0, 1, 2);
  CHECK(driver.values("clicks-0", 2) == numbers(1, 2));
}

TEST_CASE("64 partitions at once") {
  MockKafka broker;
  broker.create_topic("clicks", 64);
  std::vector<std::int32_t> partitions;
  for (std::int32_t partition = 0; partition < 64; ++partition) partitions.push_back(partition);
  SourceDriver driver(config_for(broker, partitions));
  REQUIRE(driver.until_open(64));

  std::vector<SourceDriver::Pending*> fetches;
  for (const std::int32_t partition : partitions)
    fetches.push_back(&driver.begin_fetch("clicks-" + std::to_string(partition)));
  for (const std::int32_t partition : partitions) broker.produce_numbers("clicks", partition, partition, partition);
  REQUIRE(driver.until(
      [&] { return std::all_of(fetches.begin(), fetches.end(), [](const auto& fetch) { return fetch->done; }); }));
  for (std::size_t i = 0; i < fetches.size(); ++i) CHECK(fetches[i]->batch.records.at(0).data == std::to_string(i));
}

TEST_CASE("backlog is what lies behind the settled record") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 0, 9);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  CHECK(driver.values("clicks-0", 10).size() == 10);
  CHECK(driver.source().backlog(driver.id("clicks-0"), Position(3)) == 6);
  CHECK(driver.source().backlog(driver.id("clicks-0"), Position(9)) == 0);
  CHECK(driver.source().backlog(driver.id("clicks-0"), std::nullopt) == 10);
}

TEST_CASE("records outlive their source") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 1, 3);
  RecordBatch batch;
  {
    SourceDriver driver(config_for(broker, {0}));
    REQUIRE(driver.until_open(1));
    batch = driver.fetch("clicks-0");
  }
  CHECK(batch.records.at(0).data == "1");
}

TEST_CASE("sources that come and go leave no file and no thread behind") {
  MockKafka broker;
  broker.create_topic("clicks", 4);
  broker.produce_numbers("clicks", 0, 1, 3);
  const auto once = [&] {
    SourceDriver driver(config_for(broker, {0, 1, 2, 3}));
    REQUIRE(driver.until_open(4));
    CHECK(driver.values("clicks-0", 3) == numbers(1, 3));
  };
  once();
  const std::size_t files_before = open_files();
  const std::size_t threads_before = threads();
  for (int i = 0; i < 5; ++i) once();
  // The broker's side of a connection goes when it hears that ours has gone.
  for (int i = 0; i < 100 && open_files() > files_before; ++i) broker.committed("readers", "clicks", 0);
  CHECK(open_files() <= files_before);
  CHECK(threads() <= threads_before);
}

TEST_CASE("the group's offset stands, whatever the mapping remembers of an earlier life of the partition") {
  MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.produce_numbers("clicks", 0, 0, 9);
  broker.commit("readers", "clicks", 0, 5);
  SourceDriver driver(config_for(broker, {0}));
  REQUIRE(driver.until_open(1));
  CHECK_FALSE(driver.source().start(driver.id("clicks-0"), Resume::after(Position(1)), false));
  CHECK(driver.values("clicks-0", 5) == numbers(5, 9));
}

TEST_CASE("the group's offsets as checkpoints: listed, moved, forgotten") {
  MockKafka broker;
  broker.create_topic("clicks", 2);
  const KafkaConfig config = config_for(broker, {});
  broker.commit("readers", "clicks", 1, 5);

  auto listed = kafka::list_checkpoints(config);
  REQUIRE(listed.has_value());
  REQUIRE(listed->size() == 2);
  CHECK((*listed)[0].shard == "clicks-0");
  CHECK_FALSE((*listed)[0].resume);
  CHECK((*listed)[1].resume == Resume::after(Position(4)));

  REQUIRE(kafka::move_checkpoint(config, "clicks-0", Resume::after(Position(16))).has_value());
  CHECK(broker.committed("readers", "clicks", 0) == 17);

  // Forgotten: read from the starting position, wherever that is now.
  REQUIRE(kafka::move_checkpoint(config, "clicks-0", std::nullopt).has_value());
  CHECK(broker.committed("readers", "clicks", 0) == 0);
  CHECK(kafka::list_checkpoints(config)->at(0).resume == Resume::trim_horizon());
  broker.produce_numbers("clicks", 1, 0, 6);
  KafkaConfig latest = config;
  latest.starting_position = kafka::StartingPosition::kLatest;
  REQUIRE(kafka::move_checkpoint(latest, "clicks-1", std::nullopt).has_value());
  CHECK(broker.committed("readers", "clicks", 1) == 7);

  // Where the settings do not begin: said of this one time.
  REQUIRE(kafka::move_checkpoint(latest, "clicks-1", Resume::trim_horizon()).has_value());
  CHECK(broker.committed("readers", "clicks", 1) == 0);
  REQUIRE(kafka::move_checkpoint(config, "clicks-1", Resume::latest()).has_value());
  CHECK(broker.committed("readers", "clicks", 1) == 7);

  CHECK(kafka::move_checkpoint(config, "clicks-0", Resume::shard_end()).error().code() == ErrorCode::kSourceData);
  const Resume beyond = Resume::after(Position(static_cast<std::uint64_t>(INT64_MAX)));
  CHECK(kafka::move_checkpoint(config, "clicks-0", beyond).error().code() == ErrorCode::kSourceData);
  CHECK(kafka::move_checkpoint(config, "clicks-2", Resume::latest()).error().code() == ErrorCode::kSourceNotFound);
  CHECK(kafka::move_checkpoint(config, "orders-0", Resume::latest()).error().code() == ErrorCode::kSourceNotFound);
}
