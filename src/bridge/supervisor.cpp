#include "bridge/supervisor.h"

#include <algorithm>
#include <array>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/mapping_host.h"

namespace weir::bridge {
namespace {

constexpr Duration kBackoffMin = std::chrono::milliseconds(500);
constexpr Duration kBackoffMax = std::chrono::seconds(30);
/// A source that ran this long has recovered: the next failure is a first one.
constexpr Duration kHealthy = std::chrono::seconds(60);
/// A source that runs without a shard for so long has none to read now: others of its group may have them all.
constexpr Duration kNoShards = std::chrono::seconds(5);

}  // namespace

std::string_view text(SourceState state) {
  switch (state) {
    case SourceState::kStarting:
      return "starting";
    case SourceState::kRunning:
      return "running";
    case SourceState::kBackingOff:
      return "backing_off";
    case SourceState::kFinished:
      return "finished";
    case SourceState::kFailed:
      return "failed";
    case SourceState::kParked:
      return "parked";
    case SourceState::kDisabled:
      return "disabled";
    case SourceState::kStopped:
      return "stopped";
  }
  return "";
}

std::string processing_result(const SourceStatus& source) {
  if (!source.error.empty()) return "PROBLEM: " + source.error;
  // Nothing got as far as the function yet, which is no quiet source.
  const engine::ShardCounters& counters = source.counters;
  if (source.last_result.result == engine::ProcessingResult::kNone &&
      counters.throttles + counters.service_errors > 0) {
    return std::string(engine::text(engine::ProcessingResult::kFailed));
  }
  return std::string(engine::text(source.last_result.result));
}

Supervisor::Supervisor(Deps deps, config::SourceEntry entry, std::uint64_t seed)
    : deps_(std::move(deps)),
      log_(deps_.log),
      entry_(std::move(entry)),
      random_(seed),
      changed_(deps_.executor),
      interlude_done_(deps_.executor, net::steady_timer::time_point::max()) {}

Supervisor::~Supervisor() = default;

void Supervisor::wake() {
  woken_ = true;
  changed_.cancel();
}

void Supervisor::request_stop() {
  stopping_ = true;
  if (runner_) runner_->request_stop();
  wake();
}

void Supervisor::cancel() {
  stopping_ = true;
  if (runner_) runner_->cancel();
  wake();
}

bool Supervisor::settled() const {
  if (state_ == SourceState::kStarting) return false;
  if (state_ != SourceState::kRunning || deps_.clock.now().instant - began_ >= kNoShards) return true;
  if (mapping_ != nullptr) return !mapping_->shards().empty() || !mapping_->closed().empty();
  return queue_ == nullptr || queue_->status().concurrency > 0;
}

net::awaitable<void> Supervisor::wait(std::optional<Duration> patience) {
  if (!woken_) {
    changed_.expires_at(patience ? net::steady_timer::clock_type::now() + *patience
                                 : net::steady_timer::time_point::max());
    boost::system::error_code ignored;
    co_await changed_.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  woken_ = false;
}

net::awaitable<void> Supervisor::run() {
  if (!entry_.enabled) state_ = SourceState::kDisabled;
  while (!stopping_) {
    if (state_ == SourceState::kStarting) {
      co_await live();
    } else if (state_ == SourceState::kBackingOff) {
      const int doublings = std::min(failures_in_row_++, 10);
      const Duration ceiling = std::min(kBackoffMin * (1 << doublings), kBackoffMax);
      const Duration pause =
          kBackoffMin / 2 +
          Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(ceiling.count()))));
      co_await wait(pause);
      if (!interlude_) {
        state_ = SourceState::kStarting;
        ++restarts_;
      }
    } else {
      co_await wait(std::nullopt);
    }
    if (interlude_) {
      interlude_result_ = co_await interlude_();
      interlude_ = nullptr;  // only now: until then another one is refused
      interlude_done_.cancel();
      // Whatever the source was before, a moved checkpoint is a reason to read it again.
      if (state_ != SourceState::kDisabled) state_ = SourceState::kStarting;
      left_.clear();
    }
  }
  if (state_ == SourceState::kRunning || state_ == SourceState::kStarting || state_ == SourceState::kBackingOff) {
    state_ = SourceState::kStopped;
  }
  interlude_done_.cancel();
}

void Supervisor::make_runner() {
  SourceContext context{entry_.name, deps_.executor, deps_.blocking, log_, deps_.clock, deps_.aws};
  if (entry_.connector->delivery == Delivery::kPush) {
    push_source_ = entry_.connector->make_push_source(entry_.settings, std::move(context));
    PushRunner::Deps push{deps_.executor, *push_source_, deps_.queue,    deps_.events,
                          pushed_,        entry_.name,   entry_.function};
    auto made = std::make_unique<PushRunner>(std::move(push));
    push_ = made.get();
    runner_ = std::move(made);
    return;
  }
  if (entry_.connector->delivery == Delivery::kQueue) {
    queue_source_ = entry_.connector->make_queue_source(entry_.settings, std::move(context));
    QueueDeps queue{deps_.executor, *queue_source_,  deps_.invoker,   deps_.log,
                    deps_.clock,    entry_.function, entry_.qualifier};
    auto made = std::make_unique<QueueRunner>(std::move(queue), entry_.name, entry_.settings->mapping,
                                              deps_.invoker.timeout(entry_.function, entry_.qualifier), random_.next());
    queue_ = made.get();
    runner_ = std::move(made);
    return;
  }
  poll_source_ = entry_.connector->make_source(entry_.settings, std::move(context));
  ShardDeps shard{deps_.executor,
                  *poll_source_,
                  deps_.invoker,
                  deps_.checkpoints,
                  deps_.dead_letters,
                  deps_.log,
                  deps_.clock,
                  deps_.queue.destinations(),
                  entry_.function,
                  entry_.settings,
                  config::mapping_uuid(entry_),
                  entry_.qualifier};
  auto made = std::make_unique<MappingRunner>(std::move(shard), entry_.name, random_.next());
  mapping_ = made.get();
  runner_ = std::move(made);
}

net::awaitable<WebhookResponse> Supervisor::receive(WebhookRequest request) {
  if (push_ == nullptr) {
    const bool push = entry_.connector->delivery == Delivery::kPush;
    co_return WebhookResponse(push ? 503 : 404, push ? "{\"message\":\"the source is not running\"}\n"
                                                     : "{\"message\":\"this source has no webhook\"}\n");
  }
  co_return co_await push_->receive(std::move(request));
}

/// One life of the source.
net::awaitable<void> Supervisor::live() {
  Result<void> result;
  SourceState after = SourceState::kStarting;
  std::optional<Error> error;
  began_ = deps_.clock.now().instant;
  try {
    make_runner();
    state_ = SourceState::kRunning;
    deps_.log.debug("source.started", {{"source", entry_.name}, {"type", entry_.connector->type}});
    result = co_await runner_->run();
    if (!result) {
      error = result.error();
      after = is_transient(error->code()) ? SourceState::kBackingOff : SourceState::kFailed;
    } else if (!stopping_ && !interlude_) {
      after = SourceState::kFinished;
    }
  } catch (const BrokenBelief& broken) {
    error = Error(ErrorCode::kInternal, broken.what());
    after = SourceState::kParked;
  } catch (const std::exception& thrown) {
    error = Error(ErrorCode::kSourceFailed, thrown.what());
    after = SourceState::kBackingOff;
  }
  if (mapping_ != nullptr) {
    for (const ShardStatus& shard : mapping_->shards()) closed_[shard.shard] += shard.counters;
    for (const auto& [shard, counters] : mapping_->closed()) closed_[shard] += counters;
    closed_result_.follow(mapping_->last_result());
    if (!mapping_->left().empty()) {
      left_ = mapping_->left();
      left_at_ = mapping_->left_at();
    } else if (result && !error) {
      left_.clear();
    }
  }
  if (queue_ != nullptr) received_ += queue_->status().counters;
  mapping_ = nullptr;
  queue_ = nullptr;
  push_ = nullptr;
  runner_.reset();
  poll_source_.reset();
  queue_source_.reset();
  push_source_.reset();
  state_ = after;
  if (deps_.clock.now().instant - began_ >= kHealthy) {
    failures_in_row_ = 0;
    error_.clear();  // the same failure after a healthy time is news
    log_.forget();
  }
  log_.next_life();
  if (error) failed(after, *error);
  if (after == SourceState::kFinished) {
    error_.clear();
    deps_.log.info("source.finished", {{"source", entry_.name}, {"records", status().counters.settled_events}});
  }
}

void Supervisor::failed(SourceState state, const Error& error) {
  const std::string what = error.describe();
  const LogLevel level = state == SourceState::kBackingOff ? LogLevel::kWarn : LogLevel::kError;
  // The same failure again is no news, however long each try took.
  if (without_milliseconds(what) != without_milliseconds(error_) || state != SourceState::kBackingOff) {
    const std::array<LogField, 4> fields{LogField("source", entry_.name), LogField("code", text(error.code())),
                                         LogField("message", what), LogField("state", text(state))};
    deps_.log.write(level, "source.failed", fields);
  }
  error_ = what;
}

net::awaitable<Result<void>> Supervisor::while_stopped(std::function<net::awaitable<Result<void>>()> what) {
  if (interlude_ || interlude_result_)
    co_return Error(ErrorCode::kSourceFailed, "its checkpoints are being moved already");
  interlude_ = std::move(what);
  if (runner_) runner_->request_stop();
  wake();
  while (!interlude_result_ && !stopping_) {
    boost::system::error_code woken;
    co_await interlude_done_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  if (!interlude_result_) co_return Error(ErrorCode::kCancelled, "weir stops");
  Result<void> result = std::move(*interlude_result_);
  interlude_result_.reset();
  co_return result;
}

/// Whether this life goes better than the one before, which failed: it read something, or has lasted.
bool Supervisor::has_read() const {
  if (mapping_ == nullptr || deps_.clock.now().instant - began_ >= kHealthy) return true;
  const std::vector<ShardStatus> shards = mapping_->shards();
  const auto& closed = mapping_->closed();
  return std::any_of(shards.begin(), shards.end(),
                     [](const ShardStatus& shard) { return shard.counters.polled_events > 0; }) ||
         std::any_of(closed.begin(), closed.end(), [](const auto& each) { return each.second.polled_events > 0; });
}

/// Why no checkpoint can be set for that shard, as far as the source that runs knows its shards; "" when it can.
std::string Supervisor::refuses_checkpoint(const std::string& shard) const {
  if (!poll_source_ || poll_source_->has_shard(shard).value_or(true)) return "";
  return entry_.name + " has no shard " + shard;
}

/// What is known of shards while none is open because the source fails. What was not settled grows older all the same.
std::vector<ShardStatus> Supervisor::left_shards() const {
  std::vector<ShardStatus> shards = left_;
  for (ShardStatus& shard : shards) {
    if (shard.unsettled > 0) shard.iterator_age += deps_.clock.now().instant - left_at_;
    if (const auto former = closed_.find(shard.shard); former != closed_.end()) shard.counters = former->second;
  }
  return shards;
}

SourceStatus Supervisor::status() const {
  SourceStatus status;
  status.name = entry_.name;
  status.type = entry_.connector->type;
  status.function = entry_.function;
  status.state = state_;
  // A try that has not read anything yet is no recovery.
  if (state_ != SourceState::kRunning || !has_read()) status.error = error_;
  if (state_ == SourceState::kRunning && poll_source_) {
    if (std::string trouble = poll_source_->trouble(); !trouble.empty()) status.error = std::move(trouble);
  }
  status.restarts = restarts_;
  for (const auto& [shard, counters] : closed_) status.counters += counters;
  status.last_result = closed_result_;
  if (entry_.connector->delivery == Delivery::kPush) status.pushed = pushed_;
  if (entry_.connector->delivery == Delivery::kQueue) {
    status.queue = queue_ != nullptr ? queue_->status() : QueueStatus();
    status.queue->counters += received_;
    if (state_ == SourceState::kRunning) status.error = status.queue->problem;
  }
  if (mapping_ == nullptr) {
    status.shards = left_shards();
    return status;
  }
  for (const auto& [shard, counters] : mapping_->closed()) status.counters += counters;
  status.last_result.follow(mapping_->last_result());
  status.shards = mapping_->shards();
  if (status.shards.empty() && mapping_->closed().empty() && !has_read()) {
    status.shards = left_shards();
    return status;
  }
  for (ShardStatus& shard : status.shards) {
    status.counters += shard.counters;
    // What the shard did before it was closed and opened again is part of its own counters, which never go back.
    for (const auto* former : {&closed_, &mapping_->closed()}) {
      if (const auto found = former->find(shard.shard); found != former->end()) shard.counters += found->second;
    }
  }
  return status;
}

}  // namespace weir::bridge
