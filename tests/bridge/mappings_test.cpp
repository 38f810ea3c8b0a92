// Event source mappings that the Lambda API makes, changes and deletes while weir runs.
#include <catch2/catch.hpp>

#include "bridge/world.h"

using namespace weir;
using weir::test::FakeStream;
using weir::test::World;

namespace {

/// A mapping of one shard, "a", with so many records.
config::SourceEntry mapping(int records, std::size_t batch_size, bool enabled = true) {
  auto stream = std::make_shared<FakeStream>();
  stream->shards = {{"a", records}};
  stream->mapping.batch_size = batch_size;
  config::SourceEntry entry;
  entry.name = "uuid";
  entry.connector = &test::kFake;
  entry.function = "f";
  entry.enabled = enabled;
  entry.by_api = true;
  entry.settings = std::move(stream);
  return entry;
}

/// Runs the bridge, and each step when what it waits for is so; then stops.
struct Step {
  std::function<bool()> when;
  std::function<void()> then;
};
void run(World& world, std::vector<Step> steps) {
  std::size_t at = 0;
  world.run_until([&] {
    if (!world.bridge().status().ready || !steps[at].when()) return false;
    if (steps[at].then) steps[at].then();
    return ++at == steps.size();
  });
}

}  // namespace

TEST_CASE("a mapping is made, changed, turned off and on, and deleted while weir runs") {
  World world;
  world.start();
  const auto settled = [&] { return world.bridge().mapping("uuid")->settled; };
  const auto read = [&](std::uint64_t records) {
    return [&world, records] { return world.source("uuid").counters.settled_events == records; };
  };
  bool gone = false;
  run(world, {{[] { return true; }, [&] { world.bridge().put_mapping(mapping(5, 2)); }},
              {read(5),
               [&] {
                 CHECK(settled());
                 CHECK(world.bridge().mapping("uuid")->result == "OK");
                 world.bridge().put_mapping(mapping(9, 4));
                 CHECK_FALSE(settled());
               }},
              {read(4), [&] { world.bridge().put_mapping(mapping(12, 4, false)); }},
              {settled,
               [&] {
                 CHECK(world.source("uuid").state == bridge::SourceState::kDisabled);
                 CHECK(world.function->calls.size() == 4);
                 world.bridge().put_mapping(mapping(12, 4));
               }},
              {read(3),
               [&] {
                 CHECK_FALSE(world.checkpoints().empty());
                 world.bridge().remove_mapping("uuid", [&] { gone = true; });
               }},
              {[&] { return gone; }, [&] { CHECK(world.checkpoints().empty()); }}});
  CHECK(world.function->calls == std::vector<std::string>{R"({"a":1,2})", R"({"a":3,4})", R"({"a":5})",
                                                          R"({"a":6,7,8,9})", R"({"a":10,11,12})"});
  CHECK_FALSE(world.bridge().mapping("uuid").has_value());
}

TEST_CASE("a mapping of a version or alias calls that one") {
  World world;
  world.start();
  config::SourceEntry entry = mapping(1, 1);
  entry.qualifier = "$LATEST";
  world.bridge().put_mapping(std::move(entry));
  run(world, {{[&] { return !world.function->calls.empty(); }, nullptr}});
  CHECK(world.function->qualifiers == std::vector<std::string>{"$LATEST"});
}

TEST_CASE("what a deleted mapping has left in an earlier life is forgotten in this one") {
  World world;
  world.start();
  world.bridge().put_mapping(mapping(2, 2));
  run(world, {{[&] { return !world.checkpoints().empty(); }, nullptr}});
  world.stop();
  world.start();
  bool gone = false;
  world.bridge().remove_mapping("uuid", [&] { gone = true; });
  run(world, {{[&] { return gone; }, [&] { CHECK(world.checkpoints().empty()); }}});
}

TEST_CASE("a new configuration leaves mappings of the Lambda API as they are, and takes none of their names") {
  World world;
  world.stream("s", {{"a", 1}});
  world.start();
  world.bridge().put_mapping(mapping(1, 1));
  config::Config next = world.config();
  next.sources.clear();
  config::Config same_name = world.config();
  same_name.sources.front().name = "uuid";
  run(world, {{[&] { return world.function->calls.size() == 2; },
               [&] {
                 const Result<void> refused = world.bridge().reload(same_name, {"s", "uuid"});
                 REQUIRE_FALSE(refused.has_value());
                 CHECK(refused.error().message() ==
                       "sources.uuid: there is an event source mapping of that name, made through the Lambda API");
                 CHECK(world.bridge().reload(next, {"s"}).has_value());
               }},
              {[&] { return world.bridge().status().sources.size() == 1; },
               [&] {
                 CHECK(world.source("uuid").state == bridge::SourceState::kRunning);
                 CHECK(world.bridge().configuration().sources.empty());
               }}});
}

TEST_CASE("a checkpoint of a mapping of the Lambda API is moved as others are") {
  World world;
  world.start();
  world.bridge().put_mapping(mapping(2, 2));
  std::optional<Result<void>> moved;
  const auto move = [&]() -> net::awaitable<void> {
    moved = co_await world.bridge().move_checkpoint("uuid", "a", Resume::after(Position(1)));
  };
  run(world, {{[&] { return world.function->calls.size() == 1; },
               [&] { net::co_spawn(world.context(), move, net::detached); }},
              {[&] { return world.function->calls.size() == 2; }, nullptr}});
  REQUIRE(moved.has_value());
  CHECK(moved->has_value());
  CHECK(world.function->calls == std::vector<std::string>{R"({"a":1,2})", R"({"a":2})"});
}
