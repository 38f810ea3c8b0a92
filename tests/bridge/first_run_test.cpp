// The first run of a mapping, killed after each of its writes: it has begun with all of its shards or with none.
#include <optional>
#include <set>

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
    if (resume == Resume::shard_end() && on_end) on_end(shard.name);
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
  std::function<void(const std::string&)> on_end;  ///< before the end of a shard is kept

 private:
  Result<void> write(const store::SourceStarts& what) {
    died = died || writes_left-- == 0;
    if (died) return Error(ErrorCode::kStoreFailed, "killed");
    if (what.forget) kept.clear();
    for (const std::string& shard : what.gone) kept.erase(shard);
    if (!what.stream.empty()) stream = what.stream;
    for (const auto& [shard, resume] : what.shards) kept.insert_or_assign(shard, resume);
    return {};
  }
};

/// Goes, and jumps where a test says so.
class JumpingClock final : public Clock {
 public:
  Moment now() const override {
    Moment moment = system_.now();
    moment.instant += ahead;
    moment.wall += ahead;
    return moment;
  }
  Duration ahead{0};

 private:
  SystemClock system_;
};

/// Lives of one mapping over one stream and one store.
struct Lives {
  net::io_context context;
  JumpingClock clock;
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
    Invoker invoker(10, clock, 1);
    static_cast<void>(invoker.add("f", function, std::nullopt));
    Destinations destinations({executor, executor, AwsAccess(), {}, log, clock}, nullptr);
    FakeSource source(stream, {"s", executor, executor, log, clock});
    ShardDeps deps{executor, source, invoker, store, store, log, clock, destinations, "f", stream, "uuid"};
    MappingRunner mapping(std::move(deps), "s", 1);
    bool over = false;
    runtime::TaskScope scope(executor);
    scope.spawn(run_mapping(mapping, over));
    const Instant patience = SystemClock().now().instant + std::chrono::seconds(60);
    while (!over && !store.died && !(enough && enough())) {
      if (SystemClock().now().instant > patience) throw std::runtime_error("it did not come to that in a minute");
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

TEST_CASE("the end of a shard that the stream has no more is forgotten, an hour after that was seen") {
  Lives lives;
  FakeStream& stream = *lives.stream;
  lives.store.writes_left = 1000;
  stream.shards = {{"a", 1}, {"b", 1}};
  stream.children = {{"a", {"b"}}};
  stream.ends = stream.remembers_ends = true;
  stream.knows_shards = true;
  lives.store.kept.emplace("old", Resume::shard_end());
  lives.store.kept.emplace("older", Resume::shard_end());
  lives.store.kept.emplace("elsewhere", Resume::after(Position(7)));
  // Rows are looked through as a shard ends: "a" first, then "b".
  Duration between = std::chrono::hours(1);
  std::optional<std::set<std::string>> listed_then;
  lives.store.on_end = [&](const std::string& shard) {
    if (shard != "b") return;
    lives.clock.ahead += between;
    if (listed_then) stream.listed = listed_then;
  };
  const auto kept = [&] {
    std::string names;
    for (const auto& [name, resume] : lives.store.kept) names += name + " ";
    return names;
  };
  SECTION("and only that") {
    lives.live();
    CHECK(kept() == "a b elsewhere ");
    CHECK(lives.log.count("checkpoints.forgotten") == 1);
  }
  SECTION("not before") {
    between = std::chrono::minutes(59);
    lives.live();
    CHECK(kept() == "a b elsewhere old older ");
  }
  SECTION("one that is there, or of which that is not known, is kept") {
    stream.listed = {"a", "b", "older"};
    lives.live();
    CHECK(kept() == "a b elsewhere older ");
  }
  SECTION("a source that does not know its shards forgets none") {
    stream.knows_shards = false;
    lives.live();
    CHECK(kept() == "a b elsewhere old older ");
  }
  SECTION("one that is back when it is looked for again is kept") {
    listed_then = {"a", "b", "old"};
    lives.live();
    CHECK(kept() == "a b elsewhere old ");
  }
  SECTION("what lists nothing any more forgets nothing: the next start would be a first run") {
    stream.listed.emplace();
    lives.live();
    CHECK(kept() == "a b elsewhere old older ");
  }
  SECTION("a store that refuses keeps them, and nothing else comes of it") {
    lives.store.on_end = [&](const std::string& shard) {
      if (shard != "b") return;
      lives.clock.ahead += between;
      lives.store.writes_left = 1;
    };
    lives.live();
    CHECK(kept() == "a b elsewhere old older ");
    CHECK(lives.log.count("checkpoints.not_forgotten") == 1);
  }
}

TEST_CASE("a checkpoint of a shard that is not there is said, with what to do about it") {
  Lives lives;
  FakeStream& stream = *lives.stream;
  lives.store.writes_left = 1000;
  stream.shards = {{"a", 3}};
  stream.ends = stream.remembers_ends = true;
  stream.knows_shards = GENERATE(true, false);
  lives.store.kept.emplace("a", Resume::after(Position(1)));
  lives.store.kept.emplace("ghost", Resume::after(Position(7)));
  lives.store.kept.emplace("old", Resume::shard_end());
  CHECK(lives.live() == std::vector<std::string>{"{\"a\":2,3}"});
  CHECK(lives.log.count("checkpoint.without_shard") == (stream.knows_shards ? 1 : 0));
}
