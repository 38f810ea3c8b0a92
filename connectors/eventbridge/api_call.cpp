#include "connectors/eventbridge/api_call.h"

#include <cmath>

#include "weir/base/json_check.h"

#include "pattern/pattern.h"
#include "service/characters.h"

namespace weir::eventbridge {
namespace {

using nlohmann::json;
using service::ApiError;

constexpr int kBadRequest = 400;

/// "eventBusName" of "EventBusName", as AWS's sentences have it.
std::string lower(std::string name) {
  name.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
  return name;
}

}  // namespace

std::optional<WallTime> read_time(const json& value) {
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

Arguments::Arguments(std::string_view body)
    : root_(is_json(body) ? json::parse(body, nullptr, false) : (body.empty() ? json::object() : json())) {
  if (root_.is_discarded() || !root_.is_object()) {
    error_ = refusal("SerializationException", "The request's body is no JSON object.");
    root_ = json::object();
  }
}

void Arguments::refuse(ApiError error) {
  if (!error_) error_ = std::move(error);
}

std::string Arguments::text(const char* name, std::size_t most) {
  if (!has(name)) return "";
  if (!root_.at(name).is_string()) return wrong(name), "";
  auto value = root_.at(name).get<std::string>();
  if (most != 0 && service::characters(value) > most) {
    refuse(constraint("'" + service::shown(value) + "'", lower(name),
                      "have length less than or equal to " + std::to_string(most)));
  }
  return value;
}

std::string Arguments::required(const char* name, std::size_t most) {
  if (!has(name)) {
    refuse(constraint("null", lower(name), "not be null"));
    return "";
  }
  std::string value = text(name, most);
  if (value.empty()) refuse(constraint("''", lower(name), "have length greater than or equal to 1"));
  return value;
}

std::string Arguments::name(const char* name, std::size_t most) {
  std::string value = required(name, most);
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  if (value.find_first_not_of(kAllowed) != std::string::npos) {
    refuse(
        constraint("'" + value + "'", lower(name), "satisfy regular expression pattern: " + std::string(kNamePattern)));
  }
  return value;
}

std::optional<std::int64_t> Arguments::integer(const char* name, std::int64_t least, std::int64_t most) {
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

std::optional<WallTime> Arguments::time(const char* name) {
  if (!has(name)) return std::nullopt;
  const auto value = read_time(root_.at(name));
  if (!value) wrong(name);
  return value;
}

std::vector<std::string> Arguments::texts(const char* name) {
  std::vector<std::string> all;
  if (!has(name)) return all;
  if (!root_.at(name).is_array()) return wrong(name), all;
  for (const json& each : root_.at(name)) {
    if (!each.is_string()) return wrong(name), all;
    all.push_back(each.get<std::string>());
  }
  return all;
}

std::vector<json> Arguments::objects(const char* name) {
  std::vector<json> all;
  if (!has(name)) return all;
  if (!root_.at(name).is_array()) return wrong(name), all;
  for (const json& each : root_.at(name)) {
    if (!each.is_object()) return wrong(name), all;
    all.push_back(each);
  }
  return all;
}

Arguments Arguments::object(const char* name) {
  if (!has(name)) return Arguments(json::object());
  if (!root_.at(name).is_object()) {
    wrong(name);
    return Arguments(json::object());
  }
  return Arguments(root_.at(name));
}

void Arguments::take(const Arguments& inner) {
  if (inner.error_) refuse(*inner.error_);
}

void Arguments::wrong(const std::string& name) {
  refuse(refusal("SerializationException", "The argument " + name + " has the wrong type."));
}

double seconds_of(WallTime time) {
  constexpr double kMillisecondsPerSecond = 1000;
  return static_cast<double>(epoch_milliseconds(time)) / kMillisecondsPerSecond;
}

std::string bus_argument(Arguments& arguments) {
  const std::string given = arguments.text("EventBusName", 1600);
  if (given.empty()) return std::string(kDefaultBus);
  const std::string name = bus_name(given);
  return name.empty() ? given : name;
}

void optional_member(JsonWriter& out, std::string_view name, std::string_view value) {
  if (!value.empty()) out.member(name, value);
}

std::optional<ApiError> check_pattern(const std::string& pattern) {
  auto read = pattern::Pattern::compile(pattern, pattern::Dialect::kEventBridge);
  if (read) return std::nullopt;
  return refusal("InvalidEventPatternException", read.error().message());
}

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

}  // namespace weir::eventbridge
