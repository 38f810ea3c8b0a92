#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "store/database.h"

namespace weir::store {

namespace net = boost::asio;

/// The store's thread for one file: jobs that come while a transaction runs are done together in the next one, so that
/// they share its fsync. Its queue is bounded by the callers: a shard has one write under way.
class WriteBehind {
 public:
  using Job = std::function<Result<void>(Database&)>;

  explicit WriteBehind(Database database);
  ~WriteBehind();  ///< does what is queued, then ends the thread

  /// Done, in a committed transaction, when it returns. A job that fails does not harm those it shares the transaction
  /// with.
  net::awaitable<Result<void>> perform(Job job);
  /// The same for callers that may block.
  Result<void> perform_and_wait(Job job);

 private:
  struct Waiting {
    Job job;
    std::function<void(Result<void>)> done;  ///< called on the store's thread
  };
  void submit(Waiting waiting);
  void run();
  void commit_together(std::vector<Waiting>& group);

  Database database_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting> queue_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace weir::store
