// A state folder of the version before the queue: dead letters in a file of their own.
#include <filesystem>

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "fault_vfs.h"
#include "store/store.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::store;
using weir::test::FaultVfs;
using weir::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

class Handle {
 public:
  explicit Handle(const std::string& path) {
    if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(handle_));
  }
  ~Handle() { sqlite3_close(handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  void run(const std::string& sql) {
    if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(handle_));
  }

 private:
  sqlite3* handle_ = nullptr;
};

/// Writes the file as that version did: in WAL mode, the rows `first` to `last`.
void write_former(Handle& handle, int first, int last) {
  handle.run(
      "PRAGMA journal_mode=WAL;"
      "CREATE TABLE IF NOT EXISTS dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,"
      " shard TEXT NOT NULL, function TEXT NOT NULL, record TEXT NOT NULL, payload TEXT NOT NULL,"
      " at_ms INTEGER NOT NULL);"
      "PRAGMA application_id=2003134834;PRAGMA user_version=1");
  for (int i = first; i <= last; ++i) {
    handle.run(
        "INSERT INTO dead_letters (source, shard, function, record, payload, at_ms) VALUES ('clicks', '3',"
        " 'audit', '{}', '\"" +
        std::to_string(i) + "\"', 1789200000123)");
  }
}

/// The same as a process leaves it that was killed: nothing is written back from the log.
void write_killed(const std::string& folder, int first, int last) {
  fs::create_directories(folder);
  const std::string file = folder + "/deadletters.sqlite";
  const std::string open = folder + "/open.sqlite";
  Handle handle(open);
  write_former(handle, first, last);
  fs::copy_file(open, file);
  fs::copy_file(open + "-wal", file + "-wal");
  handle.run("PRAGMA journal_mode=DELETE");
  fs::remove(open);
}

/// The payloads, or the error.
std::string letters_of(const std::string& folder) {
  auto store = StateFolder::open(folder);
  if (!store) return store.error().describe();
  std::string all;
  const auto letters = (*store)->list_dead_letters({}, 1000, true);
  for (const DeadLetter& letter : letters.value()) {
    CHECK(letter.source == "clicks");
    CHECK(letter.shard == "3");
    CHECK(letter.function == "audit");
    CHECK(letter.qualifier.empty());
    CHECK(letter.record == "{}");
    CHECK(epoch_milliseconds(letter.at) == 1789200000123);
    all += letter.payload + " ";
  }
  return all;
}

std::vector<std::string> former_files(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("deadletters")) found.push_back(entry.path().filename().string());
  }
  return found;
}

constexpr const char* kThree = R"("1" "2" "3" )";

}  // namespace

TEST_CASE("dead letters of the former version are taken over, and their file is gone") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  SECTION("after it was closed") {
    fs::create_directories(state);
    Handle handle(state + "/deadletters.sqlite");
    write_former(handle, 1, 3);
  }
  SECTION("after it was killed, with everything in its log") {
    write_killed(state, 1, 3);
    REQUIRE(fs::file_size(state + "/deadletters.sqlite-wal") > 0);
  }
  CHECK(letters_of(state) == kThree);
  CHECK(former_files(state).empty());
  CHECK(letters_of(state) == kThree);
}

TEST_CASE("a file that the former version had only begun to make is taken over too") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "state");
  folder.write("state/deadletters.sqlite", "");
  CHECK(letters_of(folder / "state").empty());
  CHECK(former_files(folder / "state").empty());
}

TEST_CASE("a crash while they are taken over loses none and keeps none twice") {
  const auto call = GENERATE(FaultVfs::Call::kWrite, FaultVfs::Call::kSync);
  int n = 0;
  for (bool failed = true; failed;) {
    ++n;
    INFO((call == FaultVfs::Call::kSync ? "nothing is synced from sync " : "nothing is written from write ") << n);
    const TemporaryFolder folder;
    write_killed(folder / "state", 1, 3);
    FaultVfs vfs;
    vfs.fail_from(call, n);
    static_cast<void>(StateFolder::open(folder / "state"));
    failed = vfs.has_failed();
    vfs.heal();
    CHECK(letters_of(folder / "state") == kThree);
    CHECK(former_files(folder / "state").empty());
  }
  CHECK(n > 8);
}

TEST_CASE("a power loss while they are taken over loses none and keeps none twice") {
  int n = 0;
  for (bool dead = true; dead;) {
    ++n;
    INFO("power is lost after sync " << n);
    const TemporaryFolder folder;
    const std::string state = folder / "state";
    write_killed(state, 1, 3);
    FaultVfs vfs;
    vfs.die_after_sync(n);
    static_cast<void>(StateFolder::open(state));
    dead = vfs.has_failed();
    // What SQLite wrote to is as it was synced; that a file was renamed or removed is on the disk.
    vfs.after_power_loss(state, folder / "after", nullptr);
    for (const char* file : {"/deadletters.sqlite", "/deadletters.sqlite-wal", "/deadletters.former"}) {
      if (!fs::exists(state + file))
        fs::remove((folder / "after") + file);
      else if (!fs::exists((folder / "after") + file))
        fs::copy_file(state + file, (folder / "after") + file);
    }
    vfs.heal();
    CHECK(letters_of(folder / "after") == kThree);
    CHECK(former_files(folder / "after").empty());
  }
  CHECK(n > 5);
}

TEST_CASE("letters that a former version wrote after a crash in the middle are taken over as well") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  {
    fs::create_directories(state);
    Handle handle(state + "/deadletters.former");  // set aside, not copied yet
    write_former(handle, 1, 2);
  }
  {
    Handle handle(state + "/deadletters.sqlite");
    write_former(handle, 3, 3);
  }
  CHECK(letters_of(state) == kThree);
  CHECK(former_files(state).empty());
  SECTION("also when the crash came right before what was remembered is forgotten") {
    Handle(state + "/queue.sqlite").run("INSERT INTO taken_over VALUES ('deadletters.former')");
    {
      Handle handle(state + "/deadletters.sqlite");
      write_former(handle, 4, 4);
    }
    CHECK(letters_of(state) == R"("1" "2" "3" "4" )");
  }
  SECTION("and a file that was copied is not copied again") {
    Handle(state + "/queue.sqlite").run("INSERT INTO taken_over VALUES ('deadletters.former')");
    {
      Handle handle(state + "/deadletters.former");
      write_former(handle, 3, 3);
    }
    CHECK(letters_of(state) == kThree);
  }
  CHECK(former_files(state).empty());
}

TEST_CASE("a damaged or foreign file is refused by its name, and left as it is") {
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  fs::create_directories(state);
  const std::string name = GENERATE("/deadletters.sqlite", "/deadletters.former", "/queue.sqlite");
  const std::string file = state + name;
  SECTION("damaged") {
    folder.write("state" + name, std::string(8192, 'x'));
    CHECK_THAT(letters_of(state), Catch::StartsWith("store.corrupt: " + file + ": "));
    CHECK(fs::file_size(file) == 8192);
  }
  SECTION("of another program") {
    Handle(file).run("CREATE TABLE things (x)");
    const auto size = fs::file_size(file);
    CHECK(letters_of(state) == "store.corrupt: " + file + ": is a database of another program");
    CHECK(fs::file_size(file) == size);
    CHECK_FALSE(fs::exists(file + "-wal"));
  }
  SECTION("of a newer weir") {
    Handle(file).run("CREATE TABLE things (x); PRAGMA application_id=2003134834; PRAGMA user_version=4");
    CHECK_THAT(letters_of(state), Catch::StartsWith("store.version: " + file + ": has schema version 4"));
  }
}
