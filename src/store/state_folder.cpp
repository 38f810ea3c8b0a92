#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/base/random.h"

#include "store/database.h"
#include "store/database_thread.h"
#include "store/files.h"
#include "store/former_dead_letters.h"
#include "store/queue_tables.h"
#include "store/store.h"

namespace weir::store {
namespace {

constexpr std::string_view kCheckpointSchema =
    "CREATE TABLE checkpoints (source TEXT NOT NULL, shard TEXT NOT NULL, upto TEXT NOT NULL, saved_at_ms INTEGER NOT "
    "NULL,"
    " PRIMARY KEY (source, shard)) WITHOUT ROWID";

/// Which stream a source's checkpoints are positions of. Came later than the rest: version 1 without it is read, too.
constexpr std::string_view kStreams =
    "CREATE TABLE IF NOT EXISTS streams (source TEXT NOT NULL PRIMARY KEY, stream TEXT NOT NULL) WITHOUT ROWID";

constexpr std::size_t kPiece = 4096;  ///< events of each_waiting()
constexpr std::size_t kForgetAtOnce = 1000;
constexpr std::size_t kLettersAtOnce = 256;  ///< dead letters of one transaction: some milliseconds
constexpr std::size_t kRedrivenBytesAtOnce = 4U << 20U;
constexpr std::size_t kListedBytesAtOnce = 1U << 20U;

/// The lock of a state folder: an open file with an exclusive flock, which ends with the process, however it ends. A
/// process that was killed just as it began another leaves the lock to that one for a moment, which is waited for.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder) {
    const std::string path = folder + "/lock";
    FolderLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (lock.descriptor_ < 0) return system_error(path, errno);
    for (auto patience = kLockPatience; ::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0; patience -= kLockPause) {
      if (errno != EWOULDBLOCK) return system_error(path, errno);
      const std::string holder = lock.holder();
      if (patience <= kLockPause || is_alive(holder)) {
        const std::string who = holder.empty() ? "" : " (process " + holder + ")";
        return Error(ErrorCode::kStoreLocked, folder + ": another weir" + who + " uses this state folder");
      }
      std::this_thread::sleep_for(kLockPause);
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
  static constexpr auto kLockPatience = std::chrono::milliseconds(2000);
  static constexpr auto kLockPause = std::chrono::milliseconds(10);

  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}

  /// The process id in the file, or "".
  std::string holder() const {
    std::array<char, 32> text{};
    const auto length = ::pread(descriptor_, text.data(), text.size() - 1, 0);
    return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
  }
  static bool is_alive(const std::string& process) {
    pid_t id = 0;
    const auto [end, error] = std::from_chars(process.data(), process.data() + process.size(), id);
    return error != std::errc() || id <= 0 || ::kill(id, 0) == 0 || errno != ESRCH;
  }

  int descriptor_;
};

/// The column `upto` holds a Resume's text. Earlier versions wrote positions there, which read as Resume::after().
Result<void> save_checkpoint(Database& database, const ShardId& shard, const Resume& resume) {
  auto statement = Statement::prepare(
      database,
      "INSERT INTO checkpoints (source, shard, upto, saved_at_ms) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (source, shard) DO UPDATE SET upto = excluded.upto, saved_at_ms = excluded.saved_at_ms");
  if (!statement) return std::move(statement.error());
  const std::string text = resume.text();
  statement->bind(shard.source).bind(shard.name).bind(text).bind(epoch_milliseconds(SystemClock().now().wall));
  if (auto done = statement->step(); !done) return std::move(done.error());
  return {};
}

Result<void> save_stream(Database& database, const std::string& source, const std::string& stream) {
  auto statement = Statement::prepare(database,
                                      "INSERT INTO streams (source, stream) VALUES (?, ?) "
                                      "ON CONFLICT (source) DO UPDATE SET stream = excluded.stream");
  if (!statement) return std::move(statement.error());
  statement->bind(source).bind(stream);
  if (auto done = statement->step(); !done) return std::move(done.error());
  return {};
}

/// "" when it is not known.
Result<std::string> load_stream(Database& database, const std::string& source) {
  auto statement = Statement::prepare(database, "SELECT stream FROM streams WHERE source = ?");
  if (!statement) return std::move(statement.error());
  statement->bind(source);
  auto row = statement->step();
  if (!row) return std::move(row.error());
  return *row ? statement->text(0) : std::string();
}

/// How many checkpoints that were; all of the source, and its stream, when `shard` is "".
Result<int> forget_checkpoints(Database& database, const std::string& source, const std::string& shard) {
  if (shard.empty()) {
    auto statement = Statement::prepare(database, "DELETE FROM streams WHERE source = ?");
    if (!statement) return std::move(statement.error());
    statement->bind(source);
    if (auto done = statement->step(); !done) return std::move(done.error());
  }
  auto statement =
      Statement::prepare(database, "DELETE FROM checkpoints WHERE source = ?1 AND (?2 = '' OR shard = ?2)");
  if (!statement) return std::move(statement.error());
  statement->bind(source).bind(shard);
  if (auto done = statement->step(); !done) return std::move(done.error());
  return database.changes();
}

Result<Resume> read_resume(const std::string& folder, const ShardId& shard, const std::string& text) {
  if (auto resume = Resume::parse(text)) return std::move(*resume);
  return Error(ErrorCode::kStoreCorrupt,
               folder + "/checkpoints.sqlite: the checkpoint of " + shard.text() + " is no position");
}

/// A job that keeps what `read` answers in `into`, which outlives the job.
template <typename T, typename Read>
DatabaseThread::Job fetch(T& into, Read read) {
  return [&into, read](Database& database) -> Result<void> {
    Result<T> found = read(database);
    if (!found) return std::move(found.error());
    into = std::move(*found);
    return {};
  };
}

/// The job of a redrive: one piece, with request ids from `random`.
Result<RedrivenPiece> redrive_piece(Database& database, const DeadLetterFilter& which, WallTime now, Random& random) {
  auto ids = queue::letter_ids(database, which, kLettersAtOnce);
  if (!ids) return std::move(ids.error());
  RedrivenPiece piece;
  piece.more = ids->size() == kLettersAtOnce;
  std::size_t bytes = 0;
  for (const std::uint64_t id : *ids) {
    if (bytes >= kRedrivenBytesAtOnce) {
      piece.more = true;
      break;
    }
    auto redriven = queue::redrive_letter(database, id, random.uuid(), now);
    if (!redriven) return std::move(redriven.error());
    piece.last = id;
    if (!*redriven) continue;
    bytes += (*redriven)->bytes;
    piece.events.push_back(std::move((*redriven)->event));
  }
  return piece;
}

}  // namespace

struct StateFolder::Impl {
  std::string folder;
  FolderLock lock;
  DatabaseThread checkpoints;
  DatabaseThread queue;
  DatabaseThread queue_reads;
};

namespace {

/// Events and functions' variables hold what is nobody else's business: the file is its owner's only, also one of an
/// earlier weir. What SQLite puts beside it is as it is.
Result<void> keep_private(const std::string& path) {
  for (const char* beside : {"", "-wal", "-shm"}) {
    const std::string file = path + beside;
    const int flags = O_RDWR | O_CLOEXEC | (*beside == '\0' ? O_CREAT : 0);
    const int descriptor = ::open(file.c_str(), flags, S_IRUSR | S_IWUSR);
    if (descriptor < 0) continue;  // SQLite says it better, or there is none
    struct stat about {};
    const bool ours = ::fstat(descriptor, &about) == 0 && about.st_uid == ::geteuid();
    const bool refused =
        ours && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0 && ::fchmod(descriptor, about.st_mode & S_IRWXU) != 0;
    const int why = errno;
    ::close(descriptor);
    if (refused) return system_error(file, why);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<StateFolder>> StateFolder::open(const std::string& folder) {
  std::error_code failed;
  // One that is there already may have others in it: its own rights are its owner's business.
  const bool is_new = std::filesystem::create_directories(folder, failed);
  if (!failed && is_new) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  if (failed) return system_error(folder, failed.value());
  auto lock = FolderLock::take(folder);
  if (!lock) return std::move(lock.error());
  for (const char* file : {"/checkpoints.sqlite", "/queue.sqlite"}) {
    if (auto kept = keep_private(folder + file); !kept) return std::move(kept.error());
  }
  auto checkpoints = Database::open(folder + "/checkpoints.sqlite", Database::Synchronous::kNormal, kCheckpointSchema);
  if (!checkpoints) return std::move(checkpoints.error());
  if (auto made = checkpoints->execute(kStreams); !made) return std::move(made.error());
  auto queue = Database::open(folder + "/queue.sqlite", Database::Synchronous::kFull, queue::kSchema, queue::kUpgrades);
  if (!queue) return std::move(queue.error());
  if (auto taken = take_over_dead_letters(folder, *queue); !taken) return std::move(taken.error());
  auto queue_reads = Database::open_to_read(folder + "/queue.sqlite");
  if (!queue_reads) return std::move(queue_reads.error());
  std::unique_ptr<Impl> impl(new Impl{folder, std::move(*lock), DatabaseThread(std::move(*checkpoints)),
                                      DatabaseThread(std::move(*queue)), DatabaseThread(std::move(*queue_reads))});
  return std::unique_ptr<StateFolder>(new StateFolder(std::move(impl)));
}

StateFolder::StateFolder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateFolder::~StateFolder() = default;

const std::string& StateFolder::folder() const {
  return impl_->folder;
}

net::awaitable<Result<SourceCheckpoints>> StateFolder::load_all(std::string source) {
  SourceCheckpoints found;
  auto loaded = co_await impl_->checkpoints.perform([&](Database& database) -> Result<void> {
    found = SourceCheckpoints();
    auto stream = load_stream(database, source);
    if (!stream) return std::move(stream.error());
    found.stream = std::move(*stream);
    auto statement = Statement::prepare(database, "SELECT shard, upto FROM checkpoints WHERE source = ?");
    if (!statement) return std::move(statement.error());
    statement->bind(source);
    for (;;) {
      auto row = statement->step();
      if (!row) return std::move(row.error());
      if (!*row) return {};
      const ShardId shard{source, statement->text(0)};
      auto resume = read_resume(impl_->folder, shard, statement->text(1));
      if (!resume) return std::move(resume.error());
      found.shards.emplace(shard.name, std::move(*resume));
    }
  });
  if (!loaded) co_return std::move(loaded.error()).during("loading the checkpoints of " + source);
  co_return found;
}

net::awaitable<Result<void>> StateFolder::save(ShardId shard, Resume resume) {
  auto saved =
      co_await impl_->checkpoints.perform([&](Database& database) { return save_checkpoint(database, shard, resume); });
  if (!saved) co_return std::move(saved.error()).during("saving the checkpoint of " + shard.text());
  co_return saved;
}

net::awaitable<Result<void>> StateFolder::save_starts(std::string source, SourceStarts starts) {
  auto saved = co_await impl_->checkpoints.perform(
      [&](Database& database) -> Result<void> {
        if (starts.forget) {
          if (auto done = forget_checkpoints(database, source, ""); !done) return std::move(done.error());
        }
        for (const std::string& shard : starts.gone) {
          if (auto done = forget_checkpoints(database, source, shard); !done) return std::move(done.error());
        }
        if (!starts.stream.empty()) {
          if (auto done = save_stream(database, source, starts.stream); !done) return done;
        }
        for (const auto& [shard, resume] : starts.shards) {
          if (auto done = save_checkpoint(database, {source, shard}, resume); !done) return done;
        }
        return {};
      },
      Urgency::kOnDisk);
  if (!saved) co_return std::move(saved.error()).during("saving where the shards of " + source + " begin");
  co_return saved;
}

net::awaitable<Result<std::vector<StoredEvent>>> StateFolder::append(StoredBatch batch) {
  auto appended = co_await impl_->queue.perform([&](Database& database) -> Result<void> {
    if (auto inserted = queue::insert_events(database, batch.events); !inserted) return inserted;
    for (const KeptEvent& event : batch.kept) {
      if (auto inserted = queue::insert_kept(database, event); !inserted) return inserted;
    }
    for (const StoredNote& note : batch.notes) {
      if (auto written = queue::write_note(database, note); !written) return written;
    }
    return {};
  });
  if (!appended) co_return std::move(appended.error()).during("keeping events");
  co_return std::move(batch.events);
}

net::awaitable<Result<KeptPage>> StateFolder::kept(KeptRange range) {
  KeptPage page;
  auto read = co_await impl_->queue_reads.perform(
      fetch(page, [&range](Database& database) { return queue::kept_events(database, range); }));
  if (!read) co_return std::move(read.error()).during("reading what is kept in " + range.log);
  co_return page;
}

net::awaitable<Result<void>> StateFolder::forget(std::string log, WallTime before) {
  for (int deleted = 1; deleted > 0;) {
    auto forgotten = co_await impl_->queue.perform([&](Database& database) -> Result<void> {
      auto done = queue::delete_kept(database, log, before, kForgetAtOnce);
      if (!done) return std::move(done.error());
      deleted = *done;
      return {};
    });
    if (!forgotten) co_return std::move(forgotten.error()).during("forgetting what is old in " + log);
  }
  co_return Result<void>();
}

net::awaitable<Result<StoredEvent>> StateFolder::load(std::uint64_t id) {
  StoredEvent event;
  auto loaded =
      co_await impl_->queue_reads.perform(fetch(event, [id](Database& db) { return queue::load_event(db, id); }));
  if (!loaded) co_return std::move(loaded.error()).during("loading event " + std::to_string(id));
  co_return event;
}

net::awaitable<Result<void>> StateFolder::remember_retry(std::uint64_t id, int attempts, WallTime due) {
  auto remembered = co_await impl_->queue.perform(
      [=](Database& database) { return queue::write_retry(database, id, attempts, due); });
  if (!remembered) co_return std::move(remembered.error()).during("remembering a retry of event " + std::to_string(id));
  co_return remembered;
}

net::awaitable<Result<void>> StateFolder::settle(std::uint64_t id) {
  auto settled = co_await impl_->queue.perform(
      [id](Database& database) -> Result<void> {
        auto deleted = queue::delete_event(database, id);
        if (!deleted) return std::move(deleted.error());
        return {};
      },
      Urgency::kLazy);
  if (!settled) co_return std::move(settled.error()).during("forgetting event " + std::to_string(id));
  co_return settled;
}

net::awaitable<Result<void>> StateFolder::bury(std::uint64_t id, DeadLetter letter) {
  auto buried = co_await impl_->queue.perform([&](Database& database) -> Result<void> {
    auto deleted = queue::delete_event(database, id);
    if (!deleted) return std::move(deleted.error());
    return *deleted ? queue::insert_letter(database, letter) : Result<void>();
  });
  if (!buried) co_return std::move(buried.error()).during("keeping event " + std::to_string(id) + " as a dead letter");
  co_return buried;
}

net::awaitable<Result<void>> StateFolder::each_waiting(std::function<void(std::vector<WaitingEvent>)> take) {
  std::uint64_t last = 0;
  Result<void> read = co_await impl_->queue_reads.perform(fetch(last, queue::newest_event));
  // A job each, and so a transaction each: a long one would keep the log from being emptied.
  for (std::uint64_t after = 0; read && after < last;) {
    std::vector<WaitingEvent> piece;
    read = co_await impl_->queue_reads.perform(
        fetch(piece, [=](Database& db) { return queue::waiting_events(db, after, last, kPiece); }));
    if (piece.empty()) break;
    after = piece.back().id;
    take(std::move(piece));
  }
  if (!read) co_return std::move(read.error()).during("reading the events that wait");
  co_return read;
}

net::awaitable<Result<void>> StateFolder::remember(std::vector<StoredNote> notes) {
  auto remembered = co_await impl_->queue.perform([&](Database& database) -> Result<void> {
    for (const StoredNote& note : notes) {
      if (auto written = queue::write_note(database, note); !written) return written;
    }
    return {};
  });
  if (!remembered) co_return std::move(remembered.error()).during("remembering notes");
  co_return remembered;
}

net::awaitable<Result<std::map<std::string, std::string>>> StateFolder::notes(std::string source) {
  std::map<std::string, std::string> found;
  auto read =
      co_await impl_->queue_reads.perform(fetch(found, [&](Database& db) { return queue::read_notes(db, source); }));
  if (!read) co_return std::move(read.error()).during("reading the notes of " + source);
  co_return found;
}

net::awaitable<Result<void>> StateFolder::keep(DeadLetter letter) {
  auto kept = co_await impl_->queue.perform([&](Database& database) { return queue::insert_letter(database, letter); });
  if (!kept) co_return std::move(kept.error()).during("keeping records of " + letter.source + "/" + letter.shard);
  co_return kept;
}

net::awaitable<Result<RedrivenPiece>> StateFolder::redrive(DeadLetterFilter which, WallTime now) {
  RedrivenPiece piece;
  Random random(seed_from_system());
  auto redriven = co_await impl_->queue.perform(
      fetch(piece, [&](Database& database) { return redrive_piece(database, which, now, random); }));
  if (!redriven) co_return std::move(redriven.error()).during("redriving dead letters");
  co_return piece;
}

net::awaitable<Result<std::vector<DeadLetter>>> StateFolder::list(DeadLetterFilter which, std::size_t limit,
                                                                  bool whole) {
  std::vector<DeadLetter> letters;
  auto listed = co_await impl_->queue_reads.perform(
      fetch(letters, [&](Database& db) { return queue::list_letters(db, which, limit, whole); }));
  if (!listed) co_return std::move(listed.error()).during("listing dead letters");
  co_return letters;
}

net::awaitable<Result<std::vector<DeadLetter>>> StateFolder::list_piece(DeadLetterFilter which, std::size_t limit) {
  std::vector<DeadLetter> letters;
  auto listed = co_await impl_->queue_reads.perform(fetch(letters, [&](Database& db) {
    return queue::list_letter_piece(db, which, std::min(limit, kLettersAtOnce), kListedBytesAtOnce);
  }));
  if (!listed) co_return std::move(listed.error()).during("listing dead letters");
  co_return letters;
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
      ShardId shard{statement->text(0), statement->text(1)};
      auto resume = read_resume(impl_->folder, shard, statement->text(2));
      if (!resume) return std::move(resume.error());
      all.push_back({std::move(shard), std::move(*resume), from_epoch_milliseconds(statement->integer(3))});
    }
  });
  if (!listed) return std::move(listed.error());
  return all;
}

Result<void> StateFolder::set_checkpoint(const ShardId& shard, const Resume& resume) {
  return impl_->checkpoints.perform_and_wait(
      [&](Database& database) { return save_checkpoint(database, shard, resume); });
}

Result<int> StateFolder::reset_checkpoints(const std::string& source, const std::string& shard) {
  int forgotten = 0;
  auto done = impl_->checkpoints.perform_and_wait(
      fetch(forgotten, [&](Database& database) { return forget_checkpoints(database, source, shard); }));
  if (!done) return std::move(done.error());
  return forgotten;
}

Result<std::int64_t> StateFolder::count_dead_letters() {
  std::int64_t count = 0;
  auto done = impl_->queue_reads.perform_and_wait(fetch(count, queue::count_letters));
  if (!done) return std::move(done.error());
  return count;
}

Result<std::vector<DeadLetter>> StateFolder::list_dead_letters(const DeadLetterFilter& which, std::size_t limit,
                                                               bool whole) {
  std::vector<DeadLetter> letters;
  auto listed = impl_->queue_reads.perform_and_wait(
      fetch(letters, [&](Database& db) { return queue::list_letters(db, which, limit, whole); }));
  if (!listed) return std::move(listed.error());
  return letters;
}

Result<std::vector<DeadLetter>> StateFolder::list_dead_letter_piece(const DeadLetterFilter& which, std::size_t limit) {
  std::vector<DeadLetter> letters;
  auto listed = impl_->queue_reads.perform_and_wait(fetch(letters, [&](Database& db) {
    return queue::list_letter_piece(db, which, std::min(limit, kLettersAtOnce), kListedBytesAtOnce);
  }));
  if (!listed) return std::move(listed.error());
  return letters;
}

Result<std::size_t> StateFolder::redrive_dead_letters(const DeadLetterFilter& which, WallTime now) {
  Random random(seed_from_system());
  DeadLetterFilter rest = which;
  RedrivenPiece piece;
  std::size_t count = 0;
  do {
    auto redriven = impl_->queue.perform_and_wait(
        fetch(piece, [&](Database& database) { return redrive_piece(database, rest, now, random); }));
    if (!redriven && count == 0) return std::move(redriven.error()).during("redriving dead letters");
    if (!redriven) break;
    count += piece.events.size();
    rest.after = piece.last;
  } while (piece.more);
  return count;
}

}  // namespace weir::store
