#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// Where a record stands in its shard: a whole number, compared as a number. Kafka's and a file's offsets fit a machine
/// word and cost nothing; Kinesis sequence numbers have up to 129 digits and are kept as their digits.
class Position {
 public:
  Position() = default;
  explicit Position(std::uint64_t number) : number_(number) {}

  /// Reads decimal digits (1 to 129, leading zeros dropped). Nothing if it is anything else.
  static std::optional<Position> parse(std::string_view digits);

  std::string text() const;
  /// The number, when it fits a machine word.
  std::optional<std::uint64_t> number() const;

  std::strong_ordering operator<=>(const Position& other) const;
  bool operator==(const Position& other) const = default;

 private:
  std::uint64_t number_ = 0;
  std::string digits_;  ///< used from 2^64 on, else empty
};

}  // namespace weir
