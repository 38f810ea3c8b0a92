#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "engine/shard_processor.h"

namespace weir::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRecords = 10'000;
constexpr std::size_t kBatch = 1000;

/// A shard with one record on which the function always fails, which it says by an error or by a report.
class PoisonedShard {
 public:
  enum class Says { kError, kReport };

  PoisonedShard(std::uint64_t poison, Says says) : poison_(poison), says_(says), engine_(settings(says)) {}

  void run() {
    for (;;) {
      while (auto action = engine_.next()) std::visit([&](const auto& wish) { perform(wish); }, *action);
      if (engine_.drained()) return;
      now_.instant = std::max(now_.instant, engine_.wake_at().value());
      engine_.on_tick(now_);
    }
  }

  std::map<std::uint64_t, int> delivered;  ///< how often each record was in an invocation that succeeded on it
  std::vector<std::uint64_t> discarded;
  std::vector<std::size_t> failing;  ///< how many records each failing invocation had
  std::set<std::string> request_ids;
  std::size_t invocations = 0;

 private:
  static engine::ShardSettings settings(Says says) {
    engine::ShardSettings settings;
    settings.batch.batch_size = kBatch;
    settings.retry.maximum_retry_attempts = 0;
    settings.bisect_batch_on_function_error = true;
    settings.report_batch_item_failures = says == Says::kReport;
    return settings;
  }

  void perform(const engine::Fetch& fetch) {
    RecordBatch batch;
    for (; batch.records.size() < fetch.max_records && next_ < kRecords; ++next_) {
      Record record;
      record.position = Position(next_);
      record.encoded_bytes = 100;
      batch.records.push_back(record);
    }
    batch.end_of_shard = next_ == kRecords;
    engine_.on_records(now_, std::move(batch));
  }
  void perform(const engine::Invoke& invoke) {
    ++invocations;
    request_ids.insert(invoke.request_id);
    std::size_t good = 0;
    while (good < invoke.records.size() && invoke.records[good].position != Position(poison_)) ++good;
    const bool fails = good < invoke.records.size();
    BatchResponse response;
    if (fails) {
      failing.push_back(invoke.records.size());
      if (says_ == Says::kError) good = 0;
      response.items = BatchResponse::Items::kSomeFailed;
      response.failed = {Position(poison_)};
    }
    for (std::size_t i = 0; i < good; ++i) ++delivered[invoke.records[i].position.number().value()];
    const bool error = fails && says_ == Says::kError;
    engine_.on_outcome(now_, invoke.batch, error ? Outcome(FunctionFailed{}) : Outcome(Succeeded{}), response);
  }
  void perform(const engine::Checkpoint&) { engine_.on_checkpoint(now_, true); }
  void perform(const engine::Discard& discard) {
    for (const Record& record : discard.records) discarded.push_back(record.position.number().value());
    engine_.on_discarded(now_, discard.batch, engine::Kept::kDeadLetter);
  }
  void perform(const engine::Drained&) {}

  std::uint64_t poison_;
  Says says_;
  engine::ShardProcessor engine_;
  Moment now_{Instant(1h), WallTime(1h)};
  std::uint64_t next_ = 0;
};

}  // namespace

TEST_CASE("one poison record in 10,000 is found by halves, and the others are delivered once", "[simulation]") {
  const std::uint64_t poison = GENERATE(values<std::uint64_t>({0, 1, 499, 500, 999, 1000, 4321, 9500, 9999}));
  const auto says = GENERATE(PoisonedShard::Says::kError, PoisonedShard::Says::kReport);
  CAPTURE(poison);
  PoisonedShard shard(poison, says);
  shard.run();

  CHECK(shard.discarded == std::vector<std::uint64_t>{poison});
  CHECK(shard.delivered.size() == kRecords - 1);
  CHECK(shard.delivered.count(poison) == 0);
  CHECK(std::all_of(shard.delivered.begin(), shard.delivered.end(), [](const auto& each) { return each.second == 1; }));
  // ceil(log2(1000)) halvings after the first failure. A report costs one more: what it names begins a batch before
  // that is halved.
  const std::size_t most = says == PoisonedShard::Says::kError ? 11 : 12;
  CHECK(shard.failing.size() <= most);
  CHECK(std::is_sorted(shard.failing.rbegin(), shard.failing.rend()));
  CHECK(shard.failing.back() == 1);
  CHECK(shard.request_ids.size() == shard.invocations);
}

}  // namespace weir::simulation
