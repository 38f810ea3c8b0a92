#include "bridge/checkpoints.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/world.h"
#include "gateway/admin.h"
#include "gateway/status_json.h"
#include "support/print.h"

using namespace weir;
using namespace weir::bridge;
using weir::test::FakeStream;
using weir::test::World;

namespace {

std::string only_numbered_shards(const SourceConfig&, std::string_view shard, const Resume& to) {
  if (shard != "1") return "there is no shard " + std::string(shard) + "; the last one is 1";
  return to.kind() == Resume::Kind::kAtTimestamp ? "records here have no time" : "";
}

/// What check_move() says of a move of that kind of source; "" when it may be.
std::string refusal(Delivery delivery, const std::string& shard, const std::string& to) {
  const ConnectorEntry connector{.type = "sample",
                                 .delivery = delivery,
                                 .about = "Of a test.",
                                 .check_checkpoint = shard == "a" ? nullptr : &only_numbered_shards};
  config::SourceEntry entry;
  entry.name = "clicks";
  entry.connector = &connector;
  entry.settings = std::make_shared<SourceConfig>();
  const auto checked = check_move(entry, shard, to.empty() ? std::nullopt : Resume::parse(to));
  if (checked) return "";
  CHECK(checked.error().code() == ErrorCode::kConfigInvalid);
  return checked.error().message();
}

}  // namespace

TEST_CASE("which checkpoints can be moved, and where to") {
  struct Row {
    Delivery delivery;
    std::string shard, to, refusal;
  };
  const auto row = GENERATE(values<Row>({
      {Delivery::kPoll, "a", "17", ""},
      {Delivery::kPoll, "a", "TRIM_HORIZON", ""},
      {Delivery::kPoll, "a", "LATEST", ""},
      {Delivery::kPoll, "a", "AT_TIMESTAMP 1760000000", ""},
      {Delivery::kPoll, "a", "AT_TIMESTAMP 4102444800", "2100-01-01T00:00:00.000Z is in the future"},
      {Delivery::kPoll, "a", "SHARD_END",
       "SHARD_END is what weir remembers of a shard that ended; a checkpoint cannot be set to it"},
      {Delivery::kPoll, "a", "", ""},
      {Delivery::kPoll, "", "", ""},
      {Delivery::kPoll, "", "17", "a position is one shard's: say which of clicks (sample)"},
      {Delivery::kPoll, "1", "17", ""},
      {Delivery::kPoll, "2", "17", "clicks: there is no shard 2; the last one is 1"},
      {Delivery::kPoll, "1", "AT_TIMESTAMP 1760000000", "clicks: records here have no time"},
      {Delivery::kPoll, "2", "", ""},  // what is there, however it came, may be forgotten
      {Delivery::kQueue, "a", "17", "clicks (sample) has no checkpoints: what is not done stays in the queue itself"},
      {Delivery::kQueue, "", "", "clicks (sample) has no checkpoints: what is not done stays in the queue itself"},
      {Delivery::kPush, "", "",
       "clicks (sample) has no checkpoints: what it accepted waits in weir's own queue until it is done"},
  }));
  DYNAMIC_SECTION(row.shard << " to " << row.to) {
    CHECK(refusal(row.delivery, row.shard, row.to) == row.refusal);
  }
}

TEST_CASE("what follows a moved checkpoint is told in a sentence") {
  const auto move = [](const SourceConfig&, std::string_view, std::optional<Resume>) { return Result<void>(); };
  ConnectorEntry connector{.type = "sample", .delivery = Delivery::kPoll, .about = "Of a test."};
  config::SourceEntry entry;
  entry.name = "clicks";
  entry.connector = &connector;
  const auto told = [&](const std::string& to, const std::string& shard = "a") {
    return what_follows(entry, shard, to.empty() ? std::nullopt : Resume::parse(to));
  };
  CHECK(told("", "") == "forgotten, read from its starting position");
  // With other checkpoints it is a shard that came later, as after a split.
  CHECK(told("") ==
        "forgotten, read from its oldest record; from the source's starting position if no other shard of clicks has a "
        "checkpoint");
  CHECK(told("17") == "the next record read is the one behind 17");
  CHECK(told("TRIM_HORIZON") == "read from the oldest record there is");
  CHECK(told("LATEST") == "read from behind the newest record there is when reading begins");
  CHECK(told("AT_TIMESTAMP 1760000000") == "read from the first record that came at 2025-10-09T08:53:20.000Z or later");
  SECTION("of a source that keeps them itself") {
    connector.move_checkpoint = move;
    CHECK(told("") == "forgotten, read from its starting position");
    CHECK(told("", "") == "forgotten, read from its starting position");
    CHECK(told("LATEST") == "read from behind the newest record there is now");
  }
}

namespace {

net::awaitable<void> post(http::Handler& handler, http::Request request, std::optional<http::Response>& response) {
  response = co_await handler(std::move(request));
}

/// The status of POST /checkpoints, and the message behind it.
std::string order(World& world, const std::string& body) {
  http::Handler handler = gateway::admin_handler(world.bridge());
  http::Request request;
  request.method = "POST";
  request.target = "/checkpoints";
  request.headers.add("host", "127.0.0.1:4581");
  request.body = body;
  std::optional<http::Response> response;
  test::run(world.context(), post(handler, std::move(request), response));
  const auto said = nlohmann::json::parse(response->body);
  return std::to_string(response->status) + " " + said.value("message", "");
}

}  // namespace

TEST_CASE("an order that cannot be carried out is refused before anything is stopped") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  world.announcer("uploads");
  world.start();
  CHECK(order(world, R"({"source":"nobody","shard":"a","position":"2"})") ==
        "404 source.not_found: no source nobody is configured; there is clicks, uploads");
  CHECK(order(world, R"({"source":"clicks","shard":"a","position":"two"})").starts_with("400 "));
  CHECK(order(world, R"({"source":"clicks","shard":"a","position":2})").starts_with("400 "));
  CHECK(order(world, R"({"source":"clicks","shard":"a","position":"SHARD_END"})").starts_with("400 "));
  CHECK(order(world, R"({"source":"clicks","position":"2"})").starts_with("400 "));
  CHECK(order(world, R"({"source":"uploads"})") ==
        "400 config.invalid: uploads (announce) has no checkpoints: what it accepted waits in weir's own queue until "
        "it is done");
  CHECK(clicks.lives == 0);
}

namespace {

net::awaitable<void> set_back(Bridge& bridge, Resume to, std::optional<Result<void>>& result) {
  result = co_await bridge.move_checkpoint("clicks", "a", std::move(to));
}

}  // namespace

TEST_CASE("a running bridge takes TRIM_HORIZON for a checkpoint, and remembers it until a batch is done") {
  World world;
  FakeStream& clicks = world.stream("clicks", {{"a", 4}});
  world.start();
  std::optional<Result<void>> result;
  runtime::TaskScope mover(world.context().get_executor());
  bool moved = false;
  world.run_until([&] {
    const SourceStatus status = world.source("clicks");
    if (!moved && status.counters.checkpoints == 1) {
      moved = true;
      mover.spawn(set_back(world.bridge(), Resume::trim_horizon(), result));
    }
    return status.counters.settled_events == 8;
  });
  REQUIRE(result.has_value());
  CHECK(result->has_value());
  CHECK(clicks.starts == std::vector<std::string>{"a from nowhere (first run)", "a from TRIM_HORIZON"});
  CHECK(world.checkpoints() == "clicks/a@4");
}

TEST_CASE("the age of a shard that a poison batch blocks grows until the batch is done") {
  World world;
  world.stream("clicks", {{"a", 2}, {"idle", 0}});
  world.start();
  const FunctionFailed failed{"Error", R"({"errorType":"Error"})"};
  for (int i = 0; i < 3; ++i) world.function->answer_next(Outcome(failed));
  std::vector<Duration> ages;
  std::vector<std::string> results;
  world.function->on_call = [&](std::size_t) {
    const BridgeStatus status = world.bridge().status();
    for (const ShardStatus& shard : status.sources[0].shards) {
      if (shard.shard == "a") ages.push_back(shard.iterator_age);
      if (shard.shard == "idle") CHECK(shard.iterator_age == Duration(0));
    }
    const auto told = nlohmann::json::parse(gateway::status_json(status));
    results.push_back(told["sources"][0]["last_processing_result"]);
  };
  world.run_until([&] { return world.source("clicks").counters.settled_events == 2; });
  REQUIRE(ages.size() == 4);
  // A failed batch is not tried again within 100 ms.
  for (std::size_t i = 1; i < ages.size(); ++i) CHECK(ages[i] - ages[i - 1] >= std::chrono::milliseconds(100));
  const std::string problem = "PROBLEM: Function call failed";
  CHECK(results == std::vector<std::string>{"No records processed", problem, problem, problem});
  CHECK(world.source("clicks").last_result.result == engine::ProcessingResult::kOk);
}
