#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pattern/letter_case.h"
#include "pattern/pattern.h"
#include "pattern/wildcard.h"

namespace weir::pattern {

/// A scalar of an event.
struct Scalar {
  enum class Kind { kString, kNumber, kTrue, kFalse, kNull };

  Kind kind = Kind::kNull;
  std::string_view text;               ///< a string's characters, a number's spelling
  std::optional<double> number;        ///< of a number that can be compared, where a test asks for it
  std::optional<std::string> address;  ///< the bytes of a string that is one, where a test asks for it
};

/// The numbers from one to another, with or without the two.
struct NumberRange {
  double bottom = 0;
  double top = 0;
  bool bottom_open = false;
  bool top_open = false;

  static NumberRange of(const Test& test) {
    return {test.numbers[0], test.numbers[1], test.bottom_open, test.top_open};
  }
  bool holds(double number) const {
    return (bottom < number || (bottom == number && !bottom_open)) && (number < top || (number == top && !top_open));
  }
};

/// A test that no index finds, made ready to be asked by itself: ranges, blocks of addresses, wildcards, letters beyond
/// ASCII without their case, and everything with "anything-but".
class SingleTest {
 public:
  /// Whether the test is one of those; the others are found by hash or along a trie, see FieldTests.
  static bool is_one(const Test& test);

  explicit SingleTest(const Test& test);

  /// `value` has its number and its address.
  bool passes(const Scalar& value) const;

 private:
  bool excludes(const Scalar& value) const;

  Test::Kind kind_;
  std::vector<std::string> texts_;  ///< sorted
  std::vector<double> numbers_;     ///< sorted
  std::vector<FoldedText> folded_;
  std::vector<Wildcard> wildcards_;
  NumberRange range_;
  AddressBlock block_;
};

}  // namespace weir::pattern
