#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/json_writer.h"
#include "weir/base/time.h"
#include "weir/event/resume.h"

#include "connectors/kinesis/aggregate.h"
#include "event/kinesis_event.h"
#include "streams/stream_api.h"

namespace weir::kinesis {

/// The stream as requests name it.
struct StreamName {
  StreamName() = default;

  std::string name;
  std::string arn;  ///< "" when only the name is known
};

/// Bodies of requests (reference stream-sources.md, 9.2).
std::string list_shards_body(const StreamName& stream, const std::string& next_token);
std::string shard_iterator_body(const StreamName& stream, const std::string& shard, const Resume& from);
/// The members of an object that say where reading begins, by what Kinesis calls them there.
void write_position(JsonWriter& out, const Resume& from, std::string_view type_key, std::string_view sequence_key);
std::string get_records_body(const StreamName& stream, const std::string& iterator, std::size_t max_records);
std::string describe_summary_body(const StreamName& stream);

/// One page of ListShards.
struct ShardsPage {
  ShardsPage() = default;

  std::vector<streams::ListedShard> shards;
  std::vector<HashRange> ranges;  ///< of each
  std::string next_token;         ///< "" of the last page
};

/// What DescribeStreamSummary says of a stream.
struct StreamSummary {
  StreamSummary() = default;

  std::string arn;
  std::optional<WallTime> created;  ///< a stand-in may not say
};

/// Each of these reads the body of a success. source.failed: it is none that Kinesis would send.
Result<ShardsPage> read_shards(std::string_view answer);
Result<std::string> read_shard_iterator(std::string_view answer);
Result<StreamSummary> read_stream_summary(std::string_view answer);

/// Reads the records of one shard out of answers. Keeps scratch memory; one thread.
class RecordsReader {
 public:
  RecordsReader();
  ~RecordsReader();
  RecordsReader(const RecordsReader&) = delete;
  RecordsReader& operator=(const RecordsReader&) = delete;

  /// The body of GetRecords, or a SubscribeToShardEvent, whose next iterator is its continuation sequence number. The
  /// records' encoded_bytes are those of the stream's events. `split`: what KPL put together is taken apart, as Lambda
  /// does it for a consumer's ARN only; the shard's hash keys.
  Result<streams::ReadPage> read_page(std::string answer, const KinesisStream& stream,
                                      const HashRange* split = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::kinesis
