// Event source mappings of shards: what the shell does beside the engine.
#include <filesystem>

#include <catch2/catch.hpp>

#include "bridge/world.h"
#include "pattern/filter_criteria.h"
#include "support/print.h"

using namespace weir;
using namespace weir::bridge;
using weir::test::FakeStream;
using weir::test::World;

namespace {

std::shared_ptr<const pattern::FilterCriteria> only(const std::string& pattern) {
  return pattern::FilterCriteria::compile(std::vector<std::string>{pattern}, pattern::FilterSource::kKinesis).value();
}

}  // namespace

TEST_CASE("the end of a closed shard is remembered, and its children follow it") {
  World world;
  FakeStream& stream = world.stream("s", {{"parent", 2}, {"child", 3}});
  stream.ends = true;
  stream.remembers_ends = true;
  stream.children = {{"parent", {"child"}}};
  world.start();
  world.run_until([&] { return world.checkpoints() == "s/child@SHARD_END s/parent@SHARD_END"; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"parent\":1,2}", "{\"child\":1,2,3}"});
  CHECK(stream.starts == std::vector<std::string>{"parent from nowhere (first run)", "child from nowhere (first run)"});
  world.stop();

  // Nothing of them is read again, and what was not known before is no first run.
  stream.shards["grandchild"] = 1;
  stream.children["child"] = {"grandchild"};
  stream.starts.clear();
  world.start();
  world.run_until([&] { return world.bridge().finished(); });
  CHECK(world.function->calls == std::vector<std::string>{"{\"grandchild\":1}"});
  CHECK(stream.starts == std::vector<std::string>{"grandchild from nowhere"});
}

TEST_CASE("what the filters do not want is done without an invocation, and the checkpoint passes it") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 5}});
  stream.mapping.filter = only(R"({"data":{"n":[{"numeric":[">",1,"<",4]}]}})");
  world.start();
  world.run_until([&] { return world.checkpoints() == "s/a@5"; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":2,3}"});
  const SourceStatus status = world.source("s");
  CHECK(status.counters.polled_events == 5);
  CHECK(status.counters.filtered_out_events == 3);
  CHECK(status.counters.invoked_events == 2);
}

TEST_CASE("only what was reported as failed, and what follows it, is sent again") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 4}});
  stream.mapping.report_batch_item_failures = true;
  world.start();
  world.function->answer_next(Outcome(Succeeded{R"({"batchItemFailures":[{"itemIdentifier":"3"}]})"}));
  world.run_until([&] { return world.checkpoints() == "s/a@4"; });
  CHECK(world.function->calls == std::vector<std::string>{"{\"a\":1,2,3,4}", "{\"a\":3,4}"});
  CHECK(world.function->request_ids[0] != world.function->request_ids[1]);
}

TEST_CASE("an answer is not read where the mapping does not ask for failures") {
  World world;
  world.stream("s", {{"a", 2}});
  world.start();
  world.function->answer_next(Outcome(Succeeded{R"({"batchItemFailures":[{"itemIdentifier":"1"}]})"}));
  world.run_until([&] { return world.checkpoints() == "s/a@2"; });
  CHECK(world.function->calls.size() == 1);
}

TEST_CASE("an event of a tumbling window carries the window and the state of the answer before") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 2}});
  stream.mapping.tumbling_window = std::chrono::seconds(900);
  stream.mapping.batch_size = 1;
  stream.ends = true;
  world.start();
  for (int i = 0; i < 3; ++i) {
    world.function->answer_next(Outcome(Succeeded{R"({"state":{"n":)" + std::to_string(i) + "}}"}));
  }
  world.run_until([&] { return world.bridge().finished(); });
  REQUIRE(world.function->calls.size() == 3);
  const std::string& first = world.function->calls[0];
  CHECK(first.starts_with(R"({"a":1,"shardId":"a","eventSourceARN":"arn:fake","window":{"start":")"));
  CHECK(first.find(R"(Z"},"state":{},"isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false})") !=
        std::string::npos);
  CHECK(world.function->calls[1].find(R"("state":{"n":0})") != std::string::npos);
  // The shard's end closes the window.
  CHECK(world.function->calls[2].find(R"("state":{"n":1},"isFinalInvokeForWindow":true)") != std::string::npos);
}

TEST_CASE("a destination that refuses is told of once, and each record is a dead letter, until it takes them again") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 4}});
  stream.mapping.batch_size = 1;
  stream.mapping.maximum_retry_attempts = 0;
  stream.mapping.destination_on_failure = "file:" + world.path("later/lost.jsonl");
  world.start();
  for (int i = 0; i < 4; ++i) world.function->answer_next(Outcome(FunctionFailed{"Error", "{}"}));
  world.function->on_call = [&](std::size_t call) {
    if (call == 4) std::filesystem::create_directory(world.path("later"));
  };
  world.run_until([&] { return world.checkpoints() == "s/a@4"; });
  CHECK(world.source("s").counters.destination_failures == 3);
  CHECK(world.source("s").counters.destination_events == 1);
  CHECK(world.store().count_dead_letters().value() == 3);
  CHECK(world.log.count("destination.refused") == 1);
  CHECK(world.log.count("destination.recovered") == 1);
}

TEST_CASE("an answer that gets its batch nowhere is said once, as an exception is, and so is the end of that") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 2}});
  stream.mapping.kind = MappingKind::kKinesis;
  std::string answer;
  SECTION("a report that cannot be read") {
    stream.mapping.report_batch_item_failures = true;
    answer = R"({"batchItemFailures":7})";
  }
  SECTION("a report of a record that is not in the batch") {
    stream.mapping.report_batch_item_failures = true;
    answer = R"({"batchItemFailures":[{"itemIdentifier":"3"}]})";
  }
  SECTION("a window's answer without its state") {
    stream.mapping.tumbling_window = std::chrono::seconds(300);
    answer = "{}";
  }
  world.start();
  for (int i = 0; i < 2; ++i) world.function->answer_next(Outcome(Succeeded{answer}));
  world.function->answer_next(Outcome(Succeeded{R"({"state":{}})"}));
  world.run_until([&] { return world.function->calls.size() == 3 && world.log.count("invocation.recovered") == 1; });
  CHECK(world.log.count("invocation.failed") == 1);
}

TEST_CASE("a batch that fails has not recovered because another lane's goes well") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 8}});
  stream.mapping.kind = MappingKind::kKinesis;
  stream.mapping.parallelization_factor = 10;
  stream.mapping.batch_size = 1;
  stream.keyed = true;
  world.start();
  std::size_t others = 0;
  std::size_t failures = 0;
  world.function->on_call = [&](std::size_t) {
    if (world.function->calls.back() != "{\"a\":1}") {
      ++others;
    } else if (others < 4 || failures < 3) {
      ++failures;
      world.function->answer_next(Outcome(FunctionFailed{"Error", "{}"}));
    }
  };
  world.run_until([&] { return world.checkpoints() == "s/a@8"; });
  CHECK(failures >= 3);
  CHECK(world.log.count("invocation.failed") == 1);
  CHECK(world.log.count("invocation.recovered") == 1);
}

TEST_CASE("a batch that what stands before the function refuses as too large uses attempts") {
  World world;
  FakeStream& stream = world.stream("s", {{"a", 1}});
  stream.mapping.maximum_retry_attempts = 1;
  world.start();
  for (int i = 0; i < 2; ++i) world.function->answer_next(Outcome(ServiceFailed{413, "too large"}));
  world.run_until([&] { return world.checkpoints() == "s/a@1"; });
  CHECK(world.function->calls.size() == 2);
  CHECK(world.store().count_dead_letters().value() == 1);
  CHECK(world.log.count("invocation.failed") == 1);
}
