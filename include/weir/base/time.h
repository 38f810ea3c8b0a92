#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

using Duration = std::chrono::nanoseconds;

/// Tags of the two clocks; never read directly, time comes as an argument.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
struct CivilClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CivilClock>;
  static constexpr bool is_steady = false;
};

/// Monotonic, for waiting. Its zero means nothing.
using Instant = MonotonicClock::time_point;
/// Wall-clock time since 1970-01-01T00:00:00Z, for ages and stamps. May jump.
using WallTime = CivilClock::time_point;

/// One reading of both clocks: engines wait by the first and judge ages by the second, so a jump of the wall clock
/// makes no storm of retries.
struct Moment {
  Instant instant;
  WallTime wall;
};

/// Where time comes from. Tests and replay turn it by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Moment now() const = 0;
};

/// Reads the machine's clocks.
class SystemClock final : public Clock {
 public:
  Moment now() const override;
};

/// Whole milliseconds since 1970, as AWS counts them.
std::int64_t epoch_milliseconds(WallTime time);
WallTime from_epoch_milliseconds(std::int64_t milliseconds);

/// "2026-09-12T07:00:00.123Z".
std::string iso_milliseconds(WallTime time);
/// Reads ISO 8601 with Z or an offset, seconds optional fractions. Nothing if it is not a time.
std::optional<WallTime> parse_iso(std::string_view text);

/// Seconds as a floating point number, for metrics and JSON.
double as_seconds(Duration duration);

/// The earlier of two optional instants; nothing counts as never.
std::optional<Instant> earlier(std::optional<Instant> a, std::optional<Instant> b);

}  // namespace weir
