#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/shard_processor.h"
#include "permits.h"
#include "stage.h"

namespace weir::simulation {

/// What the shards of a world are.
enum class Topology {
  kShards,  ///< so many from the start, each by itself
  kStream,  ///< of one stream, which splits and merges them under load: a child is read when its parents have ended
};

/// What a world contains, drawn from its seed. Each feature is off in a part of the worlds: a kind world hides bugs,
/// and so does one that is unkind in every way.
struct Features {
  Features(Random& random, Topology topology);

  // What the engine is told. The tumbling window is there in a part of the worlds.
  engine::ShardSettings settings;

  // The source.
  std::size_t shards = 1;
  std::size_t records = 0;        ///< of all shards
  std::size_t keys = 1;           ///< different ones of a shard
  double filtered = 0;            ///< part of the records that the mapping's filters do not want
  double aggregates = 0;          ///< part of the records that share their position with the one behind them
  bool waits_for_data = false;    ///< a read stays unanswered until there are records; else it comes back empty
  Duration idle_poll{0};          ///< after this, where reads come back empty
  bool ends = false;              ///< the shards end behind their last record; else a read there is never answered
  bool end_with_records = false;  ///< the end is told together with the last records
  bool backlog = false;           ///< all records are there from the start
  bool old_records = false;       ///< some arrived long ago
  bool oversized = false;         ///< some pass the payload limit alone
  bool short_reads = false;       ///< a read gives less than there is
  double reshards = 0;            ///< of a stream: how often shards split, merge or are replaced, a record
  bool trims = false;             ///< of a stream: shards that were read to their end may be listed no more

  // The function and its endpoint.
  double poison = 0;     ///< part of the records on which the function fails
  double fails = 0;      ///< part of the runs that fail by chance
  double reports = 0;    ///< part of the failed runs that answer, with a report
  double malformed = 0;  ///< part of the reports that cannot be understood, or name what was not there
  double no_state = 0;   ///< part of the answers without the state that a tumbling window asks for
  double large_state = 0;
  double throttled = 0;  ///< part of the calls that the endpoint throttles
  double service_errors = 0;
  double cancelled = 0;  ///< part of the calls that are called off though nobody stops
  double late = 0;       ///< part of the calls that take minutes
  double never = 0;      ///< part of the calls that are answered only by a crash or a stop
  std::size_t functions = 1;
  int account = 1000;
  bool reservations = false;  ///< are made, changed and taken away while calls run

  bool destination = false;  ///< discards go there; the dead letters have them when it refuses
  Troubles troubles;

  /// Whether the settings let a record that always fails be given up on.
  bool gives_up() const {
    return settings.retry.maximum_retry_attempts >= 0 || settings.retry.maximum_record_age.has_value();
  }
  std::string describe() const;
};

/// What happened in all worlds together, so that a test can see that the worlds are not too kind.
struct Figures {
  std::uint64_t worlds = 0, steps = 0, records = 0, crashes = 0, crashes_between_actions = 0, stops = 0, restarts = 0;
  std::uint64_t invocations = 0, retries = 0, succeeded = 0, failed = 0, throttled_by_ledger = 0, throttled = 0;
  std::uint64_t service_errors = 0, cancelled = 0, never_answered = 0, ran_after_a_crash = 0;
  std::uint64_t discards_attempts = 0, discards_age = 0, discards_size = 0, age_cut_a_batch = 0;
  std::uint64_t discards_size_by_attempts = 0, discards_reported = 0, destination_kept = 0, destination_refused = 0;
  std::uint64_t checkpoints = 0, checkpoints_coalesced = 0, refused = 0, lies = 0, reads_called_off = 0,
                reads_too_late = 0;
  std::uint64_t windows_waited_for = 0, windows_since_the_end_before = 0, full_buffers = 0, wall_jumps = 0, ended = 0;
  std::uint64_t lanes_together = 0, all_lanes_together = 0, filtered = 0, checkpoints_over_filtered = 0;
  std::uint64_t settled_behind_a_gap = 0, aggregates_cut = 0;
  std::uint64_t partial_answers = 0, whole_reports = 0, halved = 0, unasked_reports = 0;
  std::uint64_t final_calls = 0, final_calls_idle = 0, final_calls_failed = 0, final_calls_given_up = 0, early_ends = 0,
                states_missing = 0, late_records = 0;
  std::uint64_t splits = 0, merges = 0, replaced = 0, children_waited = 0, keys_moved = 0, given_back = 0,
                mappings_stopped = 0, ends_remembered = 0, ends_refused = 0, ends_lost = 0, ended_before = 0,
                trimmed = 0, trimmed_while_read = 0;
};

/// What can happen in a world.
enum class Kind {
  kRestart,
  kFetchAnswer,
  kFunctionRuns,
  kOutcome,
  kCheckpointWrite,
  kCheckpointAnswer,
  kDiscardWrite,
  kDiscardAnswer,
  kStop,
  kCrash,
  kReserve,
  kUnblock,
  kCrowd,
  kIdleTick,
  // Of a stream.
  kMappingStarts,
  kMappingStops,
  kListing,
  kReleased,
  kEndWrite,
  kEndAnswer
};

using Indices = std::vector<std::size_t>;  ///< of records of a shard

/// What will happen at a time. What belongs to a life, a lane or a serial number is void when that is over.
struct Happening {
  Instant at{};
  std::uint64_t order = 0;
  Kind kind{};
  std::size_t shard = 0;
  std::size_t lane = 0;
  std::uint64_t life = 0;
  std::uint64_t serial = 0;
  std::shared_ptr<const Indices> records = nullptr;
  bool well = false;
};

struct Mapping;

/// Several shards, their source, a function behind the ConcurrencyLedger, a store and two clocks, all from one seed.
/// The engines are driven as their contract says. After every step the promises of weir are checked against what really
/// happened; what batches are to come next the world works out by itself.
class World : public Stage<Happening> {
 public:
  static constexpr std::size_t kMostRecordBytes = 4096;
  static constexpr std::size_t kMostWindowBytes = 500;  ///< of an event: a tumbling window's members and its state

  World(std::uint64_t seed, Figures& figures, Topology topology = Topology::kShards);
  ~World();

  /// Lets the next thing happen. False when the world came to its end or a promise was broken.
  bool step();
  std::string summary() const;

 private:
  /// A record as the source has it; the truth about it survives crashes.
  struct Stored {
    Position position;
    Instant available{};
    WallTime arrival;
    std::size_t encoded_bytes = 0;
    std::size_t memory_bytes = 0;
    std::size_t key = 0;
    std::int64_t value = 0;  ///< what a function with a state adds up
    bool filtered = false;
    bool continues = false;
    int failures_left = 0;           ///< of the function, before it accepts the record
    bool succeeded = false;          ///< the function has run on it and succeeded, told or not
    bool discarded = false;          ///< kept as given up on
    const Stored* before = nullptr;  ///< the last one of its key that filters let through, if another shard has it
  };

  /// A batch that was invoked, or must come out of one that was.
  struct Batch {
    std::size_t count = 0;     ///< records, from the lane's first unsettled one or behind the batch before
    std::string request_id{};  ///< "": a new one
    int failed_runs = 0;       ///< that the engine was told of
    int failures = 0;          ///< of any kind, in a row
    Instant failed_at{};
    bool waits = false;  ///< it is a retry, which does not come at once
    engine::ResponseContext response = engine::ResponseContext::kNone;
    std::string executed_version{};
  };
  struct CallUnderWay {
    engine::BatchId batch = 0;
    Outcome outcome{};
    BatchResponse response{};
    std::uint64_t serial = 0;
    std::span<const Record> shown{};  ///< as the engine gave them: they stay until the outcome is told
    std::shared_ptr<const Indices> records = nullptr;
    bool is_final = false;
    WallTime window_start{};
    std::int64_t sum_before = 0, sum_after = 0;  ///< of a state
    bool permit = false;
    bool ran = false;  ///< the function has run
  };
  struct WriteUnderWay {
    std::uint64_t serial = 0;
    std::size_t upto = 0;  ///< of a checkpoint: how many records it covers
    engine::BatchId batch = 0;
    bool kept = false;
  };
  struct DiscardSeen {
    engine::BatchId batch = 0;
    std::size_t first = 0, count = 0;  ///< of the lane's line
    engine::DiscardCondition condition{};
    std::span<const Record> shown{};
    bool refused = false;  ///< and not yet tried again
  };

  /// The records of some keys in this life, in order, and what is under way of them.
  struct Lane {
    std::size_t index = 0;
    Indices line;                   ///< records told that filters let through
    std::vector<WallTime> windows;  ///< of each, with tumbling windows: its own, or the latest before
    std::size_t settled = 0;        ///< of the line, from its beginning
    std::deque<Batch> coming;       ///< the first is worked on, or is the next
    bool cut = false;               ///< what follows is the rest of a batch that was never seen whole: it does not wait
    std::optional<Instant> previous_end;
    std::optional<CallUnderWay> call;
    std::optional<WriteUnderWay> discard;
    std::optional<DiscardSeen> discard_seen;

    std::size_t unsettled() const { return line.size() - settled; }
  };

  /// A tumbling window that is open in this life.
  struct OpenWindow {
    WallTime start;
    std::string state = "{}";
    std::int64_t sum = 0;   ///< what the state must say
    std::size_t front = 0;  ///< records before it: no checkpoint goes further
    bool terminated_early = false;
  };

  /// Where a stream's shard comes from, and what becomes of it.
  struct Descent {
    std::vector<std::size_t> parents;
    Instant created{};
    std::optional<Instant> closed;  ///< nothing is written to it from here on
    bool trimmed = false;           ///< the stream lists it no more
  };

  struct Shard {
    std::size_t index = 0;
    std::vector<Stored> records;
    std::string function;
    std::optional<Descent> descent;  ///< of a stream's shard
    std::size_t stored = 0;          ///< records that the stored checkpoint covers
    bool finished = false;           ///< nothing is left of it; of a stream's shard that ends: its end is stored

    // One life of an engine: forgotten by a crash.
    std::unique_ptr<engine::ShardProcessor> engine;
    std::uint64_t life = 0;
    std::size_t told = 0;        ///< records the engine was given, counted from the shard's beginning
    std::size_t front = 0;       ///< records before the first unsettled one, or one whose position is not done
    std::size_t remembered = 0;  ///< records covered by checkpoints the engine was told are kept
    std::size_t started_at = 0;
    std::size_t bytes = 0;      ///< of the records told and not settled
    std::size_t unsettled = 0;  ///< records told and not settled
    struct Page {
      std::size_t unwanted_bytes = 0;
      std::size_t left = 0;  ///< records that filters let through and that are not settled
    };
    std::vector<Page> pages;           ///< what reads gave
    std::vector<std::size_t> page_of;  ///< of each record, from started_at on
    std::size_t pinned = 0;            ///< bytes that nobody wants, beside records that are not settled
    std::vector<Instant> told_at;      ///< from started_at on
    std::vector<bool> done;            ///< from started_at on: succeeded, discarded and kept, or filtered
    std::vector<Lane> lanes;
    std::optional<OpenWindow> window;
    std::optional<Batch> final_call;          ///< of the open window, as soon as nothing else may come
    std::optional<WallTime> closed_for_good;  ///< the last window that was closed because a later one began
    std::size_t final_calls = 0;              ///< that came to an end
    bool end_told = false;
    bool stopping = false;
    Instant stop_by{};
    int refusals_in_row = 0;
    std::optional<std::uint64_t> fetch;  ///< serials of what is under way
    std::size_t fetch_records = 0, fetch_bytes = 0;
    std::optional<WriteUnderWay> checkpoint;
    std::optional<WriteUnderWay> end;  ///< the engine is gone, and the shard's end is being remembered
    engine::ShardCounters counters;    ///< as the world counted
    engine::ProcessingResult result = engine::ProcessingResult::kNone;
    WallTime result_at{};
    std::optional<Instant> wake;
  };

  // world.cpp: what happens.
  void make_shards();
  void make_happenings(Shard& shard);
  Stored make_record(Duration after);
  Duration pause_before_record();
  void happen(const Happening& happening);
  Happening of(const Shard& shard, Kind kind, std::uint64_t serial = 0) const;
  void start(Shard& shard);
  void end_life(Shard& shard);
  void crash();
  void stop(Shard& shard);
  void tick(Shard& shard);
  void drain(Shard& shard);
  void began(Shard& shard);
  void answer_fetch(Shard& shard);
  void take(Shard& shard, std::size_t next);
  void function_runs(Shard& shard, const Happening& run);
  std::size_t report(CallUnderWay& call, const Shard& shard, Indices failing);
  void answer_with_state(CallUnderWay& call, const Shard& shard, std::size_t done);
  void answer_call(Shard& shard, Lane& lane);
  bool write(WriteUnderWay& under_way);
  bool ends(const Shard& shard) const { return shard.descent ? shard.descent->closed.has_value() : features_.ends; }
  void answer_checkpoint(Shard& shard);
  void answer_discard(Shard& shard, Lane& lane);

  // world_stream.cpp: shards that split and merge, and who opens them.
  struct Range;
  void make_stream();
  void add_shard(std::vector<Range>& open, std::size_t at, Duration after, Range keys,
                 std::vector<std::size_t> parents);
  void reshard(std::vector<Range>& open, Duration after);
  void happen_to_mapping(const Happening& happening);
  void list_shards();
  void open_shards();
  void open(Shard& shard);
  void release(Shard& shard, bool ended);
  void drained(Shard& shard, bool remember_end);
  void answer_end(Shard& shard);
  void stop_mapping();
  void leave_mapping();
  Happening of_mapping(Kind kind, std::uint64_t serial = 0) const {
    return {.kind = kind, .life = mapping_life_, .serial = serial};
  }

  // world_wishes.cpp: what the engine wants.
  void perform(Shard& shard, const engine::Fetch& fetch);
  void perform(Shard& shard, const engine::Invoke& invoke);
  void perform(Shard& shard, const engine::Checkpoint& checkpoint);
  void perform(Shard& shard, const engine::Discard& discard);
  void perform(Shard& shard, const engine::Drained& drained);
  void invoke_records(Shard& shard, const engine::Invoke& invoke);
  void invoke_final(Shard& shard, const engine::Invoke& invoke);
  void invoke_batch(const Shard& shard, const engine::Invoke& invoke, Batch& batch);
  void discard_records(Shard& shard, const engine::Discard& discard);
  void discard_final(Shard& shard, const engine::Discard& discard);
  void check_condition(Shard& shard, const Lane& lane, const engine::Discard& discard, std::size_t payload_bytes,
                       bool again);
  void schedule_read(Shard& shard);
  void schedule_call(Shard& shard, Lane& lane);
  void schedule_discard(Shard& shard, Lane& lane, const engine::Discard& discard);
  Duration store_latency() {
    return features_.troubles.slow_store ? upto(std::chrono::seconds(10)) : upto(std::chrono::milliseconds(2));
  }

  // world_checks.cpp: what weir promises.
  using Stage::promise;
  void promise(const Shard& shard, bool kept, const char* otherwise);
  Lane* check_records(Shard& shard, std::span<const Record> records, std::size_t* record_bytes);
  void check_shown(const Shard& shard, std::span<const Record> shown, std::span<const std::size_t> records);
  void check_keys(const Shard& shard, const Lane& lane, std::size_t count);
  void check_descent(const Shard& shard, std::span<const Record> records);
  void check_release(const Shard& shard, Lane& lane, std::size_t count, std::size_t payload_bytes,
                     std::size_t window_bytes);
  void check_request_id(const Shard& shard, const engine::Invoke& invoke, const Lane& lane);
  void check_window(const Shard& shard, const Lane& lane, const std::optional<WindowCall>& call, std::size_t count);
  void check_counters(const Shard& shard);
  void check_buffer(const Shard& shard);
  void check_waiting(const Shard& shard);
  void check_lane_waits(const Shard& shard, const Lane& lane);
  void check_retry_waits(const Shard& shard, const Batch& batch);
  void check_end();

  // world_verdicts.cpp: what has to come of an answer.
  void judge(Shard& shard, Lane& lane, const CallUnderWay& call);
  void answered(Shard& shard, Lane& lane, const CallUnderWay& call);
  void batch_failed(Shard& shard, Lane& lane, const CallUnderWay& call, engine::ResponseContext response);
  void discarded(Shard& shard, Lane& lane, engine::Kept kept);
  void settle(Shard& shard, Lane& lane, std::size_t count);
  void find_front(Shard& shard);
  std::optional<std::size_t> first_reported(const Shard& shard, const CallUnderWay& call) const;
  void open_window(Shard& shard, const CallUnderWay& call);
  void close_window(Shard& shard, const Lane& lane);
  std::size_t checkpointable(const Shard& shard) const { return shard.window ? shard.window->front : shard.front; }
  std::size_t window_bytes(const std::optional<WindowCall>& call) const;
  Instant batching_window_closes(const Shard& shard, const Lane& lane) const;

  Lane& lane_of(Shard& shard, const Stored& record) const;
  std::size_t index_of(const Shard& shard, const Record& record) const {
    return static_cast<std::size_t>(static_cast<const Stored*>(record.origin) - shard.records.data());
  }
  std::size_t covered_by(const Shard& shard, const Position& position) const;
  WallTime window_of(const Stored& record) const;
  static const std::string& key_text(std::size_t key);
  bool expired(const Stored& record) const;
  bool limited_attempts() const { return features_.settings.retry.maximum_retry_attempts >= 0; }
  bool exhausted(const Batch& batch) const {
    return limited_attempts() && batch.failed_runs > features_.settings.retry.maximum_retry_attempts;
  }
  std::size_t payload_limit() const { return features_.settings.batch.max_payload_bytes; }
  /// Whether it may be too large for an event alone, with a tumbling window's state at its largest.
  bool may_be_too_large(const Stored& record) const;
  /// No further record can come, so that waiting for one would be for nothing.
  bool buffer_full(const Shard& shard) const;
  static std::size_t held_bytes(const Shard& shard) { return shard.bytes + shard.engine->pinned_bytes(); }

  Figures& figures_;
  Features features_;
  std::vector<Shard> shards_;
  int crashes_left_;
  int stops_left_;
  int wall_jumps_left_;
  Instant store_down_until_{};
  Permits permits_;

  std::unique_ptr<Mapping> mapping_;  ///< of a stream: which shards are open; forgotten by a crash
  std::uint64_t mapping_life_ = 0;

  struct Identity {
    std::size_t shard = 0;
    std::uint64_t life = 0;
    std::size_t first = 0, count = 0;  ///< of a final call: how many there were before, and 0
    bool operator==(const Identity&) const = default;
  };
  std::unordered_map<std::string, Identity> request_ids_;
};

/// One stream, whose shards split and merge while they are read.
class StreamWorld : public World {
 public:
  StreamWorld(std::uint64_t seed, Figures& figures) : World(seed, figures, Topology::kStream) {}
};

}  // namespace weir::simulation
