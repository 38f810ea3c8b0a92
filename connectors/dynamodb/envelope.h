#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/json_writer.h"
#include "weir/event/record.h"

namespace weir::dynamodb {

/// What an answer to GetRecords holds.
struct StreamPage {
  StreamPage() = default;

  RecordBatch records;              ///< end_of_shard when there is no next iterator
  std::optional<std::string> next;  ///< NextShardIterator
};

/// Turns answers to GetRecords into records as Lambda's event has them. A record's `data` is its element of `Records`,
/// whole: keys and images are the service's own bytes. Its `key` is the item's, the same text for the same item, so
/// that order is kept by item. It keeps the parser's memory; for one thread at a time.
class RecordReader {
 public:
  RecordReader();
  ~RecordReader();
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  /// source.failed: the answer is not what a GetRecords gives; nothing of it is used then.
  Result<StreamPage> read(std::string answer, std::string_view stream_arn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Bytes of `{"Records":[]}`.
inline constexpr std::size_t kEnvelopeBytes = 14;

/// Appends Lambda's event; its size is kEnvelopeBytes, the records' encoded_bytes and the commas between them.
void write_event(std::span<const Record> records, std::string& out);

/// A sequence number as the service spells it: 21 digits at least, which it insists on.
std::string sequence_text(const Position& position);

/// Writes the member "DDBStreamBatchInfo" of an on-failure record (reference stream-sources.md, section 6): arrival
/// times have no milliseconds, and of a window's final call, which has no records, only the shard and the stream are
/// said.
void write_batch_info(std::string_view shard, std::string_view stream_arn, std::span<const Record> records,
                      JsonWriter& out);

}  // namespace weir::dynamodb
