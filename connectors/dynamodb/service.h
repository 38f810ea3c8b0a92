#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "weir/base/time.h"

#include "aws/client.h"
#include "connectors/dynamodb/envelope.h"
#include "streams/stream_api.h"

namespace weir::dynamodb {

namespace net = boost::asio;

/// The ARN of a table's newest stream, which may have been turned off: what it still holds is read all the same.
/// source.not_found: the table has none, or there is no such table.
net::awaitable<Result<std::string>> find_stream(aws::Client& client, std::string table);

/// DynamoDB Streams 2012-08-10 as ShardReader asks it (reference stream-sources.md, 9.4).
///
/// The service has no iterator for a time. One is given all the same: at the oldest record, and records that are older
/// are left out, until the first that may not be. Creation times are rounded down, by AWS to the second and by DynamoDB
/// Local to the minute, so a record of the same minute counts as young enough: it may come twice rather than never.
class DynamodbStreams final : public streams::StreamApi {
 public:
  /// `client` outlives it.
  DynamodbStreams(aws::Client& client, std::string stream_arn);

  net::awaitable<streams::ReadResult<std::vector<streams::ListedShard>>> list_shards() override;
  net::awaitable<streams::ReadResult<std::string>> shard_iterator(std::string shard, Resume from) override;
  net::awaitable<streams::ReadResult<streams::ReadPage>> get_records(std::string shard, std::string iterator,
                                                                     std::size_t max_records) override;

  std::optional<Error> closed_for_good() const override;

  const std::string& stream_arn() const { return stream_arn_; }

 private:
  aws::Client& client_;
  std::string stream_arn_;
  bool turned_off_ = false;  ///< as it was described last
  RecordReader reader_;
  std::map<std::string, WallTime, std::less<>> not_before_;  ///< by shard: older records are left out
};

}  // namespace weir::dynamodb
