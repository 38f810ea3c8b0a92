#include "connectors/schedule/config.h"

#include <algorithm>
#include <utility>

#include "weir/base/json_check.h"

#include "connectors/schedule/connector.h"
#include "connectors/schedule/event.h"

namespace weir::scheduled {
namespace {

using schedule::Expression;
using schedule::Missed;

constexpr std::size_t kExpressionMax = 256;
constexpr std::size_t kInputMax = 262144;
constexpr std::size_t kZoneMax = 50;
constexpr std::int64_t kWindowMax = 1440;

/// A setting that has a short name and AWS's; gives which one is there.
struct Alias {
  std::string_view key;
  std::optional<std::string> value;
};
Alias read_alias(ConfigNode& node, std::string_view short_key, const TextRule& rule, std::string_view aws_key,
                 std::string_view aws_about) {
  auto plain = node.text(short_key, rule);
  auto aws = node.text(aws_key, {.about = aws_about, .max_length = rule.max_length});
  if (plain && aws) node.mistake(aws_key, "says the same as " + std::string(short_key) + "; give one of them");
  if (plain) return {short_key, std::move(plain)};
  return {aws ? aws_key : short_key, std::move(aws)};
}

std::optional<schedule::UtcSeconds> read_date(ConfigNode& node, std::string_view key, std::string_view about) {
  const auto text = node.text(key, {.about = about});
  if (!text) return std::nullopt;
  const auto time = parse_iso(*text);
  if (!time) {
    node.mistake(key, "is no time; they are written as 2026-11-20T13:00:00Z");
    return std::nullopt;
  }
  return schedule::to_seconds(*time);
}

std::optional<std::string> read_input(ConfigNode& node, Kind kind) {
  auto documents =
      node.documents("input", {.about = "The event that the function gets in place of the service's own: JSON, or a "
                                        "text that holds JSON. `<aws.scheduler.scheduled-time>`, "
                                        "`<aws.scheduler.schedule-arn>`, `<aws.scheduler.execution-id>` and "
                                        "`<aws.scheduler.attempt-number>` are replaced with `kind: scheduler`.",
                               .max_items = 1,
                               .max_length = kInputMax});
  if (documents.empty()) return std::nullopt;
  std::string& input = documents.front();
  Run run;
  run.execution_id = "00000000-0000-4000-8000-000000000000";
  if (!is_json(kind == Kind::kScheduler ? with_keywords(input, run) : input))
    node.mistake("input", "is not JSON, which every event of a function is; a text has its quotes in it: '\"...\"'");
  return std::move(input);
}

/// What EventBridge Scheduler has and rules have not.
void refuse_for_rules(ConfigNode& node, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys)
    if (node.has(key)) node.mistake(key, "rules have none, EventBridge Scheduler has: kind: scheduler");
}

}  // namespace

schedule::PlanRules ScheduleConfig::rules() const {
  schedule::PlanRules rules;
  rules.missed = missed;
  rules.window = window;
  rules.rate_runs_at_once = kind == Kind::kScheduler;
  // FNV-1a: the places of several schedules in their windows differ, those of one are the same in every life.
  rules.seed = 14695981039346656037U;
  for (const char letter : name) rules.seed = (rules.seed ^ static_cast<unsigned char>(letter)) * 1099511628211U;
  return rules;
}

std::string ScheduleConfig::identity() const {
  return (kind == Kind::kRule ? "rule " : "scheduler ") + schedule->expression.text() + " " + schedule->zone->name() +
         (schedule->start_date ? " from " + schedule::iso_seconds(*schedule->start_date) : "");
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<ScheduleConfig>();
  const auto kind =
      node.text("kind", {.about = "Whose events these are: EventBridge Scheduler's (`scheduler`), or those of a "
                                  "scheduled rule of EventBridge (`rule`), which knows UTC and no at().",
                         .fallback = "scheduler",
                         .one_of = {"scheduler", "rule"}});
  config->kind = kind == "rule" ? Kind::kRule : Kind::kScheduler;
  const bool rule = config->kind == Kind::kRule;
  const Alias expression = read_alias(
      node, "expression",
      {.about = "When it runs: `rate(5 minutes)`, `cron(0 12 * * ? *)` (minutes, hours, day of month, month, day of "
                "week, year) or `at(2026-11-20T13:00:00)`. Required, by this name or AWS's.",
       .max_length = kExpressionMax},
      "schedule_expression", "The same as `expression`, by AWS's name.");
  const Alias zone =
      read_alias(node, "timezone",
                 {.about = "Where cron() and at() are read: a name of the IANA database; UTC when not given.",
                  .max_length = kZoneMax},
                 "schedule_expression_timezone", "The same as `timezone`, by AWS's name.");
  config->input = read_input(node, config->kind);
  config->window = std::chrono::minutes(
      node.integer("flexible_time_window_minutes",
                   {.about = "A run comes somewhere in these minutes from its time on, at a place that is the same "
                             "after a restart. 0: at its time.",
                    .min = 0,
                    .max = kWindowMax,
                    .fallback = 0})
          .value_or(0));
  const auto start_date = read_date(node, "start_date",
                                    "Nothing runs before (ISO 8601), and a rate() is counted from it; of no matter "
                                    "for at().");
  const auto end_date = read_date(node, "end_date", "Nothing runs later (ISO 8601); of no matter for at().");
  const auto missed =
      node.text("missed", {.about = "Runs whose time passed while weir was stopped: none of them is made up for "
                                    "(skip), one run is for all of them (once), or each (all, the latest thousand).",
                           .fallback = "once",
                           .one_of = {"skip", "once", "all"}});
  config->missed = missed == "skip" ? Missed::kSkip : missed == "all" ? Missed::kAll : Missed::kOnce;

  if (rule) refuse_for_rules(node, {"start_date", "end_date", "flexible_time_window_minutes"});
  if (rule && zone.value && *zone.value != "UTC")
    node.mistake(zone.key, "rules are read in UTC, EventBridge Scheduler has time zones: kind: scheduler");
  if (start_date && end_date && *end_date < *start_date) node.mistake("end_date", "is before start_date");
  if (!expression.value) {
    node.mistake(expression.key, "is missing: a schedule needs rate(...), cron(...) or at(...)");
    return config;
  }
  auto parsed = Expression::parse(*expression.value, rule ? schedule::Grammar::kRule : schedule::Grammar::kScheduler);
  auto place = schedule::load_time_zone(zone.value.value_or("UTC"));
  if (!parsed) {
    const std::string words =
        rule ? std::string(schedule::kRuleRefusal) : schedule::scheduler_refusal(*expression.value);
    node.mistake(expression.key, words + " (" + parsed.error().message() + ")");
  }
  if (!place) node.mistake(zone.key, place.error().message());
  if (!parsed || !place) return config;
  if (!parsed->next({}, **place, {}))
    node.mistake(expression.key, parsed->once() ? "is a time that no clock in " + (*place)->name() + " shows"
                                                : "is a day that never comes");
  config->schedule.emplace(schedule::Schedule{std::move(*parsed), std::move(*place), start_date, end_date});
  return config;
}

ComingRuns coming_runs(const SourceConfig& source, WallTime now, std::size_t count) {
  const auto& config = dynamic_cast<const ScheduleConfig&>(source);
  ComingRuns coming;
  coming.expression = config.schedule->expression.text();
  coming.zone = config.schedule->zone->name();
  coming.window = config.window;
  coming.counted_from_start = config.schedule->expression.rate() && !config.schedule->start_date;
  const schedule::RunPlan plan(*config.schedule, config.rules(), std::nullopt, schedule::to_seconds(now));
  schedule::UtcSeconds from = plan.memory().settled + std::chrono::seconds(1);
  while (coming.runs.size() < count) {
    const auto run = config.schedule->next(from, plan.memory().begun);
    if (!run) break;
    coming.runs.push_back(*run);
    coming.local.push_back(schedule::iso_in_zone(*run, *config.schedule->zone));
    from = *run + std::chrono::seconds(1);
  }
  return coming;
}

}  // namespace weir::scheduled
