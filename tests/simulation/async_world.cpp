#include "async_world.h"

#include <algorithm>
#include <sstream>

namespace weir::simulation {

using namespace std::chrono_literals;
using engine::AsyncCondition;

namespace {

constexpr Duration kShutdownGrace = 30s;  // of the shell: then what is in flight is called off

}  // namespace

AsyncFeatures::AsyncFeatures(Random& random) : troubles(Draw{random}) {
  const Draw draw{random};
  const auto one_of = [&](std::initializer_list<std::size_t> choices) { return draw.one_of(choices); };
  const auto sometimes = [&](double most) { return draw.sometimes(most); };

  limits.window_min = one_of({1, 2, 3, 16});
  limits.window_max = std::max(limits.window_min, one_of({1, 4, 20, 10'000}));
  limits.max_endings = one_of({1, 2, 5, 1000, 1000});
  if (random.chance(0.2)) limits.max_events = 2 + random.below(20);
  limits.backoff_min = std::chrono::milliseconds(one_of({100, 1000, 1000}));
  limits.backoff_max = std::chrono::seconds(one_of({10, 300, 300}));
  limits.careful_for = std::chrono::seconds(one_of({1, 60}));
  functions.resize(1 + random.below(4));
  for (engine::AsyncSettings& function : functions) {
    function.maximum_retry_attempts = static_cast<int>(random.below(3));
    if (random.chance(0.6)) function.maximum_event_age = 60s + std::chrono::seconds(random.below(400));
    function.zero_reserved = random.chance(0.05);
  }
  reconfigures = random.chance(0.3);

  events = 1 + random.below(random.chance(0.2) ? 100 : 30);
  burst = random.chance(0.4);

  poison = sometimes(0.6);
  fails = sometimes(0.5);
  throttled = sometimes(0.5);
  system_errors = sometimes(0.4);
  gone = sometimes(0.3);
  cancelled = sometimes(0.1);
  late = sometimes(0.3);
  never = sometimes(0.05);
  blocked_spells = random.chance(0.3);
  error_spells = random.chance(0.15);
  reservations = random.chance(0.3);
  if (reservations) {
    account = static_cast<int>(100 + random.below(6));
  } else if (random.chance(0.4)) {
    account = static_cast<int>(1 + random.below(4));
  }
}

std::string AsyncFeatures::describe() const {
  std::ostringstream out;
  out << events << " events; window " << limits.window_min << " to " << limits.window_max << ", max_endings "
      << limits.max_endings << ", max_events " << limits.max_events << ", backoff " << as_seconds(limits.backoff_min)
      << " to " << as_seconds(limits.backoff_max) << " s, careful for " << as_seconds(limits.careful_for)
      << " s; account " << account;
  name_features(out,
                {{"poison", poison},
                 {"fails", fails},
                 {"throttled", throttled},
                 {"system_errors", system_errors},
                 {"gone", gone},
                 {"cancelled", cancelled},
                 {"late", late},
                 {"never", never}},
                {{"reconfigures", reconfigures},
                 {"burst", burst},
                 {"blocked_spells", blocked_spells},
                 {"error_spells", error_spells},
                 {"reservations", reservations}});
  troubles.name(out);
  return out.str();
}

AsyncWorld::AsyncWorld(std::uint64_t seed, AsyncMet& met)
    : Stage(seed, 0xD1342543DE82EF95U),
      met_(met),
      features_(random_),
      crashes_left_(features_.troubles.crashes),
      stops_left_(features_.troubles.stops),
      wall_jumps_left_(features_.troubles.wall_jumps ? 3 : 0),
      ledger_(features_.account) {
  ++met_.worlds;
  for (std::size_t i = 0; i < features_.functions.size(); ++i) {
    Function& function = functions_.emplace_back();
    function.name = "function-" + std::to_string(i);
    function.settings = features_.functions[i];
    if (features_.blocked_spells && random_.chance(0.6)) later(upto(60s), {.kind = Kind::kBlock, .index = i});
    if (features_.reconfigures) later(upto(300s), {.kind = Kind::kConfigure, .index = i});
  }
  events_.resize(features_.events);
  open_ = features_.events;
  met_.events += features_.events;
  Duration after{0};
  for (std::size_t i = 0; i < events_.size(); ++i) {
    if (!features_.burst && random_.chance(0.4)) after += upto(random_.chance(0.2) ? Duration(60s) : Duration(2s));
    events_[i].function = random_.below(functions_.size());
    events_[i].poison = random_.chance(features_.poison);
    later(after + upto(20ms), {.kind = Kind::kArrival});
  }
  if (features_.error_spells) later(upto(60s), {.kind = Kind::kEndpointDown});
  for (int i = 0; i < features_.troubles.stops; ++i) later(upto(150s), {.kind = Kind::kStop, .life = UINT64_MAX});
  if (features_.troubles.idle_ticks) later(upto(5s), {.kind = Kind::kIdleTick});
  if (features_.reservations) {
    for (int i = 0; i < 6; ++i) later(upto(100s), {.kind = Kind::kReserve});
  }
  if (features_.account < 1000) {
    for (int i = 0; i < 4; ++i) later(upto(60s), {.kind = Kind::kCrowd});
  }
  start();
}

std::string AsyncWorld::summary() const {
  std::ostringstream out;
  out << "seed " << seed_ << ", step " << steps_ << ", " << seconds_since_start() << " s; " << features_.describe()
      << "\n  life " << life_
      << (drained_    ? ", drained"
          : stopping_ ? ", stopping"
                      : "")
      << ", store failures in a row " << store_failures_;
  for (const Function& function : functions_) {
    out << "\n  " << function.name << ": retries " << function.settings.maximum_retry_attempts << ", age "
        << as_seconds(function.settings.maximum_event_age) << " s" << (function.settings.zero_reserved ? ", zero" : "")
        << ", window " << function.window << ", in flight " << function.figures.in_flight << ", waiting "
        << function.figures.waiting << ", ending " << function.figures.ending << ", delays " << function.delays;
  }
  for (std::size_t i = 0; i < events_.size(); ++i) {
    const Event& event = events_[i];
    if (!event.kept && event.state == State::kUntold) continue;
    out << "\n  event " << i + 1 << " of " << functions_[event.function].name << ": state "
        << static_cast<int>(event.state) << (event.kept ? ", kept" : "") << ", attempts " << event.attempts
        << ", delays " << event.delays << ", age " << as_seconds(now_.wall - event.accepted_at) << ", due in "
        << as_seconds(event.due_min - now_.instant) << " to " << as_seconds(event.due_max - now_.instant);
  }
  return out.str();
}

bool AsyncWorld::step() {
  if (!broken_.empty()) return false;
  if (open_ == 0 && (!engine_ || engine_->events() == 0)) {
    check_end();
    return false;
  }
  ++met_.steps;
  return turn(wake_, [&](const AsyncHappening* happening) {
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

void AsyncWorld::happen(const AsyncHappening& happening) {
  const bool alive = engine_ != nullptr && happening.life == life_;
  const auto is_event = [&] {
    return alive && events_[happening.index].serial == happening.serial && happening.serial != 0;
  };
  switch (happening.kind) {
    case Kind::kStart:
      if (!engine_ && happening.life == life_) start();
      return;
    case Kind::kArrival:
      arrive();
      return;
    case Kind::kOutcome:
      if (is_event()) answer_call(events_[happening.index]);
      if (!alive) ++met_.ran_after_a_crash;
      return;
    case Kind::kRemember: {
      // An event that is over meanwhile has no record any more that could be changed.
      Event& event = events_[happening.index];
      if (!alive || !event.kept) return;
      if (store_refuses()) {
        ++met_.remember_lost;
      } else if (happening.attempts > event.stored_attempts) {
        event.stored_attempts = happening.attempts;
        event.stored_due = happening.due;
      }
      return;
    }
    case Kind::kEndWrite:
      if (is_event()) write_end(events_[happening.index]);
      return;
    case Kind::kEndAnswer:
      if (is_event()) answer_end(events_[happening.index]);
      return;
    case Kind::kConfigure:
      configure(happening.index);
      return;
    case Kind::kReserve:
      change_reservation();
      return;
    case Kind::kUnblock: {
      Function& function = functions_[happening.index];
      if (!function.settings.zero_reserved) return;
      promise(ledger_.reserve(function.name, std::nullopt).has_value(), "the ledger refuses to unblock");
      function.settings.zero_reserved = false;
      got_through(function);
      if (engine_) {
        engine_->set_function(now_, static_cast<engine::FunctionId>(happening.index), function.settings);
        drain();
      }
      return;
    }
    case Kind::kCrowd:
      crowd_comes_or_goes();
      return;
    case Kind::kBlock:
      functions_[happening.index].blocked_until = now_.instant + upto(random_.chance(0.2) ? 3600s : 300s);
      return;
    case Kind::kEndpointDown:
      endpoint_down_until_ = now_.instant + upto(600s);
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
      for (Event& event : events_) {
        if (event.state != State::kInFlight) continue;
        event.outcome = Outcome(Cancelled{});
        answer_call(event);
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

void AsyncWorld::start() {
  engine_ = std::make_unique<engine::AsyncQueue>(features_.limits, random_.next());
  for (Function& function : functions_) {
    engine_->add_function(function.settings);
    function.window = features_.limits.window_min;
    function.successes = 0;
    function.careful_until = function.pause_min = function.pause_max = Instant::min();
    function.delays = 0;
    function.figures = {};
  }
  for (std::size_t i = 0; i < events_.size() && engine_; ++i) {
    Event& event = events_[i];
    if (!event.kept) continue;
    ++met_.restored;
    if (event.stored_attempts > 0) ++met_.restored_tried;
    event.attempts = event.stored_attempts;
    Duration wait(0);
    if (event.stored_due) {
      const Duration longest = std::max(features_.limits.retry_after[0], features_.limits.retry_after[1]);
      wait = std::min(std::max(*event.stored_due - now_.wall, Duration(0)), longest);
    }
    ++function_of(event).figures.restored;
    waits(event, wait, wait);
    engine_->on_restored(now_, {.id = i + 1,
                                .function = static_cast<engine::FunctionId>(event.function),
                                .accepted = event.accepted_at,
                                .attempts = event.stored_attempts,
                                .due = event.stored_due});
    drain();
  }
}

void AsyncWorld::end_life() {
  engine_.reset();
  ++life_;
  for (Event& event : events_) {
    if (event.permit) give_permit_back(event);
    event.state = State::kUntold;
    event.attempts = event.delays = event.status = 0;
    event.response = event.asked = event.lied = false;
    event.condition.reset();
    event.serial = 0;
  }
  stopping_ = drained_ = false;
  store_failures_ = 0;
  probe_.reset();
  to_remember_.reset();
  asked_ = 0;
  wake_.reset();
  later(upto(5s), {.kind = Kind::kStart, .life = life_});
}

/// kill -9: the engine and what is in flight are forgotten; writes that have not been made never will be.
void AsyncWorld::crash() {
  if (crashes_left_ > 0) --crashes_left_;
  ++met_.crashes;
  end_life();
}

void AsyncWorld::stop() {
  ++met_.stops;
  stopping_ = true;
  later(kShutdownGrace, {.kind = Kind::kGrace, .life = life_});
  engine_->request_stop(now_);
  drain();
}

void AsyncWorld::tick() {
  wake_.reset();
  engine_->on_tick(now_);
  drain();
}

/// The contract of every engine: after it was told something, all it wants is taken before anything else is waited for.
void AsyncWorld::drain() {
  while (auto action = engine_->next()) {
    if (crashes_left_ > 0 && random_.chance(0.003)) {
      ++met_.crashes_between_actions;
      crash();
      return;
    }
    promise(!drained_, "something is wanted after AsyncDrained");
    std::visit([&](const auto& wish) { perform(wish); }, *action);
    if (!broken_.empty()) return;
  }
  promise(!to_remember_, "a failed run is not remembered");
  wake_ = engine_->wake_at();
  check_figures();
  check_waiting();
  if (wake_ && features_.troubles.late_ticks) *wake_ += upto(20ms);
  if (drained_) end_life();
}

/// A call at the door: the event is stored, then told. Who comes while the engine is away comes again.
void AsyncWorld::arrive() {
  if (!engine_ || (stopping_ && random_.chance(0.5))) {
    later(upto(3s), {.kind = Kind::kArrival});
    return;
  }
  Event& event = events_[arrived_++];
  if (engine_->full()) {
    ++met_.refused_at_the_door;
    --open_;
    return;
  }
  event.accepted = event.kept = true;
  event.accepted_at = now_.wall;
  if (crashes_left_ > 0 && random_.chance(0.01)) {
    ++met_.stored_untold;
    crash();
    return;
  }
  ++function_of(event).figures.received;
  waits(event, Duration(0), Duration(0));
  engine_->on_accepted(
      now_,
      {.id = arrived_, .function = static_cast<engine::FunctionId>(event.function), .accepted = event.accepted_at});
  drain();
}

void AsyncWorld::configure(std::size_t index) {
  ++met_.reconfigured;
  Function& function = functions_[index];
  function.settings.maximum_retry_attempts = static_cast<int>(random_.below(3));
  if (random_.chance(0.5)) function.settings.maximum_event_age = 60s + upto(400s);
  got_through(function);
  if (!engine_) return;
  engine_->set_function(now_, static_cast<engine::FunctionId>(index), function.settings);
  drain();
}

/// A reservation of 0 reaches the engine as a setting; every other one shows in what is throttled.
void AsyncWorld::change_reservation() {
  const std::size_t index = random_.below(functions_.size());
  Function& function = functions_[index];
  std::optional<int> executions;
  if (random_.chance(0.8)) executions = static_cast<int>(random_.below(3));
  if (!ledger_.reserve(function.name, executions)) return;
  const bool zero = executions == 0;
  if (zero) later(upto(120s), {.kind = Kind::kUnblock, .index = index});
  if (function.settings.zero_reserved == zero) return;
  function.settings.zero_reserved = zero;
  got_through(function);
  if (!engine_) return;
  engine_->set_function(now_, static_cast<engine::FunctionId>(index), function.settings);
  drain();
}

/// Others take permits of the account, for a while.
void AsyncWorld::crowd_comes_or_goes() {
  if (crowd_ == 0) {
    const int wanted = ledger_.unreserved() - static_cast<int>(random_.below(3));
    while (crowd_ < wanted && !ledger_.acquire(Instant{}, "crowd", engine::CallKind::kAsynchronous)) ++crowd_;
    later(upto(120s), {.kind = Kind::kCrowd});
  } else {
    for (; crowd_ > 0; --crowd_) ledger_.release("crowd");
  }
}

void AsyncWorld::give_permit_back(Event& event) {
  ledger_.release(function_of(event).name);
  event.permit = false;
}

void AsyncWorld::perform(const engine::InvokeEvent& wish) {
  Event& event = event_of(wish.event);
  Function& function = function_of(event);
  promise(event, event.state == State::kWaiting, "invoked though it does not wait");
  promise(event, event.kept, "invoked though the store has forgotten it");
  promise(event, !stopping_, "invoked while draining");
  promise(event, store_failures_ == 0, "invoked while the store refuses");
  promise(event, wish.function == event.function, "invoked as another function's");
  promise(event, wish.attempt == event.attempts + 1, "the number of the attempt is wrong");
  promise(event, wish.age == std::max(Duration(0), now_.wall - event.accepted_at), "the age is wrong");
  promise(event, now_.instant >= event.due_min, "invoked before it is due");
  promise(event, now_.instant >= function.pause_min, "invoked while its function pauses");
  promise(event, !too_old(event), "invoked though it is too old");
  promise(event, !function.settings.zero_reserved, "invoked though nothing is reserved for its function");
  promise(event, function.figures.in_flight < function.window, "invoked though the window is full");
  promise(event, function.figures.ending < features_.limits.max_endings, "invoked though too many are ending");
  for (const Event& other : events_) {
    const bool before = other.state == State::kWaiting && other.function == event.function &&
                        (other.due_max < event.due_min ||
                         (other.due_min == other.due_max && other.due_max == event.due_min && &other < &event));
    promise(event, !before || too_old(other), "invoked before one that was due before it");
  }

  event.state = State::kInFlight;
  event.ref = wish.event;
  ++met_.invocations;
  --function.figures.waiting;
  ++function.figures.in_flight;
  ++function.figures.attempts;
  if (event.attempts > 0) ++function.figures.retries;
  function.figures.age_sum += wish.age;
  std::size_t bucket = 0;
  while (bucket < engine::AsyncFigures::kAgeBounds.size() &&
         as_seconds(wish.age) > engine::AsyncFigures::kAgeBounds[bucket]) {
    ++bucket;
  }
  ++function.figures.ages[bucket];

  // What comes of it.
  event.serial = ++last_serial_;
  Duration takes = upto(5ms);
  if (ledger_.acquire(now_.instant, function.name, engine::CallKind::kAsynchronous)) {
    ++met_.throttled_by_ledger;
    event.outcome = Outcome(Throttled{});
  } else {
    event.permit = true;
    if (now_.instant < function.blocked_until || random_.chance(features_.throttled)) {
      event.outcome = random_.chance(0.5) ? Outcome(Throttled{}) : Outcome(ServiceFailed{.status = 429});
    } else if (now_.instant < endpoint_down_until_ || random_.chance(features_.system_errors)) {
      event.outcome = Outcome(ServiceFailed{.status = 500 + static_cast<int>(random_.below(5))});
    } else if (random_.chance(features_.gone)) {
      event.outcome = Outcome(ServiceFailed{.status = random_.chance(0.5) ? 404 : 400});
    } else if (random_.chance(features_.cancelled)) {
      event.outcome = Outcome(Cancelled{});
    } else {
      takes += upto(random_.chance(features_.late) ? Duration(300s) : Duration(500ms));
      if (event.poison || random_.chance(features_.fails)) {
        event.outcome = Outcome(FunctionFailed{"Unhandled", "{}"});
      } else {
        event.outcome = Outcome(Succeeded{});
        ++event.successes;
      }
      if (random_.chance(features_.never)) {
        ++met_.never_answered;
        later(upto(300s), {.kind = random_.chance(0.5) ? Kind::kStop : Kind::kCrash, .life = life_});
        return;
      }
    }
  }
  later(takes, {.kind = Kind::kOutcome, .life = life_, .index = index_of(event), .serial = event.serial});
}

void AsyncWorld::perform(const engine::RememberRetry& wish) {
  Event& event = event_of(wish.event);
  promise(event, to_remember_ == index_of(event), "remembered though it has not failed");
  to_remember_.reset();
  promise(event, wish.attempts == event.attempts, "remembered with wrong attempts");
  promise(event, wish.due - now_.wall == event.due_min - now_.instant, "remembered with a wrong due time");
  later(store_latency(),
        {.kind = Kind::kRemember, .life = life_, .index = index_of(event), .attempts = wish.attempts, .due = wish.due});
}

void AsyncWorld::perform(const engine::EndEvent& wish) {
  Event& event = event_of(wish.event);
  Function& function = function_of(event);
  if (event.state == State::kWaiting) {
    promise(event, !stopping_, "ended by itself while draining");
    promise(event, store_failures_ == 0, "ended by itself while the store refuses");
    promise(event, function.figures.ending < features_.limits.max_endings, "ended though too many are ending");
    if (wish.condition == AsyncCondition::kEventAgeExceeded) {
      promise(event, too_old(event), "ended as too old, and it is not");
      if (event.status == 0) ++met_.too_old_untried;
    } else {
      promise(event, wish.condition == AsyncCondition::kZeroReservedConcurrency, "ended without a reason");
      promise(event, function.settings.zero_reserved, "ended as if nothing were reserved");
      promise(event, now_.instant >= event.due_min, "ended for its reservation before it is due");
      promise(event, !too_old(event), "ended for its reservation though it is too old");
    }
    --function.figures.waiting;
    decided(event, wish.condition);
  }
  promise(event, event.state == State::kEnding && event.condition.has_value(), "ended though it is not over");
  promise(event, !event.asked, "ended twice");
  promise(event, event.kept || event.lied, "ended though the store has forgotten it");
  if (store_failures_ > 0 && !stopping_) {
    promise(event, !probe_, "the store is tried with more than one ending");
    promise(event, now_.instant >= store_due_min_, "the store is tried again too early");
    probe_ = index_of(event);
    ++met_.probes;
  }
  promise(event, event.condition == wish.condition, "ended for another reason");
  const bool success = wish.condition == AsyncCondition::kSuccess;
  promise(event, wish.approximate_invoke_count == (success ? 1 : event.attempts), "the count is wrong");
  std::optional<int> status;
  if (wish.condition != AsyncCondition::kZeroReservedConcurrency) status = event.status == 0 ? 429 : event.status;
  promise(event, wish.status_code == status, "the status is wrong");
  promise(event, wish.has_response == (status && event.response), "has_response is wrong");

  event.asked = true;
  ++asked_;
  event.ref = wish.event;
  event.serial = ++last_serial_;
  later(store_latency(), {.kind = Kind::kEndWrite, .life = life_, .index = index_of(event), .serial = event.serial});
}

void AsyncWorld::perform(const engine::AsyncDrained&) {
  promise(stopping_, "drained though nobody stops it");
  promise(asked_ == 0, "drained though an ending is not answered");
  for (const Event& event : events_) promise(event, event.state != State::kInFlight, "drained though it is in flight");
  for (const Event& event : events_) {
    if (event.state == State::kEnding) ++met_.given_up;
  }
  drained_ = true;
}

/// The engine is told, after the world has worked out what must come of it.
void AsyncWorld::answer_call(Event& event) {
  Function& function = function_of(event);
  const Outcome outcome = event.outcome;
  event.serial = 0;
  if (event.permit) give_permit_back(event);
  --function.figures.in_flight;
  if (std::holds_alternative<Succeeded>(outcome.what)) {
    event.status = 200;
    event.response = true;
    event.delays = 0;
    got_through(function);
    const bool careful = now_.instant < function.careful_until;
    if (careful) ++met_.careful;
    ++function.successes;
    if (!careful || (function.successes >= function.window && function.successes >= 10)) {
      function.successes = 0;
      if (function.window < features_.limits.window_max) ++function.window;
    }
    decided(event, AsyncCondition::kSuccess);
  } else if (std::holds_alternative<FunctionFailed>(outcome.what)) {
    ++met_.failed;
    attempt_failed(event, 200, true);
  } else if (std::holds_alternative<Throttled>(outcome.what)) {
    not_admitted(event, 429);
  } else if (const auto* failed = std::get_if<ServiceFailed>(&outcome.what)) {
    if (failed->status == 400 || failed->status == 404) {
      ++met_.gone;
      attempt_failed(event, failed->status, false);
    } else {
      not_admitted(event, failed->status);
    }
  } else {
    ++met_.cancelled;
    event.response = false;
    waits(event, Duration(0), Duration(0));
  }
  engine_->on_outcome(now_, event.ref, outcome);
  drain();
}

void AsyncWorld::not_admitted(Event& event, int status) {
  Function& function = function_of(event);
  ++(status == 429 ? met_.throttled : met_.system_errors);
  ++(status == 429 ? function.figures.throttles : function.figures.system_errors);
  event.status = status;
  event.response = false;
  const auto [least, most] = backoff(++event.delays);
  const Duration left = std::max(Duration(0), event.accepted_at + function.settings.maximum_event_age - now_.wall);
  waits(event, std::min(least, left), std::min(most, left));
  function.window = std::max<std::size_t>(1, std::min<std::size_t>(function.window, function.figures.in_flight));
  function.successes = 0;
  function.careful_until = now_.instant + features_.limits.careful_for;
  if (function.figures.in_flight == 0) {
    ++met_.pauses;
    const auto [pause_least, pause_most] = backoff(++function.delays);
    function.pause_min = now_.instant + pause_least;
    function.pause_max = now_.instant + pause_most;
  }
}

void AsyncWorld::attempt_failed(Event& event, int status, bool response) {
  Function& function = function_of(event);
  event.status = status;
  event.response = response;
  event.delays = 0;
  ++event.attempts;
  got_through(function);
  const Duration wait = event.attempts == 1 ? features_.limits.retry_after[0] : features_.limits.retry_after[1];
  if (event.attempts == function.settings.maximum_retry_attempts + 1 ||
      event.attempts > function.settings.maximum_retry_attempts) {
    decided(event, AsyncCondition::kRetriesExhausted);
  } else if (now_.wall + wait - event.accepted_at >= function.settings.maximum_event_age) {
    ++met_.too_old_ahead;
    decided(event, AsyncCondition::kEventAgeExceeded);
  } else {
    to_remember_ = index_of(event);
    waits(event, wait, wait);
  }
}

void AsyncWorld::got_through(Function& function) {
  if (function.delays == 0) return;
  function.delays = 0;
  function.pause_min = function.pause_max = function.careful_until = Instant::min();
  function.window = std::max(function.window, features_.limits.window_min);
}

void AsyncWorld::waits(Event& event, Duration least, Duration most) {
  event.state = State::kWaiting;
  event.due_min = now_.instant + least;
  event.due_max = now_.instant + most;
  ++function_of(event).figures.waiting;
}

void AsyncWorld::decided(Event& event, AsyncCondition condition) {
  event.state = State::kEnding;
  event.condition = condition;
  ++function_of(event).figures.ending;
}

void AsyncWorld::write_end(Event& event) {
  const bool refused = store_refuses();
  event.kept_end = !refused;
  if (!refused) {
    if (event.kept) {
      event.kept = false;
      ++event.removed;
      --open_;
      switch (*event.condition) {
        case AsyncCondition::kSuccess:
          ++met_.succeeded;
          promise(event, event.successes > 0, "ended as a success, and it never was one");
          break;
        case AsyncCondition::kRetriesExhausted:
          ++met_.exhausted;
          break;
        case AsyncCondition::kEventAgeExceeded:
          ++met_.too_old;
          break;
        case AsyncCondition::kZeroReservedConcurrency:
          ++met_.zero_reserved;
          break;
        case AsyncCondition::kRecursiveInvocation:
          promise(event, false, "ended as recursive, and none is");
          break;
      }
    }
    if (random_.chance(features_.troubles.lies)) {
      ++met_.lies;
      event.lied = true;
      event.kept_end = false;
    }
  }
  later(store_latency(), {.kind = Kind::kEndAnswer, .life = life_, .index = index_of(event), .serial = event.serial});
}

void AsyncWorld::answer_end(Event& event) {
  Function& function = function_of(event);
  event.serial = 0;
  event.asked = false;
  --asked_;
  const bool probed = probe_ == index_of(event);
  if (probed) probe_.reset();
  if (event.kept_end) {
    const bool success = event.condition == AsyncCondition::kSuccess;
    ++(success ? function.figures.succeeded : function.figures.dropped);
    --function.figures.ending;
    event.state = State::kUntold;
    store_failures_ = 0;
    probe_.reset();
  } else {
    ++met_.refused;
    ++function.figures.store_failures;
    if (store_failures_ == 0 || probed) {
      const auto [least, most] = backoff(++store_failures_);
      store_due_min_ = now_.instant + least;
      store_due_ = now_.instant + most;
    }
  }
  const bool kept = event.kept_end;
  engine_->on_ended(now_, event.ref, kept);
  drain();
}

void AsyncWorld::promise(const Event& event, bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = "event " + std::to_string(index_of(event) + 1) + ": " + otherwise;
}

void AsyncWorld::check_figures() {
  std::size_t events = 0;
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    const engine::AsyncFigures& says = engine_->figures(static_cast<engine::FunctionId>(i));
    const engine::AsyncFigures& was = functions_[i].figures;
    promise(
        says.received + says.restored == says.waiting + says.in_flight + says.ending + says.succeeded + says.dropped,
        "what came is not what waits, is in flight, ends and has ended");
    promise(says.received == was.received, "received is wrong");
    promise(says.restored == was.restored, "restored is wrong");
    promise(says.succeeded == was.succeeded, "succeeded is wrong");
    promise(says.dropped == was.dropped, "dropped is wrong");
    promise(says.attempts == was.attempts, "attempts is wrong");
    promise(says.retries == was.retries, "retries is wrong");
    promise(says.throttles == was.throttles, "throttles is wrong");
    promise(says.system_errors == was.system_errors, "system_errors is wrong");
    promise(says.store_failures == was.store_failures, "store_failures is wrong");
    promise(says.ages == was.ages && says.age_sum == was.age_sum, "the ages are wrong");
    // What ends by itself is known when it is asked for, and while the store refuses nothing does.
    promise(says.waiting == was.waiting, "waiting is wrong");
    promise(says.in_flight == was.in_flight, "in_flight is wrong");
    promise(says.ending == was.ending, "ending is wrong");
    events += was.waiting + was.in_flight + was.ending;

    std::optional<WallTime> oldest;
    std::optional<Instant> next_min, next_max;
    for (const Event& event : events_) {
      if (event.function != i) continue;
      if (event.state == State::kWaiting || event.state == State::kInFlight) {
        oldest = oldest ? std::min(*oldest, event.accepted_at) : event.accepted_at;
      }
      if (event.state == State::kWaiting) {
        next_min = earlier(next_min, event.due_min);
        next_max = earlier(next_max, event.due_max);
      }
    }
    promise(engine_->oldest(static_cast<engine::FunctionId>(i)) == oldest, "oldest() is wrong");
    const auto next = engine_->next_attempt(static_cast<engine::FunctionId>(i));
    promise(next.has_value() == next_min.has_value(), "next_attempt() is wrong");
    if (next) {
      promise(*next >= *next_min && *next <= std::max(*next_max, functions_[i].pause_max), "next_attempt() is wrong");
    }
  }
  promise(engine_->events() == events, "events() is wrong");
  promise(engine_->full() == (events >= features_.limits.max_events), "full() is wrong");
  promise(engine_->drained() == drained_, "drained() is wrong");
}

/// Whoever waits is woken: by an answer that is under way, or by the clock, and then in time.
void AsyncWorld::check_waiting() {
  if (drained_) return;
  if (stopping_) {
    std::uint64_t in_flight = 0;
    for (const Function& function : functions_) in_flight += function.figures.in_flight;
    promise(in_flight > 0 || asked_ > 0, "draining waits for nothing");
    return;
  }
  for (const Event& event : events_) {
    if (event.state == State::kEnding && !event.asked && store_failures_ == 0) {
      promise(event, false, "it is over, and nobody is told");
    }
  }
  if (store_failures_ > 0) {
    promise(probe_.has_value() || (wake_ && *wake_ <= store_due_ && *wake_ >= store_due_min_),
            "the store is not tried again in time");
    if (wake_) store_due_ = store_due_min_ = *wake_;
    return;
  }
  for (const Event& event : events_) {
    const Function& function = function_of(event);
    if (event.state != State::kWaiting) continue;
    if (function.figures.ending >= features_.limits.max_endings) {
      ++met_.full_endings;
      continue;
    }
    promise(event, !too_old(event), "it is too old, and does not end");
    const Instant expires = now_.instant + (event.accepted_at + function.settings.maximum_event_age - now_.wall);
    promise(event, wake_ && *wake_ <= expires, "its age is not decided in time");
    if (function.settings.zero_reserved) {
      promise(event, event.due_max > now_.instant, "nothing is reserved for its function, and it does not end");
      promise(event, wake_ && *wake_ <= event.due_max, "a wake-up is lost: it waits for its end");
    } else if (function.figures.in_flight < function.window) {
      const Instant begins = std::max(event.due_max, function.pause_max);
      promise(event, begins > now_.instant, "it is due and there is room, and it is not invoked");
      promise(event, wake_ && *wake_ <= begins, "a wake-up is lost: it waits for its turn");
    } else {
      ++met_.full_windows;
    }
  }
}

void AsyncWorld::check_end() {
  for (const Event& event : events_) {
    promise(event, !event.accepted || event.removed == 1, "not settled exactly once");
    promise(event, !event.kept, "left in the store");
    promise(event, event.state != State::kInFlight, "over while it is in flight");
  }
  for (; crowd_ > 0; --crowd_) ledger_.release("crowd");
  promise(ledger_.executing() == 0, "a permit was not given back");
}

AsyncWorld::Event& AsyncWorld::event_of(engine::EventRef ref) {
  WEIR_ASSERT(ref.id >= 1 && ref.id <= events_.size());
  return events_[ref.id - 1];
}

bool AsyncWorld::too_old(const Event& event) const {
  return now_.wall - event.accepted_at >= functions_[event.function].settings.maximum_event_age;
}

/// The least and the most that is waited after so many failures in a row.
std::pair<Duration, Duration> AsyncWorld::backoff(int failures) const {
  Duration least = features_.limits.backoff_min;
  for (int i = 1; i < failures && least < features_.limits.backoff_max; ++i) least += least;
  return {std::min(least, features_.limits.backoff_max), std::min(least + least / 4, features_.limits.backoff_max)};
}

Duration AsyncWorld::store_latency() {
  return upto(features_.troubles.slow_store && random_.chance(0.3) ? Duration(3s) : Duration(3ms));
}

bool AsyncWorld::store_refuses() {
  return now_.instant < store_down_until_ || random_.chance(features_.troubles.refuses);
}

}  // namespace weir::simulation
