#include "engine/queue_processor.h"

#include <catch2/catch.hpp>

#include "support/print.h"
#include "support/receive_driver.h"

using namespace std::chrono_literals;
using weir::Duration;
using weir::engine::ItemFailures;
using weir::engine::QueueSettings;
using weir::test::ReceiveDriver;

namespace {

/// One poller, so that a test sees one thing at a time; AWS's least is two, which the other tests have.
QueueSettings queue_of(std::size_t batch_size, Duration window = 0s) {
  QueueSettings settings;
  settings.batch_size = batch_size;
  settings.window = window;
  settings.maximum_concurrency = 1;
  settings.seed = 7;
  return settings;
}
QueueSettings pollers(int count, std::size_t batch_size = 10) {
  QueueSettings settings = queue_of(batch_size);
  settings.maximum_concurrency = count;
  return settings;
}
QueueSettings fifo(int count = 1, std::size_t batch_size = 10) {
  QueueSettings settings = pollers(count, batch_size);
  settings.fifo = true;
  return settings;
}

}  // namespace

TEST_CASE("a batch is released when the first of its limits is reached") {
  SECTION("window 0: as soon as anything is there") {
    ReceiveDriver drive(queue_of(10));
    CHECK(drive.start() == "receive#1 10 5s");
    CHECK(drive.gives(1, "a b c") == "invoke#2 a b c");
    CHECK(drive.succeeds(2) == "receive#4 10 5s, remove#3 a b c");
    CHECK(drive.removed(3).empty());
    drive.passes(20s);
    CHECK(drive.gives(4, "") == "receive#5 10 5s");
  }
  SECTION("a receive asks for no more than the batch may have") {
    ReceiveDriver drive(queue_of(3));
    CHECK(drive.start() == "receive#1 3 5s");
  }
  SECTION("batch size: never more, and no waiting for the window") {
    ReceiveDriver drive(queue_of(2, 5s));
    drive.start();
    CHECK(drive.gives(1, "a") == "receive#2 1 5s");
    CHECK(drive.gives(2, "b") == "invoke#3 a b");
  }
  SECTION("more than 10: of several receives, side by side while they come back full") {
    ReceiveDriver drive(queue_of(35, 5s));
    CHECK(drive.start() == "receive#1 10 5s");
    CHECK(drive.gives_many(1, 10) == "receive#2 10 5s, receive#3 10 5s, receive#4 5 5s");
    CHECK(drive.gives_many(2, 10).empty());
    CHECK(drive.gives_many(4, 5).empty());
    CHECK(drive.gives_many(3, 9) == "receive#5 1 5s");
    CHECK(drive.gives_many(5, 1).substr(0, 8) == "invoke#6");
  }
  SECTION("the window opens when the previous invocation ended, and an empty one is followed by the next") {
    ReceiveDriver drive(queue_of(100, 10s));
    drive.start();
    drive.passes(7s);
    CHECK(drive.gives(1, "a") == "receive#2 10 3s");
    CHECK(drive.wait() == Duration(3s));
    drive.passes(3s - 1ns);
    CHECK(drive.gives(2, "").empty());  // less than a second is left: nothing is received for it
    CHECK(drive.after(1ns) == "invoke#3 a");
    drive.passes(3s);
    CHECK(drive.succeeds(3) == "receive#5 10 5s, remove#4 a");
    drive.removed(4);
    drive.passes(18s);
    CHECK(drive.gives(5, "b") == "receive#6 10 2s");
    CHECK(drive.wait() == Duration(2s));
  }
  SECTION("a window that ends before its receive: what that brings begins the next batch") {
    ReceiveDriver drive(queue_of(100, 2s));
    drive.start();
    drive.gives(1, "a");
    CHECK(drive.after(2s) == "invoke#3 a");
    CHECK(drive.gives(2, "b").empty());
    CHECK(drive.succeeds(3) == "receive#5 10 2s, remove#4 a");
    CHECK(drive.queue().held() == 1);
  }
  SECTION("6 MB: of the event's JSON, to the byte") {
    QueueSettings settings = queue_of(10);
    settings.max_payload_bytes = 14 + 100 + 1 + 100;
    ReceiveDriver drive(settings);
    drive.start();
    CHECK(drive.gives(1, "a b c") == "invoke#2 a b");
    CHECK(drive.invoke(2).payload_bytes == settings.max_payload_bytes);
    CHECK(drive.succeeds(2) == "invoke#4 c, remove#3 a b");
  }
  SECTION("6 MB: one byte less") {
    QueueSettings settings = queue_of(10);
    settings.max_payload_bytes = 14 + 100 + 1 + 100 - 1;
    ReceiveDriver drive(settings);
    drive.start();
    CHECK(drive.gives(1, "a b") == "invoke#2 a");
  }
  SECTION("a message that no event can hold is left to the queue") {
    QueueSettings settings = queue_of(10);
    settings.max_payload_bytes = 14 + 99;
    ReceiveDriver drive(settings);
    drive.start();
    CHECK(drive.gives(1, "a") == "receive#2 10 5s");
    CHECK(drive.queue().counters().failed_invoke_events == 1);
    CHECK(drive.queue().counters().invoked_events == 0);
    CHECK(drive.queue().held() == 0);
  }
}

TEST_CASE("what succeeded is deleted, and nothing else") {
  struct Row {
    std::string_view sentence;
    ItemFailures failures;
    std::string_view removed;
    std::uint64_t failed;
  };
  using Kind = ItemFailures::Kind;
  const auto row = GENERATE(values<Row>({
      {"nothing is reported", {Kind::kNone, {}}, ", remove#3 a b c", 0},
      {"one failed", {Kind::kSome, {"b"}}, ", remove#3 a c", 3},
      {"one, said twice", {Kind::kSome, {"b", "b"}}, ", remove#3 a c", 3},
      {"all of them", {Kind::kSome, {"c", "b", "a"}}, "", 3},
      {"an id that is not of the batch", {Kind::kSome, {"a", "z"}}, "", 3},
      {"not to be understood", {Kind::kAll, {}}, "", 3},
  }));
  INFO(row.sentence);
  ReceiveDriver drive(queue_of(10));
  drive.start();
  drive.gives(1, "a b c");
  const std::string next = row.removed.empty() ? "receive#3 10 5s" : "receive#4 10 5s";
  CHECK(drive.succeeds(2, row.failures) == next + std::string(row.removed));
  CHECK(drive.queue().counters().failed_invoke_events == row.failed);
  CHECK(drive.queue().counters().function_errors == 0);
  CHECK(drive.queue().held() == 0);
}

TEST_CASE("a batch whose function fails is left alone: no change of visibility, no other try") {
  ReceiveDriver drive(queue_of(10));
  drive.start();
  drive.gives(1, "a b");
  CHECK(drive.fails(2) == "receive#3 10 5s");
  CHECK(drive.queue().counters().function_errors == 1);
  CHECK(drive.queue().counters().failed_invoke_events == 2);
  CHECK(drive.queue().counters().deleted_events == 0);
}

TEST_CASE("filtered messages are deleted and never invoked") {
  ReceiveDriver drive(queue_of(10));
  drive.start();
  CHECK(drive.gives(1, "a -b") == "invoke#3 a, remove#2 b");
  drive.removed(2);
  CHECK(drive.succeeds(3) == "receive#5 10 5s, remove#4 a");
  drive.removed(4);
  CHECK(drive.gives(5, "-c") == "receive#7 10 5s, remove#6 c");
  drive.removed(6);
  CHECK(drive.queue().counters().filtered_out_events == 2);
  CHECK(drive.queue().counters().polled_events == 3);
  CHECK(drive.queue().counters().invoked_events == 1);
  CHECK(drive.queue().counters().deleted_events == 1);
}

TEST_CASE("a throttled batch keeps its receipts, until their time is nearly over") {
  ReceiveDriver drive(queue_of(10));
  drive.start();
  drive.gives(1, "a");
  const std::string request = drive.invoke(2).request_id;
  SECTION("recorded: polled 1, invoked 3, failed 2, throttles 2, received once") {
    CHECK(drive.throttled(2).empty());
    CHECK(drive.at_wake() == "invoke#3 a");
    CHECK(drive.invoke(3).request_id == request);
    CHECK(drive.throttled(3).empty());
    CHECK(drive.at_wake() == "invoke#4 a");
    CHECK(drive.succeeds(4) == "receive#6 10 5s, remove#5 a");
    drive.removed(5);
    const auto& counters = drive.queue().counters();
    CHECK(counters.polled_events == 1);
    CHECK(counters.invoked_events == 3);
    CHECK(counters.failed_invoke_events == 2);
    CHECK(counters.throttles == 2);
    CHECK(counters.deleted_events == 1);
  }
  SECTION("then it is let go, without a word to the queue") {
    std::string wish = drive.throttled(2);
    int tries = 1;
    while (wish.find("receive") == std::string::npos) {
      REQUIRE(tries < 100);
      wish = drive.at_wake();
      if (wish.find("invoke") == std::string::npos) continue;
      ++tries;
      CHECK(wish == "invoke#" + std::to_string(drive.last_call()) + " a");
      wish = drive.throttled(drive.last_call());
    }
    CHECK(tries > 3);
    CHECK(wish == "receive#" + std::to_string(drive.last_call()) + " 10 5s");
    CHECK(drive.passed() == 25s);  // 30 s, less the margin
    CHECK(drive.queue().held() == 0);
  }
  SECTION("so is one that could not be delivered") {
    CHECK(drive.service_error(2).empty());
    CHECK(drive.at_wake() == "invoke#3 a");
    CHECK(drive.queue().counters().service_errors == 1);
  }
}

TEST_CASE("what is in flight or waits stays invisible") {
  SECTION("in flight: extended before its time is over, again and again") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a b");
    CHECK(drive.wait() == Duration(25s));
    CHECK(drive.after(25s - 1ns).empty());
    CHECK(drive.after(1ns) == "visibility#3 30s a b");
    CHECK(drive.changed(3).empty());
    CHECK(drive.wait() == Duration(25s));
    CHECK(drive.after(25s) == "visibility#4 30s a b");
    CHECK(drive.succeeds(2) == "receive#6 10 5s, remove#5 a b");
    CHECK(drive.changed(4).empty());  // too late, and no harm
  }
  SECTION("at most 12 hours in all") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a");
    std::string wish;
    Duration last = 0s;
    Duration granted = 0s;
    for (int i = 0; i < 10'000 && drive.wait(); ++i) {
      wish = drive.at_wake();
      if (wish.empty()) continue;
      last = drive.passed();
      granted = drive.change().timeout;
      drive.changed(drive.last_call());
    }
    CHECK(last + granted <= 12h);
    CHECK(last + granted > 12h - 30s);
  }
  SECTION("a refused extension is tried again") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a b");
    drive.after(25s);
    CHECK(drive.changed(3, {true, false}).empty());
    CHECK(drive.after(1s) == "visibility#4 30s b");
    CHECK(drive.changed(4, {}).empty());
    CHECK(drive.after(1s) == "visibility#5 30s b");
  }
  SECTION("waiting for the window: extended, and sent in the end") {
    QueueSettings settings = queue_of(100, 300s);
    settings.visibility_timeout = 320s;  // long enough for the window, so the queue's own is taken
    ReceiveDriver drive(settings);
    CHECK(drive.start() == "receive#1 10 5s");
    CHECK(drive.gives(1, "a") == "receive#2 10 5s");
    drive.passes(20s);
    CHECK(drive.gives(2, "") == "receive#3 10 5s");
    CHECK(drive.after(280s) == "invoke#4 a");
    CHECK(drive.after(15s) == "visibility#5 320s a");
  }
  SECTION("what waits and could not be kept is dropped, for it comes again") {
    ReceiveDriver drive(pollers(2));
    drive.start();
    drive.gives(1, "a");
    drive.gives(2, "b");
    drive.throttled(3);  // its turn comes again when another ends: both wait
    CHECK(drive.queue().held() == 2);
    drive.after(25s);
    CHECK(drive.queue().held() == 1);
  }
  SECTION("a queue without a visibility timeout has nothing to extend") {
    QueueSettings settings = queue_of(10);
    settings.visibility_timeout = 0s;
    ReceiveDriver drive(settings);
    drive.start();
    drive.gives(1, "a");
    CHECK(!drive.wait());
    CHECK(drive.throttled(2) == "receive#3 10 5s");
  }
}

TEST_CASE("when window and function together need longer than the queue gives, a receive asks for it") {
  QueueSettings settings = queue_of(100, 20s);
  settings.visibility_timeout = 30s;
  settings.function_timeout = 10s;
  CHECK(ReceiveDriver(settings).start() == "receive#1 10 5s");
  settings.function_timeout = 11s;
  CHECK(ReceiveDriver(settings).start() == "receive#1 10 5s for 61s");
  settings.window = 0s;
  settings.batch_size = 10;
  settings.function_timeout = 40s;  // refused elsewhere, as Lambda does when the mapping is made
  CHECK(ReceiveDriver(settings).start() == "receive#1 10 5s");
}

TEST_CASE("a delete that failed is tried again while the receipt may still work") {
  ReceiveDriver drive(queue_of(10));
  drive.start();
  drive.gives(1, "a b");
  drive.succeeds(2);
  CHECK(drive.removed(3, {true, false}).empty());
  CHECK(drive.queue().counters().deleted_events == 1);
  CHECK(drive.at_wake() == "remove#5 b");
  CHECK(drive.removed(5, {}).empty());
  int tries = 2;
  while (drive.wait()) {
    const std::string wish = drive.at_wake();
    if (wish.empty()) continue;
    REQUIRE(++tries < 100);
    drive.removed(drive.last_call(), {false});
  }
  CHECK(tries > 3);
  CHECK(drive.passed() < 30s);
  CHECK(drive.queue().counters().delete_failures == static_cast<std::uint64_t>(tries));
  CHECK(drive.queue().counters().deleted_events == 1);
}

TEST_CASE("concurrency is the number of pollers") {
  SECTION("standard queues begin with 5") {
    QueueSettings settings;
    ReceiveDriver drive(settings);
    CHECK(drive.start() == "receive#1 10 5s, receive#2 10 5s, receive#3 10 5s, receive#4 10 5s, receive#5 10 5s");
    CHECK(drive.queue().concurrency() == 5);
  }
  SECTION("maximum_concurrency caps them") {
    ReceiveDriver drive(pollers(2));
    CHECK(drive.start() == "receive#1 10 5s, receive#2 10 5s");
    drive.gives(1, "a");
    drive.gives(2, "b");
    CHECK(drive.after(10s).empty());
    CHECK(drive.queue().in_flight() == 2);
  }
  SECTION("while all have work, 300 more come in a minute; without MaximumConcurrency up to 1,250") {
    ReceiveDriver drive(QueueSettings{});
    drive.start();
    drive.busy_for(60s);
    CHECK(drive.queue().concurrency() >= 5 + 295);
    CHECK(drive.queue().concurrency() <= 5 + 301);
    drive.busy_for(240s);
    CHECK(drive.queue().concurrency() == 1250);
    CHECK(drive.queue().in_flight() == 1250);
  }
  SECTION("idle, they fall to 2, and to 5 with MaximumConcurrency") {
    ReceiveDriver drive(QueueSettings{});
    drive.start();
    drive.idle_for(10min);
    CHECK(drive.queue().concurrency() == 2);
    ReceiveDriver capped(pollers(100));
    capped.start();
    capped.busy_for(10s);
    CHECK(capped.queue().concurrency() > 40);
    capped.all_succeed();
    capped.idle_for(10min);
    CHECK(capped.queue().concurrency() == 5);
  }
  SECTION("what is in flight is never more, however long nothing else comes") {
    ReceiveDriver drive(QueueSettings{});
    drive.start();
    for (std::uint64_t receive = 1; receive <= 4; ++receive) drive.gives_many(receive, 1);
    for (int minute = 0; minute < 10; ++minute) {
      drive.idle_for(1min);
      CHECK(drive.queue().in_flight() == 4);
      CHECK(drive.queue().concurrency() >= 4);
      CHECK(drive.queue().concurrency() <= 5);
    }
    drive.all_succeed();
    drive.idle_for(10min);
    CHECK(drive.queue().concurrency() == 2);
  }
  SECTION("errors of the function lower it, to 2; reported failures do not") {
    ReceiveDriver drive(QueueSettings{});
    drive.start();
    for (int i = 0; i < 10; ++i) {
      drive.fails_once(ItemFailures{ItemFailures::Kind::kAll, {}});
    }
    CHECK(drive.queue().concurrency() == 5);
    for (int i = 0; i < 10; ++i) drive.fails_once(std::nullopt);
    CHECK(drive.queue().concurrency() == 2);
  }
  SECTION("no more receives at once than allowed") {
    QueueSettings settings;
    settings.limits.max_receives = 2;
    ReceiveDriver drive(settings);
    CHECK(drive.start() == "receive#1 10 5s, receive#2 10 5s");
    CHECK(drive.gives(1, "a") == "invoke#3 a, receive#4 10 5s");
  }
  SECTION("no more bytes are held than allowed") {
    QueueSettings settings = pollers(5);
    settings.limits.max_held_bytes = 2500;
    ReceiveDriver drive(settings);
    drive.start();
    for (weir::engine::QueueCall call = 1; call <= 5; ++call) drive.gives_many(call, 10);
    CHECK(drive.queue().in_flight() == 5);
    // 4,000 bytes are in flight, so the poller that is free does not receive.
    CHECK(drive.succeeds(drive.first_in_flight()).find("receive") == std::string::npos);
    std::string wish;
    while (drive.queue().in_flight() > 1) wish += drive.succeeds(drive.first_in_flight());
    CHECK(wish.find("receive") != std::string::npos);
  }
}

TEST_CASE("FIFO: order within a group") {
  SECTION("a batch may mix groups, in the order of receiving") {
    ReceiveDriver drive(fifo());
    drive.start();
    CHECK(drive.gives(1, "x:1 y:1 x:2") == "invoke#2 x:1 y:1 x:2");
  }
  SECTION("one batch of a group in flight: what comes later waits until the earlier is deleted") {
    ReceiveDriver drive(fifo(2));
    drive.start();
    CHECK(drive.gives(1, "x:1") == "invoke#3 x:1");
    CHECK(drive.gives(2, "x:2 y:1") == "invoke#4 y:1");
    CHECK(drive.succeeds(4) == "remove#5 y:1");
    drive.removed(5);
    CHECK(drive.succeeds(3).find("invoke") == std::string::npos);
    CHECK(drive.removed(6) == "invoke#8 x:2");
  }
  SECTION("when it fails, what is held of its group is let go") {
    ReceiveDriver drive(fifo(2));
    drive.start();
    drive.gives(1, "x:1");
    drive.gives(2, "x:2 y:1");
    CHECK(drive.fails(3) == "receive#5 10 5s");
    CHECK(drive.queue().held() == 1);
    CHECK(drive.succeeds(4) == "receive#7 10 5s, remove#6 y:1");
  }
  SECTION("what a function does not report is deleted, as Lambda does; of the group nothing more is sent") {
    ReceiveDriver drive(fifo(2));
    drive.start();
    drive.gives(1, "x:1 x:2 x:3 y:1");
    drive.gives(2, "x:4");
    CHECK(drive.succeeds(3, {ItemFailures::Kind::kSome, {"x:2"}}) ==
          "receive#5 10 5s, receive#6 10 5s, remove#4 x:1 x:3 y:1");
    CHECK(drive.queue().held() == 0);
  }
  SECTION("a delete that cannot be done lets go of what came behind") {
    ReceiveDriver drive(fifo(2));
    drive.start();
    drive.gives(1, "x:1");
    drive.gives(2, "x:2");
    drive.succeeds(3);
    CHECK(drive.queue().held() == 1);
    drive.removed(4, {false});
    while (drive.queue().held() == 1) {
      REQUIRE(drive.passed() < 60s);
      if (!drive.at_wake().empty()) drive.removed(drive.last_removal(), {false});
    }
    CHECK(drive.queue().in_flight() == 0);
  }
  SECTION("groups of a standard queue mean nothing") {
    ReceiveDriver drive(pollers(2));
    drive.start();
    drive.gives(1, "x:1");
    CHECK(drive.gives(2, "x:2") == "invoke#4 x:2");
  }
  SECTION("a filtered message of the group holds nothing up") {
    ReceiveDriver drive(fifo());
    drive.start();
    CHECK(drive.gives(1, "-x:1 x:2") == "invoke#3 x:2, remove#2 x:1");
  }
}

TEST_CASE("a receive that fails is tried again after a pause") {
  ReceiveDriver drive(pollers(2));
  drive.start();
  CHECK(drive.receive_fails(1).empty());
  CHECK(drive.receive_fails(2).empty());
  CHECK(drive.wait().value() <= 200ms);
  CHECK(drive.wait().value() >= 100ms);
  CHECK(drive.at_wake() == "receive#3 10 5s, receive#4 10 5s");
  CHECK(drive.queue().counters().receive_failures == 2);
}

TEST_CASE("a queue that does not wait is not asked in a tight loop") {
  ReceiveDriver drive(queue_of(10));
  drive.start();
  CHECK(drive.gives(1, "").empty());
  CHECK(drive.wait() == Duration(200ms));
  CHECK(drive.at_wake() == "receive#2 10 5s");
  drive.passes(20s);
  CHECK(drive.gives(2, "") == "receive#3 10 5s");
}

TEST_CASE("draining gives back what was not begun, and waits for what was") {
  SECTION("nothing under way") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    CHECK(drive.stop().empty());
    CHECK(drive.gives(1, "") == "drained");
  }
  SECTION("in flight, waiting for its window, just received") {
    ReceiveDriver drive(queue_of(100, 5s));
    drive.start();
    drive.gives(1, "a");
    CHECK(drive.after(5s) == "invoke#3 a");
    CHECK(drive.gives(2, "b c").empty());
    CHECK(drive.stop() == "visibility#4 0s b c");
    CHECK(drive.changed(4).empty());
    CHECK(drive.succeeds(3) == "remove#5 a");
    CHECK(drive.removed(5) == "drained");
    CHECK(drive.queue().counters().deleted_events == 1);
  }
  SECTION("what a receive brings that was under way") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.stop();
    CHECK(drive.gives(1, "a") == "visibility#2 0s a");
    CHECK(drive.changed(2, {}) == "drained");
  }
  SECTION("a throttled batch is not tried again") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a");
    drive.stop();
    CHECK(drive.throttled(2) == "visibility#3 0s a");
    CHECK(drive.changed(3) == "drained");
  }
  SECTION("a failed batch stays until its time is over") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a");
    drive.stop();
    CHECK(drive.fails(2) == "drained");
  }
  SECTION("a long invocation stays invisible") {
    ReceiveDriver drive(queue_of(10));
    drive.start();
    drive.gives(1, "a");
    drive.stop();
    CHECK(drive.after(25s) == "visibility#3 30s a");
    drive.changed(3);
    CHECK(drive.cancelled(2) == "drained");
  }
}
