#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "weir/base/log.h"

#include "bridge/destinations.h"
#include "bridge/ending_pace.h"
#include "bridge/invoker.h"
#include "config/config.h"
#include "engine/async_queue.h"
#include "runtime/task_scope.h"
#include "store/event_store.h"

namespace weir::bridge {

/// An asynchronous invocation on its way into the queue.
struct NewEvent {
  NewEvent() = default;

  std::string function;
  std::string qualifier;
  std::string request_id;    ///< "": a new one
  std::string source;        ///< of the configuration, or "" for a call of the Invoke API
  std::string trace_header;  ///< X-Amzn-Trace-Id of the caller, or ""
  std::string payload;       ///< JSON, which is the caller's to check; at most kMaxAsyncRequestBytes
};

/// What is kept together or not at all.
struct QueueCommit {
  QueueCommit() = default;

  /// Of functions. Those without a request id get one; when they were accepted is the queue's to say.
  std::vector<store::StoredEvent> events;
  std::vector<store::StoredEvent> deliveries;  ///< to anything but functions: the caller's to go on with
  std::vector<store::StoredNote> notes;
  std::vector<store::KeptEvent> kept;
};

/// One function's part of the queue, or one version's or alias's, as it looks from outside.
struct AsyncStatus {
  std::string function;
  std::string qualifier;  ///< of a version or alias, whose events go their own way; "" of the function itself
  engine::AsyncFigures figures;
  std::uint64_t destination_failures = 0;  ///< DestinationDeliveryFailures
  std::uint64_t dead_letter_errors = 0;    ///< DeadLetterErrors
  std::optional<Duration> oldest_age;      ///< of the oldest event that is not over
  std::optional<Duration> next_attempt;    ///< until the next attempt; 0 when one is due
};

/// What came of sending dead letters again.
struct Redriven {
  std::size_t count = 0;
  std::optional<Error> stopped;  ///< why there may be more of those that were meant
};

/// The shell around the AsyncQueue engine: keeps events in the store before their 202, invokes, tells destinations,
/// keeps dead letters. It decides nothing about retries. One executor, one thread.
class EventQueue {
 public:
  /// Everything outlives the queue.
  struct Deps {
    net::any_io_executor executor;
    net::any_io_executor blocking;  ///< a pool's
    Invoker& invoker;
    store::EventStore& events;
    Log& log;
    const Clock& clock;
  };
  /// `seed`: of request ids and jitter.
  EventQueue(Deps deps, const config::Config& config, std::uint64_t seed);
  ~EventQueue();

  /// What becomes of a function's events, from their next attempt on, and of those that end from now on.
  struct FunctionSettings {
    FunctionSettings() = default;
    /// By version or alias; "$LATEST" is the function itself. One that has none has AWS's defaults, and the function's
    /// dead-letter queue.
    std::map<std::string, config::AsyncConfig> async;
    bool versions = true;        ///< false: they are its server's business, and all have those of the function
    bool zero_reserved = false;  ///< its reserved concurrency is 0
  };
  /// Makes the function known, or changes it. One that is not known, or is gone, keeps the settings that it had last,
  /// and its events are told that it is gone.
  void put(const std::string& function, FunctionSettings settings);

  /// Takes over what an earlier life has left. Before it, and when it fails, nothing is accepted. `delivery`: takes
  /// what is for no function.
  net::awaitable<Result<void>> restore(std::function<void(const store::WaitingEvent&)> delivery);
  /// Until request_stop() was obeyed: what is in flight is waited for, what waits stays in the store.
  net::awaitable<void> run();
  void request_stop();
  /// The end of patience: what is in flight is called off.
  void cancel();

  /// On disk, fsynced, when it returns the request id. Errors: event.refused (too large), store.*, cancelled (weir
  /// stops, or has not begun): nothing was kept. `note`: kept with it.
  net::awaitable<Result<std::string>> accept(NewEvent event, std::optional<store::StoredNote> note);
  /// The same for several at once, and while weir drains too: what is in flight may have a record for another function
  /// or for a service, which the next life goes on with. Returns the ids of the deliveries.
  net::awaitable<Result<std::vector<std::uint64_t>>> commit(QueueCommit what);
  /// Those that are there when it begins, piece by piece: the first run while others are still dead letters. Returns
  /// how many: when one piece fails, or weir stops, or has no room for more, those of the pieces before it; an error
  /// only when nothing was redriven. `delivery`: takes what is for no function.
  net::awaitable<Result<Redriven>> redrive(store::DeadLetterFilter which,
                                           std::function<void(const store::WaitingEvent&)> delivery);

  /// Whether weir broke a belief about itself here: nothing is accepted or invoked any more, what is kept stays kept.
  bool parked() const { return parked_; }
  std::vector<AsyncStatus> status() const;

  /// Where AWS's records go, for mappings too.
  Destinations& destinations() { return destinations_; }

 private:
  /// Those of one version or alias.
  struct Function {
    engine::FunctionId id = 0;
    std::string name;
    std::string qualifier;  ///< "": the function itself
    config::AsyncConfig config;
    std::uint64_t destination_failures = 0;
    std::uint64_t dead_letter_errors = 0;
    std::string trouble;  ///< the kind of the last outcome, unless it was a success; logged when it changes
    std::uint64_t trouble_count = 0;
    std::optional<engine::AsyncCondition> dropping;  ///< why the last event was given up on, until a success
  };

  struct Named {
    FunctionSettings settings;
    std::map<std::string, Function*, std::less<>> by_qualifier;
  };

  static config::AsyncConfig config_of(const FunctionSettings& settings, const std::string& qualifier);
  Function& function(const std::string& name, const std::string& qualifier);
  net::awaitable<Result<void>> accept_record(std::string function, std::string record, std::string trace_header);
  void take(const store::WaitingEvent& event);
  Result<void> may_redrive() const;
  template <typename Tell>
  void tell(Tell tell);
  void pump();
  void perform(const engine::InvokeEvent& order);
  void perform(const engine::RememberRetry& order);
  void perform(const engine::EndEvent& order);
  void perform(const engine::AsyncDrained&);
  net::awaitable<void> tick();
  /// Tells what became of an order when it goes: every InvokeEvent gets its one outcome, also when the call was called
  /// off or never began.
  class Answer {
   public:
    Answer(EventQueue& queue, engine::InvokeEvent order) : queue_(&queue), order_(order) {}
    Answer(Answer&& other) noexcept
        : queue_(std::exchange(other.queue_, nullptr)),
          order_(other.order_),
          outcome_(std::move(other.outcome_)),
          took_(other.took_) {}
    Answer& operator=(Answer&&) = delete;
    ~Answer() {
      if (queue_ != nullptr) queue_->answered(order_, std::move(outcome_), took_);
    }
    void is(Outcome outcome, Duration took) {
      outcome_ = std::move(outcome);
      took_ = took;
    }

   private:
    EventQueue* queue_;
    engine::InvokeEvent order_;
    Outcome outcome_;
    std::optional<Duration> took_;
  };
  void answered(const engine::InvokeEvent& order, Outcome outcome, std::optional<Duration> took);
  net::awaitable<void> attempt(engine::InvokeEvent order, Answer answer);
  net::awaitable<Outcome> invoke(engine::InvokeEvent order);
  net::awaitable<void> remember(engine::RememberRetry order);
  net::awaitable<void> end(engine::EndEvent order);
  net::awaitable<Result<void>> conclude(engine::EndEvent order);
  /// What has become of one thing that is told of an ended event: its record, or the event for its dead-letter queue.
  enum class Share { kOpen, kTaken, kRefused };
  struct Told {
    Share record = Share::kOpen;
    Share dead_letter = Share::kOpen;
  };
  enum class Concluded { kOver, kAgain };
  Instant left_alone_until(const engine::EndEvent& order) const;
  net::awaitable<Result<Concluded>> conclude_whole(engine::EndEvent order, std::size_t tries);
  net::awaitable<Result<Share>> give(engine::EndEvent order, std::string request_id, std::string destination,
                                     DestinationRecord record, bool last);
  net::awaitable<Result<void>> bury_unreadable(engine::EndEvent order, const Error& error);
  void keep_at_hand(store::StoredEvent event);
  net::awaitable<Result<store::StoredEvent>> event(std::uint64_t id);
  void note(Function& function, const std::string& request_id, const engine::InvokeEvent& order,
            const Outcome& outcome);
  void note_end(Function& function, const store::StoredEvent& event, const engine::EndEvent& order);
  void note_store(const Result<void>& kept);
  void park(const BrokenBelief& broken);

  Deps deps_;
  Random random_;
  engine::AsyncQueue engine_;
  Destinations destinations_;
  std::vector<std::unique_ptr<Function>> functions_;  ///< by the engine's number
  std::map<std::string, Named, std::less<>> by_name_;
  /// Events whose payload is at hand, the newest within kBytesAtHand; the others are read when their time comes. So
  /// events that wait long do not take the room of those that are invoked at once.
  std::map<std::uint64_t, store::StoredEvent> at_hand_;
  std::size_t bytes_at_hand_ = 0;
  std::unordered_map<std::uint64_t, Outcome> answers_;  ///< of the last attempt, for the record; until the event ends
  std::unordered_map<std::uint64_t, Told> told_;        ///< of events whose end is not yet in the store
  std::unordered_map<std::uint64_t, int> unreadable_;   ///< how often an event that is over could not be read
  EndingPace pace_;
  net::steady_timer ticker_;
  std::optional<Instant> tick_at_;  ///< what the ticker waits for
  net::steady_timer drained_signal_;
  bool pumping_ = false;
  bool restored_ = false;
  bool stopping_ = false;
  bool drained_ = false;
  bool parked_ = false;
  bool store_trouble_ = false;
  runtime::TaskScope ticks_;
  runtime::TaskScope invocations_;  ///< called off when patience ends
  runtime::TaskScope writes_;       ///< never called off: the store's answers are waited for
};

}  // namespace weir::bridge
