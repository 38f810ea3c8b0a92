#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pattern {

inline char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
inline char ascii_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
}
bool is_ascii(std::string_view text);

/// A text whose letters stand for their lower and their upper form each, as AWS's event-ruler folds: character by
/// character, without a locale. "\u00df" stands for itself and for "SS"; "k" does not stand for the Kelvin sign, though
/// the Kelvin sign stands for "k".
class FoldedText {
 public:
  explicit FoldedText(std::string_view text);

  bool equals(std::string_view value) const;
  /// Whether `value` begins with this text.
  bool begins(std::string_view value) const;
  bool ends(std::string_view value) const;

 private:
  struct Letter {
    std::string lower;
    std::string upper;
  };

  std::size_t prefix_length(std::string_view value) const;

  std::vector<Letter> letters_;
};

}  // namespace weir::pattern
