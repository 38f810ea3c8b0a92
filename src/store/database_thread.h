#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "store/database.h"

namespace weir::store {

namespace net = boost::asio;

/// When a job has to be done.
enum class Urgency {
  kNow,
  kOnDisk,  ///< at once, and fsynced also where the file's transactions are not
  /// With the next job that is urgent, or after the thread's patience, and then without an fsync: its transaction is
  /// there after the process was killed, but a power loss may undo it.
  kLazy,
};

/// The store's thread for one connection: jobs that come while a transaction runs are done together in the next one, so
/// that they share its fsync. Its queue is bounded by the callers, each of whom has one job under way.
class DatabaseThread {
 public:
  /// May be called again when the transaction it was part of is tried again without it, or in smaller parts: what it
  /// reports it reports anew each time.
  using Job = std::function<Result<void>(Database&)>;

  struct Limits {
    Duration patience = std::chrono::milliseconds(20);  ///< how long a lazy job waits for company
    std::size_t group_max = 512;                        ///< jobs of one transaction; the others wait for the next
    /// The write-ahead log is written back to the file when it has so many pages. Between two transactions, so that
    /// only those wait who come right then: at 16 MB, one group of some hundreds.
    int log_pages = 4096;
  };

  explicit DatabaseThread(Database database) : DatabaseThread(std::move(database), Limits()) {}
  DatabaseThread(Database database, Limits limits);
  ~DatabaseThread();  ///< does what is queued, then ends the thread
  DatabaseThread(const DatabaseThread&) = delete;
  DatabaseThread& operator=(const DatabaseThread&) = delete;

  /// Done, in a committed transaction, when it returns; on an error nothing of it was kept. A job that fails does not
  /// harm those it shares the transaction with. A commit that failed is undone on the disk too, and when that is not
  /// possible either, before anything else is committed: only a crash before that can bring it back.
  net::awaitable<Result<void>> perform(Job job, Urgency urgency = Urgency::kNow);
  /// The same for callers that may block.
  Result<void> perform_and_wait(Job job);

 private:
  struct Waiting;
  struct Inbox;
  class Flush;
  using Group = std::span<Waiting>;

  void run();
  static void answer(std::vector<Waiting> group);
  void commit(Group group);
  Result<void> commit_in_parts(Group group);
  Result<void> try_commit(Group group, bool savepoints, bool& a_job_failed);
  Result<void> end_doubt();
  void write_back();

  Database database_;
  const Limits limits_;
  const Database::Synchronous synchronous_;
  /// Something failed in a way that leaves open what is on the disk.
  bool in_doubt_ = false;
  int written_back_ = 0;  ///< pages of the log that the last checkpoint dealt with
  /// Shared with what was posted to an executor to wake the thread, which may outlive this.
  std::shared_ptr<Inbox> inbox_;
  std::thread thread_;
};

}  // namespace weir::store
