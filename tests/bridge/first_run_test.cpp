// The first run of a mapping, killed after each of its writes: it has begun with all of its shards or with none.
#include <catch2/catch.hpp>

#include "bridge/fakes.h"
#include "bridge/mapping_runner.h"
#include "bridge/world.h"
#include "support/print.h"

using namespace weir;
using namespace weir::bridge;
using weir::test::FakeEndpoint;
using weir::test::FakeSource;
using weir::test::FakeStream;

namespace {

/// A store that is gone after some writes, as for a process that is killed; what was written before is there after it.
class MortalStore final : public store::CheckpointStore, public store::DeadLetters {
 public:
  net::awaitable<Result<store::SourceCheckpoints>> load_all(std::string) override {
    store::SourceCheckpoints all;
    all.stream = stream;
    all.shards = kept;
    co_return all;
  }
  net::awaitable<Result<void>> save(ShardId shard, Resume resume) override {
    store::SourceStarts one;
    one.shards.emplace(shard.name, std::move(resume));
    co_return write(one);
  }
  net::awaitable<Result<void>> save_starts(std::string, store::SourceStarts starts) override {
    co_return write(starts);
  }
  net::awaitable<Result<void>> keep(store::DeadLetter) override { co_return write({}); }

  std::string stream;
  std::map<std::string, Resume> kept;
  int writes_left = 0;
  bool died = false;

 private:
  Result<void> write(const store::SourceStarts& what) {
    died = died || writes_left-- == 0;
    if (died) return Error(ErrorCode::kStoreFailed, "killed");
    if (what.forget) kept.clear();
    if (!what.stream.empty()) stream = what.stream;
    for (const auto& [shard, resume] : what.shards) kept.insert_or_assign(shard, resume);
    return {};
  }
};

/// Lives of one mapping over one stream and one store.
struct Lives {
  net::io_context context;
  SystemClock clock;
  test::EventNames log;
  MortalStore store;
  std::shared_ptr<FakeStream> stream = std::make_shared<FakeStream>();

  /// Until it ends, the store dies or `enough`; what the function was invoked with.
  std::vector<std::string> live(std::function<bool()> enough = nullptr) {
    store.died = false;
    std::vector<std::string> calls;
    test::run(context, run(std::move(enough), calls));
    return calls;
  }

 private:
  net::awaitable<void> run_mapping(MappingRunner& mapping, bool& over) {
    static_cast<void>(co_await mapping.run());
    over = true;
  }
  net::awaitable<void> run(std::function<bool()> enough, std::vector<std::string>& calls) {
    const net::any_io_executor executor = context.get_executor();
    FakeEndpoint function(executor);
    Invoker invoker(10);
    static_cast<void>(invoker.add("f", function, std::nullopt));
    Destinations destinations({executor, executor, AwsAccess(), {}, log, clock}, nullptr);
    FakeSource source(stream, {"s", executor, executor, log, clock});
    ShardDeps deps{executor, source, invoker, store, store, log, clock, destinations, "f", stream, mapping_uuid("s")};
    MappingRunner mapping(std::move(deps), "s", 1);
    bool over = false;
    runtime::TaskScope scope(executor);
    scope.spawn(run_mapping(mapping, over));
    const Instant patience = clock.now().instant + std::chrono::seconds(60);
    while (!over && !store.died && !(enough && enough())) {
      if (clock.now().instant > patience) throw std::runtime_error("it did not come to that in a minute");
      co_await net::post(net::use_awaitable);
    }
    mapping.cancel();
    co_await scope.join();
    calls = function.calls;
  }
};

}  // namespace

TEST_CASE("a first run at LATEST that is killed between any two writes begins with all shards or with none") {
  const int writes = GENERATE(range(0, 6));
  DYNAMIC_SECTION("killed at write " << writes + 1) {
    Lives lives;
    FakeStream& stream = *lives.stream;
    stream.shards = {{"a", 3}, {"b", 3}, {"child", 3}};
    stream.children = {{"a", {"child"}}};
    stream.latest = true;
    lives.store.writes_left = writes;
    // A checkpoint each comes after the starts.
    int came = 0;
    CHECK(lives
              .live([&] {
                if (!lives.store.kept.empty() && came++ == 0) stream.shards = {{"a", 4}, {"b", 4}, {"child", 4}};
                return came > 2000;
              })
              .size() <= 2);

    const bool began = !lives.store.kept.empty();
    CHECK(began == (writes > 0));
    if (began) CHECK(lives.store.kept.size() == 3);

    // What comes while it is down is missed by none or by all, and what was there before is seen by none.
    stream.shards = {{"a", 5}, {"b", 5}, {"child", 5}};
    stream.ends = true;
    stream.remembers_ends = true;
    lives.store.writes_left = 1000;
    std::string seen;
    for (const std::string& call : lives.live()) seen += call;
    CHECK(lives.store.kept.size() == 3);
    for (const std::string shard : {"a", "b", "child"}) {
      INFO(shard << " in " << seen);
      CHECK((seen.find('"' + shard + '"') != std::string::npos) == began);
      CHECK(seen.find('"' + shard + "\":1") == std::string::npos);
      CHECK(seen.find('"' + shard + "\":3") == std::string::npos);
    }
  }
}

TEST_CASE("a stream that was made anew, or another one, begins as in a first run, whatever its shards are called") {
  Lives lives;
  FakeStream& stream = *lives.stream;
  lives.store.writes_left = 1000;
  stream.shards = {{"a", 3}, {"b", 3}};
  stream.ends = stream.remembers_ends = true;
  stream.identity = "arn:one";
  CHECK(lives.live().size() == 2);
  CHECK(lives.store.stream == "arn:one");
  CHECK(lives.store.kept.at("a") == Resume::shard_end());

  // The same one: nothing is read twice.
  CHECK(lives.live().empty());
  CHECK(lives.log.count("checkpoints.other_stream") == 0);

  // Killed before it could say so: nothing has begun.
  stream.identity = "arn:two";
  stream.shards = {{"a", 2}};
  lives.store.writes_left = 0;
  CHECK(lives.live().empty());
  CHECK(lives.store.stream == "arn:one");

  lives.store.writes_left = 1000;
  CHECK(lives.live() == std::vector<std::string>{"{\"a\":1,2}"});
  CHECK(lives.log.count("checkpoints.other_stream") == 2);
  CHECK(stream.starts.back() == "a from nowhere (first run)");
  CHECK(lives.store.stream == "arn:two");
  CHECK(lives.store.kept.size() == 1);
}

TEST_CASE("checkpoints of which nobody said whose they are count as this stream's from then on") {
  Lives lives;
  FakeStream& stream = *lives.stream;
  lives.store.writes_left = 1000;
  lives.store.kept.emplace("a", Resume::after(Position(2)));
  stream.shards = {{"a", 3}};
  stream.ends = stream.remembers_ends = true;
  stream.identity = "arn:one";
  CHECK(lives.live() == std::vector<std::string>{"{\"a\":3}"});
  CHECK(lives.store.stream == "arn:one");
  CHECK(lives.log.count("checkpoints.other_stream") == 0);
}
