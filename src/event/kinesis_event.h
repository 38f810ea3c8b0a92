#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "weir/base/json_writer.h"
#include "weir/base/time.h"
#include "weir/event/record.h"

namespace weir {

/// What all records of one event share, in Lambda's event of a Kinesis stream.
struct KinesisStream {
  std::string stream_arn;  ///< of the stream, or of the consumer with enhanced fan-out
  std::string role_arn;    ///< the function's execution role: invokeIdentityArn
  std::string region;
  std::string shard_id;  ///< "shardId-000000000000"
};

/// Appends one element of `Records`, in the wire order of a recorded event (reference stream-sources.md, 2.1).
/// `arrived`: what approximateArrivalTimestamp says.
void append_kinesis_record(std::string& out, const KinesisStream& stream, const Record& record, WallTime arrived);

/// Exactly how many bytes append_kinesis_record() appends.
std::size_t kinesis_record_size(const KinesisStream& stream, const Record& record, WallTime arrived);

/// Bytes of `{"Records":[]}`.
inline constexpr std::size_t kKinesisEnvelopeBytes = 14;

/// Epoch seconds with milliseconds, as Java prints a double: "1.69106871717E9".
std::string java_seconds(WallTime time);

/// The members of a record beside its data, as patterns of filter_criteria speak of them: those of `kinesis`, without
/// that name around them (reference patterns.md, "Lambda event source mappings").
std::string kinesis_filter_metadata(const Record& record, WallTime arrived);

/// Writes the member "KinesisBatchInfo" of an on-failure record (reference stream-sources.md, section 6). No records
/// are those of a tumbling window's final call.
void write_kinesis_batch_info(const KinesisStream& stream, std::span<const Record> records, JsonWriter& out);

}  // namespace weir
