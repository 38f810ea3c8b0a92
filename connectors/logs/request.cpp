#include "connectors/logs/request.h"

#include <charconv>
#include <limits>

#include "connectors/logs/config.h"
#include "service/arn.h"
#include "service/characters.h"

namespace weir::logs {
namespace {

constexpr std::size_t kNameMax = 512;
constexpr std::size_t kIdentifierMax = 2048;

std::string_view called(const char* key, std::string_view at) {
  return at.empty() ? std::string_view(key) : at;
}

void check_length(std::string_view text, std::size_t most, std::string_view key) {
  if (text.empty()) unfit(text, key, "Member must have length greater than or equal to 1");
  if (service::characters(text) > most)
    unfit(text, key, "Member must have length less than or equal to " + std::to_string(most));
}

void check_group_name(std::string_view name, std::string_view key) {
  check_length(name, kNameMax, key);
  if (!is_group_name(name)) unfit(name, key, "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+");
}

}  // namespace

void refuse(std::string_view code, std::string message) {
  throw service::ApiError(400, code, std::move(message));
}

void invalid(std::string message) {
  refuse("InvalidParameterException", std::move(message));
}

void not_found(std::string_view what) {
  refuse("ResourceNotFoundException", "The specified " + std::string(what) + " does not exist.");
}

void unfit(std::string_view value, std::string_view key, std::string_view says) {
  invalid("1 validation error detected: Value '" + service::shown(value) + "' at '" + std::string(key) +
          "' failed to satisfy constraint: " + std::string(says));
}

std::optional<std::string> text_of(const Json& asked, const char* key, std::string_view at) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) refuse("SerializationException", std::string(called(key, at)) + " has to be a string");
  return found->get<std::string>();
}

std::string required(const Json& asked, const char* key, std::string_view at) {
  auto text = text_of(asked, key, at);
  if (!text) {
    invalid("1 validation error detected: Value null at '" + std::string(called(key, at)) +
            "' failed to satisfy constraint: Member must not be null");
  }
  return std::move(*text);
}

std::optional<std::int64_t> number_of(const Json& asked, const char* key, std::string_view at) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return std::nullopt;
  if (!found->is_number_integer())
    refuse("SerializationException", std::string(called(key, at)) + " has to be a whole number");
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    refuse("SerializationException", std::string(called(key, at)) + " is too large a number");
  return found->get<std::int64_t>();
}

std::optional<std::int64_t> time_of(const Json& asked, const char* key) {
  const auto time = number_of(asked, key);
  if (time && *time < 0) unfit(std::to_string(*time), key, "Member must have value greater than or equal to 0");
  return time;
}

bool flag_of(const Json& asked, const char* key, bool otherwise) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) refuse("SerializationException", std::string(key) + " has to be true or false");
  return found->get<bool>();
}

std::size_t limit_of(const Json& asked, std::size_t most) {
  const auto limit = number_of(asked, "limit");
  if (!limit) return most;
  if (*limit < 1) unfit(std::to_string(*limit), "limit", "Member must have value greater than or equal to 1");
  if (*limit > static_cast<std::int64_t>(most)) {
    unfit(std::to_string(*limit), "limit", "Member must have value less than or equal to " + std::to_string(most));
  }
  return static_cast<std::size_t>(*limit);
}

const Json* list_of(const Json& asked, const char* key, std::size_t most) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return nullptr;
  if (!found->is_array()) refuse("SerializationException", std::string(key) + " has to be a list");
  if (found->empty()) unfit("[]", key, "Member must have length greater than or equal to 1");
  if (found->size() > most) {
    // Unlike AWS without its items, of which there may be a million.
    unfit("[...]", key, "Member must have length less than or equal to " + std::to_string(most));
  }
  return &*found;
}

std::string group_name(const Json& asked, const char* key) {
  std::string name = required(asked, key);
  check_group_name(name, key);
  return name;
}

void check_plain_name(std::string_view name, std::string_view key) {
  check_length(name, kNameMax, key);
  if (!is_stream_name(name)) unfit(name, key, "Member must satisfy regular expression pattern: [^:*]*");
}

std::string plain_name(const Json& asked, const char* key) {
  std::string name = required(asked, key);
  check_plain_name(name, key);
  return name;
}

std::string group_prefix(const Json& asked, const char* key) {
  auto prefix = text_of(asked, key);
  if (prefix) check_group_name(*prefix, key);
  return std::move(prefix).value_or("");
}

std::string plain_prefix(const Json& asked, const char* key) {
  auto prefix = text_of(asked, key);
  if (prefix) check_plain_name(*prefix, key);
  return std::move(prefix).value_or("");
}

std::string group_or_identifier(const Json& asked) {
  constexpr const char* kIdentifier = "logGroupIdentifier";
  auto identifier = text_of(asked, kIdentifier);
  if (!identifier) return group_name(asked);
  if (text_of(asked, "logGroupName")) invalid("A request cannot have both logGroupName and logGroupIdentifier.");
  check_length(*identifier, kIdentifierMax, kIdentifier);
  if (!service::parse_arn(*identifier)) {
    check_group_name(*identifier, kIdentifier);
    return std::move(*identifier);
  }
  auto name = group_of_arn(*identifier);
  if (!name) not_found("log group");
  return std::move(*name);
}

std::optional<std::string> group_of_arn(std::string_view arn) {
  constexpr std::string_view kGroup = "log-group:";
  auto name = service::local_resource(arn, "logs");
  if (!name || !name->starts_with(kGroup)) return std::nullopt;
  name->erase(0, kGroup.size());
  if (name->ends_with(":*")) name->resize(name->size() - 2);
  if (!is_group_name(*name)) return std::nullopt;
  return name;
}

std::string take_page(const Json& asked, std::size_t most, bool descending,
                      std::vector<std::pair<ListKey, const void*>>& items) {
  const std::size_t limit = limit_of(asked, most);
  std::ranges::sort(items);
  if (descending) std::ranges::reverse(items);
  if (const auto token = text_of(asked, "nextToken")) {
    ListKey last;
    const char* const end = token->data() + token->size();
    const auto number = std::from_chars(token->data(), end, last.first);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != ':')
      invalid("The specified nextToken is invalid.");
    last.second.assign(number.ptr + 1, end);
    // What was there then may be gone now.
    std::erase_if(items, [&](const auto& item) { return descending ? item.first >= last : item.first <= last; });
  }
  if (items.size() <= limit) return "";
  items.resize(limit);
  return std::to_string(items.back().first.first) + ":" + items.back().first.second;
}

}  // namespace weir::logs
