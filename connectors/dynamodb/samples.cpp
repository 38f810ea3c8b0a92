#include <array>
#include <initializer_list>
#include <span>

#include "weir/event/window.h"

#include "connectors/dynamodb/connector.h"
#include "connectors/dynamodb/envelope.h"

namespace weir::dynamodb {
namespace {

constexpr std::string_view kStream =
    "arn:aws:dynamodb:us-east-1:123456789012:table/ExampleTableWithStream/stream/2026-06-27T00:48:05.899";
constexpr std::string_view kShard = "shardId-00000001789651658123-6f4dcd29";

// What GetRecords answers of an item that was put, updated and deleted.
constexpr std::string_view kInserted =
    R"({"awsRegion":"us-east-1","eventID":"c4ca4238a0b923820dcc509a6f75849b","eventName":"INSERT","eventVersion":"1.1",
 "eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1789651658,"Keys":{"Id":{"N":"101"}},
 "NewImage":{"Message":{"S":"New item!"},"Id":{"N":"101"}},"SequenceNumber":"4421584500000000017450439091",
 "SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"}})";
constexpr std::string_view kModified =
    R"({"awsRegion":"us-east-1","eventID":"c81e728d9d4c2f636f067f89cc14862c","eventName":"MODIFY","eventVersion":"1.1",
 "eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1789651659,"Keys":{"Id":{"N":"101"}},
 "NewImage":{"Message":{"S":"This item has changed"},"Id":{"N":"101"}},
 "OldImage":{"Message":{"S":"New item!"},"Id":{"N":"101"}},"SequenceNumber":"4421584500000000017450439092",
 "SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"}})";
constexpr std::string_view kRemoved =
    R"({"awsRegion":"us-east-1","eventID":"eccbc87e4b5ce2fe28308fd9f2a7baf3","eventName":"REMOVE","eventVersion":"1.1",
 "eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1789651660,"Keys":{"Id":{"N":"101"}},
 "OldImage":{"Message":{"S":"This item has changed"},"Id":{"N":"101"}},
 "SequenceNumber":"4421584500000000017450439093","SizeBytes":38,"StreamViewType":"NEW_AND_OLD_IMAGES"}})";
/// Source: DynamoDB developer guide, time-to-live-ttl-streams.
constexpr std::string_view kExpired =
    R"({"awsRegion":"us-east-1","eventID":"eccbc87e4b5ce2fe28308fd9f2a7baf3","eventName":"REMOVE","eventVersion":"1.1",
 "eventSource":"aws:dynamodb","userIdentity":{"Type":"Service","PrincipalId":"dynamodb.amazonaws.com"},
 "dynamodb":{"ApproximateCreationDateTime":1789651660,"Keys":{"Id":{"N":"101"}},
 "OldImage":{"Message":{"S":"This item has changed"},"Id":{"N":"101"}},
 "SequenceNumber":"4421584500000000017450439093","SizeBytes":38,"StreamViewType":"NEW_AND_OLD_IMAGES"}})";
constexpr std::string_view kKeysOnly =
    R"({"awsRegion":"us-east-1","eventID":"c81e728d9d4c2f636f067f89cc14862c","eventName":"MODIFY","eventVersion":"1.1",
 "eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1789651659,"Keys":{"Id":{"N":"101"}},
 "SequenceNumber":"4421584500000000017450439092","SizeBytes":3,"StreamViewType":"KEYS_ONLY"}})";

std::string event_of(std::initializer_list<std::string_view> records) {
  std::string answer = R"({"Records":[)";
  for (const std::string_view each : records) {
    if (answer.back() == '}') answer += ',';
    answer += each;
  }
  const auto page = RecordReader().read(answer + "]}", kStream);
  std::string out;
  write_event(page.value().records.records, out);
  return out;
}

std::string inserted() {
  return event_of({kInserted});
}
std::string modified() {
  return event_of({kModified});
}
std::string removed() {
  return event_of({kRemoved});
}
std::string expired() {
  return event_of({kExpired});
}
std::string keys_only() {
  return event_of({kKeysOnly});
}

std::string in_window(std::string event, bool is_final) {
  WindowCall window;
  window.start = from_epoch_milliseconds(1'789'651'620'000);
  window.end = from_epoch_milliseconds(1'789'651'680'000);
  if (is_final) window.state = R"({"count":1})";
  window.is_final = is_final;
  event.pop_back();
  return event + window_members(kShard, kStream, window) + "}";
}
std::string windowed() {
  return in_window(event_of({kInserted}), false);
}
std::string window_ended() {
  return in_window(event_of({}), true);
}

}  // namespace

std::string sample_event() {
  return event_of({kInserted, kModified, kRemoved});
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"insert", "An item that was put.", &inserted},
      SampleEvent{"keys-only", "An item of a stream that tells the keys alone.", &keys_only},
      SampleEvent{"modify", "One that was changed.", &modified},
      SampleEvent{"remove", "One that was deleted.", &removed},
      SampleEvent{"remove-ttl", "One whose time to live was over.", &expired},
      SampleEvent{"window", "The first batch of a tumbling window.", &windowed},
      SampleEvent{"window-final", "A window's end, with its state and no records.", &window_ended},
  };
  return kSamples;
}

}  // namespace weir::dynamodb
