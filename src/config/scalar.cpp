#include "config/scalar.h"

#include <algorithm>
#include <charconv>

namespace weir::config {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text;
}

/// 16 or 8 for 0x and 0o, else 10; takes the prefix away.
int take_base(std::string_view& text) {
  if (text.starts_with("0x") || text.starts_with("0o")) {
    const int base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
    return base;
  }
  return 10;
}

bool is_whole(std::string_view text) {
  std::string_view digits = text;
  if (const int base = take_base(digits); base != 10) {
    return !digits.empty() && std::all_of(digits.begin(), digits.end(), [&](char c) {
      if (base == 8) return c >= '0' && c <= '7';
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
  }
  return all_digits(without_sign(text));
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, infinities and NaN.
bool is_decimal(std::string_view text) {
  std::string_view rest = without_sign(text);
  if (rest == ".inf" || rest == ".Inf" || rest == ".INF") return true;
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  if (const std::size_t power = rest.find_first_of("eE"); power != std::string_view::npos) {
    if (!all_digits(without_sign(rest.substr(power + 1)))) return false;
    rest = rest.substr(0, power);
  }
  const std::size_t point = rest.find('.');
  if (point == std::string_view::npos) return all_digits(rest);
  const std::string_view before = rest.substr(0, point);
  const std::string_view after = rest.substr(point + 1);
  if (before.empty()) return all_digits(after);
  return all_digits(before) && (after.empty() || all_digits(after));
}

}  // namespace

Shape shape_of(std::string_view scalar) {
  if (is_whole(scalar)) return Shape::kWholeNumber;
  if (is_decimal(scalar)) return Shape::kNumber;
  if (truth(scalar)) return Shape::kTruth;
  return Shape::kText;
}

std::optional<std::int64_t> whole_number(std::string_view scalar) {
  if (!is_whole(scalar)) return std::nullopt;
  if (scalar.front() == '+') scalar.remove_prefix(1);  // from_chars knows no plus
  const int base = take_base(scalar);
  std::int64_t number = 0;
  const char* end = scalar.data() + scalar.size();
  const auto [stop, error] = std::from_chars(scalar.data(), end, number, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::optional<bool> truth(std::string_view scalar) {
  if (scalar == "true" || scalar == "True" || scalar == "TRUE") return true;
  if (scalar == "false" || scalar == "False" || scalar == "FALSE") return false;
  return std::nullopt;
}

}  // namespace weir::config
