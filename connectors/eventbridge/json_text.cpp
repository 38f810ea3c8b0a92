#include "connectors/eventbridge/json_text.h"

#include <nlohmann/json.hpp>

#include "base/json_scanner.h"

namespace weir::eventbridge {
namespace {

std::string unescaped(const JsonScanner::Raw& raw) {
  if (!raw.escapes) return std::string(raw.text);
  const auto read = nlohmann::json::parse("\"" + std::string(raw.text) + "\"", nullptr, false);
  // Half of a surrogate pair is no character: it stays as it is written.
  return read.is_string() ? read.get<std::string>() : std::string(raw.text);
}

bool says(const JsonScanner::Raw& raw, std::string_view name) {
  return raw.escapes ? unescaped(raw) == name : raw.text == name;
}

/// The value at which the scanner stands, after white space.
std::optional<std::string_view> value(JsonScanner& in) {
  in.space();
  const char* const begin = in.at();
  if (!in.skip(1)) return std::nullopt;
  return std::string_view(begin, static_cast<std::size_t>(in.at() - begin));
}

}  // namespace

std::optional<std::string_view> member_of(std::string_view json, std::string_view name) {
  std::optional<std::string_view> found;
  JsonScanner in(json);
  in.space();
  if (!in.take('{')) return found;
  while (in.peek() != '}') {
    JsonScanner::Raw key;
    if (!in.string(key)) return found;
    in.space();
    if (!in.take(':')) return found;
    const auto member = value(in);
    if (!member) return found;
    if (says(key, name)) found = member;
    in.space();
    in.take(',');
  }
  return found;
}

std::optional<std::string_view> element_of(std::string_view json, std::size_t index) {
  JsonScanner in(json);
  in.space();
  if (!in.take('[')) return std::nullopt;
  for (std::size_t i = 0; in.peek() != ']'; ++i) {
    const auto element = value(in);
    if (!element || i == index) return element;
    in.space();
    in.take(',');
  }
  return std::nullopt;
}

std::string decoded(std::string_view json_string) {
  JsonScanner in(json_string);
  JsonScanner::Raw raw;
  in.space();
  return in.string(raw) ? unescaped(raw) : std::string();
}

std::string text_of(std::string_view json, std::string_view name) {
  const auto found = member_of(json, name);
  return found && found->starts_with('"') ? decoded(*found) : std::string();
}

std::string without_quotes(std::string_view json) {
  std::string out;
  JsonScanner in(json);
  while (in.peek() != '\0') {
    if (in.peek() == '"') {
      JsonScanner::Raw raw;
      if (!in.string(raw)) return out;
      out += unescaped(raw);
      continue;
    }
    const char c = in.peek();
    in.take(c);
    out += c;
  }
  return out;
}

}  // namespace weir::eventbridge
