#include "bridge/bridge.h"

#include <mutex>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "bridge/world.h"
#include "gateway/admin.h"
#include "support/print.h"

using namespace weir;
using namespace weir::bridge;
using weir::test::EventNames;
using weir::test::FakeStream;
using weir::test::World;

TEST_CASE("records become invocations, and checkpoints follow them") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 5}, {"b", 2}});
  clicks.mapping.batch_size = 3;
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 7; });
  std::sort(world.function->calls.begin(), world.function->calls.end());
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2,3}", "{\"a\":4,5}", "{\"b\":1,2}"});
  CHECK(world.checkpoints() == "clicks/a@5 clicks/b@2");
  CHECK(world.source("clicks").state == SourceState::kStopped);
  CHECK(world.function->closed);
}

TEST_CASE("after a restart reading goes on behind the checkpoint") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 4; });
  world.stop();
  clicks.shards["a"] = 6;
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":5,6}"});
}

TEST_CASE("where LATEST begins is remembered, so that a restart skips nothing") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  clicks.latest = true;
  world.start();
  world.run_until([&] { return world.checkpoints() == "clicks/a@4"; });
  world.stop();
  clicks.shards["a"] = 6;
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":5,6}"});
}

TEST_CASE("a stop waits for what is in flight, and remembers it") {
  World world;
  world.stream("clicks", {{"a", 2}});
  world.start();
  world.function->hang_next();
  world.run_until([&] { return world.function->calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    net::post(world.context(), [&] { world.function->finish(); });
                  });
  CHECK(world.function->called_off == 0);
  CHECK(world.checkpoints() == "clicks/a@2");
}

TEST_CASE("a second stop calls off what is in flight, and it is delivered again") {
  World world;
  world.stream("clicks", {{"a", 2}});
  world.start();
  world.function->hang_next();
  world.run_until([&] { return world.function->calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    net::post(world.context(), [&] { world.bridge().request_stop(); });
                  });
  CHECK(world.function->called_off == 1);
  CHECK(world.checkpoints().empty());
  world.stop();
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2}"});
}

TEST_CASE("when the grace is over, what is in flight is called off") {
  World world;
  world.stream("clicks", {{"a", 2}});
  world.config().shutdown_grace = std::chrono::milliseconds(30);
  world.start();
  world.function->hang_next();
  world.run_until([&] { return world.function->calls.size() == 1; });
  CHECK(world.function->called_off == 1);
  CHECK(world.log.count("bridge.cancelled") == 1);
}

TEST_CASE("a source that fails is made again, alone") {
  World world;
  FakeStream& bad = world.stream("bad", {{"a", 1}});
  bad.failures.emplace_back(ErrorCode::kSourceUnreachable, "nobody answers at 127.0.0.1:9");
  world.stream("good", {{"a", 3}});
  world.start();
  world.run_until([&] { return bad.lives == 2 && world.source("bad").counters.settled_events == 1; });
  CHECK(world.source("bad").restarts == 1);
  CHECK(world.source("good").restarts == 0);
  CHECK(world.source("good").counters.settled_events == 3);
  CHECK(world.log.count("source.failed") == 1);
}

TEST_CASE("a failure that time does not mend ends the source, not the bridge") {
  World world;
  FakeStream& bad = world.stream("bad", {{"a", 1}});
  bad.failures.emplace_back(ErrorCode::kSourceData, "the recording was cut off");
  FakeStream& good = world.stream("good", {{"a", 3}});
  good.ends = true;
  world.start();
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.source("bad").state == SourceState::kFailed);
  CHECK(world.source("bad").error == "source.data: the recording was cut off");
  CHECK(world.source("good").state == SourceState::kFinished);
}

TEST_CASE("a broken belief parks one source before its next checkpoint") {
  World world;
  FakeStream& liar = world.stream("liar", {{"a", 1}});
  liar.lies_about_sizes = true;
  FakeStream& good = world.stream("good", {{"a", 3}});
  good.ends = true;
  world.start();
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.source("liar").state == SourceState::kParked);
  CHECK(world.source("liar").error.starts_with("internal: shard_runner.cpp:"));
  CHECK(world.checkpoints() == "good/a@3");
  CHECK(liar.lives == 1);
}

TEST_CASE("a broken belief parks a source that is reading") {
  World world;
  FakeStream& liar = world.stream("liar", {{"a", 2}});
  liar.lies_about_sizes = true;
  liar.mapping.batch_size = 1;
  world.start();
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.source("liar").state == SourceState::kParked);
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1}"});
  CHECK(world.source("liar").counters.settled_events == 1);
}

TEST_CASE("a source that is called off has not failed") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  clicks.keeps_checkpoints = true;
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  CHECK(world.source("clicks").state == SourceState::kStopped);
  CHECK(world.log.count("source.failed") == 0);
  CHECK(clicks.committed.at("a") == 2);
}

TEST_CASE("a source that fails with a batch in flight is made again when the batch has ended") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  clicks.keeps_checkpoints = true;  // nobody takes the checkpoint of that batch any more
  world.start();
  world.function->hang_next();
  bool failed = false;
  world.run_until([&] {
    if (!failed && world.function->calls.size() == 1) {
      failed = true;
      clicks.fail(Error(ErrorCode::kSourceFailed, "the topic was made anew"));
      net::post(world.context(), [&] { world.function->finish(); });
    }
    return world.source("clicks").counters.settled_events == 4;
  });
  CHECK(clicks.lives == 2);
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2}", "{\"a\":1,2}"});
  CHECK(clicks.committed.at("a") == 2);
}

TEST_CASE("a shard that was lost comes back while its last batch is in flight") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  world.start();
  world.function->hang_next();
  bool lost = false;
  world.run_until([&] {
    if (!lost && world.function->calls.size() == 1) {
      lost = true;
      clicks.lose_and_regain("a");
      net::post(world.context(), [&] { world.function->finish(); });
    }
    return world.source("clicks").counters.settled_events == 4;
  });
  CHECK(clicks.lives == 1);
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2}", "{\"a\":1,2}"});
  CHECK(world.checkpoints() == "clicks/a@2");
}

TEST_CASE("a source whose checkpoint cannot be read fails, and reads nothing") {
  World world;
  world.stream("clicks", {{"a", 2}});
  world.start();
  world.damage_checkpoint("clicks", "a");
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.source("clicks").state == SourceState::kFailed);
  CHECK(world.source("clicks").error.starts_with("store.corrupt: "));
  CHECK(world.function->calls.empty());
}

TEST_CASE("records are kept as dead letters before the checkpoint passes them") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  clicks.mapping.maximum_retry_attempts = 1;
  world.start();
  const FunctionFailed failed{"Error", R"({"errorType":"Error"})"};
  world.function->answer_next(Outcome(failed));
  world.function->answer_next(Outcome(failed));
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  CHECK(world.function->calls.size() == 2);
  CHECK(world.store().count_dead_letters().value() == 1);
  CHECK(world.checkpoints() == "clicks/a@2");
  CHECK(world.source("clicks").counters.dropped_events == 2);
  CHECK(world.log.count("invocation.failed") == 1);
  CHECK(world.log.count("records.discarded") == 1);
}

TEST_CASE("a function without concurrency is throttled, and its source waits") {
  World world;
  world.stream("clicks", {{"a", 2}});
  world.config().functions.at("f").reserved_concurrent_executions = 0;
  world.start();
  world.run_until([&] { return world.source("clicks").counters.throttles >= 2; });
  CHECK(world.function->calls.empty());
  CHECK(world.checkpoints().empty());
  CHECK(world.log.count("invocation.throttled") == 1);
}

TEST_CASE("while a source fails, what is known of its shards stays, and what was not settled grows older") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  world.config().functions.at("f").reserved_concurrent_executions = 0;
  world.start();
  const auto fail_when_throttled = [&] {
    if (clicks.lives == 1 && world.source("clicks").counters.throttles >= 1) {
      clicks.fail(Error(ErrorCode::kSourceUnreachable, "nobody answers"));
    }
  };

  SECTION("between two lives") {
    std::vector<SourceStatus> seen;
    world.run_until([&] {
      fail_when_throttled();
      const SourceStatus now = world.source("clicks");
      if (now.state == SourceState::kBackingOff) seen.push_back(now);
      return seen.size() == 2;
    });
    REQUIRE(seen[0].shards.size() == 1);
    const bridge::ShardStatus& shard = seen[0].shards[0];
    CHECK(shard.shard == "a");
    CHECK(shard.unsettled == 2);
    CHECK(shard.counters.polled_events == 2);
    CHECK(seen[0].counters.polled_events == 2);
    CHECK(seen[0].error == "source.unreachable: nobody answers");
    REQUIRE(seen[1].shards.size() == 1);
    CHECK(seen[1].shards[0].iterator_age > shard.iterator_age);
  }
  SECTION("a try that has not read anything is no recovery, reading is one") {
    std::optional<SourceStatus> tried;
    SourceStatus read;
    world.run_until([&] {
      fail_when_throttled();
      if (clicks.lives < 2) return false;
      read = world.source("clicks");
      if (!tried) tried = read;
      return read.counters.polled_events == 4;
    });
    CHECK(tried->state == SourceState::kRunning);
    CHECK(tried->error == "source.unreachable: nobody answers");
    REQUIRE(tried->shards.size() == 1);
    CHECK(tried->counters.polled_events == 2);
    CHECK(read.error.empty());
    REQUIRE(read.shards.size() == 1);
    CHECK(read.shards[0].counters.polled_events == 4);
  }
}

TEST_CASE("what was in flight when a source failed, and is done since, grows no older") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  world.start();
  world.function->hang_next();
  bool failed = false;
  SourceStatus status;
  world.run_until([&] {
    if (!failed && world.function->calls.size() == 1) {
      failed = true;
      clicks.fail(Error(ErrorCode::kSourceUnreachable, "nobody answers"));
    } else if (failed) {
      world.function->finish();
    }
    status = world.source("clicks");
    return status.state == SourceState::kBackingOff;
  });
  REQUIRE(status.shards.size() == 1);
  CHECK(status.shards[0].unsettled == 0);
  CHECK(status.shards[0].iterator_age == Duration(0));
  CHECK(status.shards[0].checkpoint == Resume::after(Position(2)));
}

TEST_CASE("what hinders a source that runs is its error, until it is over") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  clicks.trouble = "source.unreachable: nobody answers";
  world.start();
  SourceStatus hindered;
  world.run_until([&] {
    const SourceStatus now = world.source("clicks");
    if (now.state != SourceState::kRunning) return false;
    if (!clicks.trouble.empty()) {
      hindered = now;
      clicks.trouble.clear();
      return false;
    }
    return now.error.empty();
  });
  CHECK(hindered.state == SourceState::kRunning);
  CHECK(hindered.error == "source.unreachable: nobody answers");
}

TEST_CASE("what each life of a failing source says again is said once") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  clicks.says_hello = true;
  clicks.failures.assign(2, Error(ErrorCode::kSourceUnreachable, "nobody answers"));
  world.start();
  world.run_until([&] { return world.source("clicks").counters.settled_events >= 2 && clicks.lives == 3; });
  CHECK(world.log.count("credentials.fetched") == 3);
  CHECK(world.log.said["credentials.fetched"] == 1);
}

TEST_CASE("a disabled source is not read") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 2}});
  world.config().sources[0].enabled = false;
  world.start();
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.source("clicks").state == SourceState::kDisabled);
  CHECK(clicks.lives == 0);
}

namespace {

net::awaitable<void> move(Bridge& bridge, std::string shard, std::optional<Resume> to,
                          std::optional<Result<void>>& result) {
  result = co_await bridge.move_checkpoint("clicks", std::move(shard), std::move(to));
}

}  // namespace

TEST_CASE("a checkpoint is moved while the bridge runs") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  world.start();
  std::optional<Result<void>> result;
  runtime::TaskScope mover(world.context().get_executor());
  bool moved = false;
  world.run_until([&] {
    const SourceStatus status = world.source("clicks");
    if (!moved && status.counters.settled_events == 4 && status.counters.checkpoints == 1) {
      moved = true;
      mover.spawn(move(world.bridge(), "a", Resume::after(Position(2)), result));
    }
    return status.counters.settled_events == 6;
  });
  REQUIRE(result.has_value());
  CHECK(result->has_value());
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2,3,4}", "{\"a\":3,4}"});
  CHECK(clicks.lives == 2);
  CHECK(world.checkpoints() == "clicks/a@4");
}

TEST_CASE("a checkpoint for a shard that the running source does not have is refused, and nothing is stopped") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  clicks.knows_shards = GENERATE(true, false);
  world.start();
  std::optional<Result<void>> result;
  runtime::TaskScope mover(world.context().get_executor());
  bool moved = false;
  world.run_until([&] {
    if (!moved && world.source("clicks").counters.settled_events == 4) {
      moved = true;
      mover.spawn(move(world.bridge(), "b", Resume::after(Position(2)), result));
    }
    return result.has_value();
  });
  CHECK(result->has_value() == !clicks.knows_shards);
  if (!clicks.knows_shards) return;
  CHECK(result->error().describe() == "config.invalid: clicks has no shard b");
  CHECK(clicks.lives == 1);
  CHECK(world.checkpoints() == "clicks/a@4");
}

namespace {

net::awaitable<void> post(http::Handler& handler, http::Request request, std::optional<http::Response>& response) {
  response = co_await handler(std::move(request));
}

}  // namespace

TEST_CASE("the admin address takes no orders from web pages") {
  World world;
  world.stream("clicks", {{"a", 4}});
  world.start();
  http::Handler handler = gateway::admin_handler(world.bridge());
  http::Request request;
  request.method = "POST";
  request.target = "/checkpoints";
  request.headers.add("origin", "https://example.com");
  request.body = R"({"source":"clicks","shard":"a","position":"2"})";
  std::optional<http::Response> response;
  test::run(world.context(), post(handler, std::move(request), response));
  REQUIRE(response.has_value());
  CHECK(response->status == 403);
  CHECK(world.checkpoints().empty());
}
