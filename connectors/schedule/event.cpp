#include "connectors/schedule/event.h"

#include <array>
#include <utility>

#include "weir/base/json_writer.h"
#include "weir/service.h"

#include "connectors/schedule/connector.h"

namespace weir::scheduled {
namespace {

std::string arn_of(Kind kind, std::string_view name) {
  const bool rule = kind == Kind::kRule;
  return "arn:aws:" + std::string(rule ? "events" : "scheduler") + ":" + std::string(kLocalRegion) + ":" +
         std::string(kLocalAccount) + ":" + (rule ? "rule/" : "schedule/default/") + std::string(name);
}

std::string own_event(Kind kind, const Run& run) {
  const bool rule = kind == Kind::kRule;
  std::string text;
  JsonWriter json(text);
  json.begin_object().member("version", "0").member("id", run.execution_id);
  json.member("detail-type", "Scheduled Event").member("source", rule ? "aws.events" : "aws.scheduler");
  json.member("account", kLocalAccount).member("time", schedule::iso_seconds(run.time)).member("region", kLocalRegion);
  json.key("resources").begin_array().value(arn_of(kind, run.name)).end_array();
  // Scheduler's detail is a text, as it was seen.
  if (rule)
    json.key("detail").begin_object().end_object();
  else
    json.member("detail", "{}");
  json.end_object();
  return text;
}

}  // namespace

std::string with_keywords(std::string_view input, const Run& run) {
  // The event is handed over once; Lambda's own attempts are not Scheduler's.
  const std::array<std::pair<std::string_view, std::string>, 4> keywords{{
      {"<aws.scheduler.schedule-arn>", arn_of(Kind::kScheduler, run.name)},
      {"<aws.scheduler.scheduled-time>", schedule::iso_seconds(run.time)},
      {"<aws.scheduler.execution-id>", run.execution_id},
      {"<aws.scheduler.attempt-number>", "1"},
  }};
  std::string text;
  while (!input.empty()) {
    const std::size_t bracket = input.find('<');
    text += input.substr(0, bracket);
    if (bracket == std::string_view::npos) break;
    input.remove_prefix(bracket);
    std::size_t taken = 0;
    for (const auto& [keyword, value] : keywords) {
      if (!input.starts_with(keyword)) continue;
      text += value;
      taken = keyword.size();
    }
    if (taken == 0) {
      text += '<';
      taken = 1;
    }
    input.remove_prefix(taken);
  }
  return text;
}

std::string event_of(const ScheduleConfig& config, const Run& run) {
  if (!config.input) return own_event(config.kind, run);
  return config.kind == Kind::kRule ? *config.input : with_keywords(*config.input, run);
}

namespace {

std::string sample_of(Kind kind) {
  Run run;
  run.name = "nightly";
  run.time = schedule::UtcSeconds(std::chrono::seconds(1'772'600'760));  // 2026-03-04T05:06:00Z
  run.execution_id = "0c8e4a52-6c1f-4bbb-8ccc-123456789abc";
  return own_event(kind, run);
}

std::string sample_rule_event() {
  return sample_of(Kind::kRule);
}

}  // namespace

std::string sample_event() {
  return sample_of(Kind::kScheduler);
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"rule", "A scheduled rule of EventBridge.", &sample_rule_event},
      SampleEvent{"scheduler", "A schedule of EventBridge Scheduler.", &sample_event},
  };
  return kSamples;
}

}  // namespace weir::scheduled
