#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/error.h"

namespace weir::engine {

/// Items ordered by a key, each of which knows its place here, so that any of them can be taken out: O(log n), and O(1)
/// for adding what comes last. Items are numbers; what belongs to one is reached through `Items`, given to every call:
///   std::uint32_t& place(std::uint32_t item);                  // kNoPlace when the item is not here
///   bool before(std::uint32_t item, std::uint32_t other);      // the order of equal keys
/// Four children a node: they share a cache line, which halves the misses of a queue of a million.
template <typename Key>
class IndexedHeap {
 public:
  static constexpr std::uint32_t kNoPlace = UINT32_MAX;

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::uint32_t first() const { return entries_.front().item; }
  Key first_key() const { return entries_.front().key; }
  std::optional<Key> earliest() const {
    return entries_.empty() ? std::nullopt : std::optional<Key>(entries_.front().key);
  }

  template <typename Items>
  void add(Items items, Key key, std::uint32_t item) {
    WEIR_ASSERT(items.place(item) == kNoPlace);
    entries_.push_back({key, item});
    rise(items, entries_.size() - 1, {key, item});
  }

  template <typename Items>
  void remove(Items items, std::uint32_t item) {
    const std::size_t place = items.place(item);
    WEIR_ASSERT(place < entries_.size() && entries_[place].item == item);
    items.place(item) = kNoPlace;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (place < entries_.size()) settle(items, place, last);
    // What a burst has taken is given back when it is over.
    if (entries_.empty() && entries_.capacity() > kKept) std::vector<Entry>().swap(entries_);
  }

  /// Adds, moves or removes the item, so that it stands here with this key, or not at all.
  template <typename Items>
  void set(Items items, std::optional<Key> key, std::uint32_t item) {
    const std::uint32_t place = items.place(item);
    if (place == kNoPlace) {
      if (key) add(items, *key, item);
    } else if (!key) {
      remove(items, item);
    } else if (entries_[place].key != *key) {
      settle(items, place, {*key, item});
    }
  }

 private:
  static constexpr std::size_t kChildren = 4;
  static constexpr std::size_t kKept = 4096;

  struct Entry {
    Key key;
    std::uint32_t item;
  };

  template <typename Items>
  static bool less(Items items, const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : items.before(a.item, b.item);
  }

  template <typename Items>
  void put(Items items, std::size_t place, const Entry& entry) {
    entries_[place] = entry;
    items.place(entry.item) = static_cast<std::uint32_t>(place);
  }

  /// Puts `entry` at the free `place`, or where it belongs above or below it.
  template <typename Items>
  void settle(Items items, std::size_t place, const Entry& entry) {
    if (place > 0 && less(items, entry, entries_[(place - 1) / kChildren])) {
      rise(items, place, entry);
    } else {
      sink(items, place, entry);
    }
  }

  template <typename Items>
  void rise(Items items, std::size_t place, const Entry& entry) {
    while (place > 0) {
      const std::size_t parent = (place - 1) / kChildren;
      if (!less(items, entry, entries_[parent])) break;
      put(items, place, entries_[parent]);
      place = parent;
    }
    put(items, place, entry);
  }

  template <typename Items>
  void sink(Items items, std::size_t place, const Entry& entry) {
    for (;;) {
      const std::size_t begin = place * kChildren + 1;
      const std::size_t end = std::min(begin + kChildren, entries_.size());
      if (begin >= end) break;
      std::size_t least = begin;
      for (std::size_t child = begin + 1; child < end; ++child) {
        if (less(items, entries_[child], entries_[least])) least = child;
      }
      if (!less(items, entries_[least], entry)) break;
      put(items, place, entries_[least]);
      place = least;
    }
    put(items, place, entry);
  }

  std::vector<Entry> entries_;
};

}  // namespace weir::engine
