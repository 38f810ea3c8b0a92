#include "connectors/eventbridge/api.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "pattern/pattern.h"
#include "pattern/pattern_set.h"
#include "schedule/schedule.h"
#include "service/arn.h"

namespace weir::eventbridge {
namespace {

using nlohmann::json;
using service::ApiError;

constexpr int kBadRequest = 400;
constexpr std::size_t kMaxTargets = 5;     // of a rule, AWS's quota
constexpr std::size_t kMaxRules = 2000;    // of a bus; AWS begins with 300 and gives more
constexpr std::size_t kMaxBuses = 100;     // AWS's quota
constexpr std::size_t kMaxArchives = 100;  // AWS's quota
constexpr std::size_t kMaxReplaying = 10;  // at once, AWS's quota
constexpr std::size_t kMaxReplays = 1000;  // remembered
constexpr std::size_t kMaxTags = 50;
constexpr std::size_t kMaxPage = 100;
constexpr std::string_view kNamePattern = "[\\.\\-_A-Za-z0-9]+";

ApiError refusal(std::string_view code, std::string message) {
  return {kBadRequest, code, std::move(message)};
}
ApiError invalid(std::string message) {
  return refusal("ValidationException", std::move(message));
}
ApiError not_found(std::string message) {
  return refusal("ResourceNotFoundException", std::move(message));
}
ApiError exists_already(std::string message) {
  return refusal("ResourceAlreadyExistsException", std::move(message));
}
ApiError too_many() {
  return refusal("LimitExceededException", "The requested resource exceeds the maximum number allowed.");
}
ApiError constraint(std::string_view value, std::string_view member, std::string_view rule) {
  return invalid("1 validation error detected: Value " + std::string(value) + " at '" + std::string(member) +
                 "' failed to satisfy constraint: Member must " + std::string(rule));
}
ApiError no_bus(std::string_view name) {
  return not_found("Event bus " + std::string(name) + " does not exist.");
}
ApiError no_rule(std::string_view name, std::string_view bus) {
  return not_found("Rule " + std::string(name) + " does not exist on EventBus " + std::string(bus) + ".");
}
ApiError configured_rule(const Rule& rule) {
  return refusal("ManagedRuleException",
                 "Rule " + rule.name + " is the source " + rule.source + " of weir's configuration: change it there.");
}

/// The arguments of a call. What is wrong with them is remembered, the first mistake counts.
class Arguments {
 public:
  explicit Arguments(std::string_view body)
      : root_(is_json(body) ? json::parse(body, nullptr, false) : (body.empty() ? json::object() : json())) {
    if (root_.is_discarded() || !root_.is_object()) {
      error_ = refusal("SerializationException", "The request's body is no JSON object.");
      root_ = json::object();
    }
  }
  explicit Arguments(json object) : root_(std::move(object)) {}

  const std::optional<ApiError>& error() const { return error_; }
  void refuse(ApiError error) {
    if (!error_) error_ = std::move(error);
  }

  bool has(const char* name) const { return root_.contains(name) && !root_.at(name).is_null(); }

  std::string text(const char* name, std::size_t most = 0) {
    if (!has(name)) return "";
    if (!root_.at(name).is_string()) return wrong(name), "";
    auto value = root_.at(name).get<std::string>();
    if (most != 0 && value.size() > most) {
      refuse(constraint("'" + value.substr(0, 2 * most) + "'", lower(name),
                        "have length less than or equal to " + std::to_string(most)));
    }
    return value;
  }
  std::string required(const char* name, std::size_t most = 0) {
    if (!has(name)) {
      refuse(constraint("null", lower(name), "not be null"));
      return "";
    }
    std::string value = text(name, most);
    if (value.empty()) refuse(constraint("''", lower(name), "have length greater than or equal to 1"));
    return value;
  }
  /// A name of AWS's kind.
  std::string name(const char* name, std::size_t most) {
    std::string value = required(name, most);
    constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    if (value.find_first_not_of(kAllowed) != std::string::npos) {
      refuse(constraint("'" + value + "'", lower(name),
                        "satisfy regular expression pattern: " + std::string(kNamePattern)));
    }
    return value;
  }
  std::optional<std::int64_t> integer(const char* name, std::int64_t least, std::int64_t most) {
    if (!has(name)) return std::nullopt;
    const json& value = root_.at(name);
    if (!value.is_number_integer()) return wrong(name), std::nullopt;
    const auto number = value.get<std::int64_t>();
    if (number < least) {
      refuse(constraint("'" + std::to_string(number) + "'", lower(name),
                        "have value greater than or equal to " + std::to_string(least)));
    } else if (number > most) {
      refuse(constraint("'" + std::to_string(number) + "'", lower(name),
                        "have value less than or equal to " + std::to_string(most)));
    }
    return number;
  }
  std::optional<WallTime> time(const char* name) {
    if (!has(name)) return std::nullopt;
    const auto value = read_time(root_.at(name));
    if (!value) wrong(name);
    return value;
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> all;
    if (!has(name)) return all;
    if (!root_.at(name).is_array()) return wrong(name), all;
    for (const json& each : root_.at(name)) {
      if (!each.is_string()) return wrong(name), all;
      all.push_back(each.get<std::string>());
    }
    return all;
  }
  std::vector<json> objects(const char* name) {
    std::vector<json> all;
    if (!has(name)) return all;
    if (!root_.at(name).is_array()) return wrong(name), all;
    for (const json& each : root_.at(name)) {
      if (!each.is_object()) return wrong(name), all;
      all.push_back(each);
    }
    return all;
  }
  Arguments object(const char* name) {
    if (!has(name)) return Arguments(json::object());
    if (!root_.at(name).is_object()) {
      wrong(name);
      return Arguments(json::object());
    }
    return Arguments(root_.at(name));
  }
  void take(const Arguments& inner) {
    if (inner.error_) refuse(*inner.error_);
  }

  static std::optional<WallTime> read_time(const json& value) {
    constexpr double kMillisecondsPerSecond = 1000;
    constexpr double kLatest = 253'402'300'799;  // the end of the year 9999
    if (value.is_number()) {
      const double seconds = value.get<double>();
      if (!(seconds >= 0 && seconds <= kLatest)) return std::nullopt;
      return from_epoch_milliseconds(std::llround(seconds * kMillisecondsPerSecond));
    }
    if (value.is_string()) return parse_iso(value.get<std::string>());
    return std::nullopt;
  }

 private:
  /// "eventBusName" of "EventBusName", as AWS's sentences have it.
  static std::string lower(std::string name) {
    name.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
    return name;
  }
  void wrong(const std::string& name) {
    refuse(refusal("SerializationException", "The argument " + name + " has the wrong type."));
  }

  json root_;
  std::optional<ApiError> error_;
};

double seconds_of(WallTime time) {
  constexpr double kMillisecondsPerSecond = 1000;
  return static_cast<double>(epoch_milliseconds(time)) / kMillisecondsPerSecond;
}

/// The bus of a call, which names it or leaves it out.
std::string bus_argument(Arguments& arguments) {
  const std::string given = arguments.text("EventBusName", 1600);
  if (given.empty()) return std::string(kDefaultBus);
  const std::string name = bus_name(given);
  return name.empty() ? given : name;
}

/// Writes the pieces of a list from `NextToken` on, at most `Limit`, and the token of the next page.
class Page {
 public:
  Page(Arguments& arguments, std::string& body) : out_(body) {
    limit_ = static_cast<std::size_t>(arguments.integer("Limit", 1, kMaxPage).value_or(kMaxPage));
    after_ = arguments.text("NextToken", 2048);
  }
  void begin(std::string_view list) { out_.begin_object().key(list).begin_array(); }
  /// Whether a thing of this name, which come in order, is on the page.
  bool takes(std::string_view name) {
    if (!after_.empty() && name <= after_) return false;
    if (taken_ == limit_) {
      more_ = true;
      return false;
    }
    ++taken_;
    last_ = name;
    return true;
  }
  JsonWriter& out() { return out_; }
  void end() {
    out_.end_array();
    if (more_) out_.member("NextToken", last_);
    out_.end_object();
  }

 private:
  JsonWriter out_;
  std::size_t limit_ = 0;
  std::string after_;
  std::size_t taken_ = 0;
  std::string last_;
  bool more_ = false;
};

void optional_member(JsonWriter& out, std::string_view name, std::string_view value) {
  if (!value.empty()) out.member(name, value);
}

std::optional<ApiError> check_pattern(const std::string& pattern) {
  auto read = pattern::Pattern::compile(pattern, pattern::Dialect::kEventBridge);
  if (read) return std::nullopt;
  return refusal("InvalidEventPatternException", read.error().message());
}

/// What a handler has at hand.
struct Call {
  const Model& model;
  const ServiceHost& host;
  const std::map<std::string, ArchiveSize>& sizes;
  WallTime now;
  Arguments arguments;

  Reply refuse(ApiError error) const { return Reply(arguments.error() ? *arguments.error() : std::move(error)); }
  bool wrong() const { return arguments.error().has_value(); }
  Reply refuse() const { return Reply(*arguments.error()); }
};

std::map<std::string, std::string> read_tags(Arguments& arguments) {
  std::map<std::string, std::string> tags;
  for (json& each : arguments.objects("Tags")) {
    Arguments tag(std::move(each));
    std::string key = tag.required("Key", 128);
    tags[std::move(key)] = tag.text("Value", 256);
    arguments.take(tag);
  }
  if (tags.size() > kMaxTags) arguments.refuse(too_many());
  return tags;
}

// Buses

Reply create_bus(Call& call) {
  const std::string name = call.arguments.required("Name", 256);
  Bus bus;
  bus.description = call.arguments.text("Description", 512);
  const auto tags = read_tags(call.arguments);
  if (call.wrong()) return call.refuse();
  if (name.find('/') != std::string::npos) return call.refuse(invalid("Event bus name must not contain '/'."));
  Arguments checked(json{{"Name", name}});
  checked.name("Name", 256);
  call.arguments.take(checked);
  if (call.wrong()) return call.refuse();
  if (call.model.bus(name) != nullptr) return call.refuse(exists_already("Event bus " + name + " already exists."));
  if (call.model.buses().size() >= kMaxBuses) return call.refuse(too_many());
  bus.name = name;
  bus.created = call.now;
  Reply reply;
  reply.notes.push_back(note_of(bus));
  if (!tags.empty()) reply.notes.push_back(note_of_tags(bus_arn(name), tags));
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("EventBusArn", bus_arn(name));
  optional_member(out, "Description", bus.description);
  out.end_object();
  return reply;
}

void write_bus(JsonWriter& out, const Bus& bus) {
  out.begin_object().member("Name", bus.name).member("Arn", bus_arn(bus.name));
  optional_member(out, "Description", bus.description);
  out.member("CreationTime", seconds_of(bus.created)).member("LastModifiedTime", seconds_of(bus.created)).end_object();
}

Reply describe_bus(Call& call) {
  std::string given = call.arguments.text("Name", 1600);
  if (given.empty()) given = kDefaultBus;
  if (call.wrong()) return call.refuse();
  const Bus* const bus = call.model.bus(bus_name(given));
  if (bus == nullptr) return call.refuse(no_bus(given));
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  write_bus(out, *bus);
  return reply;
}

Reply delete_bus(Call& call) {
  const std::string name = call.arguments.required("Name", 256);
  if (call.wrong()) return call.refuse();
  if (name == kDefaultBus) return call.refuse(invalid("Cannot delete event bus default."));
  const Bus* const bus = call.model.bus(name);
  Reply reply;
  if (bus == nullptr) return reply;  // AWS's answer too
  if (bus->configured) {
    return call.refuse(invalid("Event bus " + name + " is in weir's configuration: remove its sources there."));
  }
  if (!bus->rules.empty()) return call.refuse(invalid("Event bus can't be deleted since it has rules."));
  reply.notes.push_back(end_of(*bus));
  reply.notes.push_back(note_of_tags(bus_arn(name), {}));
  return reply;
}

Reply list_buses(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 256);
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (call.wrong()) return call.refuse();
  page.begin("EventBuses");
  for (const auto& [name, bus] : call.model.buses()) {
    if (name.starts_with(prefix) && page.takes(name)) write_bus(page.out(), bus);
  }
  page.end();
  return reply;
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
  Reply reply;
  reply.notes.push_back(note_of(rule));
  start_schedule(reply, there, rule, call.now);
  // Tags are a new rule's only: of one that is there AWS takes them for what they are.
  if (there == nullptr && !tags.empty()) reply.notes.push_back(note_of_tags(rule.arn(), tags));
  reply.body.clear();
  JsonWriter(reply.body).begin_object().member("RuleArn", rule.arn()).end_object();
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

void write_rule(JsonWriter& out, const Rule& rule, bool with_creator) {
  out.begin_object().member("Name", rule.name).member("Arn", rule.arn());
  optional_member(out, "EventPattern", rule.pattern);
  optional_member(out, "ScheduleExpression", rule.schedule);
  out.member("State", rule.enabled ? "ENABLED" : "DISABLED");
  optional_member(out, "Description", rule.description);
  optional_member(out, "RoleArn", rule.role);
  if (!rule.source.empty()) out.member("ManagedBy", "weir");
  out.member("EventBusName", rule.bus);
  if (with_creator) out.member("CreatedBy", kLocalAccount);
  out.end_object();
}

Reply describe_rule(Call& call) {
  const Rule* const rule = find_rule(call);
  if (rule == nullptr) return call.refuse();
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  write_rule(out, *rule, true);
  return reply;
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

Reply list_rules(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 64);
  const std::string name = bus_argument(call.arguments);
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (call.wrong()) return call.refuse();
  const Bus* const bus = call.model.bus(name);
  if (bus == nullptr) return call.refuse(no_bus(name));
  page.begin("Rules");
  for (const auto& [rule_name, rule] : bus->rules) {
    if (rule_name.starts_with(prefix) && page.takes(rule_name)) write_rule(page.out(), rule, false);
  }
  page.end();
  return reply;
}

Reply list_rules_by_target(Call& call) {
  const std::string arn = call.arguments.required("TargetArn", 1600);
  const std::string name = bus_argument(call.arguments);
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (call.wrong()) return call.refuse();
  const Bus* const bus = call.model.bus(name);
  if (bus == nullptr) return call.refuse(no_bus(name));
  page.begin("RuleNames");
  for (const auto& [rule_name, rule] : bus->rules) {
    const bool has =
        std::any_of(rule.targets.begin(), rule.targets.end(), [&](const Target& target) { return target.arn == arn; });
    if (has && page.takes(rule_name)) page.out().value(rule_name);
  }
  page.end();
  return reply;
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
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (rule == nullptr || call.wrong()) return call.refuse();
  std::map<std::string, const Target*> by_id;
  for (const Target& target : rule->targets) by_id[target.id] = &target;
  page.begin("Targets");
  for (const auto& [id, target] : by_id) {
    if (page.takes(id)) page.out().raw(target->document);
  }
  page.end();
  return reply;
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
  Reply reply;
  reply.body.clear();
  JsonWriter(reply.body).begin_object().member("Result", !matched->empty()).end_object();
  return reply;
}

// Archives

std::optional<ApiError> read_archive(Call& call, Archive& archive) {
  if (call.arguments.has("Description")) archive.description = call.arguments.text("Description", 512);
  if (call.arguments.has("EventPattern")) {
    archive.pattern = call.arguments.text("EventPattern", pattern::kMaxPatternLength);
  }
  if (const auto days = call.arguments.integer("RetentionDays", 0, 1'000'000)) {
    archive.retention_days = static_cast<int>(*days);
  }
  if (call.wrong()) return *call.arguments.error();
  if (!archive.pattern.empty()) return check_pattern(archive.pattern);
  return std::nullopt;
}

Reply archive_answer(const Archive& archive) {
  Reply reply;
  reply.notes.push_back(note_of(archive));
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("ArchiveArn", archive_arn(archive.name)).member("State", "ENABLED");
  out.member("CreationTime", seconds_of(archive.created)).end_object();
  return reply;
}

Reply create_archive(Call& call) {
  Archive archive;
  archive.name = call.arguments.name("ArchiveName", 48);
  const std::string source = call.arguments.required("EventSourceArn", 1600);
  archive.created = call.now;
  auto error = read_archive(call, archive);
  if (error) return call.refuse(std::move(*error));
  archive.bus = source.starts_with("arn:") ? bus_name(source) : "";
  if (archive.bus.empty()) {
    return call.refuse(invalid("Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN."));
  }
  if (call.model.bus(archive.bus) == nullptr) return call.refuse(no_bus(archive.bus));
  if (call.model.archives().count(archive.name) > 0) {
    return call.refuse(exists_already("Archive " + archive.name + " already exists."));
  }
  if (call.model.archives().size() >= kMaxArchives) return call.refuse(too_many());
  return archive_answer(archive);
}

const Archive* find_archive(Call& call) {
  const std::string name = call.arguments.required("ArchiveName", 48);
  if (call.wrong()) return nullptr;
  const auto found = call.model.archives().find(name);
  if (found != call.model.archives().end()) return &found->second;
  call.arguments.refuse(not_found("Archive " + name + " does not exist."));
  return nullptr;
}

void write_archive_members(JsonWriter& out, const Call& call, const Archive& archive) {
  const auto size = call.sizes.find(archive.name);
  out.member("ArchiveName", archive.name).member("EventSourceArn", bus_arn(archive.bus)).member("State", "ENABLED");
  out.member("RetentionDays", archive.retention_days);
  out.member("SizeBytes", size == call.sizes.end() ? std::uint64_t{0} : size->second.bytes);
  out.member("EventCount", size == call.sizes.end() ? std::uint64_t{0} : size->second.events);
  out.member("CreationTime", seconds_of(archive.created));
}

Reply describe_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("ArchiveArn", archive_arn(archive->name));
  optional_member(out, "Description", archive->description);
  optional_member(out, "EventPattern", archive->pattern);
  write_archive_members(out, call, *archive);
  out.end_object();
  return reply;
}

Reply update_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  Archive changed = *archive;
  auto error = read_archive(call, changed);
  if (error) return call.refuse(std::move(*error));
  return archive_answer(changed);
}

Reply delete_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  Reply reply;
  reply.notes.push_back(end_of(*archive));
  reply.forget = archive->log();
  return reply;
}

Reply list_archives(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 48);
  const std::string source = call.arguments.text("EventSourceArn", 1600);
  const std::string state = call.arguments.text("State");
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (call.wrong()) return call.refuse();
  if ((prefix.empty() ? 0 : 1) + (source.empty() ? 0 : 1) + (state.empty() ? 0 : 1) > 1) {
    return call.refuse(
        invalid("At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix."));
  }
  if (!source.empty() && call.model.bus(bus_name(source)) == nullptr) return call.refuse(no_bus(bus_name(source)));
  page.begin("Archives");
  for (const auto& [name, archive] : call.model.archives()) {
    const bool wanted = name.starts_with(prefix) && (source.empty() || bus_arn(archive.bus) == source) &&
                        (state.empty() || state == "ENABLED");
    if (!wanted || !page.takes(name)) continue;
    page.out().begin_object();
    write_archive_members(page.out(), call, archive);
    page.out().end_object();
  }
  page.end();
  return reply;
}

// Replays

Reply start_replay(Call& call) {
  Arguments& arguments = call.arguments;
  Replay replay;
  replay.name = arguments.name("ReplayName", 64);
  replay.description = arguments.text("Description", 512);
  const std::string source = arguments.required("EventSourceArn", 1600);
  const auto from = arguments.time("EventStartTime");
  const auto to = arguments.time("EventEndTime");
  if (!from) arguments.refuse(constraint("null", "eventStartTime", "not be null"));
  if (!to) arguments.refuse(constraint("null", "eventEndTime", "not be null"));
  Arguments destination = arguments.object("Destination");
  const std::string bus = destination.required("Arn", 1600);
  const auto filters = destination.texts("FilterArns");
  arguments.take(destination);
  if (call.wrong()) return call.refuse();
  if (!bus.starts_with("arn:") || bus_name(bus).empty()) {
    return call.refuse(invalid("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN."));
  }
  replay.bus = bus_name(bus);
  if (call.model.bus(replay.bus) == nullptr) return call.refuse(no_bus(replay.bus));
  constexpr std::string_view kArchive = "archive/";
  const auto resource = service::local_resource(source, "events");
  replay.archive = resource && resource->starts_with(kArchive) ? resource->substr(kArchive.size()) : source;
  const auto archive = call.model.archives().find(replay.archive);
  if (archive == call.model.archives().end()) {
    return call.refuse(
        invalid("Parameter EventSourceArn is not valid. Reason: Archive " + replay.archive + " does not exist."));
  }
  if (archive->second.bus != replay.bus) {
    return call.refuse(
        invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."));
  }
  if (*from >= *to) {
    return call.refuse(
        invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."));
  }
  if (call.model.replays().count(replay.name) > 0) {
    return call.refuse(exists_already("Replay " + replay.name + " already exists."));
  }
  const auto& all = call.model.replays();
  const auto running = std::count_if(all.begin(), all.end(), [](const auto& each) { return each.second.under_way(); });
  if (static_cast<std::size_t>(running) >= kMaxReplaying) return call.refuse(too_many());
  replay.filter_arns.insert(filters.begin(), filters.end());
  replay.from = *from;
  replay.to = *to;
  replay.started = call.now;
  Reply reply;
  if (all.size() >= kMaxReplays) {
    const auto oldest = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return std::make_pair(a.second.under_way(), a.second.started) <
             std::make_pair(b.second.under_way(), b.second.started);
    });
    reply.notes.push_back(end_of(oldest->second));
  }
  reply.notes.push_back(note_of(replay));
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("ReplayArn", replay_arn(replay.name)).member("State", text(replay.state));
  out.member("ReplayStartTime", seconds_of(replay.started)).end_object();
  return reply;
}

const Replay* find_replay(Call& call) {
  const std::string name = call.arguments.required("ReplayName", 64);
  if (call.wrong()) return nullptr;
  const auto found = call.model.replays().find(name);
  if (found != call.model.replays().end()) return &found->second;
  call.arguments.refuse(not_found("Replay " + name + " does not exist."));
  return nullptr;
}

void write_replay_members(JsonWriter& out, const Replay& replay) {
  out.member("ReplayName", replay.name).member("EventSourceArn", archive_arn(replay.archive));
  out.member("State", text(replay.state)).member("EventStartTime", seconds_of(replay.from));
  out.member("EventEndTime", seconds_of(replay.to)).member("ReplayStartTime", seconds_of(replay.started));
  if (replay.last) out.member("EventLastReplayedTime", seconds_of(*replay.last));
  if (replay.ended) out.member("ReplayEndTime", seconds_of(*replay.ended));
}

Reply describe_replay(Call& call) {
  const Replay* const replay = find_replay(call);
  if (replay == nullptr) return call.refuse();
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("ReplayArn", replay_arn(replay->name));
  optional_member(out, "Description", replay->description);
  out.key("Destination").begin_object().member("Arn", bus_arn(replay->bus)).key("FilterArns").begin_array();
  for (const std::string& arn : replay->filter_arns) out.value(arn);
  out.end_array().end_object();
  write_replay_members(out, *replay);
  out.end_object();
  return reply;
}

Reply cancel_replay(Call& call) {
  const Replay* const replay = find_replay(call);
  if (replay == nullptr) return call.refuse();
  if (replay->state != ReplayState::kStarting && replay->state != ReplayState::kRunning) {
    return call.refuse(
        refusal("IllegalStatusException", "Replay " + replay->name + " is not in a valid state for this operation."));
  }
  Replay changed = *replay;
  changed.state = ReplayState::kCancelling;
  Reply reply;
  reply.notes.push_back(note_of(changed));
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().member("ReplayArn", replay_arn(replay->name)).member("State", text(changed.state)).end_object();
  return reply;
}

Reply list_replays(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 64);
  const std::string source = call.arguments.text("EventSourceArn", 1600);
  const std::string state = call.arguments.text("State");
  Reply reply;
  reply.body.clear();
  Page page(call.arguments, reply.body);
  if (call.wrong()) return call.refuse();
  if ((prefix.empty() ? 0 : 1) + (source.empty() ? 0 : 1) + (state.empty() ? 0 : 1) > 1) {
    return call.refuse(
        invalid("At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix."));
  }
  page.begin("Replays");
  for (const auto& [name, replay] : call.model.replays()) {
    const bool wanted = name.starts_with(prefix) && (source.empty() || archive_arn(replay.archive) == source) &&
                        (state.empty() || state == text(replay.state));
    if (!wanted || !page.takes(name)) continue;
    page.out().begin_object();
    write_replay_members(page.out(), replay);
    page.out().end_object();
  }
  page.end();
  return reply;
}

// Tags

/// The ARN of a bus or rule that is there; "" after a refusal.
std::string tagged(Call& call) {
  std::string arn = call.arguments.required("ResourceARN", 1600);
  if (call.wrong()) return "";
  for (const auto& [name, bus] : call.model.buses()) {
    if (bus_arn(name) == arn) return arn;
    for (const auto& [rule_name, rule] : bus.rules) {
      if (rule.arn() == arn) return arn;
    }
  }
  call.arguments.refuse(not_found("Resource " + arn + " does not exist."));
  return "";
}

Reply tag(Call& call) {
  const auto added = read_tags(call.arguments);
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  auto tags = call.model.tags(arn);
  for (const auto& [key, value] : added) tags[key] = value;
  if (tags.size() > kMaxTags) return call.refuse(too_many());
  Reply reply;
  reply.notes.push_back(note_of_tags(arn, tags));
  return reply;
}

Reply untag(Call& call) {
  const auto keys = call.arguments.texts("TagKeys");
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  auto tags = call.model.tags(arn);
  for (const std::string& key : keys) tags.erase(key);
  Reply reply;
  reply.notes.push_back(note_of_tags(arn, tags));
  return reply;
}

Reply list_tags(Call& call) {
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object().key("Tags").begin_array();
  for (const auto& [key, value] : call.model.tags(arn)) {
    out.begin_object().member("Key", key).member("Value", value).end_object();
  }
  out.end_array().end_object();
  return reply;
}

struct Operation {
  std::string_view name;
  Reply (*handle)(Call& call);
};
constexpr std::array kOperations{
    Operation{"CancelReplay", &cancel_replay},
    Operation{"CreateArchive", &create_archive},
    Operation{"CreateEventBus", &create_bus},
    Operation{"DeleteArchive", &delete_archive},
    Operation{"DeleteEventBus", &delete_bus},
    Operation{"DeleteRule", &delete_rule},
    Operation{"DescribeArchive", &describe_archive},
    Operation{"DescribeEventBus", &describe_bus},
    Operation{"DescribeReplay", &describe_replay},
    Operation{"DescribeRule", &describe_rule},
    Operation{"DisableRule", [](Call& call) { return switch_rule(call, false); }},
    Operation{"EnableRule", [](Call& call) { return switch_rule(call, true); }},
    Operation{"ListArchives", &list_archives},
    Operation{"ListEventBuses", &list_buses},
    Operation{"ListReplays", &list_replays},
    Operation{"ListRuleNamesByTarget", &list_rules_by_target},
    Operation{"ListRules", &list_rules},
    Operation{"ListTagsForResource", &list_tags},
    Operation{"ListTargetsByRule", &list_targets},
    Operation{"PutRule", &put_rule},
    Operation{"PutTargets", &put_targets},
    Operation{"RemoveTargets", &remove_targets},
    Operation{"StartReplay", &start_replay},
    Operation{"TagResource", &tag},
    Operation{"TestEventPattern", &test_pattern},
    Operation{"UntagResource", &untag},
    Operation{"UpdateArchive", &update_archive},
};

}  // namespace

std::optional<Reply> Api::handle(std::string_view operation, std::string_view body) const {
  const auto found = std::find_if(kOperations.begin(), kOperations.end(),
                                  [&](const Operation& each) { return each.name == operation; });
  if (found == kOperations.end()) return std::nullopt;
  Call call{model_, host_, sizes_, now_, Arguments(body)};
  if (call.wrong()) return call.refuse();
  return found->handle(call);
}

PutRequest read_put_events(std::string_view body) {
  PutRequest request;
  Arguments arguments(body);
  if (!arguments.has("Entries")) arguments.refuse(constraint("null", "entries", "not be null"));
  std::vector<json> entries = arguments.objects("Entries");
  if (!arguments.error() && entries.empty()) {
    arguments.refuse(constraint("'[]'", "entries", "have length greater than or equal to 1"));
  }
  if (entries.size() > kMaxEntries) {
    arguments.refuse(constraint("'[PutEventsRequestEntry]'", "entries", "have length less than or equal to 10"));
  }
  std::size_t size = 0;
  for (json& each : entries) {
    if (arguments.error()) break;
    Arguments fields(std::move(each));
    PutEntry entry;
    entry.source = fields.text("Source");
    entry.detail_type = fields.text("DetailType");
    entry.detail = fields.text("Detail");
    entry.resources = fields.texts("Resources");
    entry.time = fields.time("Time");
    entry.bus = fields.text("EventBusName");
    entry.trace_header = fields.text("TraceHeader");
    arguments.take(fields);
    size += entry_size(entry);
    request.entries.push_back(std::move(entry));
  }
  if (size > kMaxEntriesBytes) arguments.refuse(invalid("Total size of the entries in the request is over the limit."));
  request.error = arguments.error();
  return request;
}

ApiError unknown_operation() {
  return refusal("UnknownOperationException", "");
}

}  // namespace weir::eventbridge
