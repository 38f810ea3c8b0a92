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
  // No call waited for one that is kept ready.
  if (start.reason != StartReason::kProvisioned) ++cold_starts_;
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

ResourceFigures& ResourceMeter::figures(std::string_view qualifier) {
  const auto found = all_.find(qualifier);
  if (found != all_.end()) return found->second;
  return all_[all_.size() < kResourcesMax ? std::string(qualifier) : std::string()];
}

void ResourceMeter::on_begin(std::string_view qualifier) {
  ResourceFigures& mine = figures(qualifier);
  ++mine.executing;
  mine.executing_max = std::max(mine.executing_max, mine.executing);
}

void ResourceMeter::on_end(std::string_view qualifier, const Outcome& outcome) {
  ResourceFigures& mine = figures(qualifier);
  --mine.executing;
  // What did not run has no version.
  if (!std::holds_alternative<Succeeded>(outcome.what) && !std::holds_alternative<FunctionFailed>(outcome.what)) return;
  const bool alias = !qualifier.empty() && outcome.executed_version != qualifier && all_.contains(qualifier);
  mine.by_version[alias ? outcome.executed_version : std::string()].on_outcome(outcome);
}

}  // namespace weir::engine
