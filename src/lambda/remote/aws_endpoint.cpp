#include "lambda/remote/aws_endpoint.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "aws/client.h"
#include "http/uri.h"
#include "lambda/remote/exchange_failure.h"
#include "lambda/remote/function_arn.h"
#include "lambda/remote/invoke_answer.h"
#include "lambda/remote/invoke_request.h"

namespace weir::remote {
namespace {

class AwsEndpoint final : public LambdaEndpoint {
 public:
  AwsEndpoint(std::unique_ptr<aws::Client> client, FunctionName function, Duration timeout, const Clock& clock)
      : state_(std::make_shared<State>(std::move(client), std::move(function), timeout, clock)) {}

  net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) override {
    return invoke(state_, std::move(invocation), deadline);
  }

  net::awaitable<void> close() override { return close(state_); }

 private:
  struct State {
    State(std::unique_ptr<aws::Client> whom, FunctionName what, Duration limit, const Clock& time)
        : client(std::move(whom)),
          function(std::move(what)),
          shown(http::without_secrets(client->url())),
          timeout(limit),
          clock(time) {}

    std::unique_ptr<aws::Client> client;
    FunctionName function;
    std::string shown;
    Duration timeout;
    const Clock& clock;
  };

  static net::awaitable<Outcome> invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline);
  static net::awaitable<void> close(std::shared_ptr<State> state) { co_await state->client->close(); }

  std::shared_ptr<State> state_;  ///< shared with the calls under way
};

net::awaitable<Outcome> AwsEndpoint::invoke(std::shared_ptr<State> state, Invocation invocation, Instant deadline) {
  const FunctionName& function = state->function;
  const std::string& qualifier = invocation.qualifier.empty() ? function.qualifier : invocation.qualifier;
  http::ClientRequest described = invoke_request(state->client->url(), function.function, qualifier, invocation);
  Instant sent_at = state->clock.now().instant;
  const Duration timeout = std::clamp<Duration>(deadline - sent_at, std::chrono::milliseconds(1), state->timeout);
  aws::ServiceRequest request;
  request.method = std::move(described.method);
  request.url = std::move(described.url);
  request.headers = std::move(described.headers);
  request.body = std::move(invocation.payload);
  request.timeout = timeout;
  request.response_max_bytes = kMaxResponseBytes;
  request.sent_at = &sent_at;
  aws::ServiceResult<http::Response> answer = co_await state->client->send(std::move(request));
  if (!answer) {
    const aws::ServiceError& error = answer.error();
    if (error.code == aws::kNoCredentials) {
      ServiceFailed failed;
      failed.status = 503;
      failed.type = error.code;
      failed.message = error.message;
      co_return Outcome(std::move(failed));
    }
    const ErrorCode code = error.code == aws::kCancelled ? ErrorCode::kCancelled : ErrorCode::kHttpFailed;
    co_return no_answer(Error(code, error.message), state->shown, timeout);
  }
  const AnswerContext context{state->shown, invocation.request_id, Dialect::kLambda};
  Outcome outcome = read_invoke_answer(std::move(*answer), context);
  const bool ran =
      std::holds_alternative<Succeeded>(outcome.what) || std::holds_alternative<FunctionFailed>(outcome.what);
  if (ran) outcome.duration = state->clock.now().instant - sent_at;
  co_return outcome;
}

}  // namespace

Result<std::unique_ptr<LambdaEndpoint>> make_aws_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                          AwsEndpointSettings settings, Log& log, const Clock& clock) {
  Result<FunctionName> function = parse_function_name(settings.arn);
  if (!function) return std::move(function.error());
  aws::ClientSettings asking;
  asking.name = settings.name.empty() ? settings.arn : settings.name;
  asking.service = "lambda";
  asking.arn_region = function->region;
  asking.access.region = std::move(settings.region);
  asking.access.endpoint_url = std::move(settings.endpoint_url);
  asking.access.profile = std::move(settings.profile);
  asking.environment = std::move(settings.environment);
  asking.metadata_pause = settings.metadata_pause;
  auto client = aws::Client::make(executor, std::move(blocking), std::move(asking), log, clock);
  if (!client) return std::move(client.error());
  return std::unique_ptr<LambdaEndpoint>(
      std::make_unique<AwsEndpoint>(std::move(*client), std::move(*function), settings.timeout, clock));
}

}  // namespace weir::remote
