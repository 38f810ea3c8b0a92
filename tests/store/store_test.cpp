#include "store/store.h"

#include <fstream>
#include <future>
#include <thread>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/database.h"
#include "store/database_thread.h"
#include "support/print.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::store;
using weir::test::run;
using weir::test::TemporaryFolder;

namespace {

const ShardId kShard{"clicks", "clicks-3"};

std::unique_ptr<StateFolder> open(const TemporaryFolder& folder) {
  auto store = StateFolder::open(folder / "state");
  if (!store) throw std::runtime_error(store.error().describe());
  return std::move(*store);
}

std::string open_error(const std::string& folder) {
  auto store = StateFolder::open(folder);
  return store ? "opened" : std::string(text(store.error().code()));
}

Resume resume(std::string_view text) {
  return *Resume::parse(text);
}

}  // namespace

TEST_CASE("a checkpoint is there after a restart") {
  const TemporaryFolder folder;
  net::io_context context;
  const std::map<std::string, Resume> kept{
      {"clicks-3", resume("41")},
      {"clicks-4", resume("49590338271490256608559692538361571095921575989136588898")},
      {"clicks-5", resume("TRIM_HORIZON")},
      {"clicks-6", resume("LATEST")},
      {"clicks-7", resume("AT_TIMESTAMP 2026-09-12T07:00:00.123Z")},
      {"clicks-8", resume("SHARD_END")},
  };
  {
    auto store = open(folder);
    CHECK(run(context, store->load_all("clicks")).value().shards.empty());
    REQUIRE(run(context, store->save(kShard, resume("7"))).has_value());
    for (const auto& [shard, where] : kept) REQUIRE(run(context, store->save({"clicks", shard}, where)).has_value());
    REQUIRE(run(context, store->save({"others", "clicks-3"}, resume("8"))).has_value());
  }
  auto store = open(folder);
  CHECK(run(context, store->load_all("clicks")).value().shards == kept);
  CHECK(run(context, store->load_all("others")).value().shards.size() == 1);
  CHECK(run(context, store->load_all("none")).value().shards.empty());
  const auto all = store->list_checkpoints();
  REQUIRE(all->size() == kept.size() + 1);
  CHECK(all->at(0).shard.text() == "clicks/clicks-3");
  CHECK(all->at(4).resume == resume("AT_TIMESTAMP 2026-09-12T07:00:00.123Z"));
}

TEST_CASE("checkpoints know their stream; another one's are forgotten as it begins") {
  const TemporaryFolder folder;
  net::io_context context;
  store::SourceStarts starts;
  {
    auto store = open(folder);
    REQUIRE(run(context, store->save(kShard, resume("7"))).has_value());
    CHECK(run(context, store->load_all("clicks")).value().stream.empty());
    starts.stream = "arn:clicks";
    REQUIRE(run(context, store->save_starts("clicks", starts)).has_value());
    REQUIRE(run(context, store->save({"others", "a"}, resume("8"))).has_value());
  }
  auto store = open(folder);
  auto known = run(context, store->load_all("clicks")).value();
  CHECK(known.stream == "arn:clicks");
  CHECK(known.shards.size() == 1);

  starts.stream = "";
  starts.shards.emplace("b", resume("LATEST"));
  REQUIRE(run(context, store->save_starts("clicks", starts)).has_value());
  CHECK(run(context, store->load_all("clicks")).value().stream == "arn:clicks");
  CHECK(run(context, store->load_all("clicks")).value().shards.size() == 2);

  starts.gone = {"b", "never"};
  starts.shards.clear();
  REQUIRE(run(context, store->save_starts("clicks", starts)).has_value());
  CHECK(run(context, store->load_all("clicks")).value().shards.size() == 1);
  CHECK(run(context, store->load_all("clicks")).value().shards.contains(kShard.name));
  CHECK(run(context, store->load_all("others")).value().shards.size() == 1);

  starts.gone.clear();
  starts.shards.emplace("b", resume("LATEST"));
  starts.stream = "arn:clicks-2";
  starts.forget = true;
  REQUIRE(run(context, store->save_starts("clicks", starts)).has_value());
  known = run(context, store->load_all("clicks")).value();
  CHECK(known.stream == "arn:clicks-2");
  CHECK(known.shards == starts.shards);
  CHECK(run(context, store->load_all("others")).value().shards.size() == 1);

  CHECK(*store->reset_checkpoints("clicks", "b") == 1);
  CHECK(run(context, store->load_all("clicks")).value().stream == "arn:clicks-2");
  CHECK(*store->reset_checkpoints("clicks", "") == 0);
  CHECK(run(context, store->load_all("clicks")).value().stream.empty());
}

TEST_CASE("a state folder of a weir that did not know streams is read") {
  const TemporaryFolder folder;
  net::io_context context;
  REQUIRE(run(context, open(folder)->save(kShard, resume("7"))).has_value());
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open((folder / "state/checkpoints.sqlite").c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, "DROP TABLE streams", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(handle);
  auto store = open(folder);
  const auto known = run(context, store->load_all("clicks")).value();
  CHECK(known.stream.empty());
  CHECK(known.shards.size() == 1);
}

TEST_CASE("a checkpoint that cannot be read is told, never taken for none") {
  const TemporaryFolder folder;
  net::io_context context;
  open(folder);
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open((folder / "state/checkpoints.sqlite").c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, "INSERT INTO checkpoints VALUES ('clicks', 'clicks-3', 'soon', 0)", nullptr, nullptr,
                       nullptr) == SQLITE_OK);
  sqlite3_close(handle);
  auto store = open(folder);
  const auto loaded = run(context, store->load_all("clicks"));
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().code() == ErrorCode::kStoreCorrupt);
  CHECK(loaded.error().message() ==
        (folder / "state/checkpoints.sqlite") + ": the checkpoint of clicks/clicks-3 is no position");
  CHECK(store->list_checkpoints().error().code() == ErrorCode::kStoreCorrupt);
}

TEST_CASE("checkpoints are moved and forgotten by hand") {
  const TemporaryFolder folder;
  auto store = open(folder);
  for (const char* shard : {"a", "b", "c"}) REQUIRE(store->set_checkpoint({"clicks", shard}, resume("9")).has_value());
  REQUIRE(store->set_checkpoint({"other", "a"}, resume("9")).has_value());
  REQUIRE(store->set_checkpoint({"clicks", "a"}, resume("LATEST")).has_value());
  CHECK(store->list_checkpoints()->at(0).resume == resume("LATEST"));
  REQUIRE(store->set_checkpoint({"clicks", "a"}, resume("2")).has_value());
  CHECK(store->list_checkpoints()->at(0).resume == resume("2"));
  CHECK(*store->reset_checkpoints("clicks", "b") == 1);
  CHECK(*store->reset_checkpoints("clicks", "b") == 0);
  CHECK(*store->reset_checkpoints("clicks", "") == 2);
  CHECK(store->list_checkpoints()->size() == 1);
}

TEST_CASE("dead letters are kept") {
  const TemporaryFolder folder;
  net::io_context context;
  DeadLetter letter;
  letter.source = "clicks";
  letter.record = "{}";
  letter.payload = std::string("{\"a\":\"\0\"}", 9);
  {
    auto store = open(folder);
    REQUIRE(run(context, store->keep(letter)).has_value());
    REQUIRE(run(context, store->keep(letter)).has_value());
  }
  CHECK(*open(folder)->count_dead_letters() == 2);
}

TEST_CASE("what a state folder holds is its owner's only, also what an earlier weir left open") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  const auto rights = [](const std::string& path) {
    return std::filesystem::status(path).permissions() &
           (std::filesystem::perms::group_all | std::filesystem::perms::others_all);
  };
  REQUIRE(StateFolder::open(state).has_value());
  CHECK(rights(state) == std::filesystem::perms::none);
  const std::string queue = state + "/queue.sqlite";
  CHECK(rights(queue) == std::filesystem::perms::none);
  std::filesystem::permissions(queue, std::filesystem::perms(0644));
  std::filesystem::permissions(state, std::filesystem::perms(0755));
  const auto again = StateFolder::open(state);
  REQUIRE(again.has_value());
  for (const char* file : {"/queue.sqlite", "/queue.sqlite-wal", "/checkpoints.sqlite"}) {
    INFO(file);
    CHECK(rights(state + file) == std::filesystem::perms::none);
  }
  // It was somebody's before, perhaps with other things in it.
  CHECK(rights(state) != std::filesystem::perms::none);
}

TEST_CASE("a state folder is held by one process at a time") {
  const TemporaryFolder folder;
  auto first = open(folder);
  const auto second = StateFolder::open(folder / "state");
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code() == ErrorCode::kStoreLocked);
  CHECK(second.error().message() ==
        (folder / "state") + ": another weir (process " + std::to_string(::getpid()) + ") uses this state folder");
  first.reset();
  CHECK(open_error(folder / "state") == "opened");
}

TEST_CASE("a lock that a dead process has left to one that is about to end is waited for") {
  const TemporaryFolder folder;
  open(folder).reset();
  const std::string path = folder / "state/lock";
  std::ofstream(path) << "999999999";  // no process has such an id
  const int left = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(left, LOCK_EX | LOCK_NB) == 0);
  std::promise<void> waits;
  std::thread ends([&] {
    waits.get_future().wait();
    ::close(left);
  });
  waits.set_value();
  CHECK(open_error(folder / "state") == "opened");
  ends.join();
}

TEST_CASE("what stands in a state folder's place is refused with a clear error") {
  const TemporaryFolder folder;
  SECTION("a folder that cannot be made") {
    CHECK(open_error("/sys/weir-state") == "store.read_only");
  }
  SECTION("a file in its place") {
    folder.write("state", "hello");
    CHECK(open_error(folder / "state") == "store.failed");
  }
  SECTION("a damaged file") {
    std::filesystem::create_directory(folder / "state");
    folder.write("state/checkpoints.sqlite", std::string(8192, 'x'));
    CHECK(open_error(folder / "state") == "store.corrupt");
  }
  SECTION("another program's database") {
    std::filesystem::create_directory(folder / "state");
    sqlite3* handle = nullptr;
    sqlite3_open((folder / "state/checkpoints.sqlite").c_str(), &handle);
    sqlite3_exec(handle, "CREATE TABLE things (x)", nullptr, nullptr, nullptr);
    sqlite3_close(handle);
    CHECK(open_error(folder / "state") == "store.corrupt");
  }
  SECTION("a newer weir's database") {
    open(folder);
    sqlite3* handle = nullptr;
    sqlite3_open((folder / "state/checkpoints.sqlite").c_str(), &handle);
    sqlite3_exec(handle, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
    sqlite3_close(handle);
    CHECK(open_error(folder / "state") == "store.version");
  }
}

namespace {

constexpr std::string_view kNotes = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT NOT NULL)";

Result<void> insert(Database& database, std::int64_t id, std::string_view note) {
  auto statement = Statement::prepare(database, "INSERT INTO notes VALUES (?, ?)");
  if (!statement) return statement.error();
  if (auto done = statement->bind(id).bind(note).step(); !done) return done.error();
  return {};
}

}  // namespace

TEST_CASE("writes that share a transaction do not share their failures") {
  const TemporaryFolder folder;
  DatabaseThread writes(*Database::open(folder / "notes.sqlite", Database::Synchronous::kFull, kNotes));
  net::io_context context;
  // The first write holds the store's thread until the others wait, so that they are committed together.
  std::promise<void> others_wait;
  auto held = others_wait.get_future();
  std::vector<std::future<Result<void>>> results;
  results.push_back(net::co_spawn(context, writes.perform([&](Database& database) {
    held.wait();
    return insert(database, 1, "first");
  }),
                                  net::use_future));
  for (const std::int64_t id : {2, 1, 3}) {
    results.push_back(net::co_spawn(
        context, writes.perform([id](Database& database) { return insert(database, id, "later"); }), net::use_future));
  }
  net::post(context, [&] { others_wait.set_value(); });
  context.run();
  CHECK(results[0].get().has_value());
  CHECK(results[1].get().has_value());
  CHECK_FALSE(results[2].get().has_value());  // the same key again
  CHECK(results[3].get().has_value());
  std::int64_t rows = 0;
  const auto counted = writes.perform_and_wait([&](Database& database) -> Result<void> {
    auto statement = Statement::prepare(database, "SELECT count(*) FROM notes");
    if (auto row = statement->step(); !row) return row.error();
    rows = statement->integer(0);
    return {};
  });
  REQUIRE(counted.has_value());
  CHECK(rows == 3);
}

TEST_CASE("a full disk is an error that goes away with room") {
  const TemporaryFolder folder;
  DatabaseThread writes(*Database::open(folder / "notes.sqlite", Database::Synchronous::kNormal, kNotes));
  const std::string big(100'000, 'x');
  const auto limit = [&](int pages) {
    return writes.perform_and_wait(
        [pages](Database& database) { return database.execute("PRAGMA max_page_count=" + std::to_string(pages)); });
  };
  REQUIRE(limit(20).has_value());
  const auto refused = writes.perform_and_wait([&](Database& database) { return insert(database, 1, big); });
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == ErrorCode::kStoreFull);
  CHECK(is_transient(refused.error().code()));
  CHECK(writes.perform_and_wait([&](Database& database) { return insert(database, 1, "small"); }).has_value());
  REQUIRE(limit(1000).has_value());
  CHECK(writes.perform_and_wait([&](Database& database) { return insert(database, 2, big); }).has_value());
}
