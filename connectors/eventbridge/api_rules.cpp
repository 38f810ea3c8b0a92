#include <algorithm>
#include <array>

#include "connectors/eventbridge/api_call.h"
#include "pattern/pattern.h"
#include "pattern/pattern_set.h"
#include "schedule/schedule.h"
#include "service/arn.h"

namespace weir::eventbridge {
namespace {

using nlohmann::json;
using service::ApiError;

using Rules = std::map<std::string, Rule, std::less<>>;

constexpr std::size_t kMaxTargets = 5;   // of a rule, AWS's quota
constexpr std::size_t kMaxRules = 2000;  // of a bus; AWS begins with 300 and gives more

ApiError no_rule(std::string_view name, std::string_view bus) {
  return not_found("Rule " + std::string(name) + " does not exist on EventBus " + std::string(bus) + ".");
}

ApiError configured_rule(const Rule& rule) {
  return refusal("ManagedRuleException",
                 "Rule " + rule.name + " is the source " + rule.source + " of weir's configuration: change it there.");
}

// Rules

/// A schedule begins with its rule, and anew when it is another or was off meanwhile: what would have run while it was
/// off was not missed.
void start_schedule(Reply& reply, const Rule* before, const Rule& rule, WallTime now) {
  if (before != nullptr && before->schedule == rule.schedule && before->enabled == rule.enabled) return;
  if (rule.schedule.empty()) {
    if (before != nullptr) reply.notes.push_back(note_of_schedule(rule.name, std::nullopt));
    return;
  }
  const schedule::UtcSeconds begun = schedule::to_seconds(now);
  reply.notes.push_back(note_of_schedule(rule.name, schedule::PlanMemory{begun, begun}));
}

Reply put_rule(Call& call) {
  Arguments& arguments = call.arguments;
  Rule rule;
  rule.name = arguments.name("Name", 64);
  rule.bus = bus_argument(arguments);
  rule.pattern = arguments.text("EventPattern", pattern::kMaxPatternLength);
  rule.schedule = arguments.text("ScheduleExpression", 256);
  rule.description = arguments.text("Description", 512);
  rule.role = arguments.text("RoleArn", 1600);
  const std::string state = arguments.text("State");
  const auto tags = read_tags(arguments);
  if (call.wrong()) return call.refuse();
  constexpr std::array<std::string_view, 3> kStates{"", "ENABLED", "DISABLED"};
  if (std::find(kStates.begin(), kStates.end(), state) == kStates.end() &&
      state != "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") {
    return call.refuse(constraint("'" + state + "'", "state",
                                  "satisfy enum value set: [ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS, ENABLED, "
                                  "DISABLED]"));
  }
  if (rule.pattern.empty() && rule.schedule.empty()) {
    return call.refuse(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
  }
  const Bus* const bus = call.model.bus(rule.bus);
  if (bus == nullptr) return call.refuse(no_bus(rule.bus));
  if (!rule.schedule.empty()) {
    if (rule.bus != kDefaultBus) {
      return call.refuse(invalid("ScheduleExpression is supported only on the default event bus."));
    }
    if (!schedule::Expression::parse(rule.schedule, schedule::Grammar::kRule)) {
      return call.refuse(invalid(std::string(schedule::kRuleRefusal)));
    }
  }
  if (!rule.pattern.empty()) {
    if (auto error = check_pattern(rule.pattern)) return call.refuse(std::move(*error));
  }
  const Rule* const there = call.model.rule(rule.bus, rule.name);
  if (there != nullptr && !there->source.empty()) return call.refuse(configured_rule(*there));
  if (there == nullptr && bus->rules.size() >= kMaxRules) return call.refuse(too_many());
  rule.enabled = state != "DISABLED";
  if (there != nullptr) rule.targets = there->targets;
  Reply reply = object_reply([&](JsonWriter& out) { out.member("RuleArn", rule.arn()); });
  reply.notes.push_back(note_of(rule));
  start_schedule(reply, there, rule, call.now);
  // Tags are a new rule's only: of one that is there AWS takes them for what they are.
  if (there == nullptr && !tags.empty()) reply.notes.push_back(note_of_tags(rule.arn(), tags));
  return reply;
}

/// The rule of a call, or why there is none.
const Rule* find_rule(Call& call, const char* argument = "Name") {
  const std::string name = call.arguments.required(argument, 64);
  const std::string bus = bus_argument(call.arguments);
  if (call.wrong()) return nullptr;
  if (call.model.bus(bus) == nullptr) {
    call.arguments.refuse(no_bus(bus));
    return nullptr;
  }
  const Rule* const rule = call.model.rule(bus, name);
  if (rule == nullptr) call.arguments.refuse(no_rule(name, bus));
  return rule;
}

/// The same, of one that may be changed.
const Rule* changeable_rule(Call& call, const char* argument = "Name") {
  const Rule* const rule = find_rule(call, argument);
  if (rule == nullptr || rule->source.empty()) return rule;
  call.arguments.refuse(configured_rule(*rule));
  return nullptr;
}

void write_rule(JsonWriter& out, const Rule& rule) {
  out.member("Name", rule.name).member("Arn", rule.arn());
  optional_member(out, "EventPattern", rule.pattern);
  optional_member(out, "ScheduleExpression", rule.schedule);
  out.member("State", rule.enabled ? "ENABLED" : "DISABLED");
  optional_member(out, "Description", rule.description);
  optional_member(out, "RoleArn", rule.role);
  if (!rule.source.empty()) out.member("ManagedBy", "weir");
  out.member("EventBusName", rule.bus);
}

Reply describe_rule(Call& call) {
  const Rule* const rule = find_rule(call);
  if (rule == nullptr) return call.refuse();
  return object_reply([&](JsonWriter& out) {
    write_rule(out, *rule);
    out.member("CreatedBy", kLocalAccount);
  });
}

Reply switch_rule(Call& call, bool enabled) {
  const Rule* const rule = changeable_rule(call);
  if (rule == nullptr) return call.refuse();
  Rule changed = *rule;
  changed.enabled = enabled;
  Reply reply;
  reply.notes.push_back(note_of(changed));
  start_schedule(reply, rule, changed, call.now);
  return reply;
}

Reply delete_rule(Call& call) {
  const std::string name = call.arguments.required("Name", 64);
  const std::string bus = bus_argument(call.arguments);
  if (call.wrong()) return call.refuse();
  if (call.model.bus(bus) == nullptr) return call.refuse(no_bus(bus));
  const Rule* const rule = call.model.rule(bus, name);
  Reply reply;
  if (rule == nullptr) return reply;  // AWS's answer too
  if (!rule->source.empty()) return call.refuse(configured_rule(*rule));
  if (!rule->targets.empty()) return call.refuse(invalid("Rule can't be deleted since it has targets."));
  reply.notes.push_back(end_of(*rule));
  if (!rule->schedule.empty()) reply.notes.push_back(note_of_schedule(rule->name, std::nullopt));
  reply.notes.push_back(note_of_tags(rule->arn(), {}));
  return reply;
}

/// The rules of a call's bus; nothing when there is no such bus.
const Rules* rules_of(Call& call) {
  const std::string name = bus_argument(call.arguments);
  const Bus* const bus = call.model.bus(name);
  if (bus == nullptr) call.arguments.refuse(no_bus(name));
  return call.wrong() ? nullptr : &bus->rules;
}

Reply list_rules(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 64);
  const Rules* const rules = rules_of(call);
  if (rules == nullptr) return call.refuse();
  const auto wanted = [&](const std::string& name, const Rule&) { return name.starts_with(prefix); };
  return list_reply(call, "Rules", *rules, wanted, [](JsonWriter& out, const std::string&, const Rule& rule) {
    out.begin_object();
    write_rule(out, rule);
    out.end_object();
  });
}

Reply list_rules_by_target(Call& call) {
  const std::string arn = call.arguments.required("TargetArn", 1600);
  const Rules* const rules = rules_of(call);
  if (rules == nullptr) return call.refuse();
  const auto wanted = [&](const std::string&, const Rule& rule) {
    return std::any_of(rule.targets.begin(), rule.targets.end(),
                       [&](const Target& target) { return target.arn == arn; });
  };
  return list_reply(call, "RuleNames", *rules, wanted,
                    [](JsonWriter& out, const std::string& name, const Rule&) { out.value(name); });
}

// Targets

/// Why one target cannot be; AWS's words where they are known.
std::optional<ApiError> check_target(const Call& call, const json& document, std::size_t number, Target& target) {
  Arguments arguments(document);
  const std::string at = "targets." + std::to_string(number) + ".member.";
  const std::string id = arguments.text("Id");
  const std::string arn = arguments.text("Arn");
  if (arguments.error()) return arguments.error();
  if (!arguments.has("Id")) return constraint("null", at + "id", "not be null");
  if (!arguments.has("Arn")) return constraint("null", at + "arn", "not be null");
  constexpr std::size_t kMaxId = 64;
  if (id.size() > kMaxId) return constraint("'" + id + "'", at + "id", "have length less than or equal to 64");
  Arguments named(json{{"Id", id}});
  named.name("Id", kMaxId);
  if (named.error()) {
    return constraint("'" + id + "'", at + "id", "satisfy regular expression pattern: " + std::string(kNamePattern));
  }
  if (!service::parse_arn(arn)) {
    return invalid("Parameter " + arn + " is not valid. Reason: Provided Arn is not in correct format.");
  }
  Arguments retries = arguments.object("RetryPolicy");
  retries.integer("MaximumRetryAttempts", 0, kMaxRetries);
  retries.integer("MaximumEventAgeInSeconds", 60, 86'400);
  arguments.take(retries);
  Arguments dead_letters = arguments.object("DeadLetterConfig");
  const std::string dead_letter = dead_letters.text("Arn", 1600);
  arguments.take(dead_letters);
  Arguments queue = arguments.object("SqsParameters");
  const std::string group = queue.text("MessageGroupId", 128);
  arguments.take(queue);
  if (arguments.error()) return arguments.error();
  if (arn.find(":sqs:") != std::string::npos && arn.ends_with(".fifo") && group.empty()) {
    return invalid("Parameter(s) SqsParameters must be specified for target: " + id + ".");
  }
  const auto dead_letter_arn = service::parse_arn(dead_letter);
  if (!dead_letter.empty() &&
      (!dead_letter_arn || dead_letter_arn->service != "sqs" || dead_letter.ends_with(".fifo"))) {
    return invalid("Parameter DeadLetterConfig.Arn is not valid for target " + id +
                   ". Reason: it has to be the ARN of a standard SQS queue.");
  }
  auto read = read_target(document.dump());
  if (!read) return invalid(read.error().message());
  const std::string where = call.host.target_of(arn);
  if (where.empty()) {
    return invalid("Parameter Arn is not valid for target " + id +
                   ". Reason: weir delivers to functions, queues, topics, event buses and log groups.");
  }
  if (where.starts_with("eventbridge:") &&
      (arguments.has("Input") || arguments.has("InputPath") || arguments.has("InputTransformer"))) {
    return invalid("Parameter Input is not valid for target " + id + ". Reason: an event bus gets the whole event.");
  }
  target = std::move(*read);
  return std::nullopt;
}

std::string no_failures() {
  return R"({"FailedEntryCount":0,"FailedEntries":[]})";
}

Reply put_targets(Call& call) {
  const auto documents = call.arguments.objects("Targets");
  const Rule* const rule = changeable_rule(call, "Rule");
  if (rule == nullptr) return call.refuse();
  if (documents.empty()) return call.refuse(constraint("'[]'", "targets", "have length greater than or equal to 1"));
  if (documents.size() > kMaxPage) return call.refuse(too_many());
  Rule changed = *rule;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    Target target;
    if (auto error = check_target(call, documents[i], i + 1, target)) return call.refuse(std::move(*error));
    const auto there = std::find_if(changed.targets.begin(), changed.targets.end(),
                                    [&](const Target& each) { return each.id == target.id; });
    if (there == changed.targets.end()) {
      changed.targets.push_back(std::move(target));
    } else {
      *there = std::move(target);
    }
  }
  if (changed.targets.size() > kMaxTargets) return call.refuse(too_many());
  Reply reply;
  reply.notes.push_back(note_of(changed));
  reply.body = no_failures();
  return reply;
}

Reply remove_targets(Call& call) {
  const auto ids = call.arguments.texts("Ids");
  const Rule* const rule = changeable_rule(call, "Rule");
  if (rule == nullptr) return call.refuse();
  if (ids.empty()) return call.refuse(constraint("'[]'", "ids", "have length greater than or equal to 1"));
  Rule changed = *rule;
  const auto named = [&](const Target& target) { return std::find(ids.begin(), ids.end(), target.id) != ids.end(); };
  changed.targets.erase(std::remove_if(changed.targets.begin(), changed.targets.end(), named), changed.targets.end());
  Reply reply;
  reply.notes.push_back(note_of(changed));
  reply.body = no_failures();
  return reply;
}

Reply list_targets(Call& call) {
  const Rule* const rule = find_rule(call, "Rule");
  if (rule == nullptr) return call.refuse();
  std::map<std::string, const Target*> by_id;
  for (const Target& target : rule->targets) by_id[target.id] = &target;
  return list_reply(
      call, "Targets", by_id, [](const std::string&, const Target*) { return true; },
      [](JsonWriter& out, const std::string&, const Target* target) { out.raw(target->document); });
}

// Patterns

Reply test_pattern(Call& call) {
  const std::string pattern = call.arguments.required("EventPattern", pattern::kMaxPatternLength);
  const std::string event = call.arguments.required("Event");
  if (call.wrong()) return call.refuse();
  pattern::PatternSet set;
  if (auto added = set.add(0, pattern); !added) {
    return call.refuse(refusal("InvalidEventPatternException", added.error().message()));
  }
  const json read = json::parse(event, nullptr, false);
  constexpr std::array<const char*, 6> kNeeded{"id", "account", "source", "time", "region", "detail-type"};
  const bool whole = read.is_object() &&
                     std::all_of(kNeeded.begin(), kNeeded.end(), [&](const char* name) { return read.contains(name); });
  if (!whole) return call.refuse(invalid("Parameter Event is not valid."));
  const auto matched = set.match(event);
  if (!matched) return call.refuse(invalid("Parameter Event is not valid."));
  return object_reply([&](JsonWriter& out) { out.member("Result", !matched->empty()); });
}

constexpr std::array kOperations{
    Operation{"DeleteRule", &delete_rule},
    Operation{"DescribeRule", &describe_rule},
    Operation{"DisableRule", [](Call& call) { return switch_rule(call, false); }},
    Operation{"EnableRule", [](Call& call) { return switch_rule(call, true); }},
    Operation{"ListRuleNamesByTarget", &list_rules_by_target},
    Operation{"ListRules", &list_rules},
    Operation{"ListTargetsByRule", &list_targets},
    Operation{"PutRule", &put_rule},
    Operation{"PutTargets", &put_targets},
    Operation{"RemoveTargets", &remove_targets},
    Operation{"TestEventPattern", &test_pattern},
};

}  // namespace

std::span<const Operation> rule_operations() {
  return kOperations;
}

}  // namespace weir::eventbridge
