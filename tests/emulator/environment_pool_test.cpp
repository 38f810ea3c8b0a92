#include "engine/environment_pool.h"

#include <string>

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::engine;
using namespace std::chrono_literals;

namespace {

const char* word(InitFailure failure) {
  switch (failure) {
    case InitFailure::kReported:
      return "reported";
    case InitFailure::kExited:
      return "exited";
    case InitFailure::kTimedOut:
      return "timed out";
    case InitFailure::kExtension:
      return "extension";
    case InitFailure::kCannotStart:
      return "cannot start";
  }
  return "?";
}

const char* word(CallEnding ending) {
  switch (ending) {
    case CallEnding::kAnswered:
      return "answered";
    case CallEnding::kFailed:
      return "failed";
    case CallEnding::kTimedOut:
      return "timed out";
    case CallEnding::kExited:
      return "exited";
    case CallEnding::kInitReported:
      return "init reported";
    case CallEnding::kInitExited:
      return "init exited";
    case CallEnding::kCannotStart:
      return "cannot start";
    case CallEnding::kExtensionFailed:
      return "extension failed";
    case CallEnding::kCancelled:
      return "cancelled";
  }
  return "?";
}

std::string in_ms(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + "ms";
}

/// A pool, a clock turned by hand, and what the pool asked for as text: "start 1 for 7; deliver 7 to 1".
class Driven {
 public:
  explicit Driven(PoolSettings settings = {}) : pool(settings) {}

  std::string asked() {
    std::string text;
    while (auto action = pool.next()) {
      if (const auto* started = std::get_if<Started>(&*action)) {
        if (!starts.empty()) starts += "; ";
        starts += std::string(weir::text(started->start.reason)) + (started->start.initialized ? " " : " failed ") +
                  in_ms(started->start.init);
        continue;
      }
      if (!text.empty()) text += "; ";
      text += std::visit([this](const auto& what) { return say(what); }, *action);
    }
    return text;
  }
  std::string after(Duration passed) {
    now.instant += passed;
    now.wall += passed;
    pool.on_tick(now);
    return asked();
  }
  std::string call(CallId id) {
    pool.on_call(now, id);
    return asked();
  }
  /// A call for which an environment is kept ready.
  std::string provisioned_call(CallId id) {
    pool.on_call(now, id, CallPlace::kProvisioned);
    return asked();
  }
  std::string provision(int environments) {
    pool.provision(now, environments);
    return asked();
  }
  /// "2 of 3": calls can use so many of those that were asked for; "2 of 3, 1 held", "0 of 3, failing".
  std::string provisioned() const {
    const ProvisionedCounts counts = pool.provisioned();
    std::string text = std::to_string(counts.available) + " of " + std::to_string(counts.requested);
    if (counts.allocated > counts.available) {
      text += ", " + std::to_string(counts.allocated - counts.available) + " held";
    }
    return text + (counts.failing ? ", failing" : "");
  }
  std::string cancel(CallId id) {
    pool.on_cancel(now, id);
    return asked();
  }
  std::string ready(EnvironmentId id) {
    pool.on_ready(now, id);
    return asked();
  }
  std::string answer(EnvironmentId id, bool failed = false) {
    pool.on_answer(now, id, failed);
    return asked();
  }
  std::string init_error(EnvironmentId id) {
    pool.on_init_error(now, id);
    return asked();
  }
  std::string exited(EnvironmentId id, bool cannot_start = false) {
    pool.on_exited(now, id, cannot_start);
    return asked();
  }
  std::string gone(EnvironmentId id) {
    pool.on_gone(now, id);
    return asked();
  }
  std::string extension_failed(EnvironmentId id) {
    pool.on_extension_failed(now, id);
    return asked();
  }
  std::string stop() {
    pool.request_stop(now);
    return asked();
  }
  /// A warm environment, number 1.
  Driven& warm() {
    call(100);
    ready(1);
    answer(1);
    ready(1);
    return *this;
  }
  std::string counts() const {
    const PoolCounts counts = pool.counts();
    return std::to_string(counts.starting) + " starting, " + std::to_string(counts.idle) + " idle, " +
           std::to_string(counts.busy) + " busy, " + std::to_string(counts.cold_starts) + " started";
  }

  EnvironmentPool pool;
  std::string starts;  ///< the cold starts so far: "first 200ms; after_crash failed 3ms"
  Moment now{Instant(1000s), WallTime(1'000'000s)};

 private:
  std::string say(const Start& start) {
    if (start.provisioned) return "prepare " + std::to_string(start.environment);
    return std::string(start.reset ? "restart " : "start ") + std::to_string(start.environment) + " for " +
           std::to_string(start.call) + (start.phase == InitPhase::kInvoke ? " inside" : "");
  }
  std::string say(const Deliver& deliver) {
    return "deliver " + std::to_string(deliver.call) + " to " + std::to_string(deliver.environment) + " for " +
           in_ms(deliver.deadline - now.instant);
  }
  std::string say(const InitFailed& failed) {
    return std::string("init ") + word(failed.failure) + " after " + in_ms(failed.took);
  }
  std::string say(const Kill& kill) { return "kill " + std::to_string(kill.environment); }
  std::string say(const Remove& remove) { return "remove " + std::to_string(remove.environment); }
  std::string say(const Finish& finish) {
    return "finish " + std::to_string(finish.call) + " " + word(finish.how) +
           (finish.ran ? " ran " + in_ms(finish.duration) : "") +
           (finish.init_duration ? " init " + in_ms(*finish.init_duration) : "");
  }
  std::string say(const Started&) { return ""; }
  std::string say(const StopRuntime& stop) { return "stop runtime " + std::to_string(stop.environment); }
  std::string say(const KillRuntime& kill) { return "kill runtime " + std::to_string(kill.environment); }
  std::string say(const TellExtensions& tell) {
    const char* reason = tell.reason == ShutdownReason::kSpindown  ? "spindown"
                         : tell.reason == ShutdownReason::kTimeout ? "timeout"
                                                                   : "failure";
    return "tell extensions of " + std::to_string(tell.environment) + " " + reason + " within " +
           in_ms(tell.deadline - now.instant);
  }
  std::string say(const PoolDrained&) { return "drained"; }
};

}  // namespace

TEST_CASE("a call without an idle environment starts one; its init is not part of the run") {
  Driven pool;
  CHECK(pool.call(7) == "start 1 for 7");
  CHECK(pool.counts() == "1 starting, 0 idle, 0 busy, 1 started");
  CHECK(pool.after(200ms).empty());
  CHECK(pool.ready(1) == "deliver 7 to 1 for 3000ms");
  CHECK(pool.after(30ms).empty());
  CHECK(pool.answer(1) == "finish 7 answered ran 30ms init 200ms");
  CHECK(pool.ready(1).empty());
  CHECK(pool.counts() == "0 starting, 1 idle, 0 busy, 1 started");
  CHECK(pool.call(8) == "deliver 8 to 1 for 3000ms");
  CHECK(pool.answer(1) == "finish 8 answered ran 0ms");
}

TEST_CASE("calls at the same time get an environment each") {
  Driven pool;
  CHECK(pool.call(1) == "start 1 for 1");
  CHECK(pool.call(2) == "start 2 for 2");
  CHECK(pool.ready(2) == "deliver 2 to 2 for 3000ms");
  CHECK(pool.ready(1) == "deliver 1 to 1 for 3000ms");
  CHECK(pool.answer(1) == "finish 1 answered ran 0ms init 0ms");
  CHECK(pool.ready(1).empty());
  CHECK(pool.answer(2) == "finish 2 answered ran 0ms init 0ms");
  CHECK(pool.ready(2).empty());
  SECTION("and the one used last is used first") {
    CHECK(pool.call(3) == "deliver 3 to 2 for 3000ms");
    CHECK(pool.call(4) == "deliver 4 to 1 for 3000ms");
    CHECK(pool.call(5) == "start 3 for 5");
  }
}

TEST_CASE("a call waits a moment for an environment that is about to ask again") {
  Driven pool;
  pool.warm();
  pool.call(1);
  pool.answer(1);
  CHECK(pool.call(2).empty());
  SECTION("which comes back at once") {
    CHECK(pool.ready(1) == "deliver 2 to 1 for 3000ms");
  }
  SECTION("which is slow to come back") {
    CHECK(pool.pool.wake_at() == pool.now.instant + 50ms);
    CHECK(pool.after(49ms).empty());
    CHECK(pool.after(1ms) == "start 2 for 2");
  }
  SECTION("but only one call does") {
    CHECK(pool.call(3) == "start 2 for 2");
  }
  SECTION("which dies") {
    CHECK(pool.exited(1).empty());
    SECTION("and is soon gone") {
      CHECK(pool.gone(1) == "restart 1 for 2 inside");
    }
    SECTION("and is not gone soon") {
      CHECK(pool.after(50ms) == "start 2 for 2");
    }
  }
}

TEST_CASE("the function's timeout runs from delivery and kills") {
  Driven pool;
  pool.warm();
  CHECK(pool.call(1) == "deliver 1 to 1 for 3000ms");
  CHECK(pool.pool.wake_at() == pool.now.instant + 3s);
  CHECK(pool.after(2999ms).empty());
  CHECK(pool.after(1ms) == "finish 1 timed out ran 3000ms; kill 1");
  CHECK_FALSE(pool.pool.call_of(1).has_value());
  CHECK(pool.gone(1).empty());
  SECTION("the next call restarts it, inside its own time, and keeps the folder") {
    CHECK(pool.call(2) == "restart 1 for 2 inside");
    CHECK(pool.after(500ms).empty());
    CHECK(pool.ready(1) == "deliver 2 to 1 for 2500ms");
    CHECK(pool.after(100ms).empty());
    CHECK(pool.answer(1) == "finish 2 answered ran 600ms");
  }
  SECTION("one that nobody calls again is removed in the end") {
    CHECK(pool.after(5min) == "remove 1");
  }
}

TEST_CASE("an error of the handler keeps the process; an exit ends it") {
  Driven pool;
  pool.warm();
  pool.call(1);
  CHECK(pool.answer(1, true) == "finish 1 failed ran 0ms");
  CHECK(pool.ready(1).empty());
  CHECK(pool.call(2) == "deliver 2 to 1 for 3000ms");
  CHECK(pool.exited(1) == "finish 2 exited ran 0ms");
  CHECK(pool.gone(1).empty());
  CHECK(pool.call(3) == "restart 1 for 3 inside");
}

TEST_CASE("a failed init is tried once more inside the invocation") {
  Driven pool;
  pool.call(1);
  pool.after(1s);
  SECTION("after a reported error") {
    CHECK(pool.init_error(1) == "init reported after 1000ms; kill 1");
    CHECK(pool.counts() == "1 starting, 0 idle, 0 busy, 1 started");
    CHECK(pool.gone(1) == "restart 1 for 1 inside");
    SECTION("and may succeed: its time counts in the duration") {
      pool.after(2s);
      CHECK(pool.ready(1) == "deliver 1 to 1 for 1000ms");
      CHECK(pool.answer(1) == "finish 1 answered ran 2000ms");
    }
    SECTION("and may fail again") {
      CHECK(pool.init_error(1) == "init reported after 0ms; finish 1 init reported ran 0ms; kill 1");
      CHECK(pool.gone(1).empty());
    }
    SECTION("and may use up the function's time") {
      CHECK(pool.after(3s) == "init timed out after 3000ms; finish 1 timed out ran 3000ms; kill 1");
    }
  }
  SECTION("after an exit") {
    CHECK(pool.exited(1) == "init exited after 1000ms");
    CHECK(pool.gone(1) == "restart 1 for 1 inside");
    CHECK(pool.exited(1) == "init exited after 0ms; finish 1 init exited ran 0ms");
    CHECK(pool.gone(1).empty());
    CHECK(pool.call(2) == "restart 1 for 2 inside");
  }
  SECTION("after its 10 s") {
    CHECK(pool.after(8999ms).empty());
    CHECK(pool.after(1ms) == "init timed out after 10000ms; kill 1");
    CHECK(pool.gone(1) == "restart 1 for 1 inside");
  }
  SECTION("but not when the command cannot be executed") {
    CHECK(pool.exited(1, true) == "init cannot start after 1000ms; finish 1 cannot start");
    CHECK(pool.gone(1) == "remove 1");
  }
  SECTION("but not when its call was cancelled meanwhile") {
    CHECK(pool.init_error(1) == "init reported after 1000ms; kill 1");
    CHECK(pool.cancel(1) == "finish 1 cancelled");
    CHECK(pool.gone(1).empty());
  }
}

TEST_CASE("an idle environment is taken down after its limit") {
  Driven pool;
  pool.warm();
  CHECK(pool.pool.wake_at() == pool.now.instant + 5min);
  CHECK(pool.after(5min - 1ns).empty());
  CHECK(pool.after(1ns) == "kill 1");
  CHECK(pool.call(1) == "start 2 for 1");
  CHECK(pool.gone(1) == "remove 1");
}

TEST_CASE("one that exits while idle is restarted by the next call") {
  Driven pool;
  pool.warm();
  CHECK(pool.exited(1).empty());
  CHECK(pool.counts() == "0 starting, 0 idle, 0 busy, 1 started");
  CHECK(pool.gone(1).empty());
  CHECK(pool.call(1) == "restart 1 for 1 inside");
}

TEST_CASE("a runtime that answered and never asks again is killed when the invocation's time is over") {
  Driven pool;
  pool.warm();
  pool.call(1);
  CHECK(pool.answer(1) == "finish 1 answered ran 0ms");
  CHECK(pool.after(2999ms).empty());
  CHECK(pool.after(1ms) == "kill 1");
}

TEST_CASE("a cancelled call ends at once and takes its environment along") {
  Driven pool;
  SECTION("while it runs") {
    pool.warm();
    pool.call(1);
    CHECK(pool.cancel(1) == "finish 1 cancelled ran 0ms; kill 1");
  }
  SECTION("while its environment starts") {
    pool.call(1);
    CHECK(pool.cancel(1) == "finish 1 cancelled; kill 1");
  }
  SECTION("while it waits") {
    pool.warm();
    pool.call(1);
    pool.answer(1);
    pool.call(2);
    CHECK(pool.cancel(2) == "finish 2 cancelled");
    CHECK(pool.ready(1).empty());
  }
  SECTION("when it has ended, nothing") {
    pool.warm();
    CHECK(pool.cancel(100).empty());
  }
}

TEST_CASE("stopping kills everything, then the pool is drained") {
  Driven pool;
  SECTION("with nothing there") {
    CHECK(pool.stop() == "drained");
  }
  SECTION("with an idle, a busy, a starting and a dead one") {
    for (CallId call = 1; call <= 4; ++call) pool.call(call);
    pool.ready(1);
    pool.answer(1);
    pool.ready(1);
    pool.ready(2);
    pool.ready(3);
    pool.exited(3);
    pool.gone(3);
    CHECK(pool.stop() == "kill 1; finish 2 cancelled ran 0ms init 0ms; kill 2; finish 4 cancelled; kill 4; remove 3");
    CHECK(pool.call(5) == "finish 5 cancelled");
    CHECK(pool.gone(1) == "remove 1");
    CHECK(pool.gone(4) == "remove 4");
    CHECK(pool.gone(2) == "remove 2; drained");
  }
}

// Source of the times: lambda-runtime-environment (0, 500, 2,000 ms), runtimes-extensions-api (300 ms of them are the
// runtime's, 500 with an internal extension).
TEST_CASE("an environment without extensions is killed at once, one with extensions is shut down") {
  Driven pool;
  pool.call(1);
  SECTION("without") {
    pool.ready(1);
    pool.answer(1);
    pool.ready(1);
    CHECK(pool.after(5min) == "kill 1");
  }
  SECTION("an internal one: the runtime has 500 ms") {
    pool.pool.on_internal_extension(1);
    pool.ready(1);
    pool.answer(1);
    pool.ready(1);
    CHECK(pool.after(5min) == "stop runtime 1");
    SECTION("and ends") {
      CHECK(pool.after(499ms).empty());
      CHECK(pool.exited(1).empty());
      CHECK(pool.gone(1) == "remove 1");
    }
    SECTION("or is killed") {
      CHECK(pool.pool.wake_at() == pool.now.instant + 500ms);
      CHECK(pool.after(499ms).empty());
      CHECK(pool.after(1ms) == "kill 1");
      CHECK(pool.gone(1) == "remove 1");
    }
  }
  SECTION("external ones: the runtime has 300 ms, they have what is left of 2 s") {
    pool.pool.on_external_extension(1);
    pool.ready(1);
    pool.answer(1);
    pool.ready(1);
    CHECK(pool.after(5min) == "stop runtime 1");
    SECTION("all of it if the runtime ends at once") {
      CHECK(pool.exited(1) == "tell extensions of 1 spindown within 2000ms");
      CHECK(pool.after(1999ms).empty());
      CHECK(pool.after(1ms) == "kill 1");
      CHECK(pool.after(1h).empty());
    }
    SECTION("1.7 s if it has to be killed") {
      CHECK(pool.pool.wake_at() == pool.now.instant + 300ms);
      CHECK(pool.after(299ms).empty());
      CHECK(pool.after(1ms) == "kill runtime 1");
      CHECK(pool.exited(1) == "tell extensions of 1 spindown within 1700ms");
      CHECK(pool.gone(1) == "remove 1");
    }
    SECTION("and no call is given to it meanwhile") {
      CHECK(pool.call(2) == "start 2 for 2");
    }
  }
}

TEST_CASE("extensions hear why the environment ends") {
  Driven pool;
  pool.call(1);
  pool.pool.on_external_extension(1);
  pool.ready(1);
  SECTION("the function's time is over") {
    CHECK(pool.after(3s) == "finish 1 timed out ran 3000ms init 0ms; stop runtime 1");
    CHECK(pool.exited(1) == "tell extensions of 1 timeout within 2000ms");
    CHECK(pool.gone(1).empty());
    CHECK(pool.call(2) == "restart 1 for 2 inside");
    pool.ready(1);
    CHECK(pool.starts == "first 0ms; after_timeout 0ms");
  }
  SECTION("the runtime exited: they hear of it at once") {
    CHECK(pool.exited(1) == "finish 1 exited ran 0ms init 0ms; tell extensions of 1 failure within 2000ms");
    CHECK(pool.gone(1).empty());
    CHECK(pool.call(2) == "restart 1 for 2 inside");
    pool.ready(1);
    CHECK(pool.starts == "first 0ms; after_crash 0ms");
  }
  SECTION("another extension crashed: the invocation failed") {
    CHECK(pool.extension_failed(1) == "finish 1 extension failed ran 0ms init 0ms; stop runtime 1");
    CHECK(pool.exited(1) == "tell extensions of 1 failure within 2000ms");
  }
  SECTION("another one crashed when the caller had its answer") {
    pool.answer(1);
    CHECK(pool.extension_failed(1) == "stop runtime 1");
  }
  SECTION("one that is still busy when the invocation's time is over") {
    pool.answer(1);
    CHECK(pool.after(3s) == "stop runtime 1");
    CHECK(pool.exited(1) == "tell extensions of 1 timeout within 2000ms");
  }
  SECTION("weir stops") {
    CHECK(pool.stop() == "finish 1 cancelled ran 0ms init 0ms; stop runtime 1");
    CHECK(pool.exited(1) == "tell extensions of 1 spindown within 2000ms");
    CHECK(pool.gone(1) == "remove 1; drained");
  }
}

TEST_CASE("an extension that fails in the init phase is tried once more inside the invocation") {
  Driven pool;
  pool.call(1);
  pool.pool.on_external_extension(1);
  CHECK(pool.extension_failed(1) == "init extension after 0ms; stop runtime 1");
  CHECK(pool.exited(1) == "tell extensions of 1 failure within 2000ms");
  CHECK(pool.gone(1) == "restart 1 for 1 inside");
  CHECK(pool.extension_failed(1) == "init extension after 0ms; finish 1 extension failed ran 0ms; kill 1");
  CHECK(pool.starts == "first failed 0ms");
}

TEST_CASE("every start has a reason") {
  SECTION("the first, more at the same time, and again a first one when all are gone") {
    Driven pool;
    pool.call(1);
    pool.call(2);
    pool.after(20ms);
    pool.ready(1);
    pool.after(5ms);
    pool.ready(2);
    CHECK(pool.starts == "first 20ms; scale_out 25ms");
    pool.answer(1);
    pool.ready(1);
    pool.answer(2);
    pool.ready(2);
    pool.after(5min);
    pool.gone(1);
    pool.gone(2);
    pool.call(3);
    pool.ready(3);
    CHECK(pool.starts == "first 20ms; scale_out 25ms; first 0ms");
  }
  SECTION("a second try of the initialization is the same start") {
    Driven pool;
    pool.call(1);
    pool.init_error(1);
    pool.gone(1);
    pool.after(7ms);
    pool.ready(1);
    CHECK(pool.starts == "first 7ms");
  }
}

// ---- Provisioned concurrency (provisioned-concurrency, lambda-runtime-environment) ----

TEST_CASE("provisioned environments are started at once, and used when all of them are there") {
  Driven pool;
  CHECK(pool.provision(2) == "prepare 1; prepare 2");
  CHECK(pool.provisioned() == "0 of 2");
  CHECK(pool.after(100ms).empty());
  CHECK(pool.ready(1).empty());
  CHECK(pool.provisioned() == "0 of 2, 1 held");
  SECTION("a call that comes meanwhile starts one for itself") {
    CHECK(pool.call(7) == "start 3 for 7");
  }
  CHECK(pool.ready(2).empty());
  CHECK(pool.provisioned() == "2 of 2");
  CHECK(pool.provisioned_call(8) == "deliver 8 to 2 for 3000ms");
  CHECK(pool.provisioned_call(9) == "deliver 9 to 1 for 3000ms");
  CHECK(pool.provisioned() == "2 of 2");
  // No call waited for that initialization.
  CHECK(pool.answer(2) == "finish 8 answered ran 0ms");
  CHECK(pool.ready(2).empty());
  CHECK(pool.provisioned_call(10) == "deliver 10 to 2 for 3000ms");
}

TEST_CASE("calls on demand and provisioned ones have environments of their own") {
  Driven pool;
  pool.provision(1);
  pool.ready(1);
  CHECK(pool.call(7) == "start 2 for 7");
  CHECK(pool.ready(2) == "deliver 7 to 2 for 3000ms");
  CHECK(pool.answer(2) == "finish 7 answered ran 0ms init 0ms");
  CHECK(pool.ready(2).empty());
  CHECK(pool.starts == "provisioned 0ms; scale_out 0ms");
  CHECK(pool.provisioned_call(8) == "deliver 8 to 1 for 3000ms");
  CHECK(pool.answer(1) == "finish 8 answered ran 0ms");
  SECTION("a provisioned call waits for the one that comes back, though another one is idle") {
    CHECK(pool.provisioned_call(9).empty());
    SECTION("which it does") {
      CHECK(pool.ready(1) == "deliver 9 to 1 for 3000ms");
    }
    SECTION("but not for long") {
      CHECK(pool.after(49ms).empty());
      CHECK(pool.after(1ms) == "deliver 9 to 2 for 3000ms");
    }
  }
  SECTION("a call on demand does not wait for it") {
    CHECK(pool.call(9) == "deliver 9 to 2 for 3000ms");
    CHECK(pool.call(10) == "start 3 for 10");
  }
}

TEST_CASE("a provisioned environment that dies is replaced") {
  Driven pool;
  pool.provision(1);
  pool.ready(1);
  SECTION("while it is idle") {
    CHECK(pool.exited(1).empty());
    CHECK(pool.provisioned() == "0 of 1");
    CHECK(pool.gone(1) == "remove 1; prepare 2");
  }
  SECTION("by the timeout of a call") {
    CHECK(pool.provisioned_call(7) == "deliver 7 to 1 for 3000ms");
    CHECK(pool.after(3s) == "finish 7 timed out ran 3000ms; kill 1; prepare 2");
    CHECK(pool.gone(1) == "remove 1");
  }
  SECTION("by an exit") {
    pool.provisioned_call(7);
    CHECK(pool.exited(1) == "finish 7 exited ran 0ms");
    CHECK(pool.gone(1) == "remove 1; prepare 2");
  }
  SECTION("by a caller that left") {
    pool.provisioned_call(7);
    CHECK(pool.cancel(7) == "finish 7 cancelled ran 0ms; kill 1");
    CHECK(pool.gone(1) == "remove 1; prepare 2");
  }
  // Calls get the new one as soon as it is there.
  CHECK(pool.ready(2).empty());
  CHECK(pool.provisioned() == "1 of 1");
  CHECK(pool.provisioned_call(8) == "deliver 8 to 2 for 3000ms");
}

TEST_CASE("a provisioned call whose environment is gone runs as any other") {
  Driven pool;
  pool.provision(1);
  pool.ready(1);
  pool.exited(1);
  CHECK(pool.provisioned_call(7) == "start 2 for 7");
}

TEST_CASE("nothing takes down a provisioned environment that nobody uses") {
  Driven pool;
  pool.provision(1);
  pool.ready(1);
  CHECK_FALSE(pool.pool.wake_at().has_value());
  CHECK(pool.after(24h).empty());
  CHECK(pool.provisioned() == "1 of 1");
}

TEST_CASE("the initialization of a provisioned environment has 130 s") {
  Driven pool;
  pool.provision(1);
  CHECK(pool.after(130s - 1ns).empty());
  CHECK(pool.after(1ns) == "init timed out after 130000ms; kill 1");
}

TEST_CASE("a provisioned environment that does not initialize is tried again, ever more rarely") {
  Driven pool;
  CHECK(pool.provision(2) == "prepare 1; prepare 2");
  CHECK(pool.init_error(1) == "init reported after 0ms; kill 1");
  CHECK(pool.exited(2) == "init exited after 0ms");
  CHECK(pool.provisioned() == "0 of 2, failing");
  CHECK(pool.gone(1) == "remove 1");
  CHECK(pool.gone(2) == "remove 2");
  CHECK(pool.pool.wake_at() == pool.now.instant + 2s);
  CHECK(pool.after(2s - 1ns).empty());
  // One alone.
  CHECK(pool.after(1ns) == "prepare 3");
  SECTION("up to once a minute") {
    for (EnvironmentId id = 3; id < 9; ++id) {
      pool.exited(id, true);
      CHECK(pool.gone(id) == "remove " + std::to_string(id));
      pool.after(1min);
    }
    CHECK(pool.exited(9).substr(0, 11) == "init exited");
    pool.gone(9);
    CHECK(pool.pool.wake_at() == pool.now.instant + 1min);
  }
  SECTION("and the others when one succeeds") {
    CHECK(pool.ready(3) == "prepare 4");
    CHECK(pool.provisioned() == "0 of 2, 1 held");
    CHECK(pool.ready(4).empty());
    CHECK(pool.provisioned() == "2 of 2");
  }
  SECTION("and at once when somebody asks for another number") {
    pool.exited(3);
    pool.gone(3);
    CHECK(pool.provision(1) == "prepare 4");
    CHECK(pool.provisioned() == "0 of 1");
  }
}

TEST_CASE("ten of them initialize at a time") {
  Driven pool;
  CHECK(pool.provision(11) ==
        "prepare 1; prepare 2; prepare 3; prepare 4; prepare 5; prepare 6; prepare 7; prepare 8; prepare 9; "
        "prepare 10");
  CHECK(pool.ready(4) == "prepare 11");
  CHECK(pool.ready(5).empty());
}

TEST_CASE("their number is raised: those that were there are used meanwhile") {
  Driven pool;
  pool.provision(1);
  pool.ready(1);
  CHECK(pool.provision(3) == "prepare 2; prepare 3");
  CHECK(pool.ready(2).empty());
  CHECK(pool.provisioned() == "1 of 3, 1 held");
  CHECK(pool.provisioned_call(7) == "deliver 7 to 1 for 3000ms");
  CHECK(pool.answer(1) == "finish 7 answered ran 0ms");
  CHECK(pool.ready(1).empty());
  CHECK(pool.ready(3).empty());
  CHECK(pool.provisioned() == "3 of 3");
}

TEST_CASE("their number is lowered: what is too much ends what it runs") {
  Driven pool;
  pool.provision(3);
  for (EnvironmentId id : {1, 2, 3}) pool.ready(id);
  CHECK(pool.provisioned_call(7) == "deliver 7 to 3 for 3000ms");
  CHECK(pool.provisioned_call(8) == "deliver 8 to 2 for 3000ms");
  SECTION("the idle one goes first") {
    CHECK(pool.provision(2) == "kill 1");
    CHECK(pool.gone(1) == "remove 1");
    CHECK(pool.answer(2) == "finish 8 answered ran 0ms");
    CHECK(pool.ready(2).empty());
    CHECK(pool.provisioned() == "2 of 2");
  }
  SECTION("then those that have ended their call") {
    CHECK(pool.provision(0) == "kill 1");
    CHECK(pool.answer(2) == "finish 8 answered ran 0ms");
    CHECK(pool.ready(2) == "kill 2");
    CHECK(pool.gone(2) == "remove 2");
    CHECK(pool.answer(3) == "finish 7 answered ran 0ms");
    CHECK(pool.ready(3) == "kill 3");
    CHECK(pool.provisioned() == "0 of 0");
  }
  SECTION("and those that initialize before those that are ready") {
    pool.provision(4);
    CHECK(pool.provision(3) == "kill 4");
    CHECK(pool.gone(4) == "remove 4");
  }
}

TEST_CASE("a pool that stops takes down what was kept ready") {
  Driven pool;
  pool.provision(2);
  pool.ready(1);
  CHECK(pool.stop() == "kill 1; kill 2");
  CHECK(pool.gone(1) == "remove 1");
  CHECK(pool.gone(2) == "remove 2; drained");
}
