#include "connectors/schedule/config.h"

#include <array>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/schedule/connector.h"
#include "schedule/zones.h"
#include "support/temporary_folder.h"

using namespace weir;
using scheduled::Kind;
using scheduled::ScheduleConfig;

namespace {

constexpr std::array kTable{ConnectorEntry{"schedule", Delivery::kPush, "A schedule.", &scheduled::read_config, nullptr,
                                           &scheduled::sample_event, nullptr, nullptr, &scheduled::make_source}};

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file =
        folder.write("weir.yaml", "functions: {f: {command: run}}\nsources: {tick: {type: schedule, function: f, " +
                                      settings + "}}\n");
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const ScheduleConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const ScheduleConfig&>(*report.config.sources.at(0).settings);
  }
  /// "key: sentence", a line each.
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.tick.")) path.erase(0, 13);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

}  // namespace

TEST_CASE("only the expression has to be said") {
  const Reading reading("expression: rate(5 minutes)");
  const ScheduleConfig& config = reading.right();
  CHECK(config.kind == Kind::kScheduler);
  REQUIRE(config.schedule);
  CHECK(config.schedule->expression.text() == "rate(5 minutes)");
  CHECK(config.schedule->zone->name() == "UTC");
  CHECK_FALSE(config.schedule->start_date);
  CHECK_FALSE(config.schedule->end_date);
  CHECK_FALSE(config.input);
  CHECK(config.window == std::chrono::minutes(0));
  CHECK(config.missed == schedule::Missed::kOnce);
  CHECK(config.rules().rate_runs_at_once);
}

TEST_CASE("everything can be said, by AWS's names, too") {
  const Reading reading(
      "schedule_expression: \"cron(0 2 * * ? *)\", schedule_expression_timezone: Europe/Berlin, input: {a: 1}, "
      "flexible_time_window_minutes: 1440, start_date: \"2026-03-04T05:06:07Z\", end_date: 2027-03-04T06:06:07+01:00, "
      "missed: all");
  const ScheduleConfig& config = reading.right();
  CHECK(config.schedule->zone->name() == "Europe/Berlin");
  CHECK(test::shown(config.schedule->start_date) == "2026-03-04T05:06:07Z");
  CHECK(test::shown(config.schedule->end_date) == "2027-03-04T05:06:07Z");
  CHECK(config.input == R"({"a":1})");
  CHECK(config.window == std::chrono::minutes(1440));
  CHECK(config.missed == schedule::Missed::kAll);
}

TEST_CASE("a rule has a rule's settings") {
  const Reading reading("kind: rule, expression: rate(1 minute), missed: skip");
  CHECK(reading.right().kind == Kind::kRule);
  CHECK(reading.right().missed == schedule::Missed::kSkip);
  CHECK_FALSE(reading.right().rules().rate_runs_at_once);
}

TEST_CASE("mistakes") {
  struct Row {
    std::string_view settings, mistakes;
  };
  const auto row = GENERATE(values<Row>({
      {"kind: rule", "expression: is missing: a schedule needs rate(...), cron(...) or at(...)\n"},
      {"expression: rate(1 minutes)",
       "expression: Invalid Schedule Expression rate(1 minutes). (rate() has a whole number from 1 on, one space, and "
       "minute, hour or day (with 1) or minutes, hours or days)\n"},
      {"kind: rule, schedule_expression: \"cron(0 1 * * * *)\"",
       "schedule_expression: Parameter ScheduleExpression is not valid. (exactly one of the fields day of month and "
       "day of week has to be a question mark)\n"},
      {"kind: rule, expression: \"at(2026-11-20T13:00:00)\"",
       "expression: Parameter ScheduleExpression is not valid. (a rule has rate(...) or cron(...); at(...) is "
       "EventBridge Scheduler's)\n"},
      {"expression: rate(1 day), schedule_expression: rate(1 day)",
       "schedule_expression: says the same as expression; give one of them\n"},
      {"expression: rate(1 day), timezone: Europe/Atlantis",
       "timezone: the time zone 'Europe/Atlantis' is not in /usr/share/zoneinfo (the package tzdata); names are like "
       "Europe/Berlin\n"},
      {"kind: rule, expression: rate(1 day), timezone: Europe/Berlin",
       "timezone: rules are read in UTC, EventBridge Scheduler has time zones: kind: scheduler\n"},
      {"kind: rule, expression: rate(1 day), end_date: \"2026-03-04T05:06:07Z\"",
       "end_date: rules have none, EventBridge Scheduler has: kind: scheduler\n"},
      {"expression: \"cron(0 0 30 2 ? *)\"", "expression: is a day that never comes\n"},
      {"expression: \"at(2026-03-29T02:30:00)\", timezone: Europe/Berlin",
       "expression: is a time that no clock in Europe/Berlin shows\n"},
      {"expression: rate(1 day), start_date: tomorrow",
       "start_date: is no time; they are written as 2026-11-20T13:00:00Z\n"},
      {"expression: rate(1 day), start_date: \"2026-03-04T05:06:07Z\", end_date: \"2026-03-04T05:06:06Z\"",
       "end_date: is before start_date\n"},
      {"expression: rate(1 day), flexible_time_window_minutes: 1441",
       "flexible_time_window_minutes: 1441 is out of range, allowed is 0 to 1440\n"},
      {"expression: rate(1 day), input: hello",
       "input: is not JSON, which every event of a function is; a text has its quotes in it: '\"...\"'\n"},
      {"expression: rate(1 day), missed: never", "missed: \"never\" is not allowed, allowed is skip, once or all\n"},
      {"expression: rate(1 day), expresion: rate(1 day)", "expresion: unknown key; did you mean expression?\n"},
  }));
  INFO(row.settings);
  CHECK(Reading(std::string(row.settings)).mistakes() == row.mistakes);
}

TEST_CASE("input may hold keywords where they are JSON once they are replaced") {
  CHECK(Reading("expression: rate(1 day), input: '{\"n\": <aws.scheduler.attempt-number>}'").right().input ==
        R"({"n": <aws.scheduler.attempt-number>})");
  // Nobody replaces them in a rule's input.
  CHECK_FALSE(Reading("kind: rule, expression: rate(1 day), input: '{\"n\": <aws.scheduler.attempt-number>}'")
                  .mistakes()
                  .empty());
}

TEST_CASE("what changes a schedule begins it anew, and what does not change it does not") {
  const auto identity = [](const std::string& settings) { return Reading(settings).right().identity(); };
  const std::string plain = identity("expression: rate(1 day)");
  CHECK(identity("expression: rate(1 day), missed: all, input: {a: 1}, end_date: \"2027-01-01T00:00:00Z\"") == plain);
  CHECK(identity("expression: rate(2 days)") != plain);
  CHECK(identity("expression: rate(1 day), timezone: Europe/Berlin") != plain);
  CHECK(identity("expression: rate(1 day), start_date: \"2027-01-01T00:00:00Z\"") != plain);
  CHECK(identity("kind: rule, expression: rate(1 day)") != plain);
}

TEST_CASE("the runs to come, as they are shown") {
  const auto coming = [](const std::string& settings) {
    const Reading reading(settings);
    return scheduled::coming_runs(reading.right(), schedule::wall_time(test::utc("2026-10-24T12:00:00Z")), 3);
  };
  const auto runs = coming("expression: \"cron(30 2 * * ? *)\", timezone: Europe/Berlin");
  CHECK(runs.expression == "cron(30 2 * * ? *)");
  CHECK(runs.zone == "Europe/Berlin");
  CHECK(runs.local == std::vector<std::string>{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00",
                                               "2026-10-27T02:30:00+01:00"});
  REQUIRE(runs.runs.size() == 3);
  CHECK(test::shown(runs.runs[0]) == "2026-10-25T00:30:00Z");
  CHECK_FALSE(runs.counted_from_start);
  CHECK(coming("expression: \"at(2026-11-20T13:00:00)\"").runs.size() == 1);
  CHECK(coming("expression: \"at(2020-11-20T13:00:00)\"").runs.empty());
  const auto rate = coming("expression: rate(1 hour)");
  CHECK(rate.counted_from_start);
  CHECK(test::shown(rate.runs.at(0)) == "2026-10-24T12:00:00Z");
  CHECK(test::shown(coming("kind: rule, expression: rate(1 hour)").runs.at(0)) == "2026-10-24T13:00:00Z");
}
