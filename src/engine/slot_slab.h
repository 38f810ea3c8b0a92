#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weir::engine {

/// What a queue holds: the store's number for it, and where the engine has it.
struct EventRef {
  std::uint64_t id = 0;
  std::uint32_t slot = 0;
  bool operator==(const EventRef&) const = default;
};

/// Items by slot, a number that is an item's own as long as it is there. In chunks: a queue that grows does not move,
/// and gives a burst's memory back when it is empty. An Item has
///   std::uint64_t id;
///   bool in_use() const;           // false of one that was just made
///   std::uint32_t& next_free();    // a place for a number, while it is not in use
template <typename Item>
class SlotSlab {
 public:
  std::uint32_t add() {
    std::uint32_t slot = free_;
    if (slot != kNone) {
      free_ = (*this)[slot].next_free();
    } else {
      if (used_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Item[]>(kChunk));
      slot = used_++;
    }
    (*this)[slot] = Item();
    ++size_;
    return slot;
  }

  void remove(std::uint32_t slot) {
    (*this)[slot] = Item();
    if (--size_ == 0) {
      chunks_.resize(1);
      used_ = 0;
      free_ = kNone;
      return;
    }
    (*this)[slot].next_free() = free_;
    free_ = slot;
  }

  Item& operator[](std::uint32_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const Item& operator[](std::uint32_t slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  bool knows(EventRef ref) const {
    return ref.slot < used_ && (*this)[ref.slot].in_use() && (*this)[ref.slot].id == ref.id;
  }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kChunk = 4096;

  std::vector<std::unique_ptr<Item[]>> chunks_;
  std::size_t size_ = 0;        ///< in use
  std::uint32_t used_ = 0;      ///< slots that were ever in use
  std::uint32_t free_ = kNone;  ///< the first of those that are free again
};

}  // namespace weir::engine
