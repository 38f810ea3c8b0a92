#include "connectors/eventbridge/delivering.h"

#include <algorithm>

#include "weir/base/json_check.h"

namespace weir::eventbridge {
namespace {

constexpr int kQuickRetries = 20;
constexpr double kJitter = 0.25;
constexpr std::string_view kFunction = "lambda:";

}  // namespace

DeliveryRules delivery_rules(int retries, Duration max_age) {
  using std::chrono::seconds;
  DeliveryRules rules;
  const int quick = std::min(retries, kQuickRetries);
  if (quick > 0) rules.phases.push_back({quick, seconds(1), seconds(60), Backoff::kGeometric});
  if (retries > quick) rules.phases.push_back({retries - quick, seconds(60), seconds(900), Backoff::kGeometric});
  rules.max_age = max_age;
  rules.jitter = kJitter;
  return rules;
}

bool Delivering::put(std::string_view bus, const Event& event, const std::set<std::string>& only) {
  return put(bus, event, only, Hop::kFirst);
}

bool Delivering::put(std::string_view bus, const Event& event, const std::set<std::string>& only, Hop hop) {
  const auto matched = model_.match(bus, event);
  if (!matched) return false;
  if (matched->rules.empty() && matched->archives.empty()) return true;
  const std::string text = envelope(event);
  for (const Archive* archive : matched->archives) {
    KeptEvent kept;
    kept.log = archive->log();
    kept.at = event.time;
    kept.event = text;
    commit_.kept.push_back(std::move(kept));
    archived_.emplace_back(archive->name, text.size());
  }
  for (const Rule* rule : matched->rules) {
    if (only.empty() || only.count(rule->arn()) > 0) deliver(*rule, event, text, hop);
  }
  return true;
}

void Delivering::deliver(const Rule& rule, const Event& event, const std::string& text, Hop hop) {
  for (const Target& target : rule.targets) deliver_to(target, rule, event, text, hop);
}

void Delivering::deliver_to(const Target& target, const Rule& rule, const Event& event, const std::string& text,
                            Hop hop) {
  const std::string arn = rule.arn();
  ServiceDelivery delivery;
  delivery.target = rule.source.empty() ? target_of_(target.arn) : kFunction.data() + rule.function;
  const std::string next_bus = target.arn.empty() ? "" : bus_name(target.arn);
  const bool to_bus = delivery.target.starts_with("eventbridge:");
  if (to_bus && model_.bus(next_bus) != nullptr) {
    // From bus to bus an event goes once: AWS passes it on no further.
    if (hop == Hop::kFirst) put(next_bus, event, {}, Hop::kLast);
    return;
  }
  InputContext context;
  context.rule_arn = arn;
  context.rule_name = rule.name;
  context.ingested = now_;
  auto payload = target.input.apply(text, event, context);
  if (!payload || (delivery.target.starts_with(kFunction) && !is_json(*payload))) {
    dropped_.push_back({arn, target.id});
    return;
  }
  delivery.payload = std::move(*payload);
  delivery.source = rule.source;
  delivery.trace_header = event.trace_header;
  delivery.details.group = target.group;
  delivery.rules = delivery_rules(target.retries, target.max_age);
  if (!target.dead_letter.empty()) {
    delivery.dead_letter = target_of_(target.dead_letter);
    delivery.dead_letter_attributes["RULE_ARN"] = {"String", arn};
    delivery.dead_letter_attributes["TARGET_ARN"] = {"String", target.arn};
    delivery.dead_letter_tells_why = true;
  }
  commit_.deliveries.push_back(std::move(delivery));
}

}  // namespace weir::eventbridge
