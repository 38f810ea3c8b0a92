#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pattern/decimal.h"
#include "pattern/log_regex.h"

namespace weir::pattern {

/// A text with stars, each of which stands for any run of bytes, and no way to write a star itself. Matching takes time
/// in proportion to the value.
class StarText {
 public:
  explicit StarText(std::string_view text);
  bool matches(std::string_view value) const;

 private:
  std::vector<std::string> parts_;  ///< what stands between the stars; one more than there are runs of stars
};

/// Whether `word` is in `text`, in linear time whatever the two.
bool holds(std::string_view text, std::string_view word);

/// What a condition compares a value with.
struct LogOperand {
  enum class Kind { kText, kNumber, kRegex };

  Kind kind = Kind::kText;
  std::string literal;  ///< as it was typed
  std::optional<StarText> text;
  std::optional<Decimal> number;
  std::optional<LogRegex> regex;
};

enum class LogOperator { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

/// A value of a message that can be compared: a text, or a number of JSON with Java's text for it.
struct LogScalar {
  std::string_view text;
  bool json_number = false;
  bool finite = true;             ///< of a number: it is none that a double cannot hold
  std::optional<Decimal> number;  ///< of a finite number
};

/// A string of JSON.
bool text_passes(const LogScalar& value, LogOperator op, const LogOperand& operand);
/// A field of a line, which is a number where it reads as one.
bool field_passes(std::string_view field, LogOperator op, const LogOperand& operand);

}  // namespace weir::pattern
