#pragma once

#include <cstddef>

#include "weir/base/time.h"

namespace weir::streams {

/// Sees when a reader that had much to read has caught up: then the memory that it went through can be given back to
/// the system, once. The C library by itself keeps what lies freed between blocks that are in use.
/// Pure: told what happened and when. One owner, not thread-safe.
class BacklogEnd {
 public:
  /// From so much on it is worth it, in bytes of records as they are held in memory.
  static constexpr std::size_t kMuch = 1U << 20U;
  /// A read of more than this belongs to a backlog.
  static constexpr std::size_t kLargeRead = 64U << 10U;
  /// The backlog is over when for so long no such read came.
  static constexpr Duration kQuiet = std::chrono::seconds(1);

  /// A read, of whichever shard, gave so many bytes. Whether memory is to be given back now.
  bool on_read(Instant now, std::size_t bytes) {
    bytes_ += bytes;
    if (bytes > kLargeRead) large_read_ = now;
    if (bytes_ < kMuch || now < large_read_ + kQuiet) return false;
    bytes_ = 0;
    return true;
  }

 private:
  std::size_t bytes_ = 0;  ///< since memory was given back last
  Instant large_read_{Instant::min()};
};

}  // namespace weir::streams
