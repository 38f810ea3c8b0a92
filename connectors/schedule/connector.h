#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weir/connector.h"

#include "schedule/schedule.h"

namespace weir::scheduled {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
/// EventBridge Scheduler's own notification.
std::string sample_event();
std::span<const SampleEvent> samples();

/// When a source of this type runs, as if it began now.
struct ComingRuns {
  std::string expression;
  std::string zone;
  std::chrono::minutes window{0};   ///< a run comes somewhere in it
  bool counted_from_start = false;  ///< a rate() that began earlier has other times
  std::vector<schedule::UtcSeconds> runs;
  std::vector<std::string> local;  ///< the same in its zone
};
ComingRuns coming_runs(const SourceConfig& config, WallTime now, std::size_t count);

}  // namespace weir::scheduled
