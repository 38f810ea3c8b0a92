#pragma once

#include <algorithm>
#include <cstddef>

#include "weir/base/time.h"

#include "lambda/emulator/emulator_settings.h"

namespace weir::emulator {

/// How fast a response may be streamed: a burst, then so many bytes a second. Pure.
class StreamPace {
 public:
  StreamPace(const StreamLimits& limits, Instant now)
      : limits_(limits), room_(static_cast<double>(limits.burst_bytes)), since_(now) {}

  /// That so many bytes went; how long to wait before more may.
  Duration on_bytes(Instant now, std::size_t bytes) {
    const auto rate = static_cast<double>(limits_.bytes_per_second);
    room_ = std::min(static_cast<double>(limits_.burst_bytes), room_ + as_seconds(now - since_) * rate);
    since_ = now;
    room_ -= static_cast<double>(bytes);
    if (room_ >= 0) return Duration::zero();
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-room_ / rate));
  }

 private:
  StreamLimits limits_;
  double room_;
  Instant since_;
};

}  // namespace weir::emulator
