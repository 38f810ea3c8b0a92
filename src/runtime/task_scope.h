#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <exception>
#include <memory>

#include "weir/base/time.h"

namespace weir::runtime {

namespace net = boost::asio;

/// Owns the coroutines it starts: none outlives it. The first one that throws cancels its siblings, and join() rethrows what it
/// threw. Everything happens on one executor, whose context runs in one thread.
///
/// A scope must be joined before it is destroyed; a coroutine may be spawned while others run, also by a sibling.
class TaskScope {
 public:
  explicit TaskScope(net::any_io_executor executor);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  /// Starts a coroutine. Its parameters are values, or references to what outlives the scope. After cancel() a new one is
  /// started and cancelled at its first suspension.
  void spawn(net::awaitable<void> task);

  /// Asks every coroutine to end: its pending operation completes with operation_aborted.
  void cancel();

  /// Waits until all have ended, then rethrows the first failure. Cancelling join() itself cancels the scope and still waits.
  net::awaitable<void> join();

  /// As join(), but what has not ended after `patience` is cancelled.
  net::awaitable<void> join_within(Duration patience);

  std::size_t running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with the completion handlers of the coroutines, which may run after the scope
};

}  // namespace weir::runtime
