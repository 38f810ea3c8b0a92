#include "weir/base/json_check.h"

#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>

#include "base/utf8.h"

namespace weir {
namespace {

/// Passes over one JSON text, byte by byte where it has to, eight at a time inside strings.
class Check {
 public:
  explicit Check(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool run() {
    space();
    for (;;) {
      // Here a value begins.
      if (at_ == end_) return false;
      if (*at_ == '{' || *at_ == '[') {
        const bool object = *at_++ == '{';
        space();
        if (take(object ? '}' : ']')) {
          // An empty one needs no place on the stack, but Jackson counts it too.
          if (depth_ == kMaxJsonDepth) return false;
        } else {
          if (depth_ == kMaxJsonDepth) return false;
          objects_[depth_++] = object;
          if (object && !name()) return false;
          continue;
        }
      } else if (!scalar()) {
        return false;
      }
      // Here one has ended, and with it perhaps what it stands in.
      for (;;) {
        space();
        if (depth_ == 0) return at_ == end_;
        if (take(',')) {
          space();
          if (objects_[depth_ - 1] && !name()) return false;
          break;
        }
        if (!take(objects_[depth_ - 1] ? '}' : ']')) return false;
        --depth_;
      }
    }
  }

 private:
  static bool digit(char c) { return c >= '0' && c <= '9'; }

  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool word(std::string_view letters) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(letters)) return false;
    at_ += letters.size();
    return true;
  }

  /// The name of a member with its colon.
  bool name() {
    if (!string()) return false;
    space();
    if (!take(':')) return false;
    space();
    return true;
  }

  bool scalar() {
    switch (*at_) {
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool digits() {
    const char* const first = at_;
    while (at_ != end_ && digit(*at_)) ++at_;
    return at_ != first;
  }

  bool number() {
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
    return true;
  }

  /// Leaps over the bytes that mean nothing in a string: ASCII but for controls, quote and backslash.
  void plain() {
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
    while (at_ != end_ && static_cast<unsigned char>(*at_) >= 0x20 && static_cast<unsigned char>(*at_) < 0x80 &&
           *at_ != '"' && *at_ != '\\') {
      ++at_;
    }
  }

  bool escape() {
    if (at_ == end_) return false;
    const char c = *at_++;
    if (c != 'u') return std::strchr("\"\\/bfnrt", c) != nullptr && c != '\0';
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ == end_) return false;
      if (!digit(*at_) && !(*at_ >= 'a' && *at_ <= 'f') && !(*at_ >= 'A' && *at_ <= 'F')) return false;
    }
    return true;
  }

  bool string() {
    if (!take('"')) return false;
    for (;;) {
      plain();
      if (at_ == end_) return false;
      if (take('"')) return true;
      if (take('\\')) {
        if (!escape()) return false;
        continue;
      }
      if (static_cast<unsigned char>(*at_) < 0x80) return false;  // a control
      const std::size_t length = utf8_sequence_length({at_, static_cast<std::size_t>(end_ - at_)});
      if (length == 0) return false;
      at_ += length;
    }
  }

  const char* at_;
  const char* end_;
  std::size_t depth_ = 0;
  std::bitset<kMaxJsonDepth> objects_;  ///< what each open one is; the rest are arrays
};

}  // namespace

bool is_json(std::string_view bytes) {
  return Check(bytes).run();
}

}  // namespace weir
