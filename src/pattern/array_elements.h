#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "pattern/pattern.h"

namespace weir::pattern {

/// The elements of an event's arrays in which fields stand, and array consistency: whether the fields of a rule can be
/// taken without taking two elements of one array.
/// Source: reference patterns.md, "Arrays" and "exists"; event-ruler's ACFinder, which tries all combinations.
/// One owner, not thread-safe: it keeps its scratch memory.
class ArrayElements {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;  ///< as an element: outside of all arrays

  /// Where the values of a field stand, or those that pass a condition.
  struct Places {
    std::uint32_t last = kNone;  ///< of those in arrays
    bool outside = false;        ///< one stands in no array

    bool in_arrays() const { return last != kNone; }
  };

  struct Condition {
    Places hits;    ///< of the values that pass
    Places values;  ///< all of the field; looked at only when absent_passes
    bool absent_passes = false;
  };

  /// The most steps of search that one event may cost, see consistent().
  static constexpr std::uint64_t kMaxSearch = 200'000;

  void clear();
  /// An array which stands in the element `within`.
  std::uint32_t add_array(std::uint32_t within);
  /// An element of it that is an object or an array: scalars have no place of their own.
  std::uint32_t add_element(std::uint32_t array);
  void note(Places& places, std::uint32_t element);

  /// Whether all conditions pass at once. They stand in the order of evaluation, for an absent field is one that no
  /// value has in the elements which the conditions before it took; at most kMaxPatternFields. Takes time linear in
  /// the places times conditions, but where a name stands twice in one object (also as "a.b" beside "a") and leads to
  /// an array each time. Then one condition may choose between arrays, which is a hard problem: all combinations are
  /// tried, and an event for which that takes more than kMaxSearch steps does not pass.
  bool consistent(std::span<const Condition> conditions);

 private:
  using Mask = std::bitset<kMaxPatternFields>;  ///< of conditions, by number

  // Of the event. `round` tells for which call of consistent() the other member holds.
  struct Element {
    std::uint32_t array;
    std::uint32_t round = 0;
    std::uint32_t node = 0;
  };
  struct Array {
    std::uint32_t within;
    std::uint32_t round = 0;
    std::uint32_t slot = 0;
  };
  struct Place {
    std::uint32_t element;
    std::uint32_t previous;
  };

  // Of one call: the elements with a value that concerns it, and those around them; the first is the event itself. An
  // element's node comes after the slot of its array, and that after the node in which the array stands.
  struct Node {
    std::uint32_t slot;
    std::uint32_t first_slot = kNone;
    std::uint32_t next = kNone;  ///< in the same slot
    std::uint32_t marked_for = 0;
    Mask hits;    ///< conditions that a value right here passes
    Mask values;  ///< conditions for which a value right here means that the field is not absent
  };
  struct Slot {
    std::uint32_t node;
    std::uint32_t next = kNone;                ///< in the same node
    std::size_t taken_by = kMaxPatternFields;  ///< the first condition that takes an element, when one can be chosen
    Mask hits;                                 ///< anywhere in it
    Mask values;
    Mask wanted;         ///< conditions that have to pass in it
    Mask absent_passes;  ///< those for which no value stands around it
  };

  /// Elements taken, by slot; sorted.
  using Taken = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  enum class Answer { kYes, kNo, kSearch };

  std::uint32_t node_of(std::uint32_t element);
  std::uint32_t slot_of(std::uint32_t array);
  void mark(const Places& places, std::size_t condition, Mask Node::*here, Mask Slot::*around);
  Answer choose(std::span<const Condition> conditions);
  bool search(std::span<const Condition> conditions);
  std::optional<Taken> with(const Taken& taken, std::uint32_t node);
  bool is_there(std::span<const std::uint32_t> values, const Taken& taken);
  Taken still_of_use(Taken taken, std::size_t condition) const;

  std::vector<Element> elements_;
  std::vector<Array> arrays_;
  std::vector<Place> places_;
  std::vector<Node> nodes_;
  std::vector<Slot> slots_;
  std::uint32_t round_ = 0;
  std::uint32_t marks_ = 0;
  std::uint64_t searched_ = 0;
};

}  // namespace weir::pattern
