#include "world.h"

#include <algorithm>
#include <sstream>

#include "mapping.h"

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Duration kShutdownGrace = 30s;  // of the shell: then what is in flight is called off
constexpr Duration kDrainedWithin = 2h;   // grace, an outage of the store, and retries of refused checkpoints

/// All records have no bytes of their own; only their sizes matter here.
const std::string& filler() {
  static const std::string text(World::kMostRecordBytes, 'x');
  return text;
}

}  // namespace

World::World(std::uint64_t seed, Figures& figures, Topology topology)
    : Stage(seed, 0x9E3779B97F4A7C15U),
      figures_(figures),
      features_(random_, topology),
      crashes_left_(features_.troubles.crashes),
      stops_left_(features_.troubles.stops),
      wall_jumps_left_(features_.troubles.wall_jumps ? 3 : 0),
      permits_(features_.account) {
  ++figures_.worlds;
  for (std::size_t i = 0; i < features_.functions; ++i) permits_.add("function-" + std::to_string(i));
  if (topology == Topology::kStream) {
    make_stream();
  } else {
    make_shards();
  }
  figures_.records += features_.records;
  for (Shard& shard : shards_) make_happenings(shard);
  if (features_.reservations) {
    for (int i = 0; i < 6; ++i) later(upto(60s), {.kind = Kind::kReserve});
    for (int i = 0; i < 4; ++i) later(upto(60s), {.kind = Kind::kCrowd});
  }
}

World::~World() = default;

const std::string& World::key_text(std::size_t key) {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> all;
    for (int i = 0; i < 16; ++i) all.push_back("key-" + std::to_string(i));
    return all;
  }();
  return texts.at(key);
}

std::string World::summary() const {
  std::ostringstream out;
  out << "seed " << seed_ << ", step " << steps_ << ", " << seconds_since_start() << " s; " << features_.describe();
  for (const Shard& shard : shards_) {
    out << "\n  shard " << shard.index << ": " << shard.records.size() << " records, told " << shard.told
        << ", unsettled " << shard.unsettled << ", front " << shard.front << ", remembered " << shard.remembered
        << ", stored " << shard.stored << ", life " << shard.life;
    if (shard.descent) {
      out << ", parents";
      for (const std::size_t parent : shard.descent->parents) out << " " << parent;
      if (shard.descent->closed) out << ", closed";
      if (shard.end) out << ", ending";
    }
    out << (shard.finished ? ", finished" : shard.stopping ? ", stopping" : shard.engine ? ", running" : ", away");
  }
  return out.str();
}

void World::make_shards() {
  shards_.resize(features_.shards);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    shard.index = i;
    shard.function = "function-" + std::to_string(i % features_.functions);
    shard.records.reserve(features_.records);
  }
  Duration after{0};
  for (std::size_t i = 0; i < features_.records; ++i) {
    after += pause_before_record();
    Shard& shard = shards_[random_.below(shards_.size())];
    shard.records.push_back(make_record(after));
  }
}

/// Numbers a shard's records, and has it begin and be troubled.
void World::make_happenings(Shard& shard) {
  const std::uint64_t step = random_.chance(0.5) ? 1 : 7;
  std::uint64_t position = random_.chance(0.5) ? 0 : random_.below(1'000'000);
  if (!shard.records.empty()) shard.records.back().continues = false;
  for (Stored& record : shard.records) {
    record.position = Position(position);
    if (!record.continues) position += step;
  }
  if (!shard.descent) later(upto(1s), of(shard, Kind::kRestart));
  for (int i = 0; i < features_.troubles.stops; ++i) later(upto(120s), of(shard, Kind::kStop));
  if (features_.troubles.idle_ticks) later(upto(5s), of(shard, Kind::kIdleTick));
}

World::Stored World::make_record(Duration after) {
  const engine::BatchLimits& batch = features_.settings.batch;
  Stored record;
  record.available = now_.instant + after;
  record.arrival = now_.wall + after;
  if (features_.old_records && random_.chance(0.3)) record.arrival -= upto(600s);
  record.encoded_bytes = 20 + random_.below(300);
  if (features_.oversized && random_.chance(0.05)) {
    record.encoded_bytes = batch.max_payload_bytes - batch.envelope_bytes + random_.below(3);
  }
  record.key = random_.below(features_.keys);
  record.memory_bytes = key_text(record.key).size() + random_.below(300) + sizeof(Record);
  record.value = static_cast<std::int64_t>(random_.below(1000));
  record.filtered = random_.chance(features_.filtered);
  record.continues = random_.chance(features_.aggregates);
  if (random_.chance(features_.poison)) {
    // Without a limit only the function's recovery lets the shard go on.
    const bool for_ever = features_.gives_up() && random_.chance(0.7);
    record.failures_left = for_ever ? 1'000'000 : static_cast<int>(1 + random_.below(5));
  }
  return record;
}

/// Records come in bursts with pauses between them, or are all there from the start.
Duration World::pause_before_record() {
  if (features_.backlog || !random_.chance(0.15)) return Duration(0);
  return upto(random_.chance(0.2) ? Duration(90s) : Duration(2s));
}

Happening World::of(const Shard& shard, Kind kind, std::uint64_t serial) const {
  return {.kind = kind, .shard = shard.index, .life = shard.life, .serial = serial};
}

bool World::step() {
  if (!broken_.empty()) return false;
  if (std::all_of(shards_.begin(), shards_.end(), [](const Shard& shard) { return shard.finished; })) {
    check_end();
    return false;
  }
  ++figures_.steps;
  Shard* waking = nullptr;
  for (Shard& shard : shards_) {
    if (shard.wake && (waking == nullptr || *shard.wake < *waking->wake)) waking = &shard;
  }
  return turn(waking ? waking->wake : std::nullopt, [&](const Happening* happening) {
    if (crashes_left_ > 0 && random_.chance(0.004)) {
      crash();
      if (happening == nullptr) return;  // who was to be woken is gone
    }
    if (wall_jumps_left_ > 0 && random_.chance(0.01)) {
      --wall_jumps_left_;
      ++figures_.wall_jumps;
      jump(600s);
    }
    if (features_.troubles.outages && now_.instant >= store_down_until_ && random_.chance(0.002)) {
      store_down_until_ = now_.instant + upto(300s);
    }
    if (happening == nullptr) {
      tick(*waking);
    } else {
      happen(*happening);
    }
    if (permits_.broken() != nullptr) promise(false, permits_.broken());
  });
}

void World::happen(const Happening& happening) {
  Shard& shard = shards_[happening.shard];
  const bool same_life = happening.life == shard.life && shard.engine != nullptr;
  Lane* const lane = same_life ? &shard.lanes.at(happening.lane) : nullptr;
  const auto is = [&](const std::optional<WriteUnderWay>& under_way) {
    return under_way && under_way->serial == happening.serial;
  };
  switch (happening.kind) {
    case Kind::kRestart:
      if (happening.life == shard.life && !shard.engine && !shard.finished) start(shard);
      return;
    case Kind::kFetchAnswer:
      if (same_life && shard.fetch == happening.serial) answer_fetch(shard);
      return;
    case Kind::kFunctionRuns:
      if (!same_life) ++figures_.ran_after_a_crash;
      function_runs(shard, happening);
      return;
    case Kind::kOutcome:
      if (lane && lane->call && lane->call->serial == happening.serial) answer_call(shard, *lane);
      return;
    case Kind::kCheckpointWrite:
      if (same_life && is(shard.checkpoint)) {
        if (write(*shard.checkpoint)) {
          promise(shard, shard.checkpoint->upto >= shard.stored, "the stored checkpoint goes back");
          shard.stored = shard.checkpoint->upto;
        }
        later(store_latency(), of(shard, Kind::kCheckpointAnswer, happening.serial));
      }
      return;
    case Kind::kCheckpointAnswer:
      if (same_life && is(shard.checkpoint)) answer_checkpoint(shard);
      return;
    case Kind::kDiscardWrite:
      if (lane && is(lane->discard)) {
        const bool taken = write(*lane->discard);
        for (const std::size_t i : *happening.records) shard.records[i].discarded |= taken;
        Happening answer = happening;
        answer.kind = Kind::kDiscardAnswer;
        later(store_latency(), std::move(answer));
      }
      return;
    case Kind::kDiscardAnswer:
      if (lane && is(lane->discard)) answer_discard(shard, *lane);
      return;
    case Kind::kStop:
      if (shard.engine && !shard.stopping && (happening.serial == 0 ? stops_left_ > 0 : same_life)) {
        if (happening.serial == 0) --stops_left_;
        if (mapping_ && happening.serial == 0 && random_.chance(0.5)) {
          stop_mapping();
        } else {
          stop(shard);
        }
      }
      return;
    case Kind::kCrash:
      if (same_life) crash();
      return;
    case Kind::kReserve:
      if (permits_.change(random_)) later(upto(20s), {.kind = Kind::kUnblock});
      return;
    case Kind::kCrowd:
      if (permits_.crowd()) later(upto(20s), {.kind = Kind::kCrowd});
      return;
    case Kind::kUnblock:
      permits_.unblock();
      return;
    case Kind::kIdleTick:
      if (shard.engine) tick(shard);
      if (!shard.finished) later(upto(20s), of(shard, Kind::kIdleTick));
      return;
    case Kind::kEndWrite:
      if (is(shard.end)) {
        shard.finished |= write(*shard.end);
        later(store_latency(), of(shard, Kind::kEndAnswer, happening.serial));
      }
      return;
    case Kind::kEndAnswer:
      if (is(shard.end)) answer_end(shard);
      return;
    case Kind::kMappingStarts:
    case Kind::kMappingStops:
    case Kind::kListing:
    case Kind::kReleased:
      if (happening.life == mapping_life_) happen_to_mapping(happening);
      return;
  }
}

void World::start(Shard& shard) {
  ++figures_.restarts;
  engine::ShardSettings settings = features_.settings;
  settings.seed = random_.next();
  shard.lanes.resize(static_cast<std::size_t>(settings.parallelization_factor));
  for (std::size_t i = 0; i < shard.lanes.size(); ++i) shard.lanes[i].index = i;
  shard.engine = std::make_unique<engine::ShardProcessor>(std::move(settings));
  shard.told = shard.front = shard.remembered = shard.started_at = shard.stored;
  drain(shard);
}

void World::end_life(Shard& shard) {
  Shard next;
  next.index = shard.index;
  next.records = std::move(shard.records);
  next.function = std::move(shard.function);
  next.descent = std::move(shard.descent);
  next.stored = shard.stored;
  next.finished = shard.finished;
  next.life = shard.life + 1;
  shard = std::move(next);
}

/// kill -9: engines, ledger and what is in flight are forgotten. Calls that left may still run; writes that have not
/// been made never will be.
void World::crash() {
  if (crashes_left_ > 0) --crashes_left_;
  ++figures_.crashes;
  permits_.forget();
  for (Shard& shard : shards_) {
    if (shard.end) ++figures_.ends_lost;
    if (shard.finished && !shard.end) continue;
    end_life(shard);
    if (!shard.descent) later(upto(5s), of(shard, Kind::kRestart));
  }
  if (mapping_) leave_mapping();
}

/// As the shell does: the engine is told, the read is called off, and calls get their time of grace.
void World::stop(Shard& shard) {
  ++figures_.stops;
  shard.stopping = true;
  shard.stop_by = now_.instant + kDrainedWithin;
  began(shard);
  shard.engine->request_stop(now_);
  if (shard.fetch) later(upto(10ms), of(shard, Kind::kFetchAnswer, *shard.fetch));
  for (const Lane& lane : shard.lanes) {
    if (!lane.call) continue;
    Happening end = of(shard, Kind::kOutcome, lane.call->serial);
    end.lane = lane.index;
    later(kShutdownGrace, std::move(end));
  }
  drain(shard);
}

/// What a lane's first batching window counts from, where that is an end before.
void World::began(Shard& shard) {
  for (Lane& lane : shard.lanes) {
    if (!lane.previous_end) lane.previous_end = now_.instant;
  }
}

void World::tick(Shard& shard) {
  shard.wake.reset();
  began(shard);
  shard.engine->on_tick(now_);
  drain(shard);
}

/// The contract of every engine: after it was told something, all it wants is taken before anything else is waited for.
void World::drain(Shard& shard) {
  while (auto action = shard.engine->next()) {
    if (crashes_left_ > 0 && random_.chance(0.002)) {
      ++figures_.crashes_between_actions;
      crash();
      return;
    }
    std::visit([&](const auto& wish) { perform(shard, wish); }, *action);
    if (!broken_.empty() || !shard.engine) return;
  }
  shard.wake = shard.engine->wake_at();
  check_counters(shard);
  check_waiting(shard);
  if (shard.wake && features_.troubles.late_ticks) *shard.wake += upto(20ms);
  // All is done, and the source will never answer: time to go.
  if (shard.stored == shard.records.size() && shard.remembered == shard.stored && !ends(shard) && !shard.stopping) {
    later(Duration(0), of(shard, Kind::kStop, 1));
  }
}

void World::answer_fetch(Shard& shard) {
  shard.fetch.reset();
  RecordBatch batch;
  std::size_t bytes = 0;
  std::size_t next = shard.told;
  // A read that is called off gives nothing, or what had just come.
  const bool called_off = shard.stopping && random_.chance(0.7);
  const bool race = shard.stopping && !called_off && next < shard.records.size();
  if (race && shard.records[next].available > now_.instant) {
    shard.records[next].available = now_.instant;
    shard.records[next].arrival = std::min(shard.records[next].arrival, now_.wall);
  }
  while (!called_off && next < shard.records.size() && shard.records[next].available <= now_.instant &&
         batch.records.size() < shard.fetch_records) {
    const Stored& stored = shard.records[next];
    if (!batch.records.empty() && bytes + stored.memory_bytes > shard.fetch_bytes) break;
    if (!batch.records.empty() && features_.short_reads && random_.chance(0.2)) break;
    Record record;
    record.position = stored.position;
    record.arrival = stored.arrival;
    record.key = key_text(stored.key);
    record.data = std::string_view(filler()).substr(0, stored.memory_bytes - sizeof(Record) - record.key.size());
    record.origin = &stored;
    record.encoded_bytes = stored.encoded_bytes;
    record.filtered = stored.filtered;
    record.continues = stored.continues;
    bytes += stored.memory_bytes;
    batch.records.push_back(std::move(record));
    ++next;
  }
  if (next > shard.told && shard.records[next - 1].continues) ++figures_.aggregates_cut;
  const bool closed = ends(shard) && (!shard.descent || *shard.descent->closed <= now_.instant);
  const bool at_end = !called_off && next == shard.records.size() && closed;
  batch.end_of_shard = at_end && (features_.end_with_records || batch.records.empty());
  if (called_off) ++figures_.reads_called_off;
  if (shard.stopping && !batch.records.empty()) {
    ++figures_.reads_too_late;  // nobody reads them now; they are left to the next life
  } else {
    shard.end_told = shard.end_told || batch.end_of_shard;
    take(shard, next);
  }
  began(shard);
  shard.engine->on_records(now_, std::move(batch));
  drain(shard);
}

/// The engine is given the records up to `next`.
void World::take(Shard& shard, std::size_t next) {
  shard.counters.polled_events += next - shard.told;
  Shard::Page page;
  for (; shard.told < next; ++shard.told) {
    const Stored& record = shard.records[shard.told];
    shard.told_at.push_back(now_.instant);
    shard.done.push_back(record.filtered);
    shard.page_of.push_back(shard.pages.size());
    if (record.filtered) {
      page.unwanted_bytes += record.memory_bytes;
      ++figures_.filtered;
      ++shard.counters.filtered_out_events;
      ++shard.counters.settled_events;
      continue;
    }
    Lane& lane = lane_of(shard, record);
    lane.line.push_back(shard.told);
    if (features_.settings.tumbling) {
      // A record that came late counts for the window that is being worked on.
      const WallTime window = window_of(record);
      if (!lane.windows.empty() && window < lane.windows.back()) ++figures_.late_records;
      lane.windows.push_back(lane.windows.empty() ? window : std::max(window, lane.windows.back()));
    }
    shard.bytes += record.memory_bytes;
    ++shard.unsettled;
    ++page.left;
  }
  if (page.left > 0) shard.pinned += page.unwanted_bytes;
  shard.pages.push_back(page);
  find_front(shard);
}

/// The function runs, awaited by somebody or not.
void World::function_runs(Shard& shard, const Happening& run) {
  Indices failing;
  for (std::size_t i = 0; i < run.records->size(); ++i) {
    Stored& record = shard.records[(*run.records)[i]];
    if (record.failures_left == 0) continue;
    --record.failures_left;
    failing.push_back(i);
  }
  std::size_t done = run.well && failing.empty() ? run.records->size() : 0;
  CallUnderWay nobody;
  const bool same_life = run.life == shard.life && shard.engine != nullptr;
  CallUnderWay* under_way = nullptr;
  if (same_life && shard.lanes[run.lane].call) under_way = &*shard.lanes[run.lane].call;
  const bool awaited = under_way != nullptr && under_way->serial == run.serial;
  CallUnderWay& call = awaited ? *under_way : nobody;
  call.ran = true;
  call.records = run.records;

  const bool answers = std::holds_alternative<Succeeded>(call.outcome.what);  // else its answer is lost
  if (done < run.records->size() || (!run.well && run.records->empty())) {
    const bool reports = features_.settings.report_batch_item_failures && random_.chance(features_.reports);
    if (reports) {
      done = report(call, shard, failing);
    } else if (answers) {
      call.outcome = Outcome(FunctionFailed{"Unhandled", "{}"});
    }
  } else if (!features_.settings.report_batch_item_failures && random_.chance(features_.malformed)) {
    // Nobody asked: it means nothing.
    ++figures_.unasked_reports;
    call.response.items = random_.chance(0.5) ? BatchResponse::Items::kAllFailed : BatchResponse::Items::kSomeFailed;
    call.response.failed.push_back(shard.records.empty() ? Position() : shard.records.front().position);
  }
  if (features_.settings.tumbling) {
    if (random_.chance(features_.no_state)) {
      ++figures_.states_missing;
      done = 0;
    } else {
      answer_with_state(call, shard, done);
    }
  }
  for (std::size_t i = 0; i < done; ++i) shard.records[(*run.records)[i]].succeeded = true;
}

/// The function answers with what failed of its batch. Returns how many records are done by that.
std::size_t World::report(CallUnderWay& call, const Shard& shard, Indices failing) {
  const Indices& records = *call.records;
  if (failing.empty() && !records.empty()) failing.push_back(random_.below(records.size()));  // by chance
  if (failing.empty() || random_.chance(features_.malformed)) {
    call.response.items = BatchResponse::Items::kAllFailed;
    return 0;
  }
  call.response.items = BatchResponse::Items::kSomeFailed;
  const bool only_lowest = random_.chance(0.4);
  for (auto i = failing.rbegin(); i != failing.rend(); ++i) {
    if (only_lowest && *i != failing.front()) continue;
    call.response.failed.push_back(shard.records[records[*i]].position);
  }
  if (random_.chance(0.5)) std::swap(call.response.failed.front(), call.response.failed.back());
  if (random_.chance(features_.malformed)) {
    // It names a record that was not in its batch: what it says cannot be trusted.
    const Position last = shard.records[records.back()].position;
    call.response.failed.push_back(Position(last.number().value_or(0) + 3));
    return 0;
  }
  return first_reported(shard, call).value_or(records.size());
}

/// A function with a tumbling window adds up the values of the records that it is done with.
void World::answer_with_state(CallUnderWay& call, const Shard& shard, std::size_t done) {
  std::int64_t sum = call.sum_before;
  for (std::size_t i = 0; i < done; ++i) sum += shard.records[(*call.records)[i]].value;
  call.sum_after = sum;
  const bool large = random_.chance(features_.large_state);
  call.response.state =
      "{\"sum\":" + std::to_string(sum) + (large ? ",\"pad\":\"" + std::string(60, 'x') + "\"}" : "}");
}

void World::answer_call(Shard& shard, Lane& lane) {
  CallUnderWay call = std::move(*lane.call);
  lane.call.reset();
  check_shown(shard, call.shown, *call.records);
  if (call.permit) permits_.give_back(shard.function);
  // Patience is over: called off, whatever the call would have come to. An answer may still win the race.
  const bool too_early = std::holds_alternative<Succeeded>(call.outcome.what) && !call.ran;
  if (too_early || (shard.stopping && random_.chance(0.3))) call.outcome = Outcome(Cancelled{});
  lane.previous_end = now_.instant;
  call.outcome.executed_version = std::to_string(call.serial % 7);
  judge(shard, lane, call);
  shard.engine->on_outcome(now_, call.batch, call.outcome, call.response);
  drain(shard);
}

/// Whether the store takes a write; what it says about it may be another thing.
bool World::write(WriteUnderWay& under_way) {
  const bool taken = now_.instant >= store_down_until_ && !random_.chance(features_.troubles.refuses);
  under_way.kept = taken;
  if (taken && random_.chance(features_.troubles.lies)) {
    under_way.kept = false;
    ++figures_.lies;
  }
  if (!under_way.kept) ++figures_.refused;
  return taken;
}

void World::answer_checkpoint(Shard& shard) {
  const WriteUnderWay answered = *shard.checkpoint;
  shard.checkpoint.reset();
  if (answered.kept) {
    shard.remembered = answered.upto;
    shard.refusals_in_row = 0;
    ++shard.counters.checkpoints;
    ++figures_.checkpoints;
  } else {
    ++shard.refusals_in_row;
    ++shard.counters.store_failures;
  }
  shard.engine->on_checkpoint(now_, answered.kept);
  drain(shard);
}

void World::answer_discard(Shard& shard, Lane& lane) {
  const WriteUnderWay answered = *lane.discard;
  lane.discard.reset();
  const DiscardSeen& seen = *lane.discard_seen;
  check_shown(shard, seen.shown, std::span(lane.line).subspan(seen.first, seen.count));
  engine::Kept kept = engine::Kept::kNowhere;
  if (answered.kept) {
    kept = !features_.destination ? engine::Kept::kDeadLetter
           : random_.chance(0.8)  ? engine::Kept::kDestination
                                  : engine::Kept::kDeadLetterInstead;
    discarded(shard, lane, kept);
    shard.refusals_in_row = 0;
  } else {
    ++shard.refusals_in_row;
    ++shard.counters.store_failures;
    lane.discard_seen->refused = true;
  }
  shard.engine->on_discarded(now_, answered.batch, kept);
  drain(shard);
}

}  // namespace weir::simulation
