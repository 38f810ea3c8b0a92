#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "engine/async_queue.h"

namespace weir::test {

/// An AsyncQueue with one function, and a clock turned by hand. Each verb tells the engine one thing and returns what
/// it wants done next, in its own order. Events are numbered from 1:
///   "invoke 1", "invoke 1#2"           its second attempt
///   "remember 1 x1 60s"                one failed run, next due in 60 s
///   "end 1 EventAgeExceeded x0 429"    the count, the status; "+" behind it: with the function's answer
class QueueDriver {
 public:
  explicit QueueDriver(engine::AsyncSettings settings = {}, engine::AsyncLimits limits = {}) : queue_(limits, 7) {
    queue_.add_function(settings);
  }

  std::string accepts(Duration age = Duration(0), engine::FunctionId function = 0) {
    queue_.on_accepted(now_, {.id = ++last_id_, .function = function, .accepted = now_.wall - age});
    return wanted();
  }
  /// One that its function has led to itself, too often.
  std::string accepts_recursive() {
    queue_.on_accepted(now_, {.id = ++last_id_, .accepted = now_.wall, .recursive = true});
    return wanted();
  }
  std::string accepts_many(int count, engine::FunctionId function = 0) {
    std::string all;
    for (int i = 0; i < count; ++i) join(all, accepts(Duration(0), function));
    return all;
  }
  /// An event of an earlier life, due so much later than now by the wall clock.
  std::string restores(Duration age, int attempts = 0, std::optional<Duration> due_in = std::nullopt) {
    engine::QueuedEvent event{.id = ++last_id_, .accepted = now_.wall - age, .attempts = attempts};
    if (due_in) event.due = now_.wall + *due_in;
    queue_.on_restored(now_, event);
    return wanted();
  }

  std::string succeeds(std::uint64_t id) { return tell(id, Outcome(Succeeded{"null"})); }
  /// The same after a run that took so long.
  std::string succeeds_after(Duration took, std::uint64_t id) {
    queue_.on_outcome(now_, refs_.at(id), Outcome(Succeeded{"null"}), took);
    return wanted();
  }
  std::string fails(std::uint64_t id) { return tell(id, Outcome(FunctionFailed{"Unhandled", "{}"})); }
  std::string throttled(std::uint64_t id) { return tell(id, Outcome(Throttled{})); }
  std::string answers(std::uint64_t id, int status) { return tell(id, Outcome(ServiceFailed{.status = status})); }
  std::string cancelled(std::uint64_t id) { return tell(id, Outcome(Cancelled{})); }
  std::string tell(std::uint64_t id, const Outcome& outcome) {
    queue_.on_outcome(now_, refs_.at(id), outcome);
    return wanted();
  }
  std::string ended(std::uint64_t id, bool kept = true) {
    queue_.on_ended(now_, refs_.at(id), kept);
    return wanted();
  }
  std::string configures(engine::AsyncSettings settings, engine::FunctionId function = 0) {
    queue_.set_function(now_, function, settings);
    return wanted();
  }
  std::string stops() {
    queue_.request_stop(now_);
    return wanted();
  }

  /// Time passes, on both clocks, and the engine is told.
  std::string after(Duration passed) {
    passes(passed);
    queue_.on_tick(now_);
    return wanted();
  }
  /// Time passes, and nobody tells the engine.
  void passes(Duration passed) {
    now_.instant += passed;
    now_.wall += passed;
  }
  /// Goes to the instant the engine wants to be woken at.
  std::string at_wake() { return after(wait().value()); }
  /// How long the engine wants to sleep; nothing when it waits for an answer only.
  std::optional<Duration> wait() const {
    const auto due = queue_.wake_at();
    if (!due) return std::nullopt;
    return *due - now_.instant;
  }
  void wall_clock_jumps(Duration by) { now_.wall += by; }

  engine::AsyncQueue& queue() { return queue_; }
  const engine::AsyncFigures& figures() const { return queue_.figures(0); }
  Moment now() const { return now_; }
  engine::EventRef ref(std::uint64_t id) const { return refs_.at(id); }
  /// The latest of its kind.
  const engine::InvokeEvent& invoke() const { return invoke_.value(); }

 private:
  static void join(std::string& all, const std::string& more) {
    if (!all.empty() && !more.empty()) all += ", ";
    all += more;
  }
  std::string wanted() {
    std::string all;
    while (const auto action = queue_.next()) {
      join(all, std::visit([this](const auto& wish) { return note(wish); }, *action));
    }
    return all;
  }
  std::string note(const engine::InvokeEvent& wish) {
    invoke_ = wish;
    refs_[wish.event.id] = wish.event;
    const std::string again = wish.attempt == 1 ? "" : "#" + std::to_string(wish.attempt);
    return "invoke " + std::to_string(wish.event.id) + again;
  }
  std::string note(const engine::RememberRetry& wish) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wish.due - now_.wall).count();
    return "remember " + std::to_string(wish.event.id) + " x" + std::to_string(wish.attempts) + " " +
           std::to_string(seconds) + "s";
  }
  std::string note(const engine::EndEvent& wish) {
    refs_[wish.event.id] = wish.event;
    std::string out = "end " + std::to_string(wish.event.id) + " " + std::string(text(wish.condition)) + " x" +
                      std::to_string(wish.approximate_invoke_count);
    if (wish.status_code) out += " " + std::to_string(*wish.status_code);
    return wish.has_response ? out + "+" : out;
  }
  std::string note(const engine::AsyncDrained&) { return "drained"; }

  engine::AsyncQueue queue_;
  Moment now_{Instant(std::chrono::hours(1)), WallTime(std::chrono::hours(24 * 365 * 50))};
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, engine::EventRef> refs_;
  std::optional<engine::InvokeEvent> invoke_;
};

}  // namespace weir::test
