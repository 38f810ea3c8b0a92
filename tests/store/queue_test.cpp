#include <algorithm>
#include <future>
#include <set>

#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "fault_vfs.h"
#include "store/batch.h"
#include "store/database_thread.h"
#include "store/queue_tables.h"
#include "store/store.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::store;
using weir::test::FaultVfs;
using weir::test::run;
using weir::test::TemporaryFolder;

namespace {

const WallTime kNow = from_epoch_milliseconds(1'789'200'000'123);
const WallTime kLater = from_epoch_milliseconds(1'789'200'060'456);

std::unique_ptr<StateFolder> open(const TemporaryFolder& folder) {
  auto store = StateFolder::open(folder / "state");
  if (!store) throw std::runtime_error(store.error().describe());
  return std::move(*store);
}

StoredEvent event_for(const std::string& function, const std::string& payload = "{}") {
  StoredEvent event;
  event.function = function;
  event.qualifier = "live";
  event.request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
  event.source = "uploads";
  event.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793";
  event.payload = payload;
  event.accepted = kNow;
  return event;
}

DeadLetter letter_for(const std::string& function, const std::string& source, const std::string& payload = "{}") {
  DeadLetter letter;
  letter.source = source;
  letter.shard = "0";
  letter.function = function;
  letter.qualifier = "live";
  letter.record = "{\"version\":\"1.0\"}";
  letter.payload = payload;
  letter.at = kNow;
  return letter;
}

/// Calls the store as a caller that waits for each answer.
struct Caller {
  explicit Caller(const TemporaryFolder& folder) : store(open(folder)) {}

  std::uint64_t append(const StoredEvent& event, std::optional<StoredNote> note = std::nullopt) {
    return run(context, store->append(test::batch_of(event, std::move(note)))).value().front().id;
  }
  std::vector<WaitingEvent> waiting() {
    std::vector<WaitingEvent> all;
    const auto take = [&](std::vector<WaitingEvent> piece) { all.insert(all.end(), piece.begin(), piece.end()); };
    REQUIRE(run(context, store->each_waiting(take)).has_value());
    return all;
  }
  std::vector<DeadLetter> letters(const DeadLetterFilter& which = {}, std::size_t limit = 100, bool whole = false) {
    return run(context, store->list(which, limit, whole)).value();
  }
  std::vector<DeadLetter> piece(const DeadLetterFilter& which, std::size_t limit) {
    return run(context, store->list_piece(which, limit)).value();
  }
  RedrivenPiece redrive(const DeadLetterFilter& which) { return run(context, store->redrive(which, kLater)).value(); }
  bool is_there(std::uint64_t id) { return run(context, store->load(id)).has_value(); }

  net::io_context context;
  std::unique_ptr<StateFolder> store;
};

}  // namespace

TEST_CASE("an event is there after a restart, as it was") {
  const TemporaryFolder folder;
  const std::string payload = std::string("{\"a\":\"\0 and \xC3\xA9\"}", 16) + std::string(300'000, ' ');
  std::uint64_t id = 0;
  std::uint64_t second = 0;
  {
    Caller caller(folder);
    id = caller.append(event_for("resize", payload));
    second = caller.append(event_for("audit"));
    CHECK(second > id);
    REQUIRE(run(caller.context, caller.store->remember_retry(second, 1, kNow)).has_value());
    REQUIRE(run(caller.context, caller.store->remember_retry(second, 2, kLater)).has_value());
  }
  Caller caller(folder);
  const StoredEvent loaded = run(caller.context, caller.store->load(id)).value();
  CHECK(loaded.id == id);
  CHECK(loaded.function == "resize");
  CHECK(loaded.qualifier == "live");
  CHECK(loaded.request_id == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef");
  CHECK(loaded.source == "uploads");
  CHECK(loaded.trace_header == "Root=1-5759e988-bd862e3fe1be46a994272793");
  CHECK(loaded.payload == payload);
  CHECK(loaded.accepted == kNow);
  const auto waiting = caller.waiting();
  REQUIRE(waiting.size() == 2);
  CHECK(waiting[0].id == id);
  CHECK(waiting[0].attempts == 0);
  CHECK_FALSE(waiting[0].due.has_value());
  CHECK(waiting[1].function == "audit");
  CHECK(waiting[1].accepted == kNow);
  CHECK(waiting[1].attempts == 2);
  CHECK(waiting[1].due == kLater);
}

TEST_CASE("an event that is over does not come back, and its number is not given again") {
  const TemporaryFolder folder;
  std::uint64_t id = 0;
  {
    Caller caller(folder);
    id = caller.append(event_for("resize"));
    REQUIRE(run(caller.context, caller.store->remember_retry(id, 1, kLater)).has_value());
    REQUIRE(run(caller.context, caller.store->settle(id)).has_value());
    CHECK(run(caller.context, caller.store->settle(id)).has_value());  // asked for again after a lost answer
    const auto gone = run(caller.context, caller.store->load(id));
    REQUIRE_FALSE(gone.has_value());
    CHECK(gone.error().code() == ErrorCode::kStoreNotFound);
    CHECK(run(caller.context, caller.store->remember_retry(id, 2, kLater)).error().code() == ErrorCode::kStoreNotFound);
  }
  Caller caller(folder);
  CHECK(caller.waiting().empty());
  CHECK(caller.append(event_for("resize")) > id);
  CHECK(caller.waiting().at(0).attempts == 0);
}

TEST_CASE("a buried event is a dead letter, once") {
  const TemporaryFolder folder;
  Caller caller(folder);
  const std::uint64_t id = caller.append(event_for("resize"));
  REQUIRE(run(caller.context, caller.store->bury(id, letter_for("resize", ""))).has_value());
  CHECK(run(caller.context, caller.store->bury(id, letter_for("resize", ""))).has_value());
  CHECK(caller.waiting().empty());
  CHECK(caller.letters().size() == 1);
  CHECK(*caller.store->count_dead_letters() == 1);
}

TEST_CASE("a note is stored with its event, replaced and forgotten") {
  const TemporaryFolder folder;
  {
    Caller caller(folder);
    caller.append(event_for("resize"), StoredNote{"uploads", "etag", "1"});
    caller.append(event_for("resize"), StoredNote{"uploads", "gone", "1"});
    caller.append(event_for("resize"), StoredNote{"uploads", "etag", "2"});
    caller.append(event_for("resize"), StoredNote{"uploads", "gone", std::nullopt});
    const std::vector<StoredNote> notes{{"cron", "last", "noon"}, {"uploads", "empty", ""}};
    REQUIRE(run(caller.context, caller.store->remember(notes)).has_value());
  }
  Caller caller(folder);
  CHECK(run(caller.context, caller.store->notes("uploads")).value() ==
        std::map<std::string, std::string>{{"etag", "2"}, {"empty", ""}});
  CHECK(run(caller.context, caller.store->notes("cron")).value().at("last") == "noon");
  CHECK(run(caller.context, caller.store->notes("none")).value().empty());
}

TEST_CASE("waiting events come in pieces, in order, without those that ended") {
  const TemporaryFolder folder;
  Caller caller(folder);
  constexpr std::size_t kEvents = 4096 * 2;
  const auto append = [&]() -> net::awaitable<void> {
    StoredEvent event = event_for("resize");
    if (!co_await caller.store->append(test::batch_of(std::move(event)))) throw std::runtime_error("not appended");
  };
  for (std::size_t i = 0; i < kEvents; ++i) net::co_spawn(caller.context, append(), net::detached);
  caller.context.run();
  std::vector<std::size_t> pieces;
  const auto count = [&](const std::vector<WaitingEvent>& piece) { pieces.push_back(piece.size()); };
  REQUIRE(run(caller.context, caller.store->each_waiting(count)).has_value());
  CHECK(pieces == std::vector<std::size_t>{4096, 4096});
  REQUIRE(run(caller.context, caller.store->settle(4096)).has_value());
  caller.append(event_for("resize"));
  pieces.clear();
  REQUIRE(run(caller.context, caller.store->each_waiting(count)).has_value());
  CHECK(pieces == std::vector<std::size_t>{4096, 4096});
  caller.append(event_for("resize"));
  const auto all = caller.waiting();
  CHECK(all.size() == kEvents + 1);
  CHECK(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; }));
}

TEST_CASE("who waits while one fsync runs shares the next") {
  const TemporaryFolder folder;
  FaultVfs vfs;
  Caller caller(folder);
  caller.append(event_for("resize"));  // the first write syncs the new log's beginning
  const auto append_often = [&](int times) -> net::awaitable<void> {
    for (int i = 0; i < times; ++i) {
      StoredEvent event = event_for("resize");
      if (!co_await caller.store->append(test::batch_of(std::move(event)))) throw std::runtime_error("not appended");
    }
  };
  vfs.heal();
  for (int i = 0; i < 64; ++i) net::co_spawn(caller.context, append_often(10), net::detached);
  caller.context.restart();
  caller.context.run();
  CHECK(vfs.syncs() == 10);
  CHECK(caller.waiting().size() == 641);
}

TEST_CASE("a settled event costs no fsync") {
  const TemporaryFolder folder;
  FaultVfs vfs;
  Caller caller(folder);
  const std::uint64_t first = caller.append(event_for("resize"));
  const std::uint64_t second = caller.append(event_for("resize"));
  vfs.heal();
  REQUIRE(run(caller.context, caller.store->settle(first)).has_value());
  CHECK(vfs.syncs() == 0);
  CHECK_FALSE(caller.is_there(first));
  // With the next one that is on the disk, it is.
  REQUIRE(run(caller.context, caller.store->remember_retry(second, 1, kLater)).has_value());
  CHECK(vfs.syncs() == 1);
  vfs.after_power_loss(folder / "state", folder / "after", nullptr);
  auto after = StateFolder::open(folder / "after").value();
  CHECK_FALSE(run(caller.context, after->load(first)).has_value());
  CHECK(run(caller.context, after->load(second)).has_value());
}

TEST_CASE("dead letters are listed by what is asked for, the newest last") {
  const TemporaryFolder folder;
  Caller caller(folder);
  for (const auto& letter : {letter_for("resize", "", "\"1\""), letter_for("audit", "clicks", "\"2\""),
                             letter_for("audit", "orders", "\"3\""), letter_for("resize", "", "\"4\"")}) {
    REQUIRE(run(caller.context, caller.store->keep(letter)).has_value());
  }
  const auto ids = [&](const DeadLetterFilter& which, std::size_t limit = 100) {
    std::vector<std::uint64_t> found;
    for (const DeadLetter& letter : caller.letters(which, limit)) found.push_back(letter.id);
    return found;
  };
  using Ids = std::vector<std::uint64_t>;
  DeadLetterFilter which;
  CHECK(ids(which) == Ids{1, 2, 3, 4});
  CHECK(ids(which, 4) == Ids{1, 2, 3, 4});
  CHECK(ids(which, 3) == Ids{2, 3, 4});
  CHECK(ids(which, 0).empty());
  which.function = "audit";
  CHECK(ids(which) == Ids{2, 3});
  CHECK(ids(which, 1) == Ids{3});
  which.source = "clicks";
  CHECK(ids(which) == Ids{2});
  which.ids = {3, 2, 2, 99};
  CHECK(ids(which) == Ids{2});
  which = {};
  which.ids = {4, 1, 4};
  CHECK(ids(which) == Ids{1, 4});
  CHECK(ids(which, 1) == Ids{4});

  const DeadLetter brief = caller.letters().at(1);
  CHECK(brief.source == "clicks");
  CHECK(brief.shard == "0");
  CHECK(brief.function == "audit");
  CHECK(brief.qualifier == "live");
  CHECK(brief.at == kNow);
  CHECK(brief.payload.empty());
  CHECK(brief.record.empty());
  const DeadLetter whole = caller.letters({}, 100, true).at(1);
  CHECK(whole.payload == "\"2\"");
  CHECK(whole.record == "{\"version\":\"1.0\"}");
  CHECK(caller.store->list_dead_letters(which, 1, true)->at(0).payload == "\"4\"");
}

TEST_CASE("redriven dead letters wait as new events") {
  const TemporaryFolder folder;
  Caller caller(folder);
  for (const auto& letter :
       {letter_for("resize", "", "\"1\""), letter_for("audit", "clicks", "\"2\""), letter_for("resize", "", "\"3\"")}) {
    REQUIRE(run(caller.context, caller.store->keep(letter)).has_value());
  }
  DeadLetterFilter which;
  which.function = "resize";
  const std::vector<WaitingEvent> redriven = caller.redrive(which).events;
  REQUIRE(redriven.size() == 2);
  std::set<std::string> request_ids;
  for (const WaitingEvent& event : redriven) {
    CHECK(event.function == "resize");
    CHECK(event.accepted == kLater);
    CHECK(event.attempts == 0);
    CHECK_FALSE(event.due.has_value());
    const StoredEvent stored = run(caller.context, caller.store->load(event.id)).value();
    CHECK(stored.request_id.size() == 36);
    request_ids.insert(stored.request_id);
    CHECK(stored.qualifier == "live");
    CHECK(stored.accepted == kLater);
    CHECK(stored.payload == (event.id == redriven[0].id ? "\"1\"" : "\"3\""));
  }
  CHECK(request_ids.size() == 2);
  CHECK(caller.waiting().size() == 2);
  REQUIRE(caller.letters().size() == 1);
  CHECK(caller.letters()[0].function == "audit");
  CHECK(caller.redrive(which).events.empty());
  CHECK(*caller.store->redrive_dead_letters({}, kLater) == 1);
  CHECK(*caller.store->count_dead_letters() == 0);
  CHECK(run(caller.context, caller.store->load(3)).value().source == "clicks");
}

TEST_CASE("the dead letters of a piece are the oldest behind an id, whole, and no more than memory should have") {
  const TemporaryFolder folder;
  Caller caller(folder);
  for (int i = 1; i <= 300; ++i) {
    DeadLetter letter = letter_for(i % 3 == 0 ? "audit" : "resize", i % 2 == 0 ? "clicks" : "", std::to_string(i));
    net::co_spawn(caller.context, caller.store->keep(std::move(letter)), net::detached);
  }
  caller.context.run();
  const auto all = [&](DeadLetterFilter which, std::size_t limit) {
    std::vector<std::uint64_t> found;
    for (std::vector<DeadLetter> piece = caller.piece(which, limit); !piece.empty();
         piece = caller.piece(which, limit)) {
      CHECK(piece.size() <= limit);
      for (const DeadLetter& letter : piece) {
        CHECK(letter.payload == std::to_string(letter.id));
        found.push_back(letter.id);
      }
      which.after = found.back();
    }
    return found;
  };
  const auto numbers = [](std::uint64_t first, std::uint64_t last, std::uint64_t step) {
    std::vector<std::uint64_t> found;
    for (std::uint64_t id = first; id <= last; id += step) found.push_back(id);
    return found;
  };
  DeadLetterFilter which;
  CHECK(all(which, 1000) == numbers(1, 300, 1));
  CHECK(all(which, 7) == numbers(1, 300, 1));
  CHECK(caller.piece(which, 1000).size() == 256);
  CHECK(caller.piece(which, 0).empty());
  which.function = "audit";
  CHECK(all(which, 20) == numbers(3, 300, 3));
  which.source = "clicks";
  CHECK(all(which, 20) == numbers(6, 300, 6));
  which.function.clear();
  CHECK(all(which, 149) == numbers(2, 300, 2));
  which.after = 100;
  which.upto = 104;
  CHECK(all(which, 20) == numbers(102, 104, 2));
  which.ids = {104, 106, 102, 100, 103, 102};
  CHECK(all(which, 20) == numbers(102, 104, 2));
  CHECK(all(which, 1) == numbers(102, 104, 2));
  which.after = 104;
  CHECK(all(which, 20).empty());
}

TEST_CASE("dead letters as large as they get come a few at a time, and are redriven so") {
  const TemporaryFolder folder;
  Caller caller(folder);
  for (int i = 0; i < 8; ++i) {
    auto kept = caller.store->keep(letter_for("resize", "clicks", '"' + std::string(900'000, 'x') + '"'));
    REQUIRE(run(caller.context, std::move(kept)).has_value());
  }
  CHECK(caller.piece({}, 100).size() == 2);  // the second goes over the megabyte
  const RedrivenPiece first = caller.redrive({});
  CHECK(first.events.size() == 5);
  CHECK(first.more);
  DeadLetterFilter rest;
  rest.after = first.last;
  const RedrivenPiece second = caller.redrive(rest);
  CHECK(second.events.size() == 3);
  CHECK_FALSE(second.more);
}

TEST_CASE("more dead letters than one transaction should have are redriven in several") {
  const TemporaryFolder folder;
  const std::size_t letters = GENERATE(std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{600});
  Caller caller(folder);
  const auto keep = [&]() -> net::awaitable<void> {
    DeadLetter letter = letter_for("resize", "");
    if (!co_await caller.store->keep(std::move(letter))) throw std::runtime_error("not kept");
  };
  for (std::size_t i = 0; i < letters; ++i) net::co_spawn(caller.context, keep(), net::detached);
  caller.context.run();
  SECTION("by a bridge, that asks for each") {
    DeadLetterFilter which;
    std::size_t redriven = 0;
    for (bool more = true; more;) {
      const RedrivenPiece piece = caller.redrive(which);
      CHECK(piece.events.size() == std::min<std::size_t>(256, letters - redriven));
      redriven += piece.events.size();
      which.after = piece.last;
      more = piece.more;
    }
    CHECK(redriven == letters);
  }
  SECTION("by a command") {
    CHECK(*caller.store->redrive_dead_letters({}, kLater) == letters);
  }
  CHECK(caller.waiting().size() == letters);
  CHECK(*caller.store->count_dead_letters() == 0);
}

TEST_CASE("a redrive that the disk stops tells what waits again, and loses nothing") {
  const TemporaryFolder folder;
  FaultVfs vfs;
  Caller caller(folder);
  for (int i = 0; i < 300; ++i) {
    net::co_spawn(caller.context, caller.store->keep(letter_for("resize", "", std::string(1000, 'x'))), net::detached);
  }
  caller.context.run();
  SECTION("at once") {
    vfs.fail_once(FaultVfs::Call::kSync, 1);
    CHECK_FALSE(run(caller.context, caller.store->redrive({}, kLater)).has_value());
    CHECK(caller.waiting().empty());
    CHECK(*caller.store->count_dead_letters() == 300);
  }
  SECTION("at once, a command's") {
    vfs.fail_once(FaultVfs::Call::kSync, 1);
    CHECK_FALSE(caller.store->redrive_dead_letters({}, kLater).has_value());
    CHECK(*caller.store->count_dead_letters() == 300);
  }
  SECTION("in the middle") {
    vfs.fail_once(FaultVfs::Call::kSync, 2);
    CHECK(caller.store->redrive_dead_letters({}, kLater).value() == 256);
    CHECK(caller.waiting().size() == 256);
    CHECK(*caller.store->count_dead_letters() == 44);
  }
  CHECK(caller.store->redrive_dead_letters({}, kLater).has_value());
  CHECK(caller.waiting().size() == 300);
  CHECK(caller.letters().empty());
}

TEST_CASE("a lazy job waits for company, and for no more than its patience") {
  const TemporaryFolder folder;
  const bool company = GENERATE(true, false);
  DatabaseThread::Limits limits;
  limits.patience = company ? Duration(std::chrono::hours(1)) : Duration(std::chrono::milliseconds(1));
  DatabaseThread thread(*Database::open(folder / "queue.sqlite", Database::Synchronous::kFull, queue::kSchema), limits);
  net::io_context context;
  const auto note = [](std::string key) {
    return [key](Database& database) { return queue::write_note(database, {"uploads", key, "1"}); };
  };
  auto lazy = net::co_spawn(context, thread.perform(note("a"), Urgency::kLazy), net::use_future);
  std::future<Result<void>> urgent;
  if (company) urgent = net::co_spawn(context, thread.perform(note("b")), net::use_future);
  context.run();
  CHECK(lazy.get().has_value());
  if (company) CHECK(urgent.get().has_value());
}

TEST_CASE("what is queued when the store ends is done first") {
  const TemporaryFolder folder;
  net::io_context context;
  std::future<Result<std::vector<StoredEvent>>> appended;
  std::future<Result<void>> settled;
  {
    auto store = open(folder);
    const std::uint64_t id = run(context, store->append(test::batch_of(event_for("resize")))).value().front().id;
    settled = net::co_spawn(context, store->settle(id), net::use_future);
    appended = net::co_spawn(context, store->append(test::batch_of(event_for("resize"))), net::use_future);
    context.restart();
    context.poll_one();
    context.poll_one();
  }
  context.restart();
  context.run();
  CHECK(settled.get().has_value());
  CHECK(appended.get().has_value());
}

TEST_CASE("a batch is kept whole: its events, its notes and what is to be read again") {
  TemporaryFolder folder;
  Caller caller(folder);
  store::StoredBatch batch;
  batch.events.push_back(event_for("resize"));
  batch.events.push_back(event_for("sqs:orders"));
  batch.notes.push_back({"service:sns", "topic/orders", "{}"});
  store::KeptEvent kept;
  kept.log = "events/archive/all";
  kept.at = kNow;
  kept.event = "{\"id\":1}";
  batch.kept.push_back(kept);
  const auto events = run(caller.context, caller.store->append(batch)).value();
  REQUIRE(events.size() == 2);
  CHECK(events[0].id < events[1].id);
  CHECK(events[1].function == "sqs:orders");
  const auto waiting = caller.waiting();
  REQUIRE(waiting.size() == 2);
  CHECK(waiting[1].function == "sqs:orders");
  CHECK(waiting[1].qualifier == "live");
  CHECK(run(caller.context, caller.store->notes("service:sns")).value().at("topic/orders") == "{}");
  CHECK(
      run(caller.context, caller.store->kept(store::KeptRange("events/archive/all", 10))).value().events.at(0).event ==
      "{\"id\":1}");
}

TEST_CASE("each event of a batch has its own number, however many go into one statement") {
  const auto events = GENERATE(1, 15, 16, 17, 33);
  TemporaryFolder folder;
  Caller caller(folder);
  const std::uint64_t before = caller.append(event_for("resize"));
  store::StoredBatch batch;
  for (int i = 0; i < events; ++i) {
    StoredEvent& event = batch.events.emplace_back(event_for("resize"));
    event.payload = std::to_string(i);
  }
  const auto appended = run(caller.context, caller.store->append(std::move(batch))).value();
  REQUIRE(appended.size() == static_cast<std::size_t>(events));
  for (std::size_t i = 0; i < appended.size(); ++i) {
    CHECK(appended[i].id == before + 1 + i);
    CHECK(run(caller.context, caller.store->load(appended[i].id)).value().payload == std::to_string(i));
  }
}

TEST_CASE("what is kept to be read again comes in order of its time, in pieces, and is forgotten by age") {
  TemporaryFolder folder;
  Caller caller(folder);
  const auto at = [](int second) { return kNow + std::chrono::seconds(second); };
  store::StoredBatch batch;
  for (const int second : {3, 1, 2, 2, 2}) {
    store::KeptEvent kept;
    kept.log = "logs/app";
    kept.at = at(second);
    kept.event = std::to_string(second);
    batch.kept.push_back(kept);
  }
  store::KeptEvent other;
  other.log = "logs/other";
  other.at = at(2);
  other.event = "other";
  batch.kept.push_back(other);
  REQUIRE(run(caller.context, caller.store->append(batch)).has_value());
  store::KeptRange range("logs/app", 10);
  const auto read = [&](WallTime from, std::uint64_t after, WallTime to, std::uint64_t before = 0) {
    range.from = from;
    range.after = after;
    range.to = to;
    range.before = before;
    return run(caller.context, caller.store->kept(range)).value();
  };
  const auto text = [](const store::KeptPage& page) {
    std::string all;
    for (const auto& each : page.events) all += each.event;
    return all + (page.more ? "..." : "");
  };
  CHECK(text(read(at(1), 0, at(4))) == "12223");
  CHECK(text(read(at(2), 0, at(3))) == "222");  // from is in it, to is not
  range.limit = 2;
  const auto piece = read(at(1), 0, at(4));
  CHECK(text(piece) == "12...");
  range.limit = 3;
  const store::KeptEvent& last = piece.events.back();
  CHECK(text(read(last.at, last.id, at(4))) == "223");  // the rest of the same time first
  range.newest_first = true;
  CHECK(text(read(at(1), 0, at(4))) == "322...");
  CHECK(text(read(at(1), 0, last.at, last.id)) == "1");
  CHECK(text(read(last.at, last.id, at(4))) == "322");
  range.newest_first = false;
  // Its bytes end a page, too; the first event is in it whatever it has.
  range.limit = 10;
  range.bytes_max = 3;
  CHECK(text(read(at(1), 0, at(4))) == "122...");
  range.bytes_max = 0;
  CHECK(text(read(at(1), 0, at(4))) == "1...");
  CHECK(text(read(at(3), 0, at(4))) == "3");
  range.bytes_max = 100;
  REQUIRE(run(caller.context, caller.store->forget("logs/app", at(2))).has_value());
  CHECK(text(read(at(0), 0, at(4))) == "2223");
  REQUIRE(run(caller.context, caller.store->forget("logs/app", WallTime::max())).has_value());
  CHECK(text(read(at(0), 0, at(4))).empty());
  CHECK(run(caller.context, caller.store->kept(store::KeptRange("logs/other", 10))).value().events.size() == 1);
}

TEST_CASE("a folder of the first version has its queue file brought up to date, with what waits in it") {
  TemporaryFolder folder;
  {
    Caller caller(folder);
    caller.append(event_for("resize"));
    REQUIRE(run(caller.context, caller.store->keep(letter_for("resize", ""))).has_value());
  }
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open((folder / "state/queue.sqlite").c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle,
                       "DROP TABLE kept; DROP INDEX dead_letters_of_function; DROP INDEX dead_letters_of_source;"
                       "CREATE INDEX dead_letters_of ON dead_letters (function, source); PRAGMA user_version=1",
                       nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(handle);
  Caller caller(folder);
  CHECK(caller.waiting().size() == 1);
  DeadLetterFilter which;
  which.function = "resize";
  CHECK(caller.piece(which, 10).size() == 1);
  store::StoredBatch batch;
  store::KeptEvent kept;
  kept.log = "logs/app";
  kept.at = kNow;
  kept.event = "x";
  batch.kept.push_back(kept);
  CHECK(run(caller.context, caller.store->append(batch)).has_value());
}
