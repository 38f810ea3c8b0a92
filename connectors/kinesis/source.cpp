#include "connectors/kinesis/source.h"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "connectors/kinesis/connector.h"

namespace weir::kinesis {
namespace {

/// A role for events: weir knows none, and Lambda always says one.
std::string role_arn(const StreamArn& arn) {
  return "arn:" + arn.partition + ":iam::" + arn.account + ":role/weir";
}

constexpr std::size_t kStandInPageBytes = 128U << 10U;

/// What stands in for Kinesis has no limit of reads, so a record is seen sooner there.
streams::PaceLimits pace_of_stand_in() {
  streams::PaceLimits pace;
  pace.reads_per_second = 0;
  pace.active_pause = std::chrono::milliseconds(20);
  pace.idle_pause = std::chrono::milliseconds(100);
  return pace;
}

/// Subscriptions come with their records; a refused one may be asked for again after five seconds.
streams::PaceLimits pace_of_subscriptions() {
  streams::PaceLimits pace;
  pace.reads_per_second = 0;
  pace.active_pause = pace.idle_pause = Duration(0);
  pace.slow_pause_max = Duration(0);
  pace.backoff_min = std::chrono::seconds(1);
  return pace;
}

}  // namespace

KinesisSource::KinesisSource(std::shared_ptr<const KinesisConfig> config, SourceContext context)
    : config_(std::move(config)), context_(std::move(context)) {}

KinesisSource::~KinesisSource() = default;

net::awaitable<Result<void>> KinesisSource::connect() {
  aws::ClientSettings settings;
  settings.name = context_.name;
  settings.service = "kinesis";
  settings.access = config_->access.or_else(context_.aws);
  std::optional<StreamArn> arn = parse_stream_arn(config_->stream_arn);
  if (arn) settings.arn_region = arn->region;
  auto client =
      aws::Client::make(context_.executor, context_.blocking, std::move(settings), context_.log, context_.clock);
  if (!client) co_return Error(ErrorCode::kSourceFailed, client.error().message());
  client_ = std::move(*client);

  StreamName name;
  name.name = config_->stream_name;
  name.arn = config_->stream_arn;
  api_ = std::make_unique<KinesisApi>(*client_, name);
  auto told = co_await api_->describe();
  if (!told) co_return std::move(told.error().error);
  if (!arn) {
    arn = parse_stream_arn(told->arn);
    if (!arn) co_return Error(ErrorCode::kSourceFailed, "\"" + told->arn + "\" is no stream's ARN");
  }
  identity_ = arn->stream_arn;
  if (told->created) identity_ += " of " + iso_milliseconds(*told->created);
  stream_.stream_arn = config_->consumer_arn.empty() ? arn->stream_arn : config_->consumer_arn;
  stream_.role_arn = role_arn(*arn);
  stream_.region = arn->region;
  api_->set_stream(stream_);

  streams::ShardReaderSettings reading;
  reading.source = context_.name;
  reading.starting_position = config_->starting_position;
  streams::StreamApi* read = api_.get();
  if (!config_->consumer_arn.empty()) {
    fan_out_ = std::make_unique<FanOutApi>(*client_, *api_, config_->consumer_arn, stream_);
    read = fan_out_.get();
    reading.pace = pace_of_subscriptions();
  } else if (client_->url().find(".amazonaws.com") == std::string::npos) {
    reading.pace = pace_of_stand_in();
    // It may be read as often as there is need: the answers may be small.
    reading.page_bytes = kStandInPageBytes;
  }
  reader_ = std::make_unique<streams::ShardReader>(context_.executor, *read, std::move(reading), context_.log,
                                                   context_.clock);
  co_return Result<void>();
}

net::awaitable<Result<void>> KinesisSource::run(ShardListener& listener) {
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Result<void> result = co_await connect();
  if (result) result = co_await reader_->run(listener);
  // What fetch() calls are under way end without an answer.
  if (client_) co_await client_->close();
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return result;
}

std::optional<Resume> KinesisSource::start(const ShardId& shard, std::optional<Resume> from, bool first_run) {
  return reader_->start(shard, std::move(from), first_run);
}

net::awaitable<RecordBatch> KinesisSource::fetch(ShardId shard, FetchLimits limits) {
  return reader_->fetch(std::move(shard), limits);
}

void KinesisSource::release(const ShardId& shard, bool ended) {
  reader_->release(shard, ended);
}

KinesisStream KinesisSource::stream_of(const ShardId& shard) const {
  KinesisStream stream = stream_;
  stream.shard_id = shard.name;
  return stream;
}

std::size_t KinesisSource::envelope_bytes(const ShardId&) const {
  return kKinesisEnvelopeBytes;
}

void KinesisSource::write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const {
  const KinesisStream stream = stream_of(shard);
  out.append(R"({"Records":[)");
  for (const Record& record : records) {
    if (&record != records.data()) out.push_back(',');
    append_kinesis_record(out, stream, record, record.arrival);
  }
  out.append("]}");
}

void KinesisSource::write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t,
                                     JsonWriter& out) const {
  write_kinesis_batch_info(stream_of(shard), records, out);
}

void KinesisSource::write_filter_view(const ShardId&, const Record& record, bool with_metadata, FilterView& out) const {
  if (with_metadata) out.metadata = kinesis_filter_metadata(record, record.arrival);
  out.body = record.data;
  out.has_body = true;
}

std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<KinesisSource>(std::static_pointer_cast<const KinesisConfig>(std::move(config)),
                                         std::move(context));
}

std::string check_checkpoint(const SourceConfig&, std::string_view shard, const Resume&) {
  if (shard.starts_with("shardId-")) return "";
  return "a shard of Kinesis is called like shardId-000000000000";
}

}  // namespace weir::kinesis
