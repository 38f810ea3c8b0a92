#include "pattern/number.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace weir::pattern {
namespace {

constexpr std::size_t kSafeDigits = 15;      ///< no two decimals of so many digits share a double ...
constexpr std::int64_t kSafeExponent = 290;  ///< ... while it is a normal one
constexpr std::int64_t kHugeExponent = 1'000'000;

/// A decimal as 0.DIGITS times ten to the power of `exponent`, with no zero in front or behind.
struct Decimal {
  std::string digits;
  std::int64_t exponent = 0;

  bool operator==(const Decimal&) const = default;
};

Decimal decimal(std::string_view text) {
  Decimal out;
  bool point = false;
  std::size_t i = text.starts_with('-') ? 1 : 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      point = true;
    } else if (text[i] != '0' || !out.digits.empty()) {
      out.digits += text[i];
      if (!point) ++out.exponent;
    } else if (point) {
      --out.exponent;
    }
  }
  if (i < text.size()) {
    ++i;
    if (text[i] == '+') ++i;
    std::int64_t written = 0;
    const auto read = std::from_chars(text.data() + i, text.data() + text.size(), written);
    if (read.ec != std::errc() || written > kHugeExponent || written < -kHugeExponent)
      written = text[i] == '-' ? -kHugeExponent : kHugeExponent;
    out.exponent += written;
  }
  while (!out.digits.empty() && out.digits.back() == '0') out.digits.pop_back();
  if (out.digits.empty()) out.exponent = 0;
  return out;
}

/// The value of at most kSafeDigits digits, with a point among them or without; nothing when there is more than these.
/// Exact: so many digits and a power of ten as small are doubles themselves, and a division rounds once.
std::optional<double> plain_number(std::string_view text) {
  constexpr std::array<double, kSafeDigits + 1> kPowers{1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                        1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  std::int64_t digits = 0;
  std::size_t decimals = 0;
  bool point = false;
  for (const char c : text) {
    if (c == '.') {
      point = true;
    } else if (c >= '0' && c <= '9') {
      digits = digits * 10 + (c - '0');
      decimals += point ? 1 : 0;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<double>(digits) / kPowers[decimals];
}

}  // namespace

std::optional<double> comparable_number(std::string_view text) {
  const std::string_view body = text.starts_with('-') ? text.substr(1) : text;
  if (body.size() <= kSafeDigits) {
    if (const auto plain = plain_number(body)) return body.size() == text.size() || *plain == 0 ? *plain : -*plain;
  }
  const Decimal written = decimal(text);
  if (written.digits.empty()) return 0;
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  if (written.digits.size() <= kSafeDigits && written.exponent > -kSafeExponent && written.exponent < kSafeExponent)
    return value;
  std::array<char, 40> digits{};
  const auto shown = [&](const std::to_chars_result& end) {
    return decimal({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
  };
  char* const first = digits.data();
  char* const last = first + digits.size();
  Decimal shortest = shown(std::to_chars(first, last, value, std::chars_format::scientific));
  // Java shows at least two digits, which matters to the smallest numbers: 4.9E-324, not 5E-324.
  if (shortest.digits.size() == 1)
    shortest = shown(std::to_chars(first, last, value, std::chars_format::scientific, 1));
  if (shortest != written) return std::nullopt;
  return value;
}

}  // namespace weir::pattern
