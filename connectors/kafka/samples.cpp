#include <array>
#include <span>

#include "connectors/kafka/connector.h"
#include "connectors/kafka/envelope.h"

namespace weir::kafka {
namespace {

constexpr std::array<Header, 1> kHeaders{Header{.name = "traceId", .value = "a1b2"}};

RecordExtras extras(std::span<const Header> headers) {
  return {.timestamp_ms = 1'789'200'000'123, .timestamp_type = TimestampType::kCreateTime, .headers = headers};
}

Record record(const RecordExtras& more) {
  return {.position = Position(15),
          .arrival = from_epoch_milliseconds(more.timestamp_ms),
          .key = "user-7",
          .data = R"({"kind":"click","page":"/"})",
          .origin = &more};
}

std::string event_of(std::span<Record> records, const std::string& arn = "") {
  const Envelope envelope({.bootstrap_servers = "127.0.0.1:9092", .event_source_arn = arn, .topic = "clicks"}, 0);
  for (Record& each : records) each.encoded_bytes = envelope.record_bytes(each);
  std::string event;
  envelope.write_event(records, event);
  return event;
}

std::string batch() {
  const RecordExtras more = extras(kHeaders);
  std::array records{record(more), record(more)};
  records[1].position = Position(16);
  records[1].key = "user-8";
  return event_of(records);
}

std::string headers() {
  // Order and repeats are kept; bytes are signed.
  constexpr std::array<Header, 3> kSeveral{Header{.name = "traceId", .value = "a1b2"},
                                           Header{.name = "traceId", .value = "c3"},
                                           Header{.name = "raw", .value = "\x01\xff"}};
  const RecordExtras more = extras(kSeveral);
  Record one = record(more);
  return event_of(std::span(&one, 1));
}

std::string msk() {
  const RecordExtras more = extras(kHeaders);
  Record one = record(more);
  return event_of(std::span(&one, 1),
                  "arn:aws:kafka:us-east-1:123456789012:cluster/sample/6f4dcd29-7a61-4b8e-9f00-0a1b2c3d4e5f-1");
}

std::string without_key() {
  const RecordExtras more = extras({});
  Record one = record(more);
  one.key = {};
  one.has_key = false;
  return event_of(std::span(&one, 1));
}

std::string tombstone() {
  const RecordExtras more = extras({});
  Record one = record(more);
  one.data = {};
  one.has_data = false;
  return event_of(std::span(&one, 1));
}

}  // namespace

std::string sample_event() {
  const RecordExtras more = extras(kHeaders);
  Record one = record(more);
  return event_of(std::span(&one, 1));
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"batch", "Two records of a partition.", &batch},
      SampleEvent{"headers", "A record with several headers.", &headers},
      SampleEvent{"msk", "One of a cluster of MSK.", &msk},
      SampleEvent{"no-key", "One without a key.", &without_key},
      SampleEvent{"null-value", "One without a value: a tombstone.", &tombstone},
  };
  return kSamples;
}

}  // namespace weir::kafka
