#pragma once

#include <memory>
#include <string>

#include "weir/connector.h"

#include "aws/client.h"
#include "connectors/kinesis/api.h"
#include "connectors/kinesis/config.h"
#include "connectors/kinesis/fan_out.h"
#include "event/kinesis_event.h"
#include "streams/shard_reader.h"

namespace weir::kinesis {

/// A Kinesis data stream, with Lambda's event. Checkpoints live in weir's store.
class KinesisSource final : public PollSource {
 public:
  KinesisSource(std::shared_ptr<const KinesisConfig> config, SourceContext context);
  ~KinesisSource() override;

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
  std::string event_source_arn() const override { return stream_.stream_arn; }
  std::string stream_identity() const override { return identity_; }
  std::string trouble() const override { return reader_ ? reader_->trouble() : ""; }
  std::optional<bool> has_shard(std::string_view shard) const override {
    return reader_ ? reader_->has_shard(shard) : std::nullopt;
  }

 private:
  net::awaitable<Result<void>> connect();
  KinesisStream stream_of(const ShardId& shard) const;

  std::shared_ptr<const KinesisConfig> config_;
  SourceContext context_;
  KinesisStream stream_;  ///< without its shard; known before the first shard is opened
  std::string identity_;  ///< the stream's ARN, and when it was made
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<KinesisApi> api_;
  std::unique_ptr<FanOutApi> fan_out_;  ///< with a consumer's ARN
  std::unique_ptr<streams::ShardReader> reader_;
};

}  // namespace weir::kinesis
