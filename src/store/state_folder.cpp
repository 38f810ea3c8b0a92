#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/database.h"
#include "store/store.h"
#include "store/write_behind.h"

namespace weir::store {
namespace {

constexpr std::string_view kCheckpointSchema =
    "CREATE TABLE checkpoints (source TEXT NOT NULL, shard TEXT NOT NULL, upto TEXT NOT NULL, saved_at_ms INTEGER NOT "
    "NULL,"
    " PRIMARY KEY (source, shard)) WITHOUT ROWID";
constexpr std::string_view kDeadLetterSchema =
    "CREATE TABLE dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, shard TEXT NOT NULL,"
    " function TEXT NOT NULL, record TEXT NOT NULL, payload TEXT NOT NULL, at_ms INTEGER NOT NULL)";

Error system_error(const std::string& path, int number) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  const ErrorCode code = denied             ? ErrorCode::kStoreReadOnly
                         : number == ENOSPC ? ErrorCode::kStoreFull
                                            : ErrorCode::kStoreFailed;
  return Error(code, path + ": " + std::strerror(number));
}

/// The lock of a state folder: an open file with an exclusive flock, which ends with the process, however it ends.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder) {
    const std::string path = folder + "/lock";
    FolderLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (lock.descriptor_ < 0) return system_error(path, errno);
    if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return system_error(path, errno);
      std::array<char, 32> holder{};
      const auto length = ::pread(lock.descriptor_, holder.data(), holder.size() - 1, 0);
      const std::string who =
          length > 0 ? " (process " + std::string(holder.data(), static_cast<std::size_t>(length)) + ")" : "";
      return Error(ErrorCode::kStoreLocked, folder + ": another weir" + who + " uses this state folder");
    }
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(lock.descriptor_, 0) != 0 || ::pwrite(lock.descriptor_, pid.data(), pid.size(), 0) < 0) {
      return system_error(path, errno);
    }
    return lock;
  }

  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

Result<void> save_checkpoint(Database& database, const ShardId& shard, const Position& upto) {
  auto statement = Statement::prepare(
      database,
      "INSERT INTO checkpoints (source, shard, upto, saved_at_ms) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (source, shard) DO UPDATE SET upto = excluded.upto, saved_at_ms = excluded.saved_at_ms");
  if (!statement) return std::move(statement.error());
  statement->bind(shard.source).bind(shard.name).bind(upto.text()).bind(epoch_milliseconds(SystemClock().now().wall));
  if (auto done = statement->step(); !done) return std::move(done.error());
  return {};
}

Result<Position> read_position(const std::string& folder, const std::string& digits) {
  if (auto position = Position::parse(digits)) return *position;
  return Error(ErrorCode::kStoreCorrupt, folder + "/checkpoints.sqlite: a checkpoint is not a position");
}

}  // namespace

struct StateFolder::Impl {
  std::string folder;
  FolderLock lock;
  WriteBehind checkpoints;
  WriteBehind dead_letters;
};

Result<std::unique_ptr<StateFolder>> StateFolder::open(const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return system_error(folder, failed.value());
  auto lock = FolderLock::take(folder);
  if (!lock) return std::move(lock.error());
  auto checkpoints = Database::open(folder + "/checkpoints.sqlite", Database::Synchronous::kNormal, kCheckpointSchema);
  if (!checkpoints) return std::move(checkpoints.error());
  auto dead_letters = Database::open(folder + "/deadletters.sqlite", Database::Synchronous::kFull, kDeadLetterSchema);
  if (!dead_letters) return std::move(dead_letters.error());
  std::unique_ptr<Impl> impl(
      new Impl{folder, std::move(*lock), WriteBehind(std::move(*checkpoints)), WriteBehind(std::move(*dead_letters))});
  return std::unique_ptr<StateFolder>(new StateFolder(std::move(impl)));
}

StateFolder::StateFolder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateFolder::~StateFolder() = default;

const std::string& StateFolder::folder() const {
  return impl_->folder;
}

net::awaitable<Result<std::optional<Position>>> StateFolder::load(ShardId shard) {
  std::optional<Position> found;
  auto loaded = co_await impl_->checkpoints.perform([&](Database& database) -> Result<void> {
    auto statement = Statement::prepare(database, "SELECT upto FROM checkpoints WHERE source = ? AND shard = ?");
    if (!statement) return std::move(statement.error());
    auto row = statement->bind(shard.source).bind(shard.name).step();
    if (!row) return std::move(row.error());
    if (!*row) return {};
    auto position = read_position(impl_->folder, statement->text(0));
    if (!position) return std::move(position.error());
    found = std::move(*position);
    return {};
  });
  if (!loaded) co_return std::move(loaded.error()).during("loading the checkpoint of " + shard.text());
  co_return found;
}

net::awaitable<Result<void>> StateFolder::save(ShardId shard, Position upto) {
  auto saved =
      co_await impl_->checkpoints.perform([&](Database& database) { return save_checkpoint(database, shard, upto); });
  if (!saved) co_return std::move(saved.error()).during("saving the checkpoint of " + shard.text());
  co_return saved;
}

net::awaitable<Result<void>> StateFolder::keep(DeadLetter letter) {
  auto kept = co_await impl_->dead_letters.perform([&](Database& database) -> Result<void> {
    auto statement = Statement::prepare(
        database,
        "INSERT INTO dead_letters (source, shard, function, record, payload, at_ms) VALUES (?, ?, ?, ?, ?, ?)");
    if (!statement) return std::move(statement.error());
    statement->bind(letter.source).bind(letter.shard).bind(letter.function).bind(letter.record).bind(letter.payload);
    if (auto done = statement->bind(epoch_milliseconds(letter.at)).step(); !done) return std::move(done.error());
    return {};
  });
  if (!kept) co_return std::move(kept.error()).during("keeping records of " + letter.source + "/" + letter.shard);
  co_return kept;
}

net::awaitable<Result<std::vector<WaitingEvent>>> StateFolder::redrive(DeadLetterFilter, WallTime) {
  co_return Error(ErrorCode::kStoreFailed, "not yet");
}

net::awaitable<Result<std::vector<DeadLetter>>> StateFolder::list(DeadLetterFilter, std::size_t, bool) {
  co_return Error(ErrorCode::kStoreFailed, "not yet");
}

Result<std::vector<StoredCheckpoint>> StateFolder::list_checkpoints() {
  std::vector<StoredCheckpoint> all;
  auto listed = impl_->checkpoints.perform_and_wait([&](Database& database) -> Result<void> {
    auto statement =
        Statement::prepare(database, "SELECT source, shard, upto, saved_at_ms FROM checkpoints ORDER BY source, shard");
    if (!statement) return std::move(statement.error());
    for (;;) {
      auto row = statement->step();
      if (!row) return std::move(row.error());
      if (!*row) return {};
      auto position = read_position(impl_->folder, statement->text(2));
      if (!position) return std::move(position.error());
      all.push_back({{statement->text(0), statement->text(1)},
                     std::move(*position),
                     from_epoch_milliseconds(statement->integer(3))});
    }
  });
  if (!listed) return std::move(listed.error());
  return all;
}

Result<void> StateFolder::set_checkpoint(const ShardId& shard, const Position& upto) {
  return impl_->checkpoints.perform_and_wait(
      [&](Database& database) { return save_checkpoint(database, shard, upto); });
}

Result<int> StateFolder::reset_checkpoints(const std::string& source, const std::string& shard) {
  int forgotten = 0;
  auto done = impl_->checkpoints.perform_and_wait([&](Database& database) -> Result<void> {
    auto statement = Statement::prepare(
        database, "DELETE FROM checkpoints WHERE source = ?1 AND (?2 = '' OR shard = ?2) RETURNING 1");
    if (!statement) return std::move(statement.error());
    statement->bind(source).bind(shard);
    for (;;) {
      auto row = statement->step();
      if (!row) return std::move(row.error());
      if (!*row) return {};
      ++forgotten;
    }
  });
  if (!done) return std::move(done.error());
  return forgotten;
}

Result<std::int64_t> StateFolder::count_dead_letters() {
  std::int64_t count = 0;
  auto done = impl_->dead_letters.perform_and_wait([&](Database& database) -> Result<void> {
    auto statement = Statement::prepare(database, "SELECT count(*) FROM dead_letters");
    if (!statement) return std::move(statement.error());
    if (auto row = statement->step(); !row) return std::move(row.error());
    count = statement->integer(0);
    return {};
  });
  if (!done) return std::move(done.error());
  return count;
}

}  // namespace weir::store
