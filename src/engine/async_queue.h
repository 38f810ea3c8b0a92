#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"

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
  /// What one function may have in flight: it begins with `window_min`, grows with every success, and shrinks to what
  /// is admitted when a call is throttled, so that a blocked function costs a call now and then.
  std::size_t window_min = 16;
  std::size_t window_max = 10'000;
  std::array<Duration, 2> retry_after{std::chrono::minutes(1), std::chrono::minutes(2)};  ///< function errors
  Duration backoff_min = std::chrono::seconds(1);  ///< throttles and system errors
  Duration backoff_max = std::chrono::minutes(5);
};

/// A function of the queue, by number, from 0 on.
using FunctionId = std::uint32_t;

/// An event of the queue: the store's number for it, and where the engine has it.
struct EventRef {
  std::uint64_t id = 0;
  std::uint32_t slot = 0;
  bool operator==(const EventRef&) const = default;
};

/// What the queue knows of an event; its bytes are the store's.
struct QueuedEvent {
  std::uint64_t id = 0;
  FunctionId function = 0;
  WallTime accepted;            ///< when it got its 202: what its age is counted from
  int attempts = 0;             ///< runs that failed so far; more than 0 only for events of an earlier life
  std::optional<WallTime> due;  ///< of its next attempt, when that is not now
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
enum class AsyncCondition { kSuccess, kRetriesExhausted, kEventAgeExceeded, kZeroReservedConcurrency };
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
  std::uint64_t dropped = 0;   ///< AsyncEventsDropped: ended without success, and kept as that
  std::uint64_t attempts = 0;  ///< InvokeEvent given
  std::uint64_t retries = 0;   ///< of these, again after a function error
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
/// wait ends with its age. 4xx other than 429 (the function is gone, the call is refused) use up attempts as function
/// errors do. A function whose reserved concurrency is 0 ends its events at once.
/// Pure: told what happened and when, answers with what to do; the contract is that of ShardProcessor. One owner, not
/// thread-safe. Events are about 50 bytes each here; their payloads stay in the store.
/// Source: invocation-async-error-handling; recordings (reference invoke.md, section 3). Lambda's order is not defined;
/// ours is by due time.
class AsyncQueue {
 public:
  AsyncQueue(AsyncLimits limits, std::uint64_t seed);

  FunctionId add_function(AsyncSettings settings);
  /// Changes what holds from the next attempt on; blocked events of a function that is unblocked go on.
  void set_function(Moment now, FunctionId function, AsyncSettings settings);

  /// Whether no further event can be taken; the caller is refused before the event is stored.
  bool full() const;
  /// A new event, which is on disk.
  void on_accepted(Moment now, const QueuedEvent& event);
  /// An event that the store kept from an earlier life; told in order of id.
  void on_restored(Moment now, const QueuedEvent& event);
  void on_outcome(Moment now, EventRef event, const Outcome& outcome);
  /// `kept`: its destinations have it (or the dead letters do), and the store has forgotten it.
  void on_ended(Moment now, EventRef event, bool kept);
  void on_tick(Moment now);
  /// Drain: nothing is invoked any more; what is in flight is waited for; what waits stays in the store.
  void request_stop(Moment now);

  std::optional<AsyncAction> next();
  std::optional<Instant> wake_at() const;

  const AsyncFigures& figures(FunctionId function) const;
  /// Of the events that are not over: when the oldest was accepted.
  std::optional<WallTime> oldest(FunctionId function) const;
  /// When the next waiting event is due; past or now when it only waits for its turn.
  std::optional<Instant> next_attempt(FunctionId function) const;
  /// Waiting, in flight and ending, of all functions.
  std::size_t events() const;
};

}  // namespace weir::engine
