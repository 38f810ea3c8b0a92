#include "world.h"

#include <algorithm>
#include <sstream>

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMostSteps = 100'000;  // more than ten times what the longest world takes
constexpr Duration kShutdownGrace = 30s;       // of the shell: then what is in flight is called off
constexpr Duration kDrainedWithin = 2h;        // grace, an outage of the store, and retries of refused checkpoints
constexpr std::size_t kSmallestPayload = 400;

/// All records have no bytes of their own; only their sizes matter here.
const std::string& filler() {
  static const std::string text(4096, 'x');
  return text;
}

}  // namespace

Features::Features(Random& random) {
  const auto one_of = [&](std::initializer_list<std::size_t> choices) {
    return *(choices.begin() + static_cast<std::ptrdiff_t>(random.below(choices.size())));
  };
  const auto seconds_up_to = [&](std::uint64_t most) { return std::chrono::seconds(1 + random.below(most)); };

  batch.batch_size = one_of({1, 2, 3, 5, 10, 100, 10'000});
  if (random.chance(0.5)) batch.window = random.chance(0.5) ? Duration(500ms) : Duration(seconds_up_to(300));
  if (random.chance(0.5)) {
    batch.max_payload_bytes = kSmallestPayload + random.below(1600);
    batch.envelope_bytes = random.below(100);
    oversized = random.chance(0.5);
  }
  if (random.chance(0.4)) buffer.max_records = batch.batch_size + random.below(5);
  buffer.max_records = std::max(buffer.max_records, batch.batch_size);
  if (random.chance(0.4)) buffer.max_bytes = 200 + random.below(3000);
  if (random.chance(0.5)) retry.maximum_retry_attempts = static_cast<int>(random.below(5));
  if (random.chance(0.4)) retry.maximum_record_age = 60s + Duration(seconds_up_to(300));
  retry.backoff_min = std::chrono::milliseconds(one_of({1, 50, 200, 1000}));
  retry.backoff_max = std::chrono::milliseconds(one_of({1000, 10'000, 60'000}));

  shards = 1 + random.below(8);
  records = 1 + random.below(200);
  waits_for_data = random.chance(0.5);
  idle_poll = std::chrono::milliseconds(one_of({200, 1000, 5000}));
  ends = random.chance(0.5);
  end_with_records = random.chance(0.5);
  backlog = random.chance(0.4);
  old_records = random.chance(0.4);
  short_reads = random.chance(0.3);

  const auto sometimes = [&](double most) { return random.chance(0.4) ? most * random.unit() : 0.0; };
  poison = sometimes(0.1);
  fails = sometimes(0.5);
  throttled = sometimes(0.5);
  service_errors = sometimes(0.4);
  cancelled = sometimes(0.1);
  late = sometimes(0.2);
  never = sometimes(0.05);
  functions = 1 + random.below(3);
  reservations = random.chance(0.3);
  if (reservations) {
    account = static_cast<int>(100 + random.below(6));
  } else if (random.chance(0.4)) {
    account = static_cast<int>(1 + random.below(4));
  }

  refuses = sometimes(0.5);
  lies = sometimes(0.1);
  slow_store = random.chance(0.3);
  outages = random.chance(0.2);

  crashes = random.chance(0.5) ? static_cast<int>(1 + random.below(4)) : 0;
  stops = random.chance(0.5) ? static_cast<int>(1 + random.below(4)) : 0;
  wall_jumps = random.chance(0.2);
  late_ticks = random.chance(0.3);
  idle_ticks = random.chance(0.2);
}

std::string Features::describe() const {
  std::ostringstream out;
  out << shards << " shards, " << records << " records; batch_size " << batch.batch_size << ", window "
      << as_seconds(batch.window) << " s, payload " << batch.max_payload_bytes << " with envelope "
      << batch.envelope_bytes << "; buffer " << buffer.max_records << " records, " << buffer.max_bytes
      << " bytes; retries " << retry.maximum_retry_attempts << ", age "
      << (retry.maximum_record_age ? as_seconds(*retry.maximum_record_age) : -1.0) << " s, backoff "
      << as_seconds(retry.backoff_min) << " to " << as_seconds(retry.backoff_max) << " s; account " << account;
  const std::pair<const char*, double> parts[] = {{"poison", poison},
                                                  {"fails", fails},
                                                  {"throttled", throttled},
                                                  {"service_errors", service_errors},
                                                  {"cancelled", cancelled},
                                                  {"late", late},
                                                  {"never", never},
                                                  {"refuses", refuses},
                                                  {"lies", lies}};
  for (const auto& [name, part] : parts) {
    if (part > 0) out << ", " << name << " " << part;
  }
  const std::pair<const char*, bool> flags[] = {{"waits_for_data", waits_for_data},
                                                {"ends", ends},
                                                {"end_with_records", end_with_records},
                                                {"backlog", backlog},
                                                {"old_records", old_records},
                                                {"oversized", oversized},
                                                {"short_reads", short_reads},
                                                {"reservations", reservations},
                                                {"slow_store", slow_store},
                                                {"outages", outages},
                                                {"crashes", crashes > 0},
                                                {"stops", stops > 0},
                                                {"wall_jumps", wall_jumps},
                                                {"late_ticks", late_ticks},
                                                {"idle_ticks", idle_ticks}};
  for (const auto& [name, on] : flags) {
    if (on) out << ", " << name;
  }
  return out.str();
}

World::World(std::uint64_t seed, Figures& figures)
    : seed_(seed),
      figures_(figures),
      random_(seed * 0x9E3779B97F4A7C15U),
      features_(random_),
      now_{Instant(1h), from_epoch_milliseconds(1'790'000'000'000)},
      crashes_left_(features_.crashes),
      stops_left_(features_.stops),
      wall_jumps_left_(features_.wall_jumps ? 3 : 0),
      ledger_(features_.account) {
  ++figures_.worlds;
  make_shards();
}

std::string World::summary() const {
  std::ostringstream out;
  out << "seed " << seed_ << ", step " << steps_ << ", " << as_seconds(now_.instant - Instant(1h)) << " s; "
      << features_.describe();
  for (const Shard& shard : shards_) {
    out << "\n  shard " << shard.index << ": " << shard.records.size() << " records, told " << shard.told
        << ", settled " << shard.settled << ", remembered " << shard.remembered << ", stored " << shard.stored
        << ", life " << shard.life
        << (shard.finished   ? ", finished"
            : shard.stopping ? ", stopping"
            : shard.engine   ? ", running"
                             : ", away");
  }
  return out.str();
}

void World::make_shards() {
  for (std::size_t i = 0; i < features_.functions; ++i) uses_["function-" + std::to_string(i)];
  shards_.resize(features_.shards);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    shard.index = i;
    shard.function = "function-" + std::to_string(i % features_.functions);
    shard.first_position = random_.chance(0.5) ? 0 : random_.below(1'000'000);
    shard.position_step = random_.chance(0.5) ? 1 : 7;
    shard.records.reserve(features_.records);
  }
  Duration after{0};
  for (std::size_t i = 0; i < features_.records; ++i) {
    // Records come in bursts with pauses between them, or are all there from the start.
    if (!features_.backlog && random_.chance(0.15)) after += upto(random_.chance(0.2) ? Duration(90s) : Duration(2s));
    Stored record;
    record.available = now_.instant + after;
    record.arrival = now_.wall + after;
    if (features_.old_records && random_.chance(0.3)) record.arrival -= upto(600s);
    record.encoded_bytes = 20 + random_.below(300);
    if (features_.oversized && random_.chance(0.05)) {
      record.encoded_bytes = features_.batch.max_payload_bytes - features_.batch.envelope_bytes + random_.below(3);
    }
    const std::size_t data = random_.below(300);
    record.memory_bytes = data + sizeof(Record);
    if (random_.chance(features_.poison)) {
      // Without a limit only the function's recovery lets the shard go on.
      const bool limited = features_.retry.maximum_retry_attempts >= 0 || features_.retry.maximum_record_age;
      record.failures_left = limited && random_.chance(0.7) ? 1'000'000 : static_cast<int>(1 + random_.below(5));
    }
    shards_[random_.below(shards_.size())].records.push_back(record);
  }
  figures_.records += features_.records;
  for (Shard& shard : shards_) {
    later(upto(1s), {.kind = Kind::kRestart, .shard = shard.index, .life = shard.life});
    for (int i = 0; i < features_.stops; ++i) later(upto(120s), {.kind = Kind::kStop, .shard = shard.index});
    if (features_.idle_ticks) later(upto(5s), {.kind = Kind::kIdleTick, .shard = shard.index});
  }
  if (features_.reservations) {
    for (int i = 0; i < 6; ++i) later(upto(60s), {.kind = Kind::kReserve});
    for (int i = 0; i < 4; ++i) later(upto(60s), {.kind = Kind::kCrowd});
  }
}

void World::later(Duration wait, Happening happening) {
  happening.at = now_.instant + wait;
  happening.order = ++last_order_;
  queue_.push(happening);
}

bool World::step() {
  if (!broken_.empty()) return false;
  if (std::all_of(shards_.begin(), shards_.end(), [](const Shard& shard) { return shard.finished; })) {
    check_end();
    return false;
  }
  ++steps_;
  ++figures_.steps;
  promise(steps_ < kMostSteps, "the world does not come to its end");

  Shard* waking = nullptr;
  for (Shard& shard : shards_) {
    if (shard.wake && (waking == nullptr || *shard.wake < *waking->wake)) waking = &shard;
  }
  const bool tick_next = waking != nullptr && (queue_.empty() || *waking->wake <= queue_.top().at);
  if (!tick_next && queue_.empty()) {
    promise(false, "nothing will ever happen again, and records are left");
    return false;
  }
  const Instant at = std::max(now_.instant, tick_next ? *waking->wake : queue_.top().at);
  now_.wall += at - now_.instant;
  now_.instant = at;

  try {
    if (crashes_left_ > 0 && random_.chance(0.004)) {
      crash();
      return true;
    }
    if (wall_jumps_left_ > 0 && random_.chance(0.01)) {
      --wall_jumps_left_;
      ++figures_.wall_jumps;
      now_.wall += random_.chance(0.5) ? upto(600s) : -upto(600s);
    }
    if (features_.outages && now_.instant >= store_down_until_ && random_.chance(0.002)) {
      store_down_until_ = now_.instant + upto(300s);
    }
    if (tick_next) {
      tick(*waking);
    } else {
      const Happening next = queue_.top();
      queue_.pop();
      happen(next);
    }
  } catch (const BrokenBelief& belief) {
    promise(false, belief.what());
  }
  return broken_.empty();
}

void World::happen(const Happening& happening) {
  Shard& shard = shards_[happening.shard];
  const bool same_life = happening.life == shard.life && shard.engine != nullptr;
  const auto is = [&](const std::optional<WriteUnderWay>& under_way) {
    return same_life && under_way && under_way->serial == happening.serial;
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
      if (same_life && shard.call && shard.call->serial == happening.serial) answer_call(shard);
      return;
    case Kind::kCheckpointWrite:
      if (is(shard.checkpoint)) {
        if (write(*shard.checkpoint)) {
          promise(shard, shard.checkpoint->upto >= shard.stored, "the stored checkpoint goes back");
          shard.stored = shard.checkpoint->upto;
        }
        later(store_latency(),
              {.kind = Kind::kCheckpointAnswer, .shard = shard.index, .life = shard.life, .serial = happening.serial});
      }
      return;
    case Kind::kCheckpointAnswer:
      if (is(shard.checkpoint)) answer_checkpoint(shard);
      return;
    case Kind::kDiscardWrite:
      if (is(shard.discard)) {
        const bool taken = write(*shard.discard);
        for (std::size_t i = 0; taken && i < happening.count; ++i) shard.records[happening.first + i].discarded = true;
        later(store_latency(),
              {.kind = Kind::kDiscardAnswer, .shard = shard.index, .life = shard.life, .serial = happening.serial});
      }
      return;
    case Kind::kDiscardAnswer:
      if (is(shard.discard)) answer_discard(shard);
      return;
    case Kind::kStop:
      if (shard.engine && !shard.stopping && (happening.serial == 0 ? stops_left_ > 0 : same_life)) {
        if (happening.serial == 0) --stops_left_;
        stop(shard);
      }
      return;
    case Kind::kCrash:
      if (same_life) crash();
      return;
    case Kind::kReserve:
      change_reservations();
      return;
    case Kind::kCrowd:
      crowd_comes_or_goes();
      return;
    case Kind::kUnblock:
      for (auto& [function, use] : uses_) {
        if (use.reserved != 0) continue;
        promise(ledger_.reserve(function, std::nullopt).has_value(), "the ledger refuses to unblock");
        use.reserved.reset();
      }
      return;
    case Kind::kIdleTick:
      if (shard.engine) tick(shard);
      if (!shard.finished) later(upto(20s), {.kind = Kind::kIdleTick, .shard = shard.index});
      return;
  }
}

void World::start(Shard& shard) {
  ++figures_.restarts;
  engine::ShardSettings settings;
  settings.batch = features_.batch;
  settings.buffer = features_.buffer;
  settings.retry = features_.retry;
  settings.seed = random_.next();
  shard.engine = std::make_unique<engine::ShardProcessor>(settings);
  shard.told = shard.settled = shard.remembered = shard.started_at = shard.stored;
  drain(shard);
}

void World::end_life(Shard& shard) {
  shard.engine.reset();
  ++shard.life;
  shard.bytes = 0;
  shard.told_at.clear();
  shard.end_told = shard.stopping = shard.cut_by_age = false;
  shard.refusals_in_row = 0;
  shard.tried.reset();
  shard.discard_seen.reset();
  shard.discard_refused = false;
  shard.fetch.reset();
  shard.call.reset();
  shard.checkpoint.reset();
  shard.discard.reset();
  shard.counters = {};
  shard.wake.reset();
}

/// kill -9: engines, ledger and what is in flight are forgotten. Calls that left may still run; writes that have not
/// been made never will be.
void World::crash() {
  if (crashes_left_ > 0) --crashes_left_;
  ++figures_.crashes;
  ledger_ = engine::ConcurrencyLedger(features_.account);
  for (auto& [function, use] : uses_) {
    use.executing = 0;
    if (use.reserved)
      promise(ledger_.reserve(function, use.reserved).has_value(), "the ledger refuses what it had accepted");
  }
  for (Shard& shard : shards_) {
    if (shard.finished) continue;
    end_life(shard);
    later(upto(5s), {.kind = Kind::kRestart, .shard = shard.index, .life = shard.life});
  }
}

/// As the shell does: the engine is told, the read is called off, and calls get their time of grace.
void World::stop(Shard& shard) {
  ++figures_.stops;
  shard.stopping = true;
  shard.stop_by = now_.instant + kDrainedWithin;
  shard.engine->request_stop(now_);
  if (shard.fetch) {
    later(upto(10ms), {.kind = Kind::kFetchAnswer, .shard = shard.index, .life = shard.life, .serial = *shard.fetch});
  }
  if (shard.call) {
    later(kShutdownGrace,
          {.kind = Kind::kOutcome, .shard = shard.index, .life = shard.life, .serial = shard.call->serial});
  }
  drain(shard);
}

void World::tick(Shard& shard) {
  shard.wake.reset();
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
  if (shard.wake && features_.late_ticks) *shard.wake += upto(20ms);
  // All is done, and the source will never answer: time to go.
  if (shard.stored == shard.records.size() && shard.remembered == shard.stored && !features_.ends && !shard.stopping) {
    later(Duration(0), {.kind = Kind::kStop, .shard = shard.index, .life = shard.life, .serial = 1});
  }
}

void World::change_reservations() {
  auto use = uses_.begin();
  std::advance(use, static_cast<std::ptrdiff_t>(random_.below(uses_.size())));
  std::optional<int> wanted;
  if (random_.chance(0.7)) wanted = static_cast<int>(random_.below(4));
  int others = 0;
  for (const auto& [name, each] : uses_) {
    if (name != use->first) others += each.reserved.value_or(0);
  }
  const bool takes_more = wanted.value_or(0) > use->second.reserved.value_or(0);
  const bool allowed = !takes_more || features_.account - others - wanted.value_or(0) >= 100;
  const auto reserved = ledger_.reserve(use->first, wanted);
  promise(reserved.has_value() == allowed, "the ledger keeps less than 100 unreserved, or refuses what leaves 100");
  if (reserved) use->second.reserved = wanted;
  // A function that stays blocked would stand still for ever.
  if (use->second.reserved == 0) later(upto(20s), {.kind = Kind::kUnblock});
}

/// Another function, without a reservation at first, uses up the account for a while.
void World::crowd_comes_or_goes() {
  const std::string crowd = "crowd";
  if (uses_[crowd].executing > 0) {
    while (uses_[crowd].executing > 0) give_permit_back(crowd);
    return;
  }
  while (broken_.empty() && take_permit(crowd)) {
  }
  later(upto(20s), {.kind = Kind::kCrowd});
}

// What the engine wants.

void World::perform(Shard& shard, const engine::Fetch& fetch) {
  promise(shard, !shard.fetch, "a second read is begun");
  promise(shard, !shard.stopping, "a read is begun while draining");
  promise(shard, !shard.end_told, "a read is begun behind the end of the shard");
  promise(shard, shard.refusals_in_row == 0, "a read is begun while the store refuses");
  const std::size_t unsettled = shard.told - shard.settled;
  promise(shard, fetch.max_records >= 1 && unsettled + fetch.max_records <= features_.buffer.max_records,
          "a read would pass the buffer's records");
  promise(shard, fetch.max_bytes >= 1 && shard.bytes + fetch.max_bytes <= features_.buffer.max_bytes,
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
  } else if (!features_.ends) {
    if (features_.waits_for_data) return;  // for ever
    wait += features_.idle_poll;
  }
  later(wait, {.kind = Kind::kFetchAnswer, .shard = shard.index, .life = shard.life, .serial = *shard.fetch});
}

void World::perform(Shard& shard, const engine::Invoke& invoke) {
  promise(shard, !shard.call, "a second invocation is begun");
  promise(shard, !shard.discard, "an invocation is begun while records before it are being discarded");
  promise(shard, !shard.stopping, "an invocation is begun while draining");
  promise(shard, shard.refusals_in_row == 0, "an invocation is begun while the store refuses");
  std::size_t payload_bytes = 0;
  const std::size_t first = check_records(shard, invoke.records, &payload_bytes);
  const std::size_t count = invoke.records.size();
  if (!broken_.empty()) return;
  promise(shard, count <= features_.batch.batch_size, "a batch has more records than batch_size");
  promise(shard, invoke.payload_bytes == payload_bytes, "payload_bytes is not the sum of its parts");
  promise(shard, payload_bytes <= features_.batch.max_payload_bytes, "a payload passes the limit");
  promise(shard, !expired(shard.records[first]), "a record is handed over that is too old");
  const Duration age = std::max(Duration(0), now_.wall - shard.records[first + count - 1].arrival);
  promise(shard, invoke.iterator_age == age, "iterator_age is not the age of the last record");
  check_request_id(shard, invoke.request_id, first, count);

  if (shard.tried && shard.tried->first == first) {
    const Tried& before = *shard.tried;
    promise(shard, before.count == count, "a retry has other records");
    promise(shard, before.request_id == invoke.request_id, "a retry of the unchanged batch has another request id");
    promise(shard, invoke.attempt == before.failed_runs + 1, "a retry does not count its attempts");
    promise(shard, now_.instant >= before.failed_at + features_.retry.backoff_min / 2, "a retry did not wait");
    promise(shard,
            features_.retry.maximum_retry_attempts < 0 || before.failed_runs <= features_.retry.maximum_retry_attempts,
            "the function runs more often than maximum_retry_attempts allows");
    ++figures_.retries;
  } else {
    promise(shard, invoke.attempt == 1, "a new batch has used attempts");
    check_release(shard, first, count, payload_bytes);
    shard.tried = Tried{first, count, invoke.request_id};
  }
  ++figures_.invocations;
  ++shard.counters.invocations;
  shard.counters.invoked_events += count;
  shard.counters.iterator_age = invoke.iterator_age;
  shard.call = CallUnderWay{.batch = invoke.batch, .serial = ++last_order_};
  schedule_call(shard, first, count);
}

void World::schedule_call(Shard& shard, std::size_t first, std::size_t count) {
  CallUnderWay& call = *shard.call;
  // Where shards share one permit, minutes of one are minutes of all, filled with throttles.
  const bool shared = features_.account < 10 || features_.reservations;
  const Duration minutes = shared ? Duration(20s) : random_.chance(0.2) ? Duration(600s) : Duration(60s);
  Duration wait = upto(random_.chance(0.2) ? Duration(5s) : Duration(50ms));
  if (!take_permit(shard.function)) {
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
      const bool by_chance = random_.chance(features_.fails);
      later(wait / 2, {.kind = Kind::kFunctionRuns,
                       .shard = shard.index,
                       .life = shard.life,
                       .serial = call.serial,
                       .first = first,
                       .count = count,
                       .well = !by_chance});
      if (random_.chance(features_.service_errors)) {
        call.outcome = Outcome(ServiceFailed{});
      } else {
        call.outcome = Outcome(Succeeded{});  // function_runs() may say otherwise
      }
    }
    if (random_.chance(features_.never)) {
      ++figures_.never_answered;
      const Kind end = random_.chance(0.5) ? Kind::kStop : Kind::kCrash;
      later(upto(minutes / 5), {.kind = end, .shard = shard.index, .life = shard.life, .serial = 1});
      return;
    }
  }
  later(wait, {.kind = Kind::kOutcome, .shard = shard.index, .life = shard.life, .serial = call.serial});
}

void World::perform(Shard& shard, const engine::Checkpoint& checkpoint) {
  promise(shard, !shard.checkpoint, "a second checkpoint is begun");
  const std::size_t upto_count = index_of(shard, checkpoint.upto) + 1;
  if (!broken_.empty()) return;
  promise(shard, upto_count <= shard.settled,
          "a checkpoint passes a record whose outcome is unknown or whose discard is not kept");
  promise(shard, upto_count == shard.settled, "a checkpoint leaves out what is settled");
  promise(shard, upto_count > shard.remembered, "a checkpoint says nothing new");
  if (shard.tried && upto_count > shard.remembered + shard.tried->count) ++figures_.checkpoints_coalesced;
  shard.checkpoint = WriteUnderWay{.serial = ++last_order_, .upto = upto_count};
  later(store_latency(),
        {.kind = Kind::kCheckpointWrite, .shard = shard.index, .life = shard.life, .serial = shard.checkpoint->serial});
}

void World::perform(Shard& shard, const engine::Discard& discard) {
  promise(shard, !shard.discard, "a second discard is begun");
  promise(shard, !shard.call, "records are discarded while their invocation is in flight");
  std::size_t payload_bytes = 0;
  const std::size_t first = check_records(shard, discard.records, &payload_bytes);
  const std::size_t count = discard.records.size();
  if (!broken_.empty()) return;
  const bool tried = shard.tried && shard.tried->first == first;
  const bool same = tried && shard.tried->count == count;
  if (tried)
    promise(shard, discard.request_id == shard.tried->request_id,
            "a discarded batch has not the id it was invoked with");

  const bool again = shard.discard_seen && shard.discard_seen->batch == discard.batch;
  if (again) {
    const DiscardSeen& seen = *shard.discard_seen;
    promise(shard, seen.first == first && seen.count == count && seen.condition == discard.condition,
            "a discard that was refused comes again with other contents");
  }
  switch (discard.condition) {
    case engine::DiscardCondition::kRetryAttemptsExhausted:
      promise(shard, features_.retry.maximum_retry_attempts >= 0, "attempts are exhausted without a limit");
      promise(shard, same && shard.tried->failed_runs == features_.retry.maximum_retry_attempts + 1,
              "attempts are exhausted before the function ran so often");
      promise(shard, same && discard.approximate_invoke_count == shard.tried->failed_runs,
              "approximate_invoke_count is wrong");
      promise(shard, discard.error != nullptr && discard.error->error_type == "Unhandled",
              "the function's error is lost");
      if (!again) ++figures_.discards_attempts;
      break;
    case engine::DiscardCondition::kRecordAgeExceeded:
      for (std::size_t i = first; !again && i < first + count; ++i) {
        promise(shard, expired(shard.records[i]), "a record is discarded by age that is not too old");
      }
      promise(shard, discard.approximate_invoke_count == std::max(1, tried ? shard.tried->failed_runs : 0),
              "approximate_invoke_count is wrong");
      promise(shard, discard.error == nullptr, "a record that was too old carries an error of the function");
      if (!again) ++figures_.discards_age;
      if (!again && tried && !same) ++figures_.age_cut_a_batch;
      break;
    case engine::DiscardCondition::kMaximumPayloadSizeExceeded:
      promise(shard, count == 1 && payload_bytes > features_.batch.max_payload_bytes,
              "a record is discarded by size that fits");
      promise(shard, !tried && discard.approximate_invoke_count == 1 && discard.error == nullptr,
              "a record that is too large was invoked");
      if (!again) ++figures_.discards_size;
      break;
  }
  shard.discard_refused = false;
  shard.discard_seen = DiscardSeen{discard.batch, first, count, discard.condition};
  shard.discard = WriteUnderWay{.serial = ++last_order_, .batch = discard.batch};
  later(store_latency(), {.kind = Kind::kDiscardWrite,
                          .shard = shard.index,
                          .life = shard.life,
                          .serial = shard.discard->serial,
                          .first = first,
                          .count = count});
}

void World::perform(Shard& shard, const engine::Drained& drained) {
  promise(shard, !shard.fetch && !shard.call && !shard.checkpoint && !shard.discard,
          "drained with something in flight");
  promise(shard, shard.stopping || drained.end_of_shard, "drained though nobody asked and the shard did not end");
  promise(shard, !shard.engine->next(), "something is wanted behind Drained");
  promise(shard, shard.remembered == shard.settled, "drained before what is settled is remembered");
  if (drained.end_of_shard) {
    ++figures_.ended;
    promise(shard, shard.end_told && shard.settled == shard.records.size(), "said to have ended with records left");
  }
  const bool all = shard.remembered == shard.records.size();
  promise(shard, !(all && shard.end_told) || drained.end_of_shard, "not said to have ended although it has");
  shard.finished = drained.end_of_shard || (all && !features_.ends);
  if (!broken_.empty()) return;
  end_life(shard);
  if (!shard.finished) later(upto(5s), {.kind = Kind::kRestart, .shard = shard.index, .life = shard.life});
}

Duration World::store_latency() {
  return features_.slow_store ? upto(10s) : upto(2ms);
}

// What the world answers.

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
    record.position = Position(shard.first_position + next * shard.position_step);
    record.arrival = stored.arrival;
    record.data = std::string_view(filler()).substr(0, stored.memory_bytes - sizeof(Record));
    record.origin = &stored;
    record.encoded_bytes = stored.encoded_bytes;
    bytes += stored.memory_bytes;
    batch.records.push_back(std::move(record));
    ++next;
  }
  const bool at_end = !called_off && next == shard.records.size() && features_.ends;
  batch.end_of_shard = at_end && (features_.end_with_records || batch.records.empty());
  if (called_off) ++figures_.reads_called_off;
  if (shard.stopping && !batch.records.empty()) {
    ++figures_.reads_too_late;  // nobody reads them now; they are left to the next life
  } else {
    shard.end_told = shard.end_told || batch.end_of_shard;
    shard.counters.polled_events += batch.records.size();
    shard.told_at.resize(next - shard.started_at, now_.instant);
    shard.told = next;
    shard.bytes += bytes;
  }
  shard.engine->on_records(now_, std::move(batch));
  drain(shard);
}

void World::function_runs(Shard& shard, const Happening& run) {
  bool well = run.well;
  for (std::size_t i = run.first; i < run.first + run.count; ++i) {
    Stored& record = shard.records[i];
    if (record.failures_left == 0) continue;
    --record.failures_left;
    well = false;
  }
  for (std::size_t i = run.first; well && i < run.first + run.count; ++i) shard.records[i].succeeded = true;
  const bool awaited = run.life == shard.life && shard.call && shard.call->serial == run.serial;
  if (awaited) shard.call->ran = true;
  if (!well && awaited && std::holds_alternative<Succeeded>(shard.call->outcome.what)) {
    shard.call->outcome = Outcome(FunctionFailed{"Unhandled", "{}"});
  }
}

void World::answer_call(Shard& shard) {
  CallUnderWay call = std::move(*shard.call);
  shard.call.reset();
  if (call.permit) give_permit_back(shard.function);
  // Patience is over: called off, whatever the call would have come to. An answer may still win the race.
  const bool too_early = std::holds_alternative<Succeeded>(call.outcome.what) && !call.ran;
  if (too_early || (shard.stopping && random_.chance(0.3))) call.outcome = Outcome(Cancelled{});
  Tried& tried = *shard.tried;
  const std::size_t count = tried.count;
  ++tried.failures;
  tried.failed_at = now_.instant;
  engine::ShardCounters& counters = shard.counters;
  if (std::holds_alternative<Succeeded>(call.outcome.what)) {
    ++figures_.succeeded;
    for (std::size_t i = tried.first; i < tried.first + count; ++i) shard.bytes -= shard.records[i].memory_bytes;
    shard.settled += count;
    counters.settled_events += count;
    shard.cut_by_age = false;
  } else if (std::holds_alternative<FunctionFailed>(call.outcome.what)) {
    ++figures_.failed;
    ++tried.failed_runs;
    ++counters.function_errors;
    counters.failed_invoke_events += count;
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
  shard.engine->on_outcome(now_, call.batch, call.outcome);
  drain(shard);
}

/// Whether the store takes a write; what it says about it may be another thing.
bool World::write(WriteUnderWay& under_way) {
  const bool taken = now_.instant >= store_down_until_ && !random_.chance(features_.refuses);
  under_way.kept = taken;
  if (taken && random_.chance(features_.lies)) {
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

void World::answer_discard(Shard& shard) {
  const WriteUnderWay answered = *shard.discard;
  shard.discard.reset();
  if (answered.kept) {
    const DiscardSeen& seen = *shard.discard_seen;
    for (std::size_t i = seen.first; i < seen.first + seen.count; ++i) shard.bytes -= shard.records[i].memory_bytes;
    shard.settled += seen.count;
    shard.counters.settled_events += seen.count;
    shard.counters.dropped_events += seen.count;
    shard.refusals_in_row = 0;
    shard.cut_by_age = seen.condition == engine::DiscardCondition::kRecordAgeExceeded;
  } else {
    ++shard.refusals_in_row;
    ++shard.counters.store_failures;
    shard.discard_refused = true;
  }
  shard.engine->on_discarded(now_, answered.batch, answered.kept ? engine::Kept::kDeadLetter : engine::Kept::kNowhere);
  drain(shard);
}

// What weir promises.

void World::promise(bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = otherwise;
}

void World::promise(const Shard& shard, bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = "shard " + std::to_string(shard.index) + ": " + otherwise;
}

/// The records of an action are those that come next: from the first unsettled one on, without a gap. Returns which is
/// first.
std::size_t World::check_records(const Shard& shard, std::span<const Record> records, std::size_t* payload_bytes) {
  promise(shard, !records.empty(), "an action without records");
  if (!broken_.empty()) return 0;
  const std::size_t first = index_of(shard, records.front().position);
  promise(shard, first >= shard.settled, "goes back before the settled prefix");
  promise(shard, first <= shard.settled, "skips unsettled records");
  promise(shard, first + records.size() <= shard.told, "has records that were never read");
  if (!broken_.empty()) return 0;
  std::size_t bytes = features_.batch.envelope_bytes + records.size() - 1;
  for (std::size_t i = 0; i < records.size(); ++i) {
    promise(shard, records[i].origin == &shard.records[first + i], "records are out of order");
    bytes += shard.records[first + i].encoded_bytes;
  }
  *payload_bytes = bytes;
  return first;
}

/// A new batch is released when it is full, its window is over, or nothing can follow; and it leaves out nothing that
/// fits.
void World::check_release(const Shard& shard, std::size_t first, std::size_t count, std::size_t payload_bytes) {
  // What is left of a batch whose front was too old goes on at once, as it is.
  if (shard.cut_by_age || count == features_.batch.batch_size) return;
  if (first + count < shard.told) {
    promise(shard, payload_bytes + 1 + shard.records[first + count].encoded_bytes > features_.batch.max_payload_bytes,
            "a batch leaves out a record that was there and fits");
    return;
  }
  const Duration waited = now_.instant - shard.told_at[first - shard.started_at];
  if (features_.batch.window > Duration(0) && waited >= features_.batch.window) ++figures_.windows_waited_for;
  promise(shard,
          waited >= features_.batch.window || shard.end_told || payload_bytes >= features_.batch.max_payload_bytes,
          "a batch is released before its window is over");
}

void World::check_request_id(const Shard& shard, const std::string& id, std::size_t first, std::size_t count) {
  const Identity identity{shard.index, first, count};
  const auto [known, fresh] = request_ids_.emplace(id, identity);
  promise(shard, fresh || known->second == identity, "one request id stands for two lists of records");
}

void World::check_counters(const Shard& shard) {
  const engine::ShardCounters& says = shard.engine->counters();
  const engine::ShardCounters& was = shard.counters;
  promise(shard, says.polled_events == was.polled_events, "polled_events is wrong");
  promise(shard, says.invoked_events == was.invoked_events, "invoked_events is wrong");
  promise(shard, says.failed_invoke_events == was.failed_invoke_events, "failed_invoke_events is wrong");
  promise(shard, says.dropped_events == was.dropped_events, "dropped_events is wrong");
  promise(shard, says.settled_events == was.settled_events, "settled_events is wrong");
  promise(shard, says.invocations == was.invocations, "invocations is wrong");
  promise(shard, says.function_errors == was.function_errors, "function_errors is wrong");
  promise(shard, says.throttles == was.throttles, "throttles is wrong");
  promise(shard, says.service_errors == was.service_errors, "service_errors is wrong");
  promise(shard, says.checkpoints == was.checkpoints, "checkpoints is wrong");
  promise(shard, says.store_failures == was.store_failures, "store_failures is wrong");
  promise(shard, says.iterator_age == was.iterator_age, "iterator_age is wrong");
  promise(shard, shard.engine->in_flight() == shard.call.has_value(), "in_flight() is wrong");
  const auto remembered = shard.engine->checkpointed();
  promise(shard, remembered.has_value() == (shard.remembered > shard.started_at), "checkpointed() is wrong");
  if (remembered) promise(shard, index_of(shard, *remembered) + 1 == shard.remembered, "checkpointed() is wrong");

  const std::size_t unsettled = shard.told - shard.settled;
  promise(shard, shard.bytes <= features_.buffer.max_bytes + filler().size() + sizeof(Record),
          "the buffer passes its bytes");
  promise(shard, unsettled <= features_.buffer.max_records, "the buffer passes its records");
  if (shard.stopping) {
    promise(shard, shard.engine->unsettled() <= unsettled, "unsettled() is wrong");
    return;
  }
  promise(shard, shard.engine->unsettled() == unsettled, "unsettled() is wrong");
  const auto oldest = shard.engine->oldest_unsettled();
  promise(shard, oldest.has_value() == (unsettled > 0), "oldest_unsettled() is wrong");
  if (oldest) promise(shard, *oldest == shard.records[shard.settled].arrival, "oldest_unsettled() is wrong");
}

/// Whoever waits is woken: by an answer that is under way, or by the clock, and then in time.
void World::check_waiting(const Shard& shard) {
  if (!shard.engine || shard.engine->drained()) return;
  const bool refused = shard.refusals_in_row > 0;
  const std::size_t unsettled = shard.told - shard.settled;
  if (shard.stopping) {
    const bool outstanding = shard.fetch || shard.call || shard.checkpoint || shard.discard;
    promise(shard, outstanding || shard.wake, "draining waits for nothing");
    promise(shard, now_.instant <= shard.stop_by, "draining takes too long");
    return;
  }
  if (shard.remembered < shard.settled && !shard.checkpoint) {
    promise(shard, refused && shard.wake, "what is settled is not remembered, and nothing will change that");
  }
  if ((refused && !shard.checkpoint && !shard.discard) || shard.discard_refused) {
    const Duration most = std::max<Duration>(features_.retry.backoff_min, features_.retry.backoff_max);
    promise(shard, shard.wake && *shard.wake <= now_.instant + most, "the store is not tried again");
  }
  if (unsettled > 0 && !shard.call && !shard.discard && !shard.discard_refused && !refused) {
    promise(shard, shard.wake.has_value(), "a wake-up is lost: records are left and nothing will happen");
    if (!shard.wake) return;
    if (shard.tried && shard.tried->first == shard.settled) {
      Duration ceiling = features_.retry.backoff_min;
      for (int i = 1; i < shard.tried->failures && ceiling < features_.retry.backoff_max; ++i) ceiling *= 2;
      ceiling = std::max(std::min(ceiling, features_.retry.backoff_max), features_.retry.backoff_min / 2 + Duration(1));
      promise(shard, *shard.wake <= shard.tried->failed_at + ceiling, "a retry waits too long");
    } else {
      const Instant window_closes = shard.told_at[shard.settled - shard.started_at] + features_.batch.window;
      promise(shard, *shard.wake <= window_closes, "the window closes too late");
      promise(shard, now_.instant < window_closes, "a batch is not released though its window is over");
      promise(shard, !shard.end_told, "a batch is not released though nothing can follow");
      promise(shard, !expired(shard.records[shard.settled]), "the age of a record is not decided in time");
      promise(shard, unsettled < features_.batch.batch_size, "a full batch is not released");
    }
  }
  const bool room = unsettled < features_.batch.batch_size && shard.bytes < features_.buffer.max_bytes;
  if (!room && !shard.fetch) ++figures_.full_buffers;
  promise(shard, !room || shard.fetch || shard.end_told || refused, "reading stopped though there is room");
}

void World::check_end() {
  for (const Shard& shard : shards_) {
    promise(shard, shard.stored == shard.records.size(), "ended before the last checkpoint");
    for (const Stored& record : shard.records) {
      promise(shard, record.succeeded || record.discarded,
              "a record was lost: neither delivered nor kept as discarded");
    }
  }
  while (uses_["crowd"].executing > 0) give_permit_back("crowd");
  promise(ledger_.executing() == 0 && ledger_.executing_unreserved() == 0, "a permit was not given back");
}

/// Asks the ledger, and compares its answer with the rule, worked out from the world's own counts.
bool World::take_permit(const std::string& function) {
  Use& use = uses_[function];
  int all = 0;
  int unreserved_executing = 0;
  int reserved = 0;
  for (const auto& [name, each] : uses_) {
    all += each.executing;
    if (!each.reserved) unreserved_executing += each.executing;
    reserved += each.reserved.value_or(0);
  }
  std::optional<ThrottleReason> expected;
  if (use.reserved && use.executing >= *use.reserved) {
    expected = ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;
  } else if (all >= features_.account || (!use.reserved && unreserved_executing >= features_.account - reserved)) {
    expected = ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  const auto throttled = ledger_.acquire(function);
  promise(throttled == expected, "the ledger grants or throttles against the rule");
  if (throttled) return false;
  ++use.executing;
  promise(ledger_.executing() == all + 1 && ledger_.executing() <= features_.account,
          "the ledger passes the account's limit");
  return true;
}

void World::give_permit_back(const std::string& function) {
  ledger_.release(function);
  --uses_[function].executing;
}

bool World::expired(const Stored& record) const {
  return features_.retry.maximum_record_age && now_.wall - record.arrival > *features_.retry.maximum_record_age;
}

std::size_t World::index_of(const Shard& shard, const Position& position) const {
  const std::uint64_t offset = position.number().value_or(UINT64_MAX) - shard.first_position;
  const bool known = offset % shard.position_step == 0 && offset / shard.position_step < shard.records.size();
  if (!known) throw BrokenBelief("shard " + std::to_string(shard.index) + ": no record stands at " + position.text());
  return static_cast<std::size_t>(offset / shard.position_step);
}

}  // namespace weir::simulation
