#pragma once

#include <cstdint>
#include <variant>

#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::engine {

/// When a failed batch is tried again, and when no more. Ranges as AWS has them (botocore lambda).
struct RetryLimits {
  int maximum_retry_attempts = -1;             ///< -1 (no limit) to 10000; the first call is not counted
  std::optional<Duration> maximum_record_age;  ///< 60 s to 604800 s, or none (-1)
  Duration backoff_min = std::chrono::milliseconds(200);
  Duration backoff_max = std::chrono::minutes(1);
};

/// When, if ever, a failed batch of one shard is tried again.
/// Pure: reads no clock and no global random state; equal calls give equal answers. One owner, not thread-safe.
/// Source: Lambda developer guide, services-kinesis-parameters. Its backoff is undocumented; ours doubles from
/// `backoff_min` to `backoff_max` with full jitter (docs/semantics.md, "Retries").
class RetryPolicy {
 public:
  RetryPolicy(RetryLimits limits, std::uint64_t seed) : limits_(limits), random_(seed) {}

  /// Whether a batch whose function failed `attempts` times (at least 1, throttles not counted) has none left.
  bool exhausted(int attempts) const {
    return limits_.maximum_retry_attempts >= 0 && attempts > limits_.maximum_retry_attempts;
  }

  /// Whether a record that came at `arrival` is too old to be handed over at `now`.
  bool expired(WallTime now, WallTime arrival) const {
    return limits_.maximum_record_age && now - arrival > *limits_.maximum_record_age;
  }

  /// When a record that came at `arrival` will be too old, in monotonic time; never, without an age limit.
  std::optional<Instant> expiry(Moment now, WallTime arrival) const {
    if (!limits_.maximum_record_age) return std::nullopt;
    return now.instant + (*limits_.maximum_record_age - (now.wall - arrival)) + Duration(1);
  }

  /// How long to wait after the `failures`-th failure in a row (at least 1) of any kind.
  Duration backoff(int failures);

  const RetryLimits& limits() const { return limits_; }

 private:
  RetryLimits limits_;
  Random random_;
};

}  // namespace weir::engine
