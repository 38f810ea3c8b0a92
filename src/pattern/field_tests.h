#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pattern/letter_case.h"
#include "pattern/pattern.h"
#include "pattern/wildcard.h"

namespace weir::pattern {

/// A scalar of an event.
struct Scalar {
  enum class Kind { kString, kNumber, kTrue, kFalse, kNull };

  Kind kind = Kind::kNull;
  std::string_view text;  ///< a string's characters, a number's spelling
};

/// All tests of all patterns on one field, arranged so that a value finds those that it passes: exact ones by hash,
/// beginnings and ends by tries; only ranges and exclusions are asked one by one.
class FieldTests {
 public:
  /// `condition` is told when one of its tests passes.
  void add(const Test& test, std::uint32_t condition);

  /// Appends the conditions of which a test passes on `value`; a condition may come several times.
  void match(const Scalar& value, std::vector<std::uint32_t>& passed);

 private:
  using Conditions = std::vector<std::uint32_t>;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using ByText = std::unordered_map<std::string, Conditions, Hash, std::equal_to<>>;

  /// What stands at the end of a way through a trie: a condition, and the wildcard that has to agree, if any.
  struct Entry {
    std::uint32_t condition;
    std::int32_t wildcard;  ///< index in wildcards_, or -1
  };
  /// Byte by byte; a value's way through it passes all its beginnings.
  class Trie {
   public:
    void add(std::string_view key, Entry entry);
    bool empty() const { return nodes_.size() == 1 && nodes_[0].entries.empty(); }
    /// From `at` to `end`: iterators, forwards or backwards (clang 14 cannot compile the views of this library).
    template <typename Iterator, typename Found>
    void walk(Iterator at, Iterator end, Found&& found) const {
      const Node* node = &nodes_[0];
      for (const Entry& entry : node->entries) found(entry);
      for (; at != end; ++at) {
        const auto next = std::ranges::find(node->next, *at, &Node::Step::first);
        if (next == node->next.end()) return;
        node = &nodes_[next->second];
        for (const Entry& entry : node->entries) found(entry);
      }
    }

   private:
    struct Node {
      using Step = std::pair<char, std::uint32_t>;
      std::vector<Step> next;
      std::vector<Entry> entries;
    };
    std::vector<Node> nodes_{1};
  };

  struct Range {
    double bottom;
    double top;
    bool bottom_open;
    bool top_open;
    std::uint32_t condition;
  };
  /// A text with letters beyond ASCII, compared letter by letter.
  struct Folded {
    FoldedText text;
    Test::Kind kind;
    std::uint32_t condition;
  };
  /// Everything but what these say.
  struct Exclusion {
    Test::Kind kind;
    std::vector<std::string> texts;  ///< sorted
    std::vector<double> numbers;     ///< sorted
    std::vector<FoldedText> folded;
    std::vector<Wildcard> wildcards;
    std::uint32_t condition;
  };

  static bool excludes(const Exclusion& exclusion, const Scalar& value, const std::optional<double>& number);
  void match_string(std::string_view text, std::vector<std::uint32_t>& passed);

  Conditions present_;
  Conditions words_[3];  ///< true, false, null
  ByText texts_;
  ByText folded_texts_;  ///< ASCII, in lower case
  ByText spellings_;
  std::unordered_map<double, Conditions> numbers_;
  bool numeric_ = false;
  Trie fronts_;
  Trie backs_;
  Trie folded_fronts_;
  Trie folded_backs_;
  std::vector<Wildcard> wildcards_;
  std::vector<Range> ranges_;
  std::vector<std::pair<AddressBlock, std::uint32_t>> blocks_;
  std::vector<Folded> folded_;
  std::vector<Exclusion> exclusions_;
  std::string lower_;  ///< scratch
};

}  // namespace weir::pattern
