#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "weir/base/json_writer.h"
#include "weir/event/filter_view.h"
#include "weir/event/record.h"

namespace weir::kafka {

/// One header of a record. Borrowed, as Record's bytes are. A header without a value has an empty one, as AWS has no
/// way to tell.
struct Header {
  std::string_view name;
  std::string_view value;
};

enum class TimestampType { kNone, kCreateTime, kLogAppendTime };

/// What a Kafka record has beside weir's Record; Record::origin points to one.
struct RecordExtras {
  std::int64_t timestamp_ms = -1;  ///< as the broker gave it; -1 with kNone
  TimestampType timestamp_type = TimestampType::kNone;
  std::span<const Header> headers;
};

/// What the events of one source have in common.
struct EventOrigin {
  std::string bootstrap_servers;  ///< "HOST:PORT,HOST:PORT"
  std::string event_source_arn;   ///< "": SelfManagedKafka, else aws:kafka
  std::string topic;
};

/// Writes Lambda's event for the records of one partition. Pure and immutable.
/// Source: with-kafka, with-msk (the member order is that of AWS's samples); a record without a key has no `key`,
/// because Powertools' parser refuses null there; a tombstone has `value` null.
class Envelope {
 public:
  Envelope(const EventOrigin& origin, std::int32_t partition);

  /// Bytes of the event beside records and the commas between them.
  std::size_t event_bytes() const { return opening_.size() + kClosing.size(); }
  /// Exactly what write_event() writes for this record, whose origin is a RecordExtras.
  std::size_t record_bytes(const Record& record) const;
  /// Appends the event. At least one record, each with encoded_bytes set to record_bytes().
  void write_event(std::span<const Record> records, std::string& out) const;
  /// Writes "KafkaBatchInfo": {...} of an on-failure record (kafka-on-failure).
  void write_batch_info(std::span<const Record> records, std::size_t payload_bytes, JsonWriter& out) const;
  /// What filters see: the value as it was sent; beside it the record's other members, the key decoded
  /// (invocation-eventfiltering: a pattern speaks of the decoded data).
  void write_filter_view(const Record& record, bool with_metadata, FilterView& out) const;

 private:
  static constexpr std::string_view kClosing = "]}}";

  std::string bootstrap_servers_;
  std::string event_source_arn_;
  std::string shard_;           ///< "clicks-3"
  std::string opening_;         ///< from the event's start to the first record
  std::string record_opening_;  ///< from a record's start to its offset
};

/// The offset that an entry of batchItemFailures names, from its itemIdentifier's JSON text,
/// {"partition":"clicks-3","offset":100} (kafka-retry-configurations); nothing when it is of another partition, or of
/// another form.
std::optional<Position> identified_offset(std::string_view shard, std::string_view identifier);

}  // namespace weir::kafka
