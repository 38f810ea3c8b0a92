#include "engine/invocation_meter.h"

#include <algorithm>

namespace weir::engine {

void InvocationMeter::on_outcome(const Outcome& outcome) {
  const bool failed = std::holds_alternative<FunctionFailed>(outcome.what);
  if (std::holds_alternative<ServiceFailed>(outcome.what)) ++service_errors_;
  if (outcome.init_duration) ++cold_starts_;
  // Neither a throttled nor an undelivered call is an invocation (monitoring-metrics-types).
  if (!failed && !std::holds_alternative<Succeeded>(outcome.what)) return;
  ++invocations_;
  if (failed) ++errors_;
  if (!outcome.duration) return;
  duration_sum_ += *outcome.duration;
  const auto bound = std::lower_bound(kDurationBounds.begin(), kDurationBounds.end(), as_seconds(*outcome.duration));
  ++durations_[static_cast<std::size_t>(bound - kDurationBounds.begin())];
}

}  // namespace weir::engine
