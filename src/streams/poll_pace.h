#pragma once

#include <cstdint>
#include <deque>

#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::streams {

/// How often a shard may be read.
struct PaceLimits {
  PaceLimits() = default;

  int reads_per_second = 5;                                ///< Kinesis: 5 of a shard, whoever reads it; 0: no limit
  Duration idle_pause = std::chrono::milliseconds(200);    ///< between the beginnings of two reads that find nothing
  Duration active_pause = std::chrono::milliseconds(200);  ///< the same, while records came within `active_for`
  Duration active_for = std::chrono::seconds(10);
  Duration slow_pause_max = std::chrono::seconds(2);  ///< what a reader that is throttled slows down to
  Duration backoff_min = std::chrono::milliseconds(200);
  Duration backoff_max = std::chrono::seconds(5);
};

/// When a shard is read next: at once while there is more, within the service's limit of reads; else often enough that
/// a new record is seen soon, and less often for a while when others read the shard as well and reads are throttled.
/// Pure: told what happened and when. One owner, not thread-safe.
class PollPace {
 public:
  PollPace(PaceLimits limits, std::uint64_t seed) : limits_(limits), random_(seed) {}

  /// A read that began then gave an answer. `backlog`: there is more to read. `records`: there were some.
  void on_read(Instant began, bool backlog, bool records);
  /// A read was refused because there were too many of them.
  void on_throttled(Instant began, Instant now);
  /// A read failed otherwise, in a way that may pass.
  void on_failure(Instant began, Instant now);

  /// When the next read may begin; may be past.
  Instant due() const { return due_; }

 private:
  void count(Instant began);
  Duration backoff();

  PaceLimits limits_;
  Random random_;
  std::deque<Instant> reads_;  ///< beginnings of the last reads, as many as a second may have
  Instant due_{Instant::min()};
  Instant active_until_{Instant::min()};
  Duration slow_pause_{0};  ///< 0: nobody is in the way
  int failures_in_row_ = 0;
};

}  // namespace weir::streams
