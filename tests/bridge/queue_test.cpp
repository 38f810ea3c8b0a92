// The asynchronous queue in a running bridge: what its engine decides is tested in tests/engine and tests/simulation;
// here it meets the store, functions, destinations and sources.
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
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

/// A destination that answers as the test says, by its target, and takes what is not said.
struct Place {
  std::deque<ErrorCode> refusals;
  std::vector<DestinationRecord> taken;
  int tries = 0;
  bool hangs = false;  ///< it never answers
};
std::map<std::string, Place> places;

class FakeDestination final : public Destination {
 public:
  FakeDestination(std::string target, const net::any_io_executor& executor)
      : target_(std::move(target)), closing_(executor, net::steady_timer::time_point::max()) {}
  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    Place& place = places[target_];
    ++place.tries;
    while (place.hangs && !closed_) {
      boost::system::error_code woken;
      co_await closing_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
    if (closed_) co_return Error(ErrorCode::kCancelled, "weir stops");
    if (place.refusals.empty()) {
      place.taken.push_back(std::move(record));
      co_return Result<void>();
    }
    const ErrorCode code = place.refusals.front();
    place.refusals.pop_front();
    co_return Error(code, "not now");
  }
  net::awaitable<void> close() override {
    closed_ = true;
    closing_.cancel();
    co_return;
  }

 private:
  std::string target_;
  net::steady_timer closing_;
  bool closed_ = false;
};

constexpr std::array kPlaces{
    DestinationEntry{"sqs", "a queue", [](std::string_view, std::string_view) { return std::string(); },
                     [](std::string target, DestinationContext context) -> Result<std::unique_ptr<Destination>> {
                       return std::make_unique<FakeDestination>(std::move(target), context.executor);
                     }}};

/// A world whose function fails at once for good, with queues for what became of its events.
config::AsyncConfig& with_queues(World& world) {
  places.clear();
  world.config().destinations = kPlaces;
  auto& settings = world.config().functions.at("f").async;
  settings.maximum_retry_attempts = 0;
  return settings;
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

TEST_CASE("a dead-letter queue gets the event itself, beside the destination's record") {
  World world;
  auto& settings = with_queues(world);
  settings.on_failure = "sqs:records";
  settings.dead_letter = "sqs:letters";
  world.start();
  FunctionFailed failed = boom();
  failed.payload = R"({"errorMessage":")" + std::string(1023, 'x') + R"(é"})";
  world.function->answer_next(Outcome(failed));
  world.send("f", R"({"order" : 1})");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(letters(world).empty());
  REQUIRE(places["records"].taken.size() == 1);
  CHECK(places["records"].taken[0].function == "f");
  REQUIRE(places["letters"].taken.size() == 1);
  const DestinationRecord& letter = places["letters"].taken[0];
  CHECK(letter.record == R"({"order" : 1})");
  // Source: reference invoke.md, 3.5; the message's first KB, whole characters.
  CHECK(letter.details.attributes ==
        std::map<std::string, MessageAttribute>{{"RequestID", {"String", world.request_ids.at(0)}},
                                                {"ErrorCode", {"Number", "200"}},
                                                {"ErrorMessage", {"String", std::string(1023, 'x')}}});
  CHECK(letter.function.empty());
}

TEST_CASE("the dead-letter queue of a function that is never invoked is told without a code") {
  World world;
  with_queues(world).dead_letter = "sqs:letters";
  world.config().functions.at("f").reserved_concurrent_executions = 0;
  world.start();
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  REQUIRE(places["letters"].taken.size() == 1);
  const auto& attributes = places["letters"].taken[0].details.attributes;
  CHECK_FALSE(attributes.contains("ErrorCode"));
  CHECK(attributes.at("ErrorMessage").value ==
        "Function not invoked. Function isconfigured with zero reserved concurrent executions");
}

TEST_CASE("a dead-letter queue that is gone: it is counted, the record is delivered once, the event is a dead letter") {
  World world;
  auto& settings = with_queues(world);
  settings.on_failure = "sqs:records";
  settings.dead_letter = "sqs:letters";
  const auto refusal =
      GENERATE(ErrorCode::kDestinationGone, ErrorCode::kDestinationForbidden, ErrorCode::kEventRefused);
  places["letters"].refusals = {refusal};
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(places["letters"].tries == 1);
  CHECK(places["records"].taken.size() == 1);
  CHECK(world.queue().dead_letter_errors == 1);
  CHECK(world.queue().destination_failures == 0);
  CHECK(letters(world).size() == 1);
}

TEST_CASE("a destination that fails for now is tried again, and others are not told twice") {
  World world;
  auto& settings = with_queues(world);
  settings.on_failure = "sqs:records";
  settings.dead_letter = "sqs:letters";
  places["records"].refusals = {ErrorCode::kDestinationFailed};
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(places["records"].tries == 2);
  CHECK(places["records"].taken.size() == 1);
  CHECK(places["letters"].tries == 1);
  CHECK(world.queue().destination_failures == 0);
  CHECK(letters(world).empty());
}

TEST_CASE("a destination that never answers holds up what it is told, and nothing else") {
  World world;
  with_queues(world).on_failure = "sqs:hangs";
  places["hangs"].hangs = true;
  world.config().shutdown_grace = std::chrono::milliseconds(100);
  for (const std::string name : {"alone", "elsewhere"}) {
    world.add_function(name).async.maximum_retry_attempts = 0;
  }
  world.config().functions.at("elsewhere").async.on_failure = "sqs:records";
  world.start();
  for (int i = 0; i < 100; ++i) {
    world.functions.at("f")->answer_next(Outcome(boom()));
    world.send("f", std::to_string(i));
  }
  bool sent = false;
  world.run_until([&] {
    if (!sent && world.queue("f").figures.ending == 100) {
      sent = true;
      for (const std::string name : {"alone", "elsewhere"}) {
        world.functions.at(name)->answer_next(Outcome(boom()));
        world.send(name, "1");
      }
    }
    return world.queue("alone").figures.dropped == 1 && world.queue("elsewhere").figures.dropped == 1;
  });
  CHECK(places["records"].taken.size() == 1);
  CHECK(world.queue("f").figures.dropped == 0);
}

TEST_CASE("a stop does not wait for a destination: one more try, and the event is a dead letter") {
  World world;
  with_queues(world).on_failure = "sqs:records";
  places["records"].refusals.assign(10, ErrorCode::kDestinationFailed);
  world.start();
  world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] { return places["records"].tries == 1; });
  CHECK(places["records"].tries == 2);
  CHECK(world.queue().destination_failures == 1);
  CHECK(letters(world).size() == 1);
}

TEST_CASE("a record of a success that the destination forbids is lost, and counted") {
  World world;
  with_queues(world).on_success = "sqs:records";
  places["records"].refusals = {ErrorCode::kDestinationForbidden};
  world.start();
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  CHECK(world.queue().destination_failures == 1);
  CHECK(letters(world).empty());
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
  world.run_until([&] {
    const engine::AsyncFigures f = world.queue("f").figures;
    const engine::AsyncFigures g = world.queue("g").figures;
    return f.recursive + g.recursive == 1 && f.ending + g.ending == 0;
  });
  CHECK(world.functions.at("f")->calls.size() + world.functions.at("g")->calls.size() == 17);
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
                          count = (co_await here.bridge().redrive({})).value().count;
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
