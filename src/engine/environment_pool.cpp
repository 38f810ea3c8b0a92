#include "engine/environment_pool.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weir::engine {

EnvironmentPool::EnvironmentPool(PoolSettings settings) : settings_(settings) {}

EnvironmentPool::Environment* EnvironmentPool::find(EnvironmentId id) {
  const auto found = environments_.find(id);
  return found == environments_.end() ? nullptr : &found->second;
}

const EnvironmentPool::Environment* EnvironmentPool::find(EnvironmentId id) const {
  const auto found = environments_.find(id);
  return found == environments_.end() ? nullptr : &found->second;
}

bool EnvironmentPool::comes_back(const Environment& environment) {
  return environment.state == State::kReturning ||
         (environment.state == State::kEnding && !environment.call && !environment.remove_when_gone);
}

std::optional<CallId> EnvironmentPool::call_of(EnvironmentId id) const {
  const Environment* environment = find(id);
  if (environment == nullptr || environment->state != State::kBusy) return std::nullopt;
  return environment->call;
}

bool EnvironmentPool::initializing(EnvironmentId id) const {
  const Environment* environment = find(id);
  return environment != nullptr && environment->state == State::kInitializing;
}

bool EnvironmentPool::ending(EnvironmentId id) const {
  const Environment* environment = find(id);
  return environment == nullptr || environment->state == State::kEnding || environment->state == State::kReset;
}

bool EnvironmentPool::may_ask(EnvironmentId id) const {
  const Environment* environment = find(id);
  if (environment == nullptr) return false;
  // An idle one asks again when its client lost patience and came back on another connection.
  return environment->state == State::kInitializing || environment->state == State::kReturning ||
         environment->state == State::kIdle;
}

void EnvironmentPool::on_call(Moment now, CallId call, CallPlace place) {
  WEIR_ASSERT(!drained_);
  if (stopping_) {
    Finish finish;
    finish.call = call;
    finish.how = CallEnding::kCancelled;
    actions_.emplace_back(finish);
    return;
  }
  waiting_.push_back({call, place});
  assign(now);
}

/// Gives waiting calls to environments that have nothing to do, the oldest call first.
void EnvironmentPool::hand_out(Moment now) {
  for (auto each = waiting_.begin(); each != waiting_.end() && !(idle_.empty() && ready_.empty());) {
    std::deque<EnvironmentId>& from = each->place == CallPlace::kProvisioned ? ready_ : idle_;
    if (from.empty()) {
      ++each;
      continue;
    }
    const EnvironmentId id = from.back();
    from.pop_back();
    const CallId call = each->call;
    each = waiting_.erase(each);
    deliver(now, id, *find(id), call);
  }
}

/// Gives waiting calls to idle environments, and starts what is missing.
void EnvironmentPool::assign(Moment now) {
  hand_out(now);
  if (waiting_.empty()) return;
  // A runtime that has just answered asks again within a fraction of a millisecond, and a dead environment is gone and
  // ready to start again within a few: another one would take longer, and would not have the first one's /tmp.
  std::ptrdiff_t soon = 0;
  std::ptrdiff_t soon_ready = 0;
  std::vector<EnvironmentId> resets;
  for (const auto& [id, environment] : environments_) {
    if (comes_back(environment) && now.instant < environment.phase_since + settings_.return_grace) {
      ++(environment.provisioned ? soon_ready : soon);
    }
    if (environment.state == State::kReset) resets.push_back(id);
  }
  const auto waiting_for = [this](CallPlace place) {
    return std::count_if(waiting_.begin(), waiting_.end(),
                         [place](const Waiting& each) { return each.place == place; });
  };
  // What was kept ready for them is gone.
  std::ptrdiff_t too_many = waiting_for(CallPlace::kProvisioned) - soon_ready;
  for (Waiting& each : waiting_) {
    if (too_many <= 0) break;
    if (each.place != CallPlace::kProvisioned) continue;
    each.place = CallPlace::kOnDemand;
    --too_many;
  }
  hand_out(now);
  too_many = waiting_for(CallPlace::kOnDemand) - soon;
  for (auto each = waiting_.begin(); each != waiting_.end() && too_many > 0;) {
    if (each->place == CallPlace::kProvisioned) {
      ++each;
      continue;
    }
    const CallId call = each->call;
    each = waiting_.erase(each);
    --too_many;
    start_for(now, call, resets);
  }
}

/// In one of `resets`, if there is any.
void EnvironmentPool::start_for(Moment now, CallId call, std::vector<EnvironmentId>& resets) {
  ++cold_starts_;
  if (!resets.empty()) {
    const EnvironmentId id = resets.back();
    resets.pop_back();
    Environment& environment = *find(id);
    environment.reason = environment.killed ? *environment.killed : new_reason();
    start(now, id, environment, call, InitPhase::kInvoke, true);
    return;
  }
  const StartReason reason = new_reason();
  const EnvironmentId id = ++last_environment_;
  environments_[id].reason = reason;
  start(now, id, environments_[id], call, InitPhase::kInit, false);
}

// ---- Provisioned concurrency ----

void EnvironmentPool::provision(Moment now, int environments) {
  WEIR_ASSERT(environments >= 0);
  if (stopping_) return;
  if (environments > provisioned_) allocating_ = true;
  provisioned_ = environments;
  // Whoever asks may have mended what went wrong.
  failed_inits_ = 0;
  retry_at_ = now.instant;
  trim(now);
  balance(now);
}

/// Takes down what is provisioned and too much, as far as it runs nothing: first what is not ready.
void EnvironmentPool::trim(Moment now) {
  const auto live = [](const Environment& each) { return each.provisioned && each.state != State::kEnding; };
  std::ptrdiff_t too_many =
      std::count_if(environments_.begin(), environments_.end(), [&](const auto& each) { return live(each.second); }) -
      provisioned_;
  for (const State state : {State::kInitializing, State::kIdle}) {
    for (auto each = environments_.rbegin(); each != environments_.rend() && too_many > 0; ++each) {
      auto& [id, environment] = *each;
      if (!live(environment) || environment.state != state) continue;
      shut_down(now, id, environment, Kill::Reason::kIdle);
      --too_many;
    }
  }
}

void EnvironmentPool::balance(Moment now) {
  if (provisioned_ == 0 || stopping_) return;
  int live = 0;
  int initializing = 0;
  for (const auto& [id, environment] : environments_) {
    if (!environment.provisioned || environment.state == State::kEnding) continue;
    ++live;
    if (environment.state == State::kInitializing) ++initializing;
  }
  if (allocating_ && live - initializing >= provisioned_) {
    allocating_ = false;
    for (auto& [id, environment] : environments_) {
      if (!environment.held) continue;
      environment.held = false;
      ready_.push_back(id);
    }
  }
  if (now.instant < retry_at_) return;
  // After a failure one is tried alone: it shows whether the others would do better.
  const int at_once = failed_inits_ > 0 ? 1 : kProvisionedAtOnce;
  for (; live < provisioned_ && initializing < at_once; ++live, ++initializing) {
    const EnvironmentId id = ++last_environment_;
    Environment& environment = environments_[id];
    environment.provisioned = true;
    environment.reason = StartReason::kProvisioned;
    start(now, id, environment, std::nullopt, InitPhase::kInit, false);
  }
}

ProvisionedCounts EnvironmentPool::provisioned() const {
  ProvisionedCounts counts;
  counts.requested = provisioned_;
  counts.failing = failed_inits_ > 0;
  for (const auto& [id, environment] : environments_) {
    if (!environment.provisioned || environment.state == State::kEnding || environment.state == State::kInitializing) {
      continue;
    }
    ++counts.allocated;
    if (!environment.held) ++counts.available;
  }
  counts.allocated = std::min(counts.allocated, provisioned_);
  counts.available = std::min(counts.available, provisioned_);
  return counts;
}

void EnvironmentPool::forget_idle(EnvironmentId id) {
  std::erase(idle_, id);
  std::erase(ready_, id);
}

// ---- Starts ----

StartReason EnvironmentPool::new_reason() const {
  const bool any = std::any_of(environments_.begin(), environments_.end(), [](const auto& each) {
    return each.second.state != State::kEnding && each.second.state != State::kReset;
  });
  return any ? StartReason::kScaleOut : StartReason::kFirst;
}

void EnvironmentPool::start(Moment now, EnvironmentId id, Environment& environment, std::optional<CallId> call,
                            InitPhase phase, bool reset) {
  environment.state = State::kInitializing;
  environment.phase = phase;
  environment.call = call;
  environment.phase_since = now.instant;
  environment.init_duration.reset();
  environment.killed.reset();
  environment.internal_extension = false;
  environment.external_extension = false;
  environment.runtime_gone = false;
  environment.step = Step::kGone;
  const bool inside = phase == InitPhase::kInvoke;
  if (inside) environment.run_since = now.instant;
  environment.deadline = now.instant + (inside                    ? settings_.timeout
                                        : environment.provisioned ? settings_.provisioned_init_timeout
                                                                  : settings_.init_timeout);
  Start action;
  action.environment = id;
  action.phase = phase;
  action.call = call.value_or(0);
  action.reset = reset;
  action.provisioned = environment.provisioned;
  action.reason = environment.reason;
  actions_.emplace_back(action);
}

void EnvironmentPool::deliver(Moment now, EnvironmentId id, Environment& environment, CallId call) {
  Deliver action;
  action.environment = id;
  action.call = call;
  // A call whose clock already runs (init inside the invocation) keeps its deadline.
  action.started = environment.state == State::kInitializing && environment.phase == InitPhase::kInvoke;
  if (!action.started) {
    environment.run_since = now.instant;
    environment.deadline = now.instant + settings_.timeout;
  }
  environment.state = State::kBusy;
  environment.call = call;
  action.deadline = environment.deadline;
  actions_.emplace_back(action);
}

void EnvironmentPool::on_ready(Moment now, EnvironmentId id) {
  Environment* environment = find(id);
  if (environment == nullptr || !may_ask(id) || environment->state == State::kIdle) return;
  if (environment->state == State::kInitializing) {
    // What happened before any call came is in no call's report.
    if (environment->phase == InitPhase::kInit && !environment->provisioned) {
      environment->init_duration = now.instant - environment->phase_since;
    }
    environment->init_failed_before = false;
    Started started;
    started.environment = id;
    started.start = {environment->reason, true, now.instant - environment->phase_since};
    actions_.emplace_back(started);
    if (environment->provisioned) {
      failed_inits_ = 0;
      retry_at_ = now.instant;
      become_idle(now, id, *environment);
      return;
    }
    deliver(now, id, *environment, *environment->call);
    return;
  }
  become_idle(now, id, *environment);
}

void EnvironmentPool::become_idle(Moment now, EnvironmentId id, Environment& environment) {
  const bool initialized = environment.state == State::kInitializing;
  environment.state = State::kIdle;
  environment.phase_since = now.instant;
  if (!environment.provisioned) {
    idle_.push_back(id);
  } else {
    environment.held = initialized && allocating_;
    if (!environment.held) ready_.push_back(id);
    trim(now);
    balance(now);
  }
  assign(now);
}

void EnvironmentPool::on_answer(Moment now, EnvironmentId id, bool failed) {
  Environment* environment = find(id);
  WEIR_ASSERT(environment != nullptr && environment->state == State::kBusy);
  finish(now, id, *environment, failed ? CallEnding::kFailed : CallEnding::kAnswered);
  environment->state = State::kReturning;
  environment->phase_since = now.instant;
}

void EnvironmentPool::on_init_error(Moment now, EnvironmentId id) {
  Environment* environment = find(id);
  WEIR_ASSERT(environment != nullptr && environment->state == State::kInitializing);
  fail_init(now, id, *environment, InitFailure::kReported);
}

void EnvironmentPool::fail_init(Moment now, EnvironmentId id, Environment& environment, InitFailure failure) {
  InitFailed failed;
  failed.environment = id;
  failed.phase = environment.phase;
  failed.failure = failure;
  failed.took = now.instant - environment.phase_since;
  actions_.emplace_back(failed);
  const bool again =
      environment.phase == InitPhase::kInit && failure != InitFailure::kCannotStart && !environment.provisioned;
  if (again) {
    environment.init_failed_before = true;
  } else if (environment.provisioned) {
    Started started;
    started.environment = id;
    started.start = {environment.reason, false, failed.took};
    actions_.emplace_back(started);
    Duration wait = kProvisionedRetryMin;
    for (int i = 0; i < failed_inits_ && wait < kProvisionedRetryMax; ++i) wait *= 2;
    ++failed_inits_;
    retry_at_ = now.instant + std::min(wait, kProvisionedRetryMax);
  } else {
    Started started;
    started.environment = id;
    started.start = {environment.reason, false, failed.took};
    actions_.emplace_back(started);
    switch (failure) {
      case InitFailure::kReported:
        finish(now, id, environment, CallEnding::kInitReported);
        break;
      case InitFailure::kExited:
        finish(now, id, environment, CallEnding::kInitExited);
        break;
      case InitFailure::kTimedOut:
        finish(now, id, environment, CallEnding::kTimedOut);
        break;
      case InitFailure::kExtension:
        finish(now, id, environment, CallEnding::kExtensionFailed);
        break;
      case InitFailure::kCannotStart:
        finish(now, id, environment, CallEnding::kCannotStart);
        // Nothing ran in it, so there is no /tmp worth keeping.
        environment.remove_when_gone = true;
        break;
    }
  }
  environment.runtime_gone = failure == InitFailure::kExited || failure == InitFailure::kCannotStart;
  const bool out_of_time = failure == InitFailure::kTimedOut;
  environment.killed = out_of_time ? StartReason::kAfterTimeout : StartReason::kAfterCrash;
  shut_down(now, id, environment, !again && out_of_time ? Kill::Reason::kTimedOut : Kill::Reason::kInitFailed);
}

void EnvironmentPool::on_internal_extension(EnvironmentId id) {
  if (Environment* environment = find(id)) environment->internal_extension = true;
}

void EnvironmentPool::on_external_extension(EnvironmentId id) {
  if (Environment* environment = find(id)) environment->external_extension = true;
}

void EnvironmentPool::on_extension_failed(Moment now, EnvironmentId id) {
  Environment* environment = find(id);
  if (environment == nullptr) return;
  switch (environment->state) {
    case State::kInitializing:
      fail_init(now, id, *environment, InitFailure::kExtension);
      break;
    case State::kBusy:
      finish(now, id, *environment, CallEnding::kExtensionFailed);
      environment->killed = StartReason::kAfterCrash;
      shut_down(now, id, *environment, Kill::Reason::kExtensionFailed);
      break;
    case State::kIdle:
    case State::kReturning:
      environment->killed = StartReason::kAfterCrash;
      shut_down(now, id, *environment, Kill::Reason::kExtensionFailed);
      break;
    case State::kEnding:
    case State::kReset:
      break;
  }
}

void EnvironmentPool::on_exited(Moment now, EnvironmentId id, bool cannot_start) {
  Environment* environment = find(id);
  if (environment == nullptr) return;
  switch (environment->state) {
    case State::kInitializing:
      fail_init(now, id, *environment, cannot_start ? InitFailure::kCannotStart : InitFailure::kExited);
      break;
    case State::kBusy:
      finish(now, id, *environment, CallEnding::kExited);
      [[fallthrough]];
    case State::kIdle:
    case State::kReturning:
      environment->runtime_gone = true;
      environment->killed = StartReason::kAfterCrash;
      shut_down(now, id, *environment, Kill::Reason::kExited);
      break;
    case State::kEnding:
      environment->runtime_gone = true;
      if (environment->step == Step::kRuntime && environment->external_extension) tell_extensions(id, *environment);
      break;
    case State::kReset:
      break;
  }
}

void EnvironmentPool::on_gone(Moment now, EnvironmentId id) {
  Environment* environment = find(id);
  WEIR_ASSERT(environment != nullptr);
  // A supervisor that died with its process reports no exit first.
  if (environment->state != State::kEnding) on_exited(now, id, false);
  if (stopping_ || environment->remove_when_gone) {
    WEIR_ASSERT(!environment->call);
    Remove remove;
    remove.environment = id;
    actions_.emplace_back(remove);
    environments_.erase(id);
    drain();
    balance(now);
    return;
  }
  if (environment->call) {
    WEIR_ASSERT(environment->init_failed_before);
    environment->init_failed_before = false;
    start(now, id, *environment, *environment->call, InitPhase::kInvoke, true);
    return;
  }
  environment->state = State::kReset;
  environment->phase_since = now.instant;
  assign(now);
}

void EnvironmentPool::end(Moment now, Environment& environment) {
  environment.state = State::kEnding;
  environment.phase_since = now.instant;
  // Another one takes its place.
  if (environment.provisioned) environment.remove_when_gone = true;
  environment.held = false;
}

void EnvironmentPool::kill(Moment now, EnvironmentId id, Environment& environment, Kill::Reason reason) {
  forget_idle(id);
  end(now, environment);
  Kill action;
  action.environment = id;
  action.reason = reason;
  actions_.emplace_back(action);
}

void EnvironmentPool::shut_down(Moment now, EnvironmentId id, Environment& environment, Kill::Reason reason) {
  if (!environment.internal_extension && !environment.external_extension) {
    // What has exited takes all of its own along.
    if (environment.runtime_gone) {
      forget_idle(id);
      end(now, environment);
    } else {
      kill(now, id, environment, reason);
    }
    return;
  }
  forget_idle(id);
  end(now, environment);
  switch (reason) {
    case Kill::Reason::kTimedOut:
      environment.shutdown = ShutdownReason::kTimeout;
      break;
    case Kill::Reason::kInitFailed:
    case Kill::Reason::kExited:
    case Kill::Reason::kExtensionFailed:
      environment.shutdown = ShutdownReason::kFailure;
      break;
    case Kill::Reason::kIdle:
    case Kill::Reason::kCancelled:
    case Kill::Reason::kStopping:
    case Kill::Reason::kShutdownOver:
      environment.shutdown = ShutdownReason::kSpindown;
      break;
  }
  environment.runtime_until = now.instant + (environment.internal_extension ? kInternalShutdown : kRuntimeShutdown);
  environment.shutdown_until = now.instant + (environment.external_extension ? kExternalShutdown : kInternalShutdown);
  if (!environment.runtime_gone) {
    environment.step = Step::kRuntime;
    StopRuntime action;
    action.environment = id;
    actions_.emplace_back(action);
  } else if (environment.external_extension) {
    tell_extensions(id, environment);
  }
}

void EnvironmentPool::tell_extensions(EnvironmentId id, Environment& environment) {
  environment.step = Step::kExtensions;
  TellExtensions action;
  action.environment = id;
  action.reason = environment.shutdown;
  action.deadline = environment.shutdown_until;
  actions_.emplace_back(action);
}

void EnvironmentPool::on_ending_tick(Moment now, EnvironmentId id, Environment& environment) {
  if (environment.step == Step::kGone) return;
  if (now.instant >= environment.shutdown_until) {
    environment.step = Step::kGone;
    Kill action;
    action.environment = id;
    action.reason = Kill::Reason::kShutdownOver;
    actions_.emplace_back(action);
  } else if (environment.step == Step::kRuntime && now.instant >= environment.runtime_until) {
    environment.runtime_until = environment.shutdown_until;
    KillRuntime action;
    action.environment = id;
    actions_.emplace_back(action);
  }
}

void EnvironmentPool::finish(Moment now, EnvironmentId id, Environment& environment, CallEnding how) {
  WEIR_ASSERT(environment.call.has_value());
  Finish action;
  action.call = *environment.call;
  action.how = how;
  action.environment = id;
  action.ran = environment.state == State::kBusy || environment.phase == InitPhase::kInvoke;
  if (action.ran) action.duration = now.instant - environment.run_since;
  if (environment.state == State::kBusy) {
    action.init_duration = environment.init_duration;
    environment.init_duration.reset();
  }
  environment.call.reset();
  actions_.emplace_back(action);
}

void EnvironmentPool::on_cancel(Moment now, CallId call) {
  const auto waiting =
      std::find_if(waiting_.begin(), waiting_.end(), [call](const Waiting& each) { return each.call == call; });
  if (waiting != waiting_.end()) {
    waiting_.erase(waiting);
    Finish finish;
    finish.call = call;
    finish.how = CallEnding::kCancelled;
    actions_.emplace_back(finish);
    return;
  }
  for (auto& [id, environment] : environments_) {
    if (environment.call != call) continue;
    finish(now, id, environment, CallEnding::kCancelled);
    environment.init_failed_before = false;
    if (environment.state != State::kEnding) kill(now, id, environment, Kill::Reason::kCancelled);
    return;
  }
}

void EnvironmentPool::on_tick(Moment now) {
  std::vector<EnvironmentId> removed;
  bool returned_late = false;
  for (auto& [id, environment] : environments_) {
    switch (environment.state) {
      case State::kInitializing:
        if (now.instant >= environment.deadline) fail_init(now, id, environment, InitFailure::kTimedOut);
        break;
      case State::kBusy:
        if (now.instant >= environment.deadline) {
          finish(now, id, environment, CallEnding::kTimedOut);
          environment.killed = StartReason::kAfterTimeout;
          shut_down(now, id, environment, Kill::Reason::kTimedOut);
        }
        break;
      case State::kReturning:
        // The caller has its answer; a runtime that does not come back for more is stuck, and its time is the
        // invocation's.
        if (now.instant >= environment.phase_since + settings_.return_grace) returned_late = true;
        if (now.instant >= environment.deadline) {
          returned_late = true;
          environment.killed = StartReason::kAfterTimeout;
          shut_down(now, id, environment, Kill::Reason::kTimedOut);
        }
        break;
      case State::kIdle:
        if (!environment.provisioned && now.instant >= environment.phase_since + settings_.idle_limit) {
          environment.remove_when_gone = true;
          shut_down(now, id, environment, Kill::Reason::kIdle);
        }
        break;
      case State::kReset:
        if (now.instant >= environment.phase_since + settings_.idle_limit) removed.push_back(id);
        break;
      case State::kEnding:
        on_ending_tick(now, id, environment);
        if (now.instant >= environment.phase_since + settings_.return_grace) returned_late = true;
        break;
    }
  }
  for (const EnvironmentId id : removed) {
    Remove remove;
    remove.environment = id;
    actions_.emplace_back(remove);
    environments_.erase(id);
  }
  if (returned_late && !waiting_.empty()) assign(now);
  balance(now);
}

void EnvironmentPool::request_stop(Moment now) {
  if (stopping_) return;
  stopping_ = true;
  while (!waiting_.empty()) on_cancel(now, waiting_.front().call);
  std::vector<EnvironmentId> removed;
  for (auto& [id, environment] : environments_) {
    if (environment.call) {
      finish(now, id, environment, CallEnding::kCancelled);
      environment.init_failed_before = false;
    }
    if (environment.state == State::kReset) {
      removed.push_back(id);
    } else if (environment.state != State::kEnding) {
      shut_down(now, id, environment, Kill::Reason::kStopping);
    }
  }
  for (const EnvironmentId id : removed) {
    Remove remove;
    remove.environment = id;
    actions_.emplace_back(remove);
    environments_.erase(id);
  }
  drain();
}

void EnvironmentPool::drain() {
  if (!stopping_ || drained_ || !environments_.empty()) return;
  drained_ = true;
  actions_.emplace_back(PoolDrained{});
}

std::optional<PoolAction> EnvironmentPool::next() {
  if (actions_.empty()) return std::nullopt;
  std::optional<PoolAction> action(actions_.front());
  actions_.pop_front();
  return action;
}

std::optional<Instant> EnvironmentPool::wake_at() const {
  std::optional<Instant> wake;
  if (provisioned_ > 0 && failed_inits_ > 0 && !stopping_) {
    const bool trying = std::any_of(environments_.begin(), environments_.end(), [](const auto& each) {
      return each.second.provisioned && each.second.state == State::kInitializing;
    });
    if (!trying) wake = retry_at_;
  }
  for (const auto& [id, environment] : environments_) {
    switch (environment.state) {
      case State::kInitializing:
      case State::kBusy:
        wake = earlier(wake, environment.deadline);
        break;
      case State::kReturning:
        wake = earlier(wake, environment.deadline);
        if (!waiting_.empty()) wake = earlier(wake, environment.phase_since + settings_.return_grace);
        break;
      case State::kIdle:
        if (environment.provisioned) break;
        [[fallthrough]];
      case State::kReset:
        wake = earlier(wake, environment.phase_since + settings_.idle_limit);
        break;
      case State::kEnding:
        if (environment.step != Step::kGone) wake = earlier(wake, environment.shutdown_until);
        if (environment.step == Step::kRuntime) wake = earlier(wake, environment.runtime_until);
        if (!waiting_.empty() && comes_back(environment)) {
          wake = earlier(wake, environment.phase_since + settings_.return_grace);
        }
        break;
    }
  }
  return wake;
}

PoolCounts EnvironmentPool::counts() const {
  PoolCounts counts;
  counts.cold_starts = cold_starts_;
  for (const auto& [id, environment] : environments_) {
    switch (environment.state) {
      case State::kInitializing:
        ++counts.starting;
        break;
      case State::kIdle:
        ++counts.idle;
        break;
      case State::kBusy:
      case State::kReturning:
        ++counts.busy;
        break;
      // Ending before a second try of its init, it still starts for somebody.
      case State::kEnding:
        counts.starting += environment.call ? 1 : 0;
        break;
      case State::kReset:
        break;
    }
  }
  return counts;
}

}  // namespace weir::engine
