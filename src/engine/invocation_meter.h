#pragma once

#include <array>
#include <cstdint>

#include "weir/base/time.h"
#include "weir/event/invocation.h"

namespace weir::engine {

/// What one function's invocations came to, for the metrics of the same names (monitoring-metrics-types). Throttles are
/// counted by the ConcurrencyLedger, which refuses.
class InvocationMeter {
 public:
  /// Upper bounds of the Duration histogram in seconds; one more bucket holds the rest.
  static constexpr std::array<double, 14> kDurationBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                          0.25,  0.5,    1,     2.5,  10,    60,   900};

  void on_outcome(const Outcome& outcome);

  std::uint64_t invocations() const { return invocations_; }  ///< the code ran, well or not
  std::uint64_t errors() const { return errors_; }            ///< of these, function errors
  std::uint64_t service_errors() const { return service_errors_; }
  std::uint64_t cold_starts() const { return cold_starts_; }
  Duration duration_sum() const { return duration_sum_; }
  /// Counts per bucket of kDurationBounds and, last, of all above; not cumulated.
  const std::array<std::uint64_t, kDurationBounds.size() + 1>& durations() const { return durations_; }

 private:
  std::uint64_t invocations_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t service_errors_ = 0;
  std::uint64_t cold_starts_ = 0;
  Duration duration_sum_{0};
  std::array<std::uint64_t, kDurationBounds.size() + 1> durations_{};
};

}  // namespace weir::engine
