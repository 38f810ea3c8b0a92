#include "connectors/dynamodb/source.h"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "connectors/dynamodb/connector.h"
#include "connectors/dynamodb/envelope.h"

namespace weir::dynamodb {
namespace {

/// Lambda's own base rate (with-ddb): 4 reads a second of an idle shard.
constexpr Duration kPause = std::chrono::milliseconds(250);

/// What stands in for DynamoDB has no limit of reads, so a record is seen sooner there.
streams::PaceLimits pace_of_stand_in() {
  streams::PaceLimits pace;
  pace.reads_per_second = 0;
  pace.active_pause = std::chrono::milliseconds(20);
  pace.idle_pause = std::chrono::milliseconds(100);
  return pace;
}

}  // namespace

DynamodbSource::DynamodbSource(std::shared_ptr<const DynamodbConfig> config, SourceContext context)
    : config_(std::move(config)), context_(std::move(context)) {}

net::awaitable<Result<void>> DynamodbSource::run(ShardListener& listener) {
  WEIR_ASSERT(!client_);
  // Being called off is looked for, not thrown: the client is closed in any case.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  aws::ClientSettings settings;
  settings.name = context_.name;
  settings.service = "streams.dynamodb";
  settings.signing = "dynamodb";
  settings.arn_region = region_of_stream(config_->stream_arn).value_or("");
  settings.access = config_->access.or_else(context_.aws);
  auto client =
      aws::Client::make(context_.executor, context_.blocking, std::move(settings), context_.log, context_.clock);
  Result<void> result;
  if (client) {
    client_ = std::move(*client);
    result = co_await serve(listener);
    co_await client_->close();
  } else {
    result = Error(ErrorCode::kSourceFailed, client.error().message());
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return result;
}

net::awaitable<Result<void>> DynamodbSource::serve(ShardListener& listener) {
  std::string stream = config_->stream_arn;
  if (stream.empty()) {
    auto found = co_await find_stream(*client_, config_->table);
    if (!found) co_return std::move(found.error());
    stream = std::move(*found);
  }
  streams_ = std::make_unique<DynamodbStreams>(*client_, std::move(stream));
  streams::ShardReaderSettings settings;
  settings.source = context_.name;
  settings.starting_position = config_->starting_position;
  settings.page_max_records = 1000;
  settings.pace.idle_pause = kPause;
  if (client_->url().find(".amazonaws.com") == std::string::npos) settings.pace = pace_of_stand_in();
  reader_ = std::make_unique<streams::ShardReader>(context_.executor, *streams_, std::move(settings), context_.log,
                                                   context_.clock);
  co_return co_await reader_->run(listener);
}

std::optional<Resume> DynamodbSource::start(const ShardId& shard, std::optional<Resume> from, bool first_run) {
  return reader_->start(shard, std::move(from), first_run);
}

net::awaitable<RecordBatch> DynamodbSource::fetch(ShardId shard, FetchLimits limits) {
  co_return co_await reader_->fetch(std::move(shard), limits);
}

void DynamodbSource::release(const ShardId& shard, bool ended) {
  reader_->release(shard, ended);
}

std::size_t DynamodbSource::envelope_bytes(const ShardId&) const {
  return kEnvelopeBytes;
}

void DynamodbSource::write_event(const ShardId&, std::span<const Record> records, std::string& out) const {
  dynamodb::write_event(records, out);
}

void DynamodbSource::write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t,
                                      JsonWriter& out) const {
  dynamodb::write_batch_info(shard.name, event_source_arn(), records, out);
}

void DynamodbSource::write_filter_view(const ShardId&, const Record& record, bool with_metadata,
                                       FilterView& out) const {
  // The body is a member like the others: a filter always looks at the record.
  if (with_metadata) out.metadata = record.data;
}

std::string DynamodbSource::event_source_arn() const {
  return streams_ ? streams_->stream_arn() : config_->stream_arn;
}

std::string DynamodbSource::stream_identity() const {
  const std::string stream = event_source_arn();
  return stream.substr(0, stream.find("/stream/"));
}

std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<DynamodbSource>(std::static_pointer_cast<const DynamodbConfig>(std::move(config)),
                                          std::move(context));
}

std::string check_checkpoint(const SourceConfig&, std::string_view shard, const Resume& to) {
  if (!shard.starts_with("shardId-")) {
    return "a shard of a DynamoDB stream is called like shardId-00000001573012345678-6f4dcd29";
  }
  // GetShardIterator takes no longer one; a shorter one is filled up with zeros.
  constexpr std::size_t kDigitsMax = 40;
  if (to.kind() == Resume::Kind::kAfter && to.position().text().size() > kDigitsMax) {
    return "a sequence number of a DynamoDB stream has at most 40 digits";
  }
  return "";
}

}  // namespace weir::dynamodb
