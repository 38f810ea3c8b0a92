#include "control/api_call.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "weir/base/json_check.h"
#include "weir/service.h"

#include "control/function_name.h"
#include "service/arn.h"

namespace weir::control {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxNamespacedName = 256;
constexpr std::size_t kMaxQualifier = 128;

constexpr std::string_view kUnreadable = "SerializationException";
constexpr std::string_view kConfigured =
    "The function is defined in weir's configuration file, which alone can change it: ";

/// "memorySize" of "MemorySize".
std::string lower(std::string_view name) {
  std::string text(name);
  text.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
  return text;
}

/// A function of the configuration, as far as it is known, in the shape of one that the API made.
Function shown_as(const config::FunctionConfig& from, const World& world) {
  Function function;
  function.name = from.name;
  // The same at every look, for nothing about it changes while weir runs.
  std::uint64_t seed = 1469598103934665603ULL;
  for (const char c : from.name) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  json latest = {{"Description", ""},
                 {"CodeSize", 0},
                 {"CodeSha256", ""},
                 {"RevisionId", Random(seed).uuid()},
                 {"LastModified", aws_time(world.started)},
                 {"Role", "arn:aws:iam::" + std::string(kLocalAccount) + ":role/weir"},
                 {"PackageType", "Zip"},
                 {"Architectures", json::array({"x86_64"})},
                 {"TracingConfig", {{"Mode", "PassThrough"}}},
                 {"SnapStart", {{"ApplyOn", "None"}, {"OptimizationStatus", "Off"}}}};
  const auto seconds = [](Duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); };
  json logging = {{"LogFormat", "Text"}, {"LogGroup", "/aws/lambda/" + from.name}};
  if (const auto* command = std::get_if<config::CommandFunction>(&from.target)) {
    if (!command->runtime.empty()) latest["Runtime"] = command->runtime;
    if (!command->command.empty()) latest["Command"] = command->command;
    if (!command->handler.empty()) latest["Handler"] = command->handler;
    latest["Timeout"] = seconds(command->timeout);
    latest["MemorySize"] = command->memory_size;
    latest["EphemeralStorage"] = {{"Size", command->ephemeral_storage}};
    if (!command->environment.empty()) latest["Environment"] = {{"Variables", command->environment}};
    logging["LogFormat"] = command->log_format;
    if (command->log_format == "JSON") {
      logging["ApplicationLogLevel"] = command->application_log_level;
      logging["SystemLogLevel"] = command->system_log_level;
    }
  }
  latest["LoggingConfig"] = std::move(logging);
  function.versions.emplace(kLatest, std::move(latest));
  if (from.reserved_concurrent_executions) {
    function.settings.emplace("reserved", json{{"ReservedConcurrentExecutions", *from.reserved_concurrent_executions}});
  }
  return function;
}

}  // namespace

LambdaError invalid(std::string message) {
  return {400, "InvalidParameterValueException", std::move(message)};
}
LambdaError not_found(std::string message) {
  return {404, "ResourceNotFoundException", std::move(message)};
}
LambdaError conflict(std::string message) {
  return {409, "ResourceConflictException", std::move(message)};
}

std::string Arguments::place(std::string_view name) const {
  return where_ + lower(name);
}

bool Arguments::has(std::string_view name) const {
  const auto found = root_.find(std::string(name));
  return found != root_.end() && !found->is_null();
}

void Arguments::wrong(std::string_view name) {
  call_.refuse({400, kUnreadable, "The argument " + std::string(name) + " has the wrong type."});
}

std::string Arguments::text(std::string_view name, std::size_t most) {
  if (!has(name)) return "";
  if (!at(name).is_string()) return wrong(name), "";
  auto value = at(name).get<std::string>();
  if (value.size() > most) {
    call_.validation.mistake(value.substr(0, 2 * most), place(name),
                             "Member must have length less than or equal to " + std::to_string(most));
  }
  return value;
}

std::string Arguments::required(std::string_view name, std::size_t most) {
  if (has(name)) return text(name, most);
  call_.validation.missing(place(name));
  return "";
}

std::optional<std::int64_t> Arguments::integer(std::string_view name, Range range) {
  if (!has(name)) return std::nullopt;
  if (!at(name).is_number_integer()) return wrong(name), std::nullopt;
  const auto value = at(name).get<std::int64_t>();
  if (value < range.min) {
    call_.validation.mistake(std::to_string(value), place(name),
                             "Member must have value greater than or equal to " + std::to_string(range.min));
  } else if (value > range.max) {
    call_.validation.mistake(std::to_string(value), place(name),
                             "Member must have value less than or equal to " + std::to_string(range.max));
  }
  return value;
}

std::optional<double> Arguments::number(std::string_view name, double least, double most) {
  if (!at(name).is_number()) return wrong(name), std::nullopt;
  const auto value = at(name).get<double>();
  if (!(value >= least && value <= most)) {
    call_.validation.mistake("{" + std::string(name) + "=" + at(name).dump() + "}", where_.substr(0, where_.size() - 1),
                             "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
                             "Member must have value greater than or equal to 0.0]");
  }
  return value;
}

bool Arguments::flag(std::string_view name) {
  if (!has(name)) return false;
  if (!at(name).is_boolean()) return wrong(name), false;
  return at(name).get<bool>();
}

std::string Arguments::choice(std::string_view name, std::initializer_list<std::string_view> values) {
  if (!has(name)) return "";
  if (!at(name).is_string()) return wrong(name), "";
  auto value = at(name).get<std::string>();
  if (std::find(values.begin(), values.end(), value) == values.end()) {
    std::string all;
    for (const std::string_view each : values) all.append(all.empty() ? "" : ", ").append(each);
    call_.validation.mistake(value, place(name), "Member must satisfy enum value set: [" + all + "]");
  }
  return value;
}

std::vector<std::string> Arguments::texts(std::string_view name) {
  std::vector<std::string> all;
  if (!has(name)) return all;
  if (!at(name).is_array()) return wrong(name), all;
  for (const json& each : at(name)) {
    if (!each.is_string()) return wrong(name), all;
    all.push_back(each.get<std::string>());
  }
  return all;
}

std::map<std::string, std::string> Arguments::text_map(std::string_view name) {
  std::map<std::string, std::string> all;
  if (!has(name)) return all;
  if (!at(name).is_object()) return wrong(name), all;
  for (const auto& [key, value] : at(name).items()) {
    if (!value.is_string()) return wrong(name), all;
    all.emplace(key, value.get<std::string>());
  }
  return all;
}

std::optional<Arguments> Arguments::object(std::string_view name) {
  if (!has(name)) return std::nullopt;
  if (!at(name).is_object()) return wrong(name), std::nullopt;
  return Arguments(at(name), place(name) + ".", call_);
}

std::vector<std::string> Arguments::names() const {
  std::vector<std::string> all;
  for (const auto& [key, value] : root_.items()) all.push_back(key);
  return all;
}

Call::Call(const World& known, const Asked& call, std::string_view operation)
    : world(known), asked(call), operation_(operation) {}

void Call::refuse(LambdaError error) {
  if (!error_) error_ = std::move(error);
}

Reply Call::refused() const {
  // What cannot be read is not looked at.
  if (error_ && error_->type == kUnreadable) return Reply(*error_);
  if (auto mistakes = validation.error()) return Reply(std::move(*mistakes));
  return Reply(*error_);
}

std::string Call::query(std::string_view name) const {
  const auto found =
      std::find_if(asked.query.begin(), asked.query.end(), [&](const auto& each) { return each.first == name; });
  return found == asked.query.end() ? std::string() : found->second;
}

bool Call::in_query(std::string_view name) const {
  return std::any_of(asked.query.begin(), asked.query.end(), [&](const auto& each) { return each.first == name; });
}

Arguments Call::body() {
  json object = json::object();
  if (!asked.body.empty()) {
    object = is_json(asked.body) ? json::parse(asked.body, nullptr, false) : json(json::value_t::discarded);
    if (!object.is_object()) {
      refuse({400, "InvalidRequestContentException", "Could not parse request body into json."});
      object = json::object();
    }
  }
  return Arguments(std::move(object), "", *this);
}

Named Call::named() {
  return named(asked.path.at(2), query("Qualifier"));
}

Named Call::named(const std::string& text, const std::string& qualifier) {
  Named out;
  const std::optional<FunctionName> name = parse_function_name(text);
  if (!name) {
    validation.mistake(text, "functionName",
                       "Member must satisfy regular expression pattern: " + std::string(kFunctionNamePattern));
  } else if (text.size() > kMaxNamespacedName) {
    validation.mistake(text, "functionName", "Member must have length less than or equal to 256");
  }
  if (qualifier.size() > kMaxQualifier) {
    validation.mistake(qualifier, "qualifier", "Member must have length less than or equal to 128");
  } else if (!qualifier.empty() && !is_qualifier(qualifier)) {
    validation.mistake(qualifier, "qualifier", "Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+");
  }
  if (!name || wrong()) return out;
  out.name = name->name;
  out.qualifier = qualifier.empty() ? name->qualifier : qualifier;
  if (name->name.size() > kMaxName) {
    Validation length;
    length.mistake(name->name, "functionName", "Member must have length less than or equal to 64");
    refuse(invalid(length.sentence()));
  } else if (!name->region.empty() && name->region != kLocalRegion) {
    refuse(not_found("Functions from '" + name->region + "' are not reachable in this region ('" +
                     std::string(kLocalRegion) + "')"));
  } else if (!name->account.empty() && name->account != kLocalAccount) {
    const std::string root = "arn:aws:iam::" + std::string(kLocalAccount) + ":root";
    refuse({403, "AccessDeniedException",
            "User: " + root + " is not authorized to perform: lambda:" + std::string(operation_) +
                " on resource: arn:aws:lambda:" + std::string(kLocalRegion) + ":" + name->account +
                ":function:" + name->name +
                " because no resource-based policy allows the lambda:" + std::string(operation_) + " action"});
  } else if (!qualifier.empty() && !name->qualifier.empty() && qualifier != name->qualifier) {
    refuse(invalid("The derived qualifier from the function name does not match the specified qualifier."));
  }
  return out;
}

bool Call::is_configured(const std::string& name) const {
  return world.functions.configured().contains(name);
}

const Function* Call::look_up(const Named& named) {
  if (wrong()) return nullptr;
  const auto& configured = world.functions.configured();
  if (const auto found = configured.find(named.name); found != configured.end()) {
    shown_ = shown_as(found->second, world);
    // A function of the API of the same name, from before, is hidden whole.
    const auto added = world.model.functions().find(named.name);
    if (added == world.model.functions().end() || world.model.function(named.name) != nullptr) return &*shown_;
    for (const Kind kind : {Kind::kVersion, Kind::kAlias, Kind::kProvisioned, Kind::kAsync}) {
      shown_->of(kind).insert(added->second.of(kind).begin(), added->second.of(kind).end());
    }
    return &*shown_;
  }
  const Function* const function = world.model.function(named.name);
  if (function == nullptr) refuse(not_found("Function not found: " + function_arn(named.name, named.qualifier)));
  return function;
}

std::string Call::version_of(const Function& function, const std::string& qualifier) {
  if (qualifier.empty()) return std::string(kLatest);
  if (function.versions.contains(qualifier)) return qualifier;
  if (const json* alias = find(function.aliases, qualifier)) return alias->at("FunctionVersion").get<std::string>();
  refuse(not_found("Function not found: " + function_arn(function.name, qualifier)));
  return "";
}

Function* Call::change(const std::string& name) {
  if (wrong()) return nullptr;
  if (is_configured(name)) {
    refuse(conflict(std::string(kConfigured) + function_arn(name)));
    return nullptr;
  }
  const Function* const function = world.model.function(name);
  if (function == nullptr) return nullptr;
  next_ = *function;
  return &*next_;
}

Function* Call::change(const Named& named) {
  Function* const function = change(named.name);
  if (function == nullptr) refuse(not_found("Function not found: " + function_arn(named.name, named.qualifier)));
  return function;
}

Function* Call::extend(const Named& named) {
  if (!is_configured(named.name)) return change(named);
  const Function* const function = look_up(named);
  if (function == nullptr) return nullptr;
  const bool runs = std::holds_alternative<config::CommandFunction>(world.functions.configured().at(named.name).target);
  if (!runs || world.model.function(named.name) != nullptr) {
    refuse(conflict(std::string(kConfigured) + function_arn(named.name)));
    return nullptr;
  }
  next_ = *function;
  return &*next_;
}

Function& Call::create(const std::string& name) {
  next_.emplace();
  next_->name = name;
  // What was added to a function of the configuration that is no more.
  if (const auto left = world.model.functions().find(name); left != world.model.functions().end()) {
    for (const Kind kind : {Kind::kVersion, Kind::kAlias, Kind::kProvisioned, Kind::kAsync}) {
      for (const auto& [key, document] : left->second.of(kind)) notes.push_back(end_of(kind, name, key));
    }
  }
  return *next_;
}

void Call::put(Kind kind, std::string_view key, json value) {
  notes.push_back(note_of(kind, next_->name, key, value));
  next_->of(kind).insert_or_assign(std::string(key), std::move(value));
}

void Call::remove(Kind kind, std::string_view key) {
  notes.push_back(end_of(kind, next_->name, key));
  next_->of(kind).erase(std::string(key));
}

bool Call::possible() {
  const Result<void> checked = world.functions.check(world.plan(*next_));
  if (!checked) refuse(invalid(checked.error().message()));
  return checked.has_value();
}

Reply Call::changed(int status, const json& body) {
  if (wrong()) return refused();
  Reply reply = answered(status, body);
  reply.notes = std::move(notes);
  reply.function = next_->name;
  return reply;
}

std::string Call::now_text() const {
  return aws_time(world.now);
}

Reply answered(int status, const json& body) {
  Reply reply;
  reply.status = status;
  if (status != kNoContent) reply.body = body.dump();
  return reply;
}

Reply list_reply(Call& call, std::string_view list, std::vector<std::pair<std::string, json>> items, std::int64_t most,
                 std::size_t page_size) {
  std::size_t limit = page_size;
  if (const std::string text = call.query("MaxItems"); !text.empty()) {
    const std::int64_t given = is_digits(text) && text.size() < 10 ? std::stoll(text) : 0;
    if (given < 1) {
      call.validation.mistake(text, "maxItems", "Member must have value greater than or equal to 1");
    } else if (given > most) {
      call.validation.mistake(text, "maxItems", "Member must have value less than or equal to " + std::to_string(most));
    } else {
      limit = std::min(limit, static_cast<std::size_t>(given));
    }
  }
  if (call.wrong()) return call.refused();
  const std::string marker = call.query("Marker");
  auto at = items.begin();
  if (!marker.empty()) {
    at = std::find_if(items.begin(), items.end(), [&](const auto& each) { return each.first == marker; });
    if (at == items.end()) return call.refused(invalid("The provided marker is invalid."));
    ++at;
  }
  json body;
  json& page = body[std::string(list)] = json::array();
  for (; at != items.end() && page.size() < limit; ++at) page.push_back(std::move(at->second));
  if (at != items.end()) body["NextMarker"] = std::prev(at)->first;
  return answered(kOk, body);
}

json configuration(const Call& call, const Function& function, const std::string& version,
                   const std::string& qualifier) {
  json shown = function.versions.find(version)->second;
  shown.erase("LatestDescription");
  shown.erase("LayerCode");
  shown.erase("Command");
  shown["FunctionName"] = function.name;
  shown["FunctionArn"] = function_arn(function.name, qualifier);
  shown["Version"] = version;
  shown["State"] = "Active";
  shown["LastUpdateStatus"] = "Successful";
  if (call.world.broken(function.name, version)) {
    shown["State"] = "Failed";
    shown["StateReason"] = "The code of the function is no longer in weir's state folder. Update the function's code.";
    shown["StateReasonCode"] = "InternalError";
  }
  return shown;
}

std::string aws_time(WallTime time) {
  std::string text = iso_milliseconds(time);
  text.pop_back();  // the Z
  return text + "+0000";
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool same_revision(Call& call, const std::string& given, const std::string& current) {
  if (given.empty() || given == current) return true;
  call.refuse({412, "PreconditionFailedException",
               "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
               "retrieve the latest Revision Id"});
  return false;
}

bool qualifier_exists(Call& call, const Function& function, const std::string& qualifier) {
  if (qualifier.empty() || function.versions.contains(qualifier) || function.aliases.contains(qualifier)) return true;
  if (is_digits(qualifier) || qualifier.starts_with('$')) {
    call.refuse(not_found("Function not found: " + function_arn(function.name, qualifier)));
  } else {
    call.refuse(not_found("Cannot find alias arn: " + function_arn(function.name, qualifier)));
  }
  return false;
}

}  // namespace weir::control
