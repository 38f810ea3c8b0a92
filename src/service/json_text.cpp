#include "service/json_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/// Copies up to the next backslash, and leaves both there.
void copy_plain(const char*& from, const char* end, char*& to) {
#ifdef __SSE2__
  const __m128i backslash = _mm_set1_epi8('\\');
  while (end - from >= 16) {
    __m128i block;
    std::memcpy(&block, from, sizeof block);
    std::memcpy(to, &block, sizeof block);
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, backslash)));
    const int size = mask == 0 ? 16 : __builtin_ctz(mask);
    from += size;
    to += size;
    if (mask != 0) return;
  }
#endif
  while (from != end && *from != '\\') *to++ = *from++;
}

std::string text_of_raw(const JsonScanner::Raw& raw) {
  return raw.escapes ? unescaped(raw.text) : std::string(raw.text);
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
      member(unescaped(key.text), *found);
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

std::string unescaped(std::string_view inside) {
  std::string out(inside.size(), '\0');  // an escape is longer than what it stands for
  const char* const begin = inside.data();
  const char* const end = begin + inside.size();
  const char* from = begin;
  char* to = out.data();
  for (;;) {
    copy_plain(from, end, to);
    if (from == end) break;
    const char c = from[1];
    from += 2;
    switch (c) {
      case 'b':
        *to++ = '\b';
        break;
      case 'f':
        *to++ = '\f';
        break;
      case 'n':
        *to++ = '\n';
        break;
      case 'r':
        *to++ = '\r';
        break;
      case 't':
        *to++ = '\t';
        break;
      case 'u': {
        auto at = static_cast<std::size_t>(from - begin);
        const auto letter = letter_of(inside, at);
        // Half of a surrogate pair is no character: the text stays as it is written.
        if (!letter) return std::string(inside);
        std::string bytes;
        append_utf8(bytes, *letter);
        to = std::copy(bytes.begin(), bytes.end(), to);
        from = begin + at;
        break;
      }
      default:
        *to++ = c;
    }
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
  return out;
}

std::string decoded(std::string_view json_string) {
  JsonScanner in(json_string);
  JsonScanner::Raw raw;
  in.space();
  return in.string(raw) ? text_of_raw(raw) : std::string();
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
      out += text_of_raw(raw);
      continue;
    }
    const char c = in.peek();
    in.take(c);
    out += c;
  }
  return out;
}

}  // namespace weir::service
