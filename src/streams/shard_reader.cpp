#include "streams/shard_reader.h"

#include <algorithm>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/throw_exception.hpp>
#include <malloc.h>

namespace weir::streams {
namespace {

/// What a record is taken to hold before any was read.
constexpr std::size_t kRecordBytesGuess = 1024;

bool is_called_off(const net::cancellation_state& state) {
  return state.cancelled() != net::cancellation_type::none;
}

/// The first record that does not come behind the one before it; the parts of an aggregate share a position.
const Record* out_of_order(const Resume& read_upto, const std::vector<Record>& records) {
  const Position* before = read_upto.kind() == Resume::Kind::kAfter ? &read_upto.position() : nullptr;
  bool shared = false;
  for (const Record& record : records) {
    if (before != nullptr && (record.position < *before || (record.position == *before && !shared))) return &record;
    before = &record.position;
    shared = record.continues;
  }
  return nullptr;
}

bool may_pass(ReadFailure failure) {
  return failure == ReadFailure::kThrottled || failure == ReadFailure::kUnreachable;
}

}  // namespace

void throw_exception_from_error(const ReadError& error, const boost::source_location& where) {
  boost::throw_exception(BrokenBelief("the value of a failed read was used: " + error.error.describe()), where);
}

struct ShardReader::Shard {
  Shard(ShardId which, const net::any_io_executor& executor, PaceLimits limits, std::uint64_t seed)
      : id(std::move(which)), pace(limits, seed), timer(executor) {}

  ShardId id;
  PollPace pace;
  net::steady_timer timer;    ///< a fetch waits for it
  bool opened_first = false;  ///< as soon as the stream was listed for the first time
  bool started = false;
  bool was_read = false;                        ///< in this life
  std::optional<std::string> refused_position;  ///< why it is none of the shard's, as it was said
  Resume from = Resume::trim_horizon();         ///< where an iterator begins when another one is needed
  WallTime started_at{};
  std::optional<std::string> iterator;
  bool read_to_end = false;  ///< no iterator follows; `page` may hold the last records
  RecordBatch page;          ///< what was read and not handed out, from `next` on
  std::size_t next = 0;
  std::size_t record_bytes = kRecordBytesGuess;  ///< of the last page, on average
  std::optional<Instant> failing_since;          ///< it was not answered since
  std::optional<Instant> throttled_since;
  bool throttling_told = false;
  std::optional<std::uint64_t> gone_at_listing;  ///< it was said to be gone when so many listings had come
};

ShardReader::ShardReader(net::any_io_executor executor, StreamApi& api, ShardReaderSettings settings, Log& log,
                         const Clock& clock, std::uint64_t seed)
    : executor_(std::move(executor)),
      api_(api),
      settings_(std::move(settings)),
      log_(log),
      clock_(clock),
      random_(seed),
      changed_(executor_) {}

ShardReader::~ShardReader() = default;

ShardReader::Shard& ShardReader::at(const ShardId& shard) {
  const auto found = shards_.find(shard.name);
  WEIR_ASSERT(found != shards_.end());
  return *found->second;
}

void ShardReader::wake() {
  woken_ = true;
  changed_.cancel();
}

void ShardReader::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  wake();
}

void ShardReader::open(ShardListener& listener) {
  for (std::string& name : lineage_.take_openable()) {
    const ShardId id{settings_.source, name};
    auto shard = std::make_unique<Shard>(id, executor_, settings_.pace, random_.next());
    shard->opened_first = !opened_;
    shards_.emplace(std::move(name), std::move(shard));
    listener.shard_opened(id);
  }
}

net::awaitable<ReadResult<void>> ShardReader::discover(ShardListener& listener) {
  const WallTime asked_at = clock_.now().wall;
  ReadResult<std::vector<ListedShard>> listed = co_await api_.list_shards();
  if (!listed) co_return std::move(listed.error());
  if (!began_) began_ = asked_at;
  ++listings_;
  if (listed->empty() && !opened_ && !std::exchange(told_empty_, true)) {
    log_.warn("stream.no_shards",
              {{"source", settings_.source}, {"message", "the stream has no shards yet; it is asked again"}});
  }
  lineage_.on_listing(*listed);
  open(listener);
  if (!listed->empty()) opened_ = true;
  co_return ReadResult<void>();
}

net::awaitable<Result<void>> ShardReader::run(ShardListener& listener) {
  // Being called off is looked for, not thrown: after the listener was told of a shard nothing may be left half done.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Result<void> result = co_await serve(listener);
  over_ = true;
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return result;
}

net::awaitable<Result<void>> ShardReader::serve(ShardListener& listener) {
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  std::optional<Instant> failing_since;
  PollPace retries(settings_.pace, random_.next());
  Instant due = clock_.now().instant;
  while (!failure_) {
    if (listings_ > 0 && lineage_.all_ended()) {
      if (auto over = api_.closed_for_good()) co_return std::move(*over);
    }
    const Instant now = clock_.now().instant;
    const bool listing_due = now >= due || (listing_wanted_ && !failing_since);
    if (listing_due) {
      listing_wanted_ = false;
      ReadResult<void> found = co_await discover(listener);
      if (is_called_off(cancellation)) break;
      if (found) {
        failing_since.reset();
        const Instant then = clock_.now().instant;
        due = then + settings_.discovery;
        if (!opened_) {
          retries.on_failure(now, then);
          due = std::min(due, retries.due());
        }
      } else {
        const Instant then = clock_.now().instant;
        const ReadError& problem = found.error();
        if (!may_pass(problem.failure)) co_return problem.error;
        if (problem.failure == ReadFailure::kUnreachable) {
          // Not from when it was asked: one request that hangs is not all the patience there is.
          if (!failing_since) failing_since = then;
          if (then - *failing_since >= settings_.patience) co_return problem.error;
          retries.on_failure(now, then);
        } else {
          retries.on_throttled(now, then);
        }
        due = retries.due();
      }
      continue;
    }
    open(listener);
    if (!woken_) {
      changed_.expires_after(due - now);
      boost::system::error_code ignored;
      co_await changed_.async_wait(net::redirect_error(net::use_awaitable, ignored));
      if (is_called_off(cancellation)) break;
    }
    woken_ = false;
  }
  if (failure_) co_return *failure_;
  co_return Result<void>();
}

std::optional<Resume> ShardReader::start(const ShardId& id, std::optional<Resume> from, bool first_run) {
  Shard& shard = at(id);
  const WallTime now = clock_.now().wall;
  shard.started = true;
  shard.started_at = now;
  const bool own_position = !from && first_run && lineage_.is_original(id.name);
  shard.from = from ? *from : own_position ? settings_.starting_position : Resume::trim_horizon();
  if (shard.from.kind() == Resume::Kind::kLatest) {
    if (!own_position || shard.opened_first) return Resume::at_timestamp(now);
    shard.from = first_start();
    return shard.from;
  }
  // Else a restart would begin it elsewhere: with a position of a first run if nothing else was remembered, or, where
  // something was, at the oldest record.
  if (!from && first_run && settings_.starting_position.kind() != Resume::Kind::kTrimHorizon) return shard.from;
  return std::nullopt;
}

/// Of shards that were there when the mapping began and are opened later. With LATEST: what was written to them since
/// the mapping began is as new as what was written to their parents.
Resume ShardReader::first_start() const {
  const bool latest = settings_.starting_position.kind() == Resume::Kind::kLatest;
  return latest ? Resume::at_timestamp(*began_) : settings_.starting_position;
}

std::map<std::string, Resume> ShardReader::later_starts() const {
  std::map<std::string, Resume> starts;
  if (settings_.starting_position.kind() == Resume::Kind::kTrimHorizon) return starts;
  for (std::string& name : lineage_.waiting()) {
    if (lineage_.is_original(name)) starts.emplace(std::move(name), first_start());
  }
  return starts;
}

std::size_t ShardReader::page_size(const Shard& shard, FetchLimits limits) const {
  // More than a batch is read at once: reads are few, and what is left over waits here.
  const std::size_t bytes = std::min(limits.max_bytes, settings_.page_bytes);
  const std::size_t room = bytes / std::max<std::size_t>(1, shard.record_bytes);
  return std::clamp<std::size_t>(std::max(limits.max_records, room), 1, settings_.page_max_records);
}

RecordBatch ShardReader::take(Shard& shard, FetchLimits limits) {
  RecordBatch batch;
  batch.owner = shard.page.owner;
  std::vector<Record>& page = shard.page.records;
  std::size_t bytes = 0;
  while (shard.next < page.size() && batch.records.size() < std::max<std::size_t>(1, limits.max_records) &&
         (batch.records.empty() || bytes < limits.max_bytes)) {
    bytes += page[shard.next].memory_bytes();
    batch.records.push_back(page[shard.next++]);
  }
  if (shard.next == page.size()) {
    shard.page = RecordBatch();
    shard.next = 0;
    batch.end_of_shard = shard.read_to_end;
  }
  return batch;
}

net::awaitable<RecordBatch> ShardReader::fetch(ShardId id, FetchLimits limits) {
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  Shard& shard = at(id);
  WEIR_ASSERT(shard.started);
  while (!is_called_off(cancellation)) {
    if (shard.read_to_end || shard.next < shard.page.records.size()) co_return take(shard, limits);
    const Instant now = clock_.now().instant;
    const Instant due = shard.pace.due();
    if (over_ || failure_ || due > now) {
      // When run() has returned, or is about to, whoever runs the source calls this off.
      if (over_ || failure_) {
        shard.timer.expires_at(net::steady_timer::time_point::max());
      } else {
        shard.timer.expires_after(due - now);
      }
      boost::system::error_code ignored;
      co_await shard.timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
      if (over_ || failure_ || is_called_off(cancellation)) continue;
    }
    co_await read(shard, limits);
  }
  co_return RecordBatch();
}

net::awaitable<void> ShardReader::read(Shard& shard, FetchLimits limits) {
  const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
  const Instant began = clock_.now().instant;
  if (!shard.iterator) {
    ReadResult<std::string> iterator = co_await api_.shard_iterator(shard.id.name, shard.from);
    // The end of the stream moves: what comes from here on is wanted, also by the iterator after this one.
    if (shard.from.kind() == Resume::Kind::kLatest) shard.from = Resume::at_timestamp(shard.started_at);
    if (!iterator) {
      on_failed(shard, iterator.error(), began);
      co_return;
    }
    shard.iterator = std::move(*iterator);
    if (is_called_off(cancellation)) co_return;
  }
  const std::size_t asked = page_size(shard, limits);
  ReadResult<ReadPage> page = co_await api_.get_records(shard.id.name, *shard.iterator, asked);
  if (!page) {
    on_failed(shard, page.error(), began);
    co_return;
  }
  shard.was_read = true;
  shard.refused_position.reset();
  shard.failing_since.reset();
  shard.gone_at_listing.reset();
  shard.throttled_since.reset();
  if (std::exchange(shard.throttling_told, false)) {
    log_.info("shard.throttling_over", {{"source", shard.id.source}, {"shard", shard.id.name}});
  }
  std::vector<Record>& records = page->records.records;
  if (const Record* odd = out_of_order(shard.from, records)) {
    fail(Error(ErrorCode::kSourceFailed, shard.id.name + " gave record " + odd->position.text() +
                                             " out of order, or a second time: its checkpoint would pass others"));
    co_return;
  }
  const bool more = (page->behind && *page->behind > Duration(0)) || records.size() >= asked;
  shard.pace.on_read(began, more, !records.empty());
  std::size_t bytes = 0;
  for (const Record& record : records) bytes += record.memory_bytes();
  if (!records.empty()) {
    shard.from = Resume::after(records.back().position);
    shard.record_bytes = bytes / records.size();
  }
  shard.iterator = std::move(page->next);
  shard.read_to_end = !shard.iterator;
  shard.page = std::move(page->records);
  shard.next = 0;
  if (backlog_end_.on_read(clock_.now().instant, bytes)) ::malloc_trim(0);
}

void ShardReader::on_failed(Shard& shard, const ReadError& problem, Instant began) {
  const Moment now = clock_.now();
  if (problem.error.code() == ErrorCode::kCancelled) {
    // Called off, or the connector is closing: not asked again at once, should it go on all the same.
    shard.pace.on_failure(began, now.instant);
    return;
  }
  if (problem.failure != ReadFailure::kUnreachable) shard.failing_since.reset();
  switch (problem.failure) {
    case ReadFailure::kExpiredIterator:
      log_.debug("shard.iterator_expired", {{"source", shard.id.source}, {"shard", shard.id.name}});
      shard.iterator.reset();
      shard.pace.on_failure(began, now.instant);
      return;
    case ReadFailure::kTrimmed:
      log_.warn("shard.trimmed", {{"source", shard.id.source},
                                  {"shard", shard.id.name},
                                  {"position", shard.from.text()},
                                  {"message", problem.error.message()}});
      shard.from = Resume::trim_horizon();
      shard.iterator.reset();
      shard.pace.on_failure(began, now.instant);
      return;
    case ReadFailure::kWrongPosition:
      if (shard.was_read) {
        // It was this stream's; so it is another one now, which the next life of the source finds out.
        fail(problem.error);
        return;
      }
      if (!shard.refused_position) {
        shard.refused_position = problem.error.message();
        log_.error("shard.checkpoint_refused",
                   {{"source", shard.id.source},
                    {"shard", shard.id.name},
                    {"checkpoint", shard.from.text()},
                    {"message", problem.error.message()},
                    {"remedy", "weir checkpoint reset " + shard.id.source + " " + shard.id.name}});
      }
      shard.iterator.reset();
      shard.pace.on_failure(began, now.instant);
      return;
    case ReadFailure::kThrottled:
      shard.pace.on_throttled(began, now.instant);
      if (!shard.throttled_since) shard.throttled_since = began;
      if (now.instant - *shard.throttled_since >= settings_.patience && !std::exchange(shard.throttling_told, true)) {
        log_.warn("shard.throttled",
                  {{"source", shard.id.source}, {"shard", shard.id.name}, {"message", problem.error.message()}});
      }
      return;
    case ReadFailure::kUnreachable:
      shard.pace.on_failure(began, now.instant);
      // Not from when it was asked: one request that hangs is not all the patience there is.
      if (!shard.failing_since) shard.failing_since = now.instant;
      if (now.instant - *shard.failing_since >= settings_.patience) fail(problem.error);
      return;
    case ReadFailure::kGone:
      // The shard may have outlived what the stream keeps, or the stream is gone: the next listing says which.
      if (lineage_.lists(shard.id.name)) {
        // A listing later it is there still: what is gone is the consumer, which no listing tells of.
        if (shard.gone_at_listing && *shard.gone_at_listing < listings_) {
          fail(problem.error);
          return;
        }
        if (!shard.gone_at_listing) shard.gone_at_listing = listings_;
        shard.iterator.reset();
        shard.pace.on_failure(began, now.instant);
        listing_wanted_ = true;
        wake();
        return;
      }
      log_.warn("shard.gone", {{"source", shard.id.source}, {"shard", shard.id.name}});
      shard.read_to_end = true;
      return;
    case ReadFailure::kRefused:
    case ReadFailure::kOther:
      fail(problem.error);
      return;
  }
}

void ShardReader::release(const ShardId& id, bool ended) {
  const auto found = shards_.find(id.name);
  if (found == shards_.end()) return;
  // A shard that ended in an earlier life is no news: its children are listed already.
  if (ended && found->second->started) listing_wanted_ = true;
  shards_.erase(found);
  lineage_.on_released(id.name, ended);
  wake();
}

/// What waits for somebody to mend it goes before what passes.
std::string ShardReader::trouble() const {
  if (told_empty_ && !opened_) return "the stream has no shards yet";
  std::string throttled;
  const Shard* refused = nullptr;
  std::size_t count = 0;
  for (const auto& [name, shard] : shards_) {
    if (shard->refused_position && count++ == 0) refused = shard.get();
    if (shard->throttling_told && throttled.empty()) throttled = name + " is throttled";
  }
  if (refused == nullptr) return throttled;
  const std::string& first = refused->id.name;
  const std::string why = ": " + *refused->refused_position + "; weir checkpoint reset " + settings_.source;
  if (shards_.size() > 1 && count == shards_.size())
    return "shard.checkpoint_refused: " + first + " and all other shards" + why;
  if (count > 1)
    return "shard.checkpoint_refused: " + first + " and " + std::to_string(count - 1) + " more" + why + " " + first +
           ", and so on";
  return "shard.checkpoint_refused: " + first + why + " " + first;
}

std::optional<bool> ShardReader::has_shard(std::string_view shard) const {
  if (!opened_) return std::nullopt;
  if (lineage_.lists(shard) || shards_.contains(shard)) return true;
  // The stream still speaks of it.
  if (lineage_.is_parent(shard)) return std::nullopt;
  return false;
}

}  // namespace weir::streams
