#include "pattern/array_elements.h"

#include <algorithm>
#include <set>

#include "weir/base/error.h"

namespace weir::pattern {
namespace {

constexpr std::uint32_t kEvent = 0;  ///< the node of what is in no array

/// The number of the first condition, kMaxPatternFields when there is none.
template <std::size_t N>
std::size_t first_of(const std::bitset<N>& conditions) {
  return conditions._Find_first();
}

}  // namespace

void ArrayElements::clear() {
  elements_.clear();
  arrays_.clear();
  places_.clear();
  round_ = 0;
  searched_ = 0;
}

std::uint32_t ArrayElements::add_array(std::uint32_t within) {
  arrays_.push_back({.within = within});
  return static_cast<std::uint32_t>(arrays_.size()) - 1;
}

std::uint32_t ArrayElements::add_element(std::uint32_t array) {
  elements_.push_back({.array = array});
  return static_cast<std::uint32_t>(elements_.size()) - 1;
}

void ArrayElements::note(Places& places, std::uint32_t element) {
  if (element == kNone) {
    places.outside = true;
  } else if (places.last == kNone || places_[places.last].element != element) {
    places_.push_back({element, places.last});
    places.last = static_cast<std::uint32_t>(places_.size()) - 1;
  }
}

bool ArrayElements::consistent(std::span<const Condition> conditions) {
  WEIR_ASSERT(conditions.size() <= kMaxPatternFields);
  // Nothing was taken before the only condition.
  if (conditions.size() == 1) {
    const auto& [hits, values, absent_passes] = conditions[0];
    const bool there = values.outside || values.in_arrays();
    return hits.outside || hits.in_arrays() || (absent_passes && !there);
  }
  ++round_;
  marks_ = 0;
  nodes_.assign(1, Node{.slot = kNone});
  slots_.clear();
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    mark(conditions[i].hits, i, &Node::hits, &Slot::hits);
    if (conditions[i].absent_passes) mark(conditions[i].values, i, &Node::values, &Slot::values);
  }
  const Answer answer = choose(conditions);
  return answer == Answer::kSearch ? search(conditions) : answer == Answer::kYes;
}

std::uint32_t ArrayElements::node_of(std::uint32_t element) {
  if (element == kNone) return kEvent;
  if (elements_[element].round != round_) {
    const std::uint32_t slot = slot_of(elements_[element].array);
    elements_[element].round = round_;
    elements_[element].node = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({.slot = slot});
  }
  return elements_[element].node;
}

std::uint32_t ArrayElements::slot_of(std::uint32_t array) {
  if (arrays_[array].round != round_) {
    const std::uint32_t node = node_of(arrays_[array].within);
    arrays_[array].round = round_;
    arrays_[array].slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back({.node = node, .next = nodes_[node].first_slot});
    nodes_[node].first_slot = arrays_[array].slot;
  }
  return arrays_[array].slot;
}

void ArrayElements::mark(const Places& places, std::size_t condition, Mask Node::*here, Mask Slot::*around) {
  ++marks_;
  if (places.outside) (nodes_[kEvent].*here).set(condition);
  for (std::uint32_t place = places.last; place != kNone; place = places_[place].previous) {
    std::uint32_t node = node_of(places_[place].element);
    (nodes_[node].*here).set(condition);
    // Who was here before has told the rest.
    while (node != kEvent && nodes_[node].marked_for != marks_) {
      nodes_[node].marked_for = marks_;
      Slot& slot = slots_[nodes_[node].slot];
      (slot.*around).set(condition);
      node = slot.node;
    }
  }
}

/// Decides each array by itself, from the innermost outwards. That is possible because what a condition looks for
/// stands in one array of each element only: then arrays that stand side by side have no condition in common. Of the
/// elements that will do the one is best that an earlier condition takes: absent fields are judged in the chosen
/// element by the conditions after that one, in the whole array by those before.
ArrayElements::Answer ArrayElements::choose(std::span<const Condition> conditions) {
  Mask wanted;
  Mask absent_passes;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    wanted.set(i);
    absent_passes.set(i, conditions[i].absent_passes);
  }
  const auto wanted_in = [&](const Node& node) { return node.slot == kNone ? wanted : slots_[node.slot].wanted; };
  const auto absent_in = [&](const Node& node) {
    return (node.slot == kNone ? absent_passes : slots_[node.slot].absent_passes) & ~node.values;
  };
  for (Slot& slot : slots_) {
    const Node& around = nodes_[slot.node];
    slot.wanted = wanted_in(around) & ~around.hits & (slot.hits | slot.values);
    slot.absent_passes = absent_in(around);
  }
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& node = nodes_[i];
    Mask inside;
    std::size_t taken_by = first_of(node.hits);
    bool passes = true;
    for (std::uint32_t each = node.first_slot; each != kNone; each = slots_[each].next) {
      const Slot& slot = slots_[each];
      const Mask concerned = slot.hits | slot.values;
      if ((inside & concerned).any()) return Answer::kSearch;
      inside |= concerned;
      // No element was good; or an absent field comes before all that could choose one, and some element has it.
      passes = passes && slot.taken_by <= first_of(slot.wanted);
      taken_by = std::min(taken_by, slot.taken_by);
    }
    passes = passes && (wanted_in(node) & ~node.hits & ~inside & ~absent_in(node)).none();
    if (i == kEvent) return passes ? Answer::kYes : Answer::kNo;
    Slot& slot = slots_[node.slot];
    if (passes) slot.taken_by = std::min(slot.taken_by, taken_by);
  }
  return Answer::kNo;
}

/// Goes through the conditions with all ways to have got there; ways that differ only in arrays which concern no later
/// condition are one.
bool ArrayElements::search(std::span<const Condition> conditions) {
  const auto nodes_with = [this](std::size_t condition, Mask Node::*what) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
      if ((nodes_[node].*what).test(condition)) out.push_back(node);
    }
    return out;
  };
  std::set<Taken> ways{{}};
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const std::vector<std::uint32_t> hits = nodes_with(i, &Node::hits);
    const std::vector<std::uint32_t> values = nodes_with(i, &Node::values);
    std::set<Taken> next;
    for (const Taken& way : ways) {
      if (conditions[i].absent_passes && !is_there(values, way)) next.insert(still_of_use(way, i));
      for (const std::uint32_t hit : hits) {
        if (auto taken = with(way, hit)) next.insert(still_of_use(std::move(*taken), i));
        if (searched_ > kMaxSearch) return false;
      }
      if (++searched_ > kMaxSearch) return false;
      if (i + 1 == conditions.size() && !next.empty()) return true;
    }
    if (next.empty()) return false;
    ways = std::move(next);
  }
  return true;
}

/// Takes what stands around the node too; nothing when that is another element of the same array.
std::optional<ArrayElements::Taken> ArrayElements::with(const Taken& taken, std::uint32_t node) {
  Taken both;
  auto left = taken.rbegin();
  for (; node != kEvent; node = slots_[nodes_[node].slot].node, ++searched_) {
    const std::uint32_t slot = nodes_[node].slot;
    for (; left != taken.rend() && left->first > slot; ++left, ++searched_) both.push_back(*left);
    if (left != taken.rend() && left->first == slot && (left++)->second != node) return std::nullopt;
    both.emplace_back(slot, node);
  }
  both.insert(both.end(), left, taken.rend());
  searched_ += static_cast<std::uint64_t>(taken.rend() - left) + 1;
  std::ranges::reverse(both);
  return both;
}

/// Whether one of a field's values goes together with what was taken.
bool ArrayElements::is_there(std::span<const std::uint32_t> values, const Taken& taken) {
  return std::ranges::any_of(values, [&](std::uint32_t value) {
    return searched_ > kMaxSearch || with(taken, value).has_value();  // past the limit the answer is no more asked for
  });
}

ArrayElements::Taken ArrayElements::still_of_use(Taken taken, std::size_t condition) const {
  std::erase_if(taken, [&](const auto& each) {
    const Slot& slot = slots_[each.first];
    return ((slot.hits | slot.values) >> (condition + 1)).none();
  });
  return taken;
}

}  // namespace weir::pattern
