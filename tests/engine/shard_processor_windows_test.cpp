#include <catch2/catch.hpp>

#include "engine/shard_processor.h"
#include "support/print.h"
#include "support/shard_driver.h"

using namespace std::chrono_literals;
using weir::BrokenBelief;
using weir::Duration;
using weir::engine::DiscardCondition;
using weir::engine::Oversized;
using weir::engine::ProcessingResult;
using weir::engine::ResponseContext;
using weir::engine::ShardSettings;
using weir::engine::TumblingWindow;
using weir::engine::WindowOpens;
using weir::test::ShardDriver;

namespace {

ShardSettings counted_from_the_previous_end(std::size_t batch_size) {
  ShardSettings settings;
  settings.batch.batch_size = batch_size;
  settings.batch.window = 5s;
  settings.batch.window_opens = WindowOpens::kPreviousEnd;
  settings.seed = 7;
  return settings;
}

/// Windows of 60 s, batches of two. The driver's clock begins with a window.
ShardSettings tumbling() {
  ShardSettings settings;
  settings.batch.batch_size = 2;
  settings.batch.envelope_bytes = 20;
  settings.batch.oversized = Oversized::kUseAttempts;
  settings.retry.maximum_retry_attempts = 1;
  settings.seed = 7;
  TumblingWindow window;
  window.length = 60s;
  window.shard_id = "shardId-000000000000";
  window.source_arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";
  window.max_state_bytes = 20;
  settings.tumbling = window;
  return settings;
}

}  // namespace

TEST_CASE("batching windows that open as the previous invocation ends") {
  SECTION("batches of 2, window 5 s, five records give 1-2, 3-4, and 5 at the end of its window") {
    // Source: recorded from AWS (4.99 s), reference/stream-sources.md 3
    ShardDriver drive(counted_from_the_previous_end(2));
    drive.start();
    CHECK(drive.gives(4) == "invoke 1-2");
    CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.gives(1) == "fetch");
    drive.after(10ms);
    drive.succeeds();
    CHECK(drive.wait() == Duration(5s));
    CHECK(drive.at_wake() == "invoke 5");
  }
  SECTION("an empty window is followed by the next: a record waits for the end of the one it came in") {
    ShardDriver drive(counted_from_the_previous_end(10));
    drive.start();
    drive.gives_nothing();  // the shard begins
    drive.after(12s);
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.wait() == Duration(3s));
    CHECK(drive.after(3s - 1ns).empty());
    CHECK(drive.after(1ns) == "invoke 1");
  }
  SECTION("as one ends the next begins") {
    ShardDriver drive(counted_from_the_previous_end(10));
    drive.start();
    drive.gives_nothing();
    drive.after(5s);
    CHECK(drive.gives(1) == "fetch");
    CHECK(drive.wait() == Duration(5s));
  }
  SECTION("a record that came while the invocation ran waits a whole window from its end") {
    ShardDriver drive(counted_from_the_previous_end(2));
    drive.start();
    drive.gives(2);
    drive.gives(1);
    drive.after(7s);
    CHECK(drive.succeeds() == "checkpoint 2");
    CHECK(drive.wait() == Duration(5s));
  }
  SECTION("a failed invocation ends too") {
    ShardDriver drive(counted_from_the_previous_end(2));
    drive.start();
    drive.gives(2);
    drive.fails();
    drive.at_wake();
    drive.gives(1);
    drive.after(1s);
    drive.succeeds();
    CHECK(drive.wait() == Duration(5s));
  }
  SECTION("the batch is full") {
    ShardDriver drive(counted_from_the_previous_end(2));
    drive.start();
    drive.gives(1);
    drive.after(1s);
    CHECK(drive.gives(1) == "invoke 1-2, fetch");
  }
  SECTION("the payload is full") {
    ShardSettings settings = counted_from_the_previous_end(10);
    settings.batch.max_payload_bytes = 250;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives(2) == "fetch");
    CHECK(drive.gives(1) == "invoke 1-2, fetch");
  }
  SECTION("the shard ends") {
    ShardDriver drive(counted_from_the_previous_end(10));
    drive.start();
    CHECK(drive.ends(1) == "invoke 1");
  }
  SECTION("the age of a record must be decided") {
    ShardSettings settings = counted_from_the_previous_end(10);
    settings.retry.maximum_record_age = 60s;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_ages({58s, 1s}) == "fetch");
    CHECK(drive.wait() == Duration(2s + 1ns));
    CHECK(drive.at_wake() == "discard 1 RecordAgeExceeded");
  }
}

TEST_CASE("a tumbling window: its state goes from call to call, and a final call ends it") {
  ShardDriver drive(tumbling());
  drive.start();
  CHECK(drive.gives(2) == "invoke 1-2 of 0 {}, fetch");
  CHECK(drive.gives(1) == "fetch");
  CHECK(drive.answers_state(R"({"n":2})") == R"(invoke 3 of 0 {"n":2})");  // nothing is remembered of an open window
  CHECK(drive.answers_state(R"({"n":3})").empty());
  SECTION("a record of a later window is read") {
    drive.after(60s);
    CHECK(drive.gives(1) == R"(final nothing of 0 {"n":3}, fetch)");
    CHECK(drive.invoke().iterator_age == Duration(0));
    CHECK(drive.invoke().attempt == 1);
    CHECK(drive.answers_state("{}") == "invoke 4 of 60 {}, checkpoint 3");
    CHECK(drive.checkpoint(true).empty());
    CHECK(drive.shard().checkpointed() == weir::Position(3));
  }
  SECTION("windows in which nothing came are not told of") {
    drive.after(200s);  // the idle shard's window was ended meanwhile
    drive.answers_state("{}");
    CHECK(drive.gives(1) == "invoke 4 of 180 {}, fetch");
  }
  SECTION("a shard that stays idle: a while after the end of the window") {
    CHECK(drive.wait() == Duration(180s));
    CHECK(drive.after(180s - 1ns).empty());
    CHECK(drive.after(1ns) == R"(final nothing of 0 {"n":3})");
    CHECK(drive.answers_state("{}") == "checkpoint 3");
    CHECK_FALSE(drive.wait());
  }
  SECTION("the shard ends") {
    CHECK(drive.ends() == R"(final nothing of 0 {"n":3})");
    CHECK(drive.answers_state("{}") == "checkpoint 3");
    CHECK(drive.checkpoint(true) == "drained, ended");
  }
  SECTION("the shard ends with records of a later window") {
    drive.after(60s);
    CHECK(drive.ends(1) == R"(final nothing of 0 {"n":3})");
    CHECK(drive.answers_state("{}") == "invoke 4 of 60 {}, checkpoint 3");
    CHECK(drive.answers_state("{}") == "final nothing of 60 {}");
    CHECK(drive.answers_state("{}").empty());
    CHECK(drive.checkpoint(true) == "checkpoint 4");
    CHECK(drive.checkpoint(true) == "drained, ended");
  }
  SECTION("draining forgets the window: it is read again from its first record") {
    CHECK(drive.stop().empty());
    CHECK(drive.gives_nothing() == "drained");
    CHECK_FALSE(drive.shard().checkpointed());
  }
  SECTION("draining while the shard has ended: it is not over") {
    CHECK(drive.ends() == R"(final nothing of 0 {"n":3})");
    CHECK(drive.stop().empty());
    CHECK(drive.fails() == "drained");
  }
}

TEST_CASE("a batch never has records of two windows") {
  ShardSettings settings = tumbling();
  settings.batch.batch_size = 10;
  ShardDriver drive(settings);
  drive.start();
  drive.after(70s);
  CHECK(drive.gives_ages({20s, 10s + 1ns, 10s, 5s}) == "invoke 1-2 of 0 {}, fetch");
  CHECK(drive.answers_state(R"("x")") == R"(final nothing of 0 "x")");
  CHECK(drive.answers_state("{}") == "invoke 3-4 of 60 {}, checkpoint 2");
}

TEST_CASE("windows never go back: a record that came late counts for the one that is worked on") {
  ShardDriver drive(tumbling());
  drive.start();
  drive.after(70s);
  CHECK(drive.gives_ages({5s, 30s}) == "invoke 1-2 of 60 {}, fetch");
  CHECK(drive.answers_state("{}").empty());
  CHECK(drive.gives_ages({65s}) == "invoke 3 of 60 {}, fetch");
}

TEST_CASE("windows are aligned to the epoch, also before it") {
  ShardDriver drive(tumbling());
  drive.start();
  const Duration since_1969 = drive.now().wall.time_since_epoch() + 90s;
  drive.gives(1, since_1969);
  REQUIRE(drive.invoke().window);
  CHECK(drive.invoke().window->start == weir::WallTime(-120s));
  CHECK(drive.invoke().window->end == weir::WallTime(-60s));
}

TEST_CASE("an answer without a state is a failed invocation") {
  ShardDriver drive(tumbling());
  drive.start();
  drive.gives(2);
  CHECK(drive.succeeds().empty());
  CHECK(drive.shard().last_result() == ProcessingResult::kFailed);
  CHECK(drive.shard().counters().failed_invoke_events == 2);
  CHECK(drive.shard().counters().function_errors == 0);
  CHECK(drive.at_wake() == "invoke 1-2 of 0 {}");
  CHECK(drive.invoke().attempt == 2);
  CHECK(drive.succeeds() == "discard 1-2 of 0 {} RetryAttemptsExhausted");
  CHECK(drive.discard().response == ResponseContext::kReported);
  CHECK(drive.discarded(true).empty());
}

TEST_CASE("inside a window a failed batch is tried again, halved and given up on with the state as it is") {
  ShardSettings settings = tumbling();
  settings.bisect_batch_on_function_error = true;
  settings.report_batch_item_failures = true;
  settings.retry.maximum_retry_attempts = 0;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives(2) == "invoke 1-2 of 0 {}, fetch");
  CHECK(drive.fails() == "invoke 1 of 0 {}");
  CHECK(drive.answers_state("1") == "invoke 2 of 0 1");
  CHECK(drive.fails() == "discard 2 of 0 1 RetryAttemptsExhausted");
  CHECK(drive.discarded(true).empty());
  drive.after(60s);
  CHECK(drive.gives(1) == "final nothing of 0 1, fetch");
}

TEST_CASE("a partial failure in a window keeps the state of what was done") {
  ShardSettings settings = tumbling();
  settings.report_batch_item_failures = true;
  ShardDriver drive(settings);
  drive.start();
  drive.gives(2);
  weir::BatchResponse response;
  response.items = weir::BatchResponse::Items::kSomeFailed;
  response.state = "7";
  SECTION("the rest goes again with it") {
    response.failed = {weir::Position(2)};
    CHECK(drive.tell(weir::Outcome(weir::Succeeded{}), response) == "invoke 2 of 0 7");
  }
  SECTION("nothing was done: the state is not taken over") {
    response.failed = {weir::Position(1)};
    drive.tell(weir::Outcome(weir::Succeeded{}), response);
    CHECK(drive.at_wake() == "invoke 1-2 of 0 {}");
  }
}

TEST_CASE("a window in which the function never ran has no final call") {
  ShardSettings settings = tumbling();
  settings.retry.maximum_record_age = 60s;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives(2, 61s) == "discard 1-2 of -120 {} RecordAgeExceeded, fetch");
  CHECK(drive.discarded(true) == "checkpoint 2");
  drive.after(1h);
  CHECK(drive.gives(2) == "invoke 3-4 of 3600 {}, fetch");
}

TEST_CASE("a final call that fails") {
  ShardSettings settings = tumbling();
  ShardDriver drive(settings);
  drive.start();
  drive.gives(2);
  drive.answers_state("5");
  drive.after(60s);
  CHECK(drive.gives(1) == "final nothing of 0 5, fetch");
  const std::string request_id = drive.invoke().request_id;
  SECTION("is tried again, given up on without records, and the shard moves on") {
    // Source: recorded from AWS, reference/stream-sources.md 8
    CHECK(drive.fails().empty());
    CHECK(drive.at_wake() == "final nothing of 0 5");
    CHECK(drive.invoke().request_id == request_id);
    CHECK(drive.fails() == "discard nothing of 0 5 RetryAttemptsExhausted");
    CHECK(drive.discard().approximate_invoke_count == 2);
    CHECK(drive.discard().window->is_final);
    CHECK(drive.discarded(false).empty());
    CHECK(drive.at_wake() == "discard nothing of 0 5 RetryAttemptsExhausted");
    CHECK(drive.discarded(true) == "invoke 3 of 60 {}, checkpoint 2");
  }
  SECTION("a throttle uses up no attempt of it") {
    for (int i = 0; i < 5; ++i) {
      drive.throttled();
      CHECK(drive.at_wake() == "final nothing of 0 5");
    }
    CHECK(drive.invoke().attempt == 1);
  }
  SECTION("the store refuses: it waits") {
    drive.fails();
    drive.at_wake();
    drive.fails();
    drive.discarded(false);
    drive.gives(1);
    CHECK(drive.shard().in_flight() == false);
  }
  SECTION("a report of its records cannot be meant") {
    CHECK(drive.succeeds().empty());  // no state
    CHECK(drive.at_wake() == "final nothing of 0 5");
  }
}

TEST_CASE("a final call may be tried for as long as a record may be old") {
  ShardSettings settings = tumbling();
  settings.retry.maximum_retry_attempts = -1;
  settings.retry.maximum_record_age = 60s;
  ShardDriver drive(settings);
  drive.start();
  drive.gives(2);
  drive.answers_state("5");
  CHECK(drive.after(180s) == "final nothing of 0 5");  // its records are long too old
  std::string wish;
  int tries = 0;
  for (; wish.find("discard") == std::string::npos; ++tries) {
    drive.fails();
    wish = drive.at_wake();
  }
  CHECK(wish == "discard nothing of 0 5 RecordAgeExceeded");
  CHECK(tries > 5);
  CHECK(drive.discard().response == ResponseContext::kNone);
}

TEST_CASE("a state that grows too large ends its window early") {
  ShardDriver drive(tumbling());
  drive.start();
  drive.gives(2);
  drive.gives(1);
  const std::string limit(20, '1');
  SECTION("at the limit: nothing happens") {
    CHECK(drive.answers_state(limit) == "invoke 3 of 0 " + limit);
  }
  SECTION("one byte more: a final call at once with all of it, then the window goes on with {}") {
    const std::string state = limit + "1";
    CHECK(drive.answers_state(state) == "final nothing of 0 early " + state);
    CHECK(drive.answers_state("{}") == "invoke 3 of 0 {}, checkpoint 2");
    CHECK(drive.answers_state("3").empty());
    drive.checkpoint(true);
    drive.after(60s);
    CHECK(drive.gives(1) == "final nothing of 0 3, fetch");
  }
  SECTION("a window that nothing came to afterwards is over already") {
    const std::string state = limit + "1";
    CHECK(drive.answers_state(state) == "final nothing of 0 early " + state);
    CHECK(drive.answers_state("{}") == "invoke 3 of 0 {}, checkpoint 2");
    CHECK(drive.answers_state(state) == "final nothing of 0 early " + state);
    CHECK(drive.answers_state("{}").empty());
    drive.checkpoint(true);
    drive.checkpoint(true);
    CHECK_FALSE(drive.wait());
  }
}

TEST_CASE("the payload of a window's call is exact, state and all") {
  ShardSettings settings = tumbling();
  settings.tumbling->max_state_bytes = 10'000;
  const std::string first =
      R"(,"shardId":"shardId-000000000000","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks",)"
      R"("window":{"start":"2019-12-20T00:00:00Z","end":"2019-12-20T00:01:00Z"},"state":{},)"
      R"("isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false)";
  SECTION("of a batch and of a final call") {
    ShardDriver drive(settings);
    drive.start();
    drive.gives(2);
    CHECK(drive.invoke().payload_bytes == 20 + 201 + first.size());
    drive.answers_state(std::string(1000, '1'));
    drive.ends();
    CHECK(drive.invoke().payload_bytes == 20 + first.size() + 998 - 1);  // "true" is shorter
  }
  SECTION("a batch that does not fit beside the state loses its tail, which is the next batch") {
    settings.batch.max_payload_bytes = 20 + 201 + first.size();
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives(2) == "invoke 1-2 of 0 {}, fetch");
    CHECK(drive.gives(2).empty());
    CHECK(drive.answers_state("123") == "invoke 3 of 0 123, fetch");
    CHECK(drive.answers_state("45") == "invoke 4 of 0 45");
  }
  SECTION("a single record that does not fit is given up on like any that is too large") {
    settings.batch.max_payload_bytes = 20 + 201 + first.size();
    settings.retry.maximum_retry_attempts = 0;
    ShardDriver drive(settings);
    drive.start();
    drive.gives(1);
    const std::string state(150, '1');
    drive.answers_state(state);
    CHECK(drive.gives(1) == "discard 2 of 0 " + state + " RetryAttemptsExhausted, fetch");
    CHECK(drive.discard().response == ResponseContext::kNone);
  }
}

TEST_CASE("batch size and batching window work inside a tumbling window") {
  ShardSettings settings = tumbling();
  settings.batch.window = 10s;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives(1) == "fetch");
  CHECK(drive.wait() == Duration(10s));
  SECTION("the batching window closes") {
    CHECK(drive.at_wake() == "invoke 1 of 0 {}");
  }
  SECTION("a record of the next window closes it") {
    drive.after(9s);
    drive.after(0s);
    ShardDriver other(settings);
    other.start();
    other.after(55s);
    CHECK(other.gives(1) == "fetch");
    other.after(5s);
    CHECK(other.gives(1) == "invoke 1 of 0 {}, fetch");
    CHECK(other.answers_state("1") == "final nothing of 0 1");
    CHECK(other.answers_state("{}") == "checkpoint 1");  // 2 waits for its own batching window
    CHECK(other.wait() == Duration(10s));
  }
}

TEST_CASE("settings that the configuration would refuse") {
  ShardSettings settings = tumbling();
  settings.parallelization_factor = 2;
  CHECK_THROWS_AS(ShardDriver(settings), BrokenBelief);
  settings = tumbling();
  settings.tumbling->length = Duration(0);
  CHECK_THROWS_AS(ShardDriver(settings), BrokenBelief);
  settings = ShardSettings();
  settings.parallelization_factor = GENERATE(0, 11);
  CHECK_THROWS_AS(ShardDriver(settings), BrokenBelief);
}
