#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pattern {

/// Texts with a number each, found by hash: open addressing, for what is looked up with every name and every value of
/// an event. Whoever writes the texts can make them collide, and then slows down the set that he wrote.
class TextTable {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  bool empty() const { return texts_.empty(); }

  /// kNone when the text is not there.
  std::uint32_t find(std::string_view text) const {
    if (slots_.empty()) return kNone;
    const std::uint64_t hash = hash_of(text);
    for (std::size_t at = hash & mask(); slots_[at].text != kNone; at = (at + 1) & mask()) {
      if (slots_[at].tag == tag_of(hash) && texts_[slots_[at].text].first == text)
        return texts_[slots_[at].text].second;
    }
    return kNone;
  }

  /// The number of a text; one that is new gets `number`.
  std::uint32_t add(std::string_view text, std::uint32_t number) {
    const std::uint32_t known = find(text);
    if (known != kNone) return known;
    texts_.emplace_back(text, number);
    if (texts_.size() * 2 > slots_.size()) {
      slots_.assign(slots_.empty() ? kFirstSlots : slots_.size() * 2, Slot{});
      for (std::uint32_t i = 0; i < texts_.size(); ++i) place(i);
    } else {
      place(static_cast<std::uint32_t>(texts_.size()) - 1);
    }
    return number;
  }

 private:
  static constexpr std::size_t kFirstSlots = 8;

  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t text = kNone;  ///< index in texts_; kNone where the slot is free
  };

  static std::uint64_t hash_of(std::string_view text) {
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15U;
    std::uint64_t hash = text.size() * kOdd;
    const auto mix = [&hash](std::uint64_t eight) {
      hash = (hash ^ eight) * kOdd;
      hash ^= hash >> 32U;
    };
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 8; left -= 8, at += 8) mix(load<std::uint64_t>(at));
    if (left >= 4) {
      mix(load<std::uint32_t>(at) | std::uint64_t{load<std::uint32_t>(at + left - 4)} << 32U);
    } else if (left > 0) {
      const auto byte = [at](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(at[i])}; };
      mix(byte(0) | byte(left / 2) << 8U | byte(left - 1) << 16U);
    }
    return hash;
  }
  template <typename Number>
  static Number load(const char* at) {
    Number out;
    std::memcpy(&out, at, sizeof out);
    return out;
  }
  static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32U); }
  std::size_t mask() const { return slots_.size() - 1; }

  void place(std::uint32_t text) {
    const std::uint64_t hash = hash_of(texts_[text].first);
    std::size_t at = hash & mask();
    while (slots_[at].text != kNone) at = (at + 1) & mask();
    slots_[at] = {tag_of(hash), text};
  }

  std::vector<std::pair<std::string, std::uint32_t>> texts_;
  std::vector<Slot> slots_;  ///< a power of two, at least half of them free
};

}  // namespace weir::pattern
