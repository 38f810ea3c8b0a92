#include "pattern/decimal.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace weir::pattern {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal out;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    out.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  bool any = false;
  bool fraction = false;
  std::size_t i = 0;
  std::int64_t point = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (!digit(text[i])) break;
    any = true;
    // Zeros in front count for the place of the point only.
    if (text[i] != '0' || !out.digits.empty()) {
      out.digits += text[i];
      if (!fraction) ++point;
    } else if (fraction) {
      --point;
    }
  }
  if (!any) return std::nullopt;
  std::int64_t exponent = 0;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
    std::string_view power = text.substr(i + 1);
    if (power.starts_with('+')) {
      power.remove_prefix(1);
      if (power.starts_with('-')) return std::nullopt;
    }
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (error != std::errc() || end != power.data() + power.size()) return std::nullopt;
    if (exponent > std::numeric_limits<std::int32_t>::max() || exponent < std::numeric_limits<std::int32_t>::min())
      return std::nullopt;
  }
  const std::size_t last = out.digits.find_last_not_of('0');
  out.digits.erase(last == std::string::npos ? 0 : last + 1);
  if (out.digits.empty()) return Decimal();
  out.exponent = point + exponent;
  return out;
}

Decimal Decimal::of(double number) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::scientific).ptr;
  return parse({text, static_cast<std::size_t>(end - text)}).value_or(Decimal());
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  if (digits.empty() || other.digits.empty()) {
    const int here = digits.empty() ? 0 : (negative ? -1 : 1);
    const int there = other.digits.empty() ? 0 : (other.negative ? -1 : 1);
    return here <=> there;
  }
  if (negative != other.negative) return negative ? std::strong_ordering::less : std::strong_ordering::greater;
  auto size = exponent <=> other.exponent;
  // Without zeros at their ends, digits compare as texts do.
  if (size == std::strong_ordering::equal) size = digits.compare(other.digits) <=> 0;
  if (!negative) return size;
  return size == std::strong_ordering::less      ? std::strong_ordering::greater
         : size == std::strong_ordering::greater ? std::strong_ordering::less
                                                 : size;
}

std::string java_text(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  std::string out = std::signbit(number) ? "-" : "";
  const double size = std::fabs(number);
  if (size == 0) return out + "0.0";
  const Decimal decimal = Decimal::of(size);
  const std::string& digits = decimal.digits;
  if (size >= 1e-3 && size < 1e7) {
    if (decimal.exponent <= 0)
      return out + "0." + std::string(static_cast<std::size_t>(-decimal.exponent), '0') + digits;
    const auto whole = static_cast<std::size_t>(decimal.exponent);
    if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
    return out + digits.substr(0, whole) + "." + digits.substr(whole);
  }
  return out + digits.substr(0, 1) + "." + (digits.size() > 1 ? digits.substr(1) : "0") + "E" +
         std::to_string(decimal.exponent - 1);
}

}  // namespace weir::pattern
