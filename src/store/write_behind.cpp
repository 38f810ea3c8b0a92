#include "store/write_behind.h"

#include <future>
#include <memory>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::store {

WriteBehind::WriteBehind(Database database) : database_(std::move(database)), thread_([this] { run(); }) {}

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void WriteBehind::submit(Waiting waiting) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(waiting));
  }
  changed_.notify_one();
}

net::awaitable<Result<void>> WriteBehind::perform(Job job) {
  auto initiate = [this](auto handler, Job what) {
    // The handler runs on its own executor; work is counted there while the store's thread has the job.
    auto executor = net::prefer(net::get_associated_executor(handler), net::execution::outstanding_work.tracked);
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    submit({std::move(what), [shared, executor](Result<void> result) {
              net::post(executor,
                        [shared, result = std::move(result)]() mutable { std::move (*shared)(std::move(result)); });
            }});
  };
  // A write under way is not called off: cancelling would leave its outcome unknown.
  co_return co_await net::async_initiate<const net::use_awaitable_t<>&, void(Result<void>)>(
      initiate, net::use_awaitable, std::move(job));
}

Result<void> WriteBehind::perform_and_wait(Job job) {
  std::promise<Result<void>> promise;
  auto result = promise.get_future();
  submit({std::move(job), [&promise](Result<void> done) { promise.set_value(std::move(done)); }});
  return result.get();
}

void WriteBehind::run() {
  for (;;) {
    std::vector<Waiting> group;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      group.swap(queue_);
    }
    commit_together(group);
  }
}

void WriteBehind::commit_together(std::vector<Waiting>& group) {
  std::vector<Result<void>> results;
  Result<void> committed = database_.execute("BEGIN IMMEDIATE");
  if (committed) {
    for (Waiting& each : group) {
      Result<void> done = database_.execute("SAVEPOINT job");
      if (done) done = each.job(database_);
      if (!done && database_.in_autocommit()) {
        // SQLite gave up the whole transaction, as it may on a full disk: nobody's write was kept.
        committed = done.error();
        break;
      }
      Result<void> ended = database_.execute(done ? "RELEASE job" : "ROLLBACK TO job; RELEASE job");
      results.push_back(done ? std::move(ended) : std::move(done));
    }
    if (committed) committed = database_.execute("COMMIT");
    // A failed commit may or may not have ended the transaction.
    if (!committed && !database_.in_autocommit()) static_cast<void>(database_.execute("ROLLBACK"));
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].done(committed ? std::move(results[i]) : Result<void>(committed.error()));
  }
}

}  // namespace weir::store
