#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/connector.h"

namespace weir {

/// A message as one receive gave it.
struct QueueMessage {
  QueueMessage() = default;

  std::string id;       ///< messageId
  std::string receipt;  ///< of this receive
  std::string group;    ///< MessageGroupId of a FIFO queue; "" of a standard queue
  std::string body;
  std::string json;  ///< the message as an element of the event's `Records`, whole
  WallTime sent;
  int receive_count = 1;
};

/// What the engine has to know of a queue before it reads it.
struct QueueTraits {
  QueueTraits() = default;

  bool fifo = false;
  Duration visibility_timeout = std::chrono::seconds(30);  ///< the queue's own
};

struct ReceiveLimits {
  std::size_t max_messages = 10;               ///< 1 to 10
  Duration wait{0};                            ///< long polling: 0 to 20 s
  std::optional<Duration> visibility_timeout;  ///< none: the queue's own
};

/// Receives from one queue. All calls come on the executor of its context, several at a time. It decides nothing about
/// batches, concurrency or visibility.
class QueueSource {
 public:
  virtual ~QueueSource() = default;

  /// What the queue is like. Called before anything else, and again now and then.
  virtual net::awaitable<Result<QueueTraits>> describe() = 0;
  /// Waits up to `wait` for messages; none is no error.
  virtual net::awaitable<Result<std::vector<QueueMessage>>> receive(ReceiveLimits limits) = 0;
  /// Deletes messages, however many; gives which are gone by now, in the order of the receipts.
  virtual net::awaitable<Result<std::vector<bool>>> remove(std::vector<std::string> receipts) = 0;
  /// From now on they are invisible for as long as this, 0: not any more. Gives which were changed.
  virtual net::awaitable<Result<std::vector<bool>>> change_visibility(std::vector<std::string> receipts,
                                                                      Duration timeout) = 0;
  /// Messages that wait, as the queue counts them (ApproximateNumberOfMessages), as of the last describe().
  virtual std::optional<std::int64_t> backlog() const = 0;

  /// Appends Lambda's event for these messages.
  virtual void write_event(std::span<const QueueMessage* const> messages, std::string& out) const = 0;
  /// How filters see a message.
  virtual void write_filter_view(const QueueMessage& message, bool with_metadata, FilterView& out) const = 0;

  /// Ends what is under way. To be awaited before it goes.
  virtual net::awaitable<void> close() = 0;
};

}  // namespace weir
