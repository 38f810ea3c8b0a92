#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace weir::runtime {

namespace net = boost::asio;

/// Owns the coroutines it starts: none outlives the scope's join(). The first one that throws cancels its siblings, and
/// join() rethrows what it threw. Everything happens on one executor, whose context runs in one thread.
///
/// Cancelling reaches the operation that a coroutine waits for; a coroutine that goes on to await more gets
/// operation_aborted thrown at it by asio, which is an end and no failure. So scopes hold leaves (one read, one call);
/// what holds scopes is told to stop by a method of its own and is never cancelled this way, for it has to wait for its
/// leaves.
class TaskScope {
 public:
  explicit TaskScope(net::any_io_executor executor);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  /// Starts a coroutine, at the next turn of the executor. Its parameters are values, or references to what outlives
  /// join(). After cancel() a new one ends before it begins.
  void spawn(net::awaitable<void> task);

  /// Asks every coroutine to end.
  void cancel();

  /// Waits until all have ended, then rethrows the first failure.
  net::awaitable<void> join();

  std::size_t running() const;

 private:
  struct State;
  std::shared_ptr<State>
      state_;  ///< shared with the completion handlers of the coroutines, which may run after the scope
};

}  // namespace weir::runtime
