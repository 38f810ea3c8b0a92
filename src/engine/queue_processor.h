#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"

#include "engine/retry_policy.h"

namespace weir::engine {

/// What a queue's mapping may use.
struct QueueLimits {
  std::size_t max_receives = 50;            ///< under way at once, over all pollers
  std::size_t max_held_bytes = 64U << 20U;  ///< of messages received and not done; full: nothing more is received
  std::size_t max_removing = 100'000;       ///< messages that are done and not deleted yet; full: the same
  Duration backoff_min = std::chrono::milliseconds(200);  ///< after a throttle, a refused receive, a failed delete
  Duration backoff_max = std::chrono::seconds(10);
};

/// Everything a queue's processor is made with. The numbers have passed the configuration's checks.
struct QueueSettings {
  bool fifo = false;
  std::size_t batch_size = 10;                             ///< 1 to 10000; FIFO 1 to 10; more than 10 needs a window
  Duration window{0};                                      ///< 0 to 300 s; FIFO 0
  std::optional<int> maximum_concurrency;                  ///< 2 to 1000
  Duration visibility_timeout = std::chrono::seconds(30);  ///< the queue's own
  std::optional<Duration> function_timeout;                ///< where it is known
  std::size_t max_payload_bytes = kMaxRequestBytes;        ///< of the whole event's JSON
  std::size_t envelope_bytes = 14;                         ///< {"Records":[]}
  QueueLimits limits;
  std::uint64_t seed = 0;  ///< of request ids and jitter; repeats them
};

/// A message as one receive gave it. The same message that is received again is another item.
struct QueueItem {
  std::string id;                      ///< messageId
  std::string receipt;                 ///< of this receive
  std::string group;                   ///< MessageGroupId; only looked at of a FIFO queue
  std::size_t encoded_bytes = 0;       ///< what it adds to the event's JSON, a separating comma not counted
  bool filtered = false;               ///< the mapping's filters do not want it: it is deleted
  std::shared_ptr<const void> origin;  ///< the teller's own view of the message, kept as long as the engine has it
};

using QueueCall = std::uint64_t;  ///< numbers actions, so that answers find them

/// Receive messages. Answered by on_messages(), with none when there were none or it was called off, or by
/// on_receive_failed().
struct ReceiveMessages {
  QueueCall call = 0;
  std::size_t max_messages = 10;               ///< 1 to 10
  Duration wait{0};                            ///< whole seconds, 0 to 20
  std::optional<Duration> visibility_timeout;  ///< none: the queue's own
};

/// Invoke the function with these messages. Answered by on_outcome().
struct InvokeMessages {
  QueueCall call = 0;
  std::string request_id;               ///< stays the same while the batch is unchanged
  std::vector<const QueueItem*> items;  ///< in the order of the event; valid until the outcome is told
  std::size_t payload_bytes = 0;        ///< exactly what the event's JSON will take
};

/// Delete these messages. Answered by on_removed().
struct RemoveMessages {
  QueueCall call = 0;
  std::vector<std::string> receipts;
};

/// Let these messages be invisible for so long from now on; 0: make them visible. Answered by on_visibility().
struct ChangeVisibility {
  QueueCall call = 0;
  std::vector<std::string> receipts;
  Duration timeout{0};  ///< whole seconds
};

/// request_stop() was obeyed: nothing is outstanding and nothing will follow.
struct QueueDrained {};

using QueueAction = std::variant<ReceiveMessages, InvokeMessages, RemoveMessages, ChangeVisibility, QueueDrained>;

/// What the answer of a function that did not fail says of its batch (reference stream-sources.md, 5.3).
struct ItemFailures {
  enum class Kind {
    kNone,  ///< nothing is reported, or nobody asked
    kSome,  ///< `ids`; one that is not of the batch makes it kAll
    kAll,   ///< the report cannot be understood
  };
  Kind kind = Kind::kNone;
  std::vector<std::string> ids;  ///< messageIds, in any order
};

/// What a mapping of a queue has done, for the metrics of the same names (monitoring-metrics-types). Counters never go
/// back.
struct QueueCounters {
  std::uint64_t polled_events = 0;         ///< PolledEventCount
  std::uint64_t filtered_out_events = 0;   ///< FilteredOutEventCount
  std::uint64_t invoked_events = 0;        ///< InvokedEventCount; again on each retry
  std::uint64_t failed_invoke_events = 0;  ///< FailedInvokeEventCount; all of a batch of which a part was reported
  std::uint64_t deleted_events = 0;        ///< DeletedEventCount: invoked and then deleted, filtered ones not counted
  std::uint64_t delete_failures = 0;       ///< deletes that did not work, each try
  std::uint64_t invocations = 0;           ///< batches sent, retries and throttled ones included
  std::uint64_t function_errors = 0;
  std::uint64_t throttles = 0;
  std::uint64_t service_errors = 0;
  std::uint64_t receive_failures = 0;
};

/// One SQS queue, as an event source mapping reads it. Pollers work side by side: each receives (long polls) until its
/// batch is complete, has it invoked, deletes what succeeded and begins again; the concurrency is their number. What
/// failed is left alone and comes back by its visibility timeout; giving up on it is the queue's redrive policy's
/// business. Pure: told what happened and when, answers with what to do. One owner, not thread-safe.
///
/// The contract of every engine: after any on_*(), take next() until it is empty before waiting; every action that left
/// gets exactly one answer, also when it failed or was called off; wake_at() may lie in the past, then tick at once.
/// Source: reference pages with-sqs, services-sqs-*; docs/semantics.md, "Queues".
///
/// FIFO: a message is begun only when every message of its group that was received before it is deleted or in the same
/// batch; when one fails, what is held of its group is let go, so that nothing of it is sent before the failed one.
/// What a function does not report as failed is deleted, whatever the group, as Lambda does.
class QueueProcessor {
 public:
  explicit QueueProcessor(QueueSettings settings);

  void on_messages(Moment now, QueueCall call, std::vector<QueueItem> items);
  /// Receiving pauses with backoff; what is held goes on.
  void on_receive_failed(Moment now, QueueCall call);
  /// `failures`: what the answer of a success reports.
  void on_outcome(Moment now, QueueCall call, const Outcome& outcome, const ItemFailures& failures = ItemFailures());
  /// `gone`: of each receipt in order; an empty list says that none is.
  void on_removed(Moment now, QueueCall call, const std::vector<bool>& gone);
  void on_visibility(Moment now, QueueCall call, const std::vector<bool>& changed);
  /// The queue's own visibility timeout is another one now; it counts for what is received from here on.
  void on_visibility_timeout(Moment now, Duration visibility_timeout);
  void on_tick(Moment now);
  /// Drain: nothing is received or begun, what is held and not begun is made visible again, what is in flight is waited
  /// for and deleted; then QueueDrained. What receives under way still bring is made visible again, too.
  void request_stop(Moment now);

  std::optional<QueueAction> next();
  std::optional<Instant> wake_at() const;

  const QueueCounters& counters() const { return counters_; }
  int in_flight() const { return in_flight_; }         ///< batches that are invoked right now
  int concurrency() const { return concurrency_; }     ///< how many may be
  std::size_t held() const { return held_messages_; }  ///< messages received and not done, those in flight included
  bool drained() const { return state_ == State::kDrained; }

 private:
  enum class State { kRunning, kStopping, kDrained };

  struct Held {
    QueueItem item;
    std::uint64_t ordinal = 0;  ///< in the order of receiving
    Instant received{};
    Duration visibility{};  ///< that it was received with
    Instant until{};        ///< visible to others again from then on
    Instant extend_at{};    ///< when its time is to be extended
  };

  /// Messages that were complete, until they are done.
  struct Batch {
    QueueCall call = 0;  ///< of its invocation; 0 while it waits to be tried again
    std::string request_id;
    std::vector<Held> items;
    std::size_t item_bytes = 0;     ///< of JSON, with the commas between them
    Instant due{};                  ///< not tried again before
    int failures = 0;               ///< in a row
    std::optional<Instant> let_go;  ///< once it did not run: it is given back to the queue then
  };

  struct Poller {
    std::vector<Held> forming;  ///< received and not in a batch, oldest first
    std::size_t forming_bytes = 0;
    Instant window_opened{};
    std::optional<Batch> batch;
    std::size_t receives = 0;  ///< under way
    std::size_t asked = 0;     ///< messages that these may bring
    bool last_was_full = false;
    Instant receive_due{};
    bool extending = false;
    Instant lease_due = Instant::max();  ///< at the latest then a lease has to be looked at

    bool active() const { return batch || !forming.empty() || receives > 0; }
  };

  struct Receiving {
    Poller* poller = nullptr;
    std::size_t asked = 0;
    Duration wait{};
    Duration visibility{};
    Instant since{};
  };
  struct Removing {
    struct Entry {
      std::string receipt;
      std::string group;
      std::uint64_t ordinal = 0;
      Instant until{};
      bool invoked = false;
    };
    std::vector<Entry> entries;
    int tries = 0;
    Instant due{};
    bool asked = false;
  };
  struct Changing {
    Poller* poller = nullptr;  ///< null: messages that are let go
    std::size_t receipts = 0;
    std::map<std::uint64_t, std::size_t> places;  ///< among the receipts, by ordinal
    Instant since{};
    Duration timeout{};
  };

  void advance(Moment now);
  void keep_leases(Moment now, Poller& poller);
  void retry_or_let_go(Moment now, Poller& poller);
  bool complete(Moment now, const Poller& poller) const;
  Instant window_end(const Poller& poller) const { return poller.window_opened + settings_.window; }
  void start_batches(Moment now);
  std::optional<Batch> take_batch(Poller& poller);
  void invoke(Poller& poller);
  void scale(Moment now);
  void start_receives(Moment now);
  void receive(Moment now, Poller& poller);
  void receive_once(Moment now, Poller& poller, std::size_t missing, Duration wait);
  Poller* idle_poller();
  void drain(Moment now);
  void remove(Removing removing);
  void ask_removals(Moment now);
  void succeed(Moment now, std::vector<Held> items);
  void leave(const std::vector<Held>& items);
  void let_go_of_groups(const std::set<std::string>& groups);
  void forget(const Held& held);
  void end_batch(Moment now, Poller& poller);
  void fewer(Moment now);
  bool memory_full() const;
  bool running() const { return state_ == State::kRunning; }
  /// Of a message that waits or is in flight: how long before its end it is extended, or let go after a throttle.
  static Duration margin(Duration visibility);
  Duration receive_visibility() const;

  QueueSettings settings_;
  RetryPolicy retry_;
  Random random_;
  State state_ = State::kRunning;
  std::vector<std::unique_ptr<Poller>> pollers_;
  std::size_t turn_ = 0;  ///< the poller that is asked first whether it has a complete batch
  int concurrency_ = 0;
  int concurrency_max_ = 0;
  int concurrency_idle_ = 0;
  std::optional<Instant> last_growth_;
  Instant no_growth_before_{};
  std::optional<Instant> calm_since_;

  std::map<QueueCall, Receiving> receives_;
  std::map<QueueCall, Poller*> invocations_;
  std::map<QueueCall, Removing> removals_;
  std::size_t removing_messages_ = 0;  ///< in all of them
  std::map<QueueCall, Changing> changes_;
  /// FIFO: the ordinals that are held of each group, from receiving until they are deleted or let go.
  std::map<std::string, std::set<std::uint64_t>> groups_;

  int receive_failures_ = 0;
  Instant receive_due_{};
  std::size_t held_messages_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t largest_item_ = 0;  ///< about; what a receive may bring is reckoned by it
  int in_flight_ = 0;
  std::uint64_t last_ordinal_ = 0;
  QueueCall last_call_ = 0;
  std::deque<QueueAction> actions_;
  std::optional<Instant> wake_at_;
  QueueCounters counters_;
};

}  // namespace weir::engine
