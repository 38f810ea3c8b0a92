#pragma once

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "weir/queue_source.h"

#include "bridge/invoker.h"
#include "bridge/source_runner.h"
#include "engine/queue_processor.h"
#include "runtime/answer.h"
#include "runtime/inbox.h"
#include "runtime/task_scope.h"

namespace weir::bridge {

/// What the mapping of a queue works with. All of it outlives the runner.
struct QueueDeps {
  net::any_io_executor executor;
  QueueSource& source;
  Invoker& invoker;
  Log& log;
  const Clock& clock;
  std::string function;
  std::string qualifier = {};  ///< of the function, "" for none
};

/// Why a queue can be no mapping of a function with that timeout, where it is known, in Lambda's words: source.failed.
Result<void> check_visibility(const QueueTraits& queue, std::optional<Duration> function_timeout);

/// What a queue's mapping looks like from outside.
struct QueueStatus {
  QueueTraits traits;
  int in_flight = 0;     ///< batches that are invoked right now
  int concurrency = 0;   ///< how many may be; 0 before the queue is known
  std::size_t held = 0;  ///< messages received and not done
  std::optional<std::int64_t> backlog;
  std::string problem;  ///< what hinders receiving or deleting right now; "" when nothing does
  engine::QueueCounters counters;
};

/// The mapping of a queue: the shell around its engine.
class QueueRunner final : public SourceRunner {
 public:
  /// `function_timeout`: where it is known, a queue whose visibility timeout is shorter is refused, as Lambda does.
  /// `seed`: of request ids and jitter.
  QueueRunner(QueueDeps deps, std::string name, MappingSettings settings, std::optional<Duration> function_timeout,
              std::uint64_t seed);

  /// Until request_stop() was obeyed, or the queue did not answer for a while, is gone or refuses; then why. Closes the
  /// source at its end. A broken belief comes out of it.
  net::awaitable<Result<void>> run() override;
  /// Drain: what is in flight is waited for and deleted; polls under way are waited for, and what they bring is made
  /// visible again with the rest.
  void request_stop() override;
  void cancel() override;

  QueueStatus status() const;

 private:
  struct Received {
    engine::QueueCall call = 0;
    Result<std::vector<engine::QueueItem>> items;
  };
  struct Answered {
    engine::QueueCall call = 0;
    Outcome outcome;
    engine::ItemFailures failures;
  };
  struct Removed {
    engine::QueueCall call = 0;
    std::vector<bool> gone;
  };
  struct Changed {
    engine::QueueCall call = 0;
    std::vector<bool> changed;
  };
  struct Described {
    Result<QueueTraits> traits;
  };
  using Message = std::variant<Received, Answered, Removed, Changed, Described>;

  net::awaitable<Result<void>> drive();
  Result<engine::QueueSettings> settings_for(const QueueTraits& traits) const;
  void perform(engine::QueueAction action);
  void tell(Message message);
  Instant polls_end() const;
  Duration release_timeout() const;
  void tell_received(Moment now, Received received);
  /// The work for an action; `otherwise`: its answer when the work comes to none.
  net::awaitable<void> answer(net::awaitable<Message> work, Message otherwise);
  net::awaitable<Message> receive(engine::QueueCall call, ReceiveLimits limits);
  net::awaitable<Message> invoke(engine::QueueCall call, Invocation invocation);
  net::awaitable<Message> remove(engine::QueueCall call, std::vector<std::string> receipts);
  net::awaitable<Message> change_visibility(engine::QueueCall call, std::vector<std::string> receipts,
                                            Duration timeout);
  net::awaitable<Message> describe();
  void note(const Outcome& outcome);
  void note_receive(Instant now, const Error& error);
  void note_oversized(const engine::QueueItem& item);
  void note_removal(std::size_t failed, const std::string& why);

  QueueDeps deps_;
  std::string name_;
  MappingSettings settings_;
  std::optional<Duration> function_timeout_;
  std::uint64_t seed_;
  QueueTraits traits_;
  std::optional<engine::QueueProcessor> engine_;
  runtime::Inbox<Message> inbox_;
  runtime::TaskScope calls_;     ///< invocations, deletes, changes: waited for when draining
  runtime::TaskScope receives_;  ///< polls are waited for when draining, until their time is over; then called off
  std::exception_ptr failure_;
  Result<void> ended_;                          ///< why, when the queue could not be received from
  std::map<engine::QueueCall, Instant> polls_;  ///< receives under way, and when their waiting ends
  bool stop_requested_ = false;
  bool cancelled_ = false;
  bool drained_ = false;
  bool describing_ = false;
  Instant describe_due_{};
  std::optional<Instant> unanswered_since_;  ///< the first receive without an answer after the last with one
  std::string receive_trouble_;              ///< what was logged of receives that fail
  Instant receive_failed_{};                 ///< the last that did
  std::string oversized_;                    ///< the message of which it was logged last that it fits no event
  std::size_t envelope_bytes_ = 0;
  std::string trouble_;  ///< the kind of the last outcome, unless it was a success; logged when it changes
  int trouble_count_ = 0;
  std::string removal_trouble_;
};

engine::QueueCounters& operator+=(engine::QueueCounters& sum, const engine::QueueCounters& more);

}  // namespace weir::bridge
