#include "schedule/run_plan.h"

#include <algorithm>
#include <utility>

#include "weir/base/random.h"

namespace weir::schedule {
namespace {

using std::chrono::seconds;

}  // namespace

RunPlan::RunPlan(Schedule schedule, PlanRules rules, std::optional<PlanMemory> memory, UtcSeconds now)
    : schedule_(std::move(schedule)), rules_(rules) {
  // The second of the first start is still to come, but for a rate that runs a period later.
  const bool period_later = schedule_.expression.rate() && !rules_.rate_runs_at_once && !schedule_.start_date;
  memory_ = memory.value_or(PlanMemory{now, period_later ? now : now - seconds(1)});
}

seconds RunPlan::delay(UtcSeconds scheduled) const {
  const auto window = static_cast<std::uint64_t>(seconds(rules_.window).count());
  Random place(rules_.seed ^ static_cast<std::uint64_t>(scheduled.time_since_epoch().count()));
  return seconds(static_cast<std::int64_t>(place.below(window)));
}

/// Decides about the runs until `late`: they are missed.
void RunPlan::find_missed(UtcSeconds late) {
  const UtcSeconds from = std::max(memory_.settled, looked_until_.value_or(memory_.settled));
  if (late <= from) return;
  const std::size_t room = rules_.missed == Missed::kAll ? kMissedMax : 1;
  std::deque<UtcSeconds> found;
  std::size_t count = 0;
  UtcSeconds to = late;
  while (count <= kMissedMax) {
    const auto run = schedule_.previous(to, from, memory_.begun);
    if (!run) break;
    ++count;
    if (rules_.missed != Missed::kSkip && found.size() < room) found.push_front(*run);
    to = *run - seconds(1);
  }
  skipped_ += count - found.size();
  to_make_up_.insert(to_make_up_.end(), found.begin(), found.end());
  while (to_make_up_.size() > room) {
    to_make_up_.pop_front();
    ++skipped_;
  }
  looked_until_ = late;
}

std::optional<PlannedRun> RunPlan::next(UtcSeconds now) {
  if (now + kSetBack < std::max(memory_.settled, looked_until_.value_or(memory_.settled))) {
    memory_.settled = std::min(memory_.settled, now);
    memory_.begun = std::min(memory_.begun, now);
    to_make_up_.clear();
    looked_until_.reset();
  }
  const UtcSeconds late = now - rules_.window - kOnTime - seconds(1);
  find_missed(late);
  const UtcSeconds from = std::max({memory_.settled, late, looked_until_.value_or(late)}) + seconds(1);
  std::optional<PlannedRun> coming;
  if (const auto run = schedule_.next(from, memory_.begun)) coming = PlannedRun{*run, *run + delay(*run), 0};
  const bool coming_is_due = coming && coming->due <= now;
  if (rules_.missed == Missed::kOnce && coming_is_due && !to_make_up_.empty()) {
    skipped_ += to_make_up_.size();
    to_make_up_.clear();
  }
  std::optional<PlannedRun> run = coming;
  if (!to_make_up_.empty()) run = PlannedRun{to_make_up_.front(), now, 0};
  if (run) run->skipped = skipped_;
  return run;
}

void RunPlan::settle(const PlannedRun& run) {
  memory_.settled = std::max(memory_.settled, run.scheduled);
  while (!to_make_up_.empty() && to_make_up_.front() <= run.scheduled) to_make_up_.pop_front();
  skipped_ = 0;
}

}  // namespace weir::schedule
