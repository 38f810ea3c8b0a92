#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "engine/settlement.h"
#include "engine/shard_processor.h"
#include "support/print.h"
#include "support/shard_driver.h"

using namespace std::chrono_literals;
using weir::BrokenBelief;
using weir::Position;
using weir::engine::OrdinalRun;
using weir::engine::Ordinals;
using weir::engine::Settlement;
using weir::engine::ShardSettings;
using weir::engine::WindowOpens;
using weir::test::ShardDriver;

namespace {

/// Two lanes: keys a and c fall to one, b and d to the other.
ShardSettings two_lanes(std::size_t batch_size = 2) {
  ShardSettings settings;
  settings.batch.batch_size = batch_size;
  settings.parallelization_factor = 2;
  settings.seed = 7;
  return settings;
}
ShardSettings one_lane(std::size_t batch_size = 2) {
  ShardSettings settings = two_lanes(batch_size);
  settings.parallelization_factor = 1;
  return settings;
}

}  // namespace

TEST_CASE("two lanes: each has one batch in flight, and a key stays in its lane") {
  ShardDriver drive(two_lanes());
  CHECK(drive.start() == "fetch");
  CHECK(drive.fetch().max_records == 8);
  CHECK(drive.gives_keys("a b a a b b") == "invoke 1+3, invoke 2+5, fetch");
  SECTION("the checkpoint is the front without gaps") {
    CHECK(drive.succeeds("2+5") == "invoke 6");
    CHECK(drive.succeeds("6").empty());
    CHECK(drive.succeeds("1+3") == "invoke 4, checkpoint 3");
    CHECK(drive.succeeds("4").empty());
    CHECK(drive.checkpoint(true) == "checkpoint 6");
  }
}

TEST_CASE("lanes fail, wait and are given up on without each other") {
  ShardSettings settings = two_lanes();
  settings.retry.maximum_retry_attempts = 1;
  ShardDriver drive(settings);
  drive.start();
  drive.gives_keys("a b a b a b a b");
  SECTION("one lane backs off, the other goes on at once") {
    CHECK(drive.fails("1+3").empty());
    CHECK(drive.succeeds("2+4") == "invoke 6+8, fetch");
    CHECK(drive.at_wake() == "invoke 1+3");
  }
  SECTION("two discards under way, answered in the other order") {
    drive.fails("1+3");
    drive.fails("2+4");
    std::string wish = drive.at_wake();
    while (drive.wait()) wish += (wish.empty() ? "" : ", ") + drive.at_wake();
    REQUIRE(wish.find("invoke 1+3") != std::string::npos);
    REQUIRE(wish.find("invoke 2+4") != std::string::npos);
    CHECK(drive.fails("1+3") == "discard 1+3 RetryAttemptsExhausted");
    CHECK(drive.fails("2+4") == "discard 2+4 RetryAttemptsExhausted");
    CHECK(drive.discarded("2+4", true) == "invoke 6+8, fetch");
    CHECK(drive.discarded("1+3", true) == "invoke 5+7, checkpoint 4");
    CHECK(drive.shard().counters().dropped_events == 4);
  }
  SECTION("a discard that the store refuses stops all lanes; what runs may finish") {
    drive.fails("1+3");
    CHECK(drive.at_wake() == "invoke 1+3");
    CHECK(drive.fails("1+3") == "discard 1+3 RetryAttemptsExhausted");
    CHECK(drive.discarded("1+3", false).empty());
    CHECK(drive.succeeds("2+4").empty());
    CHECK(drive.at_wake() == "discard 1+3 RetryAttemptsExhausted");
    CHECK(drive.discarded("1+3", true) == "invoke 5+7, invoke 6+8, fetch, checkpoint 4");
  }
  SECTION("the answer of a batch that is not in flight is noticed") {
    drive.succeeds("1+3");
    CHECK_THROWS_AS(drive.succeeds("1+3"), BrokenBelief);
  }
}

TEST_CASE("a lane that has no end of work does not starve the others, and memory stays bounded") {
  ShardSettings settings = two_lanes();
  settings.buffer.max_records = 12;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives_keys("a a a a a a a a") == "invoke 1-2, fetch");  // the other lane is hungry
  CHECK(drive.fetch().max_records == 4);
  CHECK(drive.gives_keys("a a b") == "invoke 11, fetch");
  CHECK(drive.fetch().max_records == 1);
  CHECK(drive.succeeds("11").empty());
  CHECK(drive.gives_keys("a") == "fetch");
  CHECK(drive.gives_keys("a").empty());  // twelve are held: nothing more until one is settled
  CHECK(drive.shard().unsettled() == 12);
  CHECK(drive.succeeds("1-2") == "invoke 3-4, fetch, checkpoint 2");
}

TEST_CASE("each lane has its own batching window") {
  ShardSettings settings = two_lanes(10);
  settings.batch.window = 5s;
  SECTION("from the first record") {
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_keys("a") == "fetch");
    drive.after(2s);
    CHECK(drive.gives_keys("b a") == "fetch");
    CHECK(drive.at_wake() == "invoke 1+3");
    CHECK(drive.wait() == weir::Duration(2s));
    CHECK(drive.at_wake() == "invoke 2");
  }
  SECTION("from the end of its previous invocation") {
    settings.batch.window_opens = WindowOpens::kPreviousEnd;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_keys("a b") == "fetch");
    CHECK(drive.after(5s) == "invoke 1, invoke 2");
    drive.after(1s);
    drive.succeeds("1");
    drive.after(1s);
    drive.succeeds("2");
    CHECK(drive.gives_keys("a b") == "fetch");
    CHECK(drive.after(4s) == "invoke 3");
    CHECK(drive.after(1s) == "invoke 4");
  }
}

TEST_CASE("lanes that fill the buffer together do not wait for their windows: nothing more can come") {
  ShardSettings settings = two_lanes(10);
  settings.batch.window = 300s;
  settings.buffer.max_records = 10;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives_keys("a b a b a b a b a") == "fetch");
  CHECK(drive.gives_keys("b") == "invoke 1+3+5+7+9, invoke 2+4+6+8+10");
  CHECK(drive.succeeds("2+4+6+8+10") == "fetch");
  CHECK(drive.gives_keys("b") == "fetch");
  CHECK(drive.wait() == weir::Duration(300s));
}

TEST_CASE("age is judged in each lane") {
  ShardSettings settings = two_lanes();
  settings.retry.maximum_record_age = 60s;
  ShardDriver drive(settings);
  drive.start();
  drive.gives_keys("a b");
  drive.fails("1");
  drive.after(61s);
  CHECK(drive.succeeds("2").empty());
  CHECK(drive.shard().unsettled() == 1);
  CHECK(drive.discarded("1", true) == "checkpoint 2");
}

TEST_CASE("the oldest record that is not settled, of all lanes") {
  ShardDriver drive(two_lanes());
  drive.start();
  drive.gives_keys("a");
  const weir::WallTime first = drive.now().wall;
  drive.after(1s);
  drive.gives_keys("b a");
  CHECK(drive.shard().oldest_unsettled() == first);
  drive.succeeds("1");
  CHECK(drive.shard().oldest_unsettled() == first + 1s);
}

TEST_CASE("draining waits for all lanes and remembers the front") {
  ShardDriver drive(two_lanes());
  drive.start();
  drive.gives_keys("a b a b a b");
  CHECK(drive.stop().empty());
  CHECK(drive.gives_nothing().empty());
  SECTION("both succeed") {
    CHECK(drive.succeeds("2+4").empty());
    CHECK(drive.shard().in_flight());
    CHECK(drive.succeeds("1+3") == "checkpoint 4");
    CHECK(drive.checkpoint(true) == "drained");
  }
  SECTION("the first fails: nothing is remembered of the other") {
    CHECK(drive.fails("1+3").empty());
    CHECK(drive.succeeds("2+4") == "drained");
  }
}

TEST_CASE("the end of a shard waits for all lanes") {
  ShardDriver drive(two_lanes());
  drive.start();
  CHECK(drive.gives_keys("a b") == "invoke 1, invoke 2, fetch");
  CHECK(drive.ends().empty());
  CHECK(drive.succeeds("2").empty());
  CHECK(drive.succeeds("1") == "checkpoint 2");
  CHECK(drive.checkpoint(true) == "drained, ended");
}

TEST_CASE("a bisected batch of a lane settles record by record") {
  ShardSettings settings = two_lanes(4);
  settings.bisect_batch_on_function_error = true;
  settings.retry.maximum_retry_attempts = 0;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives_keys("a b a b a b a b") == "invoke 1+3+5+7, invoke 2+4+6+8, fetch");
  CHECK(drive.succeeds("2+4+6+8").empty());
  CHECK(drive.fails("1+3+5+7") == "invoke 1+3");
  CHECK(drive.succeeds("1+3") == "invoke 5+7, checkpoint 4");
  CHECK(drive.fails("5+7") == "invoke 5");
  CHECK(drive.fails("5") == "discard 5 RetryAttemptsExhausted");
  CHECK(drive.discarded("5", true) == "invoke 7");
  CHECK(drive.checkpoint(true) == "checkpoint 6");
}

TEST_CASE("what filters do not want fills the buffer while it is in memory with what they do") {
  constexpr std::size_t kBytes = sizeof("a0123456789") - 1 + sizeof(weir::Record);
  ShardSettings settings = one_lane(10);
  settings.buffer.max_records = 100;
  settings.buffer.max_bytes = 6 * kBytes;
  settings.batch.window = 300s;
  ShardDriver drive(settings);
  drive.start();
  CHECK(drive.gives_keys("a b- c- d-") == "fetch");
  CHECK(drive.shard().unsettled() == 1);
  CHECK(drive.shard().pinned_bytes() == 3 * kBytes);
  CHECK(drive.fetch().max_bytes == 2 * kBytes);
  SECTION("a full buffer waits for no window: no record can come") {
    CHECK(drive.gives_keys("e f-") == "invoke 1+5");
    CHECK(drive.shard().pinned_bytes() == 4 * kBytes);
    CHECK(drive.succeeds() == "fetch, checkpoint 6");
    CHECK(drive.shard().pinned_bytes() == 0);
    CHECK(drive.fetch().max_bytes == 6 * kBytes);
  }
  SECTION("with room for one more byte it waits") {
    CHECK(drive.gives_keys("e") == "fetch");
    CHECK(drive.fetch().max_bytes == kBytes);
  }
  SECTION("a read of which they want nothing leaves the memory at once") {
    CHECK(drive.gives_keys("e- f- g-") == "fetch");
    CHECK(drive.fetch().max_bytes == 2 * kBytes);
  }
  SECTION("what is given back when weir stops, too") {
    drive.stop();
    CHECK(drive.shard().pinned_bytes() == 0);
  }
}

TEST_CASE("a lane that stands still does not let the others fill the memory with what they have done") {
  constexpr std::size_t kBytes = sizeof("a0123456789") - 1 + sizeof(weir::Record);
  ShardSettings settings = two_lanes(3);
  settings.buffer.max_bytes = 16 * kBytes;
  ShardDriver drive(settings);
  drive.start();
  // Each read has one record of the lane that stands still: all of the read stays in memory with it.
  std::vector<std::weak_ptr<const void>> reads;
  std::string wanted = drive.gives_keys("b a a a");
  CHECK(wanted == "invoke 2-4, invoke 1, fetch");
  reads.push_back(drive.last_owner());
  drive.fails("1");
  std::uint64_t last = 4;
  wanted = drive.succeeds("2-4");
  CHECK(drive.shard().pinned_bytes() == 3 * kBytes);
  CHECK(drive.fetch().max_bytes == 12 * kBytes);
  for (int i = 0; i < 10; ++i) {
    const bool asked = drive.gives_keys("b a a a").find("fetch") != std::string::npos;
    reads.push_back(drive.last_owner());
    drive.succeeds(std::to_string(last + 2) + "-" + std::to_string(last + 4));
    last += 4;
    if (!asked) break;
  }
  const auto held = [&] {
    return std::count_if(reads.begin(), reads.end(), [](const auto& read) { return !read.expired(); });
  };
  CHECK(held() == 4);
  CHECK(drive.shard().unsettled() == 4);
  CHECK(drive.shard().pinned_bytes() == 12 * kBytes);
  SECTION("once it goes on there is room again") {
    drive.after(300s);  // longer than any backoff
    CHECK(drive.succeeds("1") == "invoke 5+9+13, fetch, checkpoint 4");
    CHECK(held() == 3);
    CHECK(drive.fetch().max_bytes == 4 * kBytes);
    drive.succeeds("5+9+13");
    CHECK(held() == 0);
    CHECK(drive.shard().pinned_bytes() == 0);
  }
  SECTION("stopping gives all of it back") {
    drive.stop();
    CHECK(held() == 0);
    CHECK(drive.shard().pinned_bytes() == 0);
  }
}

TEST_CASE("a lane that stands still keeps all of a page in memory, in however many parts it was handed out") {
  constexpr std::size_t kBytes = sizeof("a0123456789") - 1 + sizeof(weir::Record);
  ShardDriver drive(two_lanes());
  drive.start();
  drive.begin_page();
  drive.gives_keys("a a");
  CHECK(drive.succeeds("1-2") == "checkpoint 2");
  drive.gives_keys("b a");
  drive.succeeds("4");
  // As long as the source has the rest of it, that it is in memory is not this lane's doing.
  CHECK(drive.shard().pinned_bytes() == 0);
  SECTION("the source hands out the last of it") {
    drive.end_page();
    drive.gives_keys("a");
    CHECK(drive.shard().pinned_bytes() == 3 * kBytes);
    drive.succeeds("5");
    CHECK(drive.shard().pinned_bytes() == 4 * kBytes);
    drive.gives_keys("a");
    drive.succeeds("6");
    CHECK(drive.shard().pinned_bytes() == 4 * kBytes);
  }
  SECTION("the source goes on to the next page, whatever it holds") {
    const auto held = drive.last_owner().lock();
    drive.end_page();
    drive.gives_keys("a");
    drive.succeeds("5");
    CHECK(drive.shard().pinned_bytes() == 0);
    drive.gives_keys("a");
    CHECK(drive.shard().pinned_bytes() == 4 * kBytes);
  }
  drive.succeeds("3");
  CHECK(drive.shard().pinned_bytes() == 0);
}

TEST_CASE("a poison record that bisecting has found keeps its own read only") {
  ShardSettings settings = two_lanes(4);
  settings.bisect_batch_on_function_error = true;
  ShardDriver drive(settings);
  drive.start();
  drive.gives_keys("b");  // the next ones wait for it, and come together
  drive.gives_keys("b");
  const auto first = drive.last_owner();
  drive.gives_keys("b");
  const auto second = drive.last_owner();
  CHECK(drive.succeeds("1").find("invoke 2-3") != std::string::npos);
  CHECK(drive.fails("2-3") == "invoke 2");
  SECTION("the second is poison") {
    CHECK(drive.succeeds("2") == "invoke 3");
    CHECK(first.expired());
    CHECK_FALSE(second.expired());
  }
  SECTION("the first is poison: both wait, in order") {
    drive.fails("2");
    CHECK_FALSE(first.expired());
    CHECK_FALSE(second.expired());
  }
}

TEST_CASE("a filtered record is done when it is read") {
  ShardDriver drive(one_lane());
  drive.start();
  SECTION("it is in no batch, and the checkpoint passes it with what is before it") {
    CHECK(drive.gives_keys("a b- c d- e") == "invoke 1+3, fetch");
    CHECK(drive.shard().unsettled() == 3);
    CHECK(drive.succeeds() == "invoke 5, checkpoint 4");
    CHECK(drive.shard().counters().polled_events == 5);
    CHECK(drive.shard().counters().filtered_out_events == 2);
    CHECK(drive.shard().counters().settled_events == 4);
    CHECK(drive.shard().counters().invoked_events == 3);
  }
  SECTION("nothing is left: no invocation, and the checkpoint moves all the same") {
    CHECK(drive.gives_keys("a- b- c-") == "fetch, checkpoint 3");
    CHECK(drive.gives_keys("a-") == "fetch");
    CHECK(drive.checkpoint(true) == "checkpoint 4");
  }
  SECTION("it never fills the buffer") {
    CHECK(drive.gives_keys("a b c d") == "invoke 1-2");
    CHECK(drive.succeeds() == "invoke 3-4, fetch, checkpoint 2");
    CHECK(drive.gives_keys("a- a-") == "fetch");
    CHECK(drive.gives_keys("a- a-") == "fetch");
    CHECK(drive.fetch().max_records == 2);
    CHECK(drive.checkpoint(true).empty());
    CHECK(drive.succeeds() == "checkpoint 8");
  }
  SECTION("the last one of a shard") {
    CHECK(drive.gives_keys("a b-") == "invoke 1, fetch");
    CHECK(drive.ends().empty());
    CHECK(drive.succeeds() == "checkpoint 2");
    CHECK(drive.checkpoint(true) == "drained, ended");
  }
}

TEST_CASE("records that share a position are passed with the last of them") {
  SECTION("in one batch after the other") {
    ShardDriver drive(one_lane());
    drive.start();
    CHECK(drive.gives_keys("a+ b+ c d") == "invoke 1+1");
    CHECK(drive.succeeds() == "invoke 1-2, fetch");
    CHECK(drive.succeeds() == "checkpoint 2");
  }
  SECTION("in several lanes") {
    ShardDriver drive(two_lanes());
    drive.start();
    CHECK(drive.gives_keys("a b+ a+ b a") == "invoke 1-2, invoke 2+2, fetch");
    CHECK(drive.succeeds("1-2") == "invoke 3, checkpoint 1");
    CHECK(drive.checkpoint(true).empty());
    CHECK(drive.succeeds("3").empty());
    CHECK(drive.succeeds("2+2") == "checkpoint 3");
  }
  SECTION("some of them filtered") {
    ShardDriver drive(one_lane());
    drive.start();
    CHECK(drive.gives_keys("a+ b- c") == "invoke 1-2, fetch");
    CHECK(drive.succeeds() == "checkpoint 2");
  }
  SECTION("a reported one means the first of the batch that has it") {
    ShardSettings settings = one_lane(4);
    settings.report_batch_item_failures = true;
    ShardDriver drive(settings);
    drive.start();
    CHECK(drive.gives_keys("a b+ c d") == "invoke 1-2+2-3, fetch");
    CHECK(drive.reports({2}) == "invoke 2+2-3, checkpoint 1");
  }
}

TEST_CASE("settlement: the front without gaps, whatever the order") {
  Settlement settlement;
  const auto settle = [&](std::uint64_t first, std::uint64_t end) {
    settlement.settle({first, end}, Position(end * 10));
    return settlement.upto() ? settlement.upto()->text() : "none";
  };
  SECTION("in order") {
    CHECK(settle(0, 3) == "30");
    CHECK(settle(3, 4) == "40");
  }
  SECTION("behind gaps, neighbours merge on both sides") {
    CHECK(settle(4, 5) == "none");
    CHECK(settle(2, 3) == "none");
    CHECK(settle(3, 4) == "none");
    CHECK(settle(1, 2) == "none");
    CHECK(settle(0, 1) == "50");
  }
  SECTION("what has no position of its own moves the front and not the position") {
    settlement.settle({0, 2}, std::nullopt);
    CHECK_FALSE(settlement.upto());
    settlement.settle({3, 4}, std::nullopt);
    CHECK(settle(2, 3) == "30");
    CHECK(settle(4, 5) == "50");
  }
  SECTION("twice is noticed") {
    settle(0, 3);
    CHECK_THROWS_AS(settle(2, 4), BrokenBelief);
    settle(5, 7);
    CHECK_THROWS_AS(settle(4, 6), BrokenBelief);
    CHECK_THROWS_AS(settle(6, 8), BrokenBelief);
  }
  SECTION("any order ends at the end") {
    weir::Random random(3);
    for (int trial = 0; trial < 200; ++trial) {
      Settlement mixed;
      std::vector<std::uint64_t> order(20);
      for (std::uint64_t i = 0; i < order.size(); ++i) order[i] = i;
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
      std::vector<bool> done(order.size() + 1);
      for (const std::uint64_t ordinal : order) {
        mixed.settle({ordinal, ordinal + 1}, Position(ordinal));
        done[ordinal] = true;
        std::uint64_t front = 0;
        while (done[front]) ++front;
        CHECK(mixed.upto() == (front == 0 ? std::nullopt : std::optional(Position(front - 1))));
      }
    }
  }
}

TEST_CASE("ordinals are cut anywhere") {
  const auto text = [](const Ordinals& ordinals) {
    std::string out;
    ordinals.for_each_run(
        [&](OrdinalRun run) { out += "[" + std::to_string(run.first) + "," + std::to_string(run.end) + ")"; });
    return out;
  };
  Ordinals ordinals;
  for (const std::uint64_t ordinal : {1, 2, 3, 7, 8, 9}) ordinals.append({ordinal, ordinal + 1});
  CHECK(text(ordinals) == "[1,4)[7,10)");
  struct Row {
    std::size_t count;
    std::string head, tail;
  };
  const auto row = GENERATE(values<Row>(
      {{1, "[1,2)", "[2,4)[7,10)"}, {3, "[1,4)", "[7,10)"}, {4, "[1,4)[7,8)", "[8,10)"}, {6, "[1,4)[7,10)", ""}}));
  CHECK(text(ordinals.cut(row.count)) == row.tail);
  CHECK(text(ordinals) == row.head);
  Ordinals given;
  ordinals.give(row.count, given);
  CHECK(text(given) == row.head);
  CHECK(text(ordinals).empty());
  CHECK_THROWS_AS(ordinals.give(1, given), BrokenBelief);
}
