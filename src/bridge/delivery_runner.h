#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "weir/base/log.h"
#include "weir/destination.h"
#include "weir/event/delivery.h"

#include "aws/courier.h"
#include "bridge/destinations.h"
#include "bridge/ending_pace.h"
#include "engine/delivery_queue.h"
#include "runtime/task_scope.h"
#include "store/event_store.h"

namespace weir::bridge {

/// One target's part of the deliveries, as it looks from outside.
struct DeliveryStatus {
  std::string target;  ///< without what may be secret in a URL
  engine::DeliveryFigures figures;
  std::uint64_t dead_letter_errors = 0;  ///< dead-letter destinations that took no message; it is a dead letter then
  std::optional<Duration> oldest_age;
  std::optional<Duration> next_attempt;
};

/// The shell around the DeliveryQueue engine: what services send to anything but functions, from the store to its
/// target, again, and to its end. It decides nothing about retries. One executor, one thread.
class DeliveryRunner {
 public:
  /// Everything outlives the runner.
  struct Deps {
    net::any_io_executor executor;
    Destinations& destinations;
    store::EventStore& events;
    Log& log;
    const Clock& clock;
  };
  DeliveryRunner(Deps deps, Destinations::Here here, std::uint64_t seed);
  ~DeliveryRunner();

  bool full() const { return engine_.full(); }
  /// What an earlier life has left; before run().
  void restore(const store::WaitingEvent& kept);
  /// What was kept a moment ago.
  void accepted(std::uint64_t id, ServiceDelivery delivery, WallTime accepted);
  /// A dead letter that waits again.
  void accepted(const store::WaitingEvent& kept);

  /// Until request_stop() was obeyed: what is in flight is waited for, what waits stays in the store.
  net::awaitable<void> run();
  void request_stop();
  /// The end of patience: what is in flight is called off.
  void cancel();

  bool parked() const { return parked_; }
  std::vector<DeliveryStatus> status() const;

 private:
  struct Target;
  using Idle = std::list<Target*>;
  struct Target {
    engine::TargetId id = 0;
    std::string name;
    std::uint64_t dead_letter_errors = 0;
    std::string trouble;  ///< what the last attempt failed with; logged when it changes
    std::string trouble_code;
    std::uint64_t trouble_count = 0;
    std::optional<Idle::iterator> idle;  ///< its place among those without deliveries
  };
  /// What an attempt came to.
  struct Attempted {
    engine::DeliveryResult result = engine::DeliveryResult::kDelivered;
    std::optional<Duration> retry_after;
    std::string code;  ///< EventBridge's ERROR_CODE
    std::string message;
  };
  class Answer;

  Target& target(const std::string& name);
  void tell_of(const store::WaitingEvent& kept, bool restored);
  template <typename Tell>
  void tell(Tell tell);
  void pump();
  void perform(const engine::AttemptDelivery& order);
  void perform(const engine::RememberDeliveryRetry& order);
  void perform(const engine::EndDelivery& order);
  void perform(const engine::DeliveriesDrained&);
  net::awaitable<void> tick();
  void park(const BrokenBelief& broken);

  net::awaitable<Result<ServiceDelivery>> load(std::uint64_t id);
  net::awaitable<void> attempt(engine::AttemptDelivery order, std::shared_ptr<Answer> answer);
  net::awaitable<Attempted> deliver(ServiceDelivery delivery);
  net::awaitable<Attempted> post(ServiceDelivery delivery);
  void answered(const engine::AttemptDelivery& order, Attempted attempted);
  net::awaitable<void> remember(engine::RememberDeliveryRetry order);
  net::awaitable<void> end(engine::EndDelivery order);
  net::awaitable<Result<void>> conclude(engine::EndDelivery order);
  enum class Concluded { kOver, kAgain };
  net::awaitable<std::string> line_of_end(std::uint64_t id);
  net::awaitable<Result<Concluded>> give_up(engine::EndDelivery order, std::string line, std::size_t tries);
  net::awaitable<Result<void>> bury(engine::EndDelivery order, store::StoredEvent stored, Attempted why);
  Attempted why(const engine::EndDelivery& order) const;
  void note_idle(engine::TargetId id);
  void note_end(const engine::EndDelivery& order, const store::StoredEvent& stored, const Attempted& why,
                std::string_view destination);
  void note(Target& target, const Attempted& attempted);

  Deps deps_;
  Destinations::Here here_;
  aws::Courier courier_;
  engine::DeliveryQueue engine_;
  EndingPace pace_;
  std::vector<std::unique_ptr<Target>> targets_;  ///< by the engine's number; null where there is none
  std::map<std::string, Target*, std::less<>> by_name_;
  std::unordered_map<std::uint64_t, ServiceDelivery> at_hand_;  ///< of those on their way to their first attempt
  std::size_t bytes_at_hand_ = 0;
  Idle idle_;  ///< targets that have no deliveries, since when they had the last
  std::unordered_map<std::uint64_t, Attempted> failures_;  ///< what the last attempt of those that end came to
  /// Deliveries that were given up, whose end the store has not yet; whether their dead-letter destination has them.
  std::unordered_map<std::uint64_t, bool> given_;
  std::optional<Instant> tick_at_;
  net::steady_timer ticker_;
  net::steady_timer drained_signal_;
  bool pumping_ = false;
  bool drained_ = false;
  bool parked_ = false;
  bool stopping_ = false;
  runtime::TaskScope ticks_;
  runtime::TaskScope attempts_;
  runtime::TaskScope writes_;
};

}  // namespace weir::bridge
