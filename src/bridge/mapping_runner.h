#pragma once

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "bridge/shard_runner.h"
#include "bridge/source_runner.h"

namespace weir::bridge {

/// What came of the last invocation of a shard, or of all shards of a mapping.
struct LastResult {
  engine::ProcessingResult result{};
  WallTime at{};  ///< the epoch before there was one

  /// Takes the newer one.
  void follow(const LastResult& other) {
    if (other.result != engine::ProcessingResult::kNone && other.at >= at) *this = other;
  }
};

/// What one shard looks like from outside.
struct ShardStatus {
  std::string shard;
  std::optional<Resume> checkpoint;  ///< stored in this life of the shard, or where it began
  Duration iterator_age{0};
  std::size_t unsettled = 0;
  bool in_flight = false;
  std::optional<std::int64_t> backlog;
  LastResult last_result;
  engine::ShardCounters counters;
};

/// One event source mapping, from opening its source to its end: a ShardRunner for each shard that the source opens.
class MappingRunner final : public SourceRunner, public ShardListener {
 public:
  /// Everything outlives the runner. `seed`: of request ids and jitter.
  MappingRunner(ShardDeps deps, std::string name, std::uint64_t seed);
  ~MappingRunner() override;

  /// Until every shard ended, request_stop() was obeyed, or the source failed; then its error. What throws out of a
  /// shard (a broken belief) throws out of here, after everything else of the mapping was called off.
  net::awaitable<Result<void>> run() override;

  void request_stop() override;
  void cancel() override;

  std::vector<ShardStatus> shards() const;
  /// What shards did that are closed by now; "": those that ended for good.
  const std::map<std::string, engine::ShardCounters>& closed() const { return closed_; }
  /// The newest of all shards, closed ones included.
  LastResult last_result() const;
  /// The shards as they were when the source failed, with what was remembered of them since; empty before. Nobody
  /// knows more of them until the source is read again.
  const std::vector<ShardStatus>& left() const { return left_; }
  Instant left_at() const { return left_at_; }

  void shard_opened(ShardId shard) override;
  void shard_revoked(const ShardId& shard, bool lost) override;

 private:
  struct Shard;
  net::awaitable<void> read();
  net::awaitable<Result<void>> load();
  void compare_stream();
  net::awaitable<void> begin_opened();
  net::awaitable<Result<void>> remember_starts(std::vector<ShardId> opened);
  net::awaitable<void> run_shard(ShardId id);
  void close(const std::string& name);
  void note_left(const std::string& name, const ShardRunner& runner);
  net::awaitable<void> forget_gone();
  void note_shardless();
  engine::ShardSettings settings_for(const ShardId& shard);
  void wake();

  ShardDeps deps_;
  std::string name_;
  Random random_;
  runtime::TaskScope reader_;
  runtime::TaskScope scope_;
  net::steady_timer changed_;
  bool woken_ = false;
  std::map<std::string, std::unique_ptr<Shard>> shards_;
  std::vector<ShardId> opened_;  ///< at this turn of the executor; they begin together
  std::map<std::string, engine::ShardCounters> closed_;
  LastResult closed_result_;              ///< of closed shards
  std::map<std::string, Resume> stored_;  ///< checkpoints, as they were when a shard was opened or closed last
  std::optional<Instant> looked_for_gone_;
  std::map<std::string, Instant> gone_since_;  ///< shards that ended and are not there, as they were looked for
  bool first_run_ = true;                      ///< there was none when the mapping began
  std::string stored_stream_;                  ///< whose they are; "" when nobody said
  std::string new_stream_;                     ///< not yet stored; "" when it is
  bool forget_stored_ = false;                 ///< what is on disk is another stream's
  bool compared_ = false;
  bool looked_for_shardless_ = false;
  bool asked_later_starts_ = false;
  std::optional<Result<void>> read_result_;
  std::vector<ShardStatus> left_;
  Instant left_at_{};
  std::exception_ptr failure_;
  bool stopping_ = false;
};

engine::ShardCounters& operator+=(engine::ShardCounters& sum, const engine::ShardCounters& more);

}  // namespace weir::bridge
