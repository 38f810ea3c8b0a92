// The shards of a stream that answers as it is told: where reading begins, goes on and ends, and what faults come to.
#include "streams/shard_reader.h"

#include <cstdlib>
#include <deque>
#include <set>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "runtime/task_scope.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
using namespace streams;
namespace net = boost::asio;

namespace {

class Lines final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField>) override {
    if (level >= LogLevel::kWarn) warned += std::string(event) + "\n";
  }
  std::string warned;
};

/// A stream in memory. Iterators are "SHARD@N", N being the number of the next record.
class FakeStream final : public StreamApi {
 public:
  explicit FakeStream(test::FakeClock& clock) : clock_(clock) {}

  struct Shard {
    std::vector<std::string> parents;
    std::uint64_t first = 1;  ///< the oldest record that is kept
    std::uint64_t last = 0;
    bool closed = false;
  };
  std::map<std::string, Shard> shards;
  std::vector<std::string> order;
  std::deque<ReadFailure> list_faults, iterator_faults, read_faults;
  std::function<void()> before_list, before_read;
  std::function<void(const std::string& shard)> before_iterator;
  std::function<void(ReadPage&)> change_page;
  std::string wrong_position;  ///< the shard of which any checkpoint is refused
  std::string asked;           ///< "a:TRIM_HORIZON b:LATEST "
  int listings = 0;
  int iterators = 0;
  int reads = 0;
  Duration failing_takes = 0s;

  void add(const std::string& id, std::uint64_t last, bool closed = false, std::vector<std::string> parents = {}) {
    Shard shard;
    shard.parents = std::move(parents);
    shard.last = last;
    shard.closed = closed;
    shards[id] = std::move(shard);
    order.push_back(id);
  }

  net::awaitable<ReadResult<std::vector<ListedShard>>> list_shards() override {
    co_await net::post(net::use_awaitable);
    ++listings;
    if (before_list) before_list();
    if (auto fault = take(list_faults)) co_return *fault;
    std::vector<ListedShard> listed;
    for (const std::string& id : order) {
      ListedShard each;
      each.id = id;
      each.parents = shards[id].parents;
      each.closed = shards[id].closed;
      listed.push_back(each);
    }
    co_return listed;
  }

  net::awaitable<ReadResult<std::string>> shard_iterator(std::string shard, Resume from) override {
    co_await net::post(net::use_awaitable);
    asked += shard + ":" + from.text() + " ";
    ++iterators;
    if (before_iterator) before_iterator(shard);
    if (wrong_position == shard && from.kind() == Resume::Kind::kAfter) {
      co_return ReadError(ReadFailure::kWrongPosition,
                          Error(ErrorCode::kSourceFailed, "did not come from this stream"));
    }
    if (auto fault = take(iterator_faults)) co_return *fault;
    if (!shards.contains(shard)) co_return ReadError(ReadFailure::kGone, Error(ErrorCode::kSourceNotFound, "no shard"));
    std::uint64_t next = shards[shard].first;
    if (from.kind() == Resume::Kind::kAfter) next = *from.position().number() + 1;
    if (from.kind() == Resume::Kind::kLatest) next = shards[shard].last + 1;
    co_return shard + "@" + std::to_string(next);
  }

  net::awaitable<ReadResult<ReadPage>> get_records(std::string shard, std::string iterator,
                                                   std::size_t max_records) override {
    co_await net::post(net::use_awaitable);
    ++reads;
    asked_for.push_back(max_records);
    if (before_read) before_read();
    if (auto fault = take(read_faults)) co_return *fault;
    if (!shards.contains(shard)) co_return ReadError(ReadFailure::kGone, Error(ErrorCode::kSourceNotFound, "no shard"));
    const Shard& read = shards[shard];
    std::uint64_t next = std::stoull(iterator.substr(shard.size() + 1));
    ReadPage page;
    while (next <= read.last && page.records.records.size() < std::min<std::size_t>(max_records, page_max)) {
      Record record;
      record.position = Position(next++);
      page.records.records.push_back(record);
    }
    if (next <= read.last || !read.closed) page.next = shard + "@" + std::to_string(next);
    page.behind = next <= read.last ? 1s : 0s;
    if (change_page) change_page(page);
    co_return page;
  }

  std::optional<Error> closed_for_good() const override { return over; }

  std::size_t page_max = 1000;
  std::vector<std::size_t> asked_for;  ///< records, of each read
  std::optional<Error> over;

 private:
  std::optional<ReadError> take(std::deque<ReadFailure>& faults) {
    if (faults.empty()) return std::nullopt;
    const ReadFailure failure = faults.front();
    faults.pop_front();
    clock_.advance(failing_takes);
    const ErrorCode code = failure == ReadFailure::kGone          ? ErrorCode::kSourceNotFound
                           : failure == ReadFailure::kUnreachable ? ErrorCode::kSourceUnreachable
                                                                  : ErrorCode::kSourceFailed;
    return ReadError(failure, Error(code, "fault"));
  }

  test::FakeClock& clock_;
};

/// Runs the reader as a mapping does: each opened shard is started and fetched to its end.
struct World final : ShardListener {
  World() : stream(clock) {
    settings.source = "clicks";
    settings.pace.reads_per_second = 0;
    settings.pace.idle_pause = settings.pace.active_pause = settings.pace.backoff_min = settings.pace.backoff_max = 0s;
    settings.pace.slow_pause_max = 0s;
  }

  void shard_opened(ShardId id) override {
    if (const auto ended = stored.find(id.name); ended != stored.end() && ended->second == Resume::shard_end()) {
      seen += id.name + ":done ";
      released.push_back(id);
      scope->spawn(release_done());
      return;
    }
    scope->spawn(read_shard(std::move(id)));
  }
  void shard_revoked(const ShardId&, bool) override { FAIL("shards of a stream are not taken away"); }

  net::awaitable<void> release_done() {
    co_await net::post(net::use_awaitable);
    while (!released.empty()) {
      const ShardId id = released.back();
      released.pop_back();
      reader->release(id, true);
    }
  }

  net::awaitable<void> read_shard(ShardId id) {
    const auto from = stored.find(id.name);
    const auto remembered =
        reader->start(id, from == stored.end() ? std::nullopt : std::optional<Resume>(from->second), first_run);
    if (remembered) kept += id.name + ":" + remembered->text() + " ";
    for (;;) {
      const RecordBatch batch = co_await reader->fetch(id, FetchLimits{fetch_records, 1U << 20U});
      if (!batch.records.empty()) {
        seen += id.name + batch.records.front().position.text();
        if (batch.records.size() > 1) seen += "-" + batch.records.back().position.text();
        seen += " ";
      }
      if (batch.end_of_shard) break;
      if (until && until()) {
        stop();
        co_return;
      }
    }
    seen += id.name + ":end ";
    reader->release(id, true);
    if (until && until()) stop();
  }

  void stop() { runner->cancel(); }

  net::awaitable<void> run_reader(Result<void>& result) {
    result = co_await reader->run(*this);
    scope->cancel();
  }

  net::awaitable<void> live(Result<void>& result) {
    const net::any_io_executor executor = co_await net::this_coro::executor;
    reader.emplace(executor, stream, settings, log, clock, 7);
    runner = std::make_unique<runtime::TaskScope>(executor);
    scope = std::make_unique<runtime::TaskScope>(executor);
    runner->spawn(run_reader(result));
    co_await runner->join();
    scope->cancel();
    co_await scope->join();
  }

  /// Until `until` holds, or run() fails: what it came to.
  std::string run() {
    Result<void> result;
    test::run(context, live(result));
    return result ? "stopped" : std::string(text(result.error().code()));
  }

  net::io_context context{1};
  test::FakeClock clock;
  Lines log;
  FakeStream stream;
  ShardReaderSettings settings;
  std::optional<ShardReader> reader;
  std::unique_ptr<runtime::TaskScope> runner, scope;
  std::map<std::string, Resume> stored;
  std::vector<ShardId> released;
  bool first_run = true;
  std::size_t fetch_records = 100;
  std::function<bool()> until;
  std::string seen, kept;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a parent is read to its end, then its children from their beginning") {
  World world;
  world.stream.add("a", 3, true);
  world.stream.add("b", 2, false, {"a"});
  world.stream.add("c", 1, false, {"a"});
  world.until = [&] { return has(world.seen, "b1-2") && has(world.seen, "c1"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen.starts_with("a1-3 a:end "));
}

TEST_CASE("a shard that ended in an earlier life opens its children without being read") {
  World world;
  world.stream.add("a", 3, true);
  world.stream.add("b", 2, true, {"a"});
  world.stream.add("c", 2, false, {"b"});
  world.stored.emplace("a", Resume::shard_end());
  world.stored.emplace("b", Resume::shard_end());
  world.first_run = false;
  world.until = [&] { return has(world.seen, "c1-2"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a:done b:done c1-2 ");
  CHECK(world.stream.asked == "c:TRIM_HORIZON ");
}

TEST_CASE("children that appear when their parent ends are found at once") {
  World world;
  world.stream.add("a", 2);
  bool split = false;
  world.stream.before_read = [&] {
    if (split || world.stream.reads < 3) return;
    split = true;
    world.stream.shards["a"].closed = true;
    world.stream.add("b", 1, false, {"a"});
  };
  world.until = [&] { return has(world.seen, "b1"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1-2 a:end b1 ");
  CHECK(world.stream.listings == 2);
}

TEST_CASE("where reading of a shard begins") {
  const Resume time = Resume::at_timestamp(from_epoch_milliseconds(1'700'000'000'000));
  struct Row {
    std::string sentence;
    Resume setting;
    std::optional<Resume> stored;
    bool first_run;
    std::string asked, kept;
  };
  const Row row = GENERATE_COPY(values<Row>({
      {"the first run at the oldest record", Resume::trim_horizon(), {}, true, "a:TRIM_HORIZON ", ""},
      {"the first run at the end, of which the time is remembered",
       Resume::latest(),
       {},
       true,
       "a:LATEST ",
       "a:AT_TIMESTAMP 2026-09-12T08:00:00.000Z "},
      {"the first run at a time, which is remembered",
       time,
       {},
       true,
       "a:" + time.text() + " ",
       "a:" + time.text() + " "},
      {"a checkpoint goes before the setting", Resume::latest(), Resume::after(Position(2)), false, "a:2 ", ""},
      {"a shard that is new to a mapping which has run before", Resume::latest(), {}, false, "a:TRIM_HORIZON ", ""},
      {"a checkpoint that was set to the end", Resume::trim_horizon(), Resume::latest(), false, "a:LATEST ",
       "a:AT_TIMESTAMP 2026-09-12T08:00:00.000Z "},
  }));
  DYNAMIC_SECTION(row.sentence) {
    World world;
    world.stream.add("a", 3);
    world.settings.starting_position = row.setting;
    world.first_run = row.first_run;
    if (row.stored) world.stored.emplace("a", *row.stored);
    world.stream.before_read = [&] {
      if (++world.stream.shards["a"].last > 10) world.stream.shards["a"].closed = true;
    };
    world.until = [&] { return !world.seen.empty(); };
    CHECK(world.run() == "stopped");
    CHECK(world.stream.asked == row.asked);
    CHECK(world.kept == row.kept);
  }
}

TEST_CASE("LATEST of a stream that was split before: the children from when the mapping began") {
  World world;
  world.settings.starting_position = Resume::latest();
  world.stream.add("a", 3, true);
  world.stream.add("b", 2, false, {"a"});
  world.until = [&] { return has(world.seen, "b"); };
  world.stream.before_read = [&] { world.clock.advance(1s); };
  CHECK(world.run() == "stopped");
  CHECK(world.stream.asked == "a:LATEST b:AT_TIMESTAMP 2026-09-12T08:00:00.000Z ");
  CHECK(world.kept == "a:AT_TIMESTAMP 2026-09-12T08:00:00.000Z b:AT_TIMESTAMP 2026-09-12T08:00:00.000Z ");
}

TEST_CASE("where children will begin that were there at a first run is known when their parents begin") {
  struct Row {
    Resume setting;
    std::string later;
  };
  const Resume time = Resume::at_timestamp(from_epoch_milliseconds(1'700'000'000'000));
  const Row row = GENERATE_COPY(values<Row>({
      {Resume::trim_horizon(), ""},  // as they begin anyway
      {Resume::latest(), "b:AT_TIMESTAMP 2026-09-12T08:00:00.000Z c:AT_TIMESTAMP 2026-09-12T08:00:00.000Z "},
      {time, "b:" + time.text() + " c:" + time.text() + " "},
  }));
  DYNAMIC_SECTION(row.setting.text()) {
    World world;
    world.settings.starting_position = row.setting;
    world.stream.add("a", 3);
    world.stream.add("b", 2, true, {"a"});
    world.stream.add("c", 2, false, {"b"});
    std::string later;
    world.stream.before_read = [&] {
      world.clock.advance(1s);
      if (later.empty()) {
        for (const auto& [shard, begins] : world.reader->later_starts()) later += shard + ":" + begins.text() + " ";
      }
      world.stream.shards["a"].last += 1;
    };
    world.until = [&] { return has(world.seen, "a"); };
    CHECK(world.run() == "stopped");
    CHECK(later == row.later);
  }
}

TEST_CASE("what came to an empty stream after the mapping began is not new to a restart") {
  World world;
  world.settings.starting_position = Resume::latest();
  world.settings.discovery = 0s;
  world.stream.before_list = [&] {
    if (world.stream.listings == 2) world.stream.add("a", 2);
  };
  world.until = [&] { return has(world.seen, "a1-2"); };
  CHECK(world.run() == "stopped");
  CHECK(world.kept == "a:TRIM_HORIZON ");
}

TEST_CASE("an iterator that ended is replaced behind the last record that was read") {
  World world;
  world.settings.starting_position = GENERATE(Resume::trim_horizon(), Resume::latest());
  world.stream.add("a", 0);
  bool begun = false;
  world.stream.before_read = [&] {
    if (world.stream.reads == 2) world.stream.shards["a"].last = 2;
    if (world.stream.reads == 3) {
      world.stream.shards["a"].last = 5;
      world.stream.read_faults = {ReadFailure::kExpiredIterator};
      begun = true;
    }
  };
  world.until = [&] { return has(world.seen, "5"); };
  CHECK(world.run() == "stopped");
  CHECK(begun);
  CHECK(world.seen == "a1-2 a3-5 ");
  CHECK(world.stream.asked.ends_with(" a:2 "));
}

TEST_CASE("LATEST without a record yet: an iterator that ended is replaced by the time at which reading began") {
  World world;
  world.settings.starting_position = Resume::latest();
  world.stream.add("a", 0);
  world.stream.read_faults = {ReadFailure::kExpiredIterator};
  world.stream.before_read = [&] { world.stream.shards["a"].last = 1; };
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.stream.asked == "a:LATEST a:AT_TIMESTAMP 2026-09-12T08:00:00.000Z ");
}

TEST_CASE("a position that is not kept any more goes on at the oldest record, and says so") {
  World world;
  world.stream.add("a", 9);
  world.stream.shards["a"].first = 7;
  world.stored.emplace("a", Resume::after(Position(2)));
  world.stream.iterator_faults = {ReadFailure::kTrimmed};
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.stream.asked == "a:2 a:TRIM_HORIZON ");
  CHECK(world.seen == "a7-9 ");
  CHECK(world.log.warned == "shard.trimmed\n");
}

TEST_CASE("throttled reads keep their iterator, however long it takes") {
  World world;
  world.stream.add("a", 3);
  world.stream.failing_takes = 20s;
  world.stream.read_faults.assign(20, ReadFailure::kThrottled);
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.stream.asked == "a:TRIM_HORIZON ");
  CHECK(world.seen == "a1-3 ");
  CHECK(world.log.warned == "shard.throttled\n");
}

TEST_CASE("throttling is said when it lasts for half a minute") {
  const bool lasts = GENERATE(true, false);
  World world;
  world.stream.add("a", 3);
  world.stream.failing_takes = lasts ? 10s : 9s;
  world.stream.read_faults.assign(3, ReadFailure::kThrottled);
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.log.warned == (lasts ? "shard.throttled\n" : ""));
  CHECK(world.reader->trouble().empty());
}

TEST_CASE("a checkpoint that is none of its shard keeps that shard waiting, and no other") {
  World world;
  world.stream.add("a", 3);
  world.stream.add("b", 3);
  world.stream.wrong_position = "a";
  world.stored.emplace("a", Resume::after(Position(77)));
  world.stored.emplace("b", Resume::after(Position(1)));
  std::string waiting;
  world.stream.before_read = [&] {
    if (!world.reader->trouble().empty()) waiting = world.reader->trouble();
    if (++world.stream.shards["b"].last > 20) world.stream.wrong_position = "";
  };
  world.stream.shards["a"].last = 80;
  world.until = [&] { return has(world.seen, "a78"); };
  CHECK(world.run() == "stopped");
  CHECK(waiting == "shard.checkpoint_refused: a: did not come from this stream; weir checkpoint reset clicks a");
  CHECK(world.reader->trouble().empty());
  CHECK(world.reader->has_shard("a") == true);
  CHECK(world.reader->has_shard("c") == false);
  CHECK(has(world.seen, "b2"));
  CHECK(world.log.warned == "shard.checkpoint_refused\n");
}

TEST_CASE("how many shards wait for their checkpoints, and what to type") {
  World world;
  std::set<std::string> wrong;
  for (const char* id : {"a", "b", "c"}) {
    world.stream.add(id, 3);
    world.stored.emplace(id, Resume::after(Position(1)));
  }
  std::string said;
  world.stream.before_iterator = [&](const std::string& shard) {
    world.stream.wrong_position = wrong.contains(shard) ? shard : "";
    said = world.reader->trouble();
    if (world.stream.iterators > 30) world.stop();
  };
  const std::string begin = "shard.checkpoint_refused: a";
  SECTION("all") {
    wrong = {"a", "b", "c"};
    world.run();
    CHECK(said == begin + " and all other shards: did not come from this stream; weir checkpoint reset clicks");
  }
  SECTION("two of three") {
    wrong = {"a", "b"};
    world.run();
    CHECK(said == begin + " and 1 more: did not come from this stream; weir checkpoint reset clicks a, and so on");
  }
  SECTION("one of three") {
    wrong = {"a"};
    world.run();
    CHECK(said == begin + ": did not come from this stream; weir checkpoint reset clicks a");
  }
}

TEST_CASE("a position that was this shard's and is none any more: the stream is another one, and the source fails") {
  World world;
  world.stream.add("a", 3);
  world.stream.before_read = [&] {
    if (world.stream.reads != 2) return;
    world.stream.wrong_position = "a";
    world.stream.read_faults = {ReadFailure::kExpiredIterator};
  };
  CHECK(world.run() == "source.failed");
  CHECK(world.seen == "a1-3 ");
}

TEST_CASE("which shards there are: a parent that is no longer listed is still spoken of") {
  World world;
  world.stream.add("b", 3, false, {"a"});
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.reader->has_shard("b") == true);
  CHECK_FALSE(world.reader->has_shard("a").has_value());
  CHECK(world.reader->has_shard("c") == false);
}

TEST_CASE("a stream without shards is listed again soon, which is said once") {
  World world;
  world.stream.before_list = [&] {
    // What a stream without shards has is not known.
    CHECK_FALSE(world.reader->has_shard("a").has_value());
    CHECK(world.reader->trouble() == (world.stream.listings > 1 ? "the stream has no shards yet" : ""));
    if (world.stream.listings == 4) world.stream.add("a", 2);
  };
  world.until = [&] { return !world.seen.empty(); };
  world.settings.starting_position = GENERATE(Resume::trim_horizon(), Resume::latest());
  CHECK(world.run() == "stopped");
  CHECK(world.stream.asked == "a:TRIM_HORIZON ");  // what is in them came after the mapping began
  CHECK(world.stream.listings == 4);
  CHECK(world.log.warned == "stream.no_shards\n");
}

TEST_CASE("a stream that was turned off ends the source when all of it was read") {
  World world;
  world.stream.over = Error(ErrorCode::kSourceNotFound, "turned off");
  SECTION("now") {
    world.stream.add("a", 3, true);
    CHECK(world.run() == "source.not_found");
    CHECK(world.seen == "a1-3 a:end ");
  }
  SECTION("in an earlier life") {
    world.stream.add("a", 3, true);
    world.stored.emplace("a", Resume::shard_end());
    CHECK(world.run() == "source.not_found");
  }
  SECTION("and it has no shards any more") {
    CHECK(world.run() == "source.not_found");
  }
}

TEST_CASE("a service that does not answer is asked for 30 s") {
  World world;
  world.stream.add("a", 3);
  world.stream.failing_takes = 10s;
  const int which = GENERATE(0, 1, 2);
  std::deque<ReadFailure>& faults = which == 0   ? world.stream.read_faults
                                    : which == 1 ? world.stream.list_faults
                                                 : world.stream.iterator_faults;
  SECTION("and answers before that") {
    faults.assign(2, ReadFailure::kUnreachable);
    world.until = [&] { return !world.seen.empty(); };
    CHECK(world.run() == "stopped");
  }
  SECTION("and then the source fails") {
    faults.assign(5, ReadFailure::kUnreachable);
    CHECK(world.run() == "source.unreachable");
    CHECK(world.seen == "");
  }
}

TEST_CASE("what asking again does not help fails the source at once") {
  World world;
  world.stream.add("a", 3);
  SECTION("the stream is not there") {
    world.stream.list_faults = {ReadFailure::kGone};
    CHECK(world.run() == "source.not_found");
  }
  SECTION("it went while it was read") {
    world.stream.read_faults = {ReadFailure::kGone};
    world.stream.before_read = [&] { world.stream.list_faults = {ReadFailure::kGone}; };
    CHECK(world.run() == "source.not_found");
  }
  SECTION("rights") {
    world.stream.read_faults = {ReadFailure::kRefused};
    CHECK(world.run() == "source.failed");
  }
}

TEST_CASE("a shard that the stream has forgotten while it was read counts as ended") {
  World world;
  world.stream.add("a", 3);
  world.stream.add("b", 1, false, {"a"});
  world.stream.before_read = [&] {
    if (world.stream.reads != 2) return;
    world.stream.shards.erase("a");
    world.stream.order = {"b"};
  };
  world.until = [&] { return has(world.seen, "b1"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1-3 a:end b1 ");
  CHECK(world.log.warned == "shard.gone\n");
}

TEST_CASE("a request that hangs for longer than all the patience there is is asked once more") {
  World world;
  world.stream.add("a", 3);
  world.stream.failing_takes = 60s;
  const int which = GENERATE(0, 1, 2);
  std::deque<ReadFailure>& faults = which == 0   ? world.stream.read_faults
                                    : which == 1 ? world.stream.list_faults
                                                 : world.stream.iterator_faults;
  faults = {ReadFailure::kUnreachable};
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1-3 ");
}

TEST_CASE("a shard that is said to be gone, and is listed") {
  World world;
  world.stream.add("a", 3);
  SECTION("and said so again after that listing: what is gone is a consumer, and the source fails") {
    world.stream.read_faults.assign(50, ReadFailure::kGone);
    world.until = [&] { return !world.seen.empty(); };
    CHECK(world.run() == "source.not_found");
    CHECK(world.stream.listings == 2);
    CHECK(world.seen == "");
  }
  SECTION("and is there again: it is read, and another time it is asked again too") {
    world.stream.read_faults = {ReadFailure::kGone};
    world.stream.before_read = [&] {
      if (world.stream.listings == 2 && world.stream.shards["a"].last == 3) {
        world.stream.read_faults = {};
        world.stream.shards["a"].last = 4;
      } else if (has(world.seen, "4") && world.stream.shards["a"].last == 4) {
        world.stream.read_faults = {ReadFailure::kGone};
        world.stream.shards["a"].last = 6;
      }
    };
    world.until = [&] { return has(world.seen, "6"); };
    CHECK(world.run() == "stopped");
    CHECK(world.seen.ends_with("a5-6 "));
  }
  CHECK(world.log.warned == "");
}

TEST_CASE(
    "records that a service gives twice, or not in their order, fail the source: a checkpoint would pass others") {
  struct Row {
    std::string sentence;
    std::vector<int> second;  ///< after a page of 4 and 5; below zero: a part of an aggregate that is not its last
    std::string outcome, seen;
  };
  const Row row = GENERATE(values<Row>({
      {"as they should be", {6, 7}, "stopped", "a4-5 a6-7 "},
      {"parts of an aggregate share a position", {-6, -6, 6, 7}, "stopped", "a4-5 a6-7 "},
      {"the last record again", {5, 6}, "source.failed", "a4-5 "},
      {"an earlier one", {3, 6}, "source.failed", "a4-5 "},
      {"one twice within a page", {6, 6}, "source.failed", "a4-5 "},
      {"one behind a later one", {7, 6}, "source.failed", "a4-5 "},
      {"an aggregate twice", {-6, 6, 6}, "source.failed", "a4-5 "},
      {"an aggregate behind a later record", {7, -6, 6}, "source.failed", "a4-5 "},
  }));
  DYNAMIC_SECTION(row.sentence) {
    World world;
    world.stream.add("a", 7);
    world.stream.page_max = 2;
    world.stored.emplace("a", Resume::after(Position(3)));
    world.stream.change_page = [&](ReadPage& page) {
      if (world.stream.reads != 2) return;
      page.records.records.clear();
      for (const int number : row.second) {
        Record record;
        record.position = Position(static_cast<std::uint64_t>(std::abs(number)));
        record.continues = number < 0;
        page.records.records.push_back(record);
      }
    };
    world.until = [&] { return has(world.seen, "7"); };
    CHECK(world.run() == row.outcome);
    CHECK(world.seen == row.seen);
  }
}

TEST_CASE("the first page is compared with the checkpoint") {
  World world;
  world.stream.add("a", 7);
  world.stored.emplace("a", Resume::after(Position(3)));
  world.stream.change_page = [&](ReadPage& page) { page.records.records.front().position = Position(3); };
  world.until = [&] { return !world.seen.empty(); };
  CHECK(world.run() == "source.failed");
  CHECK(world.seen == "");
}

TEST_CASE("more is read at once than a batch takes, and handed out in pieces") {
  World world;
  world.fetch_records = 4;
  world.stream.add("a", 10, true);
  world.until = [&] { return has(world.seen, "a:end"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1-4 a5-8 a9-10 a:end ");
  CHECK(world.stream.reads == 1);
}

TEST_CASE("what stands on more pages is read page by page") {
  World world;
  world.stream.page_max = 2;
  world.stream.add("a", 5, true);
  world.until = [&] { return has(world.seen, "a:end"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1-2 a3-4 a5 a:end ");
}

TEST_CASE("shards are looked for again and again") {
  World world;
  world.settings.discovery = 1ms;
  world.settings.pace.idle_pause = world.settings.pace.active_pause = 1ms;
  world.stream.add("a", 1);
  world.stream.before_read = [&] {
    world.clock.advance(1ms);
    if (world.stream.reads == 3) world.stream.add("b", 1);
  };
  world.until = [&] { return has(world.seen, "b1"); };
  CHECK(world.run() == "stopped");
  CHECK(world.seen == "a1 b1 ");
}

TEST_CASE("a read asks for a bounded part of what the buffer has room for, and for a batch whatever it holds") {
  World world;
  world.stream.add("a", 300);
  world.settings.page_bytes = 64U << 10U;
  world.stream.change_page = [](ReadPage& page) {
    static const std::string data(1024 - sizeof(Record), 'x');
    for (Record& record : page.records.records) record.data = data;
  };
  world.until = [&] { return has(world.seen, "300"); };
  SECTION("as many records as are that long") {
    world.fetch_records = 10;
    CHECK(world.run() == "stopped");
    CHECK(world.stream.asked_for == std::vector<std::size_t>{64, 64, 64, 64, 64});
  }
  SECTION("the batch is larger") {
    world.fetch_records = 150;
    CHECK(world.run() == "stopped");
    CHECK(world.stream.asked_for == std::vector<std::size_t>{150, 150});
  }
  SECTION("the service gives fewer") {
    world.fetch_records = 10;
    world.settings.page_max_records = 50;
    CHECK(world.run() == "stopped");
    CHECK(world.stream.asked_for == std::vector<std::size_t>{50, 50, 50, 50, 50, 50});
  }
}
