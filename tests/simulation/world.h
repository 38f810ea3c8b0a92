#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "weir/base/random.h"
#include "weir/base/time.h"

#include "engine/concurrency_ledger.h"
#include "engine/shard_processor.h"

namespace weir::simulation {

/// What a world contains, drawn from its seed. Each feature is off in a part of the worlds: a kind world hides bugs,
/// and so does one that is unkind in every way.
struct Features {
  explicit Features(Random& random);

  // What the engine is told.
  engine::BatchLimits batch;
  engine::BufferLimits buffer;
  engine::RetryLimits retry;

  // The source.
  std::size_t shards = 1;
  std::size_t records = 0;        ///< of all shards
  bool waits_for_data = false;    ///< a read stays unanswered until there are records; else it comes back empty
  Duration idle_poll{0};          ///< after this, where reads come back empty
  bool ends = false;              ///< the shards end behind their last record; else a read there is never answered
  bool end_with_records = false;  ///< the end is told together with the last records
  bool backlog = false;           ///< all records are there from the start
  bool old_records = false;       ///< some arrived long ago
  bool oversized = false;         ///< some pass the payload limit alone
  bool short_reads = false;       ///< a read gives less than there is

  // The function and its endpoint.
  double poison = 0;     ///< part of the records on which the function fails
  double fails = 0;      ///< part of the runs that fail by chance
  double throttled = 0;  ///< part of the calls that the endpoint throttles
  double service_errors = 0;
  double cancelled = 0;  ///< part of the calls that are called off though nobody stops
  double late = 0;       ///< part of the calls that take minutes
  double never = 0;      ///< part of the calls that are answered only by a crash or a stop
  std::size_t functions = 1;
  int account = 1000;
  bool reservations = false;  ///< are made, changed and taken away while calls run

  // The store.
  double refuses = 0;  ///< part of the writes
  double lies = 0;     ///< part of the writes that are kept but reported as refused
  bool slow_store = false;
  bool outages = false;  ///< it refuses everything for minutes

  // The process and its clocks.
  int crashes = 0;  ///< at most
  int stops = 0;    ///< graceful stops of one shard, at most
  bool wall_jumps = false;
  bool late_ticks = false;
  bool idle_ticks = false;  ///< ticks that nobody asked for

  std::string describe() const;
};

/// What happened in all worlds together, so that a test can see that the worlds are not too kind.
struct Figures {
  std::uint64_t worlds = 0, steps = 0, records = 0, crashes = 0, crashes_between_actions = 0, stops = 0, restarts = 0;
  std::uint64_t invocations = 0, retries = 0, succeeded = 0, failed = 0, throttled_by_ledger = 0, throttled = 0;
  std::uint64_t service_errors = 0, cancelled = 0, never_answered = 0, ran_after_a_crash = 0;
  std::uint64_t discards_attempts = 0, discards_age = 0, discards_size = 0, age_cut_a_batch = 0;
  std::uint64_t checkpoints = 0, checkpoints_coalesced = 0, refused = 0, lies = 0, reads_called_off = 0,
                reads_too_late = 0;
  std::uint64_t windows_waited_for = 0, full_buffers = 0, wall_jumps = 0, ended = 0;
};

/// Several shards, their source, a function behind the ConcurrencyLedger, a store and two clocks, all from one seed.
/// The engines are driven as their contract says. After every step the promises of weir are checked against what really
/// happened.
class World {
 public:
  World(std::uint64_t seed, Figures& figures);

  /// Lets the next thing happen. False when the world came to its end or a promise was broken.
  bool step();

  /// The first broken promise, as a sentence; empty if none was.
  const std::string& broken_promise() const { return broken_; }
  std::string summary() const;

 private:
  /// A record as the source has it; the truth about it survives crashes.
  struct Stored {
    Instant available{};
    WallTime arrival;
    std::size_t encoded_bytes = 0;
    std::size_t memory_bytes = 0;
    int failures_left = 0;   ///< of the function, before it accepts the record
    bool succeeded = false;  ///< the function has run on it and succeeded, told or not
    bool discarded = false;  ///< kept as given up on
  };

  /// A batch as it was last invoked in this life.
  struct Tried {
    std::size_t first = 0, count = 0;
    std::string request_id;
    int failed_runs = 0;  ///< that the engine was told of
    int failures = 0;     ///< of any kind, in a row
    Instant failed_at{};
  };
  struct CallUnderWay {
    engine::BatchId batch = 0;
    Outcome outcome;
    std::uint64_t serial = 0;
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
    std::size_t first = 0, count = 0;
    engine::DiscardCondition condition{};
  };

  struct Shard {
    std::size_t index = 0;
    std::vector<Stored> records;
    std::string function;
    std::uint64_t first_position = 0, position_step = 1;
    std::size_t stored = 0;  ///< records that the stored checkpoint covers
    bool finished = false;

    // One life of an engine: forgotten by a crash.
    std::unique_ptr<engine::ShardProcessor> engine;
    std::uint64_t life = 0;
    std::size_t told = 0;        ///< records the engine was given, counted from the shard's beginning
    std::size_t settled = 0;     ///< records whose end the engine was told: succeeded, or kept as discarded
    std::size_t remembered = 0;  ///< records covered by checkpoints the engine was told are kept
    std::size_t started_at = 0;
    std::size_t bytes = 0;         ///< of the records told and not settled
    std::vector<Instant> told_at;  ///< from started_at on
    bool end_told = false;
    bool stopping = false;
    Instant stop_by{};
    bool cut_by_age = false;  ///< the records before were discarded by age: what follows may be the rest of their batch
    int refusals_in_row = 0;
    std::optional<Tried> tried;
    std::optional<DiscardSeen> discard_seen;
    bool discard_refused = false;        ///< and not yet tried again
    std::optional<std::uint64_t> fetch;  ///< serials of what is under way
    std::size_t fetch_records = 0, fetch_bytes = 0;
    std::optional<CallUnderWay> call;
    std::optional<WriteUnderWay> checkpoint;
    std::optional<WriteUnderWay> discard;
    engine::ShardCounters counters;  ///< as the world counted
    std::optional<Instant> wake;
  };

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
    kIdleTick
  };
  struct Happening {
    Instant at{};
    std::uint64_t order = 0;
    Kind kind{};
    std::size_t shard = 0;
    std::uint64_t life = 0;
    std::uint64_t serial = 0;
    std::size_t first = 0, count = 0;
    bool well = false;
    bool operator>(const Happening& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void make_shards();
  void later(Duration wait, Happening happening);
  void happen(const Happening& happening);
  void start(Shard& shard);
  void end_life(Shard& shard);
  void crash();
  void stop(Shard& shard);
  void tick(Shard& shard);
  void drain(Shard& shard);
  void change_reservations();

  // What the engine wants.
  void perform(Shard& shard, const engine::Fetch& fetch);
  void perform(Shard& shard, const engine::Invoke& invoke);
  void perform(Shard& shard, const engine::Checkpoint& checkpoint);
  void perform(Shard& shard, const engine::Discard& discard);
  void perform(Shard& shard, const engine::Drained& drained);
  void schedule_read(Shard& shard);
  void schedule_call(Shard& shard, std::size_t first, std::size_t count);
  Duration store_latency();

  // What the world answers.
  void answer_fetch(Shard& shard);
  void function_runs(Shard& shard, const Happening& run);
  void answer_call(Shard& shard);
  bool write(WriteUnderWay& under_way);
  void answer_checkpoint(Shard& shard);
  void answer_discard(Shard& shard);

  // What weir promises.
  void promise(bool kept, const char* otherwise);
  void promise(const Shard& shard, bool kept, const char* otherwise);
  std::size_t check_records(const Shard& shard, std::span<const Record> records, std::size_t* payload_bytes);
  void check_release(const Shard& shard, std::size_t first, std::size_t count, std::size_t payload_bytes);
  void check_request_id(const Shard& shard, const std::string& id, std::size_t first, std::size_t count);
  void check_counters(const Shard& shard);
  void check_waiting(const Shard& shard);
  void check_end();
  bool take_permit(const std::string& function);
  void give_permit_back(const std::string& function);
  void crowd_comes_or_goes();

  bool expired(const Stored& record) const;
  Duration upto(Duration most) {
    return Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1)));
  }
  std::size_t index_of(const Shard& shard, const Position& position) const;

  std::uint64_t seed_;
  Figures& figures_;
  Random random_;
  Features features_;
  Moment now_;
  std::vector<Shard> shards_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> queue_;
  std::uint64_t last_order_ = 0;
  std::uint64_t steps_ = 0;
  int crashes_left_;
  int stops_left_;
  int wall_jumps_left_;
  Instant store_down_until_{};
  std::string broken_;

  engine::ConcurrencyLedger ledger_;
  struct Use {
    int executing = 0;
    std::optional<int> reserved;
  };
  std::map<std::string, Use> uses_;  ///< the world's own count, for comparison
  struct Identity {
    std::size_t shard, first, count;
    bool operator==(const Identity&) const = default;
  };
  std::unordered_map<std::string, Identity> request_ids_;
};

}  // namespace weir::simulation
