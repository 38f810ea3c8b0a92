#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/record.h"
#include "weir/event/resume.h"

#include "store/event_store.h"

namespace weir::store {

namespace net = boost::asio;

/// How far a shard is settled, as it is stored.
struct StoredCheckpoint {
  ShardId shard;
  Resume resume;  ///< behind the last settled record, or wherever `weir checkpoint set` put it
  WallTime saved_at;
};

/// What is stored of a source.
struct SourceCheckpoints {
  SourceCheckpoints() = default;

  /// The stream whose shards these are (PollSource::stream_identity()); "" when nobody said.
  std::string stream;
  std::map<std::string, Resume> shards;  ///< of every shard that has one, by its name
};

/// Where a source begins.
struct SourceStarts {
  SourceStarts() = default;

  std::string stream;                    ///< the stream from now on; "" leaves it as it is
  bool forget = false;                   ///< what is stored of the source, which is another stream's
  std::vector<std::string> gone;         ///< shards that there are no more, whose checkpoints are forgotten
  std::map<std::string, Resume> shards;  ///< where shards begin, by their names
};

/// Where each shard goes on after a restart. A lost checkpoint repeats records, it never loses one.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;
  virtual net::awaitable<Result<SourceCheckpoints>> load_all(std::string source) = 0;
  /// Kept when it returns. A position behind the stored one is stored all the same: who moves a checkpoint back means
  /// it.
  virtual net::awaitable<Result<void>> save(ShardId shard, Resume resume) = 0;
  /// All of it is kept, on disk, when it returns, or nothing. Losing a start would lose records: a shard without one
  /// begins elsewhere.
  virtual net::awaitable<Result<void>> save_starts(std::string source, SourceStarts starts) = 0;
};

/// The embedded store: a state folder with two SQLite files. `checkpoints.sqlite` is written without an fsync for each
/// transaction, but for save_starts(): a lost checkpoint repeats records. `queue.sqlite` (events that wait, notes of
/// sources, dead letters) has everything on disk when it returns, but for settle(): that is there after the process was
/// killed, and after a power loss the event may be there again. One process at a time holds the folder. Writes happen
/// on threads of the store's own: whoever waits while one transaction runs shares the next one. Reads of the queue's
/// file have a third thread and wait for no write. Nothing is called off: a call under way when its awaiter is
/// cancelled still ends.
class StateFolder final : public CheckpointStore, public EventStore, public DeadLetters {
 public:
  /// Makes the folder when it is not there and locks it; takes over a `deadletters.sqlite` of an earlier version, which
  /// is then gone. Errors: store.locked (with the holder's process id), store.read_only, store.corrupt, store.version,
  /// store.full, store.failed; each names the file.
  static Result<std::unique_ptr<StateFolder>> open(const std::string& folder);
  ~StateFolder() override;

  net::awaitable<Result<SourceCheckpoints>> load_all(std::string source) override;
  net::awaitable<Result<void>> save(ShardId shard, Resume resume) override;
  net::awaitable<Result<void>> save_starts(std::string source, SourceStarts starts) override;

  net::awaitable<Result<std::vector<StoredEvent>>> append(StoredBatch batch) override;
  net::awaitable<Result<StoredEvent>> load(std::uint64_t id) override;
  /// store.failed when there is no such event.
  net::awaitable<Result<void>> remember_retry(std::uint64_t id, int attempts, WallTime due) override;
  /// Waits for the next write of somebody else, at most 20 ms. No error when there is no such event.
  net::awaitable<Result<void>> settle(std::uint64_t id) override;
  /// Keeps nothing when there is no such event: it was buried before, by a call whose answer was lost in a failure.
  net::awaitable<Result<void>> bury(std::uint64_t id, DeadLetter letter) override;
  /// Events that are appended after the first piece was read are left out.
  net::awaitable<Result<void>> each_waiting(std::function<void(std::vector<WaitingEvent>)> take) override;
  net::awaitable<Result<KeptPage>> kept(KeptRange range) override;
  /// In transactions of some hundred, so that appends do not wait long.
  net::awaitable<Result<void>> forget(std::string log, WallTime before) override;
  net::awaitable<Result<void>> remember(std::vector<StoredNote> notes) override;
  net::awaitable<Result<std::map<std::string, std::string>>> notes(std::string source) override;

  net::awaitable<Result<void>> keep(DeadLetter letter) override;
  /// At most 256 and about 4 MB, so that appends do not wait long.
  net::awaitable<Result<RedrivenPiece>> redrive(DeadLetterFilter which, WallTime now) override;
  net::awaitable<Result<std::vector<DeadLetter>>> list(DeadLetterFilter which, std::size_t limit, bool whole) override;
  /// At most 256 and about 1 MB, so that attempts do not wait long for their payloads.
  net::awaitable<Result<std::vector<DeadLetter>>> list_piece(DeadLetterFilter which, std::size_t limit) override;

  /// For commands and status; these block.
  Result<std::vector<StoredCheckpoint>> list_checkpoints();
  Result<void> set_checkpoint(const ShardId& shard, const Resume& resume);
  /// Returns how many were forgotten. An empty shard name means every shard of the source, and which stream it read.
  Result<int> reset_checkpoints(const std::string& source, const std::string& shard);
  Result<std::int64_t> count_dead_letters();
  Result<std::vector<DeadLetter>> list_dead_letters(const DeadLetterFilter& which, std::size_t limit, bool whole);
  Result<std::vector<DeadLetter>> list_dead_letter_piece(const DeadLetterFilter& which, std::size_t limit);
  /// All that are there when it begins. Returns how many wait again: when a transaction fails, those of the ones before
  /// it; an error only when nothing was redriven.
  Result<std::size_t> redrive_dead_letters(const DeadLetterFilter& which, WallTime now);

  const std::string& folder() const;

 private:
  struct Impl;
  explicit StateFolder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::store
