#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/delivery.h"

#include "engine/indexed_heap.h"
#include "engine/pending_endings.h"
#include "engine/slot_slab.h"

namespace weir::engine {

/// The wait before the retry `k` of a phase, 1 to phase.retries, without jitter. The formulas are those of Backoff.
Duration wait_in_phase(const RetryPhase& phase, int k);
/// The wait before the retry `retry`, from 1 on, without jitter; nothing when there are no more retries.
std::optional<Duration> wait_before_retry(const DeliveryRules& rules, int retry);

/// One target's limits.
struct TargetSettings {
  std::size_t max_in_flight = 16;
};

/// What bounds the queue and sets its pace.
struct DeliveryLimits {
  std::size_t max_deliveries = 4'000'000;  ///< waiting, in flight and ending; full() beyond
  /// Of one target, asked for and not answered; with as many nothing more of it is begun or ends.
  std::size_t max_endings = 1000;
  /// What a target may ask for (Retry-After): a longer wait is cut to this.
  Duration retry_after_max = std::chrono::hours(1);
  Duration backoff_min = std::chrono::seconds(1);  ///< while the store refuses endings
  Duration backoff_max = std::chrono::minutes(5);
  Duration rest_min = std::chrono::seconds(1);  ///< of a target whose deliveries weir itself hinders
  Duration rest_max = std::chrono::seconds(30);
};

/// A target of the queue, by number, from 0 on.
using TargetId = std::uint32_t;

/// What the queue knows of a delivery, beside its rules; its bytes are the store's.
struct QueuedDelivery {
  std::uint64_t id = 0;  ///< the store's; growing with each acceptance
  TargetId target = 0;
  WallTime accepted;            ///< what its age is counted from
  std::string_view group;       ///< "": none
  int attempts = 0;             ///< that failed so far; more than 0 only for those of an earlier life
  std::optional<WallTime> due;  ///< of its next attempt, when that is not now
};

enum class DeliveryResult : std::uint8_t {
  kDelivered,
  kFailed,     ///< may be tried again
  kRefused,    ///< for good: the target is gone, or does not want this one
  kHindered,   ///< by weir itself (its store, a service that does not run): uses up no attempt, the target rests
  kCancelled,  ///< called off by the shell: as if it had not been tried
};

/// Give the delivery to its target. Answered by on_outcome(), once.
struct AttemptDelivery {
  EventRef delivery;
  TargetId target = 0;
  int attempt = 1;  ///< 1 for the first
  Duration age{0};  ///< since its acceptance
};

/// The attempt failed and there will be another: what a restart has to know of it. No answer; when it is lost, the
/// delivery is tried once more than it should be.
struct RememberDeliveryRetry {
  EventRef delivery;
  int attempts = 0;
  WallTime due;
};

/// Why a delivery is over.
enum class DeliveryCondition : std::uint8_t { kDelivered, kRetriesExhausted, kAgeExceeded, kRefused };
/// EventBridge's EXHAUSTED_RETRY_CONDITION: "MaximumRetryAttempts", "MaximumEventAgeInSeconds"; "" of the others.
std::string_view exhausted_retry_condition(DeliveryCondition condition);

/// The delivery is over: if it was not delivered, give it to its dead-letter destination; and forget it. Answered by
/// on_ended(), once; until it is kept it is asked for again.
struct EndDelivery {
  EventRef delivery;
  TargetId target = 0;
  DeliveryCondition condition{};
  int attempts = 0;  ///< that were made, the last included; 0 when it became too old before the first
};

/// Nothing is in flight and nothing is about to end, after request_stop().
struct DeliveriesDrained {};

using DeliveryAction = std::variant<AttemptDelivery, RememberDeliveryRetry, EndDelivery, DeliveriesDrained>;

/// Counted since the start, per target. received + restored = waiting + in_flight + ending + delivered + refused +
/// exhausted + expired, always; `waiting`, `in_flight` and `ending` are of now, the last four of what is kept as ended.
struct DeliveryFigures {
  std::uint64_t received = 0;
  std::uint64_t restored = 0;  ///< taken over from an earlier life
  std::uint64_t delivered = 0;
  std::uint64_t refused = 0;
  std::uint64_t exhausted = 0;
  std::uint64_t expired = 0;
  std::uint64_t attempts = 0;  ///< AttemptDelivery given
  std::uint64_t retries = 0;   ///< of these, again after a failure
  std::uint64_t store_failures = 0;
  std::uint64_t waiting = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t ending = 0;
};

/// The queue in front of all targets that are not functions: when each delivery is attempted, attempted again, or over.
/// A failed attempt is made again after the next wait of the delivery's rules, with their jitter, or after what the
/// target asked for, if that is longer; when the rules have no further retry, or when it would come at max_age or
/// later, the delivery is over (look-ahead: it is not waited for). What waits is over at max_age, that instant
/// included; what is in flight then is not cut. A target has at most max_in_flight at a time, and at most
/// max_per_second attempts: a bucket of one second's worth, filled evenly, that is full at first. Deliveries of one
/// target and group go in the order of their ids, each when the one before it is kept as over: also a crash puts none
/// of them before another. One in flight or ending is not overtaken by a smaller id that comes later (a dead letter
/// that was sent again). What is too old ends wherever it stands. A target whose delivery was hindered rests, longer
/// and longer until one is not. While the store refuses to keep an ending, nothing is begun that it would have to
/// remember. Pure: told what happened and when, answers with what to do; the contract is that of ShardProcessor. One
/// owner, not thread-safe. No call looks at all deliveries, groups or targets; oldest() looks at the different rules of
/// one target. A waiting delivery is about 80 bytes here, a group about 150; rules are kept once per target that has
/// them.
class DeliveryQueue {
 public:
  DeliveryQueue(DeliveryLimits limits, std::uint64_t seed);

  TargetId add_target(TargetSettings settings = {});
  /// One that has no deliveries; its figures are forgotten, its number may be another's.
  void drop_target(TargetId target);

  /// Whether no further delivery can be taken; who sends is refused before it is stored.
  bool full() const { return deliveries() >= limits_.max_deliveries; }
  /// A delivery that the store kept from an earlier life; told in any order, before start(). A due time further away
  /// than the longest wait there is is the wall clock's mistake, and is brought forward to that.
  void on_restored(Moment now, const QueuedDelivery& delivery, const DeliveryRules& rules);
  /// Everything was restored. Before, nothing is begun: what comes first in a group is not known yet.
  void start(Moment now);
  /// A new delivery, which is on disk. No two have the same id. Before start() too.
  void on_accepted(Moment now, const QueuedDelivery& delivery, const DeliveryRules& rules);
  /// `retry_after`: what the target asked for, with kFailed.
  void on_outcome(Moment now, EventRef delivery, DeliveryResult result,
                  std::optional<Duration> retry_after = std::nullopt);
  /// `kept`: the store has forgotten it, and its dead-letter destination has it if it gets it. A refusal is tried again
  /// with backoff, and none while draining: the delivery stays in the store and counts as ending.
  void on_ended(Moment now, EventRef delivery, bool kept);
  void on_tick(Moment now);
  /// Drain: nothing is begun any more; what is in flight is waited for; what waits stays in the store.
  void request_stop(Moment now);

  std::optional<DeliveryAction> next();
  std::optional<Instant> wake_at() const;

  const DeliveryFigures& figures(TargetId target) const { return targets_.at(target).figures; }
  /// Of the deliveries that are not over, that is waiting or in flight: when the oldest was accepted.
  std::optional<WallTime> oldest(TargetId target) const;
  /// When the next waiting delivery is due; past or now when it only waits for its turn. Those behind another of their
  /// group are not looked at.
  std::optional<Instant> next_attempt(TargetId target) const;
  /// Waiting, in flight and ending, of all targets.
  std::size_t deliveries() const { return deliveries_.size(); }
  bool drained() const { return state_ == State::kDrained; }

 private:
  enum class State { kRestoring, kRunning, kStopping, kDrained };
  /// kBehind: another of its group comes first.
  enum class DeliveryState : std::uint8_t { kFree, kBehind, kWaiting, kInFlight, kEnding };
  using Slot = std::uint32_t;
  using LaneId = std::uint32_t;
  using GroupId = std::uint32_t;
  static constexpr std::uint32_t kNone = IndexedHeap<Instant>::kNoPlace;

  struct Item {
    std::uint64_t id = 0;
    WallTime accepted;
    Instant due{};  ///< while it waits
    LaneId lane = 0;
    GroupId group = kNone;
    std::uint32_t attempts = 0;       ///< that failed; of one that is over: that were made
    std::uint32_t due_place = kNone;  ///< among the waiting ones of its target, or those behind the first of its group
    std::uint32_t age_place = kNone;  ///< among the waiting ones of its lane, or those in flight
    DeliveryState state = DeliveryState::kFree;
    DeliveryCondition condition{};  ///< of its end

    bool in_use() const { return state != DeliveryState::kFree; }
    std::uint32_t& next_free() { return due_place; }
  };
  static_assert(sizeof(Item) <= 48, "a million of them wait in 80 MB, with their entries in two heaps");
  using Slab = SlotSlab<Item>;

  /// The deliveries of one target that have the same rules, so that the one accepted first is too old first.
  struct Lane {
    DeliveryRules rules;
    TargetId target = 0;
    std::uint32_t place = 0;  ///< in its target's list
    std::size_t deliveries = 0;
    Duration longest_wait{0};
    IndexedHeap<WallTime> waiting_age;
    IndexedHeap<WallTime> in_flight_age;
    std::uint32_t expiry_place = kNone;
  };

  struct Group {
    const std::string* key = nullptr;  ///< in group_by_key_
    Slot first = kNone;                ///< waiting, in flight or ending; the others wait for it
    IndexedHeap<std::uint64_t> behind;
  };

  struct Target {
    TargetSettings settings;
    DeliveryFigures figures;
    IndexedHeap<Instant> waiting;    ///< by due time
    IndexedHeap<WallTime> expiring;  ///< its lanes by when their oldest that waits is too old
    std::vector<LaneId> lanes;
    std::map<int, std::size_t> per_second;  ///< the limits of its lanes, and how many have each
    Instant bucket_full_at = Instant::min();
    Instant rests_until = Instant::min();
    int hindrances = 0;  ///< in a row
    std::uint32_t wake_place = kNone;
    std::uint32_t expiry_place = kNone;
  };

  struct LaneKey {
    TargetId target = 0;
    const DeliveryRules* rules = nullptr;
    bool operator<(const LaneKey& other) const;
  };

  // How the heaps reach their items.
  struct ByDue {
    Slab& items;
    std::uint32_t& place(Slot slot) { return items[slot].due_place; }
    bool before(Slot a, Slot b) { return items[a].id < items[b].id; }
  };
  struct ByAge {
    Slab& items;
    std::uint32_t& place(Slot slot) { return items[slot].age_place; }
    bool before(Slot a, Slot b) { return items[a].id < items[b].id; }
  };
  template <typename Owner>
  struct ByExpiry {
    std::deque<Owner>& owners;
    std::uint32_t& place(std::uint32_t id) { return owners[id].expiry_place; }
    bool before(std::uint32_t a, std::uint32_t b) { return a < b; }
  };
  struct ByWake {
    std::deque<Target>& targets;
    std::uint32_t& place(TargetId id) { return targets[id].wake_place; }
    bool before(TargetId a, TargetId b) { return a < b; }
  };

  Slot add(const QueuedDelivery& delivery, const DeliveryRules& rules);
  void remove(Slot slot);
  LaneId lane_of(TargetId target, const DeliveryRules& rules);
  void drop_lane(LaneId id);
  GroupId group_of(TargetId target, std::string_view name);
  void drop_group(GroupId id);
  Item& in_state(EventRef delivery, DeliveryState state);
  TargetId target_of(const Item& item) const { return lanes_[item.lane].target; }

  void wait_until(Slot slot, Instant due);
  void stop_waiting(Slot slot);
  void take_turn(Slot slot);
  void line_up(Slot slot);
  void let_next_come(Group& group);
  void set_expiry(LaneId id);

  void fail(Moment now, Slot slot, Duration retry_after);
  void rest(Moment now, Target& target);
  void end(Slot slot, DeliveryCondition condition);
  void ask_end(Slot slot);
  void attempt(Moment now, Slot slot);
  bool too_old(Moment now, const Item& item) const;
  std::optional<Instant> bucket_allows(const Target& target) const;
  void advance(Moment now, TargetId touched);
  void advance(Moment now);
  void advance_endings(Moment now);
  void expire(Moment now, TargetId id);
  void run(Moment now, TargetId id);
  void schedule(TargetId id);

  DeliveryLimits limits_;
  Random random_;
  State state_ = State::kRestoring;
  Slab deliveries_;
  std::deque<Target> targets_;
  std::vector<TargetId> free_targets_;
  std::deque<Lane> lanes_;
  std::vector<LaneId> free_lanes_;
  std::map<LaneKey, LaneId> lane_by_key_;
  std::deque<Group> groups_;
  std::vector<GroupId> free_groups_;
  std::unordered_map<std::string, GroupId> group_by_key_;  ///< the target's number and the group's name
  IndexedHeap<Instant> by_wake_;                           ///< targets by when one of theirs may be begun
  IndexedHeap<WallTime> by_expiry_;                        ///< targets by when one of theirs that waits is too old
  std::size_t in_flight_ = 0;
  PendingEndings endings_;
  std::deque<DeliveryAction> actions_;
  std::optional<Instant> wake_at_;
};

}  // namespace weir::engine
