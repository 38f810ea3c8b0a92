#include "engine/shard_processor.h"

#include <algorithm>
#include <iterator>

namespace weir::engine {

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

ShardProcessor::ShardProcessor(ShardSettings settings)
    : settings_(settings), retry_(settings.retry, settings.seed), random_(settings.seed ^ 0xD1B54A32D192ED03U) {
  WEIR_ASSERT(settings_.batch.batch_size >= 1);
  WEIR_ASSERT(settings_.buffer.max_records >= settings_.batch.batch_size);
  want_fetch();
}

void ShardProcessor::on_records(Moment now, RecordBatch records) {
  WEIR_ASSERT(fetch_in_flight_);
  fetch_in_flight_ = false;
  end_of_shard_ = end_of_shard_ || records.end_of_shard;
  if (!records.records.empty() && state_ != State::kRunning) {
    gave_back_ = true;
  } else if (!records.records.empty()) {
    counters_.polled_events += records.records.size();
    buffered_records_ += records.records.size();
    for (const Record& record : records.records) buffered_bytes_ += record.memory_bytes();
    read_.push_back({now.instant, std::move(records.owner), std::move(records.records), 0});
  }
  advance(now);
}

void ShardProcessor::on_outcome(Moment now, BatchId id, const Outcome& outcome) {
  WEIR_ASSERT(invoke_in_flight_ && !work_.empty() && work_.back()->id == id);
  Batch& batch = *work_.back();
  WEIR_ASSERT(batch.state == BatchState::kInvoking);
  invoke_in_flight_ = false;
  batch.state = BatchState::kReady;

  struct Verdict {
    ShardProcessor& shard;
    Batch& batch;
    Moment now;

    void operator()(const Succeeded&) {
      shard.settle(batch);
      shard.work_.pop_back();
    }
    void operator()(const FunctionFailed& failed) {
      ++batch.attempts;
      batch.error = failed;
      ++shard.counters_.function_errors;
      shard.counters_.failed_invoke_events += batch.records.size();
      if (shard.retry_.exhausted(batch.attempts)) {
        shard.give_up(batch, DiscardCondition::kRetryAttemptsExhausted, now);
      } else {
        wait();
      }
    }
    // A throttle uses up no attempt. The quota counts runs of the function, and this one never ran; only age ends a
    // throttled batch (services-kinesis-parameters), so the shard may stand still here for days.
    void operator()(const Throttled&) {
      ++shard.counters_.throttles;
      shard.counters_.failed_invoke_events += batch.records.size();
      wait();
    }
    void operator()(const ServiceFailed&) {
      ++shard.counters_.service_errors;
      shard.counters_.failed_invoke_events += batch.records.size();
      wait();
    }
    void operator()(const Cancelled&) { wait(); }

    void wait() { batch.due = now.instant + shard.retry_.backoff(++batch.failures); }
  };
  std::visit(Verdict{*this, batch, now}, outcome.what);
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
  WEIR_ASSERT(discard_in_flight_ && !work_.empty() && work_.back()->id == id);
  Batch& batch = *work_.back();
  WEIR_ASSERT(batch.state == BatchState::kDiscarding);
  discard_in_flight_ = false;
  if (kept != Kept::kNowhere) {
    (kept == Kept::kDestination ? counters_.destination_events : counters_.dropped_events) += batch.records.size();
    if (kept == Kept::kDeadLetterInstead) ++counters_.destination_failures;
    store_failures_in_row_ = 0;
    settle(batch);
    work_.pop_back();
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
  if (actions_.empty()) return std::nullopt;
  std::optional<Action> action(std::move(actions_.front()));
  actions_.pop_front();
  return action;
}

std::optional<Instant> ShardProcessor::wake_at() const {
  WEIR_ASSERT(actions_.empty());
  return wake_at_;
}

std::optional<WallTime> ShardProcessor::oldest_unsettled() const {
  if (!work_.empty()) return work_.back()->records.front().arrival;
  if (forming_) return forming_->records.front().arrival;
  if (!read_.empty()) return read_.front().records[read_.front().next].arrival;
  return std::nullopt;
}

void ShardProcessor::advance(Moment now) {
  wake_at_.reset();
  if (state_ == State::kDrained) return;
  if (state_ == State::kStopping) {
    drain(now);
  } else {
    advance_work(now);
    want_fetch();
  }
  want_checkpoint(now);
  const bool behind = settled_upto_ != checkpointed_;
  const bool ended = end_of_shard_ && buffered_records_ == 0 && !gave_back_;
  if ((ended || state_ == State::kStopping) && !outstanding() && work_.empty() && !behind) {
    state_ = State::kDrained;
    wake_at_.reset();
    actions_.emplace_back(Drained{ended});
  }
}

/// Gives up what was not begun: it is read again after the checkpoint. What is in flight is waited for, and records
/// that were already given up on are still kept, unless the store refuses.
void ShardProcessor::drain(Moment now) {
  read_.clear();
  forming_.reset();
  if (!work_.empty()) {
    work_.erase(work_.begin(), std::prev(work_.end()));
    const BatchState state = work_.back()->state;
    if (state == BatchState::kToDiscard && !store_failing()) {
      start_or_discard(now, *work_.back());
    } else if (state == BatchState::kReady || state == BatchState::kToDiscard) {
      work_.clear();
    }
  }
  const std::size_t before = buffered_records_;
  buffered_records_ = 0;
  buffered_bytes_ = 0;
  for (const auto& batch : work_) {
    buffered_records_ += batch->records.size();
    for (const Record& record : batch->records) buffered_bytes_ += record.memory_bytes();
  }
  gave_back_ = gave_back_ || buffered_records_ < before;
}

void ShardProcessor::advance_work(Moment now) {
  for (;;) {
    fill_forming();
    if (work_.empty()) {
      if (!forming_ || store_failing()) return;
      if (!forming_complete(now)) {
        wake_at_ = earlier(wake_at_, forming_due(now));
        return;
      }
      work_.push_back(std::move(forming_));
      forming_full_ = false;
      continue;
    }
    Batch& batch = *work_.back();
    if (batch.state == BatchState::kInvoking || batch.state == BatchState::kDiscarding) return;
    // The store refuses: nothing that it would have to remember is begun. Trying the store again goes on.
    if (batch.state == BatchState::kReady && store_failing()) return;
    if (batch.due > now.instant) {
      wake_at_ = earlier(wake_at_, batch.due);
      return;
    }
    start_or_discard(now, batch);
  }
}

/// The batch's time has come: invoke, or give up what cannot be invoked.
void ShardProcessor::start_or_discard(Moment now, Batch& batch) {
  if (batch.state == BatchState::kToDiscard) {
    batch.state = BatchState::kDiscarding;
    discard_in_flight_ = true;
    actions_.emplace_back(Discard{batch.id, batch.request_id, batch.records, batch.condition,
                                  std::max(batch.attempts, 1), batch.error ? &*batch.error : nullptr});
    return;
  }
  // Only the expired front goes; newer records of the batch are still handed over ([stackd notes], section 5.1).
  const auto fresh = std::find_if(batch.records.begin(), batch.records.end(),
                                  [&](const Record& record) { return !retry_.expired(now.wall, record.arrival); });
  if (const auto expired = static_cast<std::size_t>(fresh - batch.records.begin()); expired > 0) {
    split_front(batch, expired, DiscardCondition::kRecordAgeExceeded);
    return;
  }
  const std::size_t payload_bytes = settings_.batch.envelope_bytes + batch.record_bytes;
  if (payload_bytes > settings_.batch.max_payload_bytes) {
    WEIR_ASSERT(batch.records.size() == 1);
    give_up(batch, DiscardCondition::kMaximumPayloadSizeExceeded, now);
    return;
  }
  batch.state = BatchState::kInvoking;
  invoke_in_flight_ = true;
  counters_.iterator_age = std::max(Duration(0), now.wall - batch.records.back().arrival);
  counters_.invoked_events += batch.records.size();
  ++counters_.invocations;
  actions_.emplace_back(
      Invoke{batch.id, batch.request_id, batch.records, payload_bytes, batch.attempts + 1, counters_.iterator_age});
}

/// Takes the first `count` records out of the top batch, to be discarded before the rest goes on. The rest is another
/// batch than before: it has a new request id and all its attempts again.
void ShardProcessor::split_front(Batch& batch, std::size_t count, DiscardCondition condition) {
  if (count < batch.records.size()) {
    auto rest = new_batch();
    const auto cut = batch.records.begin() + static_cast<std::ptrdiff_t>(count);
    rest->records.assign(cut, batch.records.end());
    batch.records.erase(cut, batch.records.end());
    rest->owners = batch.owners;
    rest->first_ordinal = batch.first_ordinal + count;
    for (const Record& record : rest->records) rest->record_bytes += record.encoded_bytes + 1;
    rest->record_bytes -= 1;
    work_.insert(std::prev(work_.end()), std::move(rest));
  }
  batch.state = BatchState::kToDiscard;
  batch.condition = condition;
  batch.error.reset();  // AWS's record has no responseContext for RecordAgeExceeded, even after failed invocations
}

void ShardProcessor::give_up(Batch& batch, DiscardCondition condition, Moment now) {
  batch.state = BatchState::kToDiscard;
  batch.condition = condition;
  batch.due = now.instant;
}

std::unique_ptr<ShardProcessor::Batch> ShardProcessor::new_batch() {
  auto batch = std::make_unique<Batch>();
  batch->id = ++last_batch_;
  batch->request_id = random_.uuid();
  return batch;
}

/// Moves records that were read into the forming batch, until the next one would pass a limit.
void ShardProcessor::fill_forming() {
  while (!read_.empty() && !forming_full_) {
    Chunk& chunk = read_.front();
    if (!forming_) {
      forming_ = new_batch();
      forming_->first_ordinal = next_ordinal_;
      // It may have waited here for the batch before it to close: the window counts from its coming, not from its turn.
      forming_opened_ = chunk.came;
    }
    while (chunk.next < chunk.records.size()) {
      Record& record = chunk.records[chunk.next];
      const std::size_t comma = forming_->records.empty() ? 0 : 1;
      const std::size_t bytes = forming_->record_bytes + comma + record.encoded_bytes;
      // A record that is too large alone makes a batch of its own, which is then given up on.
      if (comma == 1 && bytes + settings_.batch.envelope_bytes > settings_.batch.max_payload_bytes) {
        forming_full_ = true;
        break;
      }
      forming_->record_bytes = bytes;
      forming_->records.push_back(std::move(record));
      if (forming_->owners.empty() || forming_->owners.back() != chunk.owner) forming_->owners.push_back(chunk.owner);
      ++chunk.next;
      ++next_ordinal_;
      if (forming_->records.size() >= settings_.batch.batch_size ||
          bytes + settings_.batch.envelope_bytes >= settings_.batch.max_payload_bytes) {
        forming_full_ = true;
        break;
      }
    }
    if (chunk.next == chunk.records.size()) read_.pop_front();
  }
}

bool ShardProcessor::forming_complete(Moment now) const {
  if (forming_full_ || end_of_shard_ || settings_.batch.window == Duration(0)) return true;
  return *forming_due(now) <= now.instant;
}

/// When the window closes, or the oldest record's age must be decided, which does not wait for the window
/// ([stackd notes], section 5.1).
std::optional<Instant> ShardProcessor::forming_due(Moment now) const {
  const Instant window_closes = forming_opened_ + settings_.batch.window;
  return earlier(window_closes, retry_.expiry(now, forming_->records.front().arrival));
}

void ShardProcessor::settle(const Batch& batch) {
  const std::uint64_t first = batch.first_ordinal;
  const std::uint64_t end = first + batch.records.size();
  WEIR_ASSERT(first >= settled_front_ && end > first);
  counters_.settled_events += batch.records.size();
  WEIR_ASSERT(buffered_records_ >= batch.records.size());
  buffered_records_ -= batch.records.size();
  for (const Record& record : batch.records) buffered_bytes_ -= record.memory_bytes();
  settled_ahead_.emplace(first, Range{end, batch.records.back().position});
  while (!settled_ahead_.empty() && settled_ahead_.begin()->first == settled_front_) {
    Range& range = settled_ahead_.begin()->second;
    WEIR_ASSERT(!settled_upto_ || *settled_upto_ < range.last);
    settled_front_ = range.end;
    settled_upto_ = std::move(range.last);
    settled_ahead_.erase(settled_ahead_.begin());
  }
}

void ShardProcessor::want_fetch() {
  if (state_ != State::kRunning || fetch_in_flight_ || end_of_shard_ || store_failing()) return;
  // Two batches ahead keep the function busy while the source is asked for more.
  const std::size_t most = std::min(settings_.buffer.max_records, settings_.batch.batch_size * 2);
  if (buffered_records_ >= most || buffered_bytes_ >= settings_.buffer.max_bytes) return;
  fetch_in_flight_ = true;
  actions_.emplace_back(Fetch{most - buffered_records_, settings_.buffer.max_bytes - buffered_bytes_});
}

void ShardProcessor::want_checkpoint(Moment now) {
  if (checkpoint_in_flight_ || !settled_upto_ || settled_upto_ == checkpointed_) return;
  if (store_failing() && checkpoint_due_ > now.instant) {
    wake_at_ = earlier(wake_at_, checkpoint_due_);
    return;
  }
  WEIR_ASSERT(!checkpointed_ || *checkpointed_ < *settled_upto_);
  checkpoint_asked_ = settled_upto_;
  checkpoint_in_flight_ = true;
  actions_.emplace_back(Checkpoint{*checkpoint_asked_});
}

}  // namespace weir::engine
