#include <array>
#include <span>

#include "weir/event/window.h"

#include "connectors/kinesis/connector.h"
#include "event/kinesis_event.h"

namespace weir::kinesis {
namespace {

/// Source: Lambda developer guide, with-kinesis, the example event.
KinesisStream stream() {
  KinesisStream stream;
  stream.stream_arn = "arn:aws:kinesis:us-east-1:123456789012:stream/sample";
  stream.role_arn = "arn:aws:iam::123456789012:role/weir";
  stream.region = "us-east-1";
  stream.shard_id = "shardId-000000000006";
  return stream;
}

Record record(std::string_view position, std::string_view data) {
  Record record;
  record.position = *Position::parse(position);
  record.key = "1";
  record.data = data;
  return record;
}

Record first() {
  return record("49590338271490256608559692538361571095921575989136588898", "Hello, this is a test.");
}

std::string event_of(const KinesisStream& stream, std::span<const Record> records) {
  std::string out = R"({"Records":[)";
  for (const Record& each : records) {
    if (out.back() == '}') out += ',';
    append_kinesis_record(out, stream, each, from_epoch_milliseconds(1'545'084'650'987));
  }
  return out + "]}";
}

std::string batch() {
  const std::array records{first(),
                           record("49590338271490256608559692540925702759324208523137515618", "This is only a test.")};
  return event_of(stream(), records);
}

std::string fan_out() {
  KinesisStream consumer = stream();
  consumer.stream_arn += "/consumer/sample-consumer:1545084600";
  const std::array records{first()};
  return event_of(consumer, records);
}

WindowCall window(std::string state) {
  WindowCall window;
  window.start = from_epoch_milliseconds(1'545'084'600'000);
  window.end = from_epoch_milliseconds(1'545'084'720'000);
  window.state = std::move(state);
  return window;
}
std::string in_window(std::span<const Record> records, const WindowCall& call) {
  const KinesisStream shared = stream();
  std::string event = event_of(shared, records);
  event.pop_back();
  return event + window_members(shared.shard_id, shared.stream_arn, call) + "}";
}
std::string window_begun() {
  const std::array records{first()};
  return in_window(records, window("{}"));
}
std::string window_goes_on() {
  const std::array records{first()};
  return in_window(records, window(R"({"count":1})"));
}
std::string window_ended() {
  WindowCall call = window(R"({"count":2})");
  call.is_final = true;
  return in_window({}, call);
}
std::string window_cut_short() {
  WindowCall call = window(R"({"count":2})");
  call.is_final = call.terminated_early = true;
  return in_window({}, call);
}

}  // namespace

std::string sample_event() {
  const std::array records{first()};
  return event_of(stream(), records);
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"batch", "Two records of a shard.", &batch},
      SampleEvent{"fan-out", "A record that came by enhanced fan-out.", &fan_out},
      SampleEvent{"window", "The first batch of a tumbling window.", &window_begun},
      SampleEvent{"window-final", "A window's end, with its state and no records.", &window_ended},
      SampleEvent{"window-state", "A later batch, with the state that the call before it returned.", &window_goes_on},
      SampleEvent{"window-terminated", "The end of one whose state grew too large.", &window_cut_short},
  };
  return kSamples;
}

}  // namespace weir::kinesis
