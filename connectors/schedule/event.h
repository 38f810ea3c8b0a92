#pragma once

#include <string>
#include <string_view>

#include "connectors/schedule/config.h"

namespace weir::scheduled {

/// One run, as its event tells of it.
struct Run {
  std::string name;  ///< of the schedule or rule
  schedule::UtcSeconds time;
  std::string execution_id;  ///< a UUID; of the event, too
};

/// The input with EventBridge Scheduler's keywords replaced.
std::string with_keywords(std::string_view input, const Run& run);

/// What the function gets. Source: reference push-sources.md 4.6 and 5.
std::string event_of(const ScheduleConfig& config, const Run& run);

}  // namespace weir::scheduled
