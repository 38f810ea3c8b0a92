#include "base/json_scanner.h"

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

}  // namespace

/// Leaps over the bytes that mean nothing in a string: ASCII but for controls, quote and backslash. True when it stands
/// at something else.
bool JsonScanner::plain() {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i controls = _mm_set1_epi8(0x1F);
  while (end_ - at_ >= 16) {
    __m128i block;
    std::memcpy(&block, at_, sizeof block);
    // As signed bytes, all beyond ASCII are below 0x20 too.
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)),
                                         _mm_cmpgt_epi8(_mm_add_epi8(controls, _mm_set1_epi8(1)), block));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) {
      at_ += __builtin_ctz(mask);
      return true;
    }
    at_ += 16;
  }
#else
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  const auto has_zero = [](std::uint64_t eight) { return (eight - kOnes) & ~eight & kHighs; };
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
  while (plain()) {
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
