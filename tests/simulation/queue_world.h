#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/queue_processor.h"
#include "permits.h"
#include "stage.h"

namespace weir::simulation {

/// What a queue's world contains, drawn from its seed; each feature is off in a part of the worlds.
struct QueueFeatures {
  explicit QueueFeatures(Random& random);

  // What the engine is told.
  engine::QueueSettings settings;

  // The queue.
  std::size_t messages = 0;
  std::size_t groups = 1;
  bool backlog = false;          ///< all messages are there from the start
  double filtered = 0;           ///< part of the messages that the mapping's filters do not want
  int redrive = 0;               ///< maxReceiveCount; 0: no redrive policy
  bool oversized = false;        ///< some messages fit no event
  bool changes_timeout = false;  ///< its visibility timeout is set anew while messages are out

  // Its API.
  double receives_fail = 0;
  double changes_fail = 0;  ///< part of the receipts, and of whole calls

  // The function and its endpoint.
  double poison = 0;
  double fails = 0;
  double reports = 0;    ///< part of the failed runs that answer, with a report
  double careless = 0;   ///< part of the reports of a FIFO queue that leave out what came behind a failure
  double malformed = 0;  ///< part of the reports that cannot be understood, or name what was not there
  double throttled = 0;
  double service_errors = 0;
  double cancelled = 0;
  double late = 0;
  double never = 0;
  int account = 1000;

  Troubles troubles;  ///< what the store refuses here are deletes

  /// Whether leases can be kept: the queue gives time, and grants more of it when it is asked.
  bool keeps_leases() const { return changes_fail == 0 && settings.visibility_timeout >= std::chrono::seconds(1); }
  std::string describe() const;
};

/// What happened in all worlds together, so that a test can see that the worlds are not too kind.
struct QueueFigures {
  std::uint64_t worlds = 0, steps = 0, messages = 0, invocations = 0, full_batches = 0, grown = 0, at_limit = 0;
  std::uint64_t succeeded = 0, failed = 0, partial = 0, whole_reports = 0, throttled_by_ledger = 0, throttled = 0,
                service_errors = 0, cancelled = 0, never_answered = 0, tried_again = 0;
  std::uint64_t received = 0, received_again = 0, filtered = 0, deleted = 0, dead = 0, extended = 0,
                extended_in_flight = 0, released = 0, longer_timeouts = 0;
  std::uint64_t receives_failed = 0, removes_failed = 0, lies = 0, changes_failed = 0, stale_receipts = 0;
  std::uint64_t mixed_groups = 0, groups_left = 0, crashes = 0, crashes_between_actions = 0, stops = 0,
                came_while_stopping = 0, ran_after_a_crash = 0;
};

struct QueueHappening {
  enum class Kind {
    kRestart,
    kReceiveRuns,
    kReceiveTold,
    kFunctionRuns,
    kOutcome,
    kRemoveRuns,
    kRemoveTold,
    kChangeRuns,
    kChangeTold,
    kStop,
    kCrash,
    kCrowd,
    kTimeoutChanges,
    kIdleTick
  };

  Instant at{};
  std::uint64_t order = 0;
  Kind kind{};
  std::uint64_t life = 0;
  engine::QueueCall call = 0;
  std::shared_ptr<const std::vector<std::size_t>> messages = nullptr;  ///< of an invocation
  bool well = false;
};

/// One queue with visibility timeouts, receive counts, groups and a redrive policy of its own; a QueueProcessor that
/// reads it, a function behind the ConcurrencyLedger, and a clock, all from one seed. After every step the promises of
/// weir are checked against what really happened to the messages.
class QueueWorld : public Stage<QueueHappening> {
 public:
  QueueWorld(std::uint64_t seed, QueueFigures& met);

  /// Lets the next thing happen. False when the world came to its end or a promise was broken.
  bool step();
  std::string summary() const;

 private:
  using Kind = QueueHappening::Kind;
  static constexpr const char* kFunction = "function";

  /// A message as the queue has it; the truth about it survives crashes. Its place is its place in the queue.
  struct Message {
    std::string id;
    std::size_t group = 0;
    std::size_t encoded_bytes = 0;
    bool filtered = false;
    int failures_left = 0;
    Instant available{};
    Instant visible_at{};
    int receives = 0;
    bool gone = false;       ///< deleted, or moved to the dead-letter queue
    bool dead = false;       ///< moved
    bool succeeded = false;  ///< the function has run on it and succeeded, told or not
  };

  /// What the engine was told of a receipt in this life.
  enum class Told { kHeld, kInFlight, kAgain, kLeft, kDone };
  struct Receipt {
    std::size_t message = 0;
    int number = 0;  ///< which receive of the message it is of; only the last one counts
    Told told = Told::kHeld;
    bool invoked = false;
  };

  struct Receive {
    engine::ReceiveMessages order;
    Instant until{};
    Duration visibility{};
    std::vector<engine::QueueItem> items{};
    bool failed = false;
    bool ran = false;
  };
  struct Call {
    std::vector<std::string> receipts;
    std::string request_id;
    std::vector<const engine::QueueItem*> shown;  ///< as the engine gave them: they stay until the outcome is told
    Outcome outcome{};
    engine::ItemFailures failures{};
    bool permit = false;
    bool ran = false;
  };
  struct Order {
    std::vector<std::string> receipts;
    Duration timeout{0};
    std::vector<bool> worked{};
  };
  /// A batch that did not run, and may be tried again.
  struct Again {
    std::vector<std::string> receipts;
    Instant failed_at{};
  };

  void happen(const QueueHappening& happening);
  QueueHappening of(Kind kind, engine::QueueCall call = 0) const { return {.kind = kind, .life = life_, .call = call}; }
  void start();
  void end_life();
  void crash();
  void stop();
  void tick();
  void drain();

  // queue_world_checks.cpp: what the engine wants, and what weir promises.
  void perform(const engine::ReceiveMessages& order);
  void perform(const engine::InvokeMessages& order);
  void perform(const engine::RemoveMessages& order);
  void perform(const engine::ChangeVisibility& order);
  void perform(const engine::QueueDrained&);
  void schedule_call(engine::QueueCall call, std::shared_ptr<const std::vector<std::size_t>> messages);

  void receive_runs(Receive& receive, engine::QueueCall call);
  engine::QueueItem take(Message& message, Duration visibility);
  void receive_told(engine::QueueCall call);
  void function_runs(const QueueHappening& run);
  void report(Call& call, const std::vector<std::size_t>& messages, std::vector<std::size_t>& failing);
  void answer_call(engine::QueueCall call);
  void judge(const Call& call);
  void leave(const std::vector<std::string>& receipts);
  void remove_runs(engine::QueueCall call);
  void remove_told(engine::QueueCall call);
  void change_runs(engine::QueueCall call);

  void promise(const std::string& receipt, bool kept, const char* otherwise);
  using Stage::promise;
  void check_batch(const engine::InvokeMessages& order);
  void check_groups(const engine::InvokeMessages& order);
  void check_leases();
  void check_counters();
  void check_waiting();
  void check_end();

  Message& message_of(const std::string& receipt) { return messages_[receipts_.at(receipt).message]; }
  /// Whether the receipt is the message's last one, and its time is not over.
  bool leased(const Receipt& receipt) const;
  bool can_be_received(const Message& message) const;
  Duration expected_visibility() const;
  bool down() const { return now_.instant < down_until_; }
  Duration latency() {
    return upto(features_.troubles.slow_store ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5));
  }

  QueueFigures& met_;
  QueueFeatures features_;
  std::vector<Message> messages_;
  std::size_t left_ = 0;  ///< messages that are not gone
  int crashes_left_, stops_left_, wall_jumps_left_;
  Instant down_until_{};
  Permits permits_;
  bool finished_ = false;

  // One life of the engine.
  std::unique_ptr<engine::QueueProcessor> engine_;
  std::uint64_t life_ = 0;
  bool stopping_ = false;
  Instant stop_by_{};
  std::map<std::string, Receipt> receipts_;
  std::map<engine::QueueCall, Receive> receives_;
  std::map<engine::QueueCall, Call> calls_;
  std::map<engine::QueueCall, Order> removes_;
  std::map<engine::QueueCall, Order> changes_;
  std::map<std::string, Again> again_;  ///< by request id
  std::set<std::string> request_ids_;
  int concurrency_ = 0;  ///< after it was told something last
  engine::QueueCounters counters_;
  std::optional<Instant> wake_;
};

}  // namespace weir::simulation
