#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery_queue.h"
#include "stage.h"

namespace weir::simulation {

/// What a world of deliveries contains, drawn from its seed; each feature is off in a part of the worlds.
struct DeliveryFeatures {
  explicit DeliveryFeatures(Random& random);

  // What the engine is told.
  engine::DeliveryLimits limits;
  std::vector<engine::TargetSettings> targets;
  std::vector<DeliveryRules> rules;
  std::size_t groups = 0;  ///< of each target; 0: no delivery has one

  // Who sends.
  std::size_t deliveries = 0;
  bool burst = false;  ///< all come within a second

  // The targets.
  double fails = 0;
  double refuses = 0;  ///< for good
  double hints = 0;    ///< part of the failures that say when to come again
  double cancelled = 0;
  double hindered = 0;  ///< by weir itself
  double late = 0;      ///< part of the attempts that take minutes
  double never = 0;     ///< part of the attempts that are answered only by a crash or a stop
  bool down = false;    ///< targets fail altogether for minutes
  double drops = 0;     ///< targets without deliveries are dropped, now and then

  Troubles troubles;

  std::string describe() const;
};

/// What happened in all worlds together, so that a test can see that the worlds are not too kind.
struct DeliveryMet {
  std::uint64_t worlds = 0, steps = 0, deliveries = 0, refused_at_the_door = 0, attempts = 0, retries = 0;
  std::uint64_t delivered = 0, exhausted = 0, expired = 0, expired_untried = 0, expired_behind = 0, expired_ahead = 0,
                refused = 0;
  std::uint64_t hints = 0, cancelled = 0, hindered = 0, rests = 0, dropped = 0, never_answered = 0, full_targets = 0,
                empty_buckets = 0, full_endings = 0, held_back = 0;
  std::uint64_t store_refused = 0, lies = 0, probes = 0, remember_lost = 0;
  std::uint64_t crashes = 0, stops = 0, given_up = 0, restored = 0, restored_tried = 0, wall_jumps = 0;
};

struct DeliveryHappening {
  enum class Kind {
    kStart,
    kArrival,
    kOutcome,
    kRemember,
    kEndWrite,
    kEndAnswer,
    kDown,
    kStop,
    kGrace,
    kCrash,
    kIdleTick
  };

  Instant at{};
  std::uint64_t order = 0;
  Kind kind{};
  std::uint64_t life = 0;
  std::size_t index = 0;  ///< of a delivery or a target
  std::uint64_t serial = 0;
  int attempts = 0;
  WallTime due{};
};

/// One DeliveryQueue, targets, a store and two clocks, all from one seed. The engine is driven as its contract says;
/// the world works out by itself, looking at everything every time, what has to come of every answer, and compares.
class DeliveryWorld : public Stage<DeliveryHappening> {
 public:
  DeliveryWorld(std::uint64_t seed, DeliveryMet& met);

  /// Lets the next thing happen. False when the world came to its end or a promise was broken.
  bool step();

  std::string summary() const;

 private:
  using Kind = DeliveryHappening::Kind;
  enum class State { kUntold, kWaiting, kInFlight, kEnding };

  /// A delivery: the truth and the store's record, which survive crashes, and what the engine was told in this life.
  struct Item {
    std::size_t target = 0, rules = 0;
    std::string group;
    bool accepted = false;
    bool kept = false;  ///< the store has it
    bool lied = false;  ///< the store has forgotten it and said that it refused to
    int removed = 0;
    bool reached = false;  ///< its target has had it
    WallTime accepted_at;
    int stored_attempts = 0;
    std::optional<WallTime> stored_due;

    State state = State::kUntold;
    engine::EventRef ref;
    int attempts = 0;
    Instant due{};
    std::optional<engine::DeliveryCondition> condition;
    bool asked = false;
    bool holds = false;        ///< those behind it, while it ends
    std::uint64_t serial = 0;  ///< of what is under way
    engine::DeliveryResult result{};
    std::optional<Duration> hint;
    bool kept_end = false;
  };

  struct Target {
    Instant down_until{};
    Instant level_at{};
    Duration level{0};  ///< of what was attempted in the last second, and drains evenly
    int hindrances = 0;
    Instant rests_at_least{}, rests_at_most{};  ///< until then
    engine::DeliveryFigures figures;            ///< as the world counted
  };

  /// A failure whose RememberDeliveryRetry or end must come now.
  struct Undecided {
    std::size_t index = 0;
    Duration least{0}, most{0};  ///< the wait
  };

  void happen(const DeliveryHappening& happening);
  void start();
  void end_life();
  void crash();
  void stop();
  void tick();
  void drain();
  void arrive();

  void perform(const engine::AttemptDelivery& wish);
  void perform(const engine::RememberDeliveryRetry& wish);
  void perform(const engine::EndDelivery& wish);
  void perform(const engine::DeliveriesDrained& wish);

  void answer_attempt(Item& item);
  void hindered(Item& item);
  void drop_targets();
  void failed(Item& item);
  void expired_ahead();
  void waits(Item& item, Duration wait);
  void decided(Item& item, engine::DeliveryCondition condition);
  void write_end(Item& item);
  void answer_end(Item& item);

  using Stage::promise;
  void promise(const Item& item, bool kept, const char* otherwise);
  void check_figures();
  void check_waiting();
  void check_end();

  Item& item_of(engine::EventRef ref);
  std::size_t index_of(const Item& item) const { return static_cast<std::size_t>(&item - items_.data()); }
  Target& target_of(const Item& item) { return targets_[item.target]; }
  const DeliveryRules& rules_of(const Item& item) const { return features_.rules[item.rules]; }
  engine::QueuedDelivery told(const Item& item) const;
  bool too_old(const Item& item) const { return now_.wall - item.accepted_at >= rules_of(item).max_age; }
  bool same_group(const Item& a, const Item& b) const;
  bool first_of_group(const Item& item) const;
  std::optional<int> limit_of(std::size_t target) const;
  Duration until_bucket_allows(std::size_t target) const;
  Duration store_latency();
  bool store_refuses();

  DeliveryMet& met_;
  DeliveryFeatures features_;
  std::vector<Item> items_;  ///< item i has the store's number i + 1
  std::vector<Target> targets_;
  std::uint64_t last_serial_ = 0;
  std::size_t arrived_ = 0;  ///< deliveries that came to the door
  std::size_t open_ = 0;     ///< deliveries that are not at their end
  int crashes_left_, stops_left_, wall_jumps_left_;
  Instant store_down_until_{};

  // One life of the engine.
  std::unique_ptr<engine::DeliveryQueue> engine_;
  std::uint64_t life_ = 0;
  bool stopping_ = false;
  bool drained_ = false;
  int store_failures_ = 0;
  Instant store_due_min_{};
  std::optional<std::size_t> probe_;
  std::optional<Undecided> undecided_;
  std::size_t asked_ = 0;
  std::optional<Instant> wake_;
};

}  // namespace weir::simulation
