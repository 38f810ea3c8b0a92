#include "engine/delivery_queue.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace weir::engine {

namespace {

/// An age far away is looked at again after this: adding it to an instant could pass the end of time.
constexpr Duration kLongestSleep = std::chrono::hours(24);

double power_of_two(int exponent) {
  return std::ldexp(1.0, exponent);
}

/// How far the wait `k` of `n` has come from the first, 0, to the last, 1.
double part_of_way(Backoff backoff, double k, double n) {
  switch (backoff) {
    case Backoff::kLinear:
      return (k - 1) / (n - 1);
    case Backoff::kArithmetic:
      return (k * (k - 1)) / (n * (n - 1));
    case Backoff::kExponential:
      // Divided by 2^(n-1) above and below: 2^100000 is more than a double holds.
      return (power_of_two(static_cast<int>(k - n)) - power_of_two(static_cast<int>(1 - n))) /
             (1 - power_of_two(static_cast<int>(1 - n)));
    case Backoff::kGeometric:
      break;
  }
  return 0;
}

bool less(const RetryPhase& a, const RetryPhase& b) {
  return std::tie(a.retries, a.first, a.last, a.backoff) < std::tie(b.retries, b.first, b.last, b.backoff);
}

/// When what was accepted then is too old; nothing when it never is.
std::optional<WallTime> expiry(WallTime accepted, Duration max_age) {
  if (max_age >= WallTime::max() - std::max(accepted, WallTime())) return std::nullopt;
  return accepted + max_age;
}

/// Rounded up: no limit is passed for it.
Duration share_of_second(int limit) {
  return (Duration(std::chrono::seconds(1)) + Duration(limit - 1)) / limit;
}

/// The longest wait that the rules have.
Duration longest(const DeliveryRules& rules) {
  Duration longest{0};
  for (const RetryPhase& phase : rules.phases) {
    if (phase.retries > 0) longest = std::max({longest, phase.first, phase.last});
  }
  return longest + Duration(std::llround(rules.jitter * static_cast<double>(longest.count())));
}

}  // namespace

Duration wait_in_phase(const RetryPhase& phase, int k) {
  WEIR_ASSERT(k >= 1 && k <= phase.retries);
  if (k == 1) return phase.first;
  if (k == phase.retries) return phase.last;
  const auto first = static_cast<double>(phase.first.count());
  const auto last = static_cast<double>(phase.last.count());
  double wait = 0;
  if (phase.backoff != Backoff::kGeometric) {
    wait = first + (last - first) * part_of_way(phase.backoff, k, phase.retries);
  } else if (first > 0) {
    wait = first * std::pow(last / first, static_cast<double>(k - 1) / (phase.retries - 1));
  } else {
    wait = last * power_of_two(k - phase.retries);
  }
  return Duration(std::llround(wait));
}

std::optional<Duration> wait_before_retry(const DeliveryRules& rules, int retry) {
  for (const RetryPhase& phase : rules.phases) {
    if (retry <= phase.retries) return wait_in_phase(phase, retry);
    retry -= std::max(phase.retries, 0);
  }
  return std::nullopt;
}

std::string_view exhausted_retry_condition(DeliveryCondition condition) {
  switch (condition) {
    case DeliveryCondition::kRetriesExhausted:
      return "MaximumRetryAttempts";
    case DeliveryCondition::kAgeExceeded:
      return "MaximumEventAgeInSeconds";
    case DeliveryCondition::kDelivered:
    case DeliveryCondition::kRefused:
      break;
  }
  return "";
}

bool DeliveryQueue::LaneKey::operator<(const LaneKey& other) const {
  const auto plain = [](const LaneKey& key) {
    return std::tie(key.target, key.rules->max_age, key.rules->jitter, key.rules->max_per_second);
  };
  if (plain(*this) != plain(other)) return plain(*this) < plain(other);
  return std::lexicographical_compare(rules->phases.begin(), rules->phases.end(), other.rules->phases.begin(),
                                      other.rules->phases.end(), less);
}

DeliveryQueue::DeliveryQueue(DeliveryLimits limits, std::uint64_t seed)
    : limits_(limits), random_(seed), endings_(limits.backoff_min, limits.backoff_max) {
  WEIR_ASSERT(limits_.max_endings >= 1);
  WEIR_ASSERT(limits_.backoff_min > Duration(0) && limits_.backoff_min <= limits_.backoff_max);
  WEIR_ASSERT(limits_.rest_min > Duration(0) && limits_.rest_min <= limits_.rest_max);
}

TargetId DeliveryQueue::add_target(TargetSettings settings) {
  WEIR_ASSERT(settings.max_in_flight >= 1);
  TargetId id = static_cast<TargetId>(targets_.size());
  if (free_targets_.empty()) {
    targets_.emplace_back();
  } else {
    id = free_targets_.back();
    free_targets_.pop_back();
  }
  targets_[id].settings = settings;
  return id;
}

void DeliveryQueue::drop_target(TargetId id) {
  const DeliveryFigures& figures = targets_.at(id).figures;
  WEIR_ASSERT(figures.waiting + figures.in_flight + figures.ending == 0 && targets_[id].lanes.empty());
  targets_[id] = Target();
  free_targets_.push_back(id);
}

void DeliveryQueue::on_restored(Moment now, const QueuedDelivery& delivery, const DeliveryRules& rules) {
  WEIR_ASSERT(state_ == State::kRestoring);
  const Slot slot = add(delivery, rules);
  const Duration most = std::max(lanes_[deliveries_[slot].lane].longest_wait, limits_.retry_after_max);
  const Duration wait = delivery.due ? std::clamp(*delivery.due - now.wall, Duration(0), most) : Duration(0);
  wait_until(slot, now.instant + wait);
  ++targets_[delivery.target].figures.restored;
  advance(now, delivery.target);
}

void DeliveryQueue::start(Moment now) {
  if (state_ == State::kRestoring) state_ = State::kRunning;
  advance(now);
}

void DeliveryQueue::on_accepted(Moment now, const QueuedDelivery& delivery, const DeliveryRules& rules) {
  wait_until(add(delivery, rules), now.instant);
  ++targets_[delivery.target].figures.received;
  advance(now, delivery.target);
}

void DeliveryQueue::on_outcome(Moment now, EventRef ref, DeliveryResult result, std::optional<Duration> retry_after) {
  Item& item = in_state(ref, DeliveryState::kInFlight);
  const TargetId touched = target_of(item);
  lanes_[item.lane].in_flight_age.remove(ByAge{deliveries_}, ref.slot);
  --targets_[touched].figures.in_flight;
  --in_flight_;
  if (result != DeliveryResult::kCancelled && result != DeliveryResult::kHindered) {
    ++item.attempts;
    targets_[touched].hindrances = 0;
  }
  switch (result) {
    case DeliveryResult::kDelivered:
      end(ref.slot, DeliveryCondition::kDelivered);
      break;
    case DeliveryResult::kRefused:
      end(ref.slot, DeliveryCondition::kRefused);
      break;
    case DeliveryResult::kFailed:
      fail(now, ref.slot, std::min(retry_after.value_or(Duration(0)), limits_.retry_after_max));
      break;
    case DeliveryResult::kHindered:
      rest(now, targets_[touched]);
      wait_until(ref.slot, now.instant);
      break;
    case DeliveryResult::kCancelled:
      wait_until(ref.slot, now.instant);
      break;
  }
  advance(now, touched);
}

void DeliveryQueue::on_ended(Moment now, EventRef ref, bool kept) {
  const Item& item = in_state(ref, DeliveryState::kEnding);
  const TargetId touched = target_of(item);
  DeliveryFigures& figures = targets_[touched].figures;
  if (kept) {
    endings_.on_kept();
    --figures.ending;
    switch (item.condition) {
      case DeliveryCondition::kDelivered:
        ++figures.delivered;
        break;
      case DeliveryCondition::kRefused:
        ++figures.refused;
        break;
      case DeliveryCondition::kRetriesExhausted:
        ++figures.exhausted;
        break;
      case DeliveryCondition::kAgeExceeded:
        ++figures.expired;
        break;
    }
    remove(ref.slot);
  } else {
    ++figures.store_failures;
    endings_.on_refused(now.instant, ref.slot, state_ == State::kRunning, random_);
  }
  advance(now, touched);
}

void DeliveryQueue::on_tick(Moment now) {
  advance(now);
}

void DeliveryQueue::request_stop(Moment now) {
  if (state_ != State::kDrained) state_ = State::kStopping;
  advance(now);
}

std::optional<DeliveryAction> DeliveryQueue::next() {
  if (actions_.empty()) return std::nullopt;
  std::optional<DeliveryAction> action(actions_.front());
  actions_.pop_front();
  return action;
}

std::optional<Instant> DeliveryQueue::wake_at() const {
  WEIR_ASSERT(actions_.empty());
  return wake_at_;
}

std::optional<WallTime> DeliveryQueue::oldest(TargetId id) const {
  std::optional<WallTime> oldest;
  for (const LaneId lane : targets_.at(id).lanes) {
    for (const auto& first : {lanes_[lane].waiting_age.earliest(), lanes_[lane].in_flight_age.earliest()}) {
      if (first && (!oldest || *first < *oldest)) oldest = first;
    }
  }
  return oldest;
}

std::optional<Instant> DeliveryQueue::next_attempt(TargetId id) const {
  const Target& target = targets_.at(id);
  if (target.waiting.empty()) return std::nullopt;
  return std::max({target.waiting.first_key(), target.rests_until, bucket_allows(target).value_or(Instant::min())});
}

DeliveryQueue::Slot DeliveryQueue::add(const QueuedDelivery& delivery, const DeliveryRules& rules) {
  WEIR_ASSERT(delivery.target < targets_.size());
  WEIR_ASSERT(delivery.attempts >= 0);
  const LaneId lane = lane_of(delivery.target, rules);
  ++lanes_[lane].deliveries;
  const Slot slot = deliveries_.add();
  Item& added = deliveries_[slot];
  added.id = delivery.id;
  added.accepted = delivery.accepted;
  added.lane = lane;
  added.attempts = static_cast<std::uint32_t>(delivery.attempts);
  if (!delivery.group.empty()) added.group = group_of(delivery.target, delivery.group);
  return slot;
}

/// It is over, and the store has forgotten it: now comes the next of its group.
void DeliveryQueue::remove(Slot slot) {
  const Item& item = deliveries_[slot];
  const LaneId lane = item.lane;
  const GroupId group = item.group;
  if (group != kNone && groups_[group].first == slot) {
    groups_[group].first = kNone;
    let_next_come(groups_[group]);
    if (groups_[group].first == kNone) drop_group(group);
  }
  deliveries_.remove(slot);
  if (--lanes_[lane].deliveries == 0) drop_lane(lane);
}

DeliveryQueue::LaneId DeliveryQueue::lane_of(TargetId target, const DeliveryRules& rules) {
  const auto found = lane_by_key_.find({target, &rules});
  if (found != lane_by_key_.end()) return found->second;
  WEIR_ASSERT(rules.jitter >= 0 && rules.jitter <= 1 && rules.max_per_second >= 0);
  LaneId id = static_cast<LaneId>(lanes_.size());
  if (free_lanes_.empty()) {
    lanes_.emplace_back();
  } else {
    id = free_lanes_.back();
    free_lanes_.pop_back();
  }
  Lane& lane = lanes_[id];
  Target& owner = targets_[target];
  lane.rules = rules;
  lane.target = target;
  lane.longest_wait = longest(rules);
  lane.place = static_cast<std::uint32_t>(owner.lanes.size());
  owner.lanes.push_back(id);
  if (rules.max_per_second > 0) ++owner.per_second[rules.max_per_second];
  lane_by_key_.emplace(LaneKey{target, &lane.rules}, id);
  return id;
}

void DeliveryQueue::drop_lane(LaneId id) {
  Lane& lane = lanes_[id];
  Target& owner = targets_[lane.target];
  lane_by_key_.erase({lane.target, &lane.rules});
  const auto limit = owner.per_second.find(lane.rules.max_per_second);
  if (limit != owner.per_second.end() && --limit->second == 0) owner.per_second.erase(limit);
  const LaneId last = owner.lanes.back();
  owner.lanes[lane.place] = last;
  lanes_[last].place = lane.place;
  owner.lanes.pop_back();
  lane = Lane();
  free_lanes_.push_back(id);
}

DeliveryQueue::GroupId DeliveryQueue::group_of(TargetId target, std::string_view name) {
  const auto [found, added] = group_by_key_.try_emplace(std::to_string(target) + ' ' + std::string(name), 0);
  if (!added) return found->second;
  GroupId id = static_cast<GroupId>(groups_.size());
  if (free_groups_.empty()) {
    groups_.emplace_back();
  } else {
    id = free_groups_.back();
    free_groups_.pop_back();
  }
  groups_[id].key = &found->first;
  found->second = id;
  return id;
}

void DeliveryQueue::drop_group(GroupId id) {
  group_by_key_.erase(*groups_[id].key);
  groups_[id] = Group();
  free_groups_.push_back(id);
}

DeliveryQueue::Item& DeliveryQueue::in_state(EventRef delivery, DeliveryState state) {
  WEIR_ASSERT(deliveries_.knows(delivery) && deliveries_[delivery.slot].state == state);
  return deliveries_[delivery.slot];
}

void DeliveryQueue::wait_until(Slot slot, Instant due) {
  Item& item = deliveries_[slot];
  item.due = due;
  Lane& lane = lanes_[item.lane];
  lane.waiting_age.add(ByAge{deliveries_}, item.accepted, slot);
  set_expiry(item.lane);
  ++targets_[lane.target].figures.waiting;
  if (item.group == kNone) {
    take_turn(slot);
    return;
  }
  Group& group = groups_[item.group];
  if (group.first == slot) group.first = kNone;
  line_up(slot);
  // A smaller id that comes late goes first, unless the other is under way already.
  if (group.first != kNone && deliveries_[group.first].state == DeliveryState::kWaiting &&
      group.behind.first_key() < deliveries_[group.first].id) {
    const Slot overtaken = std::exchange(group.first, kNone);
    targets_[lane.target].waiting.remove(ByDue{deliveries_}, overtaken);
    line_up(overtaken);
  }
  let_next_come(group);
}

void DeliveryQueue::stop_waiting(Slot slot) {
  const Item& item = deliveries_[slot];
  Lane& lane = lanes_[item.lane];
  Target& target = targets_[lane.target];
  WEIR_ASSERT(target.figures.waiting > 0);
  --target.figures.waiting;
  if (item.state == DeliveryState::kWaiting) {
    target.waiting.remove(ByDue{deliveries_}, slot);
  } else {
    groups_[item.group].behind.remove(ByDue{deliveries_}, slot);
  }
  lane.waiting_age.remove(ByAge{deliveries_}, slot);
  set_expiry(item.lane);
}

/// Nothing is before it any more but its own time.
void DeliveryQueue::take_turn(Slot slot) {
  Item& item = deliveries_[slot];
  item.state = DeliveryState::kWaiting;
  targets_[target_of(item)].waiting.add(ByDue{deliveries_}, item.due, slot);
}

void DeliveryQueue::line_up(Slot slot) {
  Item& item = deliveries_[slot];
  item.state = DeliveryState::kBehind;
  groups_[item.group].behind.add(ByDue{deliveries_}, item.id, slot);
}

void DeliveryQueue::let_next_come(Group& group) {
  if (group.first != kNone || group.behind.empty()) return;
  group.first = group.behind.first();
  group.behind.remove(ByDue{deliveries_}, group.first);
  take_turn(group.first);
}

void DeliveryQueue::set_expiry(LaneId id) {
  const Lane& lane = lanes_[id];
  std::optional<WallTime> first;
  if (!lane.waiting_age.empty()) first = expiry(lane.waiting_age.first_key(), lane.rules.max_age);
  targets_[lane.target].expiring.set(ByExpiry<Lane>{lanes_}, first, id);
}

/// The attempt has failed: the next one, or the end.
void DeliveryQueue::fail(Moment now, Slot slot, Duration retry_after) {
  const Item& item = deliveries_[slot];
  const DeliveryRules& rules = lanes_[item.lane].rules;
  const auto planned = wait_before_retry(rules, static_cast<int>(item.attempts));
  if (!planned) {
    end(slot, DeliveryCondition::kRetriesExhausted);
    return;
  }
  const double jitter = rules.jitter > 0 ? rules.jitter * random_.unit() : 0;
  const Duration wait =
      std::max(*planned + Duration(std::llround(jitter * static_cast<double>(planned->count()))), retry_after);
  if (too_old({now.instant + wait, now.wall + wait}, item)) {
    end(slot, DeliveryCondition::kAgeExceeded);
    return;
  }
  actions_.emplace_back(RememberDeliveryRetry{{item.id, slot}, static_cast<int>(item.attempts), now.wall + wait});
  wait_until(slot, now.instant + wait);
}

/// Many may be hindered that were begun together: that is one time.
void DeliveryQueue::rest(Moment now, Target& target) {
  if (now.instant < target.rests_until) return;
  target.rests_until = now.instant + growing_wait(limits_.rest_min, limits_.rest_max, ++target.hindrances, random_);
}

/// The delivery is over. It is told to the store as soon as that can be.
void DeliveryQueue::end(Slot slot, DeliveryCondition condition) {
  Item& item = deliveries_[slot];
  item.state = DeliveryState::kEnding;
  item.condition = condition;
  ++targets_[target_of(item)].figures.ending;
  endings_.add(slot);
}

void DeliveryQueue::ask_end(Slot slot) {
  const Item& item = deliveries_[slot];
  actions_.emplace_back(EndDelivery{{item.id, slot}, target_of(item), item.condition, static_cast<int>(item.attempts)});
}

void DeliveryQueue::attempt(Moment now, Slot slot) {
  stop_waiting(slot);
  Item& item = deliveries_[slot];
  Lane& lane = lanes_[item.lane];
  Target& target = targets_[lane.target];
  item.state = DeliveryState::kInFlight;
  lane.in_flight_age.add(ByAge{deliveries_}, item.accepted, slot);
  ++in_flight_;
  if (!target.per_second.empty()) {
    target.bucket_full_at =
        std::max(target.bucket_full_at, now.instant) + share_of_second(target.per_second.begin()->first);
  }
  ++target.figures.in_flight;
  ++target.figures.attempts;
  if (item.attempts > 0) ++target.figures.retries;
  actions_.emplace_back(AttemptDelivery{{item.id, slot},
                                        lane.target,
                                        static_cast<int>(item.attempts) + 1,
                                        std::max(Duration(0), now.wall - item.accepted)});
}

bool DeliveryQueue::too_old(Moment now, const Item& item) const {
  return now.wall - item.accepted >= lanes_[item.lane].rules.max_age;
}

/// When one more attempt fits into what the target takes in a second; nothing when it takes any number.
std::optional<Instant> DeliveryQueue::bucket_allows(const Target& target) const {
  if (target.per_second.empty() || target.bucket_full_at == Instant::min()) return std::nullopt;
  const int limit = target.per_second.begin()->first;
  return target.bucket_full_at - (limit - 1) * share_of_second(limit);
}

void DeliveryQueue::advance(Moment now, TargetId touched) {
  const DeliveryFigures& figures = targets_[touched].figures;
  WEIR_ASSERT(figures.received + figures.restored == figures.waiting + figures.in_flight + figures.ending +
                                                         figures.delivered + figures.refused + figures.exhausted +
                                                         figures.expired);
  schedule(touched);
  advance(now);
}

void DeliveryQueue::advance(Moment now) {
  wake_at_.reset();
  if (state_ == State::kDrained || state_ == State::kRestoring) return;
  advance_endings(now);
  if (state_ == State::kStopping) {
    if (in_flight_ > 0 || endings_.unanswered()) return;
    state_ = State::kDrained;
    actions_.emplace_back(DeliveriesDrained{});
    return;
  }
  if (endings_.refusing()) {
    wake_at_ = endings_.wake_at();
    return;
  }
  while (!by_expiry_.empty() && by_expiry_.first_key() <= now.wall) expire(now, by_expiry_.first());
  while (!by_wake_.empty() && by_wake_.first_key() <= now.instant) run(now, by_wake_.first());
  advance_endings(now);
  wake_at_ = by_wake_.earliest();
  if (!by_expiry_.empty()) {
    wake_at_ = earlier(wake_at_, now.instant + std::min(by_expiry_.first_key() - now.wall, kLongestSleep));
  }
}

void DeliveryQueue::advance_endings(Moment now) {
  // Draining: each is asked for once more; what is refused then is not tried again.
  endings_.ask_due(now.instant, state_ != State::kRunning, [this](Slot slot) { ask_end(slot); });
}

/// What is too old of one target ends.
void DeliveryQueue::expire(Moment now, TargetId id) {
  Target& target = targets_[id];
  while (target.figures.ending < limits_.max_endings && !target.expiring.empty() &&
         target.expiring.first_key() <= now.wall) {
    const Slot oldest = lanes_[target.expiring.first()].waiting_age.first();
    stop_waiting(oldest);
    end(oldest, DeliveryCondition::kAgeExceeded);
  }
  schedule(id);
}

/// One target's time has come: what is due and has room is begun.
void DeliveryQueue::run(Moment now, TargetId id) {
  Target& target = targets_[id];
  while (!target.waiting.empty() && target.waiting.first_key() <= now.instant &&
         target.figures.in_flight < target.settings.max_in_flight && target.rests_until <= now.instant &&
         bucket_allows(target).value_or(Instant::min()) <= now.instant) {
    attempt(now, target.waiting.first());
  }
  schedule(id);
}

/// When the target's next delivery may be begun, and when one is too old; neither while an answer must come first.
void DeliveryQueue::schedule(TargetId id) {
  const Target& target = targets_[id];
  std::optional<Instant> wake;
  std::optional<WallTime> expires;
  if (target.figures.ending < limits_.max_endings) {
    expires = target.expiring.earliest();
    if (target.figures.in_flight < target.settings.max_in_flight) wake = next_attempt(id);
  }
  by_wake_.set(ByWake{targets_}, wake, id);
  by_expiry_.set(ByExpiry<Target>{targets_}, expires, id);
}

}  // namespace weir::engine
