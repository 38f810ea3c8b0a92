#pragma once

#include <memory>
#include <optional>
#include <string>

#include "weir/connector.h"

#include "schedule/run_plan.h"

namespace weir::scheduled {

/// Whose events a source makes, and whose rules it follows.
enum class Kind {
  kScheduler,  ///< EventBridge Scheduler
  kRule        ///< a scheduled rule of EventBridge
};

struct ScheduleConfig final : SourceConfig {
  Kind kind = Kind::kScheduler;
  /// None only when the configuration has a mistake.
  std::optional<schedule::Schedule> schedule;
  std::optional<std::string> input;  ///< the event, with keywords; none: the service's own
  std::chrono::minutes window{0};
  schedule::Missed missed = schedule::Missed::kOnce;

  schedule::PlanRules rules() const;
  /// Its schedule as a text: when it changes, the schedule begins anew.
  std::string identity() const;
};

}  // namespace weir::scheduled
