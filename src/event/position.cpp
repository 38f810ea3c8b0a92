#include "weir/event/position.h"

#include <charconv>

namespace weir {
namespace {
constexpr std::size_t kMostDigits = 129;  // Kinesis: "up to 129 digits" (botocore kinesis)
}

std::optional<Position> Position::parse(std::string_view digits) {
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  Position position;
  const auto end = digits.data() + digits.size();
  if (std::from_chars(digits.data(), end, position.number_).ec != std::errc()) {
    position.number_ = 0;
    position.digits_ = digits;
  }
  return position;
}

std::string Position::text() const {
  return digits_.empty() ? std::to_string(number_) : digits_;
}

std::optional<std::uint64_t> Position::number() const {
  if (!digits_.empty()) return std::nullopt;
  return number_;
}

std::strong_ordering Position::operator<=>(const Position& other) const {
  // Without leading zeros a longer number is the larger one; an empty text is one that fits a machine word.
  if (digits_.size() != other.digits_.size()) return digits_.size() <=> other.digits_.size();
  if (!digits_.empty()) return digits_.compare(other.digits_) <=> 0;
  return number_ <=> other.number_;
}

}  // namespace weir
