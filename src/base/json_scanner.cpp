#include "base/json_scanner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"

namespace weir {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}

/// What the letter of an escape stands for; NUL of a u, and of what is no escape.
char meaning_of(char letter) {
  switch (letter) {
    case '"':
    case '\\':
    case '/':
      return letter;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

#ifdef __SSE2__
constexpr int kBlock = 16;

/// Which of 16 bytes mean something in a string, a bit each: quote, backslash, controls and all beyond ASCII.
unsigned specials(const char* at) {
  __m128i block;
  std::memcpy(&block, at, sizeof block);
  // As signed bytes, all beyond ASCII are below a space too.
  const __m128i special =
      _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))),
                   _mm_cmpgt_epi8(_mm_set1_epi8(' '), block));
  return static_cast<unsigned>(_mm_movemask_epi8(special));
}

/// Without the bits of an escape that begins at `here`.
unsigned behind_escape(unsigned mask, int here) {
  return mask & ~(3U << static_cast<unsigned>(here));
}
#endif

}  // namespace

/// Leaps over the bytes that mean nothing in a string, ASCII but for controls, quote and backslash, and over most of
/// its escapes, which then sets `escapes`: a JSON text within a string has one every few bytes. True when it stands at
/// something else.
bool JsonScanner::leap(bool& escapes) {
#ifdef __SSE2__
  while (end_ - at_ > kBlock) {  // and what is escaped by the last byte
    unsigned mask = specials(at_);
    int next = kBlock;
    while (mask != 0) {
      const int here = __builtin_ctz(mask);
      const char escaped = at_[here + 1];
      if (at_[here] != '\\' || (escaped != '"' && escaped != '\\' && escaped != 'n')) {
        at_ += here;
        return true;
      }
      escapes = true;
      next = std::max(next, here + 2);
      mask = behind_escape(mask, here);
    }
    at_ += next;
  }
#else
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  const auto has_zero = [](std::uint64_t eight) { return (eight - kOnes) & ~eight & kHighs; };
  static_cast<void>(escapes);
  while (end_ - at_ >= 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, at_, 8);
    const std::uint64_t controls = (eight - kOnes * 0x20) & ~eight;
    if (((controls | eight) & kHighs) != 0 || has_zero(eight ^ (kOnes * '"')) != 0 ||
        has_zero(eight ^ (kOnes * '\\')) != 0) {
      break;
    }
    at_ += 8;
  }
#endif
  while (at_ != end_ && static_cast<unsigned char>(*at_) >= 0x20 && static_cast<unsigned char>(*at_) < 0x80 &&
         *at_ != '"' && *at_ != '\\') {
    ++at_;
  }
  return at_ != end_;
}

bool JsonScanner::escape() {
  if (at_ == end_) return false;
  switch (*at_++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      return true;
    case 'u':
      break;
    default:
      return false;
  }
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ == end_) return false;
    if (!digit(*at_) && !(*at_ >= 'a' && *at_ <= 'f') && !(*at_ >= 'A' && *at_ <= 'F')) return false;
  }
  return true;
}

bool JsonScanner::string(Raw& out) {
  if (!take('"')) return false;
  const char* const first = at_;
  out.escapes = false;
#ifdef __SSE2__
  // Most are short, and nothing but letters.
  if (end_ - at_ >= kBlock) {
    const unsigned mask = specials(at_);
    const int here = mask == 0 ? 0 : __builtin_ctz(mask);
    if (mask != 0 && at_[here] == '"') {
      out.text = {first, static_cast<std::size_t>(here)};
      at_ += here + 1;
      return true;
    }
  }
#endif
  while (leap(out.escapes)) {
    if (*at_ == '"') {
      out.text = {first, static_cast<std::size_t>(at_ - first)};
      ++at_;
      return true;
    }
    if (*at_ == '\\') {
      ++at_;
      out.escapes = true;
      if (!escape()) return false;
      continue;
    }
    if (static_cast<unsigned char>(*at_) < 0x80) return false;  // a control
    const std::size_t length = utf8_sequence_length({at_, static_cast<std::size_t>(end_ - at_)});
    if (length == 0) return false;
    at_ += length;
  }
  return false;
}

bool JsonScanner::simple_text(std::string& out) {
  const char* const before = at_;
  if (!take('"')) return false;
  const auto give_up = [&] {
    at_ = before;
    return false;
  };
  std::size_t size = 0;
#ifdef __SSE2__
  if (end_ - at_ >= kBlock) {
    const unsigned mask = specials(at_);
    const int here = mask == 0 ? 0 : __builtin_ctz(mask);
    if (mask != 0 && at_[here] == '"') {
      out.assign(at_, static_cast<std::size_t>(here));
      at_ += here + 1;
      return true;
    }
  }
  // Copies blocks whole, and behind each escape the rest of its block again: there is room for two.
  constexpr std::ptrdiff_t kRoom = 32;
  constexpr std::size_t kFirst = 256;
  const char* at = at_;  // not the member: bytes that are written could be anything's
  const char* const end = end_;
  for (out.resize(kFirst); end - at >= kRoom;) {
    if (out.size() - size < std::size_t{kRoom}) out.resize(2 * out.size());
    unsigned mask = specials(at);
    char* to = &out[size];
    std::memcpy(to, at, kBlock);
    int done = 0;
    while (mask != 0) {
      const int here = __builtin_ctz(mask);
      to += here - done;
      if (at[here] == '"') {
        at_ = at + here + 1;
        out.resize(static_cast<std::size_t>(to - out.data()));
        return true;
      }
      const char letter = at[here + 1];
      const char meant = letter == '"' ? letter : meaning_of(letter);
      if (at[here] != '\\' || meant == '\0') return give_up();
      *to++ = meant;
      done = here + 2;
      if (done < kBlock) std::memcpy(to, at + done, kBlock);
      mask = behind_escape(mask, here);
    }
    to += std::max(kBlock - done, 0);
    at += std::max(kBlock, done);
    size = static_cast<std::size_t>(to - out.data());
  }
  at_ = at;
#endif
  out.resize(size);
  for (; at_ != end_ && *at_ != '"'; ++at_) {
    char c = *at_;
    if (c == '\\') {
      if (++at_ == end_) return give_up();
      c = meaning_of(*at_);
      if (c == '\0') return give_up();
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x80) {
      return give_up();
    }
    out += c;
  }
  return take('"') || give_up();
}

bool JsonScanner::digits() {
  const char* const first = at_;
  while (at_ != end_ && digit(*at_)) ++at_;
  return at_ != first;
}

bool JsonScanner::number(std::string_view& out) {
  const char* const first = at_;
  take('-');
  if (take('0')) {
    if (at_ != end_ && digit(*at_)) return false;
  } else if (!digits()) {
    return false;
  }
  if (take('.') && !digits()) return false;
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (!take('+')) take('-');
    if (!digits()) return false;
  }
  out = {first, static_cast<std::size_t>(at_ - first)};
  return true;
}

bool JsonScanner::word(std::string_view letters) {
  if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(letters)) return false;
  at_ += letters.size();
  return true;
}

bool JsonScanner::scalar() {
  switch (*at_) {
    case '"': {
      Raw unused;
      return string(unused);
    }
    case 't':
      return word("true");
    case 'f':
      return word("false");
    case 'n':
      return word("null");
    default: {
      std::string_view unused;
      return number(unused);
    }
  }
}

bool JsonScanner::skip(std::size_t depth) {
  const std::size_t outside = depth;
  Raw unused;
  const auto name = [&] {
    if (!string(unused)) return false;
    space();
    if (!take(':')) return false;
    space();
    return true;
  };
  space();
  for (;;) {
    // Here a value begins.
    if (at_ == end_) return false;
    if (*at_ == '{' || *at_ == '[') {
      const bool object = *at_++ == '{';
      if (depth == kMaxJsonDepth) return false;
      space();
      if (!take(object ? '}' : ']')) {
        objects_[depth++] = object;
        if (object && !name()) return false;
        continue;
      }
    } else if (!scalar()) {
      return false;
    }
    // Here one has ended, and with it perhaps what it stands in.
    for (;;) {
      if (depth == outside) return true;
      space();
      if (take(',')) {
        space();
        if (objects_[depth - 1] && !name()) return false;
        break;
      }
      if (!take(objects_[depth - 1] ? '}' : ']')) return false;
      --depth;
    }
  }
}

}  // namespace weir
