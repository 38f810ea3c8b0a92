#include <algorithm>

#include "world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

void World::perform(Shard& shard, const engine::Fetch& fetch) {
  promise(shard, !shard.fetch, "a second read is begun");
  promise(shard, !shard.stopping, "a read is begun while draining");
  promise(shard, !shard.end_told, "a read is begun behind the end of the shard");
  promise(shard, shard.refusals_in_row == 0, "a read is begun while the store refuses");
  const engine::BufferLimits& buffer = features_.settings.buffer;
  promise(shard, fetch.max_records >= 1 && shard.unsettled + fetch.max_records <= buffer.max_records,
          "a read would pass the buffer's records");
  promise(shard, fetch.max_bytes >= 1 && held_bytes(shard) + fetch.max_bytes <= buffer.max_bytes,
          "a read would pass the buffer's bytes");
  shard.fetch = ++last_order_;
  shard.fetch_records = fetch.max_records;
  shard.fetch_bytes = fetch.max_bytes;
  schedule_read(shard);
}

void World::schedule_read(Shard& shard) {
  Duration wait = upto(20ms);
  if (shard.told < shard.records.size()) {
    const Instant available = shard.records[shard.told].available;
    if (available > now_.instant) wait += features_.waits_for_data ? available - now_.instant : features_.idle_poll;
  } else if (!ends(shard)) {
    if (features_.waits_for_data) return;  // for ever
    wait += features_.idle_poll;
  } else if (shard.descent && *shard.descent->closed > now_.instant) {
    wait += features_.waits_for_data ? *shard.descent->closed - now_.instant : features_.idle_poll;
  }
  later(wait, of(shard, Kind::kFetchAnswer, *shard.fetch));
}

void World::perform(Shard& shard, const engine::Invoke& invoke) {
  promise(shard, !shard.stopping, "an invocation is begun while draining");
  promise(shard, shard.refusals_in_row == 0, "an invocation is begun while the store refuses");
  promise(shard, invoke.window.has_value() == features_.settings.tumbling.has_value(),
          "an event has a tumbling window without a setting, or none with it");
  if (!broken_.empty()) return;
  ++figures_.invocations;
  ++shard.counters.invocations;
  if (invoke.window && invoke.window->is_final) {
    invoke_final(shard, invoke);
  } else {
    invoke_records(shard, invoke);
  }
}

void World::invoke_records(Shard& shard, const engine::Invoke& invoke) {
  std::size_t record_bytes = 0;
  Lane* const lane = check_records(shard, invoke.records, &record_bytes);
  if (lane == nullptr) return;
  const std::size_t count = invoke.records.size();
  promise(shard, !lane->call, "a second invocation of a lane is begun");
  promise(shard, !lane->discard, "an invocation is begun while records before it are being discarded");
  promise(shard, !shard.final_call, "records are handed over before the final call of the window before them");
  promise(shard, count <= features_.settings.batch.batch_size, "a batch has more records than batch_size");
  check_window(shard, *lane, invoke.window, count);
  check_keys(shard, *lane, count);
  const std::size_t payload_bytes =
      features_.settings.batch.envelope_bytes + record_bytes + window_bytes(invoke.window);
  promise(shard, invoke.payload_bytes == payload_bytes, "payload_bytes is not the sum of its parts");
  promise(shard, payload_bytes <= payload_limit(), "a payload passes the limit");
  promise(shard, !expired(shard.records[lane->line[lane->settled]]), "a record is handed over that is too old");
  const Duration age = now_.wall - shard.records[lane->line[lane->settled + count - 1]].arrival;
  promise(shard, invoke.iterator_age == std::max(Duration(0), age), "iterator_age is not the age of the last record");
  if (!broken_.empty()) return;

  if (lane->coming.empty()) {
    promise(shard, invoke.attempt == 1, "a new batch has used attempts");
    check_release(shard, *lane, count, payload_bytes, window_bytes(invoke.window));
    lane->coming.push_back(Batch{.count = count, .request_id = invoke.request_id});
  } else {
    // The state of a tumbling window may have grown so much that a batch that was cut out of another no longer fits.
    const std::size_t rest = lane->coming.front().count - std::min(count, lane->coming.front().count);
    if (rest > 0 && invoke.window) {
      const std::size_t next = shard.records[lane->line[lane->settled + count]].encoded_bytes;
      promise(shard, payload_bytes + 1 + next > payload_limit(), "a batch is cut though it fits");
      lane->coming.front().count = count;
      lane->coming.insert(lane->coming.begin() + 1, Batch{.count = rest});
    }
    promise(shard, lane->coming.front().count == count, "a retry, a half or a rest has other records");
    invoke_batch(shard, invoke, lane->coming.front());
  }
  check_request_id(shard, invoke, *lane);
  shard.counters.invoked_events += count;
  shard.counters.iterator_age = invoke.iterator_age;
  Indices records(lane->line.begin() + static_cast<std::ptrdiff_t>(lane->settled),
                  lane->line.begin() + static_cast<std::ptrdiff_t>(lane->settled + count));
  lane->call = CallUnderWay{.batch = invoke.batch,
                            .shown = invoke.records,
                            .records = std::make_shared<const Indices>(std::move(records)),
                            .sum_before = shard.window ? shard.window->sum : 0};
  if (invoke.window) lane->call->window_start = invoke.window->start;
  schedule_call(shard, *lane);
}

/// The call that ends a tumbling window: when a later record is there, when the shard ended, or a while after its end.
void World::invoke_final(Shard& shard, const engine::Invoke& invoke) {
  Lane& lane = shard.lanes.front();
  promise(shard, shard.window.has_value(), "a tumbling window is closed that is not open");
  promise(shard, !lane.call && !lane.discard, "a window is closed while records of it are under way");
  if (!broken_.empty()) return;
  const WindowCall& call = *invoke.window;
  const OpenWindow& window = *shard.window;
  check_window(shard, lane, invoke.window, 0);
  promise(shard, invoke.records.empty(), "a final call has records");
  promise(shard, call.terminated_early == window.terminated_early, "a window ends early, or not, against its state");
  promise(shard, invoke.payload_bytes == features_.settings.batch.envelope_bytes + window_bytes(invoke.window),
          "payload_bytes of a final call is not the sum of its parts");
  promise(shard, invoke.iterator_age == Duration(0), "a final call has an iterator age");
  if (!shard.final_call) {
    promise(shard, lane.coming.empty(), "a window is closed before its records are done");
    const Duration idle = now_.wall - call.end;
    const bool due = lane.unsettled() > 0 ? lane.windows[lane.settled] > window.start
                                          : shard.end_told || idle >= features_.settings.tumbling->idle_close;
    promise(shard, due, "a tumbling window is closed too early");
    shard.final_call.emplace();
  }
  invoke_batch(shard, invoke, *shard.final_call);
  check_request_id(shard, invoke, lane);
  if (!broken_.empty()) return;
  lane.call = CallUnderWay{.batch = invoke.batch,
                           .records = std::make_shared<const Indices>(),
                           .is_final = true,
                           .window_start = call.start,
                           .sum_before = window.sum};
  schedule_call(shard, lane);
}

/// A batch that the world expected: a retry of the unchanged one, or one that came out of another.
void World::invoke_batch(const Shard& shard, const engine::Invoke& invoke, Batch& batch) {
  promise(shard, invoke.attempt == batch.failed_runs + 1, "a retry does not count its attempts");
  promise(shard, !exhausted(batch), "the function runs more often than maximum_retry_attempts allows");
  if (batch.waits) {
    ++figures_.retries;
    promise(shard, now_.instant >= batch.failed_at + features_.settings.retry.backoff_min / 2, "a retry did not wait");
    promise(shard, batch.request_id == invoke.request_id, "a retry of the unchanged batch has another request id");
  }
  batch.request_id = invoke.request_id;
}

void World::schedule_call(Shard& shard, Lane& lane) {
  CallUnderWay& call = *lane.call;
  call.serial = ++last_order_;
  std::size_t together = 0;
  for (const Lane& each : shard.lanes) together += each.call ? 1 : 0;
  if (together > 1) ++figures_.lanes_together;
  if (together > 1 && together == shard.lanes.size()) ++figures_.all_lanes_together;

  Happening outcome = of(shard, Kind::kOutcome, call.serial);
  outcome.lane = lane.index;
  // Where shards share one permit, minutes of one are minutes of all, filled with throttles.
  const bool shared = features_.account < 10 || features_.reservations;
  const Duration minutes = shared ? Duration(20s) : random_.chance(0.2) ? Duration(600s) : Duration(60s);
  Duration wait = upto(random_.chance(0.2) ? Duration(5s) : Duration(50ms));
  if (!permits_.take(shard.function)) {
    call.outcome = Outcome(Throttled{});
    ++figures_.throttled_by_ledger;
    wait = Duration(0);
  } else {
    call.permit = true;
    if (random_.chance(features_.late)) wait += upto(minutes);
    if (random_.chance(features_.throttled)) {
      call.outcome = Outcome(Throttled{});
      ++figures_.throttled;
    } else if (random_.chance(features_.cancelled)) {
      call.outcome = Outcome(Cancelled{});
    } else {
      // It runs, but the answer may get lost on its way.
      Happening run = outcome;
      run.kind = Kind::kFunctionRuns;
      run.records = call.records;
      run.well = !random_.chance(features_.fails);
      later(wait / 2, std::move(run));
      // function_runs() may say otherwise than success.
      call.outcome = random_.chance(features_.service_errors) ? Outcome(ServiceFailed{}) : Outcome(Succeeded{});
    }
    if (random_.chance(features_.never)) {
      ++figures_.never_answered;
      later(upto(minutes / 5), of(shard, random_.chance(0.5) ? Kind::kStop : Kind::kCrash, 1));
      return;
    }
  }
  later(wait, std::move(outcome));
}

void World::perform(Shard& shard, const engine::Checkpoint& checkpoint) {
  promise(shard, !shard.checkpoint, "a second checkpoint is begun");
  const std::size_t covered = covered_by(shard, checkpoint.upto);
  promise(shard, covered <= shard.front,
          "a checkpoint passes a record whose outcome is unknown or whose discard is not kept");
  promise(shard, covered <= checkpointable(shard), "a checkpoint passes a record of a window without its final call");
  promise(shard, covered == checkpointable(shard), "a checkpoint leaves out what is settled");
  promise(shard, covered > shard.remembered, "a checkpoint says nothing new");
  if (!broken_.empty()) return;
  if (covered > shard.remembered + 2 * features_.settings.batch.batch_size) ++figures_.checkpoints_coalesced;
  if (shard.records[covered - 1].filtered) ++figures_.checkpoints_over_filtered;
  shard.checkpoint = WriteUnderWay{.serial = ++last_order_, .upto = covered};
  later(store_latency(), of(shard, Kind::kCheckpointWrite, shard.checkpoint->serial));
}

void World::perform(Shard& shard, const engine::Discard& discard) {
  promise(shard, discard.window.has_value() == features_.settings.tumbling.has_value(),
          "a discard has a tumbling window without a setting, or none with it");
  if (!broken_.empty()) return;
  if (discard.window && discard.window->is_final) {
    discard_final(shard, discard);
  } else {
    discard_records(shard, discard);
  }
}

void World::discard_records(Shard& shard, const engine::Discard& discard) {
  std::size_t record_bytes = 0;
  Lane* const lane = check_records(shard, discard.records, &record_bytes);
  if (lane == nullptr) return;
  const std::size_t count = discard.records.size();
  promise(shard, !lane->discard, "a second discard of a lane is begun");
  promise(shard, !lane->call, "records are discarded while their invocation is in flight");
  check_window(shard, *lane, discard.window, count);
  const Batch* const tried = lane->coming.empty() ? nullptr : &lane->coming.front();
  if (tried != nullptr) {
    promise(shard, count <= tried->count, "a discard has records of another batch");
    promise(shard, tried->request_id.empty() || discard.request_id == tried->request_id,
            "a discarded batch has not the id it was invoked with");
  }
  const std::optional<DiscardSeen>& seen = lane->discard_seen;
  const bool again = seen && seen->batch == discard.batch;
  if (again) {
    promise(shard, seen->first == lane->settled && seen->count == count && seen->condition == discard.condition,
            "a discard that was refused comes again with other contents");
  }
  const std::size_t payload_bytes =
      features_.settings.batch.envelope_bytes + record_bytes + window_bytes(discard.window);
  check_condition(shard, *lane, discard, payload_bytes, again);
  schedule_discard(shard, *lane, discard);
}

/// Records are given up on for the reason that is said, and no other.
void World::check_condition(Shard& shard, const Lane& lane, const engine::Discard& discard, std::size_t payload_bytes,
                            bool again) {
  const engine::RetryLimits& retry = features_.settings.retry;
  const std::size_t count = discard.records.size();
  const Batch* const tried = lane.coming.empty() ? nullptr : &lane.coming.front();
  const int runs = tried != nullptr ? tried->failed_runs : 0;
  const bool too_large = count == 1 && payload_bytes > payload_limit();
  const bool by_attempts = features_.settings.batch.oversized == engine::Oversized::kUseAttempts;
  const std::uint64_t first_time = again ? 0 : 1;
  if (discard.condition != engine::DiscardCondition::kRetryAttemptsExhausted) {
    promise(shard, discard.response == engine::ResponseContext::kNone,
            "records that were too old or too large have an answer of the function");
  }
  switch (discard.condition) {
    case engine::DiscardCondition::kRetryAttemptsExhausted:
      promise(shard, limited_attempts(), "attempts are exhausted without a limit");
      promise(shard, discard.approximate_invoke_count == retry.maximum_retry_attempts + 1,
              "approximate_invoke_count is wrong");
      if (too_large) {
        promise(shard, by_attempts && runs == 0, "a record that is too large was invoked, or uses attempts");
        promise(shard, discard.response == engine::ResponseContext::kNone,
                "a record that is too large has an answer of the function");
        figures_.discards_size_by_attempts += first_time;
        break;
      }
      promise(shard, tried != nullptr && tried->count == count && exhausted(*tried),
              "attempts are exhausted before the function ran so often");
      promise(shard,
              tried != nullptr && discard.response == tried->response &&
                  discard.executed_version == tried->executed_version,
              "the function's last answer is not the one that is told");
      figures_.discards_attempts += first_time;
      if (discard.response == engine::ResponseContext::kReported) figures_.discards_reported += first_time;
      break;
    case engine::DiscardCondition::kRecordAgeExceeded:
      for (std::size_t i = 0; !again && i < count; ++i) {
        promise(shard, expired(shard.records[lane.line[lane.settled + i]]),
                "a record is discarded by age that is not too old");
      }
      if (!again && tried != nullptr && count < tried->count) {
        ++figures_.age_cut_a_batch;
        promise(shard, !expired(shard.records[lane.line[lane.settled + count]]),
                "a record that is too old is left in its batch");
      }
      promise(shard, discard.approximate_invoke_count == std::max(1, runs) || (too_large && by_attempts),
              "approximate_invoke_count is wrong");
      figures_.discards_age += first_time;
      break;
    case engine::DiscardCondition::kMaximumPayloadSizeExceeded:
      promise(shard, too_large && !by_attempts, "a record is discarded by size that fits");
      promise(shard, runs == 0 && discard.approximate_invoke_count == 1, "a record that is too large was invoked");
      figures_.discards_size += first_time;
      break;
  }
}

/// A final call that used up its attempts, or for as long as a record may be old.
void World::discard_final(Shard& shard, const engine::Discard& discard) {
  Lane& lane = shard.lanes.front();
  promise(shard, shard.window && !lane.call && !lane.discard, "a final call is given up on that was not begun");
  promise(shard, discard.records.empty(), "a final call has records");
  if (!broken_.empty()) return;
  check_window(shard, lane, discard.window, 0);
  if (!shard.final_call) shard.final_call.emplace();  // the store held it up until it was too old
  const Batch& tried = *shard.final_call;
  promise(shard, discard.approximate_invoke_count == std::max(1, tried.failed_runs),
          "approximate_invoke_count of a final call is wrong");
  if (discard.condition == engine::DiscardCondition::kRetryAttemptsExhausted) {
    promise(shard, exhausted(tried) && discard.response == tried.response,
            "a final call is given up on before its attempts are exhausted");
    promise(shard, discard.executed_version == tried.executed_version,
            "a final call is given up on with another version than the one that ran");
  } else {
    promise(shard,
            discard.condition == engine::DiscardCondition::kRecordAgeExceeded &&
                features_.settings.retry.maximum_record_age && discard.response == engine::ResponseContext::kNone,
            "a final call is given up on for its age without a limit, or its size");
  }
  schedule_discard(shard, lane, discard);
}

void World::schedule_discard(Shard& shard, Lane& lane, const engine::Discard& discard) {
  if (!broken_.empty()) return;
  lane.discard_seen =
      DiscardSeen{discard.batch, lane.settled, discard.records.size(), discard.condition, discard.records};
  lane.discard = WriteUnderWay{.serial = ++last_order_, .batch = discard.batch};
  Indices records;
  for (const Record& record : discard.records) records.push_back(index_of(shard, record));
  Happening write = of(shard, Kind::kDiscardWrite, lane.discard->serial);
  write.lane = lane.index;
  write.records = std::make_shared<const Indices>(std::move(records));
  later(store_latency(), std::move(write));
}

void World::perform(Shard& shard, const engine::Drained& drained) {
  bool outstanding = shard.fetch || shard.checkpoint;
  for (const Lane& lane : shard.lanes) outstanding = outstanding || lane.call || lane.discard;
  promise(shard, !outstanding, "drained with something in flight");
  promise(shard, shard.stopping || drained.end_of_shard, "drained though nobody asked and the shard did not end");
  promise(shard, !shard.engine->next(), "something is wanted behind Drained");
  promise(shard, shard.remembered == checkpointable(shard), "drained before what is settled is remembered");
  if (drained.end_of_shard) {
    ++figures_.ended;
    promise(shard, shard.end_told && shard.front == shard.records.size(), "said to have ended with records left");
    promise(shard, !shard.window, "said to have ended with a tumbling window open");
  }
  const bool all = shard.remembered == shard.records.size();
  promise(shard, !(all && shard.end_told) || drained.end_of_shard, "not said to have ended although it has");
  // Whoever stops weir does not wait for a shard's end to be remembered: it is found at the next start.
  const bool remember_end = drained.end_of_shard && !shard.stopping;
  shard.finished = (drained.end_of_shard && !shard.descent) || (all && !ends(shard));
  if (!broken_.empty()) return;
  end_life(shard);
  if (shard.descent) {
    World::drained(shard, remember_end);
  } else if (!shard.finished) {
    later(upto(5s), of(shard, Kind::kRestart));
  }
}

}  // namespace weir::simulation
