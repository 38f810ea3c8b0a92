#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::pattern {

/// A decimal number as it was written, without rounding: 0.DIGITS times ten to the power of `exponent`.
struct Decimal {
  bool negative = false;
  std::string digits;  ///< without zeros in front or at the end; "" is zero
  std::int64_t exponent = 0;

  /// A sign, digits, a fraction, an exponent, of which there has to be at least one digit. Nothing of anything else,
  /// nor where the exponent goes beyond 32 bits.
  static std::optional<Decimal> parse(std::string_view text);
  /// The shortest decimal that reads as this double, which is finite.
  static Decimal of(double number);

  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const = default;
};

/// How Java writes a double: "1.0", "1.0E10", "Infinity".
std::string java_text(double number);

}  // namespace weir::pattern
