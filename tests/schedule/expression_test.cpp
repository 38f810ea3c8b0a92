#include "schedule/expression.h"

#include <algorithm>
#include <set>
#include <vector>

#include "weir/base/random.h"

#include "schedule/zones.h"

using namespace weir;
using namespace weir::schedule;
using test::expression;
using test::shown;
using test::utc;
using test::zone;

namespace {

/// The next `count` occurrences behind a time, without the `:00Z` that all of them have.
std::string occurrences(std::string_view text, std::string_view place, std::string_view behind, int count) {
  const Expression when = expression(text);
  const auto where = zone(place);
  std::string all;
  UtcSeconds from = utc(behind) + std::chrono::seconds(1);
  for (int i = 0; i < count; ++i) {
    const auto next = when.next(from, *where, utc(behind));
    std::string one = shown(next);
    if (one.ends_with(":00Z")) one.resize(one.size() - 4);
    all += (all.empty() ? "" : " ") + one;
    if (!next) break;
    from = *next + std::chrono::seconds(1);
  }
  return all;
}

bool accepted(std::string_view text, Grammar grammar) {
  return static_cast<bool>(Expression::parse(text, grammar));
}

}  // namespace

TEST_CASE("what AWS takes") {
  // Source: localstack test_events_schedule.py (recorded from AWS), eb-create-rule-schedule.
  const auto text = GENERATE(
      as<std::string>(), "rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "rate(12 hours)", "rate(1 day)",
      "rate(7 days)", "cron(0 2 ? * SAT *)", "cron(0 12 * * ? *)", "cron(5,35 14 * * ? *)",
      "cron(15 10 ? * 6L 2002-2005)", "cron(0 2 ? * SAT#3 *)", "cron(* * ? * SAT#3 *)", "cron(0/5 5 ? JAN 1-5 2022)",
      "cron(0 18 ? * MON-FRI *)", "cron(0 8 1 * ? *)", "cron(0/15 * * * ? *)", "cron(0/5 8-17 ? * MON-FRI *)",
      "cron(0/30 20-2 ? * MON-FRI *)", "cron(0 0 L * ? *)", "cron(0 0 3W * ? *)", "cron(*/15 * * * ? *)",
      "cron(0-59/10 * * * ? *)", "cron(0 0 ? * L *)", "cron(0 0 1,15,31 1-12/2 ? 1970-2199)", "cron(1/10 0 ? * 3#2 *)");
  CHECK(accepted(text, Grammar::kRule));
  CHECK(accepted(text, Grammar::kScheduler));
}

TEST_CASE("what AWS refuses") {
  const auto text = GENERATE(
      as<std::string>(), "", "rate(10 seconds)", "rate(10 years)", "rate(1 minutes)", "rate(1 hours)", "rate(1 days)",
      "rate(10 minute)", "rate(10 hour)", "rate(10 day)", "rate()", "rate(10)", "rate(10 minutess)",
      "rate(foo minutes)", "rate(0 minutes)", "rate(-10 minutes)", "rate(+10 minutes)", "rate(10 MINUTES)",
      "rate( 10 minutes )", " rate(10 minutes)", "rate(10 minutes) ", "RATE(10 minutes)", "rate(10  minutes)",
      "rate(1.5 hours)", "rate(99999999999999999999 days)", "rate(9223372036854775807 days)", "rate(10 minutes",
      "cron()", "cron(INVALID)", "cron(0 1 * * * *)", "cron(0 1 ? * ? *)", "cron(7 20 * * NOT *)",
      "cron(0 dummy ? * MON-FRI *)", "cron(71 8 1 * ? *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
      "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 * 0 ? *)", "cron(0 0 * 13 ? *)", "cron(0 0 ? * 0 *)",
      "cron(0 0 ? * 8 *)", "cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)", "cron(0 0 * * ? 2005-2002)",
      "cron(0 0 * * ?)", "cron(0 0 * * ? * *)", "cron(0/0 0 * * ? *)", "cron(0/60 0 * * ? *)", "cron(0, 0 * * ? *)",
      "cron(,0 0 * * ? *)", "cron(1-2-3 0 * * ? *)", "cron(-1 0 * * ? *)", "cron(? 0 * * ? *)", "cron(0 0 0W * ? *)",
      "cron(0 0 W * ? *)", "cron(0 0 3W,5 * ? *)", "cron(0 0 L,5 * ? *)", "cron(0 0 ? * 3#0 *)", "cron(0 0 ? * 3#6 *)",
      "cron(0 0 ? * 3#1,4#2 *)", "cron(0 0 ? * 3#1#2 *)", "cron(0 0 ? * #2 *)", "cron(0 0 ? * 8L *)",
      "cron( 0 0 * * ? *)", "cron(0 0 L * L *)", "every day", "at()", "at(2026-11-20)", "at(2026-11-20T13:00:00Z)",
      "at(2026-11-20T13:00)", "at(2026-11-20 13:00:00)", "at(2026-02-29T00:00:00)", "at(2026-11-20T24:00:00)",
      "at(2026-11-20T13:60:00)", "at(2026-11-20T13:00:60)", "at(1969-12-31T23:59:59)", "at(2200-01-01T00:00:00)",
      "at(2026-11-20T13:00:00+01:00)");
  INFO(text);
  CHECK_FALSE(accepted(text, Grammar::kRule));
  CHECK_FALSE(accepted(text, Grammar::kScheduler));
}

TEST_CASE("at() is EventBridge Scheduler's") {
  CHECK(accepted("at(2028-02-29T23:59:59)", Grammar::kScheduler));
  CHECK_FALSE(accepted("at(2028-02-29T23:59:59)", Grammar::kRule));
}

TEST_CASE("a refusal says what is wrong, and AWS's words are at hand") {
  const auto why = [](std::string_view text) { return Expression::parse(text, Grammar::kScheduler).error().message(); };
  CHECK(why("cron(60 0 * * ? *)") == "the field minutes has '60', which is no value of it; they are 0 to 59");
  CHECK(why("cron(0 0 * FOO ? *)") ==
        "the field month has 'FOO', which is no value of it; they are 1 to 12 or JAN to DEC");
  CHECK(why("cron(0 0 * * * *)") == "exactly one of the fields day of month and day of week has to be a question mark");
  CHECK(why("rate(1 minutes)") ==
        "rate() has a whole number from 1 on, one space, and minute, hour or day (with 1) or minutes, hours or days");
  CHECK(kRuleRefusal == "Parameter ScheduleExpression is not valid.");
  CHECK(scheduler_refusal("x") == "Invalid Schedule Expression x.");
}

TEST_CASE("known occurrences") {
  struct Row {
    std::string_view sentence, expression, zone, behind, expected;
  };
  const auto row = GENERATE(values<Row>({
      {"every minute, behind a second", "cron(* * * * ? *)", "UTC", "2026-03-04T05:06:01Z",
       "2026-03-04T05:07 2026-03-04T05:08"},
      {"behind its own minute", "cron(0 12 * * ? *)", "UTC", "2026-03-04T12:00:00Z",
       "2026-03-05T12:00 2026-03-06T12:00"},
      {"twice in an hour", "cron(5,35 14 * * ? *)", "UTC", "2026-03-04T14:05:00Z", "2026-03-04T14:35 2026-03-05T14:05"},
      {"a step from a start", "cron(1/25 3 * * ? *)", "UTC", "2026-03-04T00:00:00Z",
       "2026-03-04T03:01 2026-03-04T03:26 2026-03-04T03:51 2026-03-05T03:01"},
      {"hours over midnight", "cron(0 22-1 * * ? *)", "UTC", "2026-03-04T12:00:00Z",
       "2026-03-04T22:00 2026-03-04T23:00 2026-03-05T00:00 2026-03-05T01:00 2026-03-05T22:00"},
      {"steps over midnight", "cron(0 20-2/3 * * ? *)", "UTC", "2026-03-04T12:00:00Z",
       "2026-03-04T20:00 2026-03-04T23:00 2026-03-05T02:00 2026-03-05T20:00"},
      {"weekdays over a week's end", "cron(0 0 ? * FRI-MON *)", "UTC", "2026-03-04T12:00:00Z",
       "2026-03-06T00:00 2026-03-07T00:00 2026-03-08T00:00 2026-03-09T00:00 2026-03-13T00:00"},
      {"1 is Sunday", "cron(0 0 ? * 1 *)", "UTC", "2026-03-04T12:00:00Z", "2026-03-08T00:00 2026-03-15T00:00"},
      {"L alone is Saturday", "cron(0 0 ? * L *)", "UTC", "2026-03-04T12:00:00Z", "2026-03-07T00:00 2026-03-14T00:00"},
      {"the last day of a month", "cron(0 0 L * ? *)", "UTC", "2027-12-31T12:00:00Z",
       "2028-01-31T00:00 2028-02-29T00:00 2028-03-31T00:00 2028-04-30T00:00"},
      {"the last Friday", "cron(15 10 ? * 6L 2002-2005)", "UTC", "2005-10-01T00:00:00Z",
       "2005-10-28T10:15 2005-11-25T10:15 2005-12-30T10:15 never"},
      {"the last Friday by name", "cron(15 10 ? 10 FRIL 2005)", "UTC", "2005-01-01T00:00:00Z",
       "2005-10-28T10:15 never"},
      {"the third Saturday", "cron(0 2 ? * SAT#3 *)", "UTC", "2026-03-04T00:00:00Z",
       "2026-03-21T02:00 2026-04-18T02:00 2026-05-16T02:00"},
      {"the fifth Monday, where there is one", "cron(0 0 ? * 2#5 *)", "UTC", "2026-01-01T00:00:00Z",
       "2026-03-30T00:00 2026-06-29T00:00 2026-08-31T00:00"},
      {"a weekday nearest to the 1st", "cron(0 0 1W * ? *)", "UTC", "2026-07-15T00:00:00Z",
       "2026-08-03T00:00 2026-09-01T00:00 2026-10-01T00:00 2026-11-02T00:00"},
      {"a weekday nearest to the 15th", "cron(0 0 15W * ? *)", "UTC", "2026-01-31T00:00:00Z",
       "2026-02-16T00:00 2026-03-16T00:00 2026-04-15T00:00"},
      {"a weekday nearest to the 31st stays in its month", "cron(0 0 31W * ? *)", "UTC", "2026-01-01T00:00:00Z",
       "2026-01-30T00:00 2026-03-31T00:00 2026-05-29T00:00 2026-07-31T00:00"},
      {"leap days", "cron(0 0 29 2 ? *)", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00 2032-02-29T00:00"},
      {"2100 is no leap year", "cron(0 0 29 2 ? *)", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00"},
      {"a day that never comes", "cron(0 0 30 2 ? *)", "UTC", "2026-01-01T00:00:00Z", "never"},
      {"the last year", "cron(0 0 1 1 ? *)", "UTC", "2198-06-01T00:00:00Z", "2199-01-01T00:00 never"},

      {"Berlin skips 02:30 in spring", "cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T00:00:00Z",
       "2026-03-28T01:30 2026-03-30T00:30"},
      {"Berlin has 02:30 twice in autumn", "cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00Z",
       "2026-10-25T00:30 2026-10-26T01:30"},
      {"a start within the repeated hour", "cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-25T00:40:00Z",
       "2026-10-25T02:00 2026-10-25T02:30"},
      {"an hour is left out of every half hour", "cron(0/30 * * * ? *)", "Europe/Berlin", "2026-03-29T00:10:00Z",
       "2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30"},
      {"New York, in spring", "cron(30 2 * * ? *)", "America/New_York", "2026-03-07T00:00:00Z",
       "2026-03-07T07:30 2026-03-09T06:30"},
      {"New York, in autumn", "cron(30 1 * * ? *)", "America/New_York", "2026-10-31T12:00:00Z",
       "2026-11-01T05:30 2026-11-02T06:30"},
      {"Lord Howe's half hour, in spring", "cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-02T00:00:00Z",
       "2026-10-02T15:45 2026-10-04T15:15"},
      {"Lord Howe's half hour, in autumn", "cron(45 1 * * ? *)", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
       "2026-04-04T14:45 2026-04-05T15:15"},
      {"midnight far away is another day", "cron(0 0 1 * ? *)", "Pacific/Auckland", "2026-06-15T00:00:00Z",
       "2026-06-30T12:00 2026-07-31T12:00"},

      {"a rate is elapsed time", "rate(1 day)", "Europe/Berlin", "2026-03-28T11:00:00Z",
       "2026-03-29T11:00 2026-03-30T11:00"},
      {"once", "at(2026-11-20T13:00:00)", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-11-20T12:00 never"},
      {"once, in the repeated hour", "at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-01-01T00:00:00Z",
       "2026-10-25T00:30 never"},
      {"once, at a time that does not exist", "at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-01-01T00:00:00Z",
       "never"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const int count = static_cast<int>(std::count(row.expected.begin(), row.expected.end(), ' ')) + 1;
    CHECK(occurrences(row.expression, row.zone, row.behind, count) == row.expected);
  }
}

TEST_CASE("a rate is counted from its anchor") {
  const Expression when = expression("rate(5 minutes)");
  const TimeZone utc_zone = TimeZone::utc();
  const UtcSeconds anchor = utc("2026-03-04T05:06:07Z");
  const auto next = [&](std::string_view from) { return shown(when.next(utc(from), utc_zone, anchor)); };
  CHECK(next("2020-01-01T00:00:00Z") == "2026-03-04T05:06:07Z");
  CHECK(next("2026-03-04T05:06:07Z") == "2026-03-04T05:06:07Z");
  CHECK(next("2026-03-04T05:06:08Z") == "2026-03-04T05:11:07Z");
  CHECK(next("2026-03-04T05:11:07Z") == "2026-03-04T05:11:07Z");
  CHECK(shown(when.previous(utc("2026-03-04T05:11:06Z"), utc("2026-03-04T05:06:06Z"), utc_zone, anchor)) ==
        "2026-03-04T05:06:07Z");
  CHECK(shown(when.previous(utc("2026-03-04T05:11:06Z"), utc("2026-03-04T05:06:07Z"), utc_zone, anchor)) == "never");
  CHECK(shown(when.previous(utc("2026-03-04T05:06:06Z"), utc("2020-01-01T00:00:00Z"), utc_zone, anchor)) == "never");
}

namespace {

/// One minute of the world, as a wall clock shows it.
struct Minute {
  UtcSeconds at;
  unsigned minute, hour, day, month, weekday;
  bool shown_before;
};

std::vector<Minute> minutes_of(const TimeZone& place, UtcSeconds from, UtcSeconds to) {
  std::vector<Minute> minutes;
  std::set<LocalSeconds> seen;
  for (UtcSeconds at = from; at < to; at += std::chrono::minutes(1)) {
    const LocalSeconds local = place.local(at);
    const auto day = std::chrono::floor<std::chrono::days>(local);
    const std::chrono::year_month_day date(day);
    const auto in_day = std::chrono::duration_cast<std::chrono::minutes>(local - day).count();
    minutes.push_back({at, static_cast<unsigned>(in_day % 60), static_cast<unsigned>(in_day / 60),
                       static_cast<unsigned>(date.day()), static_cast<unsigned>(date.month()),
                       std::chrono::weekday(day).c_encoding() + 1, !seen.insert(local).second});
    if (seen.size() > 1600) seen.erase(seen.begin());  // more than a day
  }
  return minutes;
}

/// A field with some values, and what stands for it in the expression.
struct RandomField {
  RandomField(Random& random, unsigned min, unsigned max) {
    if (random.chance(0.3)) {
      text = "*";
      for (unsigned value = min; value <= max; ++value) values.insert(value);
      return;
    }
    const auto count = 1 + random.below(3);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto first = min + static_cast<unsigned>(random.below(max - min + 1));
      const auto last = random.chance(0.5) ? first : first + static_cast<unsigned>(random.below(max - first + 1));
      text += (text.empty() ? "" : ",") + std::to_string(first) + (last > first ? "-" + std::to_string(last) : "");
      for (unsigned value = first; value <= last; ++value) values.insert(value);
    }
  }
  std::string text;
  std::set<unsigned> values;
};

}  // namespace

TEST_CASE("next() and previous() find what a search minute by minute finds") {
  const auto name = GENERATE(as<std::string>(), "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC",
                             "Africa/Casablanca");
  const auto place = zone(name);
  const UtcSeconds from = utc("2027-01-01T00:00:00Z");
  const UtcSeconds to = utc("2029-01-01T00:00:00Z");
  const std::vector<Minute> minutes = minutes_of(*place, from, to);
  Random random(2026);
  for (int i = 0; i < 25; ++i) {
    const RandomField minute(random, 0, 59), hour(random, 0, 23), day(random, 1, 31), month(random, 1, 12),
        weekday(random, 1, 7);
    const bool by_week = random.chance(0.5);
    const std::string text = "cron(" + minute.text + " " + hour.text + " " + (by_week ? "?" : day.text) + " " +
                             month.text + " " + (by_week ? weekday.text : "?") + " *)";
    INFO(name << " " << text);
    const Expression when = expression(text);
    UtcSeconds behind = from - std::chrono::seconds(1);
    int checked = 0;
    for (const Minute& each : minutes) {
      if (each.shown_before || !minute.values.contains(each.minute) || !hour.values.contains(each.hour) ||
          !month.values.contains(each.month) ||
          !(by_week ? weekday.values.contains(each.weekday) : day.values.contains(each.day)))
        continue;
      // All around the changes of the clock, and some of the others.
      if (++checked > 400 && !random.chance(0.01) && each.month != 3 && each.month != 4 && each.month < 10) {
        behind = each.at;
        continue;
      }
      if (checked > 3000) break;
      INFO(iso_seconds(behind) << " to " << iso_seconds(each.at));
      REQUIRE(shown(when.next(behind + std::chrono::seconds(1), *place, from)) == iso_seconds(each.at));
      REQUIRE(shown(when.previous(each.at, behind, *place, from)) == iso_seconds(each.at));
      REQUIRE(shown(when.previous(each.at - std::chrono::seconds(1), behind, *place, from)) == "never");
      REQUIRE(shown(when.previous(each.at + std::chrono::seconds(59), behind, *place, from)) == iso_seconds(each.at));
      behind = each.at;
    }
  }
}
