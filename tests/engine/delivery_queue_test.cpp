#include "engine/delivery_queue.h"

#include <catch2/catch.hpp>

#include "support/delivery_driver.h"
#include "support/print.h"

using namespace std::chrono_literals;
using weir::Backoff;
using weir::BrokenBelief;
using weir::DeliveryRules;
using weir::Duration;
using weir::RetryPhase;
using weir::engine::DeliveryLimits;
using weir::engine::TargetSettings;
using weir::engine::wait_before_retry;
using weir::engine::wait_in_phase;
using weir::test::DeliveryDriver;

namespace {

/// SNS's policy for HTTP endpoints. Source: reference push-sources.md 3.6 [sns-message-delivery-retries].
DeliveryRules three_times_20s() {
  return {.phases = {{.retries = 3, .first = 20s, .last = 20s}}};
}

/// SNS's policy for SQS: 100,015 retries.
DeliveryRules sns_to_sqs() {
  return {.phases = {{.retries = 3},
                     {.retries = 2, .first = 1s, .last = 1s},
                     {.retries = 10, .first = 1s, .last = 20s, .backoff = Backoff::kExponential},
                     {.retries = 100'000, .first = 20s, .last = 20s}}};
}

TargetSettings one_at_a_time() {
  return {.max_in_flight = 1};
}

/// Retries with no end, a minute apart.
DeliveryRules for_ever() {
  return {.phases = {{.retries = 1'000'000, .first = 60s, .last = 60s}}};
}

}  // namespace

TEST_CASE("a delivery is attempted as soon as it is there, and its success is its end") {
  DeliveryDriver drive;
  CHECK(drive.accepts() == "try 1");
  CHECK(drive.attempt().age == Duration(0));
  CHECK(drive.delivers(1) == "end 1 delivered x1");
  CHECK(drive.figures().ending == 1);
  CHECK(drive.figures().delivered == 0);  // not before it is kept as that
  CHECK(drive.ended(1).empty());
  CHECK_FALSE(drive.wait());
  CHECK(drive.queue().deliveries() == 0);
  CHECK(drive.figures().delivered == 1);
}

TEST_CASE("the waits of a phase grow from the first to the last, both exact") {
  struct Row {
    std::string_view sentence;
    RetryPhase phase;
    std::vector<Duration> waits;
  };
  const auto row = GENERATE(values<Row>({
      {"linear: by the same amount", {5, 10s, 50s, Backoff::kLinear}, {10s, 20s, 30s, 40s, 50s}},
      {"arithmetic: by 1, 2, 3, 4 parts of 10", {5, 10s, 60s, Backoff::kArithmetic}, {10s, 15s, 25s, 40s, 60s}},
      {"geometric: by the same factor", {5, 1s, 16s, Backoff::kGeometric}, {1s, 2s, 4s, 8s, 16s}},
      {"geometric from nothing: doubled up to the last", {4, 0s, 16s, Backoff::kGeometric}, {0s, 4s, 8s, 16s}},
      {"exponential: by 1, 2, 4, 8 parts of 15", {5, 5s, 20s, Backoff::kExponential}, {5s, 6s, 8s, 12s, 20s}},
      {"one retry waits the first", {1, 3s, 20s, Backoff::kExponential}, {3s}},
      {"two have the ends", {2, 3s, 20s, Backoff::kArithmetic}, {3s, 20s}},
      {"equal ends", {3, 20s, 20s, Backoff::kGeometric}, {20s, 20s, 20s}},
      {"no waits", {3, 0s, 0s, Backoff::kExponential}, {0s, 0s, 0s}},
      {"downwards", {3, 20s, 10s, Backoff::kLinear}, {20s, 15s, 10s}},
  }));
  DYNAMIC_SECTION(row.sentence) {
    std::vector<Duration> waits;
    for (int k = 1; k <= row.phase.retries; ++k) waits.push_back(wait_in_phase(row.phase, k));
    CHECK(waits == row.waits);
    CHECK_THROWS_AS(wait_in_phase(row.phase, 0), BrokenBelief);
    CHECK_THROWS_AS(wait_in_phase(row.phase, row.phase.retries + 1), BrokenBelief);
  }
}

TEST_CASE("the waits of a long phase never fall and keep their ends") {
  const auto backoff = GENERATE(Backoff::kLinear, Backoff::kArithmetic, Backoff::kGeometric, Backoff::kExponential);
  const int retries = GENERATE(3, 10, 185, 100'000);
  const RetryPhase phase{retries, 1s, 3600s, backoff};
  Duration before = 1s;
  for (int k = 1; k <= retries; ++k) {
    const Duration wait = wait_in_phase(phase, k);
    if (wait < before || wait > 3600s) FAIL("wait " << k << " is " << wait.count());
    before = wait;
  }
  CHECK(wait_in_phase(phase, 1) == 1s);
  CHECK(before == 3600s);
}

TEST_CASE("phases follow each other") {
  const DeliveryRules rules = sns_to_sqs();
  CHECK(wait_before_retry(rules, 1) == Duration(0));
  CHECK(wait_before_retry(rules, 3) == Duration(0));
  CHECK(wait_before_retry(rules, 4) == Duration(1s));
  CHECK(wait_before_retry(rules, 6) == Duration(1s));
  CHECK(wait_before_retry(rules, 14) > Duration(10s));
  CHECK(wait_before_retry(rules, 14) < Duration(20s));
  CHECK(wait_before_retry(rules, 15) == Duration(20s));
  CHECK(wait_before_retry(rules, 16) == Duration(20s));
  CHECK(wait_before_retry(rules, 100'015) == Duration(20s));
  CHECK_FALSE(wait_before_retry(rules, 100'016));
  CHECK_FALSE(wait_before_retry({}, 1));
  CHECK(wait_before_retry({.phases = {{.retries = 0}, {.retries = 1, .first = 2s}}}, 1) == Duration(2s));
}

TEST_CASE("a target that always fails") {
  DeliveryDriver drive(three_times_20s());
  CHECK(drive.accepts() == "try 1");
  CHECK(drive.fails(1) == "remember 1 x1 20s");
  CHECK(drive.wait() == Duration(20s));
  CHECK(drive.queue().next_attempt(0) == drive.now().instant + 20s);
  CHECK(drive.after(20s - 1ns).empty());
  CHECK(drive.after(1ns) == "try 1#2");
  CHECK(drive.attempt().age == Duration(20s));
  CHECK(drive.fails(1) == "remember 1 x2 20s");
  CHECK(drive.at_wake() == "try 1#3");
  CHECK(drive.fails(1) == "remember 1 x3 20s");
  CHECK(drive.at_wake() == "try 1#4");
  CHECK(drive.fails(1) == "end 1 exhausted x4");
  drive.ended(1);
  CHECK(drive.figures().exhausted == 1);
  CHECK(drive.figures().attempts == 4);
  CHECK(drive.figures().retries == 3);
}

TEST_CASE("what ends a delivery") {
  SECTION("no phases: one attempt") {
    DeliveryDriver drive;
    drive.accepts();
    CHECK(drive.fails(1) == "end 1 exhausted x1");
  }
  SECTION("refused for good: at once, whatever retries there are") {
    DeliveryDriver drive(three_times_20s());
    drive.accepts();
    CHECK(drive.refuses(1) == "end 1 refused x1");
    drive.ended(1);
    CHECK(drive.figures().refused == 1);
  }
  SECTION("a retry that would come at the age is not waited for") {
    DeliveryRules rules = three_times_20s();
    rules.max_age = 40s;
    DeliveryDriver drive(rules);
    drive.accepts();
    CHECK(drive.fails(1) == "remember 1 x1 20s");
    drive.at_wake();
    CHECK(drive.fails(1) == "end 1 expired x2");
    drive.ended(1);
    CHECK(drive.figures().expired == 1);
  }
  SECTION("a moment before the age it is made") {
    DeliveryRules rules = three_times_20s();
    rules.max_age = 40s + 1ns;
    DeliveryDriver drive(rules);
    drive.accepts();
    drive.fails(1);
    drive.at_wake();
    CHECK(drive.fails(1) == "remember 1 x2 20s");
    CHECK(drive.at_wake() == "try 1#3");
  }
  SECTION("no retry left: exhausted, though it is too old as well") {
    DeliveryDriver drive({.max_age = 60s});
    drive.accepts();
    drive.after(2h);
    CHECK(drive.fails(1) == "end 1 exhausted x1");
  }
  SECTION("what waits for its turn is over at its age") {
    DeliveryDriver drive({.max_age = 60s}, one_at_a_time());
    CHECK(drive.accepts_many(2) == "try 1");
    CHECK(drive.wait() == Duration(60s));
    CHECK(drive.after(60s - 1ns).empty());
    CHECK(drive.after(1ns) == "end 2 expired x0");
    CHECK(drive.delivers(1) == "end 1 delivered x1");  // what is in flight is not cut
  }
  SECTION("a success is one, however late") {
    DeliveryDriver drive({.max_age = 60s});
    drive.accepts();
    drive.after(2h);
    CHECK(drive.delivers(1) == "end 1 delivered x1");
  }
  SECTION("of those that are due when they are too old, none is begun") {
    DeliveryDriver drive({.phases = {{.retries = 1, .first = 30s}}, .max_age = 60s}, one_at_a_time());
    drive.accepts_many(2);
    drive.after(30s);
    CHECK(drive.fails(1) == "end 1 expired x1, try 2");
    CHECK(drive.cancelled(2) == "try 2");
    drive.after(30s);
    CHECK(drive.cancelled(2) == "end 2 expired x0");
  }
}

TEST_CASE("rules of a life with no end do not pass the end of time") {
  DeliveryDriver drive(for_ever());
  drive.accepts();
  drive.fails(1);
  CHECK(drive.wait() == Duration(60s));
  DeliveryRules centuries = for_ever();
  centuries.max_age = std::chrono::hours(24 * 365 * 200);
  CHECK(drive.accepts_with(centuries) == "try 2");
  drive.fails(2);
  CHECK(drive.wait() == Duration(60s));
}

TEST_CASE("what the target asks for is waited for, when it is longer") {
  struct Row {
    std::string_view sentence;
    Duration asked, waits;
  };
  const auto row = GENERATE(values<Row>({
      {"shorter", 19s, 20s},
      {"longer", 21s, 21s},
      {"no longer than an hour", 1h + 1ns, 1h},
      {"negative is nothing", -5s, 20s},
  }));
  DYNAMIC_SECTION(row.sentence) {
    DeliveryDriver drive(three_times_20s());
    drive.accepts();
    drive.fails(1, row.asked);
    CHECK(drive.wait() == row.waits);
    CHECK(drive.remembered().due == drive.now().wall + row.waits);
    CHECK(drive.after(row.waits - 1ns).empty());
    CHECK(drive.after(1ns) == "try 1#2");
  }
  SECTION("beyond the age: it is over") {
    DeliveryRules rules = three_times_20s();
    rules.max_age = 60s;
    DeliveryDriver drive(rules);
    drive.accepts();
    CHECK(drive.fails(1, 60s) == "end 1 expired x1");
  }
}

TEST_CASE("jitter adds up to its share of the wait") {
  DeliveryRules rules{.phases = {{.retries = 1000, .first = 100s, .last = 100s}}, .jitter = 0.25};
  DeliveryDriver drive(rules);
  drive.accepts();
  Duration least = Duration::max(), most{0};
  for (int i = 0; i < 1000; ++i) {
    drive.fails(1);
    least = std::min(least, drive.wait().value());
    most = std::max(most, drive.wait().value());
    drive.at_wake();
  }
  CHECK(least >= 100s);
  CHECK(least < 101s);
  CHECK(most > 124s);
  CHECK(most <= 125s);
}

TEST_CASE("a target has so many in flight and no more") {
  DeliveryDriver drive(three_times_20s(), {.max_in_flight = 2});
  const auto other = drive.queue().add_target(one_at_a_time());
  CHECK(drive.accepts_many(3) == "try 1, try 2");
  CHECK(drive.accepts("", other) == "try 4");
  CHECK(drive.accepts("", other).empty());
  CHECK_FALSE(drive.wait());
  CHECK(drive.delivers(2) == "end 2 delivered x1, try 3");
  CHECK(drive.fails(1) == "remember 1 x1 20s");
  CHECK(drive.figures().in_flight == 1);
  CHECK(drive.queue().figures(other).waiting == 1);
}

TEST_CASE("16 are in flight when nothing else is said") {
  DeliveryDriver drive;
  drive.accepts_many(17);
  CHECK(drive.figures().in_flight == 16);
  CHECK(drive.figures().waiting == 1);
}

TEST_CASE("no more attempts than the target takes in a second") {
  DeliveryRules rules = three_times_20s();
  rules.max_per_second = 4;
  DeliveryDriver drive(rules, {.max_in_flight = 100});
  CHECK(drive.accepts_many(10) == "try 1, try 2, try 3, try 4");
  CHECK(drive.wait() == Duration(250ms));
  CHECK(drive.queue().next_attempt(0) == drive.now().instant + 250ms);
  SECTION("then evenly") {
    CHECK(drive.after(250ms - 1ns).empty());
    CHECK(drive.after(1ns) == "try 5");
    CHECK(drive.after(249ms).empty());
    CHECK(drive.after(1ms) == "try 6");
    CHECK(drive.after(500ms) == "try 7, try 8");
  }
  SECTION("after a second it is full again, and not fuller after ten") {
    CHECK(drive.after(GENERATE(1s, 10s)) == "try 5, try 6, try 7, try 8");
    CHECK(drive.wait() == Duration(250ms));
  }
  SECTION("retries count") {
    for (std::uint64_t id = 1; id <= 4; ++id) drive.fails(id);
    while (drive.figures().attempts < 10) drive.at_wake();
    for (std::uint64_t id = 5; id <= 10; ++id) drive.delivers(id);
    CHECK(drive.after(17s).empty());
    CHECK(drive.at_wake() == "try 1#2, try 2#2, try 3#2, try 4#2");
  }
  SECTION("another target does not mind") {
    const auto other = drive.queue().add_target({.max_in_flight = 100});
    CHECK(drive.accepts("", other) == "try 11");
  }
  SECTION("the strictest limit of what there is holds, and goes with what had it") {
    rules.max_per_second = 1;
    CHECK(drive.accepts_with(rules).empty());
    CHECK(drive.wait() == Duration(1s));  // the four attempts are paid for before
    CHECK(drive.at_wake() == "try 5");
  }
  SECTION("a target without one has none") {
    DeliveryDriver free(three_times_20s(), {.max_in_flight = 100});
    free.accepts_many(50);
    CHECK(free.figures().in_flight == 50);
  }
}

TEST_CASE("a group goes one after the other") {
  DeliveryDriver drive(three_times_20s());
  CHECK(drive.accepts_many(3, "a") == "try 1");
  SECTION("each when the one before is kept as over") {
    CHECK(drive.delivers(1) == "end 1 delivered x1");
    CHECK(drive.ended(1, false).empty());
    CHECK(drive.at_wake() == "end 1 delivered x1");
    CHECK(drive.ended(1) == "try 2");
    drive.delivers(2);
    CHECK(drive.ended(2) == "try 3");
    drive.delivers(3);
    CHECK(drive.ended(3).empty());
    CHECK(drive.accepts("a") == "try 4");
  }
  SECTION("a failing one holds back those behind it, and nobody else") {
    CHECK(drive.fails(1) == "remember 1 x1 20s");
    CHECK(drive.accepts("b") == "try 4");
    CHECK(drive.accepts() == "try 5");
    CHECK(drive.accepts() == "try 6");
    CHECK(drive.accepts("a").empty());
    CHECK(drive.at_wake() == "try 1#2");
    CHECK(drive.refuses(1) == "end 1 refused x2");
    CHECK(drive.ended(1) == "try 2");
  }
  SECTION("a group of the same name of another target is another one") {
    const auto other = drive.queue().add_target();
    CHECK(drive.accepts("a", other) == "try 4");
  }
  SECTION("one that was called off is still the first") {
    CHECK(drive.cancelled(1) == "try 1");
  }
  SECTION("what is too old ends behind the first, and holds nobody back") {
    DeliveryRules young = three_times_20s();
    young.max_age = 60s;
    CHECK(drive.accepts_with(young, "a").empty());
    CHECK(drive.accepts("a").empty());
    CHECK(drive.at_wake() == "end 4 expired x0");
    for (std::uint64_t id = 1; id <= 3; ++id) {
      drive.delivers(id);
      CHECK(drive.ended(id) == (id < 3 ? "try " + std::to_string(id + 1) : "try 5"));
    }
    drive.delivers(5);
    CHECK(drive.ended(5).empty());
    CHECK(drive.accepts("a") == "try 6");
    CHECK(drive.ended(4).empty());
    CHECK(drive.accepts("a").empty());
  }
  SECTION("a smaller id that comes late overtakes what waits, and not what is under way") {
    drive.delivers(1);
    drive.ended(1);
    CHECK(drive.accepts_again(1, "a").empty());
    CHECK(drive.fails(2) == "remember 2 x1 20s, try 1");
    drive.delivers(1);
    CHECK(drive.ended(1).empty());
    CHECK(drive.wait() == Duration(20s));  // it keeps its own time
    CHECK(drive.at_wake() == "try 2#2");
  }
}

TEST_CASE("the store refuses an ending") {
  DeliveryDriver drive(three_times_20s(), {.max_in_flight = 2});
  const auto other = drive.queue().add_target();
  drive.accepts_many(2);
  drive.delivers(1);
  CHECK(drive.ended(1, false).empty());
  CHECK(drive.figures().store_failures == 1);
  CHECK(drive.accepts().empty());
  CHECK(drive.accepts("", other).empty());  // of no target
  CHECK(drive.delivers(2).empty());         // one is enough to see whether it still refuses
  Duration least = 1s;
  for (int failures = 1; failures <= 12; ++failures) {
    const Duration wait = drive.wait().value();
    CHECK(wait >= least);
    CHECK(wait <= std::min<Duration>(least * 5 / 4, 5min));
    CHECK(drive.after(wait - 1ns).empty());
    const std::uint64_t id = failures % 2 == 1 ? 1 : 2;
    CHECK(drive.after(1ns) == "end " + std::to_string(id) + " delivered x1");
    CHECK_FALSE(drive.wait());
    CHECK(drive.ended(id, false).empty());
    least = std::min<Duration>(least * 2, 5min);
  }
  CHECK(drive.at_wake() == "end 1 delivered x1");
  CHECK(drive.ended(1) == "end 2 delivered x1, try 3, try 4");
}

TEST_CASE("slow endings hold their own target back") {
  DeliveryLimits limits;
  limits.max_endings = 2;
  DeliveryDriver drive({.max_age = 60s}, {.max_in_flight = 3}, limits);
  const auto other = drive.queue().add_target();
  drive.accepts_many(6);
  CHECK(drive.delivers(1) == "end 1 delivered x1, try 4");
  CHECK(drive.delivers(2) == "end 2 delivered x1");
  CHECK(drive.delivers(3) == "end 3 delivered x1");  // what is in flight may pass the bound
  CHECK(drive.accepts("", other) == "try 7");
  CHECK(drive.after(60s).empty());  // nor does what is too old end
  CHECK(drive.ended(1).empty());
  CHECK(drive.ended(2) == "end 5 expired x0");
  CHECK(drive.ended(3) == "end 6 expired x0");
}

TEST_CASE("what an earlier life left") {
  struct Row {
    std::string_view sentence;
    int attempts;
    std::optional<Duration> due_in;
    Duration waits;
  };
  const auto row = GENERATE(values<Row>({
      {"without a due time it is due now", 0, std::nullopt, 0s},
      {"a retry keeps its time", 1, Duration(15s), 15s},
      {"a time that passed is now", 2, Duration(-100h), 0s},
      {"an hour, which the target may ask for, is an hour", 1, Duration(1h), 1h},
      {"nothing waits longer, whatever the wall clock did", 1, Duration(1h + 1ns), 1h},
  }));
  DYNAMIC_SECTION(row.sentence) {
    DeliveryDriver drive(three_times_20s());
    CHECK(drive.restores(7, 10s, row.attempts, row.due_in).empty());
    CHECK_FALSE(drive.wait());  // nothing is begun before start()
    std::string wish = drive.starts();
    if (row.waits > 0s) {
      CHECK(wish.empty());
      CHECK(drive.wait() == row.waits);
      wish = drive.at_wake();
    }
    CHECK(wish == (row.attempts == 0 ? "try 7" : "try 7#" + std::to_string(row.attempts + 1)));
    CHECK(drive.figures().restored == 1);
    CHECK(drive.figures().received == 0);
  }
  SECTION("longer than an hour when the rules say so, their jitter included") {
    DeliveryDriver drive({.phases = {{.retries = 1, .first = 2h}}, .jitter = 0.5});
    drive.restores(1, 10s, 1, 4h);
    drive.starts();
    CHECK(drive.wait() == Duration(3h));
  }
  SECTION("its attempts are counted on") {
    DeliveryDriver drive(three_times_20s());
    drive.restores(1, 10s, 3);
    CHECK(drive.starts() == "try 1#4");
    CHECK(drive.fails(1) == "end 1 exhausted x4");
  }
  SECTION("what is too old ends with the attempts it had, both sides") {
    DeliveryDriver drive({.max_age = 60s});
    drive.restores(2, 60s - 1ns, 1);
    drive.restores(1, 60s, 2);
    CHECK(drive.starts() == "try 2#2, end 1 expired x2");
  }
  SECTION("groups come back in the order of their ids, told in any order, with new ones behind them") {
    DeliveryDriver drive(three_times_20s());
    drive.restores(5, 10s, 0, std::nullopt, "a");
    drive.restores(9, 10s, 0, std::nullopt, "a");
    drive.restores(3, 10s, 1, 15s, "a");
    drive.restores(7, 10s, 0, std::nullopt, "b");
    CHECK(drive.starts() == "try 7");
    CHECK(drive.accepts("a").empty());
    CHECK(drive.at_wake() == "try 3#2");
    for (const auto& [id, next] : std::map<std::uint64_t, std::string>{{3, "try 5"}, {5, "try 9"}, {9, "try 10"}}) {
      drive.delivers(id);
      CHECK(drive.ended(id) == next);
    }
  }
  SECTION("one that had to wait, and then another came before it, keeps its time") {
    DeliveryDriver drive(three_times_20s());
    drive.restores(5, 10s, 1, 15s, "a");
    drive.restores(3, 10s, 0, std::nullopt, "a");
    CHECK(drive.starts() == "try 3");
    drive.delivers(3);
    CHECK(drive.ended(3).empty());
    CHECK(drive.wait() == Duration(15s));
  }
  SECTION("after start() nothing is restored") {
    DeliveryDriver drive;
    drive.starts();
    CHECK_THROWS_AS(drive.restores(1, 10s), BrokenBelief);
  }
}

TEST_CASE("a jump of the wall clock makes no storm and loses nothing") {
  DeliveryRules rules = three_times_20s();
  rules.max_age = 24h;
  DeliveryDriver drive(rules);
  drive.accepts();
  drive.fails(1);
  SECTION("back: waits stay as long as they were, no age is negative") {
    drive.wall_clock_jumps(-1000h);
    CHECK(drive.after(0s).empty());
    CHECK(drive.at_wake() == "try 1#2");
    CHECK(drive.attempt().age == Duration(0));
  }
  SECTION("forward within the age: waits stay as long as they were") {
    drive.wall_clock_jumps(23h);
    CHECK(drive.after(20s - 1ns).empty());
    CHECK(drive.after(1ns) == "try 1#2");
  }
  SECTION("forward beyond the age: what waits is too old") {
    drive.wall_clock_jumps(24h);
    CHECK(drive.after(0s) == "end 1 expired x1");
  }
}

TEST_CASE("stopping waits for what is in flight and what ends, and leaves the rest to the store") {
  DeliveryDriver drive(three_times_20s(), one_at_a_time());
  SECTION("nothing there: drained at once, and once") {
    CHECK(drive.stops() == "drained");
    CHECK(drive.stops().empty());
    CHECK(drive.queue().drained());
    CHECK(drive.accepts().empty());
    CHECK_FALSE(drive.wait());
  }
  SECTION("before start()") {
    drive.restores(1, 10s);
    CHECK(drive.stops() == "drained");
    CHECK(drive.starts().empty());
    CHECK(drive.figures().waiting == 1);
  }
  SECTION("a success is kept before") {
    drive.accepts_many(3);
    CHECK(drive.stops().empty());
    CHECK_FALSE(drive.wait());
    CHECK(drive.delivers(1) == "end 1 delivered x1");
    CHECK(drive.ended(1) == "drained");
    CHECK(drive.figures().waiting == 2);
  }
  SECTION("a failed attempt is remembered, one called off just waits") {
    drive.accepts();
    drive.stops();
    CHECK((GENERATE(true, false) ? drive.fails(1) == "remember 1 x1 20s, drained" : drive.cancelled(1) == "drained"));
  }
  SECTION("an ending that the store refuses is given up") {
    drive.accepts();
    drive.delivers(1);
    drive.stops();
    CHECK(drive.ended(1, false) == "drained");
    CHECK(drive.figures().ending == 1);
  }
  SECTION("one that it has refused is tried a last time") {
    drive.accepts();
    drive.delivers(1);
    drive.ended(1, false);
    CHECK(drive.stops() == "end 1 delivered x1");
    CHECK(drive.ended(1, GENERATE(true, false)) == "drained");
  }
  SECTION("the next of a group waits") {
    drive.accepts_many(2, "a");
    drive.delivers(1);
    drive.stops();
    CHECK(drive.ended(1) == "drained");
  }
}

TEST_CASE("each answer is asked for, once") {
  DeliveryDriver drive;
  drive.accepts();
  CHECK_THROWS_AS(drive.ended(1), BrokenBelief);
  drive.delivers(1);
  CHECK_THROWS_AS(drive.delivers(1), BrokenBelief);
  drive.ended(1);
  CHECK_THROWS_AS(drive.ended(1), BrokenBelief);
  const auto stale = drive.ref(1);
  drive.accepts();
  REQUIRE(drive.ref(2).slot == stale.slot);
  CHECK_THROWS_AS(drive.queue().on_outcome(drive.now(), stale, weir::engine::DeliveryResult::kDelivered), BrokenBelief);
}

TEST_CASE("full is full") {
  DeliveryLimits limits;
  limits.max_deliveries = 2;
  DeliveryDriver drive({}, one_at_a_time(), limits);
  drive.accepts();
  CHECK_FALSE(drive.queue().full());
  drive.accepts();
  CHECK(drive.queue().full());
  drive.delivers(1);
  CHECK(drive.queue().full());
  drive.ended(1);
  CHECK_FALSE(drive.queue().full());
}

TEST_CASE("the oldest is of those that are not over, whatever their rules") {
  DeliveryDriver drive(three_times_20s(), one_at_a_time());
  CHECK_FALSE(drive.queue().oldest(0));
  CHECK_FALSE(drive.queue().next_attempt(0));
  const auto began = drive.now().wall;
  drive.accepts();
  drive.after(5s);
  drive.accepts_with(for_ever());
  CHECK(drive.queue().oldest(0) == began);
  drive.delivers(1);
  CHECK(drive.queue().oldest(0) == began + 5s);
  drive.delivers(2);
  CHECK_FALSE(drive.queue().oldest(0));
}

TEST_CASE("EventBridge's names of what exhausted the retries") {
  using weir::engine::DeliveryCondition;
  using weir::engine::exhausted_retry_condition;
  // Source: reference push-sources.md 4.4 [eb-rule-dlq]
  CHECK(exhausted_retry_condition(DeliveryCondition::kRetriesExhausted) == "MaximumRetryAttempts");
  CHECK(exhausted_retry_condition(DeliveryCondition::kAgeExceeded) == "MaximumEventAgeInSeconds");
  CHECK(exhausted_retry_condition(DeliveryCondition::kRefused).empty());
  CHECK(exhausted_retry_condition(DeliveryCondition::kDelivered).empty());
}

TEST_CASE("a million deliveries wait behind one target, some in groups, and end at their age") {
  DeliveryDriver drive({.max_age = 1h}, one_at_a_time());
  constexpr int kDeliveries = 1'000'000;
  for (int i = 0; i < kDeliveries; ++i) drive.accepts(i % 2 == 0 ? "" : i % 4 == 1 ? "a" : std::to_string(i % 1000));
  CHECK(drive.figures().waiting == kDeliveries - 1);
  CHECK(drive.wait() == Duration(1h));
  drive.at_wake();
  CHECK(drive.figures().ending == 1000);
  for (std::uint64_t id = 2; drive.figures().waiting > 0 || drive.figures().ending > 0; ++id) drive.ended(id);
  CHECK(drive.figures().expired == kDeliveries - 1);
  drive.delivers(1);
  drive.ended(1);
  CHECK(drive.queue().deliveries() == 0);
  CHECK_FALSE(drive.wait());
}
