#include "pattern/wildcard.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
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

namespace {

constexpr std::size_t kMaxSetsLookedAt = 4096;  ///< bounds the search; what it has found until then counts

/// The wildcards as one automaton. A place is what has been read of one of them: up to a character of it, or a star.
class Places {
 public:
  using Set = std::vector<std::uint32_t>;  ///< sorted

  explicit Places(std::span<const Wildcard> wildcards) {
    for (const Wildcard& wildcard : wildcards) {
      begin_.push_back(static_cast<std::uint32_t>(characters_.size()));
      add('"');
      for (std::size_t i = 0; i < wildcard.parts().size(); ++i) {
        if (i > 0) add(kStar);
        for (const char c : wildcard.parts()[i]) add(static_cast<unsigned char>(c));
      }
      add('"');
      end_.push_back(static_cast<std::uint32_t>(characters_.size()) - 1);
    }
    for (const int c : characters_) {
      if (c != kStar) alphabet_.insert(c);
    }
    alphabet_.insert(kOther);
  }

  const std::set<int>& alphabet() const { return alphabet_; }

  Set start() const {
    Set out;
    for (const std::uint32_t place : begin_) enter(place, out);
    return sorted(std::move(out));
  }

  Set after(const Set& set, int c) const {
    Set out;
    for (const std::uint32_t place : set) {
      if (characters_[place] == kStar) enter(place, out);
      const bool last = std::ranges::find(end_, place) != end_.end();
      if (!last && characters_[place + 1] == c) enter(place + 1, out);
    }
    return sorted(std::move(out));
  }

 private:
  static constexpr int kStar = -1;
  static constexpr int kOther = -2;

  void add(int c) { characters_.push_back(c); }

  /// A star may stand for nothing: who is in front of it is also in it.
  void enter(std::uint32_t place, Set& out) const {
    out.push_back(place);
    const bool last = std::ranges::find(end_, place) != end_.end();
    if (!last && characters_[place + 1] == kStar) out.push_back(place + 1);
  }

  static Set sorted(Set set) {
    std::ranges::sort(set);
    set.erase(std::unique(set.begin(), set.end()), set.end());
    return set;
  }

  std::vector<int> characters_;
  std::vector<std::uint32_t> begin_;
  std::vector<std::uint32_t> end_;
  std::set<int> alphabet_;
};

}  // namespace

std::size_t wildcard_ways(std::span<const Wildcard> wildcards, std::size_t most) {
  if (wildcards.empty()) return 0;
  const Places places(wildcards);
  std::set<Places::Set> seen{places.start()};
  std::deque<Places::Set> open(seen.begin(), seen.end());
  std::size_t ways = 0;
  while (!open.empty()) {
    const Places::Set set = std::move(open.front());
    open.pop_front();
    ways = std::max(ways, set.size());
    if (ways > most) break;
    for (const int c : places.alphabet()) {
      Places::Set next = places.after(set, c);
      if (!next.empty() && seen.size() < kMaxSetsLookedAt && seen.insert(next).second) open.push_back(std::move(next));
    }
  }
  return ways;
}

}  // namespace weir::pattern
