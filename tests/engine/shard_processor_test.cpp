#include "engine/shard_processor.h"

#include <set>

#include <catch2/catch.hpp>

#include "support/print.h"
#include "support/shard_driver.h"

using namespace std::chrono_literals;
using weir::BrokenBelief;
using weir::Duration;
using weir::engine::BatchLimits;
using weir::engine::Kept;
using weir::engine::ResponseContext;
using weir::engine::RetryLimits;
using weir::engine::ShardSettings;
using weir::test::ShardDriver;

namespace {

/// Settings of which a test names what it is about. Batches of two, no waiting.
ShardSettings shard_of(BatchLimits batch, RetryLimits retry = {}) {
  ShardSettings settings;
  settings.batch = batch;
  settings.retry = retry;
  settings.seed = 7;
  return settings;
}
ShardSettings pairs(RetryLimits retry = {}) {
  return shard_of({.batch_size = 2}, retry);
}

/// Answers with failures, whatever is invoked, until something is discarded; says how often the function ran.
int runs_until_discard(ShardDriver& drive, std::string wish) {
  int runs = 0;
  while (wish.find("discard") == std::string::npos && runs < 100) {
    if (wish.find("invoke") != std::string::npos) {
      ++runs;
      wish = drive.fails();
    } else {
      wish = drive.at_wake();
    }
  }
  return runs;
}

}  // namespace

TEST_CASE("a batch is released when the first of its limits is reached") {
  SECTION("window 0: as soon as anything is there") {
    ShardDriver drive(shard_of({.batch_size = 100}));
    CHECK(drive.start() == "fetch");
    CHECK(drive.gives(3) == "invoke 1-3, fetch");
    CHECK(drive.gives(2) == "fetch");  // one batch in flight, the next one is filled meanwhile
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.succeeds() == "invoke 4-6, checkpoint 3");
  }
  SECTION("batch size: never more records, and no waiting for the window") {
    ShardDriver drive(shard_of({.batch_size = 2, .window = 5s}));
    drive.start();
    CHECK(drive.gives(4) == "invoke 1-2");
    CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
  }
  SECTION("window: opens with the first record, is not moved by later ones, closes by itself") {
    ShardDriver drive(shard_of({.batch_size = 100, .window = 5s}));
    drive.start();
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.wait() == Duration(5s));
    CHECK(drive.after(3s).empty());
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.wait() == Duration(2s));
    CHECK(drive.after(2s - 1ns).empty());
    CHECK(drive.after(1ns) == "invoke 1-2");
  }
  SECTION("window: batches of 2, window 5 s, five records at once give 1-2, 3-4, and 5 after 5 s") {
    // Source: recorded from AWS, reference/stream-sources.md 3
    ShardDriver drive(shard_of({.batch_size = 2, .window = 5s}));
    drive.start();
    CHECK(drive.gives(4) == "invoke 1-2");
    CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.checkpoint(true).empty());
    CHECK(drive.succeeds() == "checkpoint 4");
    CHECK(drive.wait() == Duration(5s));
    CHECK(drive.at_wake() == "invoke 5");
  }
  SECTION("window: runs on while the batch before is in flight") {
    ShardDriver drive(shard_of({.batch_size = 2, .window = 5s}));
    drive.start();
    drive.gives(2);
    drive.gives(1);
    drive.after(6s);
    CHECK(drive.succeeds() == "invoke 3, checkpoint 2");
  }
  SECTION("window: counts from the record's coming, also when it waited for the batch before it to close") {
    ShardDriver drive(shard_of({.batch_size = 100, .window = 5s, .max_payload_bytes = 250}));
    drive.start();
    CHECK(drive.gives_sizes({100, 100, 100, 100, 100}) == "invoke 1-2, fetch");  // 3-4 are next, 5 waits behind them
    drive.after(3s);
    CHECK(drive.succeeds() == "invoke 3-4, checkpoint 2");
    drive.after(1s);
    CHECK(drive.succeeds().empty());
    CHECK(drive.wait() == Duration(1s));
  }
  SECTION("the end of the shard: nothing more can come") {
    ShardDriver drive(shard_of({.batch_size = 100, .window = 300s}));
    drive.start();
    CHECK(drive.ends(3) == "invoke 1-3");
  }
}

TEST_CASE("the payload limit holds for the whole encoded event, commas and envelope included") {
  struct Row {
    std::string_view sentence;
    std::vector<std::size_t> sizes;
    std::string first_invoke;
    std::size_t payload_bytes;
  };
  // 1000 bytes, of which the envelope takes 20.
  const auto row = GENERATE(values<Row>({
      {"two records and a comma fit exactly", {489, 490, 10}, "invoke 1-2", 1000},
      {"one byte more and the second waits", {490, 490, 10}, "invoke 1", 510},
      {"a comma is counted too", {489, 489, 1}, "invoke 1-2", 999},
      {"one record alone fits exactly", {980, 1}, "invoke 1", 1000},
      {"small records after a large one still fit in order", {900, 78, 1}, "invoke 1-2", 999},
  }));
  DYNAMIC_SECTION(row.sentence) {
    ShardDriver drive(shard_of({.batch_size = 100, .window = 5s, .max_payload_bytes = 1000, .envelope_bytes = 20}));
    drive.start();
    const std::string wish = drive.gives_sizes(row.sizes);
    CHECK(wish.substr(0, wish.find(',')) == row.first_invoke);
    CHECK(drive.invoke().payload_bytes == row.payload_bytes);
  }
}

TEST_CASE("a record that is too large alone is given up on at once, and the shard goes on") {
  ShardDriver drive(shard_of({.batch_size = 100, .max_payload_bytes = 1000, .envelope_bytes = 20}));
  drive.start();
  CHECK(drive.gives_sizes({100, 981, 100}) == "invoke 1, fetch");
  CHECK(drive.succeeds() == "discard 2 MaximumPayloadSizeExceeded, checkpoint 1");
  CHECK(drive.discard().approximate_invoke_count == 1);
  CHECK(drive.discard().response == ResponseContext::kNone);
  CHECK(drive.checkpoint(true).empty());
  CHECK(drive.discarded(true) == "invoke 3, checkpoint 2");
  CHECK(drive.shard().counters().dropped_events == 1);
}

TEST_CASE("Lambda's real limits: 6 MB of payload, 10000 records") {
  const BatchLimits limits{.batch_size = 10'000, .envelope_bytes = 12};
  ShardDriver drive(shard_of(limits));
  drive.start();
  SECTION("6 291 456 bytes go, one more does not") {
    CHECK(drive.gives_sizes({6'291'444}) == "invoke 1, fetch");
    CHECK(drive.invoke().payload_bytes == 6'291'456);
    CHECK(drive.gives_sizes({6'291'445}) == "fetch");
    CHECK(drive.succeeds() == "discard 2 MaximumPayloadSizeExceeded, checkpoint 1");
  }
  SECTION("10000 records go as one batch") {
    CHECK(drive.gives(10'000) == "invoke 1-10000, fetch");
  }
}

TEST_CASE("one shard, records 1 and 2 as one batch, the function always fails") {
  struct Row {
    int retries;
    int runs;
  };
  // Source: recorded from AWS (1 retry gives 2 runs, 2 give 3, 3 give 4), reference/stream-sources.md 5.1
  const auto row = GENERATE(values<Row>({{0, 1}, {1, 2}, {2, 3}, {3, 4}, {20, 21}}));
  DYNAMIC_SECTION(row.retries << " retries are " << row.runs << " runs") {
    ShardDriver drive(pairs({.maximum_retry_attempts = row.retries}));
    drive.start();
    CHECK(runs_until_discard(drive, drive.gives(2)) == row.runs);
    CHECK(drive.discard().condition == weir::engine::DiscardCondition::kRetryAttemptsExhausted);
    CHECK(drive.discard().approximate_invoke_count == row.runs);
    CHECK(drive.discard().request_id == drive.invoke().request_id);
    CHECK(drive.discard().response == ResponseContext::kUnhandled);
  }
}

TEST_CASE("a retry waits, longer each time, and is the same batch under the same request id") {
  ShardDriver drive(pairs({.backoff_min = 200ms, .backoff_max = 1min}));
  drive.start();
  drive.gives(2);
  const std::string request_id = drive.invoke().request_id;
  CHECK(request_id.size() == 36);
  Duration ceiling = 200ms;
  for (int failures = 1; failures <= 12; ++failures) {
    CHECK(drive.invoke().attempt == failures);
    drive.fails();
    const Duration wait = drive.wait().value();
    CHECK(wait >= Duration(100ms));
    CHECK(wait <= ceiling);
    CHECK(drive.after(wait - 1ns).empty());
    CHECK(drive.after(1ns) == "invoke 1-2");
    CHECK(drive.invoke().request_id == request_id);
    ceiling = std::min<Duration>(ceiling * 2, 1min);
  }
}

TEST_CASE("what is not a run of the function uses up no attempt") {
  using Answer = std::string (ShardDriver::*)();
  struct Row {
    std::string_view sentence;
    Answer answer;
  };
  const auto row = GENERATE(values<Row>({
      {"a throttle", &ShardDriver::throttled},
      {"a service error", &ShardDriver::service_error},
      {"a cancelled call", &ShardDriver::cancelled},
  }));
  DYNAMIC_SECTION(row.sentence) {
    ShardDriver drive(pairs({.maximum_retry_attempts = 1}));
    drive.start();
    drive.gives(2);
    const std::string request_id = drive.invoke().request_id;
    for (int i = 0; i < 50; ++i) {
      (drive.*row.answer)();
      CHECK(drive.at_wake() == "invoke 1-2");
      CHECK(drive.invoke().attempt == 1);
      CHECK(drive.invoke().request_id == request_id);
    }
    drive.fails();
    CHECK(drive.at_wake() == "invoke 1-2");
    CHECK(drive.invoke().attempt == 2);
    CHECK(drive.fails() == "discard 1-2 RetryAttemptsExhausted");
    CHECK(drive.discard().approximate_invoke_count == 2);
  }
}

TEST_CASE("a record is given up on by age when it is about to be handed over") {
  const RetryLimits minute{.maximum_record_age = 60s};
  SECTION("both sides of the limit") {
    ShardDriver young(pairs(minute));
    young.start();
    CHECK(young.gives(2, 60s) == "invoke 1-2, fetch");
    ShardDriver old(pairs(minute));
    old.start();
    CHECK(old.gives(2, 60s + 1ns) == "discard 1-2 RecordAgeExceeded, fetch");
    CHECK(old.discard().approximate_invoke_count == 1);  // although the function never ran, as recorded from AWS
    CHECK(old.discard().response == ResponseContext::kNone);
  }
  SECTION("only the expired front goes; the rest is handed over, also what is old behind a young one") {
    ShardDriver drive(shard_of({.batch_size = 10}, minute));
    drive.start();
    CHECK(drive.gives_ages({90s, 61s, 1s, 90s, 1s}) == "discard 1-2 RecordAgeExceeded, fetch");
    CHECK(drive.discarded(true) == "invoke 3-5, checkpoint 2");
  }
  SECTION("between retries: the rest is another batch with another id and all its attempts again") {
    ShardDriver drive(shard_of({.batch_size = 10}, {.maximum_retry_attempts = 1, .maximum_record_age = 60s}));
    drive.start();
    CHECK(drive.gives_ages({59s + 950ms, 1s}) == "invoke 1-2, fetch");
    const std::string request_id = drive.invoke().request_id;
    drive.fails();
    CHECK(drive.at_wake() == "discard 1 RecordAgeExceeded");
    CHECK(drive.discard().request_id == request_id);
    CHECK(drive.discard().response == ResponseContext::kNone);
    CHECK(drive.discarded(true) == "invoke 2, checkpoint 1");
    CHECK(drive.invoke().attempt == 1);
    CHECK(drive.invoke().request_id != request_id);
    drive.fails();
    CHECK(drive.at_wake() == "invoke 2");
    CHECK(drive.invoke().attempt == 2);
  }
  SECTION("a batch that is not full meets its age decision although the window is longer") {
    ShardDriver drive(shard_of({.batch_size = 10, .window = 300s}, minute));
    drive.start();
    CHECK(drive.gives_ages({50s, 1s}) == "fetch");
    CHECK(drive.wait() == Duration(10s + 1ns));
    CHECK(drive.at_wake() == "discard 1 RecordAgeExceeded");
    CHECK(drive.discarded(true) == "invoke 2, checkpoint 1");
  }
  SECTION("throttled for ever: only age ends it") {
    ShardDriver drive(pairs({.maximum_retry_attempts = 0, .maximum_record_age = 60s}));
    drive.start();
    std::string wish = drive.gives(2);
    while (wish.starts_with("invoke")) {
      drive.throttled();
      wish = drive.at_wake();
    }
    CHECK(wish == "discard 1-2 RecordAgeExceeded");
    CHECK(drive.shard().counters().throttles > 5);
  }
  SECTION("ages follow the wall clock, waiting does not") {
    ShardDriver drive(pairs(minute));
    drive.start();
    drive.gives(2);
    drive.fails();
    const Duration wait = drive.wait().value();
    drive.wall_clock_jumps(24h);
    CHECK(drive.after(wait - 1ns).empty());
    CHECK(drive.after(1ns) == "discard 1-2 RecordAgeExceeded");
  }
  SECTION("arrival times of other centuries do no harm") {
    ShardDriver drive(pairs(minute));
    drive.start();
    const Duration since_1824 = drive.now().wall - weir::from_epoch_milliseconds(INT64_MIN);
    CHECK(drive.gives(2, since_1824) == "discard 1-2 RecordAgeExceeded, fetch");
    const Duration from_2116 = drive.now().wall - weir::from_epoch_milliseconds(INT64_MAX);
    CHECK(drive.gives(2, from_2116).empty());
    CHECK(drive.discarded(true) == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.invoke().iterator_age == Duration(0));
  }
}

TEST_CASE("a discard is kept before the checkpoint that passes it") {
  ShardDriver drive(pairs({.maximum_retry_attempts = 0}));
  drive.start();
  drive.gives(4);
  CHECK(drive.fails() == "discard 1-2 RetryAttemptsExhausted");
  SECTION("nothing else happens to the shard meanwhile") {
    CHECK(drive.after(1h).empty());
    CHECK(drive.discarded(true) == "invoke 3-4, fetch, checkpoint 2");
  }
  SECTION("refused: tried again by itself, growing slower; nothing is read or invoked") {
    Duration ceiling = 200ms;
    for (int refusals = 0; refusals < 12; ++refusals) {
      CHECK(drive.discarded(false).empty());
      CHECK(drive.wait().value() <= ceiling);
      CHECK(drive.at_wake() == "discard 1-2 RetryAttemptsExhausted");
      ceiling = std::min<Duration>(ceiling * 2, 1min);
    }
    CHECK(drive.shard().counters().store_failures == 12);
    CHECK(drive.shard().counters().dropped_events == 0);
    CHECK(drive.discarded(true) == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.shard().counters().dropped_events == 2);
  }
}

TEST_CASE("checkpoints") {
  ShardDriver drive(pairs());
  drive.start();
  drive.gives(4);
  CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
  SECTION("one in flight; what settles meanwhile is told together") {
    CHECK(drive.gives(2).empty());
    CHECK(drive.succeeds() == "invoke 5-6, fetch");
    CHECK(drive.gives(2).empty());
    CHECK(drive.succeeds() == "invoke 7-8, fetch");
    CHECK_FALSE(drive.shard().checkpointed());
    CHECK(drive.checkpoint(true) == "checkpoint 6");
    CHECK(drive.shard().checkpointed() == weir::Position(2));
    CHECK(drive.checkpoint(true).empty());
    CHECK(drive.shard().checkpointed() == weir::Position(6));
    CHECK(drive.shard().counters().checkpoints == 2);
  }
  SECTION("refused: reading and invoking pause, what runs may finish, and it goes on by itself") {
    CHECK(drive.checkpoint(false).empty());
    CHECK(drive.gives(2).empty());    // the read that was under way
    CHECK(drive.succeeds().empty());  // 3-4; 5-6 are ready but not begun
    CHECK(drive.at_wake() == "checkpoint 4");
    CHECK(drive.checkpoint(false).empty());
    CHECK(drive.at_wake() == "checkpoint 4");
    CHECK(drive.checkpoint(true) == "invoke 5-6, fetch");
    CHECK(drive.shard().counters().store_failures == 2);
  }
}

TEST_CASE("what a source read is let go as soon as its last record is settled") {
  ShardDriver drive(pairs());
  drive.start();
  drive.gives(3);
  const std::weak_ptr<const void> first = drive.last_owner();
  CHECK(drive.gives(1).empty());
  const std::weak_ptr<const void> second = drive.last_owner();
  drive.succeeds();  // 1-2; the third record of the first read is in the next batch
  CHECK_FALSE(first.expired());
  drive.succeeds();  // 3-4
  CHECK(first.expired());
  CHECK(second.expired());
}

TEST_CASE("a full buffer reads no further") {
  SECTION("by records: two batches ahead") {
    ShardDriver drive(pairs());
    drive.start();
    CHECK(drive.fetch().max_records == 4);
    CHECK(drive.gives(3) == "invoke 1-2, fetch");
    CHECK(drive.fetch().max_records == 1);
    CHECK(drive.gives(1).empty());
    CHECK(drive.shard().unsettled() == 4);
    CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.fetch().max_records == 2);
  }
  SECTION("by records: never more than the buffer takes") {
    ShardSettings settings = shard_of({.batch_size = 100});
    settings.buffer.max_records = 150;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.fetch().max_records == 150);
    CHECK(drive.gives(150) == "invoke 1-100");
  }
  SECTION("by bytes") {
    ShardSettings settings = shard_of({.batch_size = 100});
    const std::size_t one = 10 + sizeof(weir::Record);  // the driver's records have 10 bytes of data
    settings.buffer.max_bytes = 3 * one;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.fetch().max_bytes == 3 * one);
    CHECK(drive.gives(2) == "invoke 1-2, fetch");
    CHECK(drive.fetch().max_bytes == one);
    CHECK(drive.gives(1).empty());
    CHECK(drive.succeeds() == "invoke 3, fetch, checkpoint 2");
    CHECK(drive.fetch().max_bytes == 2 * one);
  }
}

TEST_CASE("the end of a shard: everything is settled and remembered, then it is over") {
  ShardDriver drive(pairs());
  drive.start();
  CHECK(drive.ends(3) == "invoke 1-2");
  CHECK(drive.succeeds() == "invoke 3, checkpoint 2");
  CHECK(drive.succeeds().empty());
  CHECK(drive.checkpoint(true) == "checkpoint 3");
  CHECK(drive.checkpoint(true) == "drained, ended");
  CHECK(drive.shard().drained());
  CHECK(drive.stop().empty());
  CHECK_FALSE(drive.wait());
}

TEST_CASE("an empty shard that ends needs no checkpoint") {
  ShardDriver drive(pairs());
  drive.start();
  CHECK(drive.ends() == "drained, ended");
}

TEST_CASE("draining, in whatever state the shard is") {
  ShardDriver drive(shard_of({.batch_size = 2, .window = 10s}, {.maximum_retry_attempts = 1}));
  CHECK(drive.start() == "fetch");
  SECTION("waiting for records: the read is called off") {
    CHECK(drive.stop().empty());
    CHECK(drive.gives_nothing() == "drained");
  }
  SECTION("records that come after all are left to the next reader") {
    CHECK(drive.stop().empty());
    CHECK(drive.gives(2) == "drained");
    CHECK(drive.shard().counters().polled_events == 0);
  }
  SECTION("the last records of a shard that come after all do not make it ended") {
    CHECK(drive.stop().empty());
    CHECK(drive.ends(2) == "drained");
  }
  SECTION("an end without records is an end") {
    CHECK(drive.stop().empty());
    CHECK(drive.ends() == "drained, ended");
  }
  SECTION("a batch that is being filled is given back") {
    drive.gives(1);
    CHECK(drive.stop().empty());
    CHECK(drive.shard().unsettled() == 0);
    CHECK(drive.gives_nothing() == "drained");
  }
  SECTION("a shard that ended while records are left is not over") {
    CHECK(drive.ends(3) == "invoke 1-2");
    CHECK(drive.stop().empty());
    CHECK(drive.succeeds() == "checkpoint 2");
    CHECK(drive.checkpoint(true) == "drained");
  }
  SECTION("in flight, succeeds: waited for and remembered") {
    drive.gives(3);
    CHECK(drive.stop().empty());
    CHECK(drive.gives_nothing().empty());
    CHECK(drive.succeeds() == "checkpoint 2");
    CHECK(drive.checkpoint(true) == "drained");
  }
  SECTION("in flight, fails: not tried again") {
    drive.gives(2);
    drive.stop();
    drive.gives_nothing();
    CHECK(drive.fails() == "drained");
  }
  SECTION("in flight, called off at the end of patience") {
    drive.gives(2);
    drive.stop();
    drive.gives_nothing();
    CHECK(drive.cancelled() == "drained");
  }
  SECTION("in flight, its last attempt fails: still given up on properly") {
    drive.gives(2);
    drive.fails();
    CHECK(drive.at_wake() == "invoke 1-2");
    drive.stop();
    drive.gives_nothing();
    CHECK(drive.fails() == "discard 1-2 RetryAttemptsExhausted");
    CHECK(drive.discarded(true) == "checkpoint 2");
    CHECK(drive.checkpoint(true) == "drained");
  }
  SECTION("waiting for a retry: not tried again") {
    drive.gives(2);
    drive.fails();
    drive.stop();
    CHECK(drive.gives_nothing() == "drained");
  }
  SECTION("discarding, and the store refuses: given back") {
    drive.gives(2);
    drive.fails();
    drive.at_wake();
    drive.fails();
    drive.stop();
    drive.gives_nothing();
    CHECK(drive.discarded(false) == "drained");
  }
  SECTION("a refused checkpoint is tried again until it is kept") {
    drive.gives(2);
    drive.succeeds();
    drive.stop();
    drive.gives_nothing();
    CHECK(drive.checkpoint(false).empty());
    CHECK(drive.at_wake() == "checkpoint 2");
    CHECK(drive.checkpoint(true) == "drained");
  }
}

TEST_CASE("a broken contract is noticed before it can do harm") {
  ShardDriver drive(pairs());
  weir::engine::ShardProcessor& shard = drive.shard();
  SECTION("waiting while actions are left") {
    CHECK_THROWS_AS(shard.wake_at(), BrokenBelief);
  }
  SECTION("records that nobody asked for") {
    drive.start();
    drive.gives(4);
    CHECK_THROWS_AS(drive.gives(1), BrokenBelief);
  }
  SECTION("an outcome without an invocation") {
    drive.start();
    CHECK_THROWS_AS(shard.on_outcome(drive.now(), 1, weir::Outcome(weir::Succeeded{})), BrokenBelief);
  }
  SECTION("the outcome of another batch, or one told twice") {
    drive.start();
    drive.gives(2);
    CHECK_THROWS_AS(shard.on_outcome(drive.now(), drive.invoke().batch + 1, weir::Outcome(weir::Succeeded{})),
                    BrokenBelief);
    drive.succeeds();
    CHECK_THROWS_AS(drive.succeeds(), BrokenBelief);
  }
  SECTION("a checkpoint that nobody asked for") {
    drive.start();
    CHECK_THROWS_AS(drive.checkpoint(true), BrokenBelief);
  }
  SECTION("a discard that nobody asked for") {
    drive.start();
    drive.gives(2);
    CHECK_THROWS_AS(shard.on_discarded(drive.now(), drive.invoke().batch, Kept::kDeadLetter), BrokenBelief);
  }
  SECTION("settings that the configuration would refuse") {
    CHECK_THROWS_AS(ShardDriver(shard_of({.batch_size = 0})), BrokenBelief);
    ShardSettings small = pairs();
    small.buffer.max_records = 1;
    CHECK_THROWS_AS(ShardDriver(small), BrokenBelief);
  }
}

TEST_CASE("counters say what happened") {
  ShardDriver drive(pairs({.maximum_retry_attempts = 0}));
  drive.start();
  drive.gives(4, 3s);
  CHECK(drive.invoke().iterator_age == Duration(3s));
  CHECK(drive.shard().oldest_unsettled() == drive.now().wall - 3s);
  drive.throttled();
  drive.at_wake();
  drive.service_error();
  drive.at_wake();
  drive.fails();
  drive.discarded(false);
  drive.at_wake();
  drive.discarded(true);
  drive.succeeds();
  drive.checkpoint(true);
  drive.checkpoint(true);
  const weir::engine::ShardCounters& counters = drive.shard().counters();
  CHECK(counters.polled_events == 4);
  CHECK(counters.invocations == 4);
  CHECK(counters.invoked_events == 8);
  CHECK(counters.failed_invoke_events == 6);  // 1-2 three times: throttled, undelivered, failed
  CHECK(counters.function_errors == 1);
  CHECK(counters.throttles == 1);
  CHECK(counters.service_errors == 1);
  CHECK(counters.dropped_events == 2);
  CHECK(counters.settled_events == 4);
  CHECK(counters.checkpoints == 2);
  CHECK(counters.store_failures == 1);
  CHECK_FALSE(drive.shard().oldest_unsettled());
}

TEST_CASE("every batch has its own request id, and the seed repeats them") {
  std::vector<std::string> ids[2];
  for (auto& seen : ids) {
    ShardDriver drive(shard_of({.batch_size = 1}));
    drive.start();
    std::string wish = drive.gives(2);
    for (int i = 0; i < 20; ++i) {
      seen.push_back(drive.invoke().request_id);
      wish = drive.succeeds();
      if (wish.find("fetch") != std::string::npos) drive.gives(1);
      drive.checkpoint(true);
    }
  }
  CHECK(ids[0] == ids[1]);
  CHECK(std::set<std::string>(ids[0].begin(), ids[0].end()).size() == 20);
}
