// Whatever fails, and whenever: what was answered with success is there, what was answered with a failure is not, and
// nothing is there by half. Each case tries every write, every sync, every amount of room, until a run needs none of
// it.
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "fault_vfs.h"
#include "store/batch.h"
#include "store/database_thread.h"
#include "store/store.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::store;
using weir::test::FaultVfs;
using weir::test::TemporaryFolder;

namespace {

const WallTime kNow = from_epoch_milliseconds(1'789'200'000'000);

/// What a store holds, without the numbers it gives.
struct Content {
  std::map<std::string, int> events;  ///< first letter of the payload -> failed attempts
  std::map<std::string, std::string> notes;
  std::multiset<std::string> letters;
  bool operator==(const Content&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Content& content) {
  out << "events";
  for (const auto& [name, attempts] : content.events) out << ' ' << name << '/' << attempts;
  out << ", notes";
  for (const auto& [key, value] : content.notes) out << ' ' << key << '=' << value;
  out << ", letters";
  for (const auto& name : content.letters) out << ' ' << name;
  return out;
}

/// Some fit a page and some do not.
std::string payload_of(const std::string& name) {
  return name + std::string(name == "c" ? 60'000 : 200, '.');
}

std::string name_of(const std::string& payload) {
  const std::string name = payload.substr(0, 1);
  return payload == payload_of(name) ? name : "half of " + name;
}

using Ids = std::map<std::string, std::uint64_t>;

struct Operation {
  std::string needs;  ///< an event that has to be there
  std::function<net::awaitable<Result<void>>(StateFolder&, Ids&)> run;
  std::function<void(Content&)> apply;
  std::string settles;  ///< the event that a power loss may bring back
};

net::awaitable<Result<void>> append(StateFolder& store, Ids& ids, std::string name, std::optional<StoredNote> note) {
  StoredEvent event;
  event.function = "resize";
  event.request_id = "request-" + name;
  event.payload = payload_of(name);
  event.accepted = kNow;
  auto kept = co_await store.append(test::batch_of(std::move(event), std::move(note)));
  if (!kept) co_return std::move(kept.error());
  ids[name] = kept->front().id;
  co_return Result<void>();
}

Operation appends(const std::string& name, const std::string& note = "") {
  return {
      "",
      [=](StateFolder& store, Ids& ids) {
        return append(store, ids, name, note.empty() ? std::nullopt : std::optional(StoredNote{"uploads", note, name}));
      },
      [=](Content& content) {
        content.events[name] = 0;
        if (!note.empty()) content.notes[note] = name;
      },
      ""};
}

Operation retries(const std::string& name, int attempts) {
  return {name, [=](StateFolder& store, Ids& ids) { return store.remember_retry(ids.at(name), attempts, kNow); },
          [=](Content& content) { content.events[name] = attempts; }, ""};
}

Operation settles(const std::string& name) {
  return {name, [=](StateFolder& store, Ids& ids) { return store.settle(ids.at(name)); },
          [=](Content& content) { content.events.erase(name); }, name};
}

DeadLetter letter_of(const std::string& name) {
  DeadLetter letter;
  letter.function = "resize";
  letter.record = "record-" + name;
  letter.payload = payload_of(name);
  letter.at = kNow;
  return letter;
}

Operation buries(const std::string& name) {
  return {name, [=](StateFolder& store, Ids& ids) { return store.bury(ids.at(name), letter_of(name)); },
          [=](Content& content) {
            content.events.erase(name);
            content.letters.insert(name);
          },
          ""};
}

Operation keeps(const std::string& name) {
  return {"", [=](StateFolder& store, Ids&) { return store.keep(letter_of(name)); },
          [=](Content& content) { content.letters.insert(name); }, ""};
}

Operation remembers(std::vector<StoredNote> notes) {
  return {"", [=](StateFolder& store, Ids&) { return store.remember(notes); },
          [=](Content& content) {
            for (const StoredNote& note : notes) {
              content.notes.erase(note.key);
              if (note.value) content.notes[note.key] = *note.value;
            }
          },
          ""};
}

net::awaitable<Result<void>> redrive_all(StateFolder& store) {
  auto redriven = co_await store.redrive(DeadLetterFilter(), kNow);
  if (!redriven) co_return std::move(redriven.error());
  co_return Result<void>();
}

Operation redrives() {
  return {"", [](StateFolder& store, Ids&) { return redrive_all(store); },
          [](Content& content) {
            for (const std::string& name : content.letters) content.events[name] = 0;
            content.letters.clear();
          },
          ""};
}

/// What stands in one line happens at once.
const std::vector<std::vector<Operation>>& scenario() {
  static const std::vector<std::vector<Operation>> steps{
      {appends("a", "k"), appends("b"), appends("c")},
      {retries("b", 1)},
      {settles("a")},
      {buries("b")},
      {keeps("x"), retries("c", 2)},
      {appends("d", "l"), remembers({{"uploads", "m", "1"}, {"uploads", "k", std::nullopt}}), buries("c")},
      {redrives()},
      {appends("e"), settles("d")},
      {remembers({{"uploads", "k", "2"}})},
  };
  return steps;
}

struct Played {
  Content content;                   ///< as it was answered
  std::vector<Operation> unsure;     ///< what failed first
  std::set<std::string> may_return;  ///< settled, and nothing synced since
};

Played play(
    StateFolder& store, const std::function<void(const Played&)>& after_step = [](const Played&) {}) {
  Played played;
  Ids ids;
  net::io_context context;
  for (const auto& step : scenario()) {
    std::vector<std::pair<const Operation*, std::future<Result<void>>>> answers;
    for (const Operation& operation : step) {
      if (!operation.needs.empty() && !played.content.events.contains(operation.needs)) continue;
      answers.emplace_back(&operation, net::co_spawn(context, operation.run(store, ids), net::use_future));
    }
    context.restart();
    context.run();
    std::vector<Operation> failed;
    for (auto& [operation, answer] : answers) {
      if (!answer.get()) {
        failed.push_back(*operation);
        continue;
      }
      operation->apply(played.content);
      if (operation->settles.empty()) {
        played.may_return.clear();
      } else {
        played.may_return.insert(operation->settles);
      }
    }
    if (played.unsure.empty()) played.unsure = failed;
    after_step(played);
  }
  return played;
}

Content content_of(StateFolder& store) {
  Content content;
  net::io_context context;
  std::vector<WaitingEvent> waiting;
  const auto read = test::run(context, store.each_waiting([&](std::vector<WaitingEvent> piece) {
    waiting.insert(waiting.end(), piece.begin(), piece.end());
  }));
  REQUIRE(read.has_value());
  for (const WaitingEvent& event : waiting) {
    const StoredEvent loaded = test::run(context, store.load(event.id)).value();
    const std::string name = name_of(loaded.payload);
    CHECK_FALSE(content.events.contains(name));  // none twice
    content.events[name] = event.attempts;
  }
  content.notes = test::run(context, store.notes("uploads")).value();
  for (const DeadLetter& letter : test::run(context, store.list(DeadLetterFilter(), 100, true)).value()) {
    content.letters.insert(letter.record == "record-" + letter.payload.substr(0, 1) ? name_of(letter.payload) : "?");
  }
  return content;
}

std::unique_ptr<StateFolder> open(const std::string& folder) {
  auto store = StateFolder::open(folder);
  if (!store) throw std::runtime_error(store.error().describe());
  return std::move(*store);
}

/// Whether the store holds what was answered, with any part of what failed in the moment of the crash, and with what a
/// power loss may bring back.
bool is_explained(const Content& found, const Played& played) {
  for (std::size_t subset = 0; subset < (std::size_t{1} << played.unsure.size()); ++subset) {
    Content possible = played.content;
    for (std::size_t i = 0; i < played.unsure.size(); ++i) {
      if ((subset >> i & 1) != 0) played.unsure[i].apply(possible);
    }
    Content reduced = found;
    for (const std::string& name : played.may_return) {
      if (!possible.events.contains(name)) reduced.events.erase(name);
    }
    if (reduced == possible) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the scenario that is disturbed below ends as it should") {
  const TemporaryFolder folder;
  auto store = open(folder.path());
  const Played played = play(*store);
  CHECK(played.unsure.empty());
  const Content expected{{{"b", 0}, {"c", 0}, {"e", 0}, {"x", 0}}, {{"k", "2"}, {"l", "d"}, {"m", "1"}}, {}};
  CHECK(played.content == expected);
  CHECK(content_of(*store) == expected);
  store.reset();
  CHECK(content_of(*open(folder.path())) == expected);
}

TEST_CASE("one write or one sync fails: its answer says so, and the store goes on") {
  const auto call = GENERATE(FaultVfs::Call::kWrite, FaultVfs::Call::kSync);
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO((call == FaultVfs::Call::kSync ? "sync " : "write ") << n << " fails");
    const TemporaryFolder folder;
    FaultVfs vfs;
    vfs.fail_once(call, n);
    auto opened = StateFolder::open(folder.path());
    // Not made at all, or made at the next attempt.
    std::unique_ptr<StateFolder> store = opened ? std::move(*opened) : open(folder.path());
    const Played played = play(*store);
    CHECK(content_of(*store) == played.content);
    store.reset();
    failed = vfs.has_failed();
    CHECK((failed || played.unsure.empty()));
    vfs.heal();
    CHECK(content_of(*open(folder.path())) == played.content);
  }
  CHECK(n > (call == FaultVfs::Call::kSync ? 15 : 50));
}

TEST_CASE("a process that is killed right after a failed sync has kept nothing of it") {
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO("sync " << n << " fails");
    const TemporaryFolder folder;
    FaultVfs vfs;
    auto store = open(folder / "state");
    vfs.fail_once(FaultVfs::Call::kSync, n);
    bool looked = false;
    play(*store, [&](const Played& played) {
      if (looked || played.unsure.empty()) return;
      looked = true;
      std::filesystem::copy(folder / "state", folder / "after");
      std::filesystem::remove(folder / "after/queue.sqlite-shm");
      CHECK(content_of(*open(folder / "after")) == played.content);
    });
    failed = vfs.has_failed();
  }
  CHECK(n > 8);
}

TEST_CASE("power is lost some syncs after a failed one") {
  const int later = GENERATE(1, 2, 3, 4);
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO("sync " << n << " fails, power is lost after sync " << n + later);
    const TemporaryFolder folder;
    FaultVfs vfs;
    auto store = open(folder / "state");
    vfs.fail_once(FaultVfs::Call::kSync, n);
    vfs.die_after_sync(n + later);
    const Played played = play(*store);
    failed = vfs.has_failed();
    vfs.after_power_loss(folder / "state", folder / "after", nullptr);
    store.reset();
    vfs.heal();
    const Content found = content_of(*open(folder / "after"));
    INFO("found " << found << "; answered " << played.content);
    CHECK(is_explained(found, played));
  }
  CHECK(n > 8);
}

TEST_CASE("a process that is killed after a failed write or sync has kept every answer") {
  const auto call = GENERATE(FaultVfs::Call::kWrite, FaultVfs::Call::kSync);
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO((call == FaultVfs::Call::kSync ? "nothing is synced from sync " : "nothing is written from write ") << n);
    const TemporaryFolder folder;
    FaultVfs vfs;
    vfs.fail_from(call, n);
    Played played;
    if (auto opened = StateFolder::open(folder.path())) played = play(**opened);
    failed = vfs.has_failed();
    vfs.heal();
    const Content found = content_of(*open(folder.path()));
    INFO("found " << found << "; answered " << played.content);
    CHECK(is_explained(found, played));
  }
}

TEST_CASE("power is lost after any sync: every answer is kept") {
  const bool part_survives = GENERATE(false, true);
  Random survivors(7);
  int n = 0;
  for (bool dead = true; dead;) {
    ++n;
    INFO("power is lost after sync " << n);
    const TemporaryFolder folder;
    FaultVfs vfs;
    vfs.die_after_sync(n);
    Played played;
    if (auto opened = StateFolder::open(folder / "state")) played = play(**opened);
    dead = vfs.has_failed();
    vfs.after_power_loss(folder / "state", folder / "after", part_survives ? &survivors : nullptr);
    vfs.heal();
    const Content found = content_of(*open(folder / "after"));
    INFO("found " << found << "; answered " << played.content);
    CHECK(is_explained(found, played));
  }
  CHECK(n > 15);
}

TEST_CASE("where shards begin is kept, all of it or nothing, and is there after a power loss") {
  const std::map<std::string, Resume> starts{{"a", *Resume::parse("AT_TIMESTAMP 1789200000")},
                                             {"b", *Resume::parse("AT_TIMESTAMP 1789200000")},
                                             {"c", *Resume::parse("TRIM_HORIZON")}};
  const auto call = GENERATE(FaultVfs::Call::kWrite, FaultVfs::Call::kSync);
  const bool power_loss = GENERATE(true, false);
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO("nothing works from " << (call == FaultVfs::Call::kSync ? "sync " : "write ") << n << " on");
    const TemporaryFolder folder;
    FaultVfs vfs;
    auto store = open(folder / "state");
    vfs.fail_from(call, n);
    net::io_context context;
    store::SourceStarts all;
    all.stream = "arn:clicks";
    all.shards = starts;
    const bool kept = test::run(context, store->save_starts("clicks", all)).has_value();
    failed = vfs.has_failed();
    CHECK(kept != failed);
    if (power_loss) vfs.after_power_loss(folder / "state", folder / "after", nullptr);
    store.reset();
    vfs.heal();
    const auto found = test::run(context, open(folder / (power_loss ? "after" : "state"))->load_all("clicks")).value();
    // What could not be answered may be there.
    if (kept || !found.shards.empty()) CHECK(found.shards == starts);
    CHECK(found.stream == (found.shards.empty() ? "" : "arn:clicks"));
  }
  CHECK(n > 1);
}

TEST_CASE("the disk is full: store.full, nothing lost, and it goes on when there is room") {
  bool failed = true;
  std::int64_t room = 0;
  for (; failed; room += 3000) {
    INFO(room << " bytes are free");
    const TemporaryFolder folder;
    FaultVfs vfs;
    auto store = open(folder.path());
    vfs.limit_space(vfs.space_used() + room);
    const Played played = play(*store);
    failed = !played.unsure.empty();
    CHECK(content_of(*store) == played.content);
    vfs.heal();
    net::io_context context;
    Ids ids;
    REQUIRE(test::run(context, append(*store, ids, "z", std::nullopt)).has_value());
    Content with_room = played.content;
    with_room.events["z"] = 0;
    CHECK(content_of(*store) == with_room);
    store.reset();
    CHECK(content_of(*open(folder.path())) == with_room);
  }
  CHECK(room > 10 * 3000);
}

namespace {

constexpr std::string_view kRows = "CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT NOT NULL)";

DatabaseThread::Job inserts(std::int64_t id, std::size_t bytes) {
  return [=](Database& database) -> Result<void> {
    auto statement = Statement::prepare(database, "INSERT INTO rows VALUES (?, ?)");
    if (!statement) return std::move(statement.error());
    const std::string content(bytes, 'x');
    if (auto done = statement->bind(id).bind(content).step(); !done) return std::move(done.error());
    return {};
  };
}

std::set<std::int64_t> rows_of(const std::string& path) {
  std::set<std::int64_t> rows;
  auto database = Database::open(path, Database::Synchronous::kFull, kRows).value();
  auto statement = Statement::prepare(database, "SELECT id FROM rows").value();
  while (statement.step().value()) rows.insert(statement.integer(0));
  return rows;
}

}  // namespace

TEST_CASE("where there is room for some, they are kept: only what is too large is refused") {
  const TemporaryFolder folder;
  FaultVfs vfs;
  DatabaseThread thread(Database::open(folder / "rows.sqlite", Database::Synchronous::kFull, kRows).value());
  REQUIRE(thread.perform_and_wait(inserts(100, 10)).has_value());
  net::io_context context;
  std::vector<std::future<Result<void>>> answers;
  for (std::int64_t id = 0; id < 8; ++id) {
    answers.push_back(net::co_spawn(context, thread.perform(inserts(id, id == 3 ? 500'000 : 10)), net::use_future));
  }
  vfs.limit_space(vfs.space_used() + 100'000);
  context.run();
  for (std::int64_t id = 0; id < 8; ++id) {
    const auto answer = answers[static_cast<std::size_t>(id)].get();
    INFO("row " << id);
    CHECK(answer.has_value() == (id != 3));
    if (id == 3) CHECK(answer.error().code() == ErrorCode::kStoreFull);
  }
}

TEST_CASE("the log is written back between transactions, whatever fails then") {
  const auto call = GENERATE(FaultVfs::Call::kWrite, FaultVfs::Call::kSync);
  const bool then_power_loss = GENERATE(false, true);
  DatabaseThread::Limits limits;
  limits.log_pages = 8;
  constexpr std::int64_t kCount = 30;
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO((call == FaultVfs::Call::kSync ? "sync " : "write ") << n << " fails");
    const TemporaryFolder folder;
    const std::string path = folder / "state/rows.sqlite";
    std::filesystem::create_directory(folder / "state");
    FaultVfs vfs;
    std::set<std::int64_t> kept;
    std::uintmax_t log = 0;
    {
      DatabaseThread thread(Database::open(path, Database::Synchronous::kFull, kRows).value(), limits);
      vfs.fail_once(call, n);
      for (std::int64_t id = 0; id < kCount; ++id) {
        if (thread.perform_and_wait(inserts(id, 5000))) kept.insert(id);
      }
      failed = vfs.has_failed();
      log = std::filesystem::file_size(path + "-wal");
      if (then_power_loss) vfs.after_power_loss(folder / "state", folder / "after", nullptr);
    }
    CHECK(kept.size() >= kCount - 1);
    CHECK(rows_of(then_power_loss ? folder / "after/rows.sqlite" : path) == kept);
    CHECK(log < 40 * 4120);  // 30 rows of two or more pages each wrote more than a hundred
  }
  CHECK(n > 40);
}
