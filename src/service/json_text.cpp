#include "service/json_text.h"

#include <nlohmann/json.hpp>

#include "base/json_scanner.h"

namespace weir::service {
namespace {

std::string unescaped(const JsonScanner::Raw& raw) {
  if (!raw.escapes) return std::string(raw.text);
  const auto read = nlohmann::json::parse("\"" + std::string(raw.text) + "\"", nullptr, false);
  // Half of a surrogate pair is no character: it stays as it is written.
  return read.is_string() ? read.get<std::string>() : std::string(raw.text);
}

/// The value at which the scanner stands, after white space.
std::optional<std::string_view> value(JsonScanner& in) {
  in.space();
  const char* const begin = in.at();
  if (!in.skip(1)) return std::nullopt;
  return std::string_view(begin, static_cast<std::size_t>(in.at() - begin));
}

}  // namespace

void each_member(std::string_view json,
                 const std::function<void(std::string_view name, std::string_view value)>& member) {
  JsonScanner in(json);
  in.space();
  if (!in.take('{')) return;
  while (in.peek() != '}') {
    JsonScanner::Raw key;
    if (!in.string(key)) return;
    in.space();
    if (!in.take(':')) return;
    const auto found = value(in);
    if (!found) return;
    if (key.escapes) {
      member(unescaped(key), *found);
    } else {
      member(key.text, *found);
    }
    in.space();
    in.take(',');
  }
}

void each_element(std::string_view json, const std::function<void(std::string_view value)>& element) {
  JsonScanner in(json);
  in.space();
  if (!in.take('[')) return;
  while (in.peek() != ']') {
    const auto found = value(in);
    if (!found) return;
    element(*found);
    in.space();
    in.take(',');
  }
}

std::optional<std::string_view> member_of(std::string_view json, std::string_view name) {
  std::optional<std::string_view> found;
  each_member(json, [&](std::string_view each, std::string_view member) {
    if (each == name) found = member;
  });
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

}  // namespace weir::service
