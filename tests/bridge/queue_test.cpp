// The asynchronous queue in a running bridge: what its engine decides is tested in tests/engine and tests/simulation;
// here it meets the store, functions, destinations and sources.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/world.h"
#include "support/print.h"

using namespace weir;
using weir::test::FakeEndpoint;
using weir::test::World;

namespace {

FunctionFailed boom() {
  FunctionFailed failed;
  failed.error_type = "Error";
  failed.payload = R"({"errorType":"Error","errorMessage":"boom"})";
  return failed;
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<store::DeadLetter> letters(World& world) {
  return world.store().list_dead_letters({}, 100, true).value();
}

}  // namespace

TEST_CASE("an event is invoked with the request id of its 202, and forgotten") {
  World world;
  world.start();
  world.send("f", R"({"n":1})");
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  CHECK(world.function->calls == std::vector<std::string>{R"({"n":1})"});
  CHECK(world.request_ids == world.function->request_ids);
  CHECK(world.queue().figures.received == 1);
  CHECK(world.queue().figures.dropped == 0);
  world.stop();
  world.start();
  world.run_until([&] { return true; });
  CHECK(world.function->calls.empty());
}

TEST_CASE("an event that was not handled when weir stopped is handled by its next life") {
  World world;
  world.start();
  world.function->hang_next();
  world.send("f", "1");
  world.run_until([&] { return world.function->calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    world.bridge().request_stop();
                  });
  CHECK(world.function->called_off == 1);
  const std::string id = world.request_ids.at(0);
  world.stop();
  world.start();
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  CHECK(world.function->request_ids == std::vector<std::string>{id});
  CHECK(world.queue().figures.restored == 1);
}

TEST_CASE("what was given up on is a dead letter, with AWS's record") {
  World world;
  world.config().functions.at("f").async.maximum_retry_attempts = 0;
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", R"({"key": [1, 2]})");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  const auto kept = letters(world);
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].payload == R"({"key": [1, 2]})");
  CHECK(kept[0].function == "f");
  CHECK(kept[0].source.empty());
  const auto timestamp = iso_milliseconds(kept[0].at);
  // The members in the order that the developer guide shows (invocation-async-retain-records).
  CHECK(
      kept[0].record ==
      R"({"version":"1.0","timestamp":")" + timestamp + R"(","requestContext":{"requestId":")" +
          world.request_ids.at(0) +
          R"(","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted",)"
          R"("approximateInvokeCount":1},"requestPayload":{"key": [1, 2]},"responseContext":{"statusCode":200,)"
          R"("executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorType":"Error",)"
          R"("errorMessage":"boom"}})");
}

TEST_CASE("reserved concurrency 0 ends an event at once, and says so without a response") {
  World world;
  world.config().functions.at("f").reserved_concurrent_executions = 0;
  world.start();
  world.send("f", "{}");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(world.function->calls.empty());
  const auto record = nlohmann::json::parse(letters(world).at(0).record);
  CHECK(record["requestContext"]["condition"] == "ZeroReservedConcurrency");
  CHECK(record["requestContext"]["approximateInvokeCount"] == 0);
  CHECK_FALSE(record.contains("responseContext"));
  CHECK_FALSE(record.contains("responsePayload"));
}

TEST_CASE("a destination takes the place of the dead letter, and gets a line of JSON") {
  World world;
  auto& settings = world.config().functions.at("f").async;
  settings.maximum_retry_attempts = 0;
  settings.on_failure = "file:" + world.path("lost.jsonl");
  settings.on_success = "file:" + world.path("done.jsonl");
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  // Only then, for events that wait together are invoked in no order, and the first one is to fail.
  bool sent = false;
  world.run_until([&] {
    const auto& figures = world.queue().figures;
    if (figures.dropped == 1 && !std::exchange(sent, true)) world.send("f", "2");
    return figures.dropped + figures.succeeded == 2;
  });
  CHECK(letters(world).empty());
  const auto lost = nlohmann::json::parse(contents(world.path("lost.jsonl")));
  CHECK(lost["requestPayload"] == 1);
  CHECK(lost["requestContext"]["condition"] == "RetriesExhausted");
  const auto done = nlohmann::json::parse(contents(world.path("done.jsonl")));
  CHECK(done["requestPayload"] == 2);
  CHECK(done["requestContext"]["condition"] == "Success");
  CHECK(done["responsePayload"].is_null());
  CHECK_FALSE(done["responseContext"].contains("functionError"));
}

TEST_CASE("a destination that does not take the record: it is counted, and the event is a dead letter") {
  World world;
  auto& settings = world.config().functions.at("f").async;
  settings.maximum_retry_attempts = 0;
  settings.on_failure = "file:" + world.path("no-such-folder/lost.jsonl");
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(world.queue().destination_failures == 1);
  CHECK(letters(world).size() == 1);
  CHECK(world.log.count("destination.refused") == 1);
}

TEST_CASE("lambda: hands the record to another function, as an asynchronous invocation of its own") {
  World world;
  world.add_function("undertaker");
  auto& settings = world.config().functions.at("f").async;
  settings.maximum_retry_attempts = 0;
  settings.on_failure = "lambda:undertaker";
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] { return world.queue("undertaker").figures.succeeded == 1; });
  const auto record = nlohmann::json::parse(world.functions.at("undertaker")->calls.at(0));
  CHECK(record["requestContext"]["requestId"] == world.request_ids.at(0));
  CHECK(world.functions.at("undertaker")->request_ids.at(0) != world.request_ids.at(0));
  CHECK(world.queue().figures.dropped == 1);
}

TEST_CASE("a record is one line, however its payload is spread over lines") {
  World world;
  world.config().functions.at("f").async.on_success = "file:" + world.path("done.jsonl");
  std::ofstream(world.path("done.jsonl")) << "half a line of an earlier life";
  world.start();
  world.send("f", "{\n  \"text\": \"a\\nb\",\r\n  \"n\": 1\n}");
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  std::istringstream lines(contents(world.path("done.jsonl")));
  std::string line;
  std::getline(lines, line);
  CHECK(line == "half a line of an earlier life");
  std::getline(lines, line);
  const auto record = nlohmann::json::parse(line);
  CHECK(record["requestPayload"] == nlohmann::json{{"text", "a\nb"}, {"n", 1}});
  CHECK_FALSE(std::getline(lines, line));
}

TEST_CASE("a record for another function is kept also while weir stops, and invoked by its next life") {
  World world;
  world.add_function("next");
  world.config().functions.at("f").async.on_success = "lambda:next";
  world.start();
  FakeEndpoint& first = *world.functions.at("f");
  first.hang_next();
  world.send("f", "1");
  world.run_until([&] { return first.calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    net::post(world.context(), [&] { first.finish(); });
                  });
  CHECK(world.queue("f").figures.succeeded == 1);
  CHECK(world.queue("f").destination_failures == 0);
  world.stop();
  world.start();
  world.run_until([&] { return world.queue("next").figures.succeeded == 1; });
  CHECK(nlohmann::json::parse(world.functions.at("next")->calls.at(0))["requestPayload"] == 1);
}

TEST_CASE("functions that hand on to each other in a circle are stopped after 16 passes") {
  World world;
  world.add_function("g");
  world.config().functions.at("f").async.on_success = "lambda:g";
  world.config().functions.at("g").async.on_success = "lambda:f";
  world.start();
  world.send("f", "1");
  world.run_until([&] { return world.queue("f").destination_failures + world.queue("g").destination_failures == 1; });
  CHECK(world.functions.at("f")->calls.size() + world.functions.at("g")->calls.size() == 17);
  CHECK(world.log.count("destination.refused") == 1);
}

TEST_CASE("an event that is too large is refused before it is kept, one byte less is not") {
  World world;
  world.start();
  world.send("f", "\"" + std::string(kMaxAsyncRequestBytes - 1, 'x') + "\"");
  world.send("f", "\"" + std::string(kMaxAsyncRequestBytes - 2, 'x') + "\"");
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  REQUIRE(world.refusals.size() == 1);
  CHECK(world.refusals[0] ==
        "event.refused: 1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)");
}

TEST_CASE("dead letters that are sent again are events with new request ids") {
  World world;
  world.config().functions.at("f").async.maximum_retry_attempts = 0;
  world.start();
  for (int i = 0; i < 2; ++i) world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.send("f", "2");
  std::size_t again = 0;
  world.run_until([&] { return world.queue().figures.dropped == 2; },
                  [&] {
                    net::co_spawn(
                        world.context(),
                        [](World& here, std::size_t& count) -> net::awaitable<void> {
                          count = (co_await here.bridge().redrive({})).value();
                          while (here.queue().figures.succeeded < 2) co_await net::post(net::use_awaitable);
                          here.bridge().request_stop();
                        }(world, again),
                        net::detached);
                  });
  CHECK(again == 2);
  CHECK(letters(world).empty());
  REQUIRE(world.function->calls.size() == 4);
  CHECK(world.function->calls[2] == world.function->calls[0]);
  CHECK(world.function->request_ids[2] != world.function->request_ids[0]);
}

TEST_CASE("a push source's events and what it remembers of them are kept together") {
  World world;
  const auto announcer = world.announcer("uploads");
  announcer->at_start = {R"({"n":1})", R"({"n":2})"};
  world.start();
  world.run_until([&] { return world.queue().figures.succeeded == 2; });
  CHECK(announcer->accepted == world.function->request_ids);
  CHECK(world.source("uploads").pushed->accepted == 2);
  world.stop();
  announcer->at_start.push_back(R"({"n":3})");
  world.start();
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  CHECK(announcer->notes_seen.size() == 2);
  CHECK(world.function->calls == std::vector<std::string>{R"({"n":3})"});
}

TEST_CASE("a push source that fails is made again, and a webhook answers while it runs") {
  World world;
  const auto announcer = world.announcer("uploads");
  announcer->failures.emplace_back(ErrorCode::kSourceNotFound, "the folder is gone");
  world.start();
  std::vector<int> answers;
  world.run_until([&] { return announcer->lives == 2; },
                  [&] {
                    net::co_spawn(
                        world.context(),
                        [](World& here, std::vector<int>& statuses) -> net::awaitable<void> {
                          for (const char* source : {"uploads", "nobody"}) {
                            WebhookRequest request;
                            request.method = "POST";
                            request.body = "7";
                            const WebhookResponse response =
                                co_await here.bridge().webhook("announce", source, std::move(request));
                            statuses.push_back(response.status);
                          }
                          while (here.queue().figures.succeeded < 1) co_await net::post(net::use_awaitable);
                          here.bridge().request_stop();
                        }(world, answers),
                        net::detached);
                  });
  CHECK(answers == std::vector<int>{200, 404});
  CHECK(world.source("uploads").restarts == 1);
  CHECK(world.function->calls == std::vector<std::string>{"7"});
}

TEST_CASE("while weir stops nothing is accepted") {
  World world;
  world.start();
  world.function->hang_next();
  world.send("f", "1");
  world.run_until([&] { return world.function->calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    world.send("f", "2");
                    net::post(world.context(), [&] { world.function->finish(); });
                  });
  CHECK(world.refusals == std::vector<std::string>{"cancelled: weir stops"});
  CHECK(world.queue().figures.succeeded == 1);
}

TEST_CASE("an event of a function that is not configured any more is told that it is gone") {
  World world;
  world.start();
  world.function->hang_next();
  world.send("f", "1");
  world.run_until([&] { return world.function->calls.size() == 1; },
                  [&] {
                    world.bridge().request_stop();
                    world.bridge().request_stop();
                  });
  world.stop();
  auto settings = world.config().functions.extract("f");
  settings.key() = "g";
  settings.mapped().name = "g";
  world.config().functions.insert(std::move(settings));
  // AWS tries an event of a deleted function as often as one that fails, a minute apart; here two tries are behind it.
  {
    const auto store = std::move(*store::StateFolder::open(world.path("state")));
    REQUIRE(test::run(world.context(), store->remember_retry(1, 2, WallTime())).has_value());
  }
  world.start();
  world.run_until([&] { return world.bridge().status().ready && world.queue("f").figures.dropped == 1; });
  const auto record = nlohmann::json::parse(letters(world).at(0).record);
  CHECK(record["requestContext"]["condition"] == "RetriesExhausted");
  CHECK(record["requestContext"]["approximateInvokeCount"] == 3);
  CHECK(record["responseContext"] == nlohmann::json{{"statusCode", 404}});
  CHECK_FALSE(record.contains("responsePayload"));
}
