#include <array>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "connectors/kafka/config.h"
#include "connectors/kafka/connector.h"
#include "connectors/kafka/destination.h"
#include "connectors/kafka/envelope.h"
#include "support/mock_kafka.h"
#include "support/run_coroutine.h"

using namespace weir;

namespace {

/// Records 100 (with a key) and 107 (a tombstone without one) of clicks-3, given up on.
DestinationRecord discard() {
  const kafka::Envelope envelope({.bootstrap_servers = "10.0.0.1:9092", .event_source_arn = "", .topic = "clicks"}, 3);
  const std::array<kafka::Header, 1> headers{kafka::Header{.name = "h", .value = "\xff"}};
  const kafka::RecordExtras first{1'573'691'884'835, kafka::TimestampType::kCreateTime, headers};
  const kafka::RecordExtras second{1'573'691'885'580, kafka::TimestampType::kCreateTime, {}};
  std::array<Record, 2> records;
  records[0].position = Position(100);
  records[0].arrival = from_epoch_milliseconds(first.timestamp_ms);
  records[0].key = "user";
  records[0].data = "{\"n\":1}";
  records[0].origin = &first;
  records[1].position = Position(107);
  records[1].arrival = from_epoch_milliseconds(second.timestamp_ms);
  records[1].has_key = false;
  records[1].has_data = false;
  records[1].origin = &second;
  for (Record& record : records) record.encoded_bytes = envelope.record_bytes(record);
  DestinationRecord made;
  envelope.write_event(records, made.payload);
  JsonWriter out(made.record);
  out.begin_object().key("requestContext").begin_object().member("condition", "RetryAttemptsExhausted").end_object();
  out.member("version", "1.0");
  envelope.write_batch_info(records, made.payload.size(), out);
  out.end_object();
  return made;
}

}  // namespace

TEST_CASE("one message for each record, with the record's own key, offset and event") {
  // Source: kafka-on-failure-destination; reference stream-sources.md, section 6.
  const auto messages = kafka::failed_records(discard());
  REQUIRE(messages.has_value());
  REQUIRE(messages->size() == 2);
  CHECK((*messages)[0].key == "user");
  const std::string payload =
      R"({"eventSource":"SelfManagedKafka","bootstrapServers":"10.0.0.1:9092","records":{"clicks-3":[{"topic":"clicks",)"
      R"("partition":3,"offset":100,"timestamp":1573691884835,"timestampType":"CREATE_TIME","key":"dXNlcg==",)"
      R"("value":"eyJuIjoxfQ==","headers":[{"h":[-1]}]}]}})";
  CHECK((*messages)[0].value ==
        R"({"requestContext":{"condition":"RetryAttemptsExhausted"},"version":"1.0","KafkaBatchInfo":{"batchSize":1,)"
        R"("bootstrapServers":"10.0.0.1:9092","payloadSize":)" +
            std::to_string(payload.size()) +
            R"(,"recordInfo":{"offset":"100","timestamp":"2019-11-14T00:38:04.835Z"}},"payload":)" + payload + "}");
  CHECK_FALSE((*messages)[1].key);
  CHECK((*messages)[1].value.find(R"("recordInfo":{"offset":"107","timestamp":"2019-11-14T00:38:05.580Z"})") !=
        std::string::npos);
  CHECK((*messages)[1].value.find(R"("offset":107,)") != std::string::npos);
  CHECK((*messages)[1].value.find(R"("value":null)") != std::string::npos);
}

TEST_CASE("what is no event of Kafka is refused, not guessed at") {
  for (const char* payload : {"", "[]", "{}", R"({"records":[]})", "{\"records\":"}) {
    INFO(payload);
    DestinationRecord other = discard();
    other.payload = payload;
    CHECK(kafka::failed_records(other).error().code() == ErrorCode::kDestinationFailed);
  }
  DestinationRecord other = discard();
  other.record = "{}";
  CHECK(kafka::failed_records(other).error().code() == ErrorCode::kDestinationFailed);
}

TEST_CASE("a topic as destination: of Kafka's mappings, with a name a topic can have") {
  CHECK(kafka::check_destination("lost", "kafka") == "");
  CHECK(kafka::check_destination("lost", "kinesis") != "");
  CHECK(kafka::check_destination("lost", "") != "");
  CHECK(kafka::check_destination("lo/st", "kafka") != "");
  CHECK(kafka::check_destination(std::string(250, 't'), "kafka") != "");
}

TEST_CASE("the messages are in the topic when the delivery returns, whatever librdkafka had to say at first") {
  test::MockKafka broker;
  broker.create_topic("clicks", 1);
  broker.create_topic("lost", 1);
  auto config = std::make_shared<kafka::KafkaConfig>();
  config->name = "clicks";
  config->bootstrap_servers = broker.bootstrap_servers();
  config->topic = "clicks";
  // Its warning about a consumer's property is in the queue before anybody is woken.
  if (GENERATE(false, true)) config->librdkafka["queued.max.messages.kbytes"] = "1024";
  net::io_context context(1);
  const SystemClock clock;
  auto made = kafka::make_destination(
      "lost", {context.get_executor(), context.get_executor(), AwsAccess(), config, null_log(), clock});
  REQUIRE(made.has_value());
  std::optional<Result<void>> first;
  std::optional<Result<void>> second;
  std::optional<Result<void>> closed;
  const auto scenario = [&]() -> net::awaitable<void> {
    first = co_await (*made)->deliver(discard());
    second = co_await (*made)->deliver(discard());
    co_await (*made)->close();
    closed = co_await (*made)->deliver(discard());
  };
  test::run(context, scenario());
  CHECK(first->has_value());
  CHECK(second->has_value());
  CHECK(closed->error().code() == ErrorCode::kCancelled);

  // Four messages: the next one is at offset 4.
  kafka::KafkaConfig reader = *config;
  reader.topic = "lost";
  REQUIRE(kafka::move_checkpoint(reader, "lost-0", Resume::latest()).has_value());
  CHECK(broker.committed(reader.group(), "lost", 0) == 4);
}

TEST_CASE("a cluster that refuses the messages says why") {
  test::MockKafka broker;
  broker.create_topic("lost", 1);
  constexpr std::int16_t kProduce = 0;
  constexpr int kMessageTooLarge = 10;
  broker.fail_next(kProduce, kMessageTooLarge, 2);
  auto config = std::make_shared<kafka::KafkaConfig>();
  config->name = "clicks";
  config->bootstrap_servers = broker.bootstrap_servers();
  config->topic = "clicks";
  net::io_context context(1);
  const SystemClock clock;
  auto made = kafka::make_destination(
      "lost", {context.get_executor(), context.get_executor(), AwsAccess(), config, null_log(), clock});
  REQUIRE(made.has_value());
  std::optional<Result<void>> end;
  const auto scenario = [&]() -> net::awaitable<void> {
    end = co_await (*made)->deliver(discard());
    co_await (*made)->close();
  };
  test::run(context, scenario());
  REQUIRE(end->has_error());
  CHECK(end->error().code() == ErrorCode::kDestinationFailed);
  CHECK(end->error().describe().find("while writing to topic lost") != std::string::npos);
}
