#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/connector.h"

#include "streams/backlog_end.h"
#include "streams/poll_pace.h"
#include "streams/shard_lineage.h"
#include "streams/stream_api.h"

namespace weir::streams {

/// How a stream's shards are read.
struct ShardReaderSettings {
  ShardReaderSettings() = default;

  std::string source;                                 ///< its name in the configuration
  Resume starting_position = Resume::trim_horizon();  ///< of a mapping that has never run before
  std::size_t page_max_records = 10'000;              ///< that one read may ask for
  /// About so much of records one read asks for, as they are held in memory; more where a batch needs it. Five reads a
  /// second of so much are more than Kinesis gives of a shard.
  std::size_t page_bytes = 1U << 20U;
  Duration discovery = std::chrono::seconds(60);  ///< between two listings of the shards
  Duration patience = std::chrono::seconds(30);   ///< with a service that does not answer
  PaceLimits pace;
};

/// Reads the shards of a stream: finds them, opens children after their parents, keeps iterators, reads at the pace
/// that the service allows. A connector of a stream holds one and hands run(), start(), fetch() and release() of its
/// PollSource on to it.
///
/// What goes wrong: an iterator that ended is replaced by one behind the last record that was read; a position that the
/// stream does not keep any more is read from the oldest record, with a warning; a throttled read is tried again with
/// the same iterator; a service that does not answer is asked again, until after `patience` run() fails with
/// source.unreachable; a stream that is gone fails run() with source.not_found; a position that is none of its shard is
/// said, and that shard waits while the others are read; a stream without shards, as one that is being made, is listed
/// again soon.
/// One executor, whose context runs in one thread.
class ShardReader {
 public:
  /// `api`, `log` and `clock` outlive the reader.
  ShardReader(net::any_io_executor executor, StreamApi& api, ShardReaderSettings settings, Log& log, const Clock& clock,
              std::uint64_t seed = seed_from_system());
  ~ShardReader();
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  /// As PollSource has them.
  net::awaitable<Result<void>> run(ShardListener& listener);
  std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run);
  std::map<std::string, Resume> later_starts() const;
  net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits);
  void release(const ShardId& shard, bool ended);
  std::string trouble() const;
  std::optional<bool> has_shard(std::string_view shard) const;

 private:
  struct Shard;
  Shard& at(const ShardId& shard);
  net::awaitable<ReadResult<void>> discover(ShardListener& listener);
  net::awaitable<Result<void>> serve(ShardListener& listener);
  void open(ShardListener& listener);
  /// One read (and, where there is none, an iterator before it). What failed and may pass has set the pace.
  net::awaitable<void> read(Shard& shard, FetchLimits limits);
  void on_failed(Shard& shard, const ReadError& error, Instant began);
  RecordBatch take(Shard& shard, FetchLimits limits);
  Resume first_start() const;
  std::size_t page_size(const Shard& shard, FetchLimits limits) const;
  void fail(Error error);
  void wake();

  net::any_io_executor executor_;
  StreamApi& api_;
  ShardReaderSettings settings_;
  Log& log_;
  const Clock& clock_;
  Random random_;
  BacklogEnd backlog_end_;
  ShardLineage lineage_;
  std::map<std::string, std::unique_ptr<Shard>, std::less<>> shards_;  ///< that are open
  std::optional<WallTime> began_;                                      ///< when the stream was listed first
  std::optional<Error> failure_;                                       ///< ends run()
  bool opened_ = false;      ///< what the first listing with shards had without parents
  bool told_empty_ = false;  ///< that listings before that one had none
  bool over_ = false;        ///< run() has returned
  bool listing_wanted_ = false;
  std::uint64_t listings_ = 0;  ///< that came
  bool woken_ = false;
  net::steady_timer changed_;  ///< cancelled to wake run()
};

}  // namespace weir::streams
