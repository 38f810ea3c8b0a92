#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pattern {

/// A text with stars, each of which stands for any run of bytes. Matching takes time in proportion to the value.
class Wildcard {
 public:
  /// `\*` is a star and `\\` a backslash. On failure `reason` says why and where, counting bytes from a quote in front.
  static std::optional<Wildcard> parse(std::string_view text, std::string& reason);

  bool matches(std::string_view value) const;
  /// What stands before the first star; all of it when there is no star.
  std::string_view front() const { return parts_.front(); }
  const std::vector<std::string>& parts() const { return parts_; }

 private:
  std::vector<std::string> parts_;  ///< what stands between the stars; one more than there are stars
};

/// In how many places of these wildcards a value may be at once, at worst, which is how event-ruler measures their
/// complexity; counting stops above `most`.
std::size_t wildcard_ways(std::span<const Wildcard> wildcards, std::size_t most);

}  // namespace weir::pattern
