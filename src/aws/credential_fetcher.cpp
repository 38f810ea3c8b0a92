#include "aws/credential_fetcher.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "aws/addresses.h"
#include "aws/run_program.h"
#include "aws/xml_text.h"
#include "http/uri.h"
#include "runtime/offload.h"

namespace weir::aws {
namespace {

constexpr Duration kStsTimeout = std::chrono::seconds(30);
constexpr Duration kContainerTimeout = std::chrono::seconds(2);
constexpr int kContainerAttempts = 3;
constexpr std::size_t kAnswerMax = 256U << 10U;
constexpr std::size_t kTokenMax = 64U << 10U;
constexpr std::string_view kTokenLifetime = "21600";
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";

Error failed(std::string message) {
  return {ErrorCode::kEndpointFailed, std::move(message)};
}

/// A token file's content, without the newline at its end. What else is no header's value is refused.
Result<std::string> read_token(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string token;
  if (file) token.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || file.bad()) return failed("the token file " + path + " cannot be read");
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (token.empty()) return failed("the token file " + path + " is empty");
  if (token.size() > kTokenMax || token.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    return failed("the token file " + path + " holds no token");
  return token;
}

Result<FetchedCredentials> named(Result<http::Credentials> credentials, const CredentialSource& source) {
  if (!credentials) return std::move(credentials.error()).during("getting credentials from " + describe(source));
  FetchedCredentials fetched;
  fetched.credentials = std::move(*credentials);
  fetched.from = describe(source);
  fetched.renewable_late = std::holds_alternative<InstanceMetadata>(source.what);
  return fetched;
}

}  // namespace

struct CredentialFetcher::State {
  State(net::any_io_executor where, Courier& sender, CredentialFetcherSettings what, const Clock& time,
        ClockSkew& difference)
      : blocking(std::move(where)), courier(sender), settings(std::move(what)), clock(time), skew(difference) {}

  using Got = Result<http::Credentials>;

  net::awaitable<Result<FetchedCredentials>> fetch();
  /// Each gets credentials from one kind of source. The source is in the frame of fetch(), as are the profiles.
  net::awaitable<Got> get(const CredentialSource& source);
  net::awaitable<Got> from(const StaticKeys& keys);
  net::awaitable<Got> from(const WebIdentity& identity);
  net::awaitable<Got> from(const AssumedRole& role);
  net::awaitable<Got> from(const CredentialProcess& process);
  net::awaitable<Got> from(const ContainerMetadata& container);
  net::awaitable<Got> from(const InstanceMetadata& instance);
  net::awaitable<Got> ask_sts(std::string form, const http::Credentials* signer, std::vector<std::string> secrets);
  net::awaitable<Result<http::Response>> ask_instance(const InstanceMetadata& instance, std::string path,
                                                      std::string token);
  net::awaitable<Result<http::Response>> ask(http::ClientRequest request);
  net::awaitable<void> pause();

  net::any_io_executor blocking;
  Courier& courier;
  CredentialFetcherSettings settings;
  const Clock& clock;
  ClockSkew& skew;
  std::string sts_url;                 ///< as the files of this fetch say
  std::atomic<bool> stopping = false;  ///< read on `blocking`
};

CredentialFetcher::CredentialFetcher(net::any_io_executor blocking, Courier& courier,
                                     CredentialFetcherSettings settings, const Clock& clock, ClockSkew& skew)
    : state_(std::make_shared<State>(std::move(blocking), courier, std::move(settings), clock, skew)) {}
CredentialFetcher::~CredentialFetcher() = default;

void CredentialFetcher::stop() {
  state_->stopping = true;
}

net::awaitable<Result<FetchedCredentials>> CredentialFetcher::fetch() {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->fetch();
}

net::awaitable<Result<FetchedCredentials>> CredentialFetcher::State::fetch() {
  const std::function<Result<AwsProfiles>()> read = [environment = settings.environment] {
    return read_profiles(environment);
  };
  const Result<AwsProfiles> profiles = co_await runtime::offload(blocking, read);
  if (!profiles) co_return profiles.error();
  const Result<CredentialSource> source = choose_credential_source(settings.profile, settings.environment, *profiles);
  if (!source) co_return source.error();
  sts_url = find_service_url("sts", settings.region, settings.environment, *profiles,
                             profile_name(settings.profile, settings.environment));
  Got got = co_await get(*source);
  // The last of the chain: that it does not answer means that there is nothing anywhere.
  if (!got && got.error().code() != ErrorCode::kCancelled && std::holds_alternative<InstanceMetadata>(source->what)) {
    co_return failed("no AWS credentials were found; looked for " +
                     looked_for(settings.profile, settings.environment, *profiles) + " (" + got.error().message() +
                     ")");
  }
  co_return named(std::move(got), *source);
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::get(const CredentialSource& source) {
  net::awaitable<Got> work = std::visit([this](const auto& what) { return from(what); }, source.what);
  co_return co_await std::move(work);
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const StaticKeys& keys) {
  co_return keys.credentials;
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const WebIdentity& identity) {
  const std::function<Result<std::string>()> read = [path = identity.token_file] { return read_token(path); };
  const Result<std::string> token = co_await runtime::offload(blocking, read);
  if (!token) co_return token.error();
  std::vector<std::string> secrets{*token};
  co_return co_await ask_sts(web_identity_form(identity, *token, clock.now().wall), nullptr, std::move(secrets));
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const AssumedRole& role) {
  const Got source = co_await get(*role.source);
  if (!source) co_return Error(source.error()).during("getting credentials from " + describe(*role.source));
  std::vector<std::string> secrets{source->secret_access_key, source->session_token};
  co_return co_await ask_sts(assume_role_form(role, clock.now().wall), &*source, std::move(secrets));
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const CredentialProcess& process) {
  const std::function<Result<std::string>()> run = [&process, this] {
    return run_program(process.arguments, settings.process_timeout, stopping);
  };
  const Result<std::string> output = co_await runtime::offload(blocking, run);
  if (!output) co_return output.error();
  co_return read_process_output(*output);
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const ContainerMetadata& container) {
  const std::string shown = http::without_secrets(container.url);
  if (!is_container_url_allowed(container.url)) {
    co_return failed(shown +
                     " may not be asked: it is neither https nor this machine nor a container platform's address");
  }
  std::string token = container.token;
  if (!container.token_file.empty()) {
    const std::function<Result<std::string>()> read = [path = container.token_file] { return read_token(path); };
    const Result<std::string> content = co_await runtime::offload(blocking, read);
    if (!content) co_return content.error();
    token = *content;
  }
  if (token.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    co_return failed("AWS_CONTAINER_AUTHORIZATION_TOKEN holds no token");
  const std::vector<std::string> secrets{token};
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request;
    request.url = container.url;
    request.headers.add("Accept", "application/json");
    if (!token.empty()) request.headers.add("Authorization", token);
    request.timeout = kContainerTimeout;
    Result<http::Response> answer = co_await ask(std::move(request));
    Got got = answer ? read_metadata_answer(*answer, secrets) : Got(answer.error());
    const bool again = !got && got.error().code() != ErrorCode::kCancelled && attempt < kContainerAttempts;
    if (!again) {
      if (!got && got.error().code() != ErrorCode::kCancelled) co_return failed(shown + ": " + got.error().message());
      co_return got;
    }
    co_await pause();
  }
}

net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::from(const InstanceMetadata& instance) {
  // Version 2 only: a version 1 answer could be had by anybody who makes weir ask.
  Result<http::Response> token = co_await ask_instance(instance, "/latest/api/token", "");
  if (!token) co_return token.error();
  if (token->status != 200 || token->body.empty())
    co_return failed("the instance metadata gives no IMDSv2 token, status " + std::to_string(token->status));
  const std::vector<std::string> secrets{token->body};
  Result<http::Response> roles = co_await ask_instance(instance, std::string(kRolePath), token->body);
  if (!roles) co_return roles.error();
  const std::string role = roles->body.substr(0, roles->body.find_first_of("\r\n"));
  if (roles->status != 200 || role.empty())
    co_return failed("the instance has no role, status " + std::to_string(roles->status));
  Result<http::Response> answer =
      co_await ask_instance(instance, std::string(kRolePath) + http::percent_encode(role), token->body);
  if (!answer) co_return answer.error();
  co_return read_metadata_answer(*answer, secrets);
}

/// `token`: "" asks for one.
net::awaitable<Result<http::Response>> CredentialFetcher::State::ask_instance(const InstanceMetadata& instance,
                                                                              std::string path, std::string token) {
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request;
    request.url = instance.endpoint + path;
    request.timeout = instance.timeout;
    request.connect_timeout = instance.timeout;
    if (token.empty()) {
      request.method = "PUT";
      request.headers.add("X-aws-ec2-metadata-token-ttl-seconds", kTokenLifetime);
    } else {
      request.headers.add("X-aws-ec2-metadata-token", token);
    }
    Result<http::Response> answer = co_await ask(std::move(request));
    const bool bad = !answer || answer->status >= 500;
    const bool called_off = !answer && answer.error().code() == ErrorCode::kCancelled;
    if (!bad || called_off || attempt >= instance.attempts) co_return answer;
    co_await pause();
  }
}

/// `signer`: nobody for a request that carries its own proof.
net::awaitable<CredentialFetcher::State::Got> CredentialFetcher::State::ask_sts(std::string form,
                                                                                const http::Credentials* signer,
                                                                                std::vector<std::string> secrets) {
  const std::string shown = http::without_secrets(sts_url);
  http::ClientRequest request;
  request.method = "POST";
  request.url = sts_url + (sts_url.ends_with('/') ? "" : "/");
  request.timeout = kStsTimeout;
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  request.body = std::move(form);
  const auto parts = http::split_url(request.url);
  if (!parts) co_return failed(shown + " is no address of STS");
  WallTime signed_at{};
  const auto sign = [&] {
    http::ClientRequest signed_request = request;
    if (signer == nullptr) return signed_request;
    signed_at = skew.corrected(clock.now().wall);
    http::SigningScope scope;
    scope.region = settings.region;
    scope.service = "sts";
    scope.at = signed_at;
    http::sign(request.method, parts->host, parts->target, request.body, *signer, scope, signed_request.headers);
    return signed_request;
  };
  Result<http::Response> answer = co_await ask(sign());
  if (answer && signer != nullptr && answer->status >= 400 &&
      skew.learn(xml_text(answer->body, "Code").value_or(""), answer->headers.get("Date"), signed_at,
                 clock.now().wall)) {
    answer = co_await ask(sign());
  }
  if (!answer) co_return answer.error();
  Got got = read_sts_answer(*answer, secrets);
  if (!got) co_return failed(shown + ": " + got.error().message());
  co_return got;
}

net::awaitable<Result<http::Response>> CredentialFetcher::State::ask(http::ClientRequest request) {
  request.response_max_bytes = kAnswerMax;
  request.connect_timeout = std::min(request.connect_timeout, request.timeout);
  const std::string shown = http::without_secrets(request.url);
  Result<http::Response> answer = co_await courier.send(std::move(request));
  if (!answer && answer.error().code() != ErrorCode::kCancelled)
    co_return failed(shown + " gave no answer: " + answer.error().message());
  co_return answer;
}

net::awaitable<void> CredentialFetcher::State::pause() {
  net::steady_timer timer(co_await net::this_coro::executor, settings.pause);
  co_await timer.async_wait(net::use_awaitable);
}

}  // namespace weir::aws
