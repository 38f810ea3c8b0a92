#include "engine/async_queue.h"

#include <set>

#include <catch2/catch.hpp>

#include "support/print.h"
#include "support/queue_driver.h"

using namespace std::chrono_literals;
using weir::BrokenBelief;
using weir::Duration;
using weir::Random;
using weir::engine::AsyncLimits;
using weir::engine::AsyncQueue;
using weir::engine::AsyncSettings;
using weir::engine::IndexedHeap;
using weir::test::QueueDriver;

namespace {

/// Answers each attempt of event 1 with `outcome` at once and goes to each wake-up, until the event ends; says what all
/// its ends and the runs before it were.
std::string until_end(QueueDriver& drive, const weir::Outcome& outcome, std::string wish) {
  for (int steps = 0; steps < 1000; ++steps) {
    if (wish.find("end ") != std::string::npos) return wish.substr(wish.find("end "));
    wish = wish.find("invoke") != std::string::npos ? drive.tell(1, outcome) : drive.at_wake();
  }
  return "no end";
}

/// One call at a time, as a function that is blocked or an endpoint that is down ends up.
AsyncLimits one_at_a_time() {
  AsyncLimits limits;
  limits.window_min = limits.window_max = 1;
  return limits;
}

}  // namespace

TEST_CASE("an event is invoked as soon as it is there, and a success is its end") {
  QueueDriver drive;
  CHECK(drive.accepts() == "invoke 1");
  CHECK(drive.invoke().age == Duration(0));
  drive.passes(3s);
  CHECK(drive.succeeds(1) == "end 1 Success x1 200+");
  CHECK(drive.ended(1).empty());
  CHECK_FALSE(drive.wait());
  CHECK(drive.queue().events() == 0);
  CHECK(drive.figures().succeeded == 1);
  CHECK(drive.figures().dropped == 0);
}

TEST_CASE("the function always fails") {
  struct Row {
    std::string_view sentence;
    int retries;
    Duration age;
    std::string ends;
    int runs;
  };
  const auto row = GENERATE(values<Row>({
      // Source: recorded from AWS, reference/invoke.md 3.2 and 3.3 [LS test_lambda_destinations]
      {"age 60: the first retry would come too late, there is none", 2, 60s, "end 1 EventAgeExceeded x1 200+", 1},
      {"age 90: exactly one retry, though two are configured", 2, 90s, "end 1 EventAgeExceeded x2 200+", 2},
      {"two retries are three runs", 2, 6h, "end 1 RetriesExhausted x3 200+", 3},
      {"one retry is two runs", 1, 6h, "end 1 RetriesExhausted x2 200+", 2},
      {"no retry is one run", 0, 6h, "end 1 RetriesExhausted x1 200+", 1},
      // Both sides of the age: the second retry is due at 180 s.
      {"age 180: an event of just that age is too old", 2, 180s, "end 1 EventAgeExceeded x2 200+", 2},
      {"age 180 and a moment: the second retry is made", 2, 180s + 1ns, "end 1 RetriesExhausted x3 200+", 3},
      // What ends an event first is that it has no attempt left, not its age.
      {"no retry, age 60: exhausted", 0, 60s, "end 1 RetriesExhausted x1 200+", 1},
  }));
  DYNAMIC_SECTION(row.sentence) {
    QueueDriver drive({.maximum_retry_attempts = row.retries, .maximum_event_age = row.age});
    const auto failed = weir::Outcome(weir::FunctionFailed{"Unhandled", "{}"});
    CHECK(until_end(drive, failed, drive.accepts()) == row.ends);
    CHECK(drive.figures().attempts == static_cast<std::uint64_t>(row.runs));
    CHECK(drive.figures().retries == static_cast<std::uint64_t>(row.runs - 1));
    CHECK(drive.figures().dropped == 0);  // not before it is kept as that
    drive.ended(1);
    CHECK(drive.figures().dropped == 1);
  }
}

TEST_CASE("function errors are tried again after one and then two minutes, and a restart is told") {
  // Source: invocation-async-error-handling; measured gaps of 60 s and 114 s [stackd docs/lambda.md]
  QueueDriver drive;
  drive.accepts();
  CHECK(drive.fails(1) == "remember 1 x1 60s");
  CHECK(drive.wait() == Duration(60s));
  CHECK(drive.after(60s - 1ns).empty());
  CHECK(drive.after(1ns) == "invoke 1#2");
  CHECK(drive.fails(1) == "remember 1 x2 120s");
  CHECK(drive.after(120s - 1ns).empty());
  CHECK(drive.after(1ns) == "invoke 1#3");
  CHECK(drive.succeeds(1) == "end 1 Success x1 200+");  // AWS reports 1, also after failed attempts
}

TEST_CASE("what becomes of an event, by what answers its calls") {
  struct Row {
    std::string_view sentence;
    weir::Outcome outcome;
    Duration age;
    std::string ends;
    bool one_run;
  };
  const auto failed = [](int status) { return weir::Outcome(weir::ServiceFailed{.status = status}); };
  const auto row = GENERATE_COPY(values<Row>({
      // Source: reference/invoke.md 3.3 [stackd docs/lambda.md]
      {"throttled until expiry: count 0, status 429", weir::Outcome(weir::Throttled{}), 60s,
       "end 1 EventAgeExceeded x0 429", false},
      {"a 429 of an endpoint is a throttle too", failed(429), 60s, "end 1 EventAgeExceeded x0 429", false},
      {"500 until expiry", failed(500), 60s, "end 1 EventAgeExceeded x0 500", false},
      {"503 until expiry", failed(503), 60s, "end 1 EventAgeExceeded x0 503", false},
      {"599 until expiry", failed(599), 60s, "end 1 EventAgeExceeded x0 599", false},
      {"the function is gone: retries are used up", failed(404), 6h, "end 1 RetriesExhausted x3 404", false},
      {"the call is refused: the same", failed(400), 6h, "end 1 RetriesExhausted x3 400", false},
      {"499 is still the caller's", failed(499), 6h, "end 1 RetriesExhausted x3 499", false},
      {"the function is gone, and the retry would be too late", failed(404), 60s, "end 1 EventAgeExceeded x1 404",
       true},
  }));
  DYNAMIC_SECTION(row.sentence) {
    QueueDriver drive({.maximum_event_age = row.age});
    const auto accepted = drive.now();
    CHECK(until_end(drive, row.outcome, drive.accepts()) == row.ends);
    // A throttled event keeps its whole age: its last wait ends with it.
    if (row.age == Duration(60s)) CHECK(drive.now().instant - accepted.instant == (row.one_run ? 0s : 60s));
  }
}

TEST_CASE("an event that leads round in a circle ends at once, without a call") {
  // Source: reference/invoke.md 3.3 [stackd docs/lambda.md], 6 [invocation-recursion]
  QueueDriver drive({}, one_at_a_time());
  CHECK(drive.accepts() == "invoke 1");
  CHECK(drive.accepts_recursive() == "end 2 RecursiveInvocation x0 400");
  CHECK(drive.ended(2, false).empty());  // the store refuses: it is asked for again
  CHECK(drive.at_wake() == "end 2 RecursiveInvocation x0 400");
  drive.ended(2);
  CHECK(drive.figures().recursive == 1);
  CHECK(drive.figures().dropped == 1);
  CHECK(drive.figures().attempts == 1);
  drive.stops();
  CHECK(drive.accepts_recursive().empty());  // it waits for the next life
  CHECK(drive.figures().waiting == 1);
  CHECK(drive.figures().recursive == 1);
}

TEST_CASE("reserved concurrency 0 ends events at once") {
  // Source: [LS test_lambda test_reserved_concurrency]; reference/invoke.md 3.3
  const AsyncSettings blocked{.zero_reserved = true};
  SECTION("at acceptance, without a call, a count or a status") {
    QueueDriver drive(blocked);
    CHECK(drive.accepts() == "end 1 ZeroReservedConcurrency x0");
    CHECK(drive.figures().attempts == 0);
  }
  SECTION("at the next attempt, with the runs there were") {
    QueueDriver drive;
    drive.accepts();
    drive.fails(1);
    CHECK(drive.configures(blocked).empty());  // its retry is not due
    CHECK(drive.after(60s - 1ns).empty());
    CHECK(drive.after(1ns) == "end 1 ZeroReservedConcurrency x1");
  }
  SECTION("what waits for its turn ends when the setting comes, what runs goes on") {
    QueueDriver drive({}, one_at_a_time());
    CHECK(drive.accepts_many(3) == "invoke 1");
    CHECK(drive.configures(blocked) == "end 2 ZeroReservedConcurrency x0, end 3 ZeroReservedConcurrency x0");
    CHECK(drive.succeeds(1) == "end 1 Success x1 200+");
  }
  SECTION("and when it goes, events are invoked") {
    QueueDriver drive(blocked);
    drive.configures({});
    CHECK(drive.accepts() == "invoke 1");
  }
}

TEST_CASE("throttles and system errors back off: 1 s, doubled up to 5 min, up to a quarter more") {
  // Source: invocation-async-error-handling; reference/invoke.md 3.1
  const bool throttles = GENERATE(true, false);
  QueueDriver drive;
  drive.accepts();
  Duration least = 1s;
  bool jitter = false;
  for (int failures = 1; failures <= 15; ++failures) {
    if (throttles) {
      drive.throttled(1);
    } else {
      drive.answers(1, 502);
    }
    // The event and its function, which has nothing else, back off alike: the longer of two draws is waited for.
    const Duration wait = drive.wait().value();
    CHECK(wait >= least);
    CHECK(wait <= std::min<Duration>(least * 5 / 4, 5min));
    jitter = jitter || wait != least;
    CHECK(drive.after(wait - 1ns).empty());
    CHECK(drive.after(1ns) == "invoke 1");  // it uses up no attempt
    least = std::min<Duration>(least * 2, 5min);
  }
  CHECK(jitter);
  drive.fails(1);
  drive.at_wake();
  drive.throttled(1);
  CHECK(drive.wait().value() <= 1250ms);  // it ran in between
}

TEST_CASE("a running attempt is not cut by the age, and its late success is one") {
  // Source: [stackd docs/lambda.md]
  QueueDriver drive({.maximum_event_age = 60s});
  drive.accepts();
  CHECK(drive.after(15min).empty());
  SECTION("success") {
    CHECK(drive.succeeds(1) == "end 1 Success x1 200+");
  }
  SECTION("error") {
    CHECK(drive.fails(1) == "end 1 EventAgeExceeded x1 200+");
  }
  SECTION("throttle") {
    CHECK(drive.throttled(1) == "end 1 EventAgeExceeded x0 429");
  }
}

TEST_CASE("an event that waits behind others expires exactly at its age") {
  SECTION("behind throttles: it was never tried, and ends with 429") {
    QueueDriver drive({.maximum_event_age = 60s}, one_at_a_time());
    drive.accepts();
    drive.after(59s);
    CHECK(drive.accepts().empty());
    CHECK(drive.throttled(1).empty());
    CHECK(drive.wait() == Duration(1s));
    CHECK(drive.after(1s - 1ns).empty());
    CHECK(drive.after(1ns) == "end 1 EventAgeExceeded x0 429");
    drive.ended(1);
    std::string wish;
    while (wish.empty()) {
      wish = drive.at_wake();
      if (wish == "invoke 2") wish = drive.throttled(2);
    }
    CHECK(wish == "end 2 EventAgeExceeded x0 429");
    CHECK(drive.now().instant == weir::Instant(1h + 59s + 60s));
  }
  SECTION("behind a long run") {
    QueueDriver drive({.maximum_event_age = 60s}, one_at_a_time());
    drive.accepts_many(2);
    CHECK(drive.wait() == Duration(60s));
    CHECK(drive.after(60s) == "end 2 EventAgeExceeded x0 429");
  }
  SECTION("the oldest first, also where the wall clock was set back between them") {
    QueueDriver drive({.maximum_event_age = 60s}, one_at_a_time());
    drive.accepts_many(2);
    drive.wall_clock_jumps(-20s);
    drive.accepts();  // older by 20 s, as its date says
    CHECK(drive.after(60s) == "end 3 EventAgeExceeded x0 429");
    CHECK(drive.after(20s) == "end 2 EventAgeExceeded x0 429");
  }
  SECTION("a retry that waits for its turn keeps the status of its run") {
    QueueDriver drive({.maximum_event_age = 90s}, one_at_a_time());
    drive.accepts();
    drive.fails(1);
    drive.after(59s);
    CHECK(drive.accepts() == "invoke 2");
    CHECK(drive.after(31s - 1ns).empty());
    CHECK(drive.after(1ns) == "end 1 EventAgeExceeded x1 200+");
  }
  SECTION("a shorter age holds at once for what waits") {
    QueueDriver drive({}, one_at_a_time());
    drive.accepts_many(2);
    drive.after(100s);
    CHECK(drive.configures({.maximum_event_age = 101s}).empty());
    CHECK(drive.configures({.maximum_event_age = 100s}) == "end 2 EventAgeExceeded x0 429");
  }
}

TEST_CASE("a function's window") {
  SECTION("begins with window_min and grows by one with every success, up to window_max") {
    AsyncLimits limits;
    limits.window_min = 2;
    limits.window_max = 4;
    QueueDriver drive({}, limits);
    CHECK(drive.accepts_many(20) == "invoke 1, invoke 2");
    CHECK(drive.succeeds(1) == "end 1 Success x1 200+, invoke 3, invoke 4");
    CHECK(drive.succeeds(2) == "end 2 Success x1 200+, invoke 5, invoke 6");
    CHECK(drive.succeeds(3) == "end 3 Success x1 200+, invoke 7");
    CHECK(drive.fails(4) == "remember 4 x1 60s, invoke 8");  // an error neither opens nor closes it
    CHECK(drive.figures().in_flight == 4);
  }
  SECTION("does not grow while runs take more than twice as long as at their best: they share the machine") {
    AsyncLimits limits;
    limits.window_min = 1;
    QueueDriver drive({}, limits);
    drive.accepts_many(100);
    std::uint64_t id = 0;
    for (int i = 0; i < 4; ++i) drive.succeeds_after(10ms, ++id);
    CHECK(drive.figures().in_flight == 5);
    for (int i = 0; i < 30; ++i) drive.succeeds_after(30ms, ++id);
    const auto settled = drive.figures().in_flight;
    CHECK(settled < 16);  // the mean has to notice first
    for (int i = 0; i < 10; ++i) drive.succeeds_after(30ms, ++id);
    CHECK(drive.figures().in_flight == settled);
    for (int i = 0; i < 30; ++i) drive.succeeds_after(10ms, ++id);
    CHECK(drive.figures().in_flight > settled);
  }
  SECTION("grows where runs are as long as ever, or nobody knows how long they take") {
    AsyncLimits limits;
    limits.window_min = 1;
    QueueDriver drive({}, limits);
    drive.accepts_many(100);
    std::uint64_t id = 0;
    for (int i = 0; i < 20; ++i) drive.succeeds_after(1s + i * 10ms, ++id);
    CHECK(drive.figures().in_flight == 21);
    for (int i = 0; i < 5; ++i) drive.succeeds(++id);
    CHECK(drive.figures().in_flight == 26);
  }
  SECTION("shrinks to what is still in flight when a call is throttled") {
    QueueDriver drive;
    drive.accepts_many(100);
    REQUIRE(drive.figures().in_flight == 16);
    for (int id = 16; id > 3; --id) CHECK(drive.throttled(static_cast<std::uint64_t>(id)).empty());
    CHECK(drive.figures().in_flight == 3);
    CHECK(drive.succeeds(1) == "end 1 Success x1 200+, invoke 17");  // as many again, and the next due
    CHECK(drive.figures().in_flight == 3);
  }
  SECTION("grows by one per window's worth of successes after a throttle, by every one after a minute without") {
    AsyncLimits limits;
    limits.window_min = 13;
    QueueDriver drive({}, limits);
    drive.accepts_many(100);
    drive.throttled(13);
    std::uint64_t id = 0;
    const auto succeed = [&](int times) {
      for (int i = 0; i < times; ++i) drive.succeeds(++id == 13 ? ++id : id);
    };
    succeed(11);
    CHECK(drive.figures().in_flight == 12);
    succeed(1);
    CHECK(drive.figures().in_flight == 13);
    succeed(12);
    CHECK(drive.figures().in_flight == 13);
    drive.passes(1min - 1ns);
    succeed(1);
    CHECK(drive.figures().in_flight == 14);
    succeed(1);
    CHECK(drive.figures().in_flight == 14);
    drive.passes(1ns);
    succeed(3);
    CHECK(drive.figures().in_flight == 17);
  }
}

TEST_CASE("with one execution admitted, a long queue keeps it busy and costs few throttled calls") {
  QueueDriver drive;
  drive.accepts_many(1000);
  // One of those in flight is the admitted one; all others are throttled as soon as they are sent.
  std::set<std::uint64_t> sent;
  for (std::uint64_t id = 1; id <= 16; ++id) sent.insert(id);
  std::uint64_t running = 1;
  int idle = 0;
  for (int runs = 0; runs < 200; ++runs) {
    const auto note = [&](const std::string& wish) {
      for (std::size_t at = 0; (at = wish.find("invoke ", at)) != std::string::npos; at += 7) {
        sent.insert(std::stoull(wish.substr(at + 7)));
      }
    };
    while (sent.size() > 1) {
      const std::uint64_t last = *sent.rbegin() == running ? *sent.begin() : *sent.rbegin();
      sent.erase(last);
      note(drive.throttled(last));
    }
    drive.passes(100ms);
    sent.erase(running);
    note(drive.succeeds(running));
    drive.ended(running);
    if (sent.empty()) ++idle;
    REQUIRE_FALSE(sent.empty());
    running = *sent.begin();
  }
  CHECK(idle == 0);
  CHECK(drive.figures().succeeded == 200);
  CHECK(drive.figures().throttles < 15 + 200 / 9);
}

TEST_CASE("a function of which nothing gets through pauses as a whole") {
  const int status = GENERATE(429, 500);
  QueueDriver drive;
  drive.accepts_many(10'000);
  for (std::uint64_t id = 1; id <= 16; ++id) CHECK(drive.answers(id, status).empty());
  SECTION("one call now and then, however many events wait; another event each time") {
    Duration least = 1s;
    for (std::uint64_t id = 17; id < 30; ++id) {
      const Duration wait = drive.wait().value();
      CHECK(wait >= least);
      CHECK(wait <= std::min<Duration>(least * 5 / 4, 5min));
      CHECK(drive.after(wait - 1ns).empty());
      CHECK(drive.queue().next_attempt(0) == drive.now().instant + 1ns);
      CHECK(drive.after(1ns) == "invoke " + std::to_string(id));
      CHECK(drive.answers(id, status).empty());
      least = std::min<Duration>(least * 2, 5min);
    }
    CHECK(drive.figures().attempts == 29);
  }
  SECTION("an admitted call ends the pause, and the function has its pace again") {
    CHECK(drive.at_wake() == "invoke 17");
    drive.succeeds(17);
    CHECK(drive.figures().in_flight == 17);
    for (std::uint64_t id = 18; id <= 34; ++id) CHECK(drive.answers(id, status).empty());
    CHECK(drive.wait().value() <= 1250ms);  // the first pause again
  }
  SECTION("a failed run is an admitted call too") {
    CHECK(drive.at_wake() == "invoke 17");
    drive.fails(17);
    CHECK(drive.figures().in_flight == 16);
  }
  SECTION("set_function ends the pause: what blocked it may be gone") {
    drive.configures({});
    CHECK(drive.figures().in_flight == 16);
  }
  SECTION("another function does not mind") {
    const auto other = drive.queue().add_function({});
    CHECK(drive.accepts(Duration(0), other) == "invoke 10001");
  }
}

TEST_CASE("a call that was called off waits again, due at once") {
  QueueDriver drive;
  drive.accepts();
  CHECK(drive.cancelled(1) == "invoke 1");
  CHECK(drive.figures().attempts == 2);
  CHECK(drive.figures().retries == 0);
}

TEST_CASE("the store refuses an ending") {
  QueueDriver drive;
  const auto other = drive.queue().add_function({});
  drive.accepts_many(2);
  drive.succeeds(1);
  CHECK(drive.ended(1, false).empty());
  CHECK(drive.figures().store_failures == 1);
  SECTION("it is asked for again, less and less often, and nothing is invoked meanwhile, of no function") {
    CHECK(drive.accepts().empty());
    CHECK(drive.accepts(Duration(0), other).empty());
    CHECK(drive.succeeds(2).empty());  // one is enough to see whether it still refuses
    Duration least = 1s;
    for (int failures = 1; failures <= 12; ++failures) {
      const Duration wait = drive.wait().value();
      CHECK(wait >= least);
      CHECK(wait <= std::min<Duration>(least * 5 / 4, 5min));
      CHECK(drive.after(wait - 1ns).empty());
      const std::string wish = drive.after(1ns);
      CHECK(wish == (failures % 2 == 1 ? "end 1 Success x1 200+" : "end 2 Success x1 200+"));
      CHECK_FALSE(drive.wait());
      CHECK(drive.ended(failures % 2 == 1 ? 1 : 2, false).empty());
      least = std::min<Duration>(least * 2, 5min);
    }
    CHECK(drive.at_wake() == "end 1 Success x1 200+");
    CHECK(drive.ended(1) == "end 2 Success x1 200+, invoke 3, invoke 4");
  }
  SECTION("many refusals at once are one failure") {
    QueueDriver many;
    many.accepts_many(10);
    for (std::uint64_t id = 1; id <= 10; ++id) many.succeeds(id);
    for (std::uint64_t id = 1; id <= 10; ++id) many.ended(id, false);
    CHECK(many.wait().value() <= 1250ms);
    CHECK(many.figures().store_failures == 10);
  }
  SECTION("what expires meanwhile ends when it keeps again") {
    QueueDriver old({.maximum_event_age = 60s}, one_at_a_time());
    old.accepts_many(3);
    CHECK(old.succeeds(1) == "end 1 Success x1 200+, invoke 2");
    CHECK(old.ended(1, false).empty());
    CHECK(old.after(2min) == "end 1 Success x1 200+");
    CHECK(old.ended(1) == "end 3 EventAgeExceeded x0 429");
  }
}

TEST_CASE("slow destinations hold their own function back") {
  AsyncLimits limits;
  limits.max_endings = 2;
  QueueDriver drive({}, limits);
  const auto other = drive.queue().add_function({});
  drive.accepts_many(2);
  drive.succeeds(1);
  CHECK(drive.accepts() == "invoke 3");
  drive.succeeds(2);
  CHECK(drive.accepts().empty());
  CHECK_FALSE(drive.wait());
  CHECK(drive.accepts(Duration(0), other) == "invoke 5");
  CHECK(drive.succeeds(3) == "end 3 Success x1 200+");  // what is in flight may pass the bound
  CHECK(drive.ended(1).empty());
  CHECK(drive.ended(2) == "invoke 4");
  SECTION("and what expires together ends by and by") {
    QueueDriver expiring({.maximum_event_age = 60s}, limits);
    expiring.accepts_many(20);
    for (std::uint64_t id = 1; id <= 16; ++id) expiring.throttled(id);
    CHECK(expiring.after(60s) == "end 1 EventAgeExceeded x0 429, end 2 EventAgeExceeded x0 429");
    CHECK(expiring.ended(1) == "end 3 EventAgeExceeded x0 429");
  }
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
      {"a retry keeps its time", 1, Duration(45s), 45s},
      {"a time that passed is now", 2, Duration(-100h), 0s},
      {"no retry waits longer than two minutes, whatever the wall clock did", 2, Duration(120s + 1ns), 120s},
      {"two minutes are two minutes", 2, Duration(120s), 120s},
      {"years away", 1, Duration(24h * 3650), 120s},
  }));
  DYNAMIC_SECTION(row.sentence) {
    QueueDriver drive;
    std::string wish = drive.restores(10s, row.attempts, row.due_in);
    if (row.waits > 0s) {
      CHECK(drive.wait() == row.waits);
      wish = drive.at_wake();
    }
    CHECK(wish == (row.attempts == 0 ? "invoke 1" : "invoke 1#" + std::to_string(row.attempts + 1)));
    CHECK(drive.figures().restored == 1);
    CHECK(drive.figures().received == 0);
  }
  SECTION("its attempts are counted on") {
    QueueDriver drive;
    drive.restores(10s, 2);
    CHECK(drive.fails(1) == "end 1 RetriesExhausted x3 200+");
  }
  SECTION("what is too old ends with the runs it had") {
    QueueDriver drive;
    CHECK(drive.restores(6h, 1) == "end 1 EventAgeExceeded x1 429");
    CHECK(drive.restores(6h - 1ns, 1) == "invoke 2#2");
  }
  SECTION("those of a dead letter that was sent again may come behind newer ones") {
    QueueDriver drive;
    drive.restores(10s);
    drive.queue().on_accepted(drive.now(), {.id = 9, .accepted = drive.now().wall});
    drive.queue().on_accepted(drive.now(), {.id = 5, .accepted = drive.now().wall});
    CHECK(drive.figures().received == 2);
    CHECK(drive.queue().events() == 3);
  }
}

TEST_CASE("a jump of the wall clock makes no storm and loses nothing") {
  QueueDriver drive;
  drive.accepts_many(2);
  drive.fails(1);
  drive.throttled(2);
  SECTION("back: waits stay as long as they were, no age is negative") {
    drive.wall_clock_jumps(-1000h);
    CHECK(drive.after(0s).empty());
    CHECK(drive.at_wake() == "invoke 2");
    CHECK(drive.invoke().age == Duration(0));
    drive.succeeds(2);
    CHECK(drive.now().instant + drive.wait().value() == weir::Instant(1h + 60s));
    CHECK(drive.at_wake() == "invoke 1#2");
  }
  SECTION("forward within the age: waits stay as long as they were") {
    drive.wall_clock_jumps(5h);
    CHECK(drive.after(0s).empty());
    CHECK(drive.after(59s) == "invoke 2");
    drive.succeeds(2);
    CHECK(drive.after(1s) == "invoke 1#2");
  }
  SECTION("forward beyond the age: what waits is too old") {
    drive.wall_clock_jumps(6h);
    CHECK(drive.after(0s) == "end 1 EventAgeExceeded x1 200+, end 2 EventAgeExceeded x0 429");
  }
}

TEST_CASE("stopping waits for what is in flight and what ends, and leaves the rest to the store") {
  QueueDriver drive({}, one_at_a_time());
  SECTION("nothing there: drained at once, and once") {
    CHECK(drive.stops() == "drained");
    CHECK(drive.stops().empty());
    CHECK(drive.queue().drained());
    CHECK(drive.accepts().empty());
    CHECK_FALSE(drive.wait());
  }
  SECTION("a success is kept before") {
    drive.accepts_many(3);
    CHECK(drive.stops().empty());
    CHECK_FALSE(drive.wait());
    CHECK(drive.succeeds(1) == "end 1 Success x1 200+");
    CHECK(drive.ended(1) == "drained");
    CHECK(drive.figures().waiting == 2);
  }
  SECTION("a failed run is remembered") {
    drive.accepts();
    drive.stops();
    CHECK(drive.fails(1) == "remember 1 x1 60s, drained");
  }
  SECTION("a throttled or cancelled one just waits") {
    drive.accepts();
    drive.stops();
    CHECK((GENERATE(true, false) ? drive.throttled(1) : drive.cancelled(1)) == "drained");
  }
  SECTION("an ending that the store refuses is given up") {
    drive.accepts();
    drive.succeeds(1);
    drive.stops();
    CHECK(drive.ended(1, false) == "drained");
    CHECK(drive.figures().ending == 1);
  }
  SECTION("one that it has refused is tried a last time") {
    drive.accepts();
    drive.succeeds(1);
    drive.ended(1, false);
    CHECK(drive.stops() == "end 1 Success x1 200+");
    CHECK(drive.ended(1, GENERATE(true, false)) == "drained");
  }
  SECTION("retries, ages and new events wait") {
    drive.accepts();
    drive.stops();
    CHECK(drive.accepts().empty());
    CHECK(drive.after(7h).empty());
    CHECK(drive.configures({.zero_reserved = true}).empty());
  }
}

TEST_CASE("each answer is asked for, once") {
  QueueDriver drive;
  drive.accepts();
  CHECK_THROWS_AS(drive.ended(1), BrokenBelief);
  drive.succeeds(1);
  CHECK_THROWS_AS(drive.succeeds(1), BrokenBelief);
  drive.ended(1);
  CHECK_THROWS_AS(drive.ended(1), BrokenBelief);
  const auto stale = drive.ref(1);
  drive.accepts();
  REQUIRE(drive.ref(2).slot == stale.slot);
  CHECK_THROWS_AS(drive.queue().on_outcome(drive.now(), stale, weir::Outcome()), BrokenBelief);
}

TEST_CASE("full is full") {
  AsyncLimits limits = one_at_a_time();
  limits.max_events = 2;
  QueueDriver drive({}, limits);
  drive.accepts();
  CHECK_FALSE(drive.queue().full());
  drive.accepts();
  CHECK(drive.queue().full());
  drive.succeeds(1);
  CHECK(drive.queue().full());
  drive.ended(1);
  CHECK_FALSE(drive.queue().full());
}

TEST_CASE("what users are shown") {
  QueueDriver drive({}, one_at_a_time());
  CHECK_FALSE(drive.queue().oldest(0));
  CHECK_FALSE(drive.queue().next_attempt(0));
  drive.accepts(5s);
  CHECK(drive.queue().oldest(0) == drive.now().wall - 5s);
  CHECK_FALSE(drive.queue().next_attempt(0));
  drive.accepts(7s);
  CHECK(drive.queue().oldest(0) == drive.now().wall - 7s);
  CHECK(drive.queue().next_attempt(0) == drive.now().instant);
  drive.fails(1);
  CHECK(drive.figures().waiting == 1);
  CHECK(drive.figures().in_flight == 1);
  CHECK(drive.queue().next_attempt(0) == drive.now().instant + 60s);
  drive.succeeds(2);
  CHECK(drive.figures().ending == 1);
  CHECK(drive.queue().oldest(0) == drive.now().wall - 5s);  // an event that is over counts no more
  CHECK(drive.queue().events() == 2);
}

TEST_CASE("ages are counted at each attempt, in buckets whose bounds belong to them") {
  struct Row {
    Duration age;
    std::size_t bucket;
  };
  const auto row = GENERATE(values<Row>(
      {{0s, 0}, {5ms, 0}, {5ms + 1ns, 1}, {1s, 4}, {300s, 9}, {300s + 1ns, 10}, {21600s, 13}, {21600s + 1ns, 14}}));
  QueueDriver drive({.maximum_event_age = 100h});
  CHECK(drive.accepts(row.age) == "invoke 1");
  CHECK(drive.invoke().age == row.age);
  CHECK(drive.figures().ages[row.bucket] == 1);
  CHECK(drive.figures().age_sum == row.age);
}

TEST_CASE("AWS's names of the conditions") {
  using weir::engine::AsyncCondition;
  CHECK(text(AsyncCondition::kSuccess) == "Success");
  CHECK(text(AsyncCondition::kRetriesExhausted) == "RetriesExhausted");
  CHECK(text(AsyncCondition::kEventAgeExceeded) == "EventAgeExceeded");
  CHECK(text(AsyncCondition::kZeroReservedConcurrency) == "ZeroReservedConcurrency");
  CHECK(text(AsyncCondition::kRecursiveInvocation) == "RecursiveInvocation");
}

namespace {

/// Numbers with a place each; counts how often the heap looks at one.
struct Items {
  std::vector<std::uint32_t>* places;
  std::uint64_t* looks;
  std::uint32_t& place(std::uint32_t item) {
    ++*looks;
    return (*places)[item];
  }
  bool before(std::uint32_t a, std::uint32_t b) { return a < b; }
};

}  // namespace

TEST_CASE("the heap keeps order through any adding, moving and removing, in steps that grow with the logarithm") {
  constexpr std::uint32_t kItems = 5000;
  std::vector<std::uint32_t> places(kItems, IndexedHeap<int>::kNoPlace);
  std::uint64_t looks = 0;
  const Items items{&places, &looks};
  IndexedHeap<int> heap;
  std::set<std::pair<int, std::uint32_t>> truth;
  std::vector<std::optional<int>> keys(kItems);
  Random random(3);
  for (int round = 0; round < 100'000; ++round) {
    const auto item = static_cast<std::uint32_t>(random.below(kItems));
    std::optional<int> key;
    if (random.chance(0.6)) key = static_cast<int>(random.below(1000));
    if (keys[item]) truth.erase({*keys[item], item});
    if (key) truth.insert({*key, item});
    keys[item] = key;
    looks = 0;
    heap.set(items, key, item);
    REQUIRE(looks < 30);
    REQUIRE(heap.size() == truth.size());
    if (!truth.empty()) REQUIRE(std::pair(heap.first_key(), heap.first()) == *truth.begin());
  }
  SECTION("what comes last is added in two looks, however many there are") {
    std::vector<std::uint32_t> many_places(1'000'000, IndexedHeap<int>::kNoPlace);
    const Items many{&many_places, &looks};
    IndexedHeap<int> line;
    for (int i = 0; i < 1'000'000; ++i) {
      looks = 0;
      line.add(many, i, static_cast<std::uint32_t>(i));
      if (looks != 2) FAIL(i << " took " << looks << " looks");
    }
    for (int i = 0; i < 1'000'000; ++i) {
      looks = 0;
      if (line.first() != static_cast<std::uint32_t>(i)) FAIL(i << " is not the first");
      line.remove(many, line.first());
      if (looks > 13) FAIL(i << " took " << looks << " looks");
    }
  }
}

TEST_CASE("a million events of a blocked function wait, cost a call now and then, and end at their age") {
  AsyncLimits limits = one_at_a_time();
  QueueDriver drive({.maximum_event_age = 1h}, limits);
  constexpr int kEvents = 1'000'000;
  const auto accept = [&](int count) {
    for (int i = 0; i < count; ++i) drive.accepts();
  };
  accept(kEvents);
  std::string wish = drive.throttled(1);
  while (drive.figures().ending == 0) {
    wish = drive.at_wake();
    if (wish.find("invoke") == 0) drive.throttled(drive.invoke().event.id);
  }
  CHECK(drive.now().instant == weir::Instant(2h));
  CHECK(drive.figures().attempts < 25);
  CHECK(drive.figures().ending == limits.max_endings);
  for (std::uint64_t id = 1; drive.figures().ending > 0; ++id) drive.ended(id);
  CHECK(drive.figures().dropped == kEvents);
  CHECK(drive.queue().events() == 0);
  CHECK_FALSE(drive.wait());
  CHECK(drive.accepts().empty());  // the pause still holds
  CHECK(drive.at_wake() == "invoke 1000001");
}
