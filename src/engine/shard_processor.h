#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/batch_response.h"
#include "weir/event/invocation.h"
#include "weir/event/record.h"
#include "weir/event/window.h"

#include "engine/retry_policy.h"
#include "engine/settlement.h"

namespace weir::engine {

/// What the batching window is counted from (invocation-eventsourcemapping).
enum class WindowOpens {
  kFirstRecord,  ///< Kafka: as the first record of the batch comes
  kPreviousEnd,  ///< Kinesis, DynamoDB: as the invocation before ends; an empty window is followed by the next one
};

/// What happens to a record that is too large for an event alone.
enum class Oversized {
  kGiveUp,       ///< Kafka: at once, MaximumPayloadSizeExceeded
  kUseAttempts,  ///< Kinesis: every try counts as a failed one and invokes nothing; RetryAttemptsExhausted at the end
};

/// What bounds a batch. A batch is released when the first of them is reached (invocation-eventsourcemapping).
struct BatchLimits {
  std::size_t batch_size = 100;  ///< records, 1 to 10000
  Duration window{0};            ///< 0 to 300 s; 0: never wait
  WindowOpens window_opens = WindowOpens::kFirstRecord;
  Oversized oversized = Oversized::kGiveUp;
  std::size_t max_payload_bytes = kMaxRequestBytes;  ///< of the whole event's JSON
  std::size_t envelope_bytes = 0;                    ///< what the event's JSON has beside its records
};

/// What bounds a shard's memory. A full buffer reads no further.
struct BufferLimits {
  /// Of records read and not settled, with those that were read with them and that filters do not want or other lanes
  /// have settled: what a read gave stays in memory together. One read may pass it.
  std::size_t max_bytes = 16U << 20U;
  std::size_t max_records = 20'000;
};

/// Tumbling windows of a shard (services-kinesis-windows): by the records' arrival, aligned to the epoch.
struct TumblingWindow {
  Duration length{0};    ///< 1 to 900 s
  std::string shard_id;  ///< as the event says them
  std::string source_arn;
  std::size_t max_state_bytes = 1'048'576;  ///< a larger state ends its window early
  /// How long after its end the window of an idle shard is closed. Recorded: up to about 2 minutes.
  Duration idle_close = std::chrono::minutes(2);
};

/// Everything a shard's processor is made with. The numbers have passed the configuration's checks.
struct ShardSettings {
  BatchLimits batch;
  BufferLimits buffer;
  RetryLimits retry;
  int parallelization_factor = 1;  ///< lanes, 1 to 10: a record's lane is its key's, a lane has one batch in flight
  bool bisect_batch_on_function_error = false;
  bool report_batch_item_failures = false;
  std::optional<TumblingWindow> tumbling;  ///< goes with one lane and no filters
  std::uint64_t seed = 0;                  ///< of request ids and jitter; repeats them
};

using BatchId = std::uint64_t;

/// Why records are given up on. The texts are AWS's `condition` of an on-failure record.
enum class DiscardCondition { kRetryAttemptsExhausted, kRecordAgeExceeded, kMaximumPayloadSizeExceeded };
std::string_view text(DiscardCondition condition);

/// Read more of the shard. Answered by on_records(), with no records when there were none or the read was called off.
struct Fetch {
  std::size_t max_records = 0;  ///< at least 1
  std::size_t max_bytes = 0;    ///< at least 1; a single larger record may be given all the same
};

/// Invoke the function with these records. Answered by on_outcome().
struct Invoke {
  BatchId batch = 0;
  std::string request_id;            ///< stays the same while the batch is unchanged
  std::span<const Record> records;   ///< valid until the outcome is told
  std::size_t payload_bytes = 0;     ///< exactly what the event's JSON will take
  int attempt = 1;                   ///< which run of the function this is, throttled ones not counted; from 1
  Duration iterator_age{0};          ///< age of the last record of the batch as it is sent; 0 without records
  std::optional<WindowCall> window;  ///< with tumbling windows, whose final call has no records
};

/// Remember that everything up to and including this position is settled. Answered by on_checkpoint().
struct Checkpoint {
  Position upto;
};

/// What AWS's record of a discard says of the function's last answer.
enum class ResponseContext {
  kNone,       ///< no responseContext: the records were too old, too large, or never invoked
  kUnhandled,  ///< functionError "Unhandled": it failed
  kReported,   ///< functionError null: it answered, and reported them in batchItemFailures
};

/// Keep these records as given up on, durably, before any checkpoint passes them. Answered by on_discarded().
struct Discard {
  BatchId batch = 0;
  std::string request_id;
  std::span<const Record> records;  ///< valid until on_discarded()
  DiscardCondition condition{};
  int approximate_invoke_count = 1;
  ResponseContext response = ResponseContext::kNone;
  std::string executed_version;      ///< of the run that `response` is of, as its outcome had it
  std::optional<WindowCall> window;  ///< with tumbling windows; a final call that is given up on has no records
};

/// Nothing is outstanding and nothing will follow: either request_stop() was obeyed or the shard ended.
struct Drained {
  bool end_of_shard = false;  ///< every record of the shard is settled and remembered, and none will ever follow
};

/// Who has a discard by now.
enum class Kept {
  kNowhere,            ///< nobody: it is asked for again
  kDeadLetter,         ///< the dead letters
  kDestination,        ///< the mapping's on-failure destination
  kDeadLetterInstead,  ///< the dead letters, because the destination refused it
};

using Action = std::variant<Fetch, Invoke, Checkpoint, Discard, Drained>;

/// The result of a mapping's last invocation, as LastProcessingResult says it.
enum class ProcessingResult {
  kNone,    ///< "No records processed"
  kOk,      ///< "OK"; also when a part of the batch was reported as failed
  kFailed,  ///< "PROBLEM: Function call failed"
};
std::string_view text(ProcessingResult result);

/// What one shard has done, for the metrics of the same names (monitoring-metrics-types). Counters never go back.
struct ShardCounters {
  std::uint64_t polled_events = 0;        ///< PolledEventCount
  std::uint64_t filtered_out_events = 0;  ///< FilteredOutEventCount
  std::uint64_t invoked_events = 0;       ///< InvokedEventCount; again on each retry
  std::uint64_t failed_invoke_events =
      0;                             ///< FailedInvokeEventCount; throttled and undelivered ones included, as AWS does
  std::uint64_t dropped_events = 0;  ///< DroppedEventCount: given up on, kept as dead letters
  std::uint64_t destination_events = 0;    ///< OnFailureDestinationDeliveredEventCount
  std::uint64_t destination_failures = 0;  ///< DestinationDeliveryFailures
  std::uint64_t settled_events = 0;        ///< done, one way or the other
  std::uint64_t invocations = 0;           ///< batches sent, retries and throttled ones included
  std::uint64_t function_errors = 0;
  std::uint64_t throttles = 0;
  std::uint64_t service_errors = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t store_failures = 0;  ///< checkpoints and discards that the store refused; they are tried again
  Duration iterator_age{0};          ///< of the last batch, as it was sent
};

/// One shard of Kinesis, DynamoDB Streams, Kafka or a file, as an event source mapping reads it: at most one batch in
/// flight for each lane, order kept for each partition key, a failed batch tried again until it succeeds, its limits
/// are reached or it is kept as given up on. Pure: told what happened and when, answers with what to do. One owner, not
/// thread-safe.
///
/// The contract of every engine: after any on_*(), take next() until it is empty before waiting; every action that left
/// gets exactly one answer, also when it failed or was called off; wake_at() may lie in the past, then tick at once.
/// Source: reference pages services-kinesis-*, kafka-*, invocation-eventsourcemapping; docs/semantics.md.
///
/// How it is made: each lane's work is a stack of batches (a bisected batch is replaced by its halves, left on top);
/// what is done is a set of ordinal ranges whose contiguous front is the checkpoint.
///
/// A tumbling window opens with the first run of the function on its records and ends with its final call. Its state
/// lives in memory only, so the checkpoint stays in front of an open window: whoever goes on from there hands over the
/// whole window again, from the state {}. A record that came late, for a window before the one that is being worked on,
/// counts for that one. A final call has no records whose age could end it; it may be tried for as long as a record may
/// be old.
class ShardProcessor {
 public:
  explicit ShardProcessor(ShardSettings settings);

  void on_records(Moment now, RecordBatch records);
  /// `response`: what the answer of a success says; read it only with report_batch_item_failures or tumbling windows.
  void on_outcome(Moment now, BatchId batch, const Outcome& outcome, const BatchResponse& response = BatchResponse());
  /// `kept`: whether (and where) it is kept. A refusal is tried again with backoff; until then nothing is read or
  /// invoked.
  void on_checkpoint(Moment now, bool kept);
  void on_discarded(Moment now, BatchId batch, Kept kept);
  void on_tick(Moment now);
  /// Drain: no Fetch, no new Invoke, no retry; then Drained.
  void request_stop(Moment now);

  std::optional<Action> next();
  std::optional<Instant> wake_at() const;

  const ShardCounters& counters() const { return counters_; }
  /// Everything up to here is settled and remembered; nothing before the first checkpoint.
  std::optional<Position> checkpointed() const { return checkpointed_; }
  /// Records read and not settled.
  std::size_t unsettled() const { return buffered_records_; }
  /// What stays in memory of records that filters do not want, or that were settled in other lanes, beside those of the
  /// same reads that wait.
  std::size_t pinned_bytes() const { return *pinned_bytes_; }
  bool in_flight() const { return invokes_in_flight_ > 0; }
  /// Tries that invoked nothing, since a record alone is more than an invocation takes (Oversized::kUseAttempts).
  std::uint64_t oversized_tries() const { return oversized_tries_; }
  /// When the oldest unsettled record arrived, for the live IteratorAge; nothing when all is settled.
  std::optional<WallTime> oldest_unsettled() const;
  ProcessingResult last_result() const { return last_result_; }
  /// When last_result() was told; the epoch before there was one.
  WallTime last_result_at() const { return last_result_at_; }
  bool drained() const { return state_ == State::kDrained; }

 private:
  enum class State { kRunning, kStopping, kDrained };
  enum class BatchState { kReady, kInvoking, kToDiscard, kDiscarding };
  struct Read;

  struct Batch {
    BatchId id = 0;
    std::string request_id;
    std::vector<Record> records;
    std::vector<std::shared_ptr<Read>> from;  ///< the reads that its records came with, in order
    Ordinals ordinals;
    std::size_t record_bytes = 0;  ///< of JSON: the records and the commas between them
    BatchState state = BatchState::kReady;
    Instant due{};     ///< not tried (or kept) before
    int attempts = 0;  ///< that failed and count; throttles are not among them
    int failures = 0;  ///< in a row, of any kind, for the backoff
    DiscardCondition condition{};
    ResponseContext response = ResponseContext::kNone;
    std::string executed_version;  ///< of the last run that failed
    WallTime window_start{};       ///< of its tumbling window
    /// The call that ends a window has no records.
    bool is_final = false;
    bool terminated_early = false;
    WallTime made_at{};  ///< of a final call
  };

  /// Records of a lane that were read together and are not yet in a batch.
  struct Chunk {
    Instant came{};  ///< when they were read
    std::shared_ptr<Read> from;
    std::vector<Record> records;
    Ordinals ordinals;
    std::size_t next = 0;
  };

  /// The records whose keys fall together, in order. Without parallelization the shard is one lane.
  struct Lane {
    std::deque<Chunk> read;                    ///< oldest first
    std::unique_ptr<Batch> forming;            ///< the batch that is being filled; never empty
    Instant forming_opened{};                  ///< when its first record came
    bool forming_full = false;                 ///< the next record does not fit
    std::vector<std::unique_ptr<Batch>> work;  ///< a stack: the last one is worked on; all lie before the forming one
    Instant previous_end{};                    ///< of its last invocation; before one, when the shard began
    std::size_t unsettled = 0;                 ///< records
  };

  /// A tumbling window in which the function has run.
  struct OpenWindow {
    WallTime start;
    std::string state;
    std::optional<Position> before;  ///< what was settled as it opened: no checkpoint passes it
  };

  // What was read.
  void take(Moment now, RecordBatch read);
  std::shared_ptr<Read> read_of(RecordBatch& batch);
  std::size_t lane_of(const Record& record) const;
  bool buffer_full() const;
  void want_fetch();

  // Batches.
  std::unique_ptr<Batch> new_batch();
  void fill_forming(Lane& lane);
  bool forming_complete(Moment now, const Lane& lane) const;
  std::optional<Instant> forming_due(Moment now, const Lane& lane) const;
  Instant batching_window_closes(const Lane& lane) const;
  std::unique_ptr<Batch> cut_tail(Batch& batch, std::size_t count);
  static void let_go(Batch& batch);
  void halve(Lane& lane);
  void settle(Lane& lane, Batch& batch);

  // Tumbling windows.
  WallTime window_start(const Record& record) const;
  bool window_over(Moment now, const Lane& lane);
  std::unique_ptr<Batch> final_call(Moment now, bool terminated_early);
  std::optional<WindowCall> window_call(const Batch& batch) const;
  void note_run(const Batch& batch);

  // What is to be done.
  void advance(Moment now);
  void advance_lane(Moment now, Lane& lane);
  void drain(Moment now, Lane& lane);
  void start_or_discard(Moment now, Lane& lane);
  bool drop_what_is_too_old(Moment now, Lane& lane);
  bool fits(Lane& lane, const std::optional<WindowCall>& window);
  std::size_t payload_bytes(const Batch& batch, const std::optional<WindowCall>& window) const;
  void want_checkpoint(Moment now);

  // What an answer means.
  Lane& lane_at(BatchId id, BatchState state);
  void answered(Moment now, Lane& lane, const Outcome& outcome, const BatchResponse& response);
  std::optional<std::size_t> first_failed(const Batch& batch, const BatchResponse& response) const;
  void attempt_failed(Moment now, Lane& lane, const Outcome& outcome, ResponseContext response);
  void use_attempt(Moment now, Batch& batch);
  void back_off(Moment now, Batch& batch);
  void give_up(Moment now, Batch& batch, DiscardCondition condition);
  void note_result(Moment now, ProcessingResult result);

  /// Up to where a checkpoint may go.
  const std::optional<Position>& settled_upto() const { return window_ ? window_->before : settlement_.upto(); }
  /// A lane alone leaves what it read behind in order. Of several one may stand still, for days, and keep in memory
  /// what the others did with reads that it has a record of.
  bool pins_settled() const { return lanes_.size() > 1; }
  bool store_failing() const { return store_failures_in_row_ > 0; }
  bool outstanding() const {
    return fetch_in_flight_ || invokes_in_flight_ > 0 || checkpoint_in_flight_ || discards_in_flight_ > 0;
  }

  ShardSettings settings_;
  RetryPolicy retry_;
  Random random_;
  State state_ = State::kRunning;
  bool began_ = false;  ///< it was told a time

  std::vector<Lane> lanes_;
  bool end_of_shard_ = false;  ///< nothing more to read
  bool gave_back_ = false;     ///< draining gave up records that were read and not settled
  std::uint64_t oversized_tries_ = 0;
  std::uint64_t next_ordinal_ = 0;    ///< of the next record that is read
  std::size_t buffered_records_ = 0;  ///< of all lanes, not settled
  std::size_t buffered_bytes_ = 0;    ///< theirs
  /// Shared with the reads that are counted in it, which take themselves out as they end.
  std::shared_ptr<std::size_t> pinned_bytes_ = std::make_shared<std::size_t>(0);
  std::weak_ptr<Read> last_read_;
  std::weak_ptr<const void> last_owner_;
  std::size_t last_owner_bytes_ = 0;  ///< of all that came with that owner

  std::optional<OpenWindow> window_;
  WallTime newest_window_ = WallTime::min();  ///< the start of the latest window that a batch was made for

  Settlement settlement_;
  std::optional<Position> checkpointed_;
  std::optional<Position> checkpoint_asked_;
  Instant checkpoint_due_{};
  int store_failures_in_row_ = 0;

  bool fetch_in_flight_ = false;
  bool checkpoint_in_flight_ = false;
  int invokes_in_flight_ = 0;
  int discards_in_flight_ = 0;

  std::vector<Action> actions_;
  std::size_t actions_taken_ = 0;  ///< of them
  std::optional<Instant> wake_at_;
  BatchId last_batch_ = 0;
  ShardCounters counters_;
  ProcessingResult last_result_ = ProcessingResult::kNone;
  WallTime last_result_at_{};
};

}  // namespace weir::engine
