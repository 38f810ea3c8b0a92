#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/async_queue.h"
#include "engine/concurrency_ledger.h"
#include "stage.h"

namespace weir::simulation {

/// What an asynchronous world contains, drawn from its seed; each feature is off in a part of the worlds.
struct AsyncFeatures {
  explicit AsyncFeatures(Random& random);

  // What the engine is told.
  engine::AsyncLimits limits;
  std::vector<engine::AsyncSettings> functions;
  bool reconfigures = false;  ///< settings change while events wait

  // Who calls.
  std::size_t events = 0;
  bool burst = false;  ///< all come within a second

  // The functions and their endpoint.
  double poison = 0;  ///< part of the events on which the function always fails
  double fails = 0;   ///< part of the runs that fail by chance
  double throttled = 0;
  double system_errors = 0;
  double gone = 0;  ///< part of the calls that are answered with another 4xx
  double cancelled = 0;
  double late = 0;              ///< part of the runs that take minutes
  double never = 0;             ///< part of the calls that are answered only by a crash or a stop
  bool blocked_spells = false;  ///< a function is throttled altogether for minutes
  bool error_spells = false;    ///< the endpoint answers everything with 5xx for minutes
  int account = 1000;
  bool reservations = false;  ///< are made, changed and taken away while calls run; 0 too

  Troubles troubles;

  std::string describe() const;
};

/// What happened in all worlds together, so that a test can see that the worlds are not too kind.
struct AsyncMet {
  std::uint64_t worlds = 0, steps = 0, events = 0, refused_at_the_door = 0, invocations = 0;
  std::uint64_t succeeded = 0, exhausted = 0, too_old = 0, too_old_untried = 0, too_old_ahead = 0, zero_reserved = 0;
  std::uint64_t throttled_by_ledger = 0, throttled = 0, system_errors = 0, gone = 0, failed = 0, cancelled = 0,
                never_answered = 0;
  std::uint64_t pauses = 0, full_windows = 0, full_endings = 0, careful = 0;
  std::uint64_t refused = 0, lies = 0, probes = 0, remember_lost = 0;
  std::uint64_t crashes = 0, crashes_between_actions = 0, stored_untold = 0, ran_after_a_crash = 0, stops = 0,
                given_up = 0, restored = 0, restored_tried = 0, wall_jumps = 0, reconfigured = 0;
};

struct AsyncHappening {
  enum class Kind {
    kStart,
    kArrival,
    kOutcome,
    kRemember,
    kEndWrite,
    kEndAnswer,
    kConfigure,
    kReserve,
    kUnblock,
    kCrowd,
    kBlock,
    kEndpointDown,
    kStop,
    kGrace,
    kCrash,
    kIdleTick
  };

  Instant at{};
  std::uint64_t order = 0;
  Kind kind{};
  std::uint64_t life = 0;
  std::size_t index = 0;  ///< of an event or a function
  std::uint64_t serial = 0;
  int attempts = 0;
  WallTime due{};
};

/// One AsyncQueue, functions behind the ConcurrencyLedger, a store and two clocks, all from one seed. The engine is
/// driven as its contract says; the world works out by itself what has to come of every answer, and after every step
/// compares.
class AsyncWorld : public Stage<AsyncHappening> {
 public:
  AsyncWorld(std::uint64_t seed, AsyncMet& met);

  /// Lets the next thing happen. False when the world came to its end or a promise was broken.
  bool step();

  std::string summary() const;

 private:
  using Kind = AsyncHappening::Kind;
  enum class State { kUntold, kWaiting, kInFlight, kEnding };

  /// An event: the truth and the store's record, which survive crashes, and what the engine was told in this life.
  struct Event {
    std::size_t function = 0;
    bool poison = false;
    bool accepted = false;
    bool kept = false;  ///< the store has it
    bool lied = false;  ///< the store has forgotten it and said that it refused to
    int removed = 0;
    int successes = 0;
    WallTime accepted_at;
    int stored_attempts = 0;
    std::optional<WallTime> stored_due;

    State state = State::kUntold;
    engine::EventRef ref;
    int attempts = 0, delays = 0, status = 0;
    bool response = false;
    Instant due_min{}, due_max{};  ///< its due time is not known exactly: there is jitter in it
    std::optional<engine::AsyncCondition> condition;
    bool asked = false;
    std::uint64_t serial = 0;  ///< of what is under way
    Outcome outcome;
    bool permit = false;
    bool kept_end = false;
  };

  struct Function {
    std::string name;
    engine::AsyncSettings settings;
    std::size_t window = 0, successes = 0;
    Instant careful_until = Instant::min();
    int delays = 0;
    Instant pause_min = Instant::min(), pause_max = Instant::min();
    Instant blocked_until{};
    engine::AsyncFigures figures;  ///< as the world counted
  };

  void happen(const AsyncHappening& happening);
  void start();
  void end_life();
  void crash();
  void stop();
  void tick();
  void drain();
  void arrive();
  void configure(std::size_t index);
  void change_reservation();
  void crowd_comes_or_goes();
  void give_permit_back(Event& event);

  void perform(const engine::InvokeEvent& wish);
  void perform(const engine::RememberRetry& wish);
  void perform(const engine::EndEvent& wish);
  void perform(const engine::AsyncDrained& wish);

  void answer_call(Event& event);
  void not_admitted(Event& event, int status);
  void attempt_failed(Event& event, int status, bool response);
  void got_through(Function& function);
  void waits(Event& event, Duration least, Duration most);
  void decided(Event& event, engine::AsyncCondition condition);
  void write_end(Event& event);
  void answer_end(Event& event);

  using Stage::promise;
  void promise(const Event& event, bool kept, const char* otherwise);
  void check_figures();
  void check_waiting();
  void check_end();

  Event& event_of(engine::EventRef ref);
  std::size_t index_of(const Event& event) const { return static_cast<std::size_t>(&event - events_.data()); }
  Function& function_of(const Event& event) { return functions_[event.function]; }
  bool too_old(const Event& event) const;
  std::pair<Duration, Duration> backoff(int failures) const;
  Duration store_latency();
  bool store_refuses();

  AsyncMet& met_;
  AsyncFeatures features_;
  std::vector<Event> events_;  ///< event i has the store's number i + 1
  std::vector<Function> functions_;
  std::uint64_t last_serial_ = 0;
  std::size_t arrived_ = 0;  ///< events that came to the door
  std::size_t open_ = 0;     ///< events that are not at their end
  int crashes_left_, stops_left_, wall_jumps_left_;
  Instant store_down_until_{};
  Instant endpoint_down_until_{};
  int crowd_ = 0;
  engine::ConcurrencyLedger ledger_;

  // One life of the engine.
  std::unique_ptr<engine::AsyncQueue> engine_;
  std::uint64_t life_ = 0;
  bool stopping_ = false;
  bool drained_ = false;
  int store_failures_ = 0;
  Instant store_due_min_{}, store_due_{};
  std::optional<std::size_t> probe_;
  std::optional<std::size_t> to_remember_;  ///< the event whose RememberRetry must come now
  std::size_t asked_ = 0;
  std::optional<Instant> wake_;
};

}  // namespace weir::simulation
