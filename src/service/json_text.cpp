#include "service/json_text.h"

#include <charconv>
#include <cstdint>

#include "base/json_scanner.h"
#include "base/utf8.h"

namespace weir::service {
namespace {

/// The number of \\uXXXX, whose digits stand at the front.
std::uint32_t unit_of(std::string_view digits) {
  constexpr std::size_t kDigits = 4;
  std::uint32_t unit = 0;
  std::from_chars(digits.data(), digits.data() + kDigits, unit, 16);
  return unit;
}

/// The letter behind \\u, and `at` behind it; nothing of half of a surrogate pair.
std::optional<std::uint32_t> letter_of(std::string_view text, std::size_t& at) {
  constexpr std::uint32_t kHigh = 0xD800;
  constexpr std::uint32_t kLow = 0xDC00;
  constexpr std::uint32_t kEnd = 0xE000;
  constexpr std::uint32_t kBeyond = 0x10000;
  const std::uint32_t first = unit_of(text.substr(at));
  at += 4;
  if (first < kHigh || first >= kEnd) return first;
  if (first >= kLow || !text.substr(at).starts_with("\\u")) return std::nullopt;
  const std::uint32_t second = unit_of(text.substr(at + 2));
  if (second < kLow || second >= kEnd) return std::nullopt;
  at += 6;
  return kBeyond + ((first - kHigh) << 10U) + (second - kLow);
}

std::string unescaped(const JsonScanner::Raw& raw) {
  if (!raw.escapes) return std::string(raw.text);
  std::string out;
  out.reserve(raw.text.size());
  for (std::size_t at = 0;;) {
    const std::size_t escape = raw.text.find('\\', at);
    out += raw.text.substr(at, escape - at);
    if (escape == std::string_view::npos) return out;
    at = escape + 2;
    switch (const char c = raw.text[escape + 1]) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        const auto letter = letter_of(raw.text, at);
        // Half of a surrogate pair is no character: the text stays as it is written.
        if (!letter) return std::string(raw.text);
        append_utf8(out, *letter);
        break;
      }
      default:
        out += c;
    }
  }
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
