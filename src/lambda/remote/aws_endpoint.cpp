#include "lambda/remote/aws_endpoint.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "weir/base/random.h"

#include "aws/addresses.h"
#include "aws/courier.h"
#include "aws/credential_fetcher.h"
#include "aws/credential_provider.h"
#include "http/sigv4.h"
#include "http/uri.h"
#include "lambda/remote/exchange_failure.h"
#include "lambda/remote/function_arn.h"
#include "lambda/remote/invoke_answer.h"
#include "lambda/remote/invoke_request.h"

namespace weir::remote {
namespace {

/// What AWS answers (403) to credentials that have ended or were taken back, unlike to those that lack a right.
bool are_credentials_refused(const Outcome& outcome) {
  constexpr std::array<std::string_view, 4> kTypes{"ExpiredTokenException", "ExpiredToken",
                                                   "UnrecognizedClientException", "InvalidClientTokenId"};
  const auto* failed = std::get_if<ServiceFailed>(&outcome.what);
  return failed != nullptr && failed->status == 403 &&
         std::find(kTypes.begin(), kTypes.end(), failed->type) != kTypes.end();
}

/// Where the function is.
struct Target {
  FunctionName function;
  std::string region;
  std::string url;
};

class AwsEndpoint final : public LambdaEndpoint {
 public:
  AwsEndpoint(const net::any_io_executor& executor, net::any_io_executor blocking, AwsEndpointSettings settings,
              Target target, Log& log, const Clock& clock)
      : state_(std::make_shared<State>(executor, std::move(blocking), std::move(settings), std::move(target), log,
                                       clock)) {}

  net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) override {
    return invoke(state_, std::move(invocation), deadline);
  }

  net::awaitable<void> close() override { return close(state_); }

 private:
  struct State {
    State(const net::any_io_executor& executor, net::any_io_executor blocking, AwsEndpointSettings what, Target where,
          Log& log, const Clock& time)
        : settings(std::move(what)),
          target(std::move(where)),
          shown(http::without_secrets(target.url)),
          clock(time),
          courier(executor),
          fetcher(std::move(blocking), courier, fetcher_settings(settings, target), time),
          provider(
              executor, [this] { return fetcher.fetch(); }, settings.name, log, time, seed_from_system()) {}

    static aws::CredentialFetcherSettings fetcher_settings(const AwsEndpointSettings& settings, const Target& target) {
      aws::CredentialFetcherSettings fetching;
      fetching.profile = settings.profile;
      fetching.region = target.region;
      fetching.environment = settings.environment;
      fetching.pause = settings.metadata_pause;
      return fetching;
    }

    AwsEndpointSettings settings;
    Target target;
    std::string shown;
    const Clock& clock;
    aws::Courier courier;
    aws::CredentialFetcher fetcher;
    aws::CredentialProvider provider;
  };

  static net::awaitable<Outcome> invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline);
  static net::awaitable<Outcome> call(std::shared_ptr<State> state, const Invocation& invocation, Instant deadline,
                                      const http::Credentials& credentials);
  static net::awaitable<void> close(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  ///< shared with the calls under way
};

net::awaitable<Outcome> AwsEndpoint::call(std::shared_ptr<State> state, const Invocation& invocation, Instant deadline,
                                          const http::Credentials& credentials) {
  const Target& target = state->target;
  const std::string& qualifier = invocation.qualifier.empty() ? target.function.qualifier : invocation.qualifier;
  http::ClientRequest request = invoke_request(target.url, target.function.function, qualifier, invocation);
  request.body = invocation.payload;
  const Moment begun = state->clock.now();
  const Duration timeout =
      std::clamp<Duration>(deadline - begun.instant, std::chrono::milliseconds(1), state->settings.timeout);
  request.timeout = timeout;
  request.connect_timeout = std::min(request.connect_timeout, timeout);
  request.response_max_bytes = kMaxResponseBytes;
  const auto parts = aws::split_url(request.url);
  WEIR_ASSERT(parts.has_value());
  http::SigningScope scope;
  scope.region = target.region;
  scope.service = "lambda";
  scope.at = begun.wall;
  http::sign(request.method, parts->host, parts->target, request.body, credentials, scope, request.headers);
  Result<http::Response> answer = co_await state->courier.send(std::move(request));
  if (!answer) co_return no_answer(answer.error(), state->shown, timeout);
  const AnswerContext context{state->shown, invocation.request_id, Dialect::kLambda};
  Outcome outcome = read_invoke_answer(std::move(*answer), context);
  const bool ran =
      std::holds_alternative<Succeeded>(outcome.what) || std::holds_alternative<FunctionFailed>(outcome.what);
  if (ran) outcome.duration = state->clock.now().instant - begun.instant;
  co_return outcome;
}

net::awaitable<Outcome> AwsEndpoint::invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline) {
  // Being cancelled is an outcome here, so it must not throw while the call is on its way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Outcome outcome;
  std::optional<http::Credentials> refused;
  for (;;) {
    const Result<http::Credentials> credentials = co_await state->provider.get(deadline);
    if (!credentials) {
      // That the first ones were refused says more than that there are no others.
      if (refused || credentials.error().code() == ErrorCode::kCancelled) break;
      ServiceFailed failed;
      failed.status = 503;
      failed.type = "CredentialsProviderError";
      failed.message = credentials.error().describe();
      outcome.what = std::move(failed);
      break;
    }
    const bool others = !refused || refused->access_key_id != credentials->access_key_id ||
                        refused->session_token != credentials->session_token;
    if (!others) break;
    outcome = co_await call(state, invocation, deadline, *credentials);
    if (refused || !are_credentials_refused(outcome)) break;
    // They ended, or were taken back, between two looks at the clock: others are fetched, and tried once.
    refused = *credentials;
    state->provider.refused(*credentials);
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return outcome;
}

net::awaitable<void> AwsEndpoint::close(std::shared_ptr<State> state) {
  state->fetcher.stop();
  co_await state->courier.close();
  co_await state->provider.close();
}

}  // namespace

Result<std::unique_ptr<LambdaEndpoint>> make_aws_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                          AwsEndpointSettings settings, Log& log, const Clock& clock) {
  if (!settings.environment) settings.environment = aws::process_environment();
  Result<FunctionName> function = parse_function_name(settings.arn);
  if (!function) return std::move(function.error());
  const Result<aws::AwsProfiles> profiles = aws::read_profiles(settings.environment);
  if (!profiles) return Error(profiles.error()).during("looking for the region");
  const std::string profile = aws::profile_name(settings.profile, settings.environment);
  Target target;
  target.region = aws::find_region(settings.region, function->region, settings.environment, *profiles, profile);
  target.function = std::move(*function);
  if (!aws::is_region(target.region)) {
    return Error(ErrorCode::kEndpointFailed,
                 target.region.empty() ? "the region of " + settings.arn +
                                             " is not known: give `region`, an ARN, AWS_REGION or the profile's region"
                                       : "\"" + target.region + "\" is no region");
  }
  target.url = settings.endpoint_url.empty()
                   ? aws::find_service_url("lambda", target.region, settings.environment, *profiles, profile)
                   : settings.endpoint_url;
  if (!aws::split_url(target.url))
    return Error(ErrorCode::kEndpointFailed, "\"" + http::without_secrets(target.url) + "\" is no address of Lambda");
  return std::unique_ptr<LambdaEndpoint>(
      std::make_unique<AwsEndpoint>(executor, std::move(blocking), std::move(settings), std::move(target), log, clock));
}

}  // namespace weir::remote
