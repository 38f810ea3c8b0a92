#include "delivery_world.h"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace weir::simulation {

using namespace std::chrono_literals;
using engine::DeliveryCondition;
using engine::DeliveryResult;

namespace {

constexpr Duration kShutdownGrace = 30s;  // of the shell: then what is in flight is called off

/// The wait before a retry, as the definition of Backoff says it: step by step.
Duration naive_wait(const RetryPhase& phase, int k) {
  const int n = phase.retries;
  double wait = static_cast<double>(phase.first.count());
  const auto last = static_cast<double>(phase.last.count());
  if (k == n && n > 1) return phase.last;
  const double way = last - wait;
  const double factor = wait > 0 ? std::pow(last / wait, 1.0 / (n - 1)) : 0;
  if (phase.backoff == Backoff::kGeometric && wait == 0 && k > 1) return Duration(std::llround(last / (1 << (n - k))));
  for (int step = 1; step < k; ++step) {
    switch (phase.backoff) {
      case Backoff::kLinear:
        wait += way / (n - 1);
        break;
      case Backoff::kArithmetic:
        wait += step * way / (n * (n - 1) / 2);
        break;
      case Backoff::kExponential:
        wait += (1 << (step - 1)) * way / ((1 << (n - 1)) - 1);
        break;
      case Backoff::kGeometric:
        wait *= factor;
        break;
    }
  }
  return Duration(std::llround(wait));
}

std::optional<Duration> naive_wait(const DeliveryRules& rules, int retry) {
  std::vector<Duration> all;
  for (const RetryPhase& phase : rules.phases) {
    for (int k = 1; k <= phase.retries; ++k) all.push_back(naive_wait(phase, k));
  }
  if (static_cast<std::size_t>(retry) > all.size()) return std::nullopt;
  return all[static_cast<std::size_t>(retry) - 1];
}

Duration share(int limit) {
  return Duration((1'000'000'000 + limit - 1) / limit);
}

}  // namespace

DeliveryFeatures::DeliveryFeatures(Random& random) : troubles(Draw{random}) {
  const Draw draw{random};
  limits.max_endings = draw.one_of({1, 2, 5, 1000, 1000});
  if (random.chance(0.2)) limits.max_deliveries = 2 + random.below(20);
  limits.retry_after_max = std::chrono::seconds(draw.one_of({10, 3600}));
  limits.backoff_min = std::chrono::milliseconds(draw.one_of({100, 1000, 1000}));
  limits.backoff_max = std::chrono::seconds(draw.one_of({10, 300, 300}));
  targets.resize(1 + random.below(3));
  for (engine::TargetSettings& target : targets) target.max_in_flight = draw.one_of({1, 2, 3, 16});
  rules.resize(1 + random.below(3));
  for (DeliveryRules& each : rules) {
    each.phases.resize(random.below(4));
    for (RetryPhase& phase : each.phases) {
      phase.retries = static_cast<int>(random.below(6));
      if (random.chance(0.8)) phase.first = draw.seconds_up_to(20);
      phase.last = phase.first + (random.chance(0.7) ? draw.seconds_up_to(100) : Duration(0));
      phase.backoff = static_cast<Backoff>(random.below(4));
    }
    if (random.chance(0.6)) each.max_age = draw.seconds_up_to(300);
    if (random.chance(0.4)) each.jitter = random.unit();
    if (random.chance(0.3)) each.max_per_second = static_cast<int>(1 + random.below(5));
  }
  groups = random.chance(0.6) ? 1 + random.below(3) : 0;
  deliveries = 1 + random.below(random.chance(0.2) ? 80 : 25);
  burst = random.chance(0.4);
  fails = random.chance(0.7) ? random.unit() : 0;
  refuses = draw.sometimes(0.2);
  hints = draw.sometimes(0.5);
  cancelled = draw.sometimes(0.1);
  hindered = draw.sometimes(0.4);
  late = draw.sometimes(0.3);
  never = draw.sometimes(0.05);
  down = random.chance(0.3);
  limits.rest_min = std::chrono::milliseconds(draw.one_of({200, 1000}));
  limits.rest_max = std::chrono::seconds(draw.one_of({1, 30}));
  drops = draw.sometimes(0.2);
}

std::string DeliveryFeatures::describe() const {
  std::ostringstream out;
  out << deliveries << " deliveries; max_endings " << limits.max_endings << ", max_deliveries " << limits.max_deliveries
      << ", groups " << groups;
  name_features(out,
                {{"fails", fails},
                 {"refuses for good", refuses},
                 {"hints", hints},
                 {"cancelled", cancelled},
                 {"hindered", hindered},
                 {"drops", drops},
                 {"late", late},
                 {"never", never}},
                {{"burst", burst}, {"down", down}});
  troubles.name(out);
  for (const DeliveryRules& each : rules) {
    out << "\n  rules: age " << as_seconds(each.max_age) << " s, jitter " << each.jitter << ", per second "
        << each.max_per_second;
    for (const RetryPhase& phase : each.phases) {
      out << "; " << phase.retries << " from " << as_seconds(phase.first) << " to " << as_seconds(phase.last);
    }
  }
  return out.str();
}

DeliveryWorld::DeliveryWorld(std::uint64_t seed, DeliveryMet& met)
    : Stage(seed, 0xA24BAED4963EE407U),
      met_(met),
      features_(random_),
      crashes_left_(features_.troubles.crashes),
      stops_left_(features_.troubles.stops),
      wall_jumps_left_(features_.troubles.wall_jumps ? 3 : 0) {
  ++met_.worlds;
  targets_.resize(features_.targets.size());
  items_.resize(features_.deliveries);
  open_ = items_.size();
  met_.deliveries += items_.size();
  Duration after{0};
  for (Item& item : items_) {
    if (!features_.burst && random_.chance(0.4)) after += upto(random_.chance(0.2) ? Duration(60s) : Duration(2s));
    item.target = random_.below(targets_.size());
    item.rules = random_.below(features_.rules.size());
    if (features_.groups > 0 && random_.chance(0.8)) item.group = std::to_string(random_.below(features_.groups));
    later(after + upto(20ms), {.kind = Kind::kArrival});
  }
  for (std::size_t i = 0; features_.down && i < targets_.size(); ++i)
    later(upto(60s), {.kind = Kind::kDown, .index = i});
  for (int i = 0; i < features_.troubles.stops; ++i) later(upto(150s), {.kind = Kind::kStop, .life = UINT64_MAX});
  if (features_.troubles.idle_ticks) later(upto(5s), {.kind = Kind::kIdleTick});
  start();
}

std::string DeliveryWorld::summary() const {
  std::ostringstream out;
  out << "seed " << seed_ << ", step " << steps_ << ", " << seconds_since_start() << " s; " << features_.describe()
      << "\n  life " << life_
      << (drained_    ? ", drained"
          : stopping_ ? ", stopping"
                      : "")
      << ", store failures in a row " << store_failures_;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const engine::DeliveryFigures& figures = targets_[i].figures;
    out << "\n  target " << i << ": at most " << features_.targets[i].max_in_flight << ", in flight "
        << figures.in_flight << ", waiting " << figures.waiting << ", ending " << figures.ending << ", limit "
        << limit_of(i).value_or(0);
  }
  for (const Item& item : items_) {
    if (!item.kept && item.state == State::kUntold) continue;
    out << "\n  delivery " << index_of(item) + 1 << " to " << item.target << ", group '" << item.group << "', rules "
        << item.rules << ": state " << static_cast<int>(item.state) << (item.kept ? ", kept" : "") << ", attempts "
        << item.attempts << ", age " << as_seconds(now_.wall - item.accepted_at) << ", due in "
        << as_seconds(item.due - now_.instant);
  }
  return out.str();
}

bool DeliveryWorld::step() {
  if (!broken_.empty()) return false;
  if (open_ == 0 && (!engine_ || engine_->deliveries() == 0)) {
    check_end();
    return false;
  }
  ++met_.steps;
  return turn(wake_, [&](const DeliveryHappening* happening) {
    if (crashes_left_ > 0 && engine_ && random_.chance(0.01)) {
      crash();
      if (happening == nullptr) return;  // who was to be woken is gone
    }
    if (wall_jumps_left_ > 0 && random_.chance(0.02)) {
      --wall_jumps_left_;
      ++met_.wall_jumps;
      jump(300s);
    }
    if (features_.troubles.outages && now_.instant >= store_down_until_ && random_.chance(0.005)) {
      store_down_until_ = now_.instant + upto(200s);
    }
    if (happening == nullptr) {
      tick();
    } else {
      happen(*happening);
    }
  });
}

void DeliveryWorld::happen(const DeliveryHappening& happening) {
  const bool alive = engine_ != nullptr && happening.life == life_;
  const auto is_item = [&] {
    return alive && items_[happening.index].serial == happening.serial && happening.serial != 0;
  };
  switch (happening.kind) {
    case Kind::kStart:
      if (!engine_ && happening.life == life_) start();
      return;
    case Kind::kArrival:
      arrive();
      return;
    case Kind::kOutcome:
      if (is_item()) answer_attempt(items_[happening.index]);
      return;
    case Kind::kRemember: {
      // A delivery that is over meanwhile has no record any more that could be changed.
      Item& item = items_[happening.index];
      if (!alive || !item.kept) return;
      if (store_refuses()) {
        ++met_.remember_lost;
      } else if (happening.attempts > item.stored_attempts) {
        item.stored_attempts = happening.attempts;
        item.stored_due = happening.due;
      }
      return;
    }
    case Kind::kEndWrite:
      if (is_item()) write_end(items_[happening.index]);
      return;
    case Kind::kEndAnswer:
      if (is_item()) answer_end(items_[happening.index]);
      return;
    case Kind::kDown:
      targets_[happening.index].down_until = now_.instant + upto(random_.chance(0.2) ? 3600s : 300s);
      return;
    case Kind::kStop:
      if (!engine_ || stopping_) return;
      if (happening.life == UINT64_MAX) {
        if (stops_left_ == 0) return;
        --stops_left_;
      } else if (!alive) {
        return;
      }
      stop();
      return;
    case Kind::kGrace:
      if (!alive) return;
      for (Item& item : items_) {
        if (item.state != State::kInFlight) continue;
        item.result = DeliveryResult::kCancelled;
        answer_attempt(item);
        if (!engine_) return;
      }
      return;
    case Kind::kCrash:
      if (alive) crash();
      return;
    case Kind::kIdleTick:
      if (engine_) tick();
      later(upto(30s), {.kind = Kind::kIdleTick});
      return;
  }
}

/// A new life: what the store has is told in any order.
void DeliveryWorld::start() {
  engine_ = std::make_unique<engine::DeliveryQueue>(features_.limits, random_.next());
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    engine_->add_target(features_.targets[i]);
    targets_[i] = Target{.down_until = targets_[i].down_until};
  }
  std::vector<Item*> kept;
  for (Item& item : items_) {
    if (item.kept) kept.insert(kept.begin() + static_cast<std::ptrdiff_t>(random_.below(kept.size() + 1)), &item);
  }
  for (Item* item : kept) {
    ++met_.restored;
    if (item->stored_attempts > 0) ++met_.restored_tried;
    item->attempts = item->stored_attempts;
    Duration longest = Duration(0);
    for (const RetryPhase& phase : rules_of(*item).phases) {
      if (phase.retries > 0) longest = std::max({longest, phase.first, phase.last});
    }
    longest += Duration(std::llround(rules_of(*item).jitter * static_cast<double>(longest.count())));
    longest = std::max(longest, features_.limits.retry_after_max);
    const Duration left = item->stored_due ? *item->stored_due - now_.wall : Duration(0);
    ++target_of(*item).figures.restored;
    waits(*item, std::clamp(left, Duration(0), longest));
    engine::QueuedDelivery delivery = told(*item);
    delivery.attempts = item->stored_attempts;
    delivery.due = item->stored_due;
    engine_->on_restored(now_, delivery, rules_of(*item));
    promise(!engine_->next() && !engine_->wake_at(), "something is wanted before everything is restored");
  }
  engine_->start(now_);
  drain();
}

void DeliveryWorld::end_life() {
  engine_.reset();
  ++life_;
  for (Item& item : items_) {
    item.state = State::kUntold;
    item.attempts = 0;
    item.asked = item.lied = item.holds = false;
    item.condition.reset();
    item.serial = 0;
  }
  stopping_ = drained_ = false;
  store_failures_ = 0;
  probe_.reset();
  undecided_.reset();
  asked_ = 0;
  wake_.reset();
  later(upto(5s), {.kind = Kind::kStart, .life = life_});
}

/// kill -9: the engine and what is in flight are forgotten; writes that have not been made never will be.
void DeliveryWorld::crash() {
  if (crashes_left_ > 0) --crashes_left_;
  ++met_.crashes;
  end_life();
}

void DeliveryWorld::stop() {
  ++met_.stops;
  stopping_ = true;
  later(kShutdownGrace, {.kind = Kind::kGrace, .life = life_});
  engine_->request_stop(now_);
  drain();
}

void DeliveryWorld::tick() {
  wake_.reset();
  engine_->on_tick(now_);
  drain();
}

/// The contract of every engine: after it was told something, all it wants is taken before anything else is waited for.
void DeliveryWorld::drain() {
  while (auto action = engine_->next()) {
    if (crashes_left_ > 0 && random_.chance(0.003)) {
      crash();
      return;
    }
    promise(!drained_, "something is wanted after DeliveriesDrained");
    std::visit([&](const auto& wish) { perform(wish); }, *action);
    if (!broken_.empty()) return;
  }
  if (undecided_) expired_ahead();
  drop_targets();
  wake_ = engine_->wake_at();
  check_figures();
  check_waiting();
  if (wake_ && features_.troubles.late_ticks) *wake_ += upto(20ms);
  if (drained_) end_life();
}

engine::QueuedDelivery DeliveryWorld::told(const Item& item) const {
  return {.id = index_of(item) + 1,
          .target = static_cast<engine::TargetId>(item.target),
          .accepted = item.accepted_at,
          .group = item.group};
}

/// A service sends it: it is stored, then told. Who comes while the engine is away comes again.
void DeliveryWorld::arrive() {
  if (!engine_ || (stopping_ && random_.chance(0.5))) {
    later(upto(3s), {.kind = Kind::kArrival});
    return;
  }
  Item& item = items_[arrived_++];
  if (engine_->full()) {
    ++met_.refused_at_the_door;
    --open_;
    return;
  }
  item.accepted = item.kept = true;
  item.accepted_at = now_.wall;
  if (crashes_left_ > 0 && random_.chance(0.01)) {
    crash();
    return;
  }
  ++target_of(item).figures.received;
  waits(item, Duration(0));
  engine_->on_accepted(now_, told(item), rules_of(item));
  drain();
}

void DeliveryWorld::perform(const engine::AttemptDelivery& wish) {
  Item& item = item_of(wish.delivery);
  Target& target = target_of(item);
  promise(item, item.state == State::kWaiting, "attempted though it does not wait");
  promise(item, item.kept, "attempted though the store has forgotten it");
  promise(item, !stopping_, "attempted while draining");
  promise(item, store_failures_ == 0, "attempted while the store refuses");
  promise(item, wish.target == item.target, "attempted at another target");
  promise(item, wish.attempt == item.attempts + 1, "the number of the attempt is wrong");
  promise(item, wish.age == std::max(Duration(0), now_.wall - item.accepted_at), "the age is wrong");
  promise(item, now_.instant >= item.due, "attempted before it is due");
  promise(item, !too_old(item), "attempted though it is too old");
  promise(item, target.figures.in_flight < features_.targets[item.target].max_in_flight, "too many are in flight");
  promise(item, target.figures.ending < features_.limits.max_endings, "attempted though too many are ending");
  promise(item, until_bucket_allows(item.target) == Duration(0), "too many attempts in a second");
  promise(item, first_of_group(item), "attempted before another of its group");
  promise(item, now_.instant >= target.rests_at_least, "attempted while its target rests");
  for (const Item& other : items_) {
    const bool before = other.state == State::kWaiting && other.target == item.target && first_of_group(other) &&
                        (other.due < item.due || (other.due == item.due && &other < &item));
    promise(item, !before || too_old(other), "attempted before one that was due before it");
  }

  item.state = State::kInFlight;
  item.ref = wish.delivery;
  ++met_.attempts;
  --target.figures.waiting;
  ++target.figures.in_flight;
  ++target.figures.attempts;
  if (item.attempts > 0) {
    ++target.figures.retries;
    ++met_.retries;
  }
  if (target.figures.in_flight == features_.targets[item.target].max_in_flight) ++met_.full_targets;
  if (const auto limit = limit_of(item.target)) {
    target.level = std::max(Duration(0), target.level - (now_.instant - target.level_at)) + share(*limit);
    target.level_at = now_.instant;
    if (until_bucket_allows(item.target) > Duration(0)) ++met_.empty_buckets;
  }

  // What comes of it.
  item.serial = ++last_serial_;
  item.hint.reset();
  const Duration takes = upto(random_.chance(features_.late) ? Duration(300s) : Duration(500ms));
  if (random_.chance(features_.cancelled)) {
    item.result = DeliveryResult::kCancelled;
  } else if (random_.chance(features_.hindered)) {
    item.result = DeliveryResult::kHindered;
  } else if (random_.chance(features_.refuses)) {
    item.result = DeliveryResult::kRefused;
  } else if (now_.instant < target.down_until || random_.chance(features_.fails)) {
    item.result = DeliveryResult::kFailed;
    if (random_.chance(features_.hints)) item.hint = upto(120s);
  } else {
    item.result = DeliveryResult::kDelivered;
    item.reached = true;
  }
  if (random_.chance(features_.never)) {
    ++met_.never_answered;
    later(upto(300s), {.kind = random_.chance(0.5) ? Kind::kStop : Kind::kCrash, .life = life_});
    return;
  }
  later(takes, {.kind = Kind::kOutcome, .life = life_, .index = index_of(item), .serial = item.serial});
}

void DeliveryWorld::perform(const engine::RememberDeliveryRetry& wish) {
  Item& item = item_of(wish.delivery);
  promise(item, undecided_ && undecided_->index == index_of(item), "remembered though it has not failed");
  if (!broken_.empty()) return;
  const Duration wait = wish.due - now_.wall;
  const Duration slack = 1us;  // of floating point
  promise(item, wait >= undecided_->least - slack && wait <= undecided_->most + slack, "the wait is wrong");
  promise(item, now_.wall + wait - item.accepted_at < rules_of(item).max_age, "it will be too old then");
  promise(item, wish.attempts == item.attempts, "remembered with wrong attempts");
  undecided_.reset();
  waits(item, wait);
  later(store_latency(),
        {.kind = Kind::kRemember, .life = life_, .index = index_of(item), .attempts = wish.attempts, .due = wish.due});
}

void DeliveryWorld::perform(const engine::EndDelivery& wish) {
  Item& item = item_of(wish.delivery);
  Target& target = target_of(item);
  if (undecided_ && undecided_->index == index_of(item)) expired_ahead();
  if (item.state == State::kWaiting) {
    promise(item, !stopping_, "ended by itself while draining");
    promise(item, store_failures_ == 0, "ended by itself while the store refuses");
    promise(item, target.figures.ending < features_.limits.max_endings, "ended though too many are ending");
    promise(item, wish.condition == DeliveryCondition::kAgeExceeded, "ended without a reason");
    promise(item, too_old(item), "ended as too old, and it is not");
    if (item.attempts == 0) ++met_.expired_untried;
    const bool holds = first_of_group(item);
    if (!holds) ++met_.expired_behind;
    --target.figures.waiting;
    decided(item, wish.condition);
    item.holds = holds;
  }
  promise(item, item.state == State::kEnding && item.condition == wish.condition, "ended for another reason");
  promise(item, !item.asked, "ended twice");
  promise(item, item.kept || item.lied, "ended though the store has forgotten it");
  promise(item, wish.target == item.target && wish.attempts == item.attempts, "the target or the count is wrong");
  promise(item, wish.condition != DeliveryCondition::kDelivered || item.reached, "delivered, and it was not");
  if (store_failures_ > 0 && !stopping_) {
    promise(item, !probe_, "the store is tried with more than one ending");
    promise(item, now_.instant >= store_due_min_, "the store is tried again too early");
    probe_ = index_of(item);
    ++met_.probes;
  }
  item.asked = true;
  ++asked_;
  item.ref = wish.delivery;
  item.serial = ++last_serial_;
  later(store_latency(), {.kind = Kind::kEndWrite, .life = life_, .index = index_of(item), .serial = item.serial});
}

void DeliveryWorld::perform(const engine::DeliveriesDrained&) {
  promise(stopping_, "drained though nobody stops it");
  promise(asked_ == 0, "drained though an ending is not answered");
  for (const Item& item : items_) {
    promise(item, item.state != State::kInFlight, "drained though it is in flight");
    if (item.state == State::kEnding) ++met_.given_up;
  }
  drained_ = true;
}

void DeliveryWorld::answer_attempt(Item& item) {
  Target& target = target_of(item);
  --target.figures.in_flight;
  item.serial = 0;
  // Only the engine knows whether its rest, which has jitter, is over by now.
  const bool resting = now_.instant >= target.rests_at_least && now_.instant < target.rests_at_most;
  if (item.result == DeliveryResult::kHindered && resting) item.result = DeliveryResult::kCancelled;
  if (item.result != DeliveryResult::kCancelled && item.result != DeliveryResult::kHindered) {
    ++item.attempts;
    target.hindrances = 0;
  }
  switch (item.result) {
    case DeliveryResult::kDelivered:
      decided(item, DeliveryCondition::kDelivered);
      break;
    case DeliveryResult::kRefused:
      decided(item, DeliveryCondition::kRefused);
      break;
    case DeliveryResult::kFailed:
      // Some ask for the very moment at which it will be too old.
      if (item.hint && rules_of(item).max_age != Duration::max() && random_.chance(0.3)) {
        item.hint = rules_of(item).max_age - (now_.wall - item.accepted_at);
      }
      failed(item);
      break;
    case DeliveryResult::kHindered:
      hindered(item);
      break;
    case DeliveryResult::kCancelled:
      ++met_.cancelled;
      waits(item, Duration(0));
      break;
  }
  engine_->on_outcome(now_, item.ref, item.result, item.hint);
  drain();
}

/// The first that is hindered lets its target rest: twice as long each time until one is not.
void DeliveryWorld::hindered(Item& item) {
  Target& target = target_of(item);
  ++met_.hindered;
  waits(item, Duration(0));
  if (now_.instant < target.rests_at_least) return;
  Duration rest = features_.limits.rest_min;
  for (int i = 0; i < target.hindrances && rest < features_.limits.rest_max; ++i) rest *= 2;
  ++target.hindrances;
  ++met_.rests;
  target.rests_at_least = now_.instant + std::min(rest, features_.limits.rest_max);
  target.rests_at_most = now_.instant + std::min(rest + rest / 4, features_.limits.rest_max);
}

/// Who has no deliveries may be dropped, and made anew under the same number.
void DeliveryWorld::drop_targets() {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (!random_.chance(features_.drops) || std::any_of(items_.begin(), items_.end(), [&](const Item& item) {
          return item.target == i && item.state != State::kUntold;
        })) {
      continue;
    }
    ++met_.dropped;
    engine_->drop_target(static_cast<engine::TargetId>(i));
    promise(engine_->add_target(features_.targets[i]) == i, "a dropped target's number is not used again");
    targets_[i] = Target{.down_until = targets_[i].down_until};
  }
}

/// With jitter it is the engine that knows whether the next attempt would come too late.
void DeliveryWorld::failed(Item& item) {
  const auto wait = naive_wait(rules_of(item), item.attempts);
  if (!wait) {
    decided(item, DeliveryCondition::kRetriesExhausted);
    return;
  }
  const Duration hint = std::min(item.hint.value_or(Duration(0)), features_.limits.retry_after_max);
  if (hint > *wait) ++met_.hints;
  const Duration jitter(std::llround(rules_of(item).jitter * static_cast<double>(wait->count())));
  undecided_ = Undecided{index_of(item), std::max(*wait, hint), std::max(*wait + jitter, hint)};
}

void DeliveryWorld::expired_ahead() {
  Item& item = items_[undecided_->index];
  promise(item, now_.wall - item.accepted_at >= rules_of(item).max_age - undecided_->most - 1us,
          "not tried again though it will not be too old");
  undecided_.reset();
  ++met_.expired_ahead;
  decided(item, DeliveryCondition::kAgeExceeded);
}

void DeliveryWorld::waits(Item& item, Duration wait) {
  item.state = State::kWaiting;
  item.due = now_.instant + wait;
  ++target_of(item).figures.waiting;
}

void DeliveryWorld::decided(Item& item, DeliveryCondition condition) {
  item.state = State::kEnding;
  item.condition = condition;
  item.holds = true;
  item.asked = false;
  ++target_of(item).figures.ending;
}

/// The moment at which the store does it, or does not.
void DeliveryWorld::write_end(Item& item) {
  item.kept_end = !store_refuses();
  if (item.kept_end || random_.chance(features_.troubles.lies)) {
    if (!item.kept_end) {
      item.lied = true;
      ++met_.lies;
    }
    if (item.kept) {
      item.kept = false;
      ++item.removed;
      --open_;
      switch (*item.condition) {
        case DeliveryCondition::kDelivered:
          ++met_.delivered;
          break;
        case DeliveryCondition::kRetriesExhausted:
          ++met_.exhausted;
          break;
        case DeliveryCondition::kAgeExceeded:
          ++met_.expired;
          break;
        case DeliveryCondition::kRefused:
          ++met_.refused;
          break;
      }
    }
  }
  later(store_latency(), {.kind = Kind::kEndAnswer, .life = life_, .index = index_of(item), .serial = item.serial});
}

void DeliveryWorld::answer_end(Item& item) {
  engine::DeliveryFigures& figures = target_of(item).figures;
  item.serial = 0;
  item.asked = false;
  --asked_;
  const bool probed = probe_ == index_of(item);
  if (probed) probe_.reset();
  if (item.kept_end) {
    --figures.ending;
    std::uint64_t* const counts[] = {&figures.delivered, &figures.exhausted, &figures.expired, &figures.refused};
    ++*counts[static_cast<std::size_t>(*item.condition)];
    item.state = State::kUntold;
    store_failures_ = 0;
    probe_.reset();
  } else {
    ++met_.store_refused;
    ++figures.store_failures;
    if (store_failures_ == 0 || probed) {
      Duration wait = features_.limits.backoff_min;
      for (int i = 0; i < store_failures_ && wait < features_.limits.backoff_max; ++i) wait *= 2;
      store_due_min_ = now_.instant + std::min(wait, features_.limits.backoff_max);
      ++store_failures_;
    }
  }
  engine_->on_ended(now_, item.ref, item.kept_end);
  drain();
}

void DeliveryWorld::promise(const Item& item, bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = "delivery " + std::to_string(index_of(item) + 1) + ": " + otherwise;
}

void DeliveryWorld::check_figures() {
  std::size_t there = 0;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const engine::DeliveryFigures& ours = targets_[i].figures;
    const engine::DeliveryFigures& theirs = engine_->figures(static_cast<engine::TargetId>(i));
    const auto same = [&](auto... figure) { return ((ours.*figure == theirs.*figure) && ...); };
    using Figures = engine::DeliveryFigures;
    promise(same(&Figures::received, &Figures::restored, &Figures::delivered, &Figures::refused, &Figures::exhausted,
                 &Figures::expired, &Figures::attempts, &Figures::retries, &Figures::store_failures, &Figures::waiting,
                 &Figures::in_flight, &Figures::ending),
            "the figures are wrong");
    there += ours.waiting + ours.in_flight + ours.ending;
    std::optional<WallTime> oldest;
    for (const Item& item : items_) {
      if (item.target != i || (item.state != State::kWaiting && item.state != State::kInFlight)) continue;
      if (!oldest || item.accepted_at < *oldest) oldest = item.accepted_at;
    }
    promise(engine_->oldest(static_cast<engine::TargetId>(i)) == oldest, "the oldest is another one");
    if (ours.ending >= features_.limits.max_endings) ++met_.full_endings;
  }
  promise(engine_->deliveries() == there, "deliveries() is wrong");
}

/// Nothing is left that could be done now, and the engine will be woken for what can be done later.
void DeliveryWorld::check_waiting() {
  if (stopping_) return;
  if (store_failures_ > 0) {
    promise(probe_.has_value() != wake_.has_value(), "nobody will try the store again");
    return;
  }
  for (const Item& item : items_) {
    if (item.state == State::kEnding) promise(item, item.asked, "its ending is not asked for");
    if (item.state != State::kWaiting) continue;
    const engine::DeliveryFigures& figures = target_of(item).figures;
    if (figures.ending >= features_.limits.max_endings) continue;
    promise(item, !too_old(item), "waits though it is too old");
    if (rules_of(item).max_age != Duration::max()) {
      const Duration age_left = rules_of(item).max_age - (now_.wall - item.accepted_at);
      promise(item, wake_ && *wake_ <= now_.instant + age_left, "nobody wakes for its age");
    }
    if (!first_of_group(item)) {
      ++met_.held_back;
      continue;
    }
    if (figures.in_flight >= features_.targets[item.target].max_in_flight) continue;
    const Instant due =
        std::max({item.due, now_.instant + until_bucket_allows(item.target), target_of(item).rests_at_most});
    promise(item, due > now_.instant, "waits though it could be attempted");
    promise(item, wake_ && *wake_ <= due, "nobody wakes for its attempt");
  }
}

void DeliveryWorld::check_end() {
  for (const Item& item : items_) promise(item, item.removed == (item.accepted ? 1 : 0), "not ended exactly once");
}

DeliveryWorld::Item& DeliveryWorld::item_of(engine::EventRef ref) {
  WEIR_ASSERT(ref.id >= 1 && ref.id <= items_.size());
  return items_[ref.id - 1];
}

bool DeliveryWorld::same_group(const Item& a, const Item& b) const {
  return &a != &b && !a.group.empty() && a.target == b.target && a.group == b.group;
}

bool DeliveryWorld::first_of_group(const Item& item) const {
  return std::none_of(items_.begin(), items_.end(), [&](const Item& other) {
    if (!same_group(item, other)) return false;
    return other.state == State::kInFlight || (other.state == State::kEnding && other.holds) ||
           (other.state == State::kWaiting && &other < &item) || (undecided_ && undecided_->index == index_of(other));
  });
}

std::optional<int> DeliveryWorld::limit_of(std::size_t target) const {
  std::optional<int> limit;
  for (const Item& item : items_) {
    const int each = rules_of(item).max_per_second;
    if (item.state != State::kUntold && item.target == target && each > 0) limit = std::min(limit.value_or(each), each);
  }
  return limit;
}

Duration DeliveryWorld::until_bucket_allows(std::size_t target) const {
  const auto limit = limit_of(target);
  if (!limit) return Duration(0);
  const Target& each = targets_[target];
  const Duration level = std::max(Duration(0), each.level - (now_.instant - each.level_at));
  return std::max(Duration(0), level - (*limit - 1) * share(*limit));
}

Duration DeliveryWorld::store_latency() {
  return upto(features_.troubles.slow_store ? Duration(20s) : Duration(2ms));
}

bool DeliveryWorld::store_refuses() {
  return now_.instant < store_down_until_ || random_.chance(features_.troubles.refuses);
}

}  // namespace weir::simulation
