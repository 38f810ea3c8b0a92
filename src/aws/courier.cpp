#include "aws/courier.h"

#include <optional>
#include <set>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/task_scope.h"

namespace weir::aws {

/// One exchange. Its coroutine runs in a scope of its own, so that close() can end it while its sender waits.
struct Courier::Flight {
  explicit Flight(const net::any_io_executor& executor) : scope(executor), done(executor) {
    done.expires_at(net::steady_timer::time_point::max());
  }
  runtime::TaskScope scope;
  net::steady_timer done;  ///< never expires; cancelling it wakes the sender
  bool ended = false;
  std::optional<Result<http::Response>> result;
};

struct Courier::State {
  explicit State(net::any_io_executor where) : executor(where), client(where), landed(where) {
    landed.expires_at(net::steady_timer::time_point::max());
  }
  net::any_io_executor executor;
  http::Client client;
  std::set<std::shared_ptr<Flight>> flights;  ///< shared with their senders
  net::steady_timer landed;                   ///< never expires; cancelling it wakes close()
  bool closed = false;
};

Courier::Courier(net::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
Courier::~Courier() = default;

/// Tells the sender that its exchange is over, however it ended: a coroutine that is cancelled before it begins only
/// has its arguments destroyed.
class Courier::Ending {
 public:
  explicit Ending(std::shared_ptr<Flight> flight) : flight_(std::move(flight)) {}
  Ending(Ending&& other) noexcept : flight_(std::move(other.flight_)) {}
  Ending& operator=(Ending&&) = delete;
  ~Ending() {
    if (!flight_) return;
    flight_->ended = true;
    flight_->done.cancel();
  }
  Flight& flight() const { return *flight_; }

 private:
  std::shared_ptr<Flight> flight_;
};

net::awaitable<void> Courier::carry(std::shared_ptr<State> state, Ending ending, http::ClientRequest request) {
  ending.flight().result.emplace(co_await state->client.send(std::move(request)));
}

net::awaitable<Result<http::Response>> Courier::send(http::ClientRequest request) {
  const std::shared_ptr<State> state = state_;
  if (state->closed) co_return Error(ErrorCode::kCancelled, "the endpoint is closed");
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);

  const auto flight = std::make_shared<Flight>(state->executor);
  state->flights.insert(flight);
  // Also when this frame is destroyed with its context.
  struct Land {
    State& state;
    const std::shared_ptr<Flight>& flight;
    ~Land() {
      state.flights.erase(flight);
      state.landed.cancel();
    }
  } land{*state, flight};

  flight->scope.spawn(carry(state, Ending(flight), std::move(request)));
  bool called_off = false;
  while (!flight->ended) {
    if (!called_off && (co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) {
      called_off = true;
      flight->scope.cancel();
    }
    boost::system::error_code woken;
    co_await flight->done.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_await flight->scope.join();
  co_await net::this_coro::throw_if_cancelled(throws);
  if (!flight->result) co_return Error(ErrorCode::kCancelled, "the request was called off");
  co_return std::move(*flight->result);
}

net::awaitable<void> Courier::close() {
  const std::shared_ptr<State> state = state_;
  state->closed = true;
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  const std::set<std::shared_ptr<Flight>> flights = state->flights;
  for (const auto& flight : flights) {
    flight->scope.cancel();
    flight->done.cancel();
  }
  while (!state->flights.empty()) {
    boost::system::error_code woken;
    co_await state->landed.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_await net::this_coro::throw_if_cancelled(throws);
}

}  // namespace weir::aws
