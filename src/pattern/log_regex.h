#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"

namespace weir::pattern {

/// A regular expression of CloudWatch Logs' limited language: no groups, ASCII only. It has no groups, so each of its
/// alternatives is a row of characters' classes, of which some may be left out or repeated: all places in all rows are
/// bits, and a character moves them all at once. Time is in proportion to the text, whatever the text.
class LogRegex {
 public:
  /// `text`: what stands between the percent signs, of allowed characters (log_pattern.cpp looks at those). Error:
  /// pattern.invalid, in AWS's words.
  static Result<LogRegex> compile(std::string_view text);

  /// Whether it is found anywhere in the text.
  bool found_in(std::string_view text) const;

  /// Every place of a row is a bit. AWS has no such limit, but 1024 characters for the pattern: only counts like
  /// {9000} come up to it.
  static constexpr std::size_t kMaxPlaces = 8192;

  /// Classes of characters: ASCII one by one, all others, and those of them that end a line.
  static constexpr std::size_t kOther = 128;
  static constexpr std::size_t kLineEnd = 129;
  static constexpr std::size_t kClasses = 130;
  using Set = std::bitset<kClasses>;

 private:
  class Reader;
  struct Atom {
    Set set;
    bool optional = false;
    bool repeated = false;
  };
  struct Row {
    std::vector<Atom> atoms;
    bool at_begin = false;
    bool at_end = false;
    bool dead = false;  ///< an anchor stands where it cannot hold
  };
  using Word = std::uint64_t;

  explicit LogRegex(std::vector<Row> rows);
  void move(std::size_t character_class, std::vector<Word>& places) const;
  void skip_optional(std::vector<Word>& places) const;
  bool any(const std::vector<Word>& places, const std::vector<Word>& ends) const;

  std::size_t words_ = 0;
  std::vector<Word> accepts_;  ///< for each class of characters, which places it leads to
  std::vector<Word> repeated_;
  std::vector<Word> optional_;
  std::vector<Word> before_optional_;  ///< the place in front of each run of optional ones
  std::vector<Word> last_optional_;    ///< and its last one
  std::vector<Word> starts_;           ///< where rows begin
  std::vector<Word> free_starts_;      ///< of rows that may begin anywhere
  std::vector<Word> ends_;             ///< where rows end that may end anywhere
  std::vector<Word> final_ends_;       ///< where rows end that have to end with the text
};

}  // namespace weir::pattern
