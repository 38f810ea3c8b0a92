#include "aws/courier.h"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::aws {

struct Courier::State {
  explicit State(const net::any_io_executor& executor) : client(executor), landed(executor) {
    landed.expires_at(net::steady_timer::time_point::max());
  }
  http::Client client;
  std::size_t flights = 0;
  net::steady_timer landed;  ///< never expires; cancelling it wakes close()
  bool closed = false;
};

Courier::Courier(net::any_io_executor executor) : state_(std::make_shared<State>(executor)) {}
Courier::~Courier() = default;

net::awaitable<Result<http::Response>> Courier::send(http::ClientRequest request) {
  return carry(state_, std::move(request));
}

net::awaitable<Result<http::Response>> Courier::carry(std::shared_ptr<State> state, http::ClientRequest request) {
  if (state->closed) co_return Error(ErrorCode::kCancelled, "the endpoint is closed");
  ++state->flights;
  // Also when this frame is destroyed with its context.
  struct Land {
    State& state;
    ~Land() {
      --state.flights;
      state.landed.cancel();
    }
  } const land{*state};
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Result<http::Response> answer = co_await state->client.send(std::move(request));
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return answer;
}

net::awaitable<void> Courier::close() {
  const std::shared_ptr<State> state = state_;
  state->closed = true;
  state->client.call_off();
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  while (state->flights > 0) {
    boost::system::error_code woken;
    co_await state->landed.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_await net::this_coro::throw_if_cancelled(throws);
}

}  // namespace weir::aws
