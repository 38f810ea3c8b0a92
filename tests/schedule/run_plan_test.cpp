#include "schedule/run_plan.h"

#include "schedule/zones.h"

using namespace weir;
using namespace weir::schedule;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using test::expression;
using test::utc;

namespace {

/// A schedule with what it remembers; a restart makes the plan anew of that.
struct Life {
  explicit Life(std::string_view text, PlanRules its_rules = {}, std::string_view start = "2026-03-04T12:00:00Z")
      : schedule{expression(text), test::zone("UTC"), std::nullopt, std::nullopt}, rules(its_rules), now(utc(start)) {
    restart();
  }
  void restart() { plan.emplace(schedule, rules, kept, now); }

  /// Time passes in steps of a second, as a source waits; what runs is noted as "12:05" or "12:05+10" (10 s later).
  std::string run_for(seconds duration) {
    std::string ran;
    const UtcSeconds end = now + duration;
    for (;;) {
      while (const auto run = plan->next(now)) {
        if (run->due > now) break;
        skipped += run->skipped;
        kept = plan->after(*run);
        plan->settle(*run);
        const std::string time = iso_seconds(run->scheduled);
        ran += (ran.empty() ? "" : " ") + time.substr(11, time.ends_with(":00Z") ? 5 : 8);
        const auto later = (now - run->scheduled).count();
        if (later > 0) ran += "+" + std::to_string(later);
      }
      if (now >= end) return ran;
      now += seconds(1);
    }
  }
  void stop_for(seconds duration) {
    now += duration;
    restart();
  }

  Schedule schedule;
  PlanRules rules;
  UtcSeconds now;
  std::optional<PlanMemory> kept;
  std::optional<RunPlan> plan;
  std::size_t skipped = 0;
};

PlanRules missed(Missed what) {
  PlanRules rules;
  rules.missed = what;
  return rules;
}

}  // namespace

TEST_CASE("a plan runs at each time once") {
  Life life("cron(0/5 * * * ? *)");
  CHECK(life.run_for(minutes(16)) == "12:00 12:05 12:10 12:15");
}

TEST_CASE("a rule's rate begins a period after its start, Scheduler's with it, and both keep their rhythm") {
  Life rule("rate(5 minutes)", {}, "2026-03-04T12:00:07Z");
  CHECK(rule.run_for(minutes(10)) == "12:05:07 12:10:07");
  rule.stop_for(minutes(3));
  CHECK(rule.run_for(minutes(5)) == "12:15:07");

  PlanRules at_once;
  at_once.rate_runs_at_once = true;
  Life scheduler("rate(5 minutes)", at_once, "2026-03-04T12:00:07Z");
  CHECK(scheduler.run_for(minutes(9)) == "12:00:07 12:05:07");
  scheduler.stop_for(minutes(3));
  CHECK(scheduler.run_for(minutes(5)) == "12:10:07+120 12:15:07");
}

TEST_CASE("a run that came late within the minute is on time after a restart") {
  Life life("cron(0 * * * ? *)", missed(Missed::kSkip), "2026-03-04T12:30:00Z");
  CHECK(life.run_for(minutes(29)).empty());
  life.kept = life.plan->memory();
  life.stop_for(minutes(2));
  CHECK(life.run_for(seconds(0)) == "13:00+60");
  Life later("cron(0 * * * ? *)", missed(Missed::kSkip), "2026-03-04T12:30:00Z");
  later.kept = later.plan->memory();
  later.stop_for(minutes(31) + seconds(1));
  CHECK(later.run_for(minutes(59)) == "14:00");
}

TEST_CASE("runs missed by a stop") {
  struct Row {
    Missed missed;
    std::string_view ran;
    std::size_t skipped;
  };
  const auto row = GENERATE(values<Row>({
      {Missed::kSkip, "16:00", 3},
      {Missed::kOnce, "15:00+1800 16:00", 2},
      {Missed::kAll, "13:00+9000 14:00+5400 15:00+1800 16:00", 0},
  }));
  Life life("cron(0 * * * ? *)", missed(row.missed));
  CHECK(life.run_for(minutes(30)) == "12:00");
  life.stop_for(hours(3));
  CHECK(life.run_for(hours(1)) == row.ran);
  CHECK(life.skipped == row.skipped);
  life.restart();
  CHECK(life.run_for(minutes(20)).empty());
}

TEST_CASE("one run makes up for the missed, and none if another is due anyway") {
  Life life("cron(0 * * * ? *)", missed(Missed::kOnce));
  CHECK(life.run_for(minutes(30)) == "12:00");
  life.stop_for(hours(2) + minutes(30) + seconds(20));
  CHECK(life.run_for(minutes(10)) == "15:00+20");
  CHECK(life.skipped == 2);
}

TEST_CASE("a crash before a run was kept repeats it, and after it does not") {
  Life life("cron(0 * * * ? *)", missed(Missed::kAll), "2026-03-04T11:59:00Z");
  life.now += seconds(60);
  const auto run = life.plan->next(life.now);
  REQUIRE(run);
  CHECK(run->due == life.now);
  life.restart();  // nothing was kept: this is a first start, and 12:00 is still to come
  CHECK(life.plan->next(life.now)->scheduled == run->scheduled);
  life.kept = life.plan->after(*run);
  life.restart();
  CHECK(life.plan->next(life.now)->scheduled == run->scheduled + hours(1));
}

TEST_CASE("of all missed runs a thousand are made up for, and the others are counted") {
  Life life("rate(1 minute)", missed(Missed::kAll));
  CHECK(life.run_for(minutes(1)) == "12:01");
  SECTION("a thousand") {
    life.stop_for(minutes(1001));
    const std::string ran = life.run_for(seconds(0));
    CHECK(ran.starts_with("12:02+60000 12:03+"));
    CHECK(std::count(ran.begin(), ran.end(), '+') == 1000);
    CHECK(life.skipped == 0);
  }
  SECTION("more") {
    life.stop_for(minutes(1003));
    const std::string ran = life.run_for(seconds(0));
    CHECK(ran.starts_with("12:03+"));
    CHECK(life.skipped == 1);
  }
  SECTION("a year") {
    life.stop_for(hours(24 * 365));
    life.run_for(seconds(0));
    CHECK(life.skipped == 1);  // counting ends there
    CHECK(life.run_for(minutes(2)) == "12:02 12:03");
  }
}

TEST_CASE("nothing was missed before the first start") {
  Life life("cron(0 * * * ? *)", missed(Missed::kAll), "2026-03-04T12:00:01Z");
  CHECK(life.run_for(hours(1)) == "13:00");
  Life once("at(2026-03-04T11:00:00)", missed(Missed::kAll));
  CHECK(once.run_for(hours(1)).empty());
}

TEST_CASE("at() runs once, also when weir was stopped at its time") {
  Life life("at(2026-03-04T12:30:00)");
  CHECK(life.run_for(hours(1)) == "12:30");
  CHECK_FALSE(life.plan->next(life.now));
  life.restart();
  CHECK_FALSE(life.plan->next(life.now));

  Life stopped("at(2026-03-04T12:30:00)");
  stopped.kept = stopped.plan->memory();
  stopped.stop_for(hours(2));
  CHECK(stopped.run_for(hours(1)) == "12:30+5400");
}

TEST_CASE("a wall clock that is set forward makes no storm") {
  Life life("rate(1 minute)");
  CHECK(life.run_for(minutes(2)) == "12:01 12:02");
  life.now += hours(24 * 3);
  CHECK(life.run_for(minutes(2)) == "12:01+60 12:02 12:03 12:04");
}

TEST_CASE("a wall clock that is set back makes no silence, and a small step runs nothing twice") {
  Life life("rate(1 minute)");
  CHECK(life.run_for(minutes(3)) == "12:01 12:02 12:03");
  SECTION("by some minutes") {
    life.now -= minutes(2);
    CHECK(life.run_for(minutes(4)) == "12:04 12:05");
  }
  SECTION("by ten, the most") {
    life.now -= minutes(10);
    CHECK(life.run_for(minutes(11)) == "12:04");
  }
  SECTION("by a day") {
    life.now -= hours(24);
    CHECK(life.run_for(minutes(2)) == "12:04 12:05");
  }
  SECTION("by ten years, after a first start in the wrong one, and with all before it forgotten") {
    life.now -= hours(24 * 3650);
    life.restart();
    CHECK(life.run_for(minutes(2)) == "12:04 12:05");
  }
}

TEST_CASE("a clock that is set forward and back again, with the runs between given up, goes on at once") {
  Life life("rate(1 minute)", missed(Missed::kSkip));
  CHECK(life.run_for(minutes(1)) == "12:01");
  life.now += hours(48) + seconds(70);
  life.plan->next(life.now);
  life.now -= hours(48) + seconds(70);
  CHECK(life.run_for(minutes(2)) == "12:02 12:03");
}

TEST_CASE("start and end") {
  Life life("rate(10 minutes)");
  life.schedule.start_date = utc("2026-03-04T12:03:00Z");
  life.schedule.end_date = utc("2026-03-04T12:23:00Z");
  life.restart();
  CHECK(life.run_for(hours(1)) == "12:03 12:13 12:23");
  CHECK_FALSE(life.plan->next(life.now));

  Life cron("cron(0/10 * * * ? *)");
  cron.schedule.start_date = utc("2026-03-04T12:10:00Z");
  cron.schedule.end_date = utc("2026-03-04T12:29:59Z");
  cron.restart();
  CHECK(cron.run_for(hours(1)) == "12:10 12:20");
}

TEST_CASE("a run comes within its window, at the same place after a restart") {
  PlanRules rules;
  rules.window = minutes(15);
  rules.seed = 42;
  Life life("cron(0/5 * * * ? *)", rules);
  int at_its_time = 0;
  for (int i = 0; i < 100; ++i) {
    const auto run = life.plan->next(life.now);
    REQUIRE(run);
    CHECK(run->due >= run->scheduled);
    CHECK(run->due < run->scheduled + minutes(15));
    if (run->due == run->scheduled) ++at_its_time;
    life.restart();
    CHECK(life.plan->next(life.now)->due == run->due);
    life.now = std::max(life.now, run->due);
    life.kept = life.plan->after(*run);
    life.plan->settle(*run);
    CHECK(life.plan->next(life.now)->scheduled == run->scheduled + minutes(5));  // in order, none left out
  }
  CHECK(at_its_time < 10);
}

TEST_CASE("a run is not missed before its window's end") {
  PlanRules rules = missed(Missed::kSkip);
  rules.window = minutes(30);
  Life life("cron(0 * * * ? *)", rules, "2026-03-04T12:30:00Z");
  life.kept = life.plan->memory();
  life.stop_for(minutes(61));  // 13:31:00
  CHECK(life.run_for(seconds(0)) == "13:00+1860");
  life.kept = PlanMemory{utc("2026-03-04T12:30:00Z"), utc("2026-03-04T12:30:00Z")};
  life.stop_for(seconds(1));
  CHECK(life.run_for(seconds(0)).empty());
}
