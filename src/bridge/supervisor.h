#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/steady_timer.hpp>

#include "weir/base/random.h"

#include "bridge/life_log.h"
#include "bridge/mapping_runner.h"
#include "bridge/push_runner.h"
#include "bridge/queue_runner.h"
#include "config/config.h"

namespace weir::bridge {

enum class SourceState {
  kStarting,  ///< not run yet
  kRunning,
  kBackingOff,  ///< failed; tried again by itself
  kFinished,    ///< every shard ended
  kFailed,      ///< failed in a way that trying again does not mend
  kParked,      ///< weir broke a belief about itself here; the others go on
  kDisabled,    ///< `enabled: false`
  kStopped,     ///< drained, because weir stops
};
std::string_view text(SourceState state);

/// What a source looks like from outside.
struct SourceStatus {
  std::string name;
  std::string type;
  std::string function;
  SourceState state{};
  std::string error;  ///< the last failure, or what hinders it; "" when it runs unhindered
  int restarts = 0;
  std::vector<ShardStatus> shards;
  engine::ShardCounters counters;      ///< of all shards, closed ones included
  LastResult last_result;              ///< the same
  std::optional<QueueStatus> queue;    ///< of a source that is a queue, which has no shards
  std::optional<PushCounters> pushed;  ///< of a source that pushes, which has no shards
};

/// As LastProcessingResult says it: what hinders the source goes before what came of the last invocation.
std::string processing_result(const SourceStatus& source);

/// Keeps one source running: a source that fails is made anew with backoff and full jitter, alone. A broken belief
/// parks it.
class Supervisor {
 public:
  /// `deps.source` is not used; each life of the source has its own. Everything else outlives the supervisor.
  struct Deps {
    net::any_io_executor executor;
    net::any_io_executor blocking;  ///< a pool's
    Invoker& invoker;
    EventQueue& queue;
    store::CheckpointStore& checkpoints;
    store::DeadLetters& dead_letters;
    store::EventStore& events;
    Log& log;
    const Clock& clock;
    AwsAccess aws;  ///< the configuration's `aws` section
  };
  Supervisor(Deps deps, config::SourceEntry entry, std::uint64_t seed);
  ~Supervisor();

  /// Until request_stop() was obeyed.
  net::awaitable<void> run();
  void request_stop();
  void cancel();

  /// A request to the source's webhook; 503 while it does not run.
  net::awaitable<WebhookResponse> receive(WebhookRequest request);

  /// Stops reading the source, does `what`, and goes on. Only one at a time.
  net::awaitable<Result<void>> while_stopped(std::function<net::awaitable<Result<void>>()> what);

  std::string refuses_checkpoint(const std::string& shard) const;

  SourceState state() const { return state_; }
  /// Whether it got as far as it comes by itself: it is read, has failed, or is turned off.
  bool settled() const;
  SourceStatus status() const;
  const config::SourceEntry& entry() const { return entry_; }

 private:
  net::awaitable<void> live();
  void make_runner();
  net::awaitable<void> wait(std::optional<Duration> patience);
  void failed(SourceState state, const Error& error);
  bool has_read() const;
  std::vector<ShardStatus> left_shards() const;
  void wake();

  Deps deps_;
  LifeLog log_;  ///< of the sources
  const config::SourceEntry entry_;
  Random random_;
  net::steady_timer changed_;
  bool woken_ = false;
  bool stopping_ = false;
  SourceState state_ = SourceState::kStarting;
  std::string error_;
  int restarts_ = 0;
  int failures_in_row_ = 0;
  std::unique_ptr<PollSource> poll_source_;
  std::unique_ptr<QueueSource> queue_source_;
  std::unique_ptr<PushSource> push_source_;
  std::unique_ptr<SourceRunner> runner_;  ///< of the source that there is
  MappingRunner* mapping_ = nullptr;      ///< it, when the source is read
  QueueRunner* queue_ = nullptr;          ///< it, when the source is a queue
  PushRunner* push_ = nullptr;            ///< it, when the source pushes
  engine::QueueCounters received_;        ///< of a queue, in former lives
  PushCounters pushed_;
  std::map<std::string, engine::ShardCounters> closed_;  ///< of former lives
  LastResult closed_result_;                             ///< the same
  std::vector<ShardStatus> left_;                        ///< as the last life that had shards left them, if it failed
  Instant left_at_{};
  Instant began_{};  ///< this life
  std::function<net::awaitable<Result<void>>()> interlude_;
  std::optional<Result<void>> interlude_result_;
  net::steady_timer interlude_done_;
};

}  // namespace weir::bridge
