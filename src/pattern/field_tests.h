#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pattern/pattern.h"
#include "pattern/single_test.h"
#include "pattern/text_table.h"
#include "pattern/text_trie.h"

namespace weir::pattern {

/// Tests of many patterns on one field, arranged so that a value finds those that it passes: exact ones by hash,
/// beginnings and ends by tries, wildcards by what they have between their stars; the rest is asked one by one.
class FieldTests {
 public:
  /// `condition` is told when one of its tests passes.
  void add(const Test& test, std::uint32_t condition);
  /// This test will be asked by itself: a value has to be read for it, too.
  void read_for(const Test& test);

  /// A value as the tests need it.
  Scalar read(Scalar::Kind kind, std::string_view text) const;
  /// Appends the conditions of which a test passes on `value`; a condition may come several times.
  void match(const Scalar& value, std::vector<std::uint32_t>& passed);

 private:
  using Conditions = std::vector<std::uint32_t>;

  /// Conditions by a text that has to be the value.
  class ByText {
   public:
    bool empty() const { return table_.empty(); }
    void add(std::string_view text, std::uint32_t condition);
    void match(std::string_view text, std::vector<std::uint32_t>& passed) const;

   private:
    TextTable table_;
    std::vector<Conditions> conditions_;
  };
  struct Block {
    AddressBlock addresses;
    std::uint32_t condition;
  };
  /// What the first four bytes of an address in a block are.
  struct Front {
    std::uint32_t bottom;
    std::uint32_t span;
  };

  void match_string(const Scalar& value, std::vector<std::uint32_t>& passed);
  void index_wildcards();

  Conditions present_;
  Conditions words_[3];  ///< true, false, null
  ByText texts_;
  ByText folded_texts_;  ///< ASCII, in lower case
  ByText spellings_;
  std::unordered_map<double, Conditions> numbers_;
  TextTrie fronts_;
  TextTrie backs_;  ///< these backwards
  TextTrie folded_fronts_;
  TextTrie folded_backs_;
  std::vector<std::pair<Wildcard, std::uint32_t>> wildcards_;
  TextTrie wildcard_parts_;  ///< of each wildcard one, with its index
  bool wildcards_indexed_ = true;
  std::vector<std::pair<NumberRange, std::uint32_t>> ranges_;
  std::vector<Front> block_fronts_;
  std::vector<Block> blocks_;
  std::vector<std::pair<SingleTest, std::uint32_t>> singles_;
  bool reads_numbers_ = false;
  bool reads_addresses_ = false;
  std::string lower_;  ///< scratch
};

}  // namespace weir::pattern
