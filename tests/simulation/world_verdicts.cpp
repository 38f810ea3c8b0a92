#include <algorithm>

#include "world.h"

namespace weir::simulation {

/// What comes of a call's outcome, worked out from the rules of the reference pages.
void World::judge(Shard& shard, Lane& lane, const CallUnderWay& call) {
  const std::size_t count = call.records->size();
  Batch& batch = call.is_final ? *shard.final_call : lane.coming.front();
  ++batch.failures;
  batch.failed_at = now_.instant;
  batch.waits = true;
  engine::ShardCounters& counters = shard.counters;
  if (std::holds_alternative<Succeeded>(call.outcome.what)) {
    ++figures_.succeeded;
    answered(shard, lane, call);
  } else if (std::holds_alternative<FunctionFailed>(call.outcome.what)) {
    ++figures_.failed;
    ++counters.function_errors;
    shard.result = engine::ProcessingResult::kFailed;
    shard.result_at = now_.wall;
    open_window(shard, call);
    batch_failed(shard, lane, call, engine::ResponseContext::kUnhandled);
  } else if (std::holds_alternative<Throttled>(call.outcome.what)) {
    ++counters.throttles;
    counters.failed_invoke_events += count;
  } else if (std::holds_alternative<ServiceFailed>(call.outcome.what)) {
    ++figures_.service_errors;
    ++counters.service_errors;
    counters.failed_invoke_events += count;
  } else {
    ++figures_.cancelled;
  }
}

/// The function did not fail; its answer may say that some of its batch did.
void World::answered(Shard& shard, Lane& lane, const CallUnderWay& call) {
  const std::size_t count = call.records->size();
  open_window(shard, call);
  const bool state_missing = features_.settings.tumbling && !call.response.state;
  shard.result = state_missing ? engine::ProcessingResult::kFailed : engine::ProcessingResult::kOk;
  shard.result_at = now_.wall;
  const std::optional<std::size_t> failed = first_reported(shard, call);
  if (state_missing || failed == 0U) {
    if (!state_missing) ++figures_.whole_reports;
    batch_failed(shard, lane, call, engine::ResponseContext::kReported);
    return;
  }
  if (call.is_final) {
    close_window(shard, lane);
    return;
  }
  settle(shard, lane, failed.value_or(count));
  lane.coming.pop_front();
  if (failed) {
    ++figures_.partial_answers;
    shard.counters.failed_invoke_events += count;
    lane.coming.push_front(Batch{.count = count - *failed});
  }
  if (!shard.window) return;
  shard.window->sum = call.sum_after;
  shard.window->state = *call.response.state;
  if (shard.window->state.size() > features_.settings.tumbling->max_state_bytes) {
    shard.window->terminated_early = true;
    shard.final_call.emplace();
  }
}

/// The function failed on all of a batch: halves of it come next, or it comes again, or it is given up on.
void World::batch_failed(Shard& shard, Lane& lane, const CallUnderWay& call, engine::ResponseContext response) {
  const std::size_t count = call.records->size();
  shard.counters.failed_invoke_events += count;
  if (features_.settings.bisect_batch_on_function_error && count > 1) {
    ++figures_.halved;
    lane.coming.pop_front();
    lane.coming.push_front(Batch{.count = count - count / 2});
    lane.coming.push_front(Batch{.count = count / 2});
    return;
  }
  if (call.is_final) ++figures_.final_calls_failed;
  Batch& batch = call.is_final ? *shard.final_call : lane.coming.front();
  ++batch.failed_runs;
  batch.response = response;
  batch.executed_version = call.outcome.executed_version;
}

/// The store has what was given up on.
void World::discarded(Shard& shard, Lane& lane, engine::Kept kept) {
  const DiscardSeen seen = *lane.discard_seen;
  if (kept == engine::Kept::kDestination) {
    ++figures_.destination_kept;
    shard.counters.destination_events += seen.count;
  } else {
    shard.counters.dropped_events += seen.count;
  }
  if (kept == engine::Kept::kDeadLetterInstead) {
    ++figures_.destination_refused;
    ++shard.counters.destination_failures;
  }
  if (seen.count == 0) {
    ++figures_.final_calls_given_up;
    close_window(shard, lane);
    return;
  }
  settle(shard, lane, seen.count);
  if (lane.coming.empty()) {
    lane.cut = lane.cut || seen.condition == engine::DiscardCondition::kRecordAgeExceeded;
    return;
  }
  const std::size_t rest = lane.coming.front().count - seen.count;
  lane.coming.pop_front();
  if (rest > 0) lane.coming.push_front(Batch{.count = rest});
}

/// The lane's next records are done.
void World::settle(Shard& shard, Lane& lane, std::size_t count) {
  const std::size_t front = shard.front;
  for (; count > 0; --count) {
    const std::size_t record = lane.line[lane.settled++];
    shard.bytes -= shard.records[record].memory_bytes;
    shard.done[record - shard.started_at] = true;
    Shard::Page& page = shard.pages[shard.page_of[record - shard.started_at]];
    if (--page.left == 0) shard.pinned -= page.unwanted_bytes;
    --shard.unsettled;
    ++shard.counters.settled_events;
  }
  find_front(shard);
  if (shard.front == front && shard.lanes.size() > 1) ++figures_.settled_behind_a_gap;
}

/// Up to where all is done. A position that several records share is done with the last of them.
void World::find_front(Shard& shard) {
  for (std::size_t next = shard.front; next < shard.told && shard.done[next - shard.started_at]; ++next) {
    if (!shard.records[next].continues) shard.front = next + 1;
  }
}

/// The index of the first record that a report wants handed over again; nothing when all is done. 0 when it wants all:
/// also when it cannot be understood, or names what was not there.
std::optional<std::size_t> World::first_reported(const Shard& shard, const CallUnderWay& call) const {
  const BatchResponse& response = call.response;
  if (!features_.settings.report_batch_item_failures || response.items == BatchResponse::Items::kAllDone) {
    return std::nullopt;
  }
  if (response.items == BatchResponse::Items::kAllFailed) return 0;
  std::size_t lowest = call.records->size();
  for (const Position& position : response.failed) {
    const auto found = std::find_if(call.records->begin(), call.records->end(),
                                    [&](std::size_t record) { return shard.records[record].position == position; });
    if (found == call.records->end()) return 0;
    lowest = std::min(lowest, static_cast<std::size_t>(found - call.records->begin()));
  }
  return lowest;
}

/// The function has run on records of a tumbling window.
void World::open_window(Shard& shard, const CallUnderWay& call) {
  if (!features_.settings.tumbling || shard.window) return;
  promise(shard, !call.is_final, "a window that is not open was closed");
  promise(shard, !shard.closed_for_good || *shard.closed_for_good < call.window_start,
          "a tumbling window is opened again though a later one had begun");
  shard.window = OpenWindow{.start = call.window_start, .front = shard.front};
}

/// Its final call succeeded, or was given up on and kept.
void World::close_window(Shard& shard, const Lane& lane) {
  ++figures_.final_calls;
  ++shard.final_calls;
  const bool later_began = lane.unsettled() > 0 && lane.windows[lane.settled] > shard.window->start;
  if (shard.window->terminated_early) {
    ++figures_.early_ends;
  } else if (later_began) {
    shard.closed_for_good = shard.window->start;
  } else if (!shard.end_told) {
    ++figures_.final_calls_idle;
  }
  shard.window.reset();
  shard.final_call.reset();
}

std::size_t World::window_bytes(const std::optional<WindowCall>& call) const {
  if (!call) return 0;
  const engine::TumblingWindow& tumbling = *features_.settings.tumbling;
  return window_members(tumbling.shard_id, tumbling.source_arn, *call).size();
}

/// When the batch of the lane's next record is released though it is not full.
Instant World::batching_window_closes(const Shard& shard, const Lane& lane) const {
  const Duration window = features_.settings.batch.window;
  const Instant came = shard.told_at[lane.line[lane.settled] - shard.started_at];
  if (features_.settings.batch.window_opens == engine::WindowOpens::kFirstRecord || window == Duration(0)) {
    return came + window;
  }
  // Windows follow each other from the end of the invocation before; a record waits for the end of the one it came in.
  Instant closes = *lane.previous_end + window;
  if (came >= closes) closes += (came - closes) / window * window + window;
  return closes;
}

}  // namespace weir::simulation
