#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/connector.h"

#include "connectors/file/blocks.h"
#include "connectors/file/config.h"
#include "event/kinesis_event.h"

namespace weir::file {

/// A file as a stream of shards, with Lambda's event of a Kinesis stream. A record's position is the byte behind its
/// line.
class FileSource final : public PollSource {
 public:
  FileSource(std::shared_ptr<const FileConfig> config, SourceContext context);

  net::awaitable<Result<void>> run(ShardListener& listener) override;
  std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run) override;
  net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits) override;
  void release(const ShardId& shard, bool ended) override;
  std::size_t envelope_bytes(const ShardId& shard) const override;
  void write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const override;
  void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t payload_bytes,
                        JsonWriter& out) const override;
  void write_filter_view(const ShardId& shard, const Record& record, bool with_metadata,
                         FilterView& out) const override;
  std::string event_source_arn() const override;

 private:
  struct Lane {
    std::size_t number = 0;
    KinesisStream stream;
    std::uint64_t after = 0;             ///< the position of the last record handed out
    std::optional<WallTime> not_before;  ///< records of a recording that came earlier are passed over
    std::uint64_t block = 0;
    std::unique_ptr<net::steady_timer> changed;  ///< wakes a waiting fetch
    bool waiting = false;                        ///< for the file to grow
    bool ended = false;
  };

  Lane& lane(const ShardId& shard);
  const Lane& lane(const ShardId& shard) const;
  /// Takes what the lane may have now out of its block; how long to wait when pacing holds the next record back.
  std::optional<Duration> take(Lane& lane, const Block& block, FetchLimits limits, RecordBatch& batch);
  net::awaitable<Result<void>> watch();
  void fail(Error error);
  void wake_run();

  std::shared_ptr<const FileConfig> config_;
  SourceContext context_;
  std::unique_ptr<BlockReader> reader_;
  std::map<std::string, Lane, std::less<>> lanes_;
  std::uint64_t latest_ = 0;  ///< where the file ended when it was opened
  std::size_t open_lanes_ = 0;
  std::optional<Error> failure_;  ///< ends reading at once
  std::optional<Error> damage_;   ///< reported when every lane has read up to it
  net::steady_timer finished_;    ///< cancelled when the last lane was released or reading failed
  std::optional<net::posix::stream_descriptor> notices_;  ///< of changes of the file, when it is followed
  struct Pace {
    Instant real;
    WallTime recorded;
  };
  std::optional<Pace> pace_;  ///< the first record that was handed out
};

}  // namespace weir::file
