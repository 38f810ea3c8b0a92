#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/event/resume.h"

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
std::string get_records_body(const StreamName& stream, const std::string& iterator, std::size_t max_records);
std::string describe_summary_body(const StreamName& stream);

/// One page of ListShards.
struct ShardsPage {
  ShardsPage() = default;

  std::vector<streams::ListedShard> shards;
  std::string next_token;  ///< "" of the last page
};

/// Each of these reads the body of a success. source.data: it is none that Kinesis would send.
Result<ShardsPage> read_shards(std::string_view answer);
Result<std::string> read_shard_iterator(std::string_view answer);
Result<std::string> read_stream_arn(std::string_view answer);

/// Reads the records of one shard out of answers. Keeps scratch memory; one thread.
class RecordsReader {
 public:
  RecordsReader();
  ~RecordsReader();
  RecordsReader(const RecordsReader&) = delete;
  RecordsReader& operator=(const RecordsReader&) = delete;

  /// The body of GetRecords. The records' encoded_bytes are those of the stream's events.
  Result<streams::ReadPage> read_page(std::string answer, const KinesisStream& stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::kinesis
