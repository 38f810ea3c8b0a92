#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "weir/connector.h"

#include "bridge/batch_response.h"
#include "bridge/destinations.h"
#include "bridge/invoker.h"
#include "engine/shard_processor.h"
#include "runtime/answer.h"
#include "runtime/inbox.h"
#include "runtime/task_scope.h"
#include "store/store.h"

namespace weir::bridge {

/// What the shards of one mapping share. All of it outlives them.
struct ShardDeps {
  net::any_io_executor executor;
  PollSource& source;
  Invoker& invoker;
  store::CheckpointStore& checkpoints;
  store::DeadLetters& dead_letters;
  Log& log;
  const Clock& clock;
  Destinations& destinations;
  std::string function;
  std::shared_ptr<const SourceConfig> config;  ///< of the source; its mapping's settings
  std::string mapping;                         ///< the mapping's UUID
  std::string qualifier = {};                  ///< of the function, "" for none
};

/// The shell around one shard's engine: tells it what happened and does what it is told. It knows no limit and decides
/// nothing.
class ShardRunner {
 public:
  ShardRunner(ShardDeps& deps, ShardId shard, engine::ShardSettings settings);

  /// Runs until the engine has drained: after request_stop(), at the end of the shard, or after cancel(). A broken
  /// belief, and what the source throws, come out of it.
  net::awaitable<void> run();

  /// Drain: what is in flight is waited for, and remembered.
  void request_stop();
  /// Whether the shard came to its end, and that is remembered where it is for good.
  bool ended() const { return ended_; }

  /// The shard belongs to somebody else: as request_stop(), but checkpoints go nowhere, they would be refused.
  void request_stop_lost();
  bool lost() const { return lost_; }
  /// The end of patience: what is in flight is called off.
  void cancel();

  const ShardId& shard() const { return shard_; }
  const engine::ShardProcessor& engine() const { return engine_; }
  /// Age of the oldest unsettled record, 0 when there is none: IteratorAge as it stands now.
  Duration iterator_age() const;
  std::optional<std::int64_t> backlog() const { return deps_.source.backlog(shard_, engine_.checkpointed()); }

 private:
  struct Fetched {
    RecordBatch records;
  };
  struct Answered {
    engine::BatchId batch = 0;
    Outcome outcome;
    BatchResponse response;
  };
  struct Checkpointed {
    bool kept = false;
  };
  struct Discarded {
    engine::BatchId batch = 0;
    engine::Kept kept = engine::Kept::kNowhere;
  };
  using Message = std::variant<Fetched, Answered, Checkpointed, Discarded>;

  net::awaitable<void> drive();
  net::awaitable<void> remember_end();
  void write_payload(std::span<const Record> records, const std::optional<WindowCall>& window, std::string& out) const;
  std::string function_arn() const;
  void filter(RecordBatch& read);
  void perform(engine::Action action);
  void tell(Message message);

  /// The work for an action; `otherwise`: its answer when the work comes to none.
  net::awaitable<void> answer(net::awaitable<Message> work, Message otherwise);
  net::awaitable<Message> fetch(FetchLimits limits);
  net::awaitable<Message> invoke(engine::BatchId batch, std::span<const Record> records, Invocation call);
  net::awaitable<Message> checkpoint(Position upto);
  net::awaitable<Message> keep(engine::BatchId batch, store::DeadLetter letter);
  void note(const Outcome& outcome, std::string_view refusal, const std::optional<Position>& first);
  void note_oversized();
  std::string_view refusal_in(const BatchResponse& response, std::span<const Record> records) const;
  void note_discard(const engine::Discard& order);
  void note_destination(const Result<void>& delivered);
  void note_store(const Result<void>& kept);

  ShardDeps& deps_;
  ShardId shard_;
  engine::ShardProcessor engine_;
  runtime::Inbox<Message> inbox_;
  runtime::TaskScope calls_;    ///< invocations, checkpoints, discards: waited for when draining
  runtime::TaskScope fetches_;  ///< called off when draining
  std::exception_ptr failure_;
  bool stop_requested_ = false;
  bool cancelled_ = false;
  bool lost_ = false;
  bool drained_ = false;
  bool end_of_shard_ = false;
  bool ended_ = false;
  FilterView view_;  ///< scratch of filter()
  /// The batches that failed and are to be tried again, by their first record; nothing: a window's final call, or a
  /// record that is too large.
  std::set<std::optional<Position>> stuck_;
  std::set<std::string> troubles_;  ///< the kinds of failures that were logged since invocations worked
  int trouble_count_ = 0;
  std::uint64_t oversized_tries_ = 0;                   ///< of the engine, as they were noted last
  std::optional<engine::DiscardCondition> discarding_;  ///< why the last records were given up on, until a success
  bool destination_trouble_ = false;
  bool store_trouble_ = false;
};

}  // namespace weir::bridge
