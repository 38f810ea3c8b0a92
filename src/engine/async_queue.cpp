#include "engine/async_queue.h"

#include <algorithm>

namespace weir::engine {

namespace {

/// While the window grows carefully, at least so many successes come before it is tried whether more is admitted: with
/// one execution reserved, one call in ten is a throttled one and not every second.
constexpr std::size_t kSuccessesPerTrial = 10;
/// Source: reference invoke.md, 3.3.
constexpr int kRecursiveStatus = 400;
/// Runs that differ by less are as fast as each other: what a scheduler does to them.
constexpr Duration kRunSlack = std::chrono::milliseconds(2);

}  // namespace

std::string_view text(AsyncCondition condition) {
  switch (condition) {
    case AsyncCondition::kSuccess:
      return "Success";
    case AsyncCondition::kRetriesExhausted:
      return "RetriesExhausted";
    case AsyncCondition::kEventAgeExceeded:
      return "EventAgeExceeded";
    case AsyncCondition::kZeroReservedConcurrency:
      return "ZeroReservedConcurrency";
    case AsyncCondition::kRecursiveInvocation:
      return "RecursiveInvocation";
  }
  return "";
}

AsyncQueue::AsyncQueue(AsyncLimits limits, std::uint64_t seed)
    : limits_(limits),
      longest_retry_(*std::max_element(limits.retry_after.begin(), limits.retry_after.end())),
      random_(seed),
      endings_(limits.backoff_min, limits.backoff_max) {
  WEIR_ASSERT(limits_.window_min >= 1 && limits_.window_min <= limits_.window_max);
  WEIR_ASSERT(limits_.max_endings >= 1);
  WEIR_ASSERT(limits_.backoff_min > Duration(0) && limits_.backoff_min <= limits_.backoff_max);
}

FunctionId AsyncQueue::add_function(AsyncSettings settings) {
  Function& function = functions_.emplace_back();
  function.settings = settings;
  function.window = limits_.window_min;
  return static_cast<FunctionId>(functions_.size() - 1);
}

void AsyncQueue::set_function(Moment now, FunctionId id, AsyncSettings settings) {
  Function& function = functions_.at(id);
  function.settings = settings;
  admitted(function);
  advance(now, id);
}

void AsyncQueue::on_accepted(Moment now, const QueuedEvent& event) {
  AsyncFigures& figures = functions_[event.function].figures;
  const Slot slot = add(event);
  ++figures.received;
  // One that comes while weir drains waits for the next life, which invokes it once: a pass more.
  if (event.recursive && state_ == State::kRunning) {
    ++figures.recursive;
    events_[slot].status = kRecursiveStatus;
    end(slot, AsyncCondition::kRecursiveInvocation);
  } else {
    wait_until(slot, now.instant);
  }
  advance(now, event.function);
}

void AsyncQueue::on_restored(Moment now, const QueuedEvent& event) {
  const Duration wait = event.due ? std::clamp(*event.due - now.wall, Duration(0), longest_retry_) : Duration(0);
  wait_until(add(event), now.instant + wait);
  ++functions_[event.function].figures.restored;
  advance(now, event.function);
}

void AsyncQueue::on_outcome(Moment now, EventRef ref, const Outcome& outcome, std::optional<Duration> took) {
  if (outcome.init_duration) took.reset();  // a cold start says nothing about the runs
  Event& event = in_state(ref, EventState::kInFlight);
  Function& function = functions_[event.function];
  const FunctionId touched = event.function;
  function.in_flight_age.remove(ByAge{events_}, ref.slot);
  --function.figures.in_flight;
  --in_flight_;

  struct Verdict {
    AsyncQueue& queue;
    std::optional<Duration> took;
    Event& event;
    Function& function;
    Slot slot;
    Moment now;

    void operator()(const Succeeded&) {
      ran(200, true);
      queue.succeeded(now, function, took);
      queue.end(slot, AsyncCondition::kSuccess);
    }
    void operator()(const FunctionFailed&) {
      ran(200, true);
      queue.fail(now, slot);
    }
    void operator()(const Throttled&) {
      ++function.figures.throttles;
      not_admitted(429);
    }
    void operator()(const ServiceFailed& failed) {
      if (failed.status == 429) return (*this)(Throttled{});
      if (failed.status >= 400 && failed.status < 500) {
        ran(failed.status, false);
        queue.fail(now, slot);
        return;
      }
      ++function.figures.system_errors;
      not_admitted(std::max(failed.status, 500));  // what is no HTTP status is nobody's fault but the service's
    }
    void operator()(const Cancelled&) {
      event.has_response = false;
      queue.wait_until(slot, now.instant);
    }

    void ran(int status, bool has_response) {
      event.status = static_cast<std::uint16_t>(status);
      event.has_response = has_response;
      event.delays = 0;
      queue.admitted(function);
    }
    void not_admitted(int status) {
      event.status = static_cast<std::uint16_t>(status);
      event.has_response = false;
      queue.delay(now, slot);
    }
  };
  std::visit(Verdict{*this, took, event, function, ref.slot, now}, outcome.what);
  advance(now, touched);
}

void AsyncQueue::on_ended(Moment now, EventRef ref, bool kept) {
  const Event& event = in_state(ref, EventState::kEnding);
  const FunctionId touched = event.function;
  AsyncFigures& figures = functions_[touched].figures;
  if (kept) {
    ++(event.condition == AsyncCondition::kSuccess ? figures.succeeded : figures.dropped);
    --figures.ending;
    events_.remove(ref.slot);
    endings_.on_kept();
  } else {
    ++figures.store_failures;
    endings_.on_refused(now.instant, ref.slot, state_ == State::kRunning, random_);
  }
  advance(now, touched);
}

void AsyncQueue::on_tick(Moment now) {
  advance(now);
}

void AsyncQueue::request_stop(Moment now) {
  if (state_ == State::kRunning) state_ = State::kStopping;
  advance(now);
}

std::optional<AsyncAction> AsyncQueue::next() {
  if (actions_.empty()) return std::nullopt;
  std::optional<AsyncAction> action(actions_.front());
  actions_.pop_front();
  return action;
}

std::optional<Instant> AsyncQueue::wake_at() const {
  WEIR_ASSERT(actions_.empty());
  return wake_at_;
}

std::optional<WallTime> AsyncQueue::oldest(FunctionId id) const {
  const Function& function = functions_.at(id);
  const auto waiting = function.waiting_age.earliest();
  const auto in_flight = function.in_flight_age.earliest();
  if (!waiting || !in_flight) return waiting ? waiting : in_flight;
  return std::min(*waiting, *in_flight);
}

std::optional<Instant> AsyncQueue::next_attempt(FunctionId id) const {
  const Function& function = functions_.at(id);
  if (function.waiting.empty()) return std::nullopt;
  return std::max(function.waiting.first_key(), function.paused_until);
}

AsyncQueue::Event& AsyncQueue::in_state(EventRef event, EventState state) {
  WEIR_ASSERT(events_.knows(event) && events_[event.slot].state == state);
  return events_[event.slot];
}

AsyncQueue::Slot AsyncQueue::add(const QueuedEvent& event) {
  WEIR_ASSERT(event.function < functions_.size());
  WEIR_ASSERT(event.attempts >= 0 && event.attempts < UINT8_MAX);
  const Slot slot = events_.add();
  Event& added = events_[slot];
  added.id = event.id;
  added.accepted = event.accepted;
  added.function = event.function;
  added.attempts = static_cast<std::uint8_t>(event.attempts);
  return slot;
}

void AsyncQueue::wait_until(Slot slot, Instant due) {
  Event& event = events_[slot];
  Function& function = functions_[event.function];
  event.state = EventState::kWaiting;
  ++function.figures.waiting;
  function.waiting.add(ByDue{events_}, due, slot);
  function.waiting_age.add(ByAge{events_}, event.accepted, slot);
}

void AsyncQueue::stop_waiting(Slot slot) {
  Function& function = functions_[events_[slot].function];
  WEIR_ASSERT(function.figures.waiting > 0);
  --function.figures.waiting;
  function.waiting.remove(ByDue{events_}, slot);
  function.waiting_age.remove(ByAge{events_}, slot);
}

/// An attempt that counts has failed: the next one, or the end.
void AsyncQueue::fail(Moment now, Slot slot) {
  Event& event = events_[slot];
  const AsyncSettings& settings = functions_[event.function].settings;
  ++event.attempts;
  if (event.attempts > settings.maximum_retry_attempts) {
    end(slot, AsyncCondition::kRetriesExhausted);
    return;
  }
  const std::size_t which = std::min<std::size_t>(event.attempts, limits_.retry_after.size()) - 1;
  const Duration wait = limits_.retry_after[which];
  if (too_old({now.instant + wait, now.wall + wait}, event)) {
    end(slot, AsyncCondition::kEventAgeExceeded);
    return;
  }
  actions_.emplace_back(RememberRetry{{event.id, slot}, event.attempts, now.wall + wait});
  wait_until(slot, now.instant + wait);
}

/// The attempt was throttled or met a system error, which uses up none: the event backs off, and with it the function
/// takes back what it tries.
void AsyncQueue::delay(Moment now, Slot slot) {
  Event& event = events_[slot];
  Function& function = functions_[event.function];
  if (event.delays < UINT8_MAX) ++event.delays;
  const Duration age_left = event.accepted + function.settings.maximum_event_age - now.wall;
  wait_until(slot, now.instant + std::min(backoff(event.delays), std::max(age_left, Duration(0))));

  // Those still in flight were admitted, as far as is known; when they were not, their own answers will say so.
  function.window = std::clamp<std::size_t>(function.figures.in_flight, 1, function.window);
  function.successes = 0;
  function.careful_until = now.instant + limits_.careful_for;
  if (function.figures.in_flight == 0) function.paused_until = now.instant + backoff(++function.delays);
}

/// Something of the function got through, or may get through now: a pause is over, and its traces.
void AsyncQueue::admitted(Function& function) {
  if (function.delays == 0) return;
  function.delays = 0;
  function.paused_until = Instant::min();
  function.careful_until = Instant::min();
  function.window = std::max(function.window, limits_.window_min);
}

void AsyncQueue::succeeded(Moment now, Function& function, std::optional<Duration> took) {
  if (slower(function, took)) {
    function.successes = 0;
    return;
  }
  const bool careful = now.instant < function.careful_until;
  const std::size_t needed = careful ? std::max(function.window, kSuccessesPerTrial) : 1;
  if (++function.successes < needed) return;
  function.successes = 0;
  function.window = std::min(function.window + 1, limits_.window_max);
}

/// Whether runs take much longer than they did at their best: then more of them at once would only share the machine,
/// each with a process of its own. A function that waits for others takes as long as ever, and gets all it is allowed.
bool AsyncQueue::slower(Function& function, std::optional<Duration> took) {
  if (!took) return false;
  function.run_recent += (*took - function.run_recent) / 8;
  // The best is forgotten slowly: a function may become slower for good.
  if (function.run_best != Duration::max()) function.run_best += function.run_best / 1024 + Duration(1);
  function.run_best = std::min(function.run_best, *took);
  return function.run_recent > 2 * function.run_best + kRunSlack;
}

/// The event is over. It is told to the store as soon as that can be.
void AsyncQueue::end(Slot slot, AsyncCondition condition) {
  Event& event = events_[slot];
  event.state = EventState::kEnding;
  event.condition = condition;
  ++functions_[event.function].figures.ending;
  endings_.add(slot);
}

void AsyncQueue::ask_end(Slot slot) {
  const Event& event = events_[slot];
  EndEvent wish;
  wish.event = {event.id, slot};
  wish.function = event.function;
  wish.condition = event.condition;
  // AWS reports 1 with a success, also after failed attempts.
  wish.approximate_invoke_count = event.condition == AsyncCondition::kSuccess ? 1 : event.attempts;
  if (event.condition != AsyncCondition::kZeroReservedConcurrency) {
    // An event that was never tried has waited behind others that were throttled.
    wish.status_code = event.status == 0 ? 429 : event.status;
    wish.has_response = event.has_response;
  }
  actions_.emplace_back(wish);
}

void AsyncQueue::invoke(Moment now, Slot slot) {
  stop_waiting(slot);
  Event& event = events_[slot];
  Function& function = functions_[event.function];
  event.state = EventState::kInFlight;
  function.in_flight_age.add(ByAge{events_}, event.accepted, slot);
  ++in_flight_;

  const Duration age = std::max(Duration(0), now.wall - event.accepted);
  AsyncFigures& figures = function.figures;
  ++figures.in_flight;
  ++figures.attempts;
  if (event.attempts > 0) ++figures.retries;
  figures.age_sum += age;
  const auto& bounds = AsyncFigures::kAgeBounds;
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), as_seconds(age)) - bounds.begin();
  ++figures.ages[static_cast<std::size_t>(bucket)];
  actions_.emplace_back(InvokeEvent{{event.id, slot}, event.function, event.attempts + 1, age});
}

bool AsyncQueue::too_old(Moment now, const Event& event) const {
  return now.wall - event.accepted >= functions_[event.function].settings.maximum_event_age;
}

Duration AsyncQueue::backoff(int failures) {
  return growing_wait(limits_.backoff_min, limits_.backoff_max, failures, random_);
}

void AsyncQueue::advance(Moment now, FunctionId touched) {
  const AsyncFigures& figures = functions_[touched].figures;
  WEIR_ASSERT(figures.received + figures.restored ==
              figures.waiting + figures.in_flight + figures.ending + figures.succeeded + figures.dropped);
  schedule(touched);
  advance(now);
}

void AsyncQueue::advance(Moment now) {
  wake_at_.reset();
  if (state_ == State::kDrained) return;
  advance_endings(now);
  if (state_ == State::kStopping) {
    if (in_flight_ > 0 || endings_.unanswered()) return;
    state_ = State::kDrained;
    actions_.emplace_back(AsyncDrained{});
    return;
  }
  if (endings_.refusing()) {
    wake_at_ = endings_.wake_at();
    return;
  }
  while (!by_wake_.empty() && by_wake_.first_key() <= now.instant) run(now, by_wake_.first());
  while (!by_expiry_.empty() && by_expiry_.first_key() <= now.wall) run(now, by_expiry_.first());
  advance_endings(now);
  wake_at_ = by_wake_.earliest();
  if (!by_expiry_.empty()) wake_at_ = earlier(wake_at_, now.instant + (by_expiry_.first_key() - now.wall));
}

void AsyncQueue::advance_endings(Moment now) {
  // Draining: each is asked for once more; what is refused then is not tried again.
  endings_.ask_due(now.instant, state_ != State::kRunning, [this](Slot slot) { ask_end(slot); });
}

/// One function's time has come: what is too old ends, what is due and has room is begun.
void AsyncQueue::run(Moment now, FunctionId id) {
  Function& function = functions_[id];
  const auto room_to_end = [&] { return function.figures.ending < limits_.max_endings; };
  while (room_to_end() && !function.waiting.empty()) {
    const Slot oldest = function.waiting_age.first();
    if (!too_old(now, events_[oldest])) break;
    stop_waiting(oldest);
    end(oldest, AsyncCondition::kEventAgeExceeded);
  }
  while (room_to_end() && !function.waiting.empty() && function.waiting.first_key() <= now.instant) {
    const Slot next = function.waiting.first();
    if (function.settings.zero_reserved) {
      stop_waiting(next);
      end(next, AsyncCondition::kZeroReservedConcurrency);
    } else if (function.figures.in_flight < function.window && function.paused_until <= now.instant) {
      invoke(now, next);
    } else {
      break;
    }
  }
  schedule(id);
}

/// When the function's next event may be begun, and when its oldest is too old; neither while an answer must come
/// first.
void AsyncQueue::schedule(FunctionId id) {
  const Function& function = functions_[id];
  std::optional<Instant> wake;
  std::optional<WallTime> expiry;
  if (!function.waiting.empty() && function.figures.ending < limits_.max_endings) {
    expiry = function.waiting_age.first_key() + function.settings.maximum_event_age;
    if (function.settings.zero_reserved) {
      wake = function.waiting.first_key();
    } else if (function.figures.in_flight < function.window) {
      wake = std::max(function.waiting.first_key(), function.paused_until);
    }
  }
  by_wake_.set(ByWake{functions_}, wake, id);
  by_expiry_.set(ByExpiry{functions_}, expiry, id);
}

}  // namespace weir::engine
