#pragma once

#include <map>
#include <memory>
#include <string>

#include "weir/base/log.h"
#include "weir/base/time.h"

#include "aws/client.h"
#include "connectors/kinesis/protocol.h"
#include "streams/stream_api.h"

namespace weir::kinesis {

namespace net = boost::asio;

/// What a failed call means to who reads a shard.
streams::ReadError read_error(const aws::ServiceError& error, std::string_view doing);

/// The same of a call that said where to read from.
streams::ReadError position_error(const aws::ServiceError& error, const Resume& from, std::string_view doing);

/// Kinesis Data Streams, read with GetRecords.
class KinesisApi final : public streams::StreamApi {
 public:
  /// `client` outlives it.
  KinesisApi(aws::Client& client, StreamName stream) : client_(client), stream_(std::move(stream)) {}

  net::awaitable<streams::ReadResult<StreamSummary>> describe();
  /// What events of the stream say; before the first get_records().
  void set_stream(KinesisStream stream) { event_ = std::move(stream); }
  /// Whether Amazon answers, or what stands in for it.
  bool is_amazons() const;
  /// Of a shard that was listed.
  HashRange hash_range(std::string_view shard) const;

  net::awaitable<streams::ReadResult<std::vector<streams::ListedShard>>> list_shards() override;
  net::awaitable<streams::ReadResult<std::string>> shard_iterator(std::string shard, Resume from) override;
  net::awaitable<streams::ReadResult<streams::ReadPage>> get_records(std::string shard, std::string iterator,
                                                                     std::size_t max_records) override;

 private:
  net::awaitable<aws::ServiceResult<std::string>> call(std::string_view operation, std::string body,
                                                       Duration timeout = std::chrono::seconds(30));

  aws::Client& client_;
  StreamName stream_;
  KinesisStream event_;  ///< without its shard
  RecordsReader records_;
  std::map<std::string, HashRange, std::less<>> ranges_;  ///< of the shards as they were listed last
  /// Shards of a stand-in that did not answer when asked for a time: what is older is left out here.
  std::map<std::string, WallTime, std::less<>> not_before_;
};

}  // namespace weir::kinesis
