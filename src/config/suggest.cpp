#include "config/suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace weir::config {
namespace {

/// Words longer than this are not compared: nobody means them, and the comparison takes the product of both lengths.
constexpr std::size_t kLongestCompared = 128;

/// Small letters and digits alone, so that AWS's own spelling and ours are one.
std::string folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c >= 'A' && c <= 'Z') {
      out.push_back(static_cast<char>(c - 'A' + 'a'));
    } else if (c != '_' && c != '-') {
      out.push_back(c);
    }
  }
  return out;
}

/// How many letters have to be added, taken away, replaced or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view written, std::span<const std::string> words) {
  if (written.size() > kLongestCompared) return std::nullopt;
  const std::string meant = folded(written);
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& word : words) {
    if (word.size() > kLongestCompared) continue;
    const std::string candidate = folded(word);
    const std::size_t away = distance(meant, candidate);
    const std::size_t near = std::max<std::size_t>(1, std::min(meant.size(), candidate.size()) / 3);
    if (away > near || away >= candidate.size()) continue;
    if (!best || away < best_distance) {
      best = word;
      best_distance = away;
    }
  }
  return best;
}

std::string suggestion(std::string_view written, std::span<const std::string> words) {
  const auto word = nearest(written, words);
  return word ? "; did you mean " + *word + "?" : "";
}

std::string listed(std::span<const std::string> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out.append(i + 1 == words.size() ? " or " : ", ");
    out.append(words[i]);
  }
  return out;
}

}  // namespace weir::config
