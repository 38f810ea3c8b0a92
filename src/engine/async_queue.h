#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"

#include "engine/indexed_heap.h"
#include "engine/pending_endings.h"
#include "engine/slot_slab.h"

namespace weir::engine {

/// One function's event-invoke configuration. Ranges and defaults as AWS has them (botocore lambda).
struct AsyncSettings {
  int maximum_retry_attempts = 2;                      ///< 0 to 2; the first call is not counted
  Duration maximum_event_age = std::chrono::hours(6);  ///< 60 s to 6 h
  bool zero_reserved = false;                          ///< its reserved concurrency is 0
};

/// What bounds the queue and sets its pace.
struct AsyncLimits {
  std::size_t max_events = 4'000'000;  ///< waiting and in flight; full() beyond, and the caller is refused
  /// What one function may have in flight: it begins with `window_min`, grows with every success unless runs become
  /// slower for it, and shrinks to what is admitted when a call is throttled, so that a blocked function costs a call
  /// now and then.
  std::size_t window_min = 16;
  std::size_t window_max = 10'000;
  /// After a throttle it grows by one per window's worth of successes only, for this long; then by every one again.
  Duration careful_for = std::chrono::minutes(1);
  /// Of one function, asked for and not answered. With as many its other events wait: slow destinations hold back what
  /// fills them, and a million events that expire together do not end in one call.
  std::size_t max_endings = 1000;
  std::array<Duration, 2> retry_after{std::chrono::minutes(1), std::chrono::minutes(2)};  ///< function errors
  Duration backoff_min = std::chrono::seconds(1);  ///< throttles and system errors
  Duration backoff_max = std::chrono::minutes(5);
};

/// A function of the queue, by number, from 0 on.
using FunctionId = std::uint32_t;

/// What the queue knows of an event; its bytes are the store's.
struct QueuedEvent {
  std::uint64_t id = 0;
  FunctionId function = 0;
  WallTime accepted;            ///< when it got its 202: what its age is counted from
  int attempts = 0;             ///< runs that failed so far; more than 0 only for events of an earlier life
  std::optional<WallTime> due;  ///< of its next attempt, when that is not now
  bool recursive = false;       ///< a new one that its function led to itself, too often
};

/// Invoke the function with the event. Answered by on_outcome(), once.
struct InvokeEvent {
  EventRef event;
  FunctionId function = 0;
  int attempt = 1;  ///< 1 for the first, counting runs that failed
  Duration age{0};  ///< since its 202: AsyncEventAge
};

/// The event failed and will be tried again: what a restart has to know of it. No answer; when it is lost, the event is
/// tried once more than it should be.
struct RememberRetry {
  EventRef event;
  int attempts = 0;
  WallTime due;
};

/// Why an event is over. The texts are AWS's `condition`.
enum class AsyncCondition : std::uint8_t {
  kSuccess,
  kRetriesExhausted,
  kEventAgeExceeded,
  kZeroReservedConcurrency,
  kRecursiveInvocation
};
std::string_view text(AsyncCondition condition);

/// The event is over: tell its destinations, keep what was given up on, and forget it. Answered by on_ended(), once;
/// until it is kept it is asked for again.
struct EndEvent {
  EventRef event;
  FunctionId function = 0;
  AsyncCondition condition{};
  int approximate_invoke_count = 0;
  /// Of the last attempt: 200 when the function ran (well or not), 429, 404, 500 ...; none when nothing was ever tried
  /// (kZeroReservedConcurrency).
  std::optional<int> status_code;
  /// Whether the last attempt ran the function, so that its answer belongs into the record. The shell has it from the
  /// outcome it told last. False where a throttle came after it.
  bool has_response = false;
};

/// Nothing is in flight and nothing is about to end, after request_stop().
struct AsyncDrained {};

using AsyncAction = std::variant<InvokeEvent, RememberRetry, EndEvent, AsyncDrained>;

/// Counted since the start, per function. received + restored = waiting + in_flight + ending + succeeded + dropped,
/// always; `waiting`, `in_flight` and `ending` are of now.
struct AsyncFigures {
  std::uint64_t received = 0;  ///< AsyncEventsReceived
  std::uint64_t restored = 0;  ///< taken over from an earlier life
  std::uint64_t succeeded = 0;
  std::uint64_t dropped = 0;    ///< AsyncEventsDropped: ended without success, and kept as that
  std::uint64_t recursive = 0;  ///< RecursiveInvocationsDropped
  std::uint64_t attempts = 0;   ///< InvokeEvent given
  std::uint64_t retries = 0;    ///< of these, again after a function error
  std::uint64_t throttles = 0;
  std::uint64_t system_errors = 0;
  std::uint64_t store_failures = 0;
  std::uint64_t waiting = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t ending = 0;
  /// AsyncEventAge at each attempt: counts per bucket of kAgeBounds and, last, of all above; not cumulated.
  static constexpr std::array<double, 14> kAgeBounds{0.005, 0.025, 0.1, 0.5, 1,    5,    15,
                                                     60,    120,   300, 900, 3600, 7200, 21600};
  std::array<std::uint64_t, kAgeBounds.size() + 1> ages{};
  Duration age_sum{0};
};

/// The asynchronous queue in front of all functions: what Lambda does with an event between its 202 and its end.
/// Function errors are tried again after 1 and then 2 minutes, at most maximum_retry_attempts times; throttles (429)
/// and system errors (5xx) use up no attempt and are tried again after 1 s, doubled up to 5 min, with up to a quarter
/// of jitter, until the event is too old. After a function error the age that counts is the one at the next attempt
/// (look-ahead): a retry that would come too late is not waited for. A throttled event keeps its whole age: its last
/// wait ends with its age. An event is too old from maximum_event_age on, that instant included; a call that runs then
/// is not cut. 4xx other than 429 (the function is gone, the call is refused) use up attempts as function errors do. A
/// function whose reserved concurrency is 0 ends its events at once, and so does an event that is recursive.
/// A function of which nothing gets through pauses as a whole, as an event does: one call now and then, however many
/// events wait. While the store refuses to keep an ending, nothing is begun that it would have to remember.
/// Pure: told what happened and when, answers with what to do; the contract is that of ShardProcessor. One owner, not
/// thread-safe. No call looks at all events or all functions. A waiting event is about 75 bytes here; its payload stays
/// in the store.
/// Source: invocation-async-error-handling; recordings (reference invoke.md, section 3). Lambda's order is not defined;
/// ours is by due time.
class AsyncQueue {
 public:
  AsyncQueue(AsyncLimits limits, std::uint64_t seed);

  FunctionId add_function(AsyncSettings settings);
  /// Changes what holds from the next attempt on; blocked events of a function that is unblocked go on: its pause ends.
  void set_function(Moment now, FunctionId function, AsyncSettings settings);

  /// Whether no further event can be taken; the caller is refused before the event is stored.
  bool full() const { return events() >= limits_.max_events; }
  /// A new event, which is on disk. No two events have the same id.
  void on_accepted(Moment now, const QueuedEvent& event);
  /// An event that the store kept from an earlier life; told in any order. A due time further away than the longest
  /// wait between retries is the wall clock's mistake, and is brought forward to that.
  void on_restored(Moment now, const QueuedEvent& event);
  /// `took`: from the InvokeEvent to the outcome, waiting for a place included; where it is not known, the pace of the
  /// function is not judged by it.
  void on_outcome(Moment now, EventRef event, const Outcome& outcome, std::optional<Duration> took = std::nullopt);
  /// `kept`: its destinations have it (or the dead letters do), and the store has forgotten it. A refusal is tried
  /// again with backoff, and none while draining: the event stays in the store and counts as ending.
  void on_ended(Moment now, EventRef event, bool kept);
  void on_tick(Moment now);
  /// Drain: nothing is invoked any more; what is in flight is waited for; what waits stays in the store.
  void request_stop(Moment now);

  std::optional<AsyncAction> next();
  std::optional<Instant> wake_at() const;

  const AsyncFigures& figures(FunctionId function) const { return functions_.at(function).figures; }
  /// Of the events that are not over, that is waiting or in flight: when the oldest was accepted.
  std::optional<WallTime> oldest(FunctionId function) const;
  /// When the next waiting event is due; past or now when it only waits for its turn.
  std::optional<Instant> next_attempt(FunctionId function) const;
  /// Waiting, in flight and ending, of all functions.
  std::size_t events() const { return events_.size(); }
  bool drained() const { return state_ == State::kDrained; }

 private:
  enum class State { kRunning, kStopping, kDrained };
  enum class EventState : std::uint8_t { kFree, kWaiting, kInFlight, kEnding };
  using Slot = std::uint32_t;
  static constexpr std::uint32_t kNone = IndexedHeap<Instant>::kNoPlace;

  struct Event {
    std::uint64_t id = 0;
    WallTime accepted;
    FunctionId function = 0;
    std::uint32_t due_place = kNone;  ///< among the waiting ones of its function
    std::uint32_t age_place = kNone;  ///< among the waiting ones, or those in flight
    std::uint16_t status = 0;         ///< of the last attempt; 0 when there was none in this life
    std::uint8_t attempts = 0;        ///< runs that failed
    std::uint8_t delays = 0;          ///< throttles and system errors in a row, for the backoff
    EventState state = EventState::kFree;
    AsyncCondition condition{};  ///< of its end
    bool has_response = false;

    bool in_use() const { return state != EventState::kFree; }
    std::uint32_t& next_free() { return due_place; }
  };
  static_assert(sizeof(Event) <= 40, "a million of them wait in 75 MB, with their entries in two heaps");

  using Slab = SlotSlab<Event>;

  struct Function {
    AsyncSettings settings;
    AsyncFigures figures;
    IndexedHeap<Instant> waiting;         ///< by due time
    IndexedHeap<WallTime> waiting_age;    ///< the same events, the oldest first
    IndexedHeap<WallTime> in_flight_age;  ///< the oldest first
    std::size_t window = 0;
    std::size_t successes = 0;  ///< since the window last changed, while it grows carefully
    Instant careful_until = Instant::min();
    Duration run_best = Duration::max();  ///< how long a run takes when it has the machine for itself
    Duration run_recent{0};               ///< how long runs take now, smoothed
    int delays = 0;                       ///< throttles and system errors in a row with nothing else in flight
    Instant paused_until = Instant::min();
    std::uint32_t wake_place = kNone;
    std::uint32_t expiry_place = kNone;
  };

  // How the heaps reach their items.
  struct ByDue {
    Slab& events;
    std::uint32_t& place(Slot slot) { return events[slot].due_place; }
    bool before(Slot a, Slot b) { return events[a].id < events[b].id; }
  };
  struct ByAge {
    Slab& events;
    std::uint32_t& place(Slot slot) { return events[slot].age_place; }
    bool before(Slot a, Slot b) { return events[a].id < events[b].id; }
  };
  struct ByWake {
    std::deque<Function>& functions;
    std::uint32_t& place(FunctionId id) { return functions[id].wake_place; }
    bool before(FunctionId a, FunctionId b) { return a < b; }
  };
  struct ByExpiry {
    std::deque<Function>& functions;
    std::uint32_t& place(FunctionId id) { return functions[id].expiry_place; }
    bool before(FunctionId a, FunctionId b) { return a < b; }
  };

  Event& in_state(EventRef event, EventState state);
  Slot add(const QueuedEvent& event);
  void wait_until(Slot slot, Instant due);
  void stop_waiting(Slot slot);
  void fail(Moment now, Slot slot);
  void delay(Moment now, Slot slot);
  void admitted(Function& function);
  void succeeded(Moment now, Function& function, std::optional<Duration> took);
  bool slower(Function& function, std::optional<Duration> took);
  void end(Slot slot, AsyncCondition condition);
  void ask_end(Slot slot);
  void invoke(Moment now, Slot slot);
  bool too_old(Moment now, const Event& event) const;
  Duration backoff(int failures);
  void advance(Moment now, FunctionId touched);
  void advance(Moment now);
  void advance_endings(Moment now);
  void run(Moment now, FunctionId id);
  void schedule(FunctionId id);

  AsyncLimits limits_;
  Duration longest_retry_;
  Random random_;
  State state_ = State::kRunning;
  Slab events_;
  std::deque<Function> functions_;
  IndexedHeap<Instant> by_wake_;     ///< functions by when one of their events may be begun
  IndexedHeap<WallTime> by_expiry_;  ///< functions by when one of their waiting events is too old
  std::size_t in_flight_ = 0;
  PendingEndings endings_;
  std::deque<AsyncAction> actions_;
  std::optional<Instant> wake_at_;
};

}  // namespace weir::engine
