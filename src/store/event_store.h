#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/kept.h"

namespace weir::store {

namespace net = boost::asio;

/// An asynchronous invocation as it is kept from its 202 to its end.
struct StoredEvent {
  StoredEvent() = default;

  std::uint64_t id = 0;  ///< given by the store, growing with each event; 0 before that
  std::string function;
  std::string qualifier;   ///< as it was called: "" or a version or an alias
  std::string request_id;  ///< the same for every attempt
  std::string source;      ///< of the configuration, or "" for a call of the Invoke API
  std::string trace_header;
  std::string payload;  ///< JSON
  WallTime accepted;
};

/// An event that waits, without its payload.
struct WaitingEvent {
  std::uint64_t id = 0;
  std::string function;
  std::string qualifier;
  WallTime accepted;
  int attempts = 0;
  std::optional<WallTime> due;
};

/// A fact that a source remembers, stored together with the event it goes with. Keyed by source and key.
struct StoredNote {
  std::string source;
  std::string key;
  std::optional<std::string> value;  ///< none: forgotten
};

/// Here the name of a log begins with whose it is: "logs/group/NAME".
using weir::KeptEvent;
using weir::KeptPage;
using weir::KeptRange;

/// What is kept together or not at all.
struct StoredBatch {
  StoredBatch() = default;

  std::vector<StoredEvent> events;
  std::vector<StoredNote> notes;
  std::vector<KeptEvent> kept;
};

/// Records that were given up on, with the event they would have been and AWS's own record of why.
struct DeadLetter {
  DeadLetter() = default;

  std::uint64_t id = 0;  ///< given by the store
  std::string source;    ///< "" for a call of the Invoke API
  std::string shard;     ///< "" for an asynchronous invocation
  std::string function;
  std::string qualifier;
  std::string record;   ///< AWS's on-failure record, JSON
  std::string payload;  ///< the event that was not handled, JSON
  WallTime at;
};

/// Which dead letters are meant. Every part that is set narrows it; nothing set means all.
struct DeadLetterFilter {
  DeadLetterFilter() = default;
  std::vector<std::uint64_t> ids;
  std::string function;
  std::string source;
  std::uint64_t after = 0;  ///< only ids above it
  std::uint64_t upto = std::numeric_limits<std::int64_t>::max();
};

/// Dead letters that wait as events again, as many as one transaction should have.
struct RedrivenPiece {
  RedrivenPiece() = default;
  std::vector<WaitingEvent> events;  ///< without payloads
  std::uint64_t last = 0;            ///< the id of the last letter that was looked at: where the next piece begins
  bool more = false;                 ///< whether others may be meant behind it
};

/// The asynchronous queue's memory. Everything is on disk, fsynced, when it returns; whoever waits while one fsync runs
/// shares the next. A store that refuses (store.full, store.failed) has kept nothing of what was asked, and goes on by
/// itself when it can.
class EventStore {
 public:
  virtual ~EventStore() = default;

  /// All of it in one transaction. Gives back its events, which have ids now.
  virtual net::awaitable<Result<std::vector<StoredEvent>>> append(StoredBatch batch) = 0;
  /// The whole event; store.not_found when there is none of that id.
  virtual net::awaitable<Result<StoredEvent>> load(std::uint64_t id) = 0;
  virtual net::awaitable<Result<void>> remember_retry(std::uint64_t id, int attempts, WallTime due) = 0;
  /// The event is over and forgotten. It need not share anybody's fsync at once: what a crash brings back is delivered
  /// again.
  virtual net::awaitable<Result<void>> settle(std::uint64_t id) = 0;
  /// Forgets the event and keeps the dead letter, or neither.
  virtual net::awaitable<Result<void>> bury(std::uint64_t id, DeadLetter letter) = 0;

  /// All events that wait, in order of id, in pieces, so that a million of them need no second copy.
  virtual net::awaitable<Result<void>> each_waiting(std::function<void(std::vector<WaitingEvent>)> take) = 0;

  /// Turns the oldest dead letters that are meant back into events that wait, with new request ids, accepted at `now`,
  /// in one transaction with the end of the dead letters. Who wants all asks again with `after` behind the piece.
  virtual net::awaitable<Result<RedrivenPiece>> redrive(DeadLetterFilter which, WallTime now) = 0;
  /// The newest `limit`, newest last. Without payloads and records unless `whole`.
  virtual net::awaitable<Result<std::vector<DeadLetter>>> list(DeadLetterFilter which, std::size_t limit,
                                                               bool whole) = 0;
  /// The oldest that are meant, whole: at most `limit`, and as many as may be in memory at a time. None: that is all.
  virtual net::awaitable<Result<std::vector<DeadLetter>>> list_piece(DeadLetterFilter which, std::size_t limit) = 0;

  /// The first of the events of a log that are wanted.
  virtual net::awaitable<Result<KeptPage>> kept(KeptRange range) = 0;
  /// Forgets the events of a log that are older.
  virtual net::awaitable<Result<void>> forget(std::string log, WallTime before) = 0;

  virtual net::awaitable<Result<void>> remember(std::vector<StoredNote> notes) = 0;
  virtual net::awaitable<Result<std::map<std::string, std::string>>> notes(std::string source) = 0;
};

/// What was given up on, by mappings and by the asynchronous queue.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  /// On disk, fsynced, when it returns.
  virtual net::awaitable<Result<void>> keep(DeadLetter letter) = 0;
};

}  // namespace weir::store
