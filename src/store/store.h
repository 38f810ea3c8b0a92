#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/record.h"

#include "store/event_store.h"

namespace weir::store {

namespace net = boost::asio;

/// How far a shard is settled, as it is stored.
struct StoredCheckpoint {
  ShardId shard;
  Position upto;  ///< the last settled record
  WallTime saved_at;
};

/// Where each shard goes on after a restart. A lost checkpoint repeats records, it never loses one.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;
  virtual net::awaitable<Result<std::optional<Position>>> load(ShardId shard) = 0;
  /// Kept when it returns. A position behind the stored one is stored all the same: who moves a checkpoint back means
  /// it.
  virtual net::awaitable<Result<void>> save(ShardId shard, Position upto) = 0;
};

/// The embedded store: a state folder with two SQLite files, `checkpoints.sqlite` (WAL, synchronous=NORMAL) and
/// `deadletters.sqlite` (WAL, synchronous=FULL). One process at a time holds the folder. Writes happen on a thread of
/// the store's own: whoever waits while one transaction runs shares the next one.
class StateFolder final : public CheckpointStore, public DeadLetters {
 public:
  /// Makes the folder when it is not there and locks it. Errors: store.locked (with the holder's process id),
  /// store.read_only, store.corrupt, store.version, store.full, store.failed; each names the file.
  static Result<std::unique_ptr<StateFolder>> open(const std::string& folder);
  ~StateFolder() override;

  net::awaitable<Result<std::optional<Position>>> load(ShardId shard) override;
  net::awaitable<Result<void>> save(ShardId shard, Position upto) override;
  net::awaitable<Result<void>> keep(DeadLetter letter) override;
  net::awaitable<Result<std::vector<WaitingEvent>>> redrive(DeadLetterFilter which, WallTime now) override;
  net::awaitable<Result<std::vector<DeadLetter>>> list(DeadLetterFilter which, std::size_t limit, bool whole) override;

  /// For commands and status; these block.
  Result<std::vector<StoredCheckpoint>> list_checkpoints();
  Result<void> set_checkpoint(const ShardId& shard, const Position& upto);
  /// Returns how many were forgotten. An empty shard name means every shard of the source.
  Result<int> reset_checkpoints(const std::string& source, const std::string& shard);
  Result<std::int64_t> count_dead_letters();

  const std::string& folder() const;

 private:
  struct Impl;
  explicit StateFolder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::store
