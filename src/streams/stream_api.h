#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/event/record.h"
#include "weir/event/resume.h"

#include "streams/listed_shard.h"

namespace weir::streams {

namespace net = boost::asio;

/// What reading a shard failed with, as far as the reader cares.
enum class ReadFailure {
  kExpiredIterator,  ///< get another one, behind the last record that was read
  kTrimmed,          ///< the position is older than the stream keeps: go on at TRIM_HORIZON, and say so
  kThrottled,        ///< wait, then try the same iterator
  kWrongPosition,    ///< it is none of this shard
  kGone,             ///< the stream or shard is not there (any more)
  kRefused,          ///< credentials or rights
  kUnreachable,      ///< no answer, or a failure of the service's own
  kOther,
};
struct ReadError {
  ReadError() = default;
  ReadError(ReadFailure what, Error why) : failure(what), error(std::move(why)) {}

  ReadFailure failure = ReadFailure::kOther;
  Error error;
};
template <typename T>
using ReadResult = boost::system::result<T, ReadError>;
[[noreturn]] void throw_exception_from_error(const ReadError& error, const boost::source_location& where);

/// What one GetRecords gave.
struct ReadPage {
  ReadPage() = default;

  RecordBatch records;              ///< end_of_shard when there is no next iterator
  std::optional<std::string> next;  ///< the next iterator; none: the shard is closed and read to its end
  std::optional<Duration> behind;   ///< MillisBehindLatest, where the service says it
};

/// Kinesis or DynamoDB Streams, as ShardReader asks them: one implementation per connector, over aws::Client.
class StreamApi {
 public:
  virtual ~StreamApi() = default;
  /// Every shard that the stream still knows, pages put together.
  virtual net::awaitable<ReadResult<std::vector<ListedShard>>> list_shards() = 0;
  /// Never asked for SHARD_END.
  virtual net::awaitable<ReadResult<std::string>> shard_iterator(std::string shard, Resume from) = 0;
  /// `max_records`: at least 1.
  virtual net::awaitable<ReadResult<ReadPage>> get_records(std::string shard, std::string iterator,
                                                           std::size_t max_records) = 0;
  /// Why nothing will ever come any more once the shards that were listed last are read to their ends; nothing of a
  /// stream that may get others.
  virtual std::optional<Error> closed_for_good() const { return std::nullopt; }
};

}  // namespace weir::streams
