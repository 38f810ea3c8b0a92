#include "aws/credential_provider.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/random.h"

#include "runtime/task_scope.h"

namespace weir::aws {
namespace {

/// How long before their end credentials are fetched again, and what is added at random: many programs of one machine
/// should not ask at one time.
constexpr Duration kEarly = std::chrono::minutes(5);
constexpr Duration kEarlyMore = std::chrono::minutes(1);
/// The least time between two fetches while there are credentials that serve.
constexpr Duration kPatience = std::chrono::seconds(10);
/// For how long a failure is the answer without asking again: many calls may wait for credentials at once.
constexpr Duration kFailureKept = std::chrono::seconds(1);
/// For how long ended credentials of an instance go on being used. Their service may be down, and AWS takes them for
/// longer than they say; botocore does the same.
constexpr Duration kLate = std::chrono::minutes(10);

bool same(const http::Credentials& a, const http::Credentials& b) {
  return a.access_key_id == b.access_key_id && a.secret_access_key == b.secret_access_key &&
         a.session_token == b.session_token;
}

}  // namespace

struct CredentialProvider::State {
  State(net::any_io_executor executor, Fetch how, std::string function, Log& bridge_log, const Clock& time,
        std::uint64_t seed)
      : fetch(std::move(how)),
        name(std::move(function)),
        log(bridge_log),
        clock(time),
        random(seed),
        changed(executor),
        scope(executor) {
    changed.expires_at(net::steady_timer::time_point::max());
  }

  bool serves(WallTime now) const { return current && (!current->expires_at || now < *current->expires_at); }
  void start(std::shared_ptr<State> self);
  static net::awaitable<void> run(std::shared_ptr<State> self);
  void take(FetchedCredentials fetched);
  void fail(Error error);

  Fetch fetch;
  std::string name;
  Log& log;
  const Clock& clock;
  Random random;
  std::optional<http::Credentials> current;
  std::string from;                    ///< where `current` is from
  std::optional<WallTime> refresh_at;  ///< of `current`; none: it does not end
  std::optional<Instant> next_try;     ///< not before this, while `current` serves or the failure is kept
  std::optional<Error> failure;        ///< of the last fetch
  bool fetching = false;
  bool closed = false;
  net::steady_timer changed;  ///< never expires; cancelling it wakes those who wait
  runtime::TaskScope scope;   ///< last, so that it goes first
};

void CredentialProvider::State::start(std::shared_ptr<State> self) {
  fetching = true;
  scope.spawn(run(std::move(self)));
}

net::awaitable<void> CredentialProvider::State::run(std::shared_ptr<State> self) {
  std::optional<Result<FetchedCredentials>> fetched;
  try {
    fetched.emplace(co_await self->fetch());
  } catch (const std::exception& thrown) {
    fetched.emplace(Error(self->closed ? ErrorCode::kCancelled : ErrorCode::kInternal, thrown.what()));
  }
  self->fetching = false;
  if (*fetched) {
    self->take(std::move(**fetched));
  } else {
    self->fail(std::move(fetched->error()));
  }
  self->changed.cancel();
}

void CredentialProvider::State::take(FetchedCredentials fetched) {
  const Moment now = clock.now();
  if (fetched.credentials.expires_at && *fetched.credentials.expires_at <= now.wall && !fetched.renewable_late) {
    fail(Error(ErrorCode::kEndpointFailed, "the credentials from " + fetched.from + " had ended already, at " +
                                               iso_milliseconds(*fetched.credentials.expires_at) +
                                               "; is the clock of this machine right?"));
    return;
  }
  const bool news = failure || fetched.from != from;
  failure.reset();
  next_try.reset();
  refresh_at.reset();
  current = std::move(fetched.credentials);
  from = std::move(fetched.from);
  const auto more = [&](Duration most) {
    return Duration(static_cast<Duration::rep>(random.unit() * static_cast<double>(most.count())));
  };
  if (current->expires_at && fetched.renewable_late && *current->expires_at <= now.wall + kPatience) {
    current->expires_at = now.wall + kLate;
    refresh_at = now.wall + kLate / 2 + more(kLate / 4);
    log.warn("credentials.ended", {{"used_by", name}, {"source", from}, {"used_on_for_s", as_seconds(kLate)}});
  } else if (current->expires_at) {
    refresh_at = std::max(now.wall + kPatience, *current->expires_at - kEarly - more(kEarlyMore));
  }
  const std::string end = current->expires_at ? iso_milliseconds(*current->expires_at) : "never";
  log.write(news ? LogLevel::kInfo : LogLevel::kDebug, "credentials.fetched",
            std::initializer_list<LogField>{{"used_by", name}, {"source", from}, {"expires", end}});
}

void CredentialProvider::State::fail(Error error) {
  const Moment now = clock.now();
  next_try = now.instant + (serves(now.wall) ? kPatience : kFailureKept);
  if (error.code() != ErrorCode::kCancelled && !failure)
    log.warn("credentials.failed", {{"used_by", name}, {"reason", error.describe()}});
  failure = std::move(error);
}

CredentialProvider::CredentialProvider(net::any_io_executor executor, Fetch fetch, std::string name, Log& log,
                                       const Clock& clock, std::uint64_t seed)
    : state_(std::make_shared<State>(std::move(executor), std::move(fetch), std::move(name), log, clock, seed)) {}
CredentialProvider::~CredentialProvider() = default;

net::awaitable<Result<http::Credentials>> CredentialProvider::get(Instant deadline) {
  const std::shared_ptr<State> state = state_;
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Result<http::Credentials> answer = Error(ErrorCode::kCancelled, "the endpoint is closed");
  bool waited = false;
  while (!state->closed) {
    const Moment now = state->clock.now();
    const bool may_try = !state->fetching && (!state->next_try || *state->next_try <= now.instant);
    if (state->serves(now.wall)) {
      if (may_try && state->refresh_at && *state->refresh_at <= now.wall) state->start(state);
      answer = *state->current;
      break;
    }
    // A failure is the answer to all who waited for it.
    if (!state->fetching && state->failure && (waited || !may_try)) {
      answer = *state->failure;
      break;
    }
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) {
      answer = Error(ErrorCode::kCancelled, "the call was called off");
      break;
    }
    if (now.instant >= deadline) {
      answer = Error(ErrorCode::kEndpointFailed, "credentials were not there before the caller's deadline");
      break;
    }
    if (may_try) state->start(state);
    // A timer of one's own for the deadline would be needed only by those who wait; it ends with this frame.
    net::steady_timer late(co_await net::this_coro::executor);
    late.expires_at(net::steady_timer::time_point(deadline.time_since_epoch()));
    late.async_wait([state](const boost::system::error_code& called_off) {
      if (!called_off) state->changed.cancel();
    });
    boost::system::error_code woken;
    co_await state->changed.async_wait(net::redirect_error(net::use_awaitable, woken));
    waited = true;
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return answer;
}

void CredentialProvider::refused(const http::Credentials& credentials) {
  State& state = *state_;
  if (!state.current || !same(*state.current, credentials)) return;
  state.current.reset();
  state.refresh_at.reset();
  state.next_try.reset();
}

net::awaitable<void> CredentialProvider::close() {
  const std::shared_ptr<State> state = state_;
  state->closed = true;
  state->changed.cancel();
  state->scope.cancel();
  co_await state->scope.join();
}

}  // namespace weir::aws
