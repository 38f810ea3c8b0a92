#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "schedule/schedule.h"

namespace weir::schedule {

/// What becomes of runs whose time passed while nothing could be run.
enum class Missed {
  kSkip,  ///< nothing
  kOnce,  ///< one run makes up for all of them, unless another is due anyway: the latest
  kAll,   ///< each is made up for, the oldest first; of more than kMissedMax the latest
};

struct PlanRules {
  Missed missed = Missed::kOnce;
  std::chrono::minutes window{0};  ///< a run comes somewhere in it, from its time on
  /// A rate() without a start date runs first when it begins (EventBridge Scheduler), or a period later (a rule).
  bool rate_runs_at_once = false;
  std::uint64_t seed = 0;  ///< of a run's place in the window; the same after a restart
};

/// What is remembered of a schedule from one life to the next.
struct PlanMemory {
  UtcSeconds begun;    ///< what a rate() is counted from
  UtcSeconds settled;  ///< every occurrence until then is done, or given up
};

struct PlannedRun {
  UtcSeconds scheduled;     ///< its time by the expression
  UtcSeconds due;           ///< when it is to happen, by the window; may be past
  std::size_t skipped = 0;  ///< missed runs before it that will not happen; at most kMissedMax + 1 are counted
};

/// Which run of a schedule comes next. Pure: told the wall clock's time, which may jump.
///
/// A run is on time until kOnTime after its window's end; after that it is missed. A wall clock that is set forward
/// makes runs missed, as a stop does. One that is set back by more than kSetBack was wrong before: the schedule goes on
/// from the new time, and what ran before at a later time runs again when that time comes. A smaller step waits.
class RunPlan {
 public:
  static constexpr std::chrono::seconds kOnTime{60};  // AWS's precision
  static constexpr std::chrono::minutes kSetBack{10};
  static constexpr std::size_t kMissedMax = 1000;

  /// `memory`: none at the very first start, at which nothing is missed yet.
  RunPlan(Schedule schedule, PlanRules rules, std::optional<PlanMemory> memory, UtcSeconds now);

  /// The run to come: when its `due` is there, it is to be run, then settle() is called. Nothing when there are no
  /// more. Ask again after every wait, and after a while in any case: the clock may have jumped.
  std::optional<PlannedRun> next(UtcSeconds now);
  /// The memory once this run was accepted; store it together with the run.
  PlanMemory after(const PlannedRun& run) const { return {memory_.begun, run.scheduled}; }
  void settle(const PlannedRun& run);

  const PlanMemory& memory() const { return memory_; }

 private:
  void find_missed(UtcSeconds late);
  std::chrono::seconds delay(UtcSeconds scheduled) const;

  Schedule schedule_;
  PlanRules rules_;
  PlanMemory memory_;
  std::deque<UtcSeconds> to_make_up_;       ///< of kAll, the oldest first
  std::optional<UtcSeconds> looked_until_;  ///< no missed run that is not in to_make_up_ lies between settled and this
  std::size_t skipped_ = 0;                 ///< to be told with the next run
};

}  // namespace weir::schedule
