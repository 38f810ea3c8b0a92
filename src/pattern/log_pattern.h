#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/error.h"

namespace weir::pattern {

inline constexpr std::size_t kMaxLogPatternLength = 1024;  ///< characters
inline constexpr std::size_t kMaxLogRegexes = 2;
inline constexpr std::size_t kMaxLogWildcards = 3;  ///< in paths

/// A filter pattern of CloudWatch Logs, read and checked: terms, fields, JSON or a regular expression. Immutable;
/// matching takes time in proportion to the message and builds no tree. One is shared by its copies.
/// Source: reference patterns.md (b), that is recordings of TestMetricFilter.
class LogPattern {
 public:
  /// Error: pattern.invalid, AWS's sentence alone.
  static Result<LogPattern> compile(std::string_view text);

  bool matches(std::string_view message) const;

  /// Whether it is of fields: "[a, b]".
  bool has_fields() const;
  /// What the fields of a message are, by their names, those without one by their numbers from 1; in the order of the
  /// message. Nothing of another pattern, or when it does not match.
  std::vector<std::pair<std::string, std::string>> fields_of(std::string_view message) const;

  /// How many regular expressions it has.
  std::size_t regexes() const;
  /// Texts of which at least one is in every message that matches; none when there is nothing of that kind. So whoever
  /// has many messages in a row may look for them first. They are few.
  std::span<const std::string> needles() const;

 private:
  struct Any;
  class Terms;
  class Fields;
  class Json;
  class Reader;
  struct Compiled;

  explicit LogPattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace weir::pattern
