#include "streams/poll_pace.h"

#include <algorithm>

namespace weir::streams {

void PollPace::count(Instant began) {
  if (limits_.reads_per_second <= 0) return;
  reads_.push_back(began);
  if (reads_.size() > static_cast<std::size_t>(limits_.reads_per_second)) reads_.pop_front();
}

void PollPace::on_read(Instant began, bool backlog, bool records) {
  count(began);
  failures_in_row_ = 0;
  if (records) active_until_ = began + limits_.active_for;
  const bool active = began < active_until_;
  // What was slowed down by a throttle gets faster again by a tenth a read, so that two readers share a shard.
  slow_pause_ = slow_pause_ * 9 / 10;
  const Duration pause = backlog ? Duration(0) : active ? limits_.active_pause : limits_.idle_pause;
  if (slow_pause_ <= limits_.active_pause) slow_pause_ = Duration(0);
  due_ = began + std::max(pause, slow_pause_);
  const bool full = limits_.reads_per_second > 0 && reads_.size() == static_cast<std::size_t>(limits_.reads_per_second);
  if (full) due_ = std::max<Instant>(due_, reads_.front() + std::chrono::seconds(1));
}

void PollPace::on_throttled(Instant began, Instant now) {
  count(began);
  slow_pause_ = std::clamp<Duration>(slow_pause_ * 2, limits_.idle_pause * 2,
                                     std::max(limits_.slow_pause_max, limits_.idle_pause * 2));
  due_ = now + std::max(slow_pause_, backoff());
}

void PollPace::on_failure(Instant began, Instant now) {
  count(began);
  due_ = now + backoff();
}

/// Doubles; of that, between a half and all of it, so that the shards of a stream do not come back together.
Duration PollPace::backoff() {
  const int doublings = std::min(failures_in_row_++, 16);
  const Duration ceiling = std::min(limits_.backoff_min * (1 << doublings), limits_.backoff_max);
  return ceiling / 2 +
         Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(ceiling.count() / 2 + 1))));
}

}  // namespace weir::streams
