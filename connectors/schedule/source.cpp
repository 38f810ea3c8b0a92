#include "connectors/schedule/source.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/schedule/connector.h"
#include "connectors/schedule/event.h"

namespace weir::scheduled {
namespace {

constexpr std::string_view kNote = "plan";

schedule::UtcSeconds seconds_of(std::int64_t number) {
  return schedule::UtcSeconds(std::chrono::seconds(number));
}

}  // namespace

ScheduleSource::ScheduleSource(std::shared_ptr<const ScheduleConfig> config, SourceContext context,
                               ScheduleTuning tuning)
    : config_(std::move(config)), context_(std::move(context)), tuning_(tuning), random_(seed_from_system()) {}

/// "BEGUN SETTLED IDENTITY", times as seconds since 1970.
SourceNote ScheduleSource::note_of(const schedule::PlanMemory& memory) const {
  SourceNote note;
  note.key = kNote;
  note.value = std::to_string(memory.begun.time_since_epoch().count()) + " " +
               std::to_string(memory.settled.time_since_epoch().count()) + " " + config_->identity();
  return note;
}

/// Nothing of another schedule: what it would have missed was never promised.
std::optional<schedule::PlanMemory> ScheduleSource::memory_in(const std::string& note) const {
  std::int64_t begun = 0;
  std::int64_t settled = 0;
  const char* const end = note.data() + note.size();
  const auto first = std::from_chars(note.data(), end, begun);
  if (first.ec != std::errc() || first.ptr == end) return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, settled);
  if (second.ec != std::errc() || second.ptr == end) return std::nullopt;
  if (std::string_view(second.ptr + 1, static_cast<std::size_t>(end - second.ptr - 1)) != config_->identity())
    return std::nullopt;
  return schedule::PlanMemory{seconds_of(begun), seconds_of(settled)};
}

net::awaitable<Result<void>> ScheduleSource::begin(EventSink& sink) {
  auto notes = co_await sink.notes();
  if (!notes) co_return std::move(notes.error()).during("reading what ran last");
  std::optional<schedule::PlanMemory> memory;
  if (const auto note = notes->find(std::string(kNote)); note != notes->end()) memory = memory_in(note->second);
  plan_.emplace(*config_->schedule, config_->rules(), memory, schedule::to_seconds(context_.clock.now().wall));
  if (memory) co_return Result<void>();
  // From here on runs can be missed, and a rate has its beginning.
  std::vector<SourceNote> first;
  first.push_back(note_of(plan_->memory()));
  co_return co_await sink.remember(std::move(first));
}

net::awaitable<Result<void>> ScheduleSource::run(EventSink& sink) {
  auto begun = co_await begin(sink);
  if (!begun) co_return begun;
  std::optional<Duration> patience;  // while the store refuses
  for (;;) {
    const WallTime now = context_.clock.now().wall;
    const auto run = plan_->next(schedule::to_seconds(now));
    if (!run && !told_end_) context_.log.info("schedule.ended", {{"source", context_.name}});
    told_end_ = !run;
    if (!run || schedule::wall_time(run->due) > now) {
      co_await wait(run ? std::min(tuning_.look_again, schedule::wall_time(run->due) - now) : tuning_.look_again);
      continue;
    }
    const auto taken = co_await hand_over(sink, *run);
    if (taken) {
      if (patience) context_.log.info("schedule.resumed", {{"source", context_.name}});
      patience.reset();
      continue;
    }
    if (taken.error().code() == ErrorCode::kCancelled) co_return taken;
    // The store refuses for now. The run stays the plan's; when it was missed meanwhile, `missed` says what becomes of
    // it.
    if (!patience)
      context_.log.warn("schedule.paused", {{"source", context_.name}, {"error", taken.error().describe()}});
    patience = patience ? std::min(*patience * 2, tuning_.patience_max) : tuning_.patience_min;
    co_await wait(*patience);
  }
}

net::awaitable<Result<void>> ScheduleSource::hand_over(EventSink& sink, schedule::PlannedRun run) {
  Run told;
  told.name = context_.name;
  told.time = run.scheduled;
  told.execution_id = random_.uuid();
  SourceNote note = note_of(plan_->after(run));
  std::optional<SourceNote> with_event(note);
  auto taken = co_await sink.accept(event_of(*config_, told), std::move(with_event));
  if (!taken) {
    if (taken.error().code() != ErrorCode::kEventRefused) co_return std::move(taken.error());
    // Its input is too large for the function's queue, and will be at every run.
    context_.log.error("schedule.run_refused", {{"source", context_.name},
                                                {"scheduled", schedule::iso_seconds(run.scheduled)},
                                                {"error", taken.error().describe()}});
    std::vector<SourceNote> only_note;
    only_note.push_back(std::move(note));
    auto remembered = co_await sink.remember(std::move(only_note));
    if (!remembered) co_return remembered;
  }
  if (run.skipped > 0)
    context_.log.warn(
        "schedule.runs_missed",
        {{"source", context_.name}, {"runs", run.skipped}, {"at_least", run.skipped > schedule::RunPlan::kMissedMax}});
  plan_->settle(run);
  co_return Result<void>();
}

net::awaitable<void> ScheduleSource::wait(Duration duration) {
  net::steady_timer timer(context_.executor, std::chrono::ceil<net::steady_timer::duration>(duration));
  co_await timer.async_wait(net::use_awaitable);
}

std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<ScheduleSource>(std::static_pointer_cast<const ScheduleConfig>(std::move(config)),
                                          std::move(context), ScheduleTuning());
}

}  // namespace weir::scheduled
