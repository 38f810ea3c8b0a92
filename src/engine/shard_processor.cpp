#include "engine/shard_processor.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir::engine {
namespace {

/// Which lane a key falls to. Lambda's own function is not documented; any will do that spreads keys (FNV-1a, 64 bits).
std::uint64_t hash(std::string_view key) {
  std::uint64_t value = 0xCBF29CE484222325U;
  for (const char c : key) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return value;
}

/// The position behind which no other record of the same position follows, of the last such record.
std::optional<Position> take_last_whole(std::span<Record> records) {
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (!record->continues) return std::move(record->position);
  }
  return std::nullopt;
}

}  // namespace

/// What one read of the source gave, or several that share their owner: as long as one record of it is not settled all
/// of it stays in memory, and what nobody waits for any more counts as pinned.
struct ShardProcessor::Read {
  Read(std::shared_ptr<const void> what, std::shared_ptr<std::size_t> sum)
      : owner(std::move(what)), pinned_bytes(std::move(sum)) {}
  ~Read() { *pinned_bytes -= pinned; }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;

  void pin(std::size_t bytes) {
    pinned += bytes;
    *pinned_bytes += bytes;
  }
  /// They are pinned once the source has let go of them too: of a large page it hands out parts, and reading no further
  /// would keep all of it in memory.
  void settle(std::size_t bytes) {
    settled += bytes;
    if (is_last || owner.use_count() <= 1) pin(std::exchange(settled, 0));
  }
  void let_go() {
    is_last = true;
    settle(0);
  }

  std::shared_ptr<const void> owner;
  std::uint64_t end = 0;    ///< the ordinal behind its last record
  bool is_last = false;     ///< no other read shares the owner
  std::size_t settled = 0;  ///< bytes, in other lanes, not yet pinned
  std::size_t pinned = 0;
  std::shared_ptr<std::size_t> pinned_bytes;
};

std::string_view text(DiscardCondition condition) {
  switch (condition) {
    case DiscardCondition::kRetryAttemptsExhausted:
      return "RetryAttemptsExhausted";
    case DiscardCondition::kRecordAgeExceeded:
      return "RecordAgeExceeded";
    case DiscardCondition::kMaximumPayloadSizeExceeded:
      return "MaximumPayloadSizeExceeded";
  }
  return "";
}

std::string_view text(ProcessingResult result) {
  switch (result) {
    case ProcessingResult::kNone:
      return "No records processed";
    case ProcessingResult::kOk:
      return "OK";
    case ProcessingResult::kFailed:
      return "PROBLEM: Function call failed";
  }
  return "";
}

ShardProcessor::ShardProcessor(ShardSettings settings)
    : settings_(std::move(settings)),
      retry_(settings_.retry, settings_.seed),
      random_(settings_.seed ^ 0xD1B54A32D192ED03U) {
  WEIR_ASSERT(settings_.batch.batch_size >= 1);
  WEIR_ASSERT(settings_.buffer.max_records >= settings_.batch.batch_size);
  WEIR_ASSERT(settings_.parallelization_factor >= 1 && settings_.parallelization_factor <= 10);
  if (settings_.tumbling) {
    WEIR_ASSERT(settings_.tumbling->length > Duration(0) && settings_.parallelization_factor == 1);
  }
  lanes_.resize(static_cast<std::size_t>(settings_.parallelization_factor));
  want_fetch();
}

void ShardProcessor::on_records(Moment now, RecordBatch records) {
  WEIR_ASSERT(fetch_in_flight_);
  fetch_in_flight_ = false;
  end_of_shard_ = end_of_shard_ || records.end_of_shard;
  if (!records.records.empty() && state_ != State::kRunning) {
    gave_back_ = true;
  } else if (!records.records.empty()) {
    take(now, std::move(records));
  }
  advance(now);
}

void ShardProcessor::on_outcome(Moment now, BatchId id, const Outcome& outcome, const BatchResponse& response) {
  Lane& lane = lane_at(id, BatchState::kInvoking);
  Batch& batch = *lane.work.back();
  batch.state = BatchState::kReady;
  --invokes_in_flight_;
  lane.previous_end = now.instant;

  struct Verdict {
    ShardProcessor& shard;
    Lane& lane;
    Batch& batch;
    const Outcome& outcome;
    const BatchResponse& response;
    Moment now;

    void operator()(const Succeeded&) { shard.answered(now, lane, outcome, response); }
    void operator()(const FunctionFailed&) {
      shard.note_run(batch);
      shard.note_result(now, ProcessingResult::kFailed);
      ++shard.counters_.function_errors;
      shard.attempt_failed(now, lane, outcome, ResponseContext::kUnhandled);
    }
    // A throttle uses up no attempt. The quota counts runs of the function, and this one never ran; only age ends a
    // throttled batch (services-kinesis-parameters), so the lane may stand still here for days.
    void operator()(const Throttled&) {
      ++shard.counters_.throttles;
      shard.counters_.failed_invoke_events += batch.records.size();
      shard.back_off(now, batch);
    }
    void operator()(const ServiceFailed&) {
      ++shard.counters_.service_errors;
      shard.counters_.failed_invoke_events += batch.records.size();
      shard.back_off(now, batch);
    }
    void operator()(const Cancelled&) { shard.back_off(now, batch); }
  };
  std::visit(Verdict{*this, lane, batch, outcome, response, now}, outcome.what);
  advance(now);
}

void ShardProcessor::on_checkpoint(Moment now, bool kept) {
  WEIR_ASSERT(checkpoint_in_flight_ && checkpoint_asked_);
  checkpoint_in_flight_ = false;
  if (kept) {
    WEIR_ASSERT(!checkpointed_ || *checkpointed_ < *checkpoint_asked_);
    checkpointed_ = std::move(checkpoint_asked_);
    store_failures_in_row_ = 0;
    ++counters_.checkpoints;
  } else {
    ++counters_.store_failures;
    checkpoint_due_ = now.instant + retry_.backoff(++store_failures_in_row_);
  }
  checkpoint_asked_.reset();
  advance(now);
}

void ShardProcessor::on_discarded(Moment now, BatchId id, Kept kept) {
  Lane& lane = lane_at(id, BatchState::kDiscarding);
  Batch& batch = *lane.work.back();
  --discards_in_flight_;
  if (kept != Kept::kNowhere) {
    (kept == Kept::kDestination ? counters_.destination_events : counters_.dropped_events) += batch.records.size();
    if (kept == Kept::kDeadLetterInstead) ++counters_.destination_failures;
    store_failures_in_row_ = 0;
    settle(lane, batch);
    lane.work.pop_back();
  } else {
    ++counters_.store_failures;
    batch.state = BatchState::kToDiscard;
    batch.due = now.instant + retry_.backoff(++store_failures_in_row_);
  }
  advance(now);
}

void ShardProcessor::on_tick(Moment now) {
  advance(now);
}

void ShardProcessor::request_stop(Moment now) {
  if (state_ == State::kRunning) state_ = State::kStopping;
  advance(now);
}

std::optional<Action> ShardProcessor::next() {
  if (actions_taken_ == actions_.size()) return std::nullopt;
  std::optional<Action> action(std::move(actions_[actions_taken_]));
  if (++actions_taken_ == actions_.size()) {
    actions_.clear();
    actions_taken_ = 0;
  }
  return action;
}

std::optional<Instant> ShardProcessor::wake_at() const {
  WEIR_ASSERT(actions_.empty());
  return wake_at_;
}

std::optional<WallTime> ShardProcessor::oldest_unsettled() const {
  std::optional<WallTime> oldest;
  for (const Lane& lane : lanes_) {
    const Record* first = nullptr;
    if (!lane.read.empty()) first = &lane.read.front().records[lane.read.front().next];
    if (lane.forming) first = &lane.forming->records.front();
    for (const auto& batch : lane.work) {
      if (!batch->records.empty()) first = &batch->records.front();
    }
    if (first && (!oldest || first->arrival < *oldest)) oldest = first->arrival;
  }
  return oldest;
}

/// The lane whose batch this is the answer of.
ShardProcessor::Lane& ShardProcessor::lane_at(BatchId id, BatchState state) {
  const auto lane = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& candidate) {
    return !candidate.work.empty() && candidate.work.back()->id == id && candidate.work.back()->state == state;
  });
  WEIR_ASSERT(lane != lanes_.end());
  return *lane;
}

/// The function answered. What of its batch is done, it may say itself.
void ShardProcessor::answered(Moment now, Lane& lane, const Outcome& outcome, const BatchResponse& response) {
  Batch& batch = *lane.work.back();
  note_run(batch);
  if (settings_.tumbling && !response.state) {
    note_result(now, ProcessingResult::kFailed);
    attempt_failed(now, lane, outcome, ResponseContext::kReported);
    return;
  }
  note_result(now, ProcessingResult::kOk);
  const std::optional<std::size_t> failed = first_failed(batch, response);
  if (failed && *failed == 0) {
    attempt_failed(now, lane, outcome, ResponseContext::kReported);
    return;
  }
  std::unique_ptr<Batch> again;
  if (failed) {
    counters_.failed_invoke_events += batch.records.size();
    again = cut_tail(batch, *failed);
  }
  settle(lane, batch);
  lane.work.pop_back();
  if (again) lane.work.push_back(std::move(again));
  if (!window_) return;
  window_->state = *response.state;
  if (window_->state.size() > settings_.tumbling->max_state_bytes) lane.work.push_back(final_call(now, true));
}

/// The index of the first record that is to be handed over again, with all behind it; nothing when all are done. 0 also
/// when the report names a record that is not in the batch: then it cannot be trusted, and all of the batch failed.
std::optional<std::size_t> ShardProcessor::first_failed(const Batch& batch, const BatchResponse& response) const {
  if (!settings_.report_batch_item_failures || response.items == BatchResponse::Items::kAllDone) return std::nullopt;
  if (response.items == BatchResponse::Items::kAllFailed) return 0;
  std::optional<std::size_t> first;
  for (const Position& position : response.failed) {
    const auto found = std::partition_point(batch.records.begin(), batch.records.end(),
                                            [&](const Record& record) { return record.position < position; });
    if (found == batch.records.end() || found->position != position) return 0;
    const auto index = static_cast<std::size_t>(found - batch.records.begin());
    first = std::min(first.value_or(index), index);
  }
  return first;
}

/// The function failed on the batch, or got no further than its first record.
void ShardProcessor::attempt_failed(Moment now, Lane& lane, const Outcome& outcome, ResponseContext response) {
  Batch& batch = *lane.work.back();
  counters_.failed_invoke_events += batch.records.size();
  if (settings_.bisect_batch_on_function_error && batch.records.size() > 1) {
    halve(lane);
    return;
  }
  batch.response = response;
  batch.executed_version = outcome.executed_version;
  use_attempt(now, batch);
}

void ShardProcessor::use_attempt(Moment now, Batch& batch) {
  ++batch.attempts;
  if (retry_.exhausted(batch.attempts)) {
    give_up(now, batch, DiscardCondition::kRetryAttemptsExhausted);
  } else {
    back_off(now, batch);
  }
}

void ShardProcessor::back_off(Moment now, Batch& batch) {
  batch.due = now.instant + retry_.backoff(++batch.failures);
}

void ShardProcessor::give_up(Moment now, Batch& batch, DiscardCondition condition) {
  batch.state = BatchState::kToDiscard;
  batch.condition = condition;
  batch.due = now.instant;
  // AWS's record has a responseContext for this condition alone, even after failed invocations.
  if (condition != DiscardCondition::kRetryAttemptsExhausted) batch.response = ResponseContext::kNone;
}

void ShardProcessor::note_result(Moment now, ProcessingResult result) {
  last_result_ = result;
  last_result_at_ = now.wall;
}

void ShardProcessor::advance(Moment now) {
  wake_at_.reset();
  if (state_ == State::kDrained) return;
  if (!began_) {
    began_ = true;
    for (Lane& lane : lanes_) lane.previous_end = now.instant;
  }
  if (state_ == State::kStopping) {
    const std::size_t before = buffered_records_;
    buffered_records_ = 0;
    buffered_bytes_ = 0;
    for (Lane& lane : lanes_) drain(now, lane);
    gave_back_ = gave_back_ || buffered_records_ < before;
  } else {
    for (Lane& lane : lanes_) advance_lane(now, lane);
    want_fetch();
  }
  want_checkpoint(now);
  const bool idle = std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.work.empty(); });
  const bool behind = settled_upto() != checkpointed_;
  const bool ended = end_of_shard_ && buffered_records_ == 0 && !gave_back_ && !window_;
  if ((ended || state_ == State::kStopping) && !outstanding() && idle && !behind) {
    state_ = State::kDrained;
    wake_at_.reset();
    actions_.emplace_back(Drained{ended});
  }
}

/// Gives up what was not begun: it is read again after the checkpoint. What is in flight is waited for, and records
/// that were already given up on are still kept, unless the store refuses.
void ShardProcessor::drain(Moment now, Lane& lane) {
  lane.read.clear();
  lane.forming.reset();
  if (!lane.work.empty()) {
    lane.work.erase(lane.work.begin(), std::prev(lane.work.end()));
    const BatchState state = lane.work.back()->state;
    if (state == BatchState::kToDiscard && !store_failing()) {
      start_or_discard(now, lane);
    } else if (state == BatchState::kReady || state == BatchState::kToDiscard) {
      lane.work.clear();
    }
  }
  lane.unsettled = 0;
  for (const auto& batch : lane.work) {
    lane.unsettled += batch->records.size();
    for (const Record& record : batch->records) buffered_bytes_ += record.memory_bytes();
  }
  buffered_records_ += lane.unsettled;
}

void ShardProcessor::advance_lane(Moment now, Lane& lane) {
  for (;;) {
    fill_forming(lane);
    if (lane.work.empty()) {
      if (store_failing()) return;
      if (window_over(now, lane)) {
        lane.work.push_back(final_call(now, false));
        continue;
      }
      if (!lane.forming) return;
      if (!forming_complete(now, lane)) {
        wake_at_ = earlier(wake_at_, forming_due(now, lane));
        return;
      }
      lane.work.push_back(std::move(lane.forming));
      lane.forming_full = false;
      continue;
    }
    Batch& batch = *lane.work.back();
    if (batch.state == BatchState::kInvoking || batch.state == BatchState::kDiscarding) return;
    // The store refuses: nothing that it would have to remember is begun. Trying the store again goes on.
    if (batch.state == BatchState::kReady && store_failing()) return;
    if (batch.due > now.instant) {
      wake_at_ = earlier(wake_at_, batch.due);
      return;
    }
    start_or_discard(now, lane);
  }
}

/// The batch's time has come: invoke, or give up what cannot be invoked.
void ShardProcessor::start_or_discard(Moment now, Lane& lane) {
  Batch& batch = *lane.work.back();
  if (batch.state == BatchState::kToDiscard) {
    batch.state = BatchState::kDiscarding;
    ++discards_in_flight_;
    actions_.emplace_back(Discard{batch.id, batch.request_id, batch.records, batch.condition,
                                  std::max(batch.attempts, 1), batch.response, batch.executed_version,
                                  window_call(batch)});
    return;
  }
  if (drop_what_is_too_old(now, lane)) return;
  std::optional<WindowCall> window = window_call(batch);
  if (!fits(lane, window)) {
    if (settings_.batch.oversized == Oversized::kUseAttempts) {
      ++oversized_tries_;
      use_attempt(now, batch);
    } else {
      give_up(now, batch, DiscardCondition::kMaximumPayloadSizeExceeded);
    }
    return;
  }
  batch.state = BatchState::kInvoking;
  ++invokes_in_flight_;
  ++counters_.invocations;
  Duration iterator_age{0};
  if (!batch.records.empty()) {
    iterator_age = std::max(Duration(0), now.wall - batch.records.back().arrival);
    counters_.iterator_age = iterator_age;
    counters_.invoked_events += batch.records.size();
  }
  actions_.emplace_back(Invoke{batch.id, batch.request_id, batch.records, payload_bytes(batch, window),
                               batch.attempts + 1, iterator_age, std::move(window)});
}

/// Only the expired front goes; newer records of the batch are still handed over ([stackd notes], section 5.1).
bool ShardProcessor::drop_what_is_too_old(Moment now, Lane& lane) {
  Batch& batch = *lane.work.back();
  if (batch.is_final) {
    if (!retry_.expired(now.wall, batch.made_at)) return false;
  } else {
    const auto fresh = std::find_if(batch.records.begin(), batch.records.end(),
                                    [&](const Record& record) { return !retry_.expired(now.wall, record.arrival); });
    const auto expired = static_cast<std::size_t>(fresh - batch.records.begin());
    if (expired == 0) return false;
    if (fresh != batch.records.end()) lane.work.insert(std::prev(lane.work.end()), cut_tail(batch, expired));
  }
  give_up(now, batch, DiscardCondition::kRecordAgeExceeded);
  return true;
}

/// Whether the function can be invoked with the batch on top, which may lose its tail for it: a batch was filled before
/// it was known how large the state of its tumbling window would be.
bool ShardProcessor::fits(Lane& lane, const std::optional<WindowCall>& window) {
  Batch& batch = *lane.work.back();
  const std::size_t most = settings_.batch.max_payload_bytes;
  std::size_t bytes = payload_bytes(batch, window);
  if (bytes <= most) return true;
  std::size_t count = batch.records.size();
  WEIR_ASSERT(count <= 1 || window);
  while (count > 1 && bytes > most) bytes -= batch.records[--count].encoded_bytes + 1;
  if (count < batch.records.size()) lane.work.insert(std::prev(lane.work.end()), cut_tail(batch, count));
  return bytes <= most;
}

/// Exactly what the event's JSON will take.
std::size_t ShardProcessor::payload_bytes(const Batch& batch, const std::optional<WindowCall>& window) const {
  std::size_t bytes = settings_.batch.envelope_bytes + batch.record_bytes;
  if (window) bytes += window_members(settings_.tumbling->shard_id, settings_.tumbling->source_arn, *window).size();
  return bytes;
}

std::unique_ptr<ShardProcessor::Batch> ShardProcessor::new_batch() {
  auto batch = std::make_unique<Batch>();
  batch->id = ++last_batch_;
  batch->request_id = random_.uuid();
  return batch;
}

/// Takes the records behind the first `count` out of a batch, which keeps at least one. They are another batch: it has
/// a new request id and all its attempts.
std::unique_ptr<ShardProcessor::Batch> ShardProcessor::cut_tail(Batch& batch, std::size_t count) {
  WEIR_ASSERT(count > 0 && count < batch.records.size());
  auto tail = new_batch();
  const auto cut = batch.records.begin() + static_cast<std::ptrdiff_t>(count);
  tail->records.assign(std::make_move_iterator(cut), std::make_move_iterator(batch.records.end()));
  batch.records.erase(cut, batch.records.end());
  tail->from = batch.from;
  tail->ordinals = batch.ordinals.cut(count);
  let_go(batch);
  let_go(*tail);
  tail->window_start = batch.window_start;
  for (const Record& record : tail->records) tail->record_bytes += record.encoded_bytes + 1;
  batch.record_bytes -= tail->record_bytes;
  tail->record_bytes -= 1;
  return tail;
}

/// A batch that lost records lets go of the reads that it has none of any more.
void ShardProcessor::let_go(Batch& batch) {
  std::optional<std::uint64_t> first;
  std::uint64_t last = 0;
  batch.ordinals.for_each_run([&](OrdinalRun run) {
    if (!first) first = run.first;
    last = run.end - 1;
  });
  auto& from = batch.from;
  const auto is_of = [](std::uint64_t ordinal) {
    return [ordinal](const std::shared_ptr<Read>& read) { return read->end > ordinal; };
  };
  from.erase(std::next(std::find_if(from.begin(), from.end(), is_of(last))), from.end());
  from.erase(from.begin(), std::find_if(from.begin(), from.end(), is_of(*first)));
}

/// The batch on top becomes two, left half first, both of them new. No attempt is used up by it
/// (services-kinesis-parameters).
void ShardProcessor::halve(Lane& lane) {
  auto right = cut_tail(*lane.work.back(), lane.work.back()->records.size() / 2);
  auto left = new_batch();
  Batch& whole = *lane.work.back();
  left->records = std::move(whole.records);
  left->from = std::move(whole.from);
  left->ordinals = std::move(whole.ordinals);
  left->record_bytes = whole.record_bytes;
  left->window_start = whole.window_start;
  lane.work.back() = std::move(right);
  lane.work.push_back(std::move(left));
}

/// Numbers what was read and deals it to the lanes. What the filters do not want is done at once.
void ShardProcessor::take(Moment now, RecordBatch read) {
  counters_.polled_events += read.records.size();
  std::size_t filtered = 0;
  std::size_t unwanted_bytes = 0;
  for (const Record& record : read.records) {
    if (record.filtered) {
      ++filtered;
      unwanted_bytes += record.memory_bytes();
    } else {
      buffered_bytes_ += record.memory_bytes();
    }
  }
  counters_.filtered_out_events += filtered;
  counters_.settled_events += filtered;
  buffered_records_ += read.records.size() - filtered;
  const std::shared_ptr<Read> from = read_of(read);

  if (lanes_.size() == 1 && filtered == 0) {
    const OrdinalRun all{next_ordinal_, from->end};
    next_ordinal_ = all.end;
    lanes_[0].unsettled += all.size();
    lanes_[0].read.push_back({now.instant, from, std::move(read.records), Ordinals(all), 0});
    return;
  }
  from->pin(unwanted_bytes);
  std::vector<Chunk> dealt(lanes_.size());
  for (Record& record : read.records) {
    const std::uint64_t ordinal = next_ordinal_++;
    if (record.filtered) {
      settlement_.settle({ordinal, ordinal + 1}, take_last_whole(std::span(&record, 1)));
      continue;
    }
    Chunk& chunk = dealt[lane_of(record)];
    chunk.ordinals.append({ordinal, ordinal + 1});
    chunk.records.push_back(std::move(record));
  }
  for (std::size_t i = 0; i < dealt.size(); ++i) {
    if (dealt[i].records.empty()) continue;
    dealt[i].came = now.instant;
    dealt[i].from = from;
    lanes_[i].unsettled += dealt[i].records.size();
    lanes_[i].read.push_back(std::move(dealt[i]));
  }
}

/// A source may hand out a large page in parts, each with the page's owner: then the parts are one read.
std::shared_ptr<ShardProcessor::Read> ShardProcessor::read_of(RecordBatch& batch) {
  std::shared_ptr<const void> owner = std::move(batch.owner);
  if (!pins_settled()) {
    auto read = std::make_shared<Read>(std::move(owner), pinned_bytes_);
    read->end = next_ordinal_ + batch.records.size();
    return read;
  }
  const bool goes_on = owner != nullptr && !last_owner_.owner_before(owner) && !owner.owner_before(last_owner_);
  std::shared_ptr<Read> read = last_read_.lock();
  if (!goes_on) {
    if (read) read->let_go();
    read.reset();
    last_owner_ = owner;
    last_owner_bytes_ = 0;
  }
  if (read) {
    owner.reset();
  } else {
    read = std::make_shared<Read>(std::move(owner), pinned_bytes_);
    read->settled = last_owner_bytes_;  // the parts before it, of which nothing waits any more
    last_read_ = read;
  }
  read->settle(0);
  for (const Record& record : batch.records) last_owner_bytes_ += record.memory_bytes();
  read->end = next_ordinal_ + batch.records.size();
  return read;
}

std::size_t ShardProcessor::lane_of(const Record& record) const {
  return lanes_.size() == 1 ? 0 : static_cast<std::size_t>(hash(record.key) % lanes_.size());
}

/// Moves records that were read into the forming batch, until the next one would pass a limit.
void ShardProcessor::fill_forming(Lane& lane) {
  while (!lane.read.empty() && !lane.forming_full) {
    Chunk& chunk = lane.read.front();
    if (!lane.forming) {
      lane.forming = new_batch();
      // It may have waited here for the batch before it to close: the window counts from its coming, not from its turn.
      lane.forming_opened = chunk.came;
      if (settings_.tumbling) {
        newest_window_ = std::max(newest_window_, window_start(chunk.records[chunk.next]));
        lane.forming->window_start = newest_window_;
      }
    }
    Batch& batch = *lane.forming;
    const std::size_t first = chunk.next;
    while (chunk.next < chunk.records.size()) {
      Record& record = chunk.records[chunk.next];
      const std::size_t comma = batch.records.empty() ? 0 : 1;
      const std::size_t bytes = batch.record_bytes + comma + record.encoded_bytes;
      // A record that is too large alone makes a batch of its own, which is then given up on.
      if (comma == 1 && bytes + settings_.batch.envelope_bytes > settings_.batch.max_payload_bytes) {
        lane.forming_full = true;
        break;
      }
      if (settings_.tumbling && window_start(record) > batch.window_start) {
        lane.forming_full = true;
        break;
      }
      batch.record_bytes = bytes;
      batch.records.push_back(std::move(record));
      ++chunk.next;
      if (batch.records.size() >= settings_.batch.batch_size ||
          bytes + settings_.batch.envelope_bytes >= settings_.batch.max_payload_bytes) {
        lane.forming_full = true;
        break;
      }
    }
    if (chunk.next > first) {
      chunk.ordinals.give(chunk.next - first, batch.ordinals);
      if (batch.from.empty() || batch.from.back() != chunk.from) batch.from.push_back(chunk.from);
    }
    if (chunk.next == chunk.records.size()) lane.read.pop_front();
  }
}

bool ShardProcessor::forming_complete(Moment now, const Lane& lane) const {
  if (lane.forming_full || end_of_shard_ || settings_.batch.window == Duration(0)) return true;
  // What lanes hold together, or what filters do not want beside what they do, may fill the buffer before there is a
  // batch. Then no record comes to wait for.
  if (buffer_full()) return true;
  return *forming_due(now, lane) <= now.instant;
}

/// When the window closes, or the oldest record's age must be decided, which does not wait for the window
/// ([stackd notes], section 5.1).
std::optional<Instant> ShardProcessor::forming_due(Moment now, const Lane& lane) const {
  return earlier(batching_window_closes(lane), retry_.expiry(now, lane.forming->records.front().arrival));
}

/// With WindowOpens::kPreviousEnd windows follow each other without a gap: the batch waits for the end of the one in
/// which its first record came.
Instant ShardProcessor::batching_window_closes(const Lane& lane) const {
  const Duration window = settings_.batch.window;
  if (settings_.batch.window_opens == WindowOpens::kFirstRecord) return lane.forming_opened + window;
  const Duration empty = std::max(Duration(0), lane.forming_opened - lane.previous_end);
  return lane.previous_end + (empty / window + 1) * window;
}

void ShardProcessor::settle(Lane& lane, Batch& batch) {
  if (batch.is_final) {
    window_.reset();
    return;
  }
  counters_.settled_events += batch.records.size();
  WEIR_ASSERT(lane.unsettled >= batch.records.size() && buffered_records_ >= batch.records.size());
  lane.unsettled -= batch.records.size();
  buffered_records_ -= batch.records.size();
  for (const Record& record : batch.records) buffered_bytes_ -= record.memory_bytes();
  std::span<Record> rest(batch.records);
  auto from = batch.from.begin();
  batch.ordinals.for_each_run([&](OrdinalRun run) {
    for (std::size_t i = 0; pins_settled() && i < run.size(); ++i) {
      while ((*from)->end <= run.first + i) ++from;
      (*from)->settle(rest[i].memory_bytes());
    }
    settlement_.settle(run, take_last_whole(rest.first(run.size())));
    rest = rest.subspan(run.size());
  });
  WEIR_ASSERT(rest.empty());
}

/// Where the tumbling window of a record begins.
WallTime ShardProcessor::window_start(const Record& record) const {
  const Duration length = settings_.tumbling->length;
  Duration into = record.arrival.time_since_epoch() % length;
  if (into < Duration(0)) into += length;  // before 1970
  return record.arrival - into;
}

/// Whether it is time for the final call of the open window: a later record was read, none will ever come, or none came
/// for a while. Asked when the lane has no other work.
bool ShardProcessor::window_over(Moment now, const Lane& lane) {
  if (!window_) return false;
  if (lane.forming) return lane.forming->window_start > window_->start;
  if (end_of_shard_) return true;
  const Duration left = window_->start + settings_.tumbling->length + settings_.tumbling->idle_close - now.wall;
  if (left <= Duration(0)) return true;
  wake_at_ = earlier(wake_at_, now.instant + left);
  return false;
}

std::unique_ptr<ShardProcessor::Batch> ShardProcessor::final_call(Moment now, bool terminated_early) {
  auto batch = new_batch();
  batch->window_start = window_->start;
  batch->is_final = true;
  batch->terminated_early = terminated_early;
  batch->made_at = now.wall;
  return batch;
}

std::optional<WindowCall> ShardProcessor::window_call(const Batch& batch) const {
  if (!settings_.tumbling) return std::nullopt;
  WindowCall call;
  call.start = batch.window_start;
  call.end = batch.window_start + settings_.tumbling->length;
  if (window_) call.state = window_->state;
  call.is_final = batch.is_final;
  call.terminated_early = batch.terminated_early;
  return call;
}

/// The function ran on a batch: its tumbling window is open.
void ShardProcessor::note_run(const Batch& batch) {
  if (!settings_.tumbling || window_) return;
  window_.emplace(OpenWindow{batch.window_start, WindowCall().state, settlement_.upto()});
}

bool ShardProcessor::buffer_full() const {
  return buffered_records_ >= settings_.buffer.max_records ||
         buffered_bytes_ + *pinned_bytes_ >= settings_.buffer.max_bytes;
}

void ShardProcessor::want_fetch() {
  if (state_ != State::kRunning || fetch_in_flight_ || end_of_shard_ || store_failing()) return;
  const BufferLimits& buffer = settings_.buffer;
  // Two batches ahead keep the function busy while the source is asked for more. A lane that has them does not keep the
  // others from theirs: reading goes on for those, while there is room.
  const std::size_t ahead = std::min(buffer.max_records, settings_.batch.batch_size * 2);
  std::size_t wanted = 0;
  for (const Lane& lane : lanes_) wanted += ahead - std::min(ahead, lane.unsettled);
  wanted = std::min(wanted, buffer.max_records - std::min(buffer.max_records, buffered_records_));
  if (wanted == 0 || buffer_full()) return;
  fetch_in_flight_ = true;
  actions_.emplace_back(Fetch{wanted, buffer.max_bytes - buffered_bytes_ - *pinned_bytes_});
}

void ShardProcessor::want_checkpoint(Moment now) {
  if (checkpoint_in_flight_ || !settled_upto() || settled_upto() == checkpointed_) return;
  if (store_failing() && checkpoint_due_ > now.instant) {
    wake_at_ = earlier(wake_at_, checkpoint_due_);
    return;
  }
  WEIR_ASSERT(!checkpointed_ || *checkpointed_ < *settled_upto());
  checkpoint_asked_ = settled_upto();
  checkpoint_in_flight_ = true;
  actions_.emplace_back(Checkpoint{*checkpoint_asked_});
}

}  // namespace weir::engine
