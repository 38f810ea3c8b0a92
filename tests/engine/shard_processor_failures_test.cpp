#include <catch2/catch.hpp>

#include "engine/shard_processor.h"
#include "support/print.h"
#include "support/shard_driver.h"

using namespace std::chrono_literals;
using weir::Duration;
using weir::engine::DiscardCondition;
using weir::engine::Oversized;
using weir::engine::ProcessingResult;
using weir::engine::ResponseContext;
using weir::engine::ShardSettings;
using weir::test::ShardDriver;

namespace {

enum class Failure { kThrown, kReported, kNonsense };
enum class Bisect { kOff, kOn };

ShardSettings shard_of(int retries, Bisect bisect = Bisect::kOff, std::size_t batch_size = 4) {
  ShardSettings settings;
  settings.batch.batch_size = batch_size;
  settings.retry.maximum_retry_attempts = retries;
  settings.bisect_batch_on_function_error = bisect == Bisect::kOn;
  settings.report_batch_item_failures = true;
  settings.seed = 7;
  return settings;
}

/// What a function saw that always fails on some records, and what was given up on.
struct Trace {
  std::string invoked, discarded;
  std::vector<std::string> request_ids;
};

/// Hands the shard's records to a function until there is nothing to do. The reported one is the batch's first bad one.
Trace drive_through(ShardDriver& drive, std::string wish, const std::vector<std::uint64_t>& bad, Failure failure) {
  Trace trace;
  const auto add = [](std::string& to, const std::string& what) { to += (to.empty() ? "" : " ") + what; };
  for (;;) {
    if (wish.find("discard") != std::string::npos) {
      const weir::engine::Discard& discard = drive.discard();
      add(trace.discarded, weir::test::range(discard.records) + " after " +
                               std::to_string(discard.approximate_invoke_count) +
                               (discard.response == ResponseContext::kUnhandled  ? " unhandled"
                                : discard.response == ResponseContext::kReported ? " reported"
                                                                                 : ""));
      wish = drive.discarded(true);
    } else if (wish.find("invoke") != std::string::npos) {
      add(trace.invoked, weir::test::range(drive.invoke().records));
      trace.request_ids.push_back(drive.invoke().request_id);
      std::uint64_t first_bad = 0;
      for (const weir::Record& record : drive.invoke().records) {
        const std::uint64_t position = *record.position.number();
        if (first_bad == 0 && std::find(bad.begin(), bad.end(), position) != bad.end()) first_bad = position;
      }
      if (first_bad == 0) {
        wish = drive.succeeds();
      } else if (failure == Failure::kReported) {
        wish = drive.reports({first_bad});
      } else {
        wish = failure == Failure::kThrown ? drive.fails() : drive.reports_nonsense();
      }
    } else if (drive.wait()) {
      wish = drive.at_wake();
    } else {
      return trace;
    }
  }
}

}  // namespace

TEST_CASE("one shard, records 1 to 4, the function fails on record 2") {
  struct Row {
    std::string_view sentence;
    int retries;
    Failure failure;
    Bisect bisect;
    std::string_view invoked, discarded;
  };
  // Source of the first four: recorded from AWS, reference/stream-sources.md 5.1
  const auto row = GENERATE(values<Row>({
      {"a partial response retries the rest as one batch", 1, Failure::kReported, Bisect::kOff, "1-4 2-4 2-4",
       "2-4 after 2 reported"},
      {"with bisect it splits at the reported record", 1, Failure::kReported, Bisect::kOn, "1-4 2-4 2 2 3-4",
       "2 after 2 reported"},
      {"an exception with bisect halves, left half first", 1, Failure::kThrown, Bisect::kOn, "1-4 1-2 1 2 2 3-4",
       "2 after 2 unhandled"},
      {"an exception without bisect fails the whole batch", 2, Failure::kThrown, Bisect::kOff, "1-4 1-4 1-4",
       "1-4 after 3 unhandled"},
      {"splitting needs no attempt: there is none here", 0, Failure::kThrown, Bisect::kOn, "1-4 1-2 1 2 3-4",
       "2 after 1 unhandled"},
      {"a report that cannot be understood is like an exception", 1, Failure::kNonsense, Bisect::kOff, "1-4 1-4",
       "1-4 after 2 reported"},
      {"and halves like one", 1, Failure::kNonsense, Bisect::kOn, "1-4 1-2 1 2 2 3-4", "2 after 2 reported"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    ShardDriver drive(shard_of(row.retries, row.bisect));
    drive.start();
    const Trace trace = drive_through(drive, drive.ends(4), {2}, row.failure);
    CHECK(trace.invoked == row.invoked);
    CHECK(trace.discarded == row.discarded);
    CHECK(drive.shard().unsettled() == 0);
  }
}

TEST_CASE("a retry keeps the request id; a half or a rest is a new batch with an id of its own") {
  ShardDriver drive(shard_of(1, Bisect::kOn));
  drive.start();
  const Trace trace = drive_through(drive, drive.ends(4), {2}, Failure::kReported);
  REQUIRE(trace.invoked == "1-4 2-4 2 2 3-4");
  const auto& ids = trace.request_ids;
  CHECK(ids[2] == ids[3]);
  const std::vector<std::string> batches{ids[0], ids[1], ids[2], ids[4]};
  for (std::size_t i = 0; i < batches.size(); ++i) {
    CHECK(std::count(batches.begin(), batches.end(), batches[i]) == 1);
  }
}

TEST_CASE("bisecting batches that are not powers of two: the left half is the smaller one") {
  ShardDriver drive(shard_of(0, Bisect::kOn, 7));
  drive.start();
  const Trace trace = drive_through(drive, drive.ends(7), {3, 7}, Failure::kThrown);
  CHECK(trace.invoked == "1-7 1-3 1 2-3 2 3 4-7 4-5 6-7 6 7");
  CHECK(trace.discarded == "3 after 1 unhandled 7 after 1 unhandled");
}

TEST_CASE("one bad record of 1000 is found in 11 failing invocations") {
  const auto bad = GENERATE(as<std::uint64_t>(), 1, 2, 500, 501, 999, 1000);
  ShardDriver drive(shard_of(0, Bisect::kOn, 1000));
  drive.start();
  drive_through(drive, drive.ends(1000), {bad}, Failure::kThrown);
  CHECK(drive.shard().counters().function_errors <= 11);  // ceil(log2 1000) + 1
  CHECK(drive.shard().counters().dropped_events == 1);
  CHECK(drive.shard().counters().settled_events == 1000);
}

TEST_CASE("what a function reports of records 1 to 4, without bisect") {
  ShardDriver drive(shard_of(5));
  drive.start();
  drive.gives(4);
  const std::string request_id = drive.invoke().request_id;
  SECTION("nothing: complete success") {
    CHECK(drive.reports({}) == "checkpoint 4");
  }
  SECTION("several: the lowest is the checkpoint, compared as a number, and what is behind it goes again") {
    CHECK(drive.reports({4, 3}) == "invoke 3-4, checkpoint 2");
    CHECK(drive.invoke().attempt == 1);
    CHECK(drive.invoke().request_id != request_id);
    CHECK(drive.succeeds().empty());
    CHECK(drive.checkpoint(true) == "checkpoint 4");
  }
  SECTION("the last one") {
    CHECK(drive.reports({4}) == "invoke 4, checkpoint 3");
  }
  SECTION("the first one: nothing was done, the unchanged batch is tried again") {
    CHECK(drive.reports({1, 2}).empty());
    CHECK(drive.at_wake() == "invoke 1-4");
    CHECK(drive.invoke().attempt == 2);
    CHECK(drive.invoke().request_id == request_id);
  }
  SECTION("one that is not in the batch: the whole batch failed, whatever else is reported") {
    const auto failed = GENERATE(values<std::vector<std::uint64_t>>({{5}, {3, 99}, {0, 3}}));
    CHECK(drive.reports(failed).empty());
    CHECK(drive.at_wake() == "invoke 1-4");
    CHECK(drive.invoke().attempt == 2);
  }
  SECTION("what cannot be understood: the whole batch failed") {
    CHECK(drive.reports_nonsense().empty());
    CHECK(drive.at_wake() == "invoke 1-4");
  }
}

TEST_CASE("a report that nobody asked for is a success") {
  ShardSettings settings = shard_of(0);
  settings.report_batch_item_failures = false;
  ShardDriver drive(settings);
  drive.start();
  drive.gives(4);
  SECTION("of some records") {
    CHECK(drive.reports({2}) == "checkpoint 4");
  }
  SECTION("that cannot be understood") {
    CHECK(drive.reports_nonsense() == "checkpoint 4");
  }
}

TEST_CASE("what the last failure was decides what AWS's record says of it") {
  ShardDriver drive(shard_of(1));
  drive.start();
  drive.gives(2);
  SECTION("reported, then thrown") {
    drive.reports({1});
    drive.at_wake();
    CHECK(drive.fails() == "discard 1-2 RetryAttemptsExhausted");
    CHECK(drive.discard().response == ResponseContext::kUnhandled);
  }
  SECTION("thrown, then reported") {
    drive.fails();
    drive.at_wake();
    CHECK(drive.reports({1}) == "discard 1-2 RetryAttemptsExhausted");
    CHECK(drive.discard().response == ResponseContext::kReported);
    CHECK(drive.discard().approximate_invoke_count == 2);
  }
}

TEST_CASE("a discard has the version that ran last, as the endpoint said it") {
  const auto failed_in = [](const char* version) {
    weir::Outcome outcome(weir::FunctionFailed{"Unhandled", "{}"});
    outcome.executed_version = version;
    return outcome;
  };
  ShardDriver drive(shard_of(1));
  drive.start();
  drive.gives(1);
  drive.tell(failed_in("6"));
  drive.at_wake();
  SECTION("the last one counts") {
    drive.tell(failed_in("7"));
    CHECK(drive.discard().executed_version == "7");
  }
  SECTION("a throttle ran nothing") {
    drive.throttled();
    drive.at_wake();
    drive.tell(failed_in("8"));
    CHECK(drive.discard().executed_version == "8");
  }
  SECTION("an endpoint that says nothing") {
    drive.fails();
    CHECK(drive.discard().executed_version == "$LATEST");
  }
}

TEST_CASE("draining settles what a report says is done and hands over nothing more") {
  ShardDriver drive(shard_of(1));
  drive.start();
  drive.gives(4);
  drive.stop();
  drive.gives_nothing();
  CHECK(drive.reports({3}) == "checkpoint 2");
  CHECK(drive.checkpoint(true) == "drained");
}

TEST_CASE("Kinesis: a record that is too large uses attempts and never reaches the function") {
  ShardSettings settings = shard_of(2);
  settings.batch.max_payload_bytes = 1000;
  settings.batch.envelope_bytes = 20;
  settings.batch.oversized = Oversized::kUseAttempts;
  SECTION("2 retries: given up on after 3 tries, and the shard goes on") {
    // Source: recorded from AWS, reference/stream-sources.md 3
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_sizes({981, 100}) == "fetch");
    CHECK(drive.at_wake().empty());
    CHECK(drive.at_wake() == "discard 1 RetryAttemptsExhausted");
    CHECK(drive.discard().approximate_invoke_count == 3);
    CHECK(drive.discard().response == ResponseContext::kNone);
    CHECK(drive.discarded(true) == "invoke 2, checkpoint 1");
    CHECK(drive.shard().counters().invocations == 1);
    CHECK(drive.shard().last_result() == ProcessingResult::kNone);
  }
  SECTION("no retry: at once") {
    settings.retry.maximum_retry_attempts = 0;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_sizes({981}) == "discard 1 RetryAttemptsExhausted, fetch");
    CHECK(drive.discard().approximate_invoke_count == 1);
  }
  SECTION("one byte less is handed over") {
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_sizes({980}) == "invoke 1, fetch");
  }
  SECTION("retries without end: only age ends it") {
    settings.retry.maximum_retry_attempts = -1;
    settings.retry.maximum_record_age = 60s;
    ShardDriver drive(settings);
    drive.start();
    std::string wish = drive.gives_sizes({981});
    int tries = 1;
    for (; wish.find("discard") == std::string::npos; ++tries) wish = drive.at_wake();
    CHECK(wish == "discard 1 RecordAgeExceeded");
    CHECK(tries > 5);
    CHECK(drive.discard().response == ResponseContext::kNone);
  }
}

TEST_CASE("the last result, as LastProcessingResult says it") {
  ShardSettings settings = shard_of(-1);
  settings.retry.maximum_record_age = 60s;
  ShardDriver drive(settings);
  drive.start();
  CHECK(text(drive.shard().last_result()) == "No records processed");
  CHECK(drive.shard().last_result_at() == weir::WallTime());
  SECTION("records that were too old before any invocation leave it") {
    CHECK(drive.gives(4, 61s) == "discard 1-4 RecordAgeExceeded, fetch");
    drive.discarded(true);
    CHECK(drive.shard().last_result() == ProcessingResult::kNone);
  }
  SECTION("so do calls that did not run the function") {
    drive.gives(4);
    drive.throttled();
    drive.at_wake();
    drive.service_error();
    CHECK(drive.shard().last_result() == ProcessingResult::kNone);
    drive.at_wake();
    drive.fails();
    drive.at_wake();
    drive.throttled();
    CHECK(drive.shard().last_result() == ProcessingResult::kFailed);
  }
  SECTION("a failure, and a success after it") {
    drive.gives(4);
    drive.after(3s);
    const weir::WallTime failed_at = drive.now().wall;
    drive.fails();
    CHECK(text(drive.shard().last_result()) == "PROBLEM: Function call failed");
    CHECK(drive.shard().last_result_at() == failed_at);
    drive.at_wake();
    drive.succeeds();
    CHECK(text(drive.shard().last_result()) == "OK");
    CHECK(drive.shard().last_result_at() > failed_at);
  }
  SECTION("a partial failure leaves OK, also when all of the batch is reported") {
    drive.gives(4);
    drive.reports({2});
    CHECK(drive.shard().last_result() == ProcessingResult::kOk);
    drive.reports_nonsense();
    CHECK(drive.shard().last_result() == ProcessingResult::kOk);
  }
}

TEST_CASE("a partial failure counts all records of its batch as failed") {
  ShardDriver drive(shard_of(0));
  drive.start();
  drive.gives(4);
  drive.reports({4});
  CHECK(drive.shard().counters().failed_invoke_events == 4);
  CHECK(drive.shard().counters().settled_events == 3);
  CHECK(drive.shard().counters().function_errors == 0);
  drive.reports({4});
  CHECK(drive.shard().counters().failed_invoke_events == 5);
  CHECK(drive.discarded(weir::engine::Kept::kDestination).empty());
  CHECK(drive.shard().counters().destination_events == 1);
  CHECK(drive.shard().counters().dropped_events == 0);
}
