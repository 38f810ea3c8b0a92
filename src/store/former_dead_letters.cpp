#include "store/former_dead_letters.h"

#include <filesystem>
#include <string_view>

#include "store/files.h"

namespace weir::store {
namespace {

// The way of the file, each step on disk before the next:
//   1. `deadletters.sqlite` is closed as a single file (its log is written back), and renamed to `deadletters.former`:
//      whatever an older weir might write in the meantime is then another file.
//   2. One transaction of the queue copies its rows and remembers in `taken_over` that it did.
//   3. The renamed file is removed.
//   4. What was remembered is forgotten.
constexpr std::string_view kFormer = "deadletters.former";

/// What a file has that an older weir had begun to make when it ended.
constexpr std::string_view kFormerSchema =
    "CREATE TABLE dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, shard TEXT NOT NULL,"
    " function TEXT NOT NULL, record TEXT NOT NULL, payload TEXT NOT NULL, at_ms INTEGER NOT NULL)";

Result<bool> exists(const std::string& path) {
  std::error_code failed;
  const bool found = std::filesystem::exists(path, failed);
  if (failed) return system_error(path, failed.value());
  return found;
}

/// Recovers what a crash left in the file's log and writes it back, so that it is one file; refuses one that is not
/// weir's.
Result<void> make_single_file(const std::string& file) {
  auto database = Database::open(file, Database::Synchronous::kFull, kFormerSchema);
  if (!database) return std::move(database.error());
  return database->execute("PRAGMA journal_mode=DELETE");
}

Result<void> set_aside(const std::string& folder, const std::string& from, const std::string& to) {
  if (auto single = make_single_file(from); !single) return single;
  for (const char* beside : {"-wal", "-shm"}) {
    auto found = exists(from + beside);
    if (!found) return std::move(found.error());
    if (*found) return Error(ErrorCode::kStoreFailed, from + beside + ": was left behind; another program reads it");
  }
  std::error_code failed;
  std::filesystem::rename(from, to, failed);
  if (failed) return system_error(from, failed.value());
  return sync_folder(folder);
}

Result<bool> was_copied(Database& queue) {
  auto statement = Statement::prepare(queue, "SELECT 1 FROM taken_over WHERE file = ?");
  if (!statement) return std::move(statement.error());
  return statement->bind(kFormer).step();
}

Result<void> copy(Database& queue, const std::string& file) {
  // Before it is attached, for then its faults would be told in the queue's name.
  if (auto single = make_single_file(file); !single) return single;
  {
    auto attach = Statement::prepare(queue, "ATTACH ? AS former");
    if (!attach) return std::move(attach.error());
    if (auto done = attach->bind(file).step(); !done) return std::move(done.error());
  }
  auto copied = queue.execute(
      "BEGIN IMMEDIATE;"
      "INSERT INTO dead_letters (source, shard, function, qualifier, at_ms, record, payload)"
      " SELECT source, shard, function, '', at_ms, record, payload FROM former.dead_letters ORDER BY id;"
      "INSERT INTO taken_over VALUES ('deadletters.former');"
      "COMMIT");
  if (!copied && !queue.in_autocommit()) static_cast<void>(queue.execute("ROLLBACK"));
  auto detached = queue.execute("DETACH former");
  if (!copied) return std::move(copied.error()).during("taking over " + file);
  return detached;
}

}  // namespace

Result<void> take_over_dead_letters(const std::string& folder, Database& queue) {
  const std::string current = folder + "/deadletters.sqlite";
  const std::string former = folder + "/" + std::string(kFormer);
  // Twice, should a file be there that was set aside before a crash, and one that an older weir began after it.
  for (;;) {
    auto aside = exists(former);
    if (!aside) return std::move(aside.error());
    auto copied = was_copied(queue);
    if (!copied) return std::move(copied.error());
    if (*aside && !*copied) {
      if (auto done = copy(queue, former); !done) return done;
    }
    if (*aside) {
      std::error_code failed;
      std::filesystem::remove(former, failed);
      if (failed) return system_error(former, failed.value());
      if (auto done = sync_folder(folder); !done) return done;
    }
    if (*aside || *copied) {
      if (auto done = queue.execute("DELETE FROM taken_over"); !done) return done;
    }
    auto found = exists(current);
    if (!found) return std::move(found.error());
    if (!*found) return {};
    if (auto done = set_aside(folder, current, former); !done) return done;
  }
}

}  // namespace weir::store
