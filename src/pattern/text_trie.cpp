#include "pattern/text_trie.h"

namespace weir::pattern {

void TextTrie::add(std::string_view text, std::uint32_t number) {
  std::uint32_t at = 0;
  for (const char c : text) {
    const std::uint32_t known = child(at, c);
    if (known != kNone) {
      at = known;
      continue;
    }
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    nodes_[at].next.emplace_back(c, made);
    nodes_.emplace_back();
    at = made;
  }
  nodes_[at].numbers.push_back(number);
  linked_ = false;
}

void TextTrie::link() {
  first_.assign(256, 0);
  for (const auto& [c, next] : nodes_[0].next) first_[static_cast<unsigned char>(c)] = next;
  // Level by level, for suffixes are shorter.
  std::vector<std::uint32_t> order{0};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint32_t node = order[i];
    nodes_[node].told = nodes_[node].numbers.empty() ? (node == 0 ? kNone : nodes_[nodes_[node].suffix].told) : node;
    for (const auto& [c, next] : nodes_[node].next) {
      std::uint32_t suffix = 0;
      if (node != 0) {
        for (std::uint32_t at = nodes_[node].suffix;; at = nodes_[at].suffix) {
          const std::uint32_t known = child(at, c);
          if (known != kNone) suffix = known;
          if (known != kNone || at == 0) break;
        }
      }
      nodes_[next].suffix = suffix;
      order.push_back(next);
    }
  }
  linked_ = true;
}

}  // namespace weir::pattern
