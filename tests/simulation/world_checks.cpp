#include <algorithm>

#include "world.h"

namespace weir::simulation {

void World::promise(const Shard& shard, bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = "shard " + std::to_string(shard.index) + ": " + otherwise;
}

/// The records of an action are those of their lane that come next: from its first unsettled one on, without a gap.
/// Returns the lane; null when a promise was broken.
World::Lane* World::check_records(Shard& shard, std::span<const Record> records, std::size_t* record_bytes) {
  promise(shard, !records.empty(), "an action without records");
  if (!broken_.empty()) return nullptr;
  Lane& lane = lane_of(shard, shard.records.at(index_of(shard, records.front())));
  promise(shard, records.size() <= lane.unsettled(), "has records that were never read, or are settled");
  if (!broken_.empty()) return nullptr;
  *record_bytes = records.size() - 1;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::size_t index = index_of(shard, records[i]);
    promise(shard, !records[i].filtered, "a record is handed over that the filters do not want");
    promise(shard, index >= lane.line[lane.settled + i], "goes back before what is settled");
    promise(shard, index <= lane.line[lane.settled + i], "skips unsettled records");
    *record_bytes += records[i].encoded_bytes;
  }
  check_descent(shard, records);
  return broken_.empty() ? &lane : nullptr;
}

/// Where shards split and merge: nothing of a child is handed over before its parents' ends are remembered, else a
/// crash could bring back what lies before it; and each key stays in order over them.
void World::check_descent(const Shard& shard, std::span<const Record> records) {
  if (!shard.descent || !broken_.empty()) return;
  for (const std::size_t parent : shard.descent->parents) {
    promise(shard, shards_[parent].finished, "a record is handed over before its shard's parents have ended");
  }
  for (const Record& record : records) {
    const Stored* const before = shard.records[index_of(shard, record)].before;
    if (before == nullptr) continue;
    ++figures_.keys_moved;
    promise(shard, before->succeeded || before->discarded,
            "a record passes an earlier one of its key in another shard");
  }
}

/// What an action had stays as it was until it is answered.
void World::check_shown(const Shard& shard, std::span<const Record> shown, std::span<const std::size_t> records) {
  const bool same = std::equal(
      shown.begin(), shown.end(), records.begin(), records.end(), [&](const Record& record, std::size_t index) {
        return record.origin == &shard.records[index] && record.position == shard.records[index].position;
      });
  promise(shard, same, "the records of an action changed before it was answered");
}

/// Whatever lanes are: a record is not handed over while one before it that has its key is neither done nor with it, or
/// while another batch with its key is in flight.
void World::check_keys(const Shard& shard, const Lane& lane, std::size_t count) {
  if (!broken_.empty() || shard.lanes.size() == 1) return;
  std::uint32_t keys = 0;
  for (std::size_t i = 0; i < count; ++i) keys |= 1U << shard.records[lane.line[lane.settled + i]].key;
  std::size_t mine = lane.settled;
  for (std::size_t i = shard.started_at; mine < lane.settled + count; ++i) {
    if (i == lane.line[mine]) {
      ++mine;
    } else if ((keys >> shard.records[i].key & 1U) != 0) {
      promise(shard, shard.done[i - shard.started_at], "a record passes an earlier one of its key");
    }
  }
  for (const Lane& other : shard.lanes) {
    if (!other.call) continue;
    for (const std::size_t record : *other.call->records) {
      promise(shard, (keys >> shard.records[record].key & 1U) == 0, "two batches of one key are in flight");
    }
  }
}

/// A new batch is released when it is full, its window is over, or nothing can follow; and it leaves out nothing that
/// fits.
void World::check_release(const Shard& shard, Lane& lane, std::size_t count, std::size_t payload_bytes,
                          std::size_t window_bytes) {
  const engine::BatchLimits& batch = features_.settings.batch;
  const std::size_t limit = payload_limit();
  const bool all = count == lane.unsettled();
  const std::size_t next = all ? 0 : shard.records[lane.line[lane.settled + count]].encoded_bytes;
  const bool was_cut = lane.cut;
  // It was filled before the state of its window was known: what no longer fits is a batch of its own.
  lane.cut = !all && window_bytes > 0 && payload_bytes + 1 + next > limit &&
             payload_bytes - window_bytes + 1 + next <= limit && count < batch.batch_size;
  if (was_cut || count == batch.batch_size) return;
  if (!all) {
    const bool next_window =
        features_.settings.tumbling && lane.windows[lane.settled + count] > lane.windows[lane.settled];
    promise(shard, next_window || payload_bytes + 1 + next > limit,
            "a batch leaves out a record that was there and fits");
    return;
  }
  const Instant closes = batching_window_closes(shard, lane);
  const bool over = now_.instant >= closes;
  if (over && batch.window > Duration(0)) {
    const bool since_end = batch.window_opens == engine::WindowOpens::kPreviousEnd;
    ++(since_end ? figures_.windows_since_the_end_before : figures_.windows_waited_for);
  }
  const bool at_once =
      batch.window == Duration(0) || shard.end_told || payload_bytes - window_bytes >= limit || buffer_full(shard);
  promise(shard, over || at_once, "a batch is released before its window is over");
}

/// A request id stands for one list of records in one life.
void World::check_request_id(const Shard& shard, const engine::Invoke& invoke, const Lane& lane) {
  if (!broken_.empty()) return;
  const bool is_final = invoke.records.empty();
  const Identity identity{shard.index, shard.life, is_final ? shard.final_calls : lane.line[lane.settled],
                          invoke.records.size()};
  const auto [known, fresh] = request_ids_.emplace(invoke.request_id, identity);
  promise(shard, fresh || known->second == identity, "one request id stands for two lists of records");
}

/// The window of a call is the one its records arrived in, and its state is what the last answer in it was.
void World::check_window(const Shard& shard, const Lane& lane, const std::optional<WindowCall>& call,
                         std::size_t count) {
  if (!call || !broken_.empty()) return;
  const engine::TumblingWindow& tumbling = *features_.settings.tumbling;
  promise(shard, call->start.time_since_epoch() % tumbling.length == Duration(0), "a window is not aligned");
  promise(shard, call->end - call->start == tumbling.length, "a window has not its length");
  promise(shard, count == 0 || !call->is_final, "a call with records is said to be final");
  if (count > 0) {
    promise(shard, lane.windows[lane.settled + count - 1] == call->start, "records are handed over in another window");
    promise(shard, lane.windows[lane.settled] == call->start, "a batch has records of two windows");
    promise(shard, !call->terminated_early, "a call with records is said to end its window early");
  }
  if (shard.window) {
    if (call->start != shard.window->start) {
      promise(shard, call->is_final, "records of another window are handed over before the final call");
      promise(shard, !call->is_final, "another window than the open one is closed");
    }
    promise(shard, call->state == shard.window->state, "the state is not what the function returned last");
    const std::string sum = "{\"sum\":" + std::to_string(shard.window->sum);
    promise(shard, shard.window->state == "{}" || call->state.compare(0, sum.size(), sum) == 0,
            "the state is not the sum over the window's records");
  } else {
    promise(shard, call->state == "{}", "a window begins with a state");
  }
}

void World::check_counters(const Shard& shard) {
  const engine::ShardCounters& says = shard.engine->counters();
  const engine::ShardCounters& was = shard.counters;
  promise(shard, says.polled_events == was.polled_events, "polled_events is wrong");
  promise(shard, says.filtered_out_events == was.filtered_out_events, "filtered_out_events is wrong");
  promise(shard, says.invoked_events == was.invoked_events, "invoked_events is wrong");
  promise(shard, says.failed_invoke_events == was.failed_invoke_events, "failed_invoke_events is wrong");
  promise(shard, says.dropped_events == was.dropped_events, "dropped_events is wrong");
  promise(shard, says.destination_events == was.destination_events, "destination_events is wrong");
  promise(shard, says.destination_failures == was.destination_failures, "destination_failures is wrong");
  promise(shard, says.settled_events == was.settled_events, "settled_events is wrong");
  promise(shard, says.invocations == was.invocations, "invocations is wrong");
  promise(shard, says.function_errors == was.function_errors, "function_errors is wrong");
  promise(shard, says.throttles == was.throttles, "throttles is wrong");
  promise(shard, says.service_errors == was.service_errors, "service_errors is wrong");
  promise(shard, says.checkpoints == was.checkpoints, "checkpoints is wrong");
  promise(shard, says.store_failures == was.store_failures, "store_failures is wrong");
  promise(shard, says.iterator_age == was.iterator_age, "iterator_age is wrong");
  promise(shard, shard.engine->last_result() == shard.result, "last_result() is wrong");
  promise(shard, shard.engine->last_result_at() == shard.result_at, "last_result_at() is wrong");
  const bool in_flight =
      std::any_of(shard.lanes.begin(), shard.lanes.end(), [](const Lane& lane) { return lane.call.has_value(); });
  promise(shard, shard.engine->in_flight() == in_flight, "in_flight() is wrong");
  const auto remembered = shard.engine->checkpointed();
  promise(shard, remembered.has_value() == (shard.remembered > shard.started_at), "checkpointed() is wrong");
  if (remembered) promise(shard, covered_by(shard, *remembered) == shard.remembered, "checkpointed() is wrong");
  check_buffer(shard);
}

void World::check_buffer(const Shard& shard) {
  const engine::BufferLimits& buffer = features_.settings.buffer;
  promise(shard, held_bytes(shard) <= buffer.max_bytes + kMostRecordBytes + sizeof(Record),
          "the buffer passes its bytes");
  promise(shard, shard.unsettled <= buffer.max_records, "the buffer passes its records");
  if (shard.stopping) {
    promise(shard, shard.engine->unsettled() <= shard.unsettled, "unsettled() is wrong");
    return;
  }
  promise(shard, shard.engine->unsettled() == shard.unsettled, "unsettled() is wrong");
  promise(shard, shard.engine->pinned_bytes() >= shard.pinned, "what filters do not want is in memory and not counted");
  promise(shard, shard.unsettled > 0 || shard.engine->pinned_bytes() == 0, "counted though it is no longer in memory");
  std::optional<WallTime> oldest;
  for (const Lane& lane : shard.lanes) {
    if (lane.unsettled() == 0) continue;
    const WallTime arrival = shard.records[lane.line[lane.settled]].arrival;
    oldest = std::min(oldest.value_or(arrival), arrival);
  }
  promise(shard, shard.engine->oldest_unsettled() == oldest, "oldest_unsettled() is wrong");
}

/// Whoever waits is woken: by an answer that is under way, or by the clock, and then in time.
void World::check_waiting(const Shard& shard) {
  if (!shard.engine || shard.engine->drained()) return;
  const bool refused = shard.refusals_in_row > 0;
  bool outstanding = shard.fetch || shard.checkpoint;
  bool discarding = false;
  bool discard_refused = false;
  for (const Lane& lane : shard.lanes) {
    outstanding = outstanding || lane.call || lane.discard;
    discarding = discarding || lane.discard;
    discard_refused = discard_refused || (lane.discard_seen && lane.discard_seen->refused);
  }
  if (shard.stopping) {
    promise(shard, outstanding || shard.wake, "draining waits for nothing");
    promise(shard, now_.instant <= shard.stop_by, "draining takes too long");
    return;
  }
  if (shard.remembered < checkpointable(shard) && !shard.checkpoint) {
    promise(shard, refused && shard.wake, "what is settled is not remembered, and nothing will change that");
  }
  if ((refused && !shard.checkpoint && !discarding) || discard_refused) {
    const engine::RetryLimits& retry = features_.settings.retry;
    const Duration most = std::max<Duration>(retry.backoff_min, retry.backoff_max);
    promise(shard, shard.wake && *shard.wake <= now_.instant + most, "the store is not tried again");
  }
  bool room = false;
  for (const Lane& lane : shard.lanes) {
    room = room || lane.unsettled() < features_.settings.batch.batch_size;
    if (!refused) check_lane_waits(shard, lane);
  }
  const engine::BufferLimits& buffer = features_.settings.buffer;
  room = room && shard.unsettled < buffer.max_records && held_bytes(shard) < buffer.max_bytes;
  if (!room && !shard.fetch) ++figures_.full_buffers;
  promise(shard, !room || shard.fetch || shard.end_told || refused, "reading stopped though there is room");
}

void World::check_lane_waits(const Shard& shard, const Lane& lane) {
  if (lane.call || lane.discard || (lane.discard_seen && lane.discard_seen->refused)) return;
  const bool open = shard.window && lane.index == 0;
  if (lane.unsettled() == 0 && !open) return;
  promise(shard, shard.wake.has_value(), "a wake-up is lost: a lane has something to do and nothing will happen");
  if (!broken_.empty()) return;
  if (shard.final_call) {
    check_retry_waits(shard, *shard.final_call);
  } else if (!lane.coming.empty()) {
    const Stored& first = shard.records[lane.line[lane.settled]];
    if (!may_be_too_large(first)) check_retry_waits(shard, lane.coming.front());
  } else if (lane.unsettled() > 0) {
    if (may_be_too_large(shard.records[lane.line[lane.settled]])) return;  // it may be using up its attempts
    const Instant closes = batching_window_closes(shard, lane);
    promise(shard, *shard.wake <= closes, "the window closes too late");
    promise(shard, now_.instant < closes, "a batch is not released though its window is over");
    promise(shard, !shard.end_told, "a batch is not released though nothing can follow");
    promise(shard, !expired(shard.records[lane.line[lane.settled]]), "the age of a record is not decided in time");
    promise(shard, lane.unsettled() < features_.settings.batch.batch_size, "a full batch is not released");
    promise(shard, !buffer_full(shard), "a batch waits though no record can come");
    if (features_.settings.tumbling) {
      promise(shard, lane.windows.back() == lane.windows[lane.settled], "a batch that ends its window is not released");
      promise(shard, !open || lane.windows[lane.settled] == shard.window->start, "a window's final call is not made");
    }
  } else {
    const WallTime end = shard.window->start + features_.settings.tumbling->length;
    const Duration left = end + features_.settings.tumbling->idle_close - now_.wall;
    promise(shard, !shard.end_told, "a window stays open though nothing can follow");
    promise(shard, left > Duration(0), "a window stays open though its shard is idle");
    promise(shard, *shard.wake <= now_.instant + left, "a window is closed too late");
  }
}

void World::check_retry_waits(const Shard& shard, const Batch& batch) {
  promise(shard, batch.waits, "a half, a rest or a final call is not begun at once");
  promise(shard, !exhausted(batch), "a batch is not given up on though its attempts are exhausted");
  const engine::RetryLimits& retry = features_.settings.retry;
  Duration ceiling = retry.backoff_min;
  for (int i = 1; i < batch.failures && ceiling < retry.backoff_max; ++i) ceiling *= 2;
  ceiling = std::max(std::min(ceiling, retry.backoff_max), retry.backoff_min / 2 + Duration(1));
  promise(shard, *shard.wake <= batch.failed_at + ceiling, "a retry waits too long");
}

void World::check_end() {
  for (const Shard& shard : shards_) {
    promise(shard, shard.stored == shard.records.size(), "ended before the last checkpoint");
    for (const Stored& record : shard.records) {
      promise(shard, record.succeeded || record.discarded || record.filtered,
              "a record was lost: neither delivered nor filtered nor kept as discarded");
      promise(shard, !record.filtered || !(record.succeeded || record.discarded),
              "a record that the filters do not want was delivered or discarded");
    }
  }
  permits_.check_end();
  if (permits_.broken() != nullptr) promise(false, permits_.broken());
}

bool World::expired(const Stored& record) const {
  const auto& age = features_.settings.retry.maximum_record_age;
  return age && now_.wall - record.arrival > *age;
}

bool World::buffer_full(const Shard& shard) const {
  const engine::BufferLimits& buffer = features_.settings.buffer;
  return shard.unsettled >= buffer.max_records || held_bytes(shard) >= buffer.max_bytes;
}

bool World::may_be_too_large(const Stored& record) const {
  const std::size_t window = features_.settings.tumbling ? kMostWindowBytes : 0;
  return features_.settings.batch.envelope_bytes + record.encoded_bytes + window > payload_limit();
}

/// How keys fall to lanes is the engine's choice (FNV-1a): told again here, so that each lane is checked by itself.
/// check_keys() does without.
World::Lane& World::lane_of(Shard& shard, const Stored& record) const {
  if (shard.lanes.size() == 1) return shard.lanes.front();
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : key_text(record.key)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return shard.lanes[hash % shard.lanes.size()];
}

/// How many records a checkpoint of this position covers.
std::size_t World::covered_by(const Shard& shard, const Position& position) const {
  const auto behind = std::upper_bound(shard.records.begin(), shard.records.end(), position,
                                       [](const Position& at, const Stored& record) { return at < record.position; });
  if (behind == shard.records.begin() || std::prev(behind)->position != position) {
    throw BrokenBelief("shard " + std::to_string(shard.index) + ": no record stands at " + position.text());
  }
  return static_cast<std::size_t>(behind - shard.records.begin());
}

/// The beginning of the tumbling window that a record arrived in.
WallTime World::window_of(const Stored& record) const {
  return record.arrival - record.arrival.time_since_epoch() % features_.settings.tumbling->length;
}

}  // namespace weir::simulation
