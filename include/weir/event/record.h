#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"
#include "weir/event/position.h"

namespace weir {

/// A shard of a source: one Kinesis or DynamoDB shard, one Kafka partition, one lane of a file. Records are in order
/// within it and within it only.
struct ShardId {
  std::string source;  ///< the source's name in the configuration
  std::string name;  ///< the source's own name for it: "clicks-3" of a Kafka topic, "shardId-000000000000" of a stream

  std::string text() const { return source + "/" + name; }
  auto operator<=>(const ShardId&) const = default;
};

/// One record of a shard. The bytes belong to the RecordBatch's owner, written once by the source and referred to until
/// the payload is built.
struct Record {
  Position position;
  WallTime arrival;               ///< when the source took it in: what IteratorAge and record age are counted from
  std::string_view key;           ///< partition key; see has_key
  std::string_view data;          ///< the value; see has_data
  const void* origin = nullptr;   ///< the connector's own view of the record, for its envelope; owned like the bytes
  std::size_t encoded_bytes = 0;  ///< exactly what the record adds to the event's JSON, a separating comma not counted
  bool has_key = true;
  bool has_data = true;
  bool filtered = false;   ///< the mapping's filters do not want it: it is done as soon as it is read
  bool continues = false;  ///< another record with the same position follows: a part of an aggregate, not its last

  /// What the record holds in memory, for the bound of a source's buffer.
  std::size_t memory_bytes() const { return key.size() + data.size() + sizeof(Record); }
};

/// What one read of a shard gave: records in order of position, and the owner of their bytes.
struct RecordBatch {
  std::vector<Record> records;
  std::shared_ptr<const void> owner;  ///< shared by every invocation that still refers to a record of it
  bool end_of_shard = false;          ///< no record will ever follow
};

}  // namespace weir
