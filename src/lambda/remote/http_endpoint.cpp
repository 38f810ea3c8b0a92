#include "lambda/remote/http_endpoint.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "aws/courier.h"
#include "http/uri.h"
#include "lambda/remote/exchange_failure.h"
#include "lambda/remote/invoke_answer.h"
#include "lambda/remote/invoke_request.h"
#include "lambda/remote/url_pool.h"

namespace weir::remote {
namespace {

/// Waits for a place at a URL; on the frame of invoke().
struct Waiter {
  Waiter(const net::any_io_executor& executor, const std::vector<bool>& been) : woken(executor), tried(been) {}
  net::steady_timer woken;
  const std::vector<bool>& tried;  ///< where it does not go; none: empty
  std::optional<std::size_t> url;
};

ServiceFailed service_failed(int status, std::string message) {
  ServiceFailed failed;
  failed.status = status;
  failed.message = std::move(message);
  return failed;
}

net::steady_timer::time_point timer_time(Instant instant) {
  return net::steady_timer::time_point(instant.time_since_epoch());
}

class HttpEndpoint final : public LambdaEndpoint {
 public:
  HttpEndpoint(net::any_io_executor executor, HttpEndpointSettings settings, Log& log, const Clock& clock)
      : state_(std::make_shared<State>(std::move(executor), std::move(settings), log, clock)) {}

  net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) override {
    return invoke(state_, std::move(invocation), deadline);
  }

  net::awaitable<void> close() override { return close(state_); }

 private:
  struct State {
    State(net::any_io_executor where, HttpEndpointSettings what, Log& bridge_log, const Clock& time)
        : executor(where),
          settings(std::move(what)),
          log(bridge_log),
          clock(time),
          courier(where),
          pool(settings.urls.size(), settings.requests_per_url, seed_from_system()) {
      for (const std::string& url : settings.urls) shown.push_back(http::without_secrets(url));
    }

    void give_places(Instant now);
    void wake_oldest();
    void unreachable(std::size_t url, const Error& error);
    void reached(std::size_t url);

    net::any_io_executor executor;
    HttpEndpointSettings settings;
    std::vector<std::string> shown;
    Log& log;
    const Clock& clock;
    aws::Courier courier;
    UrlPool pool;
    std::deque<Waiter*> waiters;  ///< oldest first; bound: the concurrency that the ledger grants
    bool closed = false;
  };

  /// A place at a URL, given back however the call ends.
  class Place {
   public:
    Place(std::shared_ptr<State> state, std::size_t url) : state_(std::move(state)), url_(url) {}
    ~Place() {
      state_->pool.release(url_);
      state_->give_places(state_->clock.now().instant);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::shared_ptr<State> state_;
    std::size_t url_;
  };

  static net::awaitable<Outcome> invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline);
  static net::awaitable<Outcome> call(std::shared_ptr<State> state, Invocation& invocation, Instant deadline);
  static net::awaitable<std::optional<std::size_t>> wait_for_place(std::shared_ptr<State> state, Instant until,
                                                                   const std::vector<bool>& tried);
  static net::awaitable<void> close(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  ///< shared with the calls under way
};

/// Gives places to those who wait, oldest first.
void HttpEndpoint::State::give_places(Instant now) {
  for (auto next = waiters.begin(); next != waiters.end();) {
    Waiter& waiter = **next;
    const std::optional<std::size_t> url = pool.acquire(now, waiter.tried);
    if (url) {
      next = waiters.erase(next);
      waiter.url = *url;
      waiter.woken.cancel();
    } else if (waiter.tried.empty()) {
      break;  // there is no place for anybody
    } else {
      ++next;
    }
  }
  wake_oldest();
}

/// The oldest waits for the time too; what it waits for may have changed, or it may be the oldest only now.
void HttpEndpoint::State::wake_oldest() {
  if (!waiters.empty()) waiters.front()->woken.cancel();
}

void HttpEndpoint::State::unreachable(std::size_t url, const Error& error) {
  if (!pool.on_unreachable(clock.now().instant, url)) return;
  log.warn("endpoint.unreachable",
           {{"function", settings.name}, {"url", shown[url]}, {"reason", std::string_view(error.message())}});
}

void HttpEndpoint::State::reached(std::size_t url) {
  if (!pool.on_reached(url)) return;
  log.info("endpoint.recovered", {{"function", settings.name}, {"url", shown[url]}});
  give_places(clock.now().instant);
}

/// A place, or nothing because `until` came, the endpoint was closed or the caller called it off. A call that has tried
/// a URL waited its turn once, and goes before those who wait already.
net::awaitable<std::optional<std::size_t>> HttpEndpoint::wait_for_place(std::shared_ptr<State> state, Instant until,
                                                                        const std::vector<bool>& tried) {
  Waiter waiter(state->executor, tried);
  state->waiters.insert(tried.empty() ? state->waiters.end() : state->waiters.begin(), &waiter);
  // Also when this frame is destroyed with its context.
  struct Leave {
    State& state;
    Waiter& waiter;
    ~Leave() {
      if (std::erase(state.waiters, &waiter) > 0) state.wake_oldest();
    }
  } leave{*state, waiter};
  for (;;) {
    const Instant now = state->clock.now().instant;
    state->give_places(now);
    if (waiter.url || state->closed || now >= until) break;
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) break;
    const bool oldest = state->waiters.front() == &waiter;
    const Instant wake = oldest ? std::min(until, state->pool.wake_at(now).value_or(until)) : until;
    waiter.woken.expires_at(timer_time(wake));
    boost::system::error_code woken;
    co_await waiter.woken.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  if (!waiter.url || !state->closed) co_return waiter.url;
  const Place given_back(state, *waiter.url);
  co_return std::nullopt;
}

net::awaitable<Outcome> HttpEndpoint::call(std::shared_ptr<State> state, Invocation& invocation, Instant deadline) {
  const std::size_t tries = state->settings.urls.size();
  const Instant patience = state->clock.now().instant + state->settings.timeout;
  std::vector<bool> tried;
  for (std::size_t attempt = 1;; ++attempt) {
    const std::optional<std::size_t> url = co_await wait_for_place(state, std::min(deadline, patience), tried);
    if (!url) {
      if (state->clock.now().instant < std::min(deadline, patience)) co_return Outcome(Cancelled{});
      const std::string limit =
          deadline <= patience ? "before the caller's deadline" : "within " + in_seconds(state->settings.timeout);
      co_return Outcome(service_failed(
          504, "function " + state->settings.name + ": no server was free " + limit + " (" + std::to_string(tries) +
                   " of them, " + std::to_string(state->settings.requests_per_url) + " calls at a time)"));
    }
    tried.resize(tries);
    tried[*url] = true;
    const Place place(state, *url);
    http::ClientRequest request =
        invoke_request(state->settings.urls[*url], state->settings.function_name, invocation.qualifier, invocation);
    // Newer RIEs call the invocation by it, so that a retry is known by its id; others ignore it.
    if (!invocation.request_id.empty()) request.headers.add("X-Amzn-RequestId", invocation.request_id);
    const bool last = attempt == tries;
    request.body = last ? std::move(invocation.payload) : invocation.payload;
    const Instant begun = state->clock.now().instant;
    const Duration timeout =
        std::clamp<Duration>(deadline - begun, std::chrono::milliseconds(1), state->settings.timeout);
    request.timeout = timeout;
    request.connect_timeout = std::min(request.connect_timeout, timeout);
    request.response_max_bytes = kMaxResponseBytes;
    Result<http::Response> answer = co_await state->courier.send(std::move(request));
    if (!answer) {
      const Error& error = answer.error();
      if (error.code() != ErrorCode::kCancelled && kind_of(error) == ExchangeFailure::kUnreachable) {
        state->unreachable(*url, error);
        if (!last) continue;  // it certainly did not run: another server may have it
      }
      co_return no_answer(error, state->shown[*url], timeout);
    }
    state->reached(*url);
    const AnswerContext context{state->shown[*url], invocation.request_id, Dialect::kCompatible};
    Outcome outcome = read_invoke_answer(std::move(*answer), context);
    const bool ran =
        std::holds_alternative<Succeeded>(outcome.what) || std::holds_alternative<FunctionFailed>(outcome.what);
    if (ran) outcome.duration = state->clock.now().instant - begun;
    co_return outcome;
  }
}

net::awaitable<Outcome> HttpEndpoint::invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline) {
  // Being cancelled is an outcome here, so it must not throw while the call is on its way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Outcome outcome = co_await call(state, invocation, deadline);
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return outcome;
}

net::awaitable<void> HttpEndpoint::close(std::shared_ptr<State> state) {
  state->closed = true;
  for (Waiter* waiter : state->waiters) waiter->woken.cancel();
  co_await state->courier.close();
}

}  // namespace

Result<std::unique_ptr<LambdaEndpoint>> make_http_endpoint(net::any_io_executor executor, HttpEndpointSettings settings,
                                                           Log& log, const Clock& clock) {
  if (settings.urls.empty() || settings.requests_per_url < 1) {
    return Error(ErrorCode::kEndpointFailed,
                 "function " + settings.name + " needs a url, and at least one request at a time for each");
  }
  return std::unique_ptr<LambdaEndpoint>(
      std::make_unique<HttpEndpoint>(std::move(executor), std::move(settings), log, clock));
}

}  // namespace weir::remote
