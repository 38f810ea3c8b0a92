#include "engine/invocation_meter.h"

#include <algorithm>

namespace weir::engine {

void InvocationMeter::on_outcome(const Outcome& outcome) {
  const bool failed = std::holds_alternative<FunctionFailed>(outcome.what);
  if (std::holds_alternative<ServiceFailed>(outcome.what)) ++service_errors_;
  if (outcome.init_duration && !counts_starts_) ++cold_starts_;
  // Neither a throttled nor an undelivered call is an invocation (monitoring-metrics-types).
  if (!failed && !std::holds_alternative<Succeeded>(outcome.what)) return;
  ++invocations_;
  if (failed) ++errors_;
  if (!outcome.duration) return;
  duration_sum_ += *outcome.duration;
  const auto bound = std::lower_bound(kDurationBounds.begin(), kDurationBounds.end(), as_seconds(*outcome.duration));
  ++durations_[static_cast<std::size_t>(bound - kDurationBounds.begin())];
}

void InvocationMeter::on_cold_start(const ColdStart& start) {
  counts_starts_ = true;
  ++cold_starts_;
  ++by_reason_[static_cast<std::size_t>(start.reason)];
  last_cold_start_ = start;
  if (!start.initialized) {
    ++failed_inits_;
    return;
  }
  init_sum_ += start.init;
  const auto bound = std::lower_bound(kInitBounds.begin(), kInitBounds.end(), as_seconds(start.init));
  ++inits_[static_cast<std::size_t>(bound - kInitBounds.begin())];
}

}  // namespace weir::engine
