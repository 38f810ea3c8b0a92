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

/// What one shard looks like from outside.
struct ShardStatus {
  std::string shard;
  std::optional<Position> checkpoint;  ///< stored in this life of the shard, or where it began
  Duration iterator_age{0};
  std::size_t unsettled = 0;
  bool in_flight = false;
  std::optional<std::int64_t> backlog;
  engine::ShardCounters counters;
};

/// One event source mapping, from opening its source to its end: a ShardRunner for each shard that the source opens.
class MappingRunner final : public SourceRunner, public ShardListener {
 public:
  /// Everything outlives the runner. `seed`: of request ids and jitter.
  MappingRunner(ShardDeps deps, std::string name, MappingSettings settings, std::uint64_t seed);
  ~MappingRunner() override;

  /// Until every shard ended, request_stop() was obeyed, or the source failed; then its error. What throws out of a
  /// shard (a broken belief) throws out of here, after everything else of the mapping was called off.
  net::awaitable<Result<void>> run() override;

  void request_stop() override;
  void cancel() override;

  std::vector<ShardStatus> shards() const;
  /// What shards did that are closed by now.
  const std::map<std::string, engine::ShardCounters>& closed() const { return closed_; }

  void shard_opened(ShardId shard) override;
  void shard_revoked(const ShardId& shard, bool lost) override;

 private:
  struct Shard;
  net::awaitable<void> read();
  net::awaitable<Result<void>> begin(ShardId id);
  net::awaitable<void> run_shard(ShardId id);
  void close(const std::string& name);
  engine::ShardSettings settings_for(const ShardId& shard);
  void wake();

  ShardDeps deps_;
  std::string name_;
  MappingSettings settings_;
  Random random_;
  runtime::TaskScope reader_;
  runtime::TaskScope scope_;
  net::steady_timer changed_;
  bool woken_ = false;
  std::map<std::string, std::unique_ptr<Shard>> shards_;
  std::map<std::string, engine::ShardCounters> closed_;
  std::optional<Result<void>> read_result_;
  std::exception_ptr failure_;
  bool stopping_ = false;
};

engine::ShardCounters& operator+=(engine::ShardCounters& sum, const engine::ShardCounters& more);

}  // namespace weir::bridge
