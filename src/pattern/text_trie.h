#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::pattern {

/// Texts with numbers, byte by byte: one way through a value passes all of those that begin it, or that stand anywhere
/// in it (Aho and Corasick's automaton). One owner, not thread-safe: it keeps its scratch memory.
class TextTrie {
 public:
  /// Several numbers may be given to one text.
  void add(std::string_view text, std::uint32_t number);

  bool empty() const { return nodes_.size() == 1 && nodes_[0].numbers.empty(); }

  /// Tells the numbers of all texts that begin what is between `at` and `end`: iterators, forwards or backwards (clang
  /// 14 cannot compile the views of this library).
  template <typename Iterator, typename Found>
  void each_front(Iterator at, Iterator end, Found&& found) const {
    std::uint32_t node = 0;
    for (const std::uint32_t number : nodes_[0].numbers) found(number);
    for (; at != end; ++at) {
      node = child(node, *at);
      if (node == kNone) return;
      for (const std::uint32_t number : nodes_[node].numbers) found(number);
    }
  }

  /// Tells the numbers of all texts that occur in `value`, each once. Takes time in proportion to the value and to what
  /// is found, however the texts overlap.
  template <typename Found>
  void each_inside(std::string_view value, Found&& found) {
    if (!linked_) link();
    ++searches_;
    std::uint32_t node = 0;
    tell(0, found);
    for (const char c : value) {
      if (node == 0) {
        node = first_[static_cast<unsigned char>(c)];
      } else {
        std::uint32_t next = child(node, c);
        while (next == kNone && node != 0) {
          node = nodes_[node].suffix;
          next = node == 0 ? first_[static_cast<unsigned char>(c)] : child(node, c);
        }
        node = next;
      }
      tell(node, found);
    }
  }

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  struct Node {
    using Step = std::pair<char, std::uint32_t>;
    std::vector<Step> next;
    std::vector<std::uint32_t> numbers;
    // Of each_inside():
    std::uint32_t suffix = 0;    ///< the node of the longest end of this text that begins one, too
    std::uint32_t told = kNone;  ///< this node or the first along the suffixes where a text ends
    std::uint64_t told_in = 0;   ///< the last search that has told the numbers from here along the suffixes
  };

  std::uint32_t child(std::uint32_t node, char c) const {
    for (const auto& [step, next] : nodes_[node].next) {
      if (step == c) return next;
    }
    return kNone;
  }

  template <typename Found>
  void tell(std::uint32_t node, Found&& found) {
    // Who was here before has told the rest.
    for (node = nodes_[node].told; node != kNone && nodes_[node].told_in != searches_;) {
      nodes_[node].told_in = searches_;
      for (const std::uint32_t number : nodes_[node].numbers) found(number);
      node = node == 0 ? kNone : nodes_[nodes_[node].suffix].told;
    }
  }

  void link();

  std::vector<Node> nodes_{1};
  std::vector<std::uint32_t> first_;  ///< where each byte leads from the first node; that node itself, if nowhere
  bool linked_ = false;
  std::uint64_t searches_ = 0;
};

}  // namespace weir::pattern
