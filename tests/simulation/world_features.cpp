#include <algorithm>
#include <sstream>

#include "world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kSmallestPayload = 400;
constexpr std::size_t kSmallestWindowPayload = 1200;  // a window's members and its state have to fit

}  // namespace

Features::Features(Random& random, Topology topology) : troubles(Draw{random}) {
  const Draw draw{random};
  const auto sometimes = [&](double most) { return draw.sometimes(most); };
  engine::BatchLimits& batch = settings.batch;
  engine::BufferLimits& buffer = settings.buffer;
  engine::RetryLimits& retry = settings.retry;

  if (random.chance(0.25)) {
    engine::TumblingWindow& tumbling = settings.tumbling.emplace();
    tumbling.length = draw.chance(0.5) ? Duration(draw.seconds_up_to(5)) : Duration(draw.seconds_up_to(100));
    tumbling.shard_id = "shardId-000000000000";
    tumbling.source_arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";
    tumbling.max_state_bytes = 40;
    tumbling.idle_close = draw.chance(0.5) ? Duration(0) : Duration(draw.seconds_up_to(120));
  } else {
    if (random.chance(0.4)) settings.parallelization_factor = static_cast<int>(draw.one_of({2, 3, 10}));
    filtered = sometimes(0.8);
    // A long run of records that nobody wants.
    if (filtered > 0 && random.chance(0.1)) filtered = 1;
  }
  settings.bisect_batch_on_function_error = random.chance(0.4);
  settings.report_batch_item_failures = random.chance(0.4);
  batch.batch_size = draw.one_of({1, 2, 3, 5, 10, 100, 10'000});
  if (random.chance(0.5)) batch.window = random.chance(0.5) ? Duration(500ms) : draw.seconds_up_to(300);
  if (random.chance(0.5)) batch.window_opens = engine::WindowOpens::kPreviousEnd;
  if (random.chance(0.5)) batch.oversized = engine::Oversized::kUseAttempts;
  if (random.chance(0.4)) buffer.max_records = batch.batch_size + random.below(5);
  buffer.max_records = std::max(buffer.max_records, batch.batch_size);
  if (random.chance(0.4)) buffer.max_bytes = 200 + random.below(3000);
  if (random.chance(0.5)) retry.maximum_retry_attempts = static_cast<int>(random.below(5));
  if (random.chance(0.4)) retry.maximum_record_age = 60s + draw.seconds_up_to(300);
  retry.backoff_min = std::chrono::milliseconds(draw.one_of({1, 50, 200, 1000}));
  retry.backoff_max = std::chrono::milliseconds(draw.one_of({1000, 10'000, 60'000}));
  if (random.chance(0.5)) {
    batch.max_payload_bytes = (settings.tumbling ? kSmallestWindowPayload : kSmallestPayload) + random.below(1600);
    batch.envelope_bytes = random.below(100);
    // Where nothing ends its attempts, a record that is too large blocks its lane for ever.
    oversized = random.chance(0.5) && (batch.oversized == engine::Oversized::kGiveUp || gives_up());
  }

  shards = 1 + random.below(8);
  records = 1 + random.below(200);
  keys = draw.one_of({1, 2, 5, 16, 16});
  aggregates = settings.parallelization_factor == 1 ? sometimes(0.6) : 0;
  waits_for_data = random.chance(0.5);
  // The idle end of a window is minutes away.
  idle_poll = std::chrono::milliseconds(settings.tumbling ? 5000 : draw.one_of({200, 1000, 5000}));
  ends = random.chance(0.5);
  end_with_records = random.chance(0.5);
  backlog = random.chance(0.4);
  old_records = random.chance(0.4);
  short_reads = random.chance(0.3);

  poison = sometimes(0.1);
  fails = sometimes(0.5);
  reports = sometimes(1);
  malformed = sometimes(0.3);
  no_state = settings.tumbling ? sometimes(0.2) : 0;
  large_state = settings.tumbling ? sometimes(0.3) : 0;
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
    // A crowd of lanes around few permits does little but being throttled.
    if (settings.parallelization_factor > 1) shards = 1 + shards % 2;
  }
  destination = random.chance(0.5);
  if (topology == Topology::kStream) {
    functions = 1;
    reshards = draw.chance(0.9) ? random.unit() * 0.2 : 0;
    trims = draw.chance(0.5);
    // Shards that come one after the other take long where calls that are never answered hold the few permits.
    if (account < 10) records = 1 + records / 2;
  }
}

std::string Features::describe() const {
  const engine::BatchLimits& batch = settings.batch;
  const engine::RetryLimits& retry = settings.retry;
  std::ostringstream out;
  out << shards << " shards, " << records << " records, " << keys << " keys; lanes " << settings.parallelization_factor
      << ", batch_size " << batch.batch_size << ", window " << as_seconds(batch.window) << " s, payload "
      << batch.max_payload_bytes << " with envelope " << batch.envelope_bytes << "; buffer "
      << settings.buffer.max_records << " records, " << settings.buffer.max_bytes << " bytes; retries "
      << retry.maximum_retry_attempts << ", age "
      << (retry.maximum_record_age ? as_seconds(*retry.maximum_record_age) : -1.0) << " s, backoff "
      << as_seconds(retry.backoff_min) << " to " << as_seconds(retry.backoff_max) << " s; account " << account;
  if (settings.tumbling) {
    out << ", tumbling " << as_seconds(settings.tumbling->length) << " s, closed after "
        << as_seconds(settings.tumbling->idle_close) << " s";
  }
  name_features(out,
                {{"filtered", filtered},
                 {"aggregates", aggregates},
                 {"reshards", reshards},
                 {"poison", poison},
                 {"fails", fails},
                 {"reports", reports},
                 {"malformed", malformed},
                 {"no_state", no_state},
                 {"large_state", large_state},
                 {"throttled", throttled},
                 {"service_errors", service_errors},
                 {"cancelled", cancelled},
                 {"late", late},
                 {"never", never}},
                {{"bisect", settings.bisect_batch_on_function_error},
                 {"report", settings.report_batch_item_failures},
                 {"window since the previous end", batch.window_opens == engine::WindowOpens::kPreviousEnd},
                 {"oversized use attempts", batch.oversized == engine::Oversized::kUseAttempts},
                 {"waits_for_data", waits_for_data},
                 {"ends", ends},
                 {"end_with_records", end_with_records},
                 {"backlog", backlog},
                 {"old_records", old_records},
                 {"oversized", oversized},
                 {"short_reads", short_reads},
                 {"trims", trims},
                 {"reservations", reservations},
                 {"destination", destination}});
  troubles.name(out);
  return out.str();
}

}  // namespace weir::simulation
