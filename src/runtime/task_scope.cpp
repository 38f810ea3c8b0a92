#include "runtime/task_scope.h"

#include <exception>
#include <list>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::runtime {
namespace {

/// A cancelled coroutine that goes on to await something gets operation_aborted thrown at it by asio: an end, not a
/// failure.
bool was_called_off(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == net::error::operation_aborted;
  } catch (const std::exception&) {
    return false;
  }
}

/// Suspends once before the task begins. A coroutine that is cancelled and ends without ever having been suspended
/// makes asio 1.81 throw out of io_context::run(): its last step, a post, is refused to what is cancelled.
net::awaitable<void> begin_later(net::awaitable<void> task) {
  co_await net::post(net::use_awaitable);
  co_await std::move(task);
}

}  // namespace

struct TaskScope::State {
  explicit State(net::any_io_executor where) : executor(std::move(where)), changed(executor) {
    changed.expires_at(net::steady_timer::time_point::max());
  }

  void cancel() {
    cancelled = true;
    // A cancelled coroutine may end at once, and take itself or, by what it does, others off the list.
    const std::vector<std::shared_ptr<net::cancellation_signal>> all(signals.begin(), signals.end());
    for (const auto& signal : all) signal->emit(net::cancellation_type::all);
  }

  net::any_io_executor executor;
  net::steady_timer changed;  ///< never expires; cancelling it wakes join()
  std::list<std::shared_ptr<net::cancellation_signal>> signals;
  std::exception_ptr failure;
  bool cancelled = false;
};

TaskScope::TaskScope(net::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

TaskScope::~TaskScope() {
  // Not an assertion that throws: the scope may be left by another exception. What still runs keeps its state alive.
  if (!state_->signals.empty()) state_->cancel();
}

void TaskScope::spawn(net::awaitable<void> task) {
  const auto signal = std::make_shared<net::cancellation_signal>();
  const auto mine = state_->signals.insert(state_->signals.end(), signal);
  net::co_spawn(state_->executor, begin_later(std::move(task)),
                net::bind_cancellation_slot(signal->slot(), [state = state_, mine](std::exception_ptr failure) {
                  state->signals.erase(mine);
                  if (failure && state->cancelled && was_called_off(failure)) failure = nullptr;
                  if (failure && !state->failure) {
                    state->failure = failure;
                    state->cancel();
                  }
                  state->changed.cancel();
                }));
  if (state_->cancelled) signal->emit(net::cancellation_type::all);
}

void TaskScope::cancel() {
  state_->cancel();
}

std::size_t TaskScope::running() const {
  return state_->signals.size();
}

net::awaitable<void> TaskScope::join() {
  const auto state = state_;
  while (!state->signals.empty()) {
    boost::system::error_code woken;
    co_await state->changed.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  if (state->failure) std::rethrow_exception(state->failure);
}

}  // namespace weir::runtime
