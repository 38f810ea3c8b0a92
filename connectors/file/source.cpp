#include "connectors/file/source.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/inotify.h>
#include <unistd.h>

#include "connectors/file/connector.h"

namespace weir::file {
namespace {

constexpr std::string_view kRegion = "us-east-1";
constexpr std::string_view kAccount = "000000000000";

std::string stream_arn(const std::string& source) {
  return "arn:aws:kinesis:" + std::string(kRegion) + ":" + std::string(kAccount) + ":stream/" + source;
}

/// When an event says that the record came: as the recording says, else when it was read.
WallTime shown_arrival(const Record& record) {
  return record.origin ? *static_cast<const WallTime*>(record.origin) : record.arrival;
}

KinesisStream stream_of(const std::string& source, std::size_t number) {
  return {stream_arn(source), "arn:aws:iam::" + std::string(kAccount) + ":role/weir", std::string(kRegion),
          shard_id(number)};
}

}  // namespace

FileSource::FileSource(std::shared_ptr<const FileConfig> config, SourceContext context)
    : config_(std::move(config)),
      context_(std::move(context)),
      finished_(context_.executor, net::steady_timer::time_point::max()) {}

FileSource::Lane& FileSource::lane(const ShardId& shard) {
  const auto found = lanes_.find(shard.name);
  WEIR_ASSERT(found != lanes_.end());
  return found->second;
}

const FileSource::Lane& FileSource::lane(const ShardId& shard) const {
  return const_cast<FileSource*>(this)->lane(shard);
}

net::awaitable<Result<void>> FileSource::run(ShardListener& listener) {
  auto reader = BlockReader::open(*config_);
  if (!reader) co_return std::move(reader.error());
  reader_ = std::move(*reader);
  BlockReader::ShardCount count;
  while (!count.done) {
    if (auto counted = reader_->count_shards(count); !counted) co_return std::move(counted.error());
    co_await net::post(net::use_awaitable);  // the others have their turn between two stretches
  }
  reader_->use_shards(count.shards);
  const auto size = reader_->size();
  if (!size) co_return std::move(size.error());
  latest_ = *size;
  for (std::size_t i = 0; i < count.shards; ++i) {
    Lane opened;
    opened.number = i;
    opened.stream = stream_of(context_.name, i);
    opened.changed = std::make_unique<net::steady_timer>(context_.executor);
    lanes_.emplace(opened.stream.shard_id, std::move(opened));
  }
  open_lanes_ = lanes_.size();
  for (const auto& [name, opened] : lanes_) listener.shard_opened({context_.name, name});
  if (config_->follow) {
    auto watched = co_await watch();
    if (!watched) co_return watched;
  }
  while (open_lanes_ > 0 && !failure_) {
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none)
      co_return Result<void>();
    boost::system::error_code woken;
    co_await finished_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  if (failure_) co_return *failure_;
  if (damage_) co_return *damage_;
  co_return Result<void>();
}

/// Wakes the lanes whose records the file gained, until the last lane ended, reading failed or the source is stopped.
net::awaitable<Result<void>> FileSource::watch() {
  notices_.emplace(context_.executor, ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (::inotify_add_watch(notices_->native_handle(), config_->path.c_str(),
                          IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF) < 0) {
    co_return Error(ErrorCode::kSourceFailed, config_->path + ": cannot be watched: " + std::strerror(errno));
  }
  std::array<char, 4096> buffer{};
  while (!failure_ && open_lanes_ > 0) {
    // What was written between two waits is seen by the next one: the notices queue up.
    std::shared_ptr<const Block> looked_at;  // lanes that wait are at the end of the file, so mostly in one block
    for (auto& [name, each] : lanes_) {
      if (!each.waiting) continue;
      if (!looked_at || looked_at->index != each.block) {
        const auto block = reader_->block(each.block);
        if (!block) co_return std::move(block.error());
        looked_at = *block;
      }
      const auto& mine = looked_at->by_shard[each.number];
      const bool more = !mine.empty() && mine.back().record.position > Position(each.after);
      if (more || looked_at->complete || looked_at->damage) each.changed->cancel();
    }
    boost::system::error_code error;
    co_await notices_->async_read_some(net::buffer(buffer), net::redirect_error(net::use_awaitable, error));
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) break;
  }
  co_return Result<void>();
}

std::optional<Resume> FileSource::start(const ShardId& shard, std::optional<Resume> from, bool first_run) {
  Lane& mine = lane(shard);
  const bool latest = config_->starting_position == StartingPosition::kLatest && first_run;
  const Resume where = from.value_or(latest ? Resume::latest() : Resume::trim_horizon());
  std::optional<Resume> remember;
  switch (where.kind()) {
    case Resume::Kind::kAfter: {
      mine.after = where.position().number().value_or(UINT64_MAX);
      if (const auto size = reader_->size(); size && mine.after > *size) {
        fail(Error(ErrorCode::kSourceData, config_->path + ": has " + std::to_string(*size) +
                                               " bytes, the checkpoint of " + shard.name + " is " +
                                               where.position().text() +
                                               "; is it another file? Reset its checkpoints to read it anew"));
      }
      break;
    }
    case Resume::Kind::kTrimHorizon:
      break;
    case Resume::Kind::kLatest:
      mine.after = latest_;
      remember = Resume::after(Position(mine.after));
      break;
    case Resume::Kind::kAtTimestamp:
      mine.not_before = where.time();
      break;
    case Resume::Kind::kShardEnd:
      // A file has none to remember: it may grow, and its shards are read to their end again.
      break;
  }
  mine.block = mine.after / BlockReader::kBlockBytes;
  return remember;
}

void FileSource::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  wake_run();
}

void FileSource::wake_run() {
  finished_.cancel();
  if (notices_) notices_->cancel();
}

net::awaitable<RecordBatch> FileSource::fetch(ShardId shard, FetchLimits limits) {
  Lane& mine = lane(shard);
  RecordBatch batch;
  for (;;) {
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) break;
    if (failure_) {  // run() is about to return it, and whoever runs this source then calls the fetch off
      boost::system::error_code woken;
      mine.changed->expires_at(net::steady_timer::time_point::max());
      co_await mine.changed->async_wait(net::redirect_error(net::use_awaitable, woken));
      continue;
    }
    auto block = reader_->block(mine.block);
    if (!block) {
      fail(std::move(block.error()));
      continue;
    }
    const auto wait = take(mine, **block, limits, batch);
    if (!batch.records.empty()) {
      batch.owner = *block;
      break;
    }
    if (!wait && (*block)->complete) {
      ++mine.block;
      co_await net::post(net::use_awaitable);  // a lane that searches far leaves the others their turn
      continue;
    }
    if (!wait && ((*block)->damage || !config_->follow)) {
      if ((*block)->damage && !damage_) damage_ = (*block)->damage;
      mine.ended = true;
      batch.end_of_shard = true;
      break;
    }
    boost::system::error_code woken;
    mine.changed->expires_at(wait ? net::steady_timer::clock_type::now() + *wait
                                  : net::steady_timer::time_point::max());
    mine.waiting = !wait;
    co_await mine.changed->async_wait(net::redirect_error(net::use_awaitable, woken));
    mine.waiting = false;
  }
  co_return batch;
}

std::optional<Duration> FileSource::take(Lane& mine, const Block& block, FetchLimits limits, RecordBatch& batch) {
  const auto& lines = block.by_shard[mine.number];
  auto next =
      std::upper_bound(lines.begin(), lines.end(), Position(mine.after),
                       [](const Position& after, const ParsedLine& line) { return after < line.record.position; });
  const Moment now = context_.clock.now();
  std::size_t bytes = 0;
  for (; next != lines.end() && batch.records.size() < limits.max_records &&
         (bytes < limits.max_bytes || batch.records.empty());
       ++next) {
    Record record = next->record;
    if (mine.not_before && next->recorded && *next->recorded < *mine.not_before) {
      mine.after = *record.position.number();
      continue;
    }
    record.arrival = now.wall;
    if (config_->speed) {
      if (!pace_) pace_ = Pace{now.instant, *next->recorded};
      const Duration due = (*next->recorded - pace_->recorded) / *config_->speed;
      const Duration early = due - (now.instant - pace_->real);
      if (early > Duration(0)) {
        if (batch.records.empty()) return early;
        break;
      }
      record.arrival = now.wall + early;  // when its turn came, which may be a little past
    }
    record.origin = next->recorded ? &*next->recorded : nullptr;
    record.encoded_bytes = kinesis_record_size(mine.stream, record, shown_arrival(record));
    bytes += record.memory_bytes();
    mine.after = *record.position.number();
    batch.records.push_back(std::move(record));
  }
  return std::nullopt;
}

void FileSource::release(const ShardId& shard, bool) {
  lane(shard).ended = true;
  if (--open_lanes_ == 0) wake_run();
}

std::size_t FileSource::envelope_bytes(const ShardId&) const {
  return kKinesisEnvelopeBytes;
}

void FileSource::write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const {
  const KinesisStream& stream = lane(shard).stream;
  out.append(R"({"Records":[)");
  for (const Record& record : records) {
    if (&record != records.data()) out.push_back(',');
    append_kinesis_record(out, stream, record, shown_arrival(record));
  }
  out.append("]}");
}

void FileSource::write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t,
                                  JsonWriter& out) const {
  write_kinesis_batch_info(lane(shard).stream, records, out);
}

void FileSource::write_filter_view(const ShardId&, const Record& record, bool with_metadata, FilterView& out) const {
  if (with_metadata) out.metadata = kinesis_filter_metadata(record, shown_arrival(record));
  out.body = record.data;
  out.has_body = true;
}

std::string FileSource::event_source_arn() const {
  return stream_arn(context_.name);
}

std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<FileSource>(std::static_pointer_cast<const FileConfig>(std::move(config)),
                                      std::move(context));
}

std::string check_checkpoint(const SourceConfig& settings, std::string_view shard, const Resume& to) {
  const auto& config = static_cast<const FileConfig&>(settings);
  const auto number = shard_number(shard);
  if (!number || shard_id(*number) != shard) {
    return "there is no shard " + std::string(shard) + "; one is " + shard_id(0);
  }
  // How many a recording names only its reading tells.
  const std::size_t shards = config.shards.value_or(config.format == Format::kLines ? 1 : kMaxShards);
  if (*number >= shards) {
    return "there is no shard " + std::string(shard) + "; the last one is " + shard_id(shards - 1);
  }
  if (to.kind() == Resume::Kind::kAfter && !to.position().number()) {
    return "a position of a file is a byte of it, " + to.text() + " is none";
  }
  if (to.kind() == Resume::Kind::kAtTimestamp && config.format == Format::kLines) {
    return "lines have no time that they came at; only a recording has";
  }
  return "";
}

std::string sample_event() {
  const KinesisStream stream = stream_of("sample", 0);
  Record record;
  record.position = Position(74);
  record.key = "partitionKey-3";
  record.data = R"({"greeting":"Hello, this is a test 123."})";
  std::string out = R"({"Records":[)";
  append_kinesis_record(out, stream, record, from_epoch_milliseconds(1'545'084'650'987));
  return out + "]}";
}

}  // namespace weir::file
