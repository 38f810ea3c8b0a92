#include "bridge/mapping_runner.h"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace weir::bridge {
namespace {

/// What the records of one source may hold in memory, over all its shards; at full, nothing more is read.
constexpr std::size_t kSourceBufferBytes = 128U << 20U;
/// A shard gets at least this much of it. Of very many shards with large records each invokes smaller batches for it.
constexpr std::size_t kShardBufferBytes = 1U << 20U;

/// For how long a shard has not been there before its end is forgotten. What stands in for a service may list less for
/// a moment than it has, and a shard whose end was forgotten would be read again.
constexpr Duration kGoneForGood = std::chrono::hours(1);
/// How often they are looked for at most.
constexpr Duration kLookForGone = std::chrono::minutes(1);

LastResult last_result_of(const ShardRunner& runner) {
  return {runner.engine().last_result(), runner.engine().last_result_at()};
}

}  // namespace

struct MappingRunner::Shard {
  std::optional<Resume> began;          ///< the stored checkpoint
  std::unique_ptr<ShardRunner> runner;  ///< from when the checkpoint is loaded
  bool revoked = false;

  /// In an earlier life.
  bool is_done() const { return began && began->kind() == Resume::Kind::kShardEnd; }
};

engine::ShardCounters& operator+=(engine::ShardCounters& sum, const engine::ShardCounters& more) {
  sum.polled_events += more.polled_events;
  sum.filtered_out_events += more.filtered_out_events;
  sum.invoked_events += more.invoked_events;
  sum.failed_invoke_events += more.failed_invoke_events;
  sum.dropped_events += more.dropped_events;
  sum.destination_events += more.destination_events;
  sum.destination_failures += more.destination_failures;
  sum.settled_events += more.settled_events;
  sum.invocations += more.invocations;
  sum.function_errors += more.function_errors;
  sum.throttles += more.throttles;
  sum.service_errors += more.service_errors;
  sum.checkpoints += more.checkpoints;
  sum.store_failures += more.store_failures;
  sum.iterator_age = std::max(sum.iterator_age, more.iterator_age);
  return sum;
}

MappingRunner::MappingRunner(ShardDeps deps, std::string name, std::uint64_t seed)
    : deps_(std::move(deps)),
      name_(std::move(name)),
      random_(seed),
      reader_(deps_.executor),
      scope_(deps_.executor),
      changed_(deps_.executor, net::steady_timer::time_point::max()) {}

MappingRunner::~MappingRunner() = default;

net::awaitable<Result<void>> MappingRunner::run() {
  reader_.spawn(read());
  // Reading goes on while shards drain: the source may have to commit for them, or to hand them over.
  while (!failure_ && !(shards_.empty() && (stopping_ || read_result_))) {
    if (!woken_) {
      boost::system::error_code ignored;
      co_await changed_.async_wait(net::redirect_error(net::use_awaitable, ignored));
    }
    woken_ = false;
  }
  if (failure_) cancel();
  reader_.cancel();
  co_await reader_.join();
  co_await scope_.join();
  if (failure_) std::rethrow_exception(failure_);
  co_return read_result_.value_or(Result<void>());
}

void MappingRunner::wake() {
  woken_ = true;
  changed_.cancel();
}

void MappingRunner::request_stop() {
  stopping_ = true;
  for (auto& [name, shard] : shards_) {
    if (shard->runner) shard->runner->request_stop();
  }
  wake();
}

void MappingRunner::cancel() {
  stopping_ = true;
  for (auto& [name, shard] : shards_) {
    if (shard->runner) shard->runner->cancel();
  }
  wake();
}

/// Which shards have checkpoints, before the first is opened: whether a shard is new depends on all of them.
net::awaitable<Result<void>> MappingRunner::load() {
  if (deps_.source.keeps_checkpoints()) co_return Result<void>();
  auto loaded = co_await deps_.checkpoints.load_all(name_);
  if (!loaded) co_return std::move(loaded.error());
  stored_ = std::move(loaded->shards);
  stored_stream_ = std::move(loaded->stream);
  first_run_ = stored_.empty();
  co_return Result<void>();
}

net::awaitable<void> MappingRunner::read() {
  Result<void> result;
  try {
    result = co_await load();
    if (result) result = co_await deps_.source.run(*this);
  } catch (const boost::system::system_error& error) {
    if (error.code() != net::error::operation_aborted) failure_ = std::current_exception();
  } catch (const std::exception&) {
    failure_ = std::current_exception();
  }
  // Being called off is no failure, and a shard that could not begin has said why already.
  if (!result && result.error().code() == ErrorCode::kCancelled) result = Result<void>();
  if (!result) {
    left_ = shards();
    left_at_ = deps_.clock.now().instant;
  }
  if (!read_result_) read_result_ = std::move(result);
  // Nothing more can be read; what is in flight ends in its own time. A source that keeps checkpoints takes none any
  // more.
  if (deps_.source.keeps_checkpoints()) {
    for (auto& [name, shard] : shards_) {
      if (shard->runner) shard->runner->request_stop_lost();
    }
  }
  request_stop();
}

/// Whether the checkpoints are this stream's. Those of another say nothing of it, though its shards may be called
/// alike; it is a new mapping, as it would be at AWS, where a mapping is bound to its stream.
void MappingRunner::compare_stream() {
  if (std::exchange(compared_, true)) return;
  std::string stream = deps_.source.stream_identity();
  if (stream == stored_stream_ || stream.empty()) return;
  if (!stored_stream_.empty()) {
    if (!stored_.empty()) {
      deps_.log.warn("checkpoints.other_stream", {{"source", name_},
                                                  {"were_of", stored_stream_},
                                                  {"now", stream},
                                                  {"message", "forgotten: the source begins as in its first run"}});
    }
    stored_.clear();
    first_run_ = true;
    forget_stored_ = true;
  }
  new_stream_ = std::move(stream);
}

void MappingRunner::shard_opened(ShardId id) {
  WEIR_ASSERT(!shards_.contains(id.name));
  compare_stream();
  auto shard = std::make_unique<Shard>();
  if (const auto stored = stored_.find(id.name); stored != stored_.end()) shard->began = stored->second;
  shards_.emplace(id.name, std::move(shard));
  opened_.push_back(std::move(id));
  if (opened_.size() == 1) scope_.spawn(begin_opened());
}

void MappingRunner::shard_revoked(const ShardId& id, bool lost) {
  const auto found = shards_.find(id.name);
  if (found == shards_.end()) return;  // what ran it failed, and the mapping is about to end
  Shard& shard = *found->second;
  shard.revoked = true;
  if (!shard.runner) return;
  if (lost) {
    shard.runner->request_stop_lost();
  } else {
    shard.runner->request_stop();
  }
}

/// Begins the shards that were opened together.
net::awaitable<void> MappingRunner::begin_opened() {
  const std::vector<ShardId> opened = std::exchange(opened_, {});
  Result<void> begun;
  try {
    begun = co_await remember_starts(opened);
  } catch (const std::exception&) {
    failure_ = std::current_exception();
    wake();
    co_return;
  }
  if (!begun) {
    // Reading without its store would repeat or skip records: the source waits for it.
    if (!read_result_) read_result_ = std::move(begun);
    request_stop();
    reader_.cancel();
  }
  note_shardless();
  for (const ShardId& id : opened) scope_.spawn(run_shard(id));
}

/// A checkpoint can be set before anybody knows which shards there are, and a shard may have been forgotten by its
/// stream before all of it was read.
void MappingRunner::note_shardless() {
  if (std::exchange(looked_for_shardless_, true)) return;
  for (const auto& [name, resume] : stored_) {
    if (resume.kind() == Resume::Kind::kShardEnd || deps_.source.has_shard(name) != false) continue;
    deps_.log.warn("checkpoint.without_shard", {{"source", name_},
                                                {"shard", name},
                                                {"checkpoint", resume.text()},
                                                {"message", "there is no such shard, or no more"},
                                                {"remedy", "weir checkpoint reset " + name_ + " " + name}});
  }
}

/// Where the shards go on, or where they begin. What the source wants remembered of that is kept at once and all
/// together: a first run that is killed has begun with all of its shards or with none.
net::awaitable<Result<void>> MappingRunner::remember_starts(std::vector<ShardId> opened) {
  store::SourceStarts starts;
  for (const ShardId& id : opened) {
    const Shard& shard = *shards_.at(id.name);
    if (stopping_ || shard.revoked || shard.is_done()) continue;
    if (auto begins = deps_.source.start(id, shard.began, first_run_))
      starts.shards.emplace(id.name, std::move(*begins));
  }
  if (first_run_ && !stopping_ && !std::exchange(asked_later_starts_, true)) {
    starts.shards.merge(deps_.source.later_starts());
  }
  starts.stream = std::exchange(new_stream_, "");
  starts.forget = std::exchange(forget_stored_, false);
  if (starts.shards.empty() && starts.stream.empty()) co_return Result<void>();
  auto saved = co_await deps_.checkpoints.save_starts(name_, starts);
  if (!saved) co_return std::move(saved.error());
  for (const auto& [name, begins] : starts.shards) {
    stored_.insert_or_assign(name, begins);
    if (const auto found = shards_.find(name); found != shards_.end()) found->second->began = begins;
  }
  co_return Result<void>();
}

net::awaitable<void> MappingRunner::run_shard(ShardId id) {
  Shard& shard = *shards_.at(id.name);
  bool ended = shard.is_done();
  try {
    if (!ended && !stopping_ && !shard.revoked) {
      shard.runner = std::make_unique<ShardRunner>(deps_, id, settings_for(id));
      co_await shard.runner->run();
      ended = shard.runner->ended();
    }
    // Before it is released: the source may open it again at once, when it was lost and has come back.
    close(id.name);
    deps_.source.release(id, ended);
  } catch (const std::exception&) {
    failure_ = std::current_exception();
    close(id.name);
  }
  wake();
}

/// Forgets a shard, but not what it counted: counters never go back.
void MappingRunner::close(const std::string& name) {
  const auto found = shards_.find(name);
  if (found == shards_.end()) return;
  const Shard& shard = *found->second;
  if (shard.began) stored_.insert_or_assign(name, *shard.began);
  if (shard.runner) {
    // Who never comes back needs no name: streams get new shards for years.
    const bool for_good = shard.runner->ended() && deps_.source.remembers_ends();
    closed_[for_good ? "" : name] += shard.runner->engine().counters();
    closed_result_.follow(last_result_of(*shard.runner));
    // What a shard that was lost wanted remembered went nowhere.
    const auto upto = shard.runner->engine().checkpointed();
    if (upto && !shard.runner->lost()) stored_.insert_or_assign(name, Resume::after(*upto));
    if (for_good) stored_.insert_or_assign(name, Resume::shard_end());
    note_left(name, *shard.runner);
    if (for_good && !stopping_) scope_.spawn(forget_gone());
  }
  shards_.erase(found);
}

/// The ends of shards that the stream has forgotten need not be remembered. They are looked for as another end is
/// added, so that they do not become ever more; not at each of many, as there are as many to look at.
net::awaitable<void> MappingRunner::forget_gone() {
  const Instant now = deps_.clock.now().instant;
  if (looked_for_gone_ && now - *looked_for_gone_ < kLookForGone) co_return;
  looked_for_gone_ = now;
  store::SourceStarts starts;
  bool some_are_there = false;
  for (const auto& [name, resume] : stored_) {
    const std::optional<bool> there = deps_.source.has_shard(name);
    some_are_there = some_are_there || there == true;
    if (there != false || resume.kind() != Resume::Kind::kShardEnd) {
      gone_since_.erase(name);
    } else if (now - gone_since_.try_emplace(name, now).first->second >= kGoneForGood) {
      starts.gone.push_back(name);
    }
  }
  // Without any checkpoint the next start would be a first run, and begin at the starting position.
  if (starts.gone.empty() || !some_are_there) co_return;
  const auto saved = co_await deps_.checkpoints.save_starts(name_, starts);
  if (!saved) {
    // No harm: they are looked for again as the next shard ends.
    deps_.log.warn("checkpoints.not_forgotten", {{"source", name_}, {"message", saved.error().describe()}});
    co_return;
  }
  for (const std::string& name : starts.gone) {
    stored_.erase(name);
    gone_since_.erase(name);
  }
  deps_.log.info("checkpoints.forgotten", {{"source", name_},
                                           {"shards", starts.gone.size()},
                                           {"message", "of shards that ended and that the stream has no more"}});
}

/// What was in flight when the source failed may have been done since.
void MappingRunner::note_left(const std::string& name, const ShardRunner& runner) {
  const auto found =
      std::find_if(left_.begin(), left_.end(), [&](const ShardStatus& each) { return each.shard == name; });
  if (found == left_.end()) return;
  if (const auto upto = runner.engine().checkpointed(); upto && !runner.lost()) {
    found->checkpoint = Resume::after(*upto);
  }
  const std::uint64_t settled = runner.engine().counters().settled_events - found->counters.settled_events;
  found->unsettled -= std::min<std::uint64_t>(settled, found->unsettled);
  if (found->unsettled == 0) found->iterator_age = Duration(0);
  found->in_flight = false;
}

engine::ShardSettings MappingRunner::settings_for(const ShardId& id) {
  engine::ShardSettings settings;
  const MappingSettings& mapping = deps_.config->mapping;
  settings.batch.batch_size = mapping.batch_size;
  settings.batch.window = mapping.maximum_batching_window;
  if (mapping.kind != MappingKind::kKafka) {
    settings.batch.window_opens = engine::WindowOpens::kPreviousEnd;
    settings.batch.oversized = engine::Oversized::kUseAttempts;
  }
  settings.batch.envelope_bytes = deps_.source.envelope_bytes(id);
  settings.retry.maximum_retry_attempts = mapping.maximum_retry_attempts;
  settings.retry.maximum_record_age = mapping.maximum_record_age;
  settings.parallelization_factor = mapping.parallelization_factor;
  settings.bisect_batch_on_function_error = mapping.bisect_batch_on_function_error;
  settings.report_batch_item_failures = mapping.report_batch_item_failures;
  if (mapping.tumbling_window > Duration(0)) {
    engine::TumblingWindow window;
    window.length = mapping.tumbling_window;
    window.shard_id = id.name;
    window.source_arn = deps_.source.event_source_arn();
    settings.tumbling = std::move(window);
  }
  settings.buffer.max_bytes = std::max(kSourceBufferBytes / shards_.size(), kShardBufferBytes);
  settings.buffer.max_records = std::max(settings.buffer.max_records, mapping.batch_size);
  settings.seed = random_.next();
  return settings;
}

LastResult MappingRunner::last_result() const {
  LastResult newest = closed_result_;
  for (const auto& [name, shard] : shards_) {
    if (shard->runner) newest.follow(last_result_of(*shard->runner));
  }
  return newest;
}

std::vector<ShardStatus> MappingRunner::shards() const {
  std::vector<ShardStatus> all;
  for (const auto& [name, shard] : shards_) {
    ShardStatus status;
    status.shard = name;
    status.checkpoint = shard->began;
    if (shard->runner) {
      const auto& engine = shard->runner->engine();
      if (const auto upto = engine.checkpointed()) status.checkpoint = Resume::after(*upto);
      status.iterator_age = shard->runner->iterator_age();
      status.unsettled = engine.unsettled();
      status.in_flight = engine.in_flight();
      status.backlog = shard->runner->backlog();
      status.counters = engine.counters();
      status.last_result = last_result_of(*shard->runner);
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace weir::bridge
