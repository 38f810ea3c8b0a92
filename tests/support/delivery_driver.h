#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "engine/delivery_queue.h"

namespace weir::test {

/// A DeliveryQueue with one target, and a clock turned by hand. Each verb tells the engine one thing and returns what
/// it wants done next, in its own order. Deliveries are numbered from 1:
///   "try 1", "try 1#2"                its second attempt
///   "remember 1 x1 20s"               one failed attempt, next due in 20 s
///   "end 1 exhausted x4"              delivered, exhausted, expired or refused; the attempts made
class DeliveryDriver {
 public:
  explicit DeliveryDriver(DeliveryRules rules = {}, engine::TargetSettings settings = {},
                          engine::DeliveryLimits limits = {})
      : rules_(std::move(rules)), queue_(limits, 7) {
    queue_.add_target(settings);
  }

  /// The driver begins in the middle of a life: what is restored has to come before.
  std::string starts() {
    queue_.start(now_);
    return wanted();
  }
  std::string accepts(std::string_view group = "", engine::TargetId target = 0) {
    return accepts_with(rules_, group, target);
  }
  std::string accepts_with(const DeliveryRules& rules, std::string_view group = "", engine::TargetId target = 0) {
    queue_.start(now_);
    queue_.on_accepted(now_, {.id = ++last_id_, .target = target, .accepted = now_.wall, .group = group}, rules);
    return wanted();
  }
  std::string accepts_many(int count, std::string_view group = "", engine::TargetId target = 0) {
    std::string all;
    for (int i = 0; i < count; ++i) join(all, accepts(group, target));
    return all;
  }
  std::string accepts_again(std::uint64_t id, std::string_view group) {
    queue_.on_accepted(now_, {.id = id, .accepted = now_.wall, .group = group}, rules_);
    return wanted();
  }
  /// A delivery of an earlier life, due so much later than now by the wall clock.
  std::string restores(std::uint64_t id, Duration age, int attempts = 0, std::optional<Duration> due_in = std::nullopt,
                       std::string_view group = "") {
    last_id_ = std::max(last_id_, id);
    engine::QueuedDelivery delivery{.id = id, .accepted = now_.wall - age, .group = group, .attempts = attempts};
    if (due_in) delivery.due = now_.wall + *due_in;
    queue_.on_restored(now_, delivery, rules_);
    return wanted();
  }

  std::string delivers(std::uint64_t id) { return tell(id, engine::DeliveryResult::kDelivered); }
  std::string fails(std::uint64_t id, std::optional<Duration> retry_after = std::nullopt) {
    return tell(id, engine::DeliveryResult::kFailed, retry_after);
  }
  std::string refuses(std::uint64_t id) { return tell(id, engine::DeliveryResult::kRefused); }
  std::string cancelled(std::uint64_t id) { return tell(id, engine::DeliveryResult::kCancelled); }
  std::string tell(std::uint64_t id, engine::DeliveryResult result,
                   std::optional<Duration> retry_after = std::nullopt) {
    queue_.on_outcome(now_, refs_.at(id), result, retry_after);
    return wanted();
  }
  std::string ended(std::uint64_t id, bool kept = true) {
    queue_.on_ended(now_, refs_.at(id), kept);
    return wanted();
  }
  std::string stops() {
    queue_.request_stop(now_);
    return wanted();
  }

  /// Time passes, on both clocks, and the engine is told.
  std::string after(Duration passed) {
    now_.instant += passed;
    now_.wall += passed;
    queue_.on_tick(now_);
    return wanted();
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

  engine::DeliveryQueue& queue() { return queue_; }
  const engine::DeliveryFigures& figures() const { return queue_.figures(0); }
  Moment now() const { return now_; }
  engine::EventRef ref(std::uint64_t id) const { return refs_.at(id); }
  /// The latest of its kind.
  const engine::AttemptDelivery& attempt() const { return attempt_.value(); }
  const engine::RememberDeliveryRetry& remembered() const { return remembered_.value(); }

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
  std::string note(const engine::AttemptDelivery& wish) {
    attempt_ = wish;
    refs_[wish.delivery.id] = wish.delivery;
    const std::string again = wish.attempt == 1 ? "" : "#" + std::to_string(wish.attempt);
    return "try " + std::to_string(wish.delivery.id) + again;
  }
  std::string note(const engine::RememberDeliveryRetry& wish) {
    remembered_ = wish;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wish.due - now_.wall).count();
    return "remember " + std::to_string(wish.delivery.id) + " x" + std::to_string(wish.attempts) + " " +
           std::to_string(seconds) + "s";
  }
  std::string note(const engine::EndDelivery& wish) {
    static constexpr const char* kWhy[] = {"delivered", "exhausted", "expired", "refused"};
    refs_[wish.delivery.id] = wish.delivery;
    return "end " + std::to_string(wish.delivery.id) + " " + kWhy[static_cast<std::size_t>(wish.condition)] + " x" +
           std::to_string(wish.attempts);
  }
  std::string note(const engine::DeliveriesDrained&) { return "drained"; }

  DeliveryRules rules_;
  engine::DeliveryQueue queue_;
  Moment now_{Instant(std::chrono::hours(1)), WallTime(std::chrono::hours(24 * 365 * 50))};
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, engine::EventRef> refs_;
  std::optional<engine::AttemptDelivery> attempt_;
  std::optional<engine::RememberDeliveryRetry> remembered_;
};

}  // namespace weir::test
