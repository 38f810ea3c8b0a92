#pragma once

#include <memory>
#include <optional>
#include <string>

#include "weir/base/random.h"
#include "weir/connector.h"

#include "connectors/schedule/config.h"
#include "schedule/run_plan.h"

namespace weir::scheduled {

/// How long a source waits; tests make it short.
struct ScheduleTuning {
  /// At the latest then the wall clock is looked at anew: it may have jumped, or the machine have slept.
  Duration look_again = std::chrono::seconds(30);
  Duration patience_min = std::chrono::milliseconds(100);  ///< after a refusal; doubled each time
  Duration patience_max = std::chrono::seconds(5);
};

/// Hands an event to the function when its schedule says so. What was run is noted with the event, in one transaction.
class ScheduleSource final : public PushSource {
 public:
  ScheduleSource(std::shared_ptr<const ScheduleConfig> config, SourceContext context, ScheduleTuning tuning);

  net::awaitable<Result<void>> run(EventSink& sink) override;

 private:
  net::awaitable<Result<void>> begin(EventSink& sink);
  net::awaitable<Result<void>> hand_over(EventSink& sink, schedule::PlannedRun run);
  net::awaitable<void> wait(Duration duration);
  SourceNote note_of(const schedule::PlanMemory& memory) const;
  std::optional<schedule::PlanMemory> memory_in(const std::string& note) const;

  std::shared_ptr<const ScheduleConfig> config_;
  SourceContext context_;
  ScheduleTuning tuning_;
  Random random_;
  std::optional<schedule::RunPlan> plan_;
  bool told_end_ = false;
};

}  // namespace weir::scheduled
