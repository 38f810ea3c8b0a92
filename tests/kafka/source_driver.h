#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "weir/connector.h"

#include "connectors/kafka/config.h"
#include "connectors/kafka/connector.h"

namespace weir::test {

/// Keeps the names of log events, in order.
class KeptLog final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField>) override {
    if (level != LogLevel::kDebug) events_.emplace_back(event);
  }
  auto count(const std::string& event) const { return std::count(events_.begin(), events_.end(), event); }

 private:
  std::vector<std::string> events_;
};

/// Runs one source as a mapping does, step by step: nothing is fetched or committed that the test did not ask for.
class SourceDriver final : public ShardListener {
 public:
  explicit SourceDriver(const kafka::KafkaConfig& config)
      : source_(kafka::make_source(
            std::make_shared<kafka::KafkaConfig>(config),
            {.name = config.name, .executor = context_.get_executor(), .log = log, .clock = clock_})) {
    net::co_spawn(context_, source_->run(*this),
                  net::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr thrown, Result<void> end) {
                    if (thrown) std::rethrow_exception(thrown);
                    ended_ = end.has_error() ? end.error() : Error(ErrorCode::kInternal, "run() ended well");
                  }));
  }
  ~SourceDriver() override { stop(); }

  void shard_opened(ShardId shard) override {
    source_->start(shard, std::nullopt, true);
    open.insert(shard.name);
  }
  void shard_revoked(const ShardId& shard, bool lost) override { (lost ? lost_ : revoked).insert(shard.name); }

  /// Runs the source until `done`; false when that takes longer than `patience`.
  bool until(const std::function<bool()>& done, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    context_.restart();
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      context_.run_one_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  bool until_open(std::size_t shards) {
    return until([&] { return open.size() == shards; });
  }

  /// One fetch, waited for.
  RecordBatch fetch(const std::string& shard, std::size_t max_records = 1000, std::size_t max_bytes = 64U << 20U) {
    RecordBatch batch;
    bool done = false;
    net::co_spawn(context_, source_->fetch(id(shard), {.max_records = max_records, .max_bytes = max_bytes}),
                  [&](std::exception_ptr thrown, RecordBatch got) {
                    if (thrown) std::rethrow_exception(thrown);
                    batch = std::move(got);
                    done = true;
                  });
    if (!until([&] { return done || ended_.has_value(); })) throw std::runtime_error("no record came");
    return batch;
  }

  /// A fetch that is waited for by until(); cancel() calls it off.
  struct Pending {
    net::cancellation_signal cancel;
    bool done = false;
    RecordBatch batch;
  };
  Pending& begin_fetch(const std::string& shard) {
    Pending* pending = pendings_.emplace_back(std::make_unique<Pending>()).get();
    net::co_spawn(
        context_, source_->fetch(id(shard), {.max_records = 1000, .max_bytes = 64U << 20U}),
        net::bind_cancellation_slot(pending->cancel.slot(), [to = pending](std::exception_ptr thrown, RecordBatch got) {
          if (thrown) std::rethrow_exception(thrown);
          to->batch = std::move(got);
          to->done = true;
        }));
    return *pending;
  }

  /// The values of the next `count` records of a shard.
  std::vector<std::string> values(const std::string& shard, std::size_t count) {
    std::vector<std::string> found;
    while (found.size() < count) {
      const RecordBatch batch = fetch(shard, count - found.size());
      if (batch.records.empty()) break;
      for (const Record& record : batch.records) found.emplace_back(record.data);
    }
    return found;
  }

  Result<void> commit(const std::string& shard, std::uint64_t upto) {
    std::optional<Result<void>> result;
    begin_commit(shard, upto, result);
    if (!until([&] { return result.has_value(); })) throw std::runtime_error("the commit was not answered");
    return *result;
  }
  void begin_commit(const std::string& shard, std::uint64_t upto, std::optional<Result<void>>& result) {
    net::co_spawn(context_, source_->commit(id(shard), Position(upto)),
                  [&](std::exception_ptr thrown, Result<void> answer) {
                    if (thrown) std::rethrow_exception(thrown);
                    result = std::move(answer);
                  });
  }
  std::string trouble() const { return source_->trouble(); }
  void release(const std::string& shard) {
    open.erase(shard);
    source_->release(id(shard), false);
  }

  /// As a mapping that ends: run() is cancelled and waited for.
  void stop() {
    stop_.emit(net::cancellation_type::all);
    if (!until([&] { return ended_.has_value(); })) std::abort();
    context_.restart();
    context_.poll();  // commits that were under way hear of it
  }

  ShardId id(const std::string& shard) const { return {.source = "clicks", .name = shard}; }
  PollSource& source() { return *source_; }
  const std::optional<Error>& ended() const { return ended_; }

  std::set<std::string> open;
  std::set<std::string> revoked;
  KeptLog log;

 private:
  std::set<std::string> lost_;
  std::vector<std::unique_ptr<Pending>> pendings_;
  SystemClock clock_;
  net::io_context context_{1};
  net::cancellation_signal stop_;
  std::unique_ptr<PollSource> source_;
  std::optional<Error> ended_;
};

}  // namespace weir::test
