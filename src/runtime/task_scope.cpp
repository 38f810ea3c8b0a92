#include "runtime/task_scope.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "weir/base/error.h"

namespace weir::runtime {

struct TaskScope::State {
  explicit State(net::any_io_executor where) : executor(std::move(where)), changed(executor) {
    changed.expires_at(net::steady_timer::time_point::max());
  }

  void cancel() {
    cancelled = true;
    // A cancelled coroutine may end at once and take itself off the list, so the next one is found first.
    for (auto it = signals.begin(); it != signals.end();) (it++)->emit(net::cancellation_type::all);
  }

  net::any_io_executor executor;
  net::steady_timer changed;  ///< never expires; cancelling it wakes join()
  std::list<net::cancellation_signal> signals;
  std::exception_ptr failure;
  bool cancelled = false;
};

TaskScope::TaskScope(net::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

TaskScope::~TaskScope() {
  // Not an assertion that throws: the scope may be left by another exception. What still runs keeps its state alive.
  if (!state_->signals.empty()) state_->cancel();
}

void TaskScope::spawn(net::awaitable<void> task) {
  state_->signals.emplace_back();
  const auto mine = std::prev(state_->signals.end());
  net::co_spawn(state_->executor, std::move(task),
                net::bind_cancellation_slot(mine->slot(), [state = state_, mine](std::exception_ptr failure) {
                  state->signals.erase(mine);
                  if (failure && !state->failure) {
                    state->failure = failure;
                    state->cancel();
                  }
                  state->changed.cancel();
                }));
  if (state_->cancelled) mine->emit(net::cancellation_type::all);
}

void TaskScope::cancel() { state_->cancel(); }

std::size_t TaskScope::running() const { return state_->signals.size(); }

net::awaitable<void> TaskScope::join() { return join_within(Duration::max()); }

net::awaitable<void> TaskScope::join_within(Duration patience) {
  const auto state = state_;
  // Being cancelled must not end the waiting, only hasten it: the coroutines refer to the caller's frame.
  co_await net::this_coro::reset_cancellation_state(net::enable_total_cancellation(), net::enable_total_cancellation());
  co_await net::this_coro::throw_if_cancelled(false);
  const bool bounded = patience != Duration::max();
  const auto deadline = std::chrono::steady_clock::now() + (bounded ? patience : Duration(0));
  while (!state->signals.empty()) {
    state->changed.expires_at(bounded && !state->cancelled ? deadline : net::steady_timer::time_point::max());
    boost::system::error_code error;
    co_await state->changed.async_wait(net::redirect_error(net::use_awaitable, error));
    const auto cancellation = co_await net::this_coro::cancellation_state;
    const bool called_off = cancellation.cancelled() != net::cancellation_type::none;
    const bool late = bounded && std::chrono::steady_clock::now() >= deadline;
    if ((called_off || late) && !state->cancelled) state->cancel();
    if (called_off) {
      co_await net::this_coro::reset_cancellation_state(net::disable_cancellation(), net::disable_cancellation());
    }
  }
  if (state->failure) std::rethrow_exception(state->failure);
}

}  // namespace weir::runtime
