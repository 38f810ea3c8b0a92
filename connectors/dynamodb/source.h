#pragma once

#include <memory>
#include <optional>
#include <string>

#include "weir/connector.h"

#include "aws/client.h"
#include "connectors/dynamodb/config.h"
#include "connectors/dynamodb/service.h"
#include "streams/shard_reader.h"

namespace weir::dynamodb {

/// The stream of a DynamoDB table.
class DynamodbSource final : public PollSource {
 public:
  DynamodbSource(std::shared_ptr<const DynamodbConfig> config, SourceContext context);

  net::awaitable<Result<void>> run(ShardListener& listener) override;
  std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run) override;
  std::map<std::string, Resume> later_starts() const override { return reader_->later_starts(); }
  net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits) override;
  void release(const ShardId& shard, bool ended) override;
  bool remembers_ends() const override { return true; }
  std::size_t envelope_bytes(const ShardId& shard) const override;
  void write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const override;
  void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t payload_bytes,
                        JsonWriter& out) const override;
  void write_filter_view(const ShardId& shard, const Record& record, bool with_metadata,
                         FilterView& out) const override;
  std::string event_source_arn() const override;
  /// The table: its streams' shards have names of their own, so those of its next stream are not taken for this one's.
  std::string stream_identity() const override;
  std::string trouble() const override { return reader_ ? reader_->trouble() : ""; }
  std::optional<bool> has_shard(std::string_view shard) const override {
    return reader_ ? reader_->has_shard(shard) : std::nullopt;
  }

 private:
  net::awaitable<Result<void>> serve(ShardListener& listener);

  std::shared_ptr<const DynamodbConfig> config_;
  SourceContext context_;
  // Made by run(), before the first shard is announced; in the order in which they stand on each other.
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<DynamodbStreams> streams_;
  std::unique_ptr<streams::ShardReader> reader_;
};

}  // namespace weir::dynamodb
