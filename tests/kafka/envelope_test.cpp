#include "connectors/kafka/envelope.h"

#include <array>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/random.h"

#include "connectors/kafka/config.h"
#include "connectors/kafka/connector.h"

using namespace weir;
using kafka::Envelope;
using kafka::EventOrigin;
using kafka::Header;
using kafka::RecordExtras;
using kafka::TimestampType;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Compares with the golden file; WEIR_UPDATE_GOLDEN=1 writes it anew.
void check_golden(const std::string& path, const std::string& text) {
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text << '\n';
  CHECK(read_file(path) == text + "\n");
}
std::string golden(const std::string& name) {
  return WEIR_KAFKA_GOLDEN "/" + name;
}

const EventOrigin kSelfManaged{
    .bootstrap_servers = "10.0.0.1:9092,10.0.0.2:9092", .event_source_arn = "", .topic = "mytopic"};
const EventOrigin kMsk{.bootstrap_servers = "b-1.demo.kafka.us-east-1.amazonaws.com:9092",
                       .event_source_arn = "arn:aws:kafka:us-east-1:123456789012:cluster/demo/751d2973",
                       .topic = "mytopic"};

/// Records with their own storage of what they point to.
class Records {
 public:
  explicit Records(const Envelope& envelope) : envelope_(envelope) {}

  Record& add(std::uint64_t offset, std::optional<std::string> key, std::optional<std::string> value,
              TimestampType type, std::int64_t timestamp, std::vector<Header> headers = {}) {
    const auto& kept = headers_.emplace_back(std::move(headers));
    const RecordExtras& more = extras_.emplace_back(RecordExtras{timestamp, type, kept});
    Record record;
    record.position = Position(offset);
    record.arrival = from_epoch_milliseconds(timestamp);
    record.has_key = key.has_value();
    record.has_data = value.has_value();
    record.key = texts_.emplace_back(key.value_or(""));
    record.data = texts_.emplace_back(value.value_or(""));
    record.origin = &more;
    record.encoded_bytes = envelope_.record_bytes(record);
    return all.emplace_back(std::move(record));
  }
  /// A text that lives as long as the records.
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  std::string event() const {
    std::string out;
    envelope_.write_event(all, out);
    return out;
  }

  std::vector<Record> all;

 private:
  const Envelope& envelope_;
  std::deque<std::string> texts_;
  std::deque<std::vector<Header>> headers_;
  std::deque<RecordExtras> extras_;
};

}  // namespace

TEST_CASE("Lambda's event of a self-managed cluster") {  // Source: with-kafka; reference stream-sources.md 2.3
  const Envelope envelope(kSelfManaged, 0);
  Records records(envelope);
  records.add(15, "recordKey", "Hello, this is a test.", TimestampType::kCreateTime, 1'545'084'650'987,
              {{"headerKey", "headerValue"}});
  records.add(16, std::nullopt, "no key", TimestampType::kLogAppendTime, 1'545'084'650'988);
  records.add(17, "tombstone", std::nullopt, TimestampType::kCreateTime, 1'545'084'650'989);
  records.add(18, std::nullopt, std::nullopt, TimestampType::kNone, -1);
  records.add(19, "", "", TimestampType::kCreateTime, 0, {{"twice", "\xff\x80\x7f"}, {"twice", ""}, {"\"\\\n", "a"}});
  check_golden(golden("self_managed.json"), records.event());
}

TEST_CASE("Lambda's event of an MSK cluster") {  // Source: with-msk
  const Envelope envelope(kMsk, 12);
  Records records(envelope);
  records.add(9'223'372'036'854'775'806, "k", std::string("\xff\x00\xc3\x28", 4), TimestampType::kCreateTime,
              1'545'084'650'987);
  check_golden(golden("msk.json"), records.event());
}

TEST_CASE("the sample event is made by the code that makes real ones") {
  check_golden(WEIR_KAFKA_SAMPLE, kafka::sample_event());
}

TEST_CASE("the batch in an on-failure record") {  // Source: kafka-on-failure; reference stream-sources.md 6
  const Envelope envelope(kMsk, 0);
  Records records(envelope);
  records.add(100, "a", "1", TimestampType::kCreateTime, 1'573'691'884'835);
  records.add(107, "b", "2", TimestampType::kCreateTime, 1'573'691'885'580);
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  envelope.write_batch_info(records.all, 2'039, json);
  json.end_object();
  check_golden(golden("batch_info.json"), out);
}

TEST_CASE(
    "whatever the records hold, the event is valid JSON of exactly the size that was said, and holds what they held") {
  Random random(20'260'912);
  const auto bytes = [&](std::uint64_t most) {
    std::string text(random.below(most + 1), '\0');
    for (char& c : text) c = static_cast<char>(random.below(256));
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    const auto partition = static_cast<std::int32_t>(random.below(1'000));
    const Envelope envelope(random.below(2) == 0 ? kSelfManaged : kMsk, partition);
    Records records(envelope);
    const std::uint64_t count = 1 + random.below(8);
    std::vector<std::optional<std::string>> keys;
    std::vector<std::optional<std::string>> values;
    std::vector<std::vector<std::string>> header_values;
    for (std::uint64_t i = 0; i < count; ++i) {
      keys.push_back(random.below(3) == 0 ? std::nullopt : std::optional(bytes(40)));
      values.push_back(random.below(5) == 0 ? std::nullopt : std::optional(bytes(300)));
      std::vector<Header> headers;
      auto& kept = header_values.emplace_back();
      for (std::uint64_t j = random.below(4); j > 0; --j) {
        kept.push_back(bytes(20));
        headers.push_back({.name = records.keep(bytes(12)), .value = records.keep(kept.back())});
      }
      const auto type = static_cast<TimestampType>(random.below(3));
      const auto offset = random.below(1ULL << random.below(63));
      records.add(offset, keys.back(), values.back(), type,
                  type == TimestampType::kNone ? -1 : static_cast<std::int64_t>(random.below(1ULL << 45U)),
                  std::move(headers));
    }

    const std::string event = records.event();
    std::size_t expected = envelope.event_bytes() + records.all.size() - 1;
    for (const Record& record : records.all) expected += record.encoded_bytes;
    REQUIRE(event.size() == expected);

    const auto parsed = nlohmann::json::parse(event);
    const auto& found = parsed.at("records").at("mytopic-" + std::to_string(partition));
    REQUIRE(found.size() == count);
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(found[i].at("offset").get<std::uint64_t>() == records.all[i].position.number());
      CHECK(found[i].contains("key") == keys[i].has_value());
      if (keys[i]) CHECK(decode_base64(found[i].at("key").get<std::string>()) == keys[i]);
      if (values[i]) {
        CHECK(decode_base64(found[i].at("value").get<std::string>()) == values[i]);
      } else {
        CHECK(found[i].at("value").is_null());
      }
      REQUIRE(found[i].at("headers").size() == header_values[i].size());
      for (std::size_t j = 0; j < header_values[i].size(); ++j) {
        std::string value;
        for (const auto& number : found[i]["headers"][j].begin().value()) value += static_cast<char>(number.get<int>());
        CHECK(value == header_values[i][j]);
      }
    }
  }
}

TEST_CASE("what filters see: the value as it was sent, the other members beside it with the key decoded") {
  // Source: invocation-eventfiltering, kafka-filtering; reference stream-sources.md, section 7.
  const Envelope envelope(kMsk, 3);
  Records records(envelope);
  records.add(15, "user\"7", "{\"n\":1}", TimestampType::kLogAppendTime, 1'545'084'650'987,
              {{"h", "\x01\xff"}, {"h", ""}});
  records.add(16, std::nullopt, std::nullopt, TimestampType::kNone, -1);
  FilterView view;
  envelope.write_filter_view(records.all[0], true, view);
  CHECK(view.has_body);
  CHECK(view.body == "{\"n\":1}");
  CHECK(view.metadata ==
        R"({"topic":"mytopic","partition":3,"offset":15,"timestamp":1545084650987,"timestampType":"LOG_APPEND_TIME",)"
        R"("key":"user\"7","headers":[{"h":[1,-1]},{"h":[]}]})");
  FilterView tombstone;
  envelope.write_filter_view(records.all[1], true, tombstone);
  CHECK_FALSE(tombstone.has_body);
  CHECK(
      tombstone.metadata ==
      R"({"topic":"mytopic","partition":3,"offset":16,"timestamp":-1,"timestampType":"NO_TIMESTAMP_TYPE","headers":[]})");
  FilterView body_only;
  envelope.write_filter_view(records.all[0], false, body_only);
  CHECK(body_only.metadata.empty());
}

TEST_CASE("the record that an entry of batchItemFailures means") {  // Source: kafka-retry-configurations
  CHECK(kafka::identified_offset("topic-0", R"({"partition":"topic-0","offset":100})") == Position(100));
  CHECK(kafka::identified_offset("topic-0", R"({ "offset": 0, "partition": "topic-0" })") == Position(0));
  for (const char* other :
       {R"({"partition":"topic-1","offset":100})", R"({"partition":"topic-0"})", R"({"offset":100})",
        R"({"partition":"topic-0","offset":"100"})", R"({"partition":"topic-0","offset":-1})",
        R"({"partition":"topic-0","offset":1.5})", R"({"partition":0,"offset":100})", R"("100")", "null", "[]", ""}) {
    INFO(other);
    CHECK_FALSE(kafka::identified_offset("topic-0", other));
  }
}

TEST_CASE("names of shards") {
  CHECK(kafka::shard_name("clicks", 3) == "clicks-3");
  CHECK(kafka::partition_of("clicks", "clicks-3") == 3);
  CHECK(kafka::partition_of("clicks-3", "clicks-3-0") == 0);
  for (const char* other :
       {"clicks", "clicks-", "clicks-x", "clicks-03", "clicks--1", "orders-3", "clicks-3 ", "clicks-99999999999"}) {
    INFO(other);
    CHECK_FALSE(kafka::partition_of("clicks", other));
  }
}
