#include "aws/client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <boost/throw_exception.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/random.h"

#include "aws/addresses.h"
#include "aws/clock_skew.h"
#include "aws/courier.h"
#include "aws/credential_fetcher.h"
#include "aws/credential_provider.h"
#include "aws/xml_text.h"
#include "http/sigv4.h"
#include "http/uri.h"

namespace weir::aws {
namespace {

using nlohmann::json;

/// A service's sentence is kept to a length that a log line bears.
constexpr std::size_t kMessageMax = 1000;
/// Errors are small; what is larger is a page of somebody else's.
constexpr std::size_t kErrorBodyMax = 64U << 10U;

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// "KMS.ThrottlingException", as SQS's older protocol has it, is KMS's ThrottlingException.
std::string_view leaf(std::string_view code) {
  return code.substr(code.rfind('.') + 1);  // npos + 1 is 0
}

/// What credentials that have ended or were taken back are answered with, unlike those that lack a right. Status 403 of
/// REST services, 400 of JSON protocols.
bool are_credentials_refused(const ServiceError& error) {
  constexpr std::array<std::string_view, 4> kCodes{"ExpiredTokenException", "ExpiredToken",
                                                   "UnrecognizedClientException", "InvalidClientTokenId"};
  return (error.status == 403 || error.status == 400) && is_one_of(error.code, kCodes);
}

/// Those that every SDK retries as throttles (botocore's retries/standard.py), then what the services that weir asks
/// have beside them: KMS's refusals as Kinesis, SQS and SNS pass them on, SQS's OverLimit, SNS's Throttled.
constexpr std::array<std::string_view, 19> kThrottleCodes{"Throttling",
                                                          "ThrottlingException",
                                                          "ThrottledException",
                                                          "RequestThrottledException",
                                                          "TooManyRequestsException",
                                                          "ProvisionedThroughputExceededException",
                                                          "TransactionInProgressException",
                                                          "RequestLimitExceeded",
                                                          "BandwidthLimitExceeded",
                                                          "LimitExceededException",
                                                          "RequestThrottled",
                                                          "SlowDown",
                                                          "PriorRequestNotComplete",
                                                          "EC2ThrottledException",
                                                          "KMSThrottlingException",
                                                          "KMSThrottling",
                                                          "KmsThrottled",
                                                          "OverLimit",
                                                          "Throttled"};

/// Of services that waited in vain for a request; statuses 400 and 408.
bool is_lost_request(std::string_view code) {
  return code == "RequestTimeout" || code == "RequestTimeoutException";
}

bool is_refusal(const ServiceError& error) {
  constexpr std::array<std::string_view, 14> kCodes{"AccessDeniedException",
                                                    "KMSAccessDeniedException",
                                                    "KMSAccessDenied",
                                                    "KmsAccessDenied",
                                                    "AccessDenied",
                                                    "AuthFailure",
                                                    "UnrecognizedClientException",
                                                    "InvalidClientTokenId",
                                                    "InvalidSignatureException",
                                                    "SignatureDoesNotMatch",
                                                    "ExpiredTokenException",
                                                    "ExpiredToken",
                                                    "MissingAuthenticationTokenException",
                                                    "IncompleteSignatureException"};
  // SQS answers a throttle with status 403.
  if (error.is_throttle()) return false;
  return error.code == kNoCredentials || error.status == 401 || error.status == 403 ||
         is_one_of(leaf(error.code), kCodes);
}

bool is_absence(const ServiceError& error) {
  constexpr std::array<std::string_view, 6> kCodes{
      "ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "NoSuchBucket",
      "NotFoundException",         "NotFound"};
  return error.status == 404 || is_one_of(error.code, kCodes);
}

/// "com.amazonaws.kinesis#ResourceNotFoundException" and "ResourceNotFoundException:http://internal/..." are both of
/// that name.
std::string exception_name(std::string_view word) {
  if (const std::size_t mark = word.find('#'); mark != std::string_view::npos) word.remove_prefix(mark + 1);
  word = word.substr(0, word.find_first_of(":,;"));
  while (word.ends_with(' ')) word.remove_suffix(1);
  while (word.starts_with(' ')) word.remove_prefix(1);
  return std::string(word);
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string shortened(std::string text) {
  if (text.size() <= kMessageMax) return text;
  std::size_t end = kMessageMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + " ...";
}

ServiceError unanswered(std::string_view code, std::string message) {
  ServiceError error;
  error.code = code;
  error.message = std::move(message);
  return error;
}

ServiceError called_off() {
  return unanswered(kCancelled, "the request was called off");
}

}  // namespace

bool ServiceError::is_throttle() const {
  return status == 429 || is_one_of(leaf(code), kThrottleCodes);
}

bool ServiceError::is_transient() const {
  if (code == kCancelled) return false;
  return status == 0 || status >= 500 || is_lost_request(code) || is_throttle();
}

Error ServiceError::as_source_error(std::string_view doing) const {
  ErrorCode what = ErrorCode::kSourceFailed;
  if (code == kCancelled) {
    what = ErrorCode::kCancelled;
  } else if (is_refusal(*this)) {
    what = ErrorCode::kSourceRefused;
  } else if (status == 0) {
    what = ErrorCode::kSourceUnreachable;
  } else if (is_absence(*this)) {
    what = ErrorCode::kSourceNotFound;
  }
  std::string sentence = message;
  if (status != 0) {
    sentence = code.empty() ? "status " + std::to_string(status) : code;
    if (!message.empty()) sentence += ": " + message;
  }
  return Error(what, std::move(sentence)).during(std::string(doing));
}

void throw_exception_from_error(const ServiceError& error, const boost::source_location& where) {
  boost::throw_exception(BrokenBelief("the value of a failed request was used: " + error.code + ": " + error.message),
                         where);
}

ServiceError read_service_error(const http::Response& response) {
  ServiceError error;
  error.status = response.status;
  if (response.body.size() <= kErrorBodyMax) {
    const json document = json::parse(response.body, nullptr, false);
    if (document.is_object()) {
      error.code = exception_name(text_of(document, "__type"));
      if (error.code.empty()) error.code = exception_name(text_of(document, "code"));
      error.message = text_of(document, "message");
      if (error.message.empty()) error.message = text_of(document, "Message");
    } else if (response.body.find("</Code>") != std::string::npos) {
      error.code = xml_text(response.body, "Code").value_or("");
      error.message = xml_text(response.body, "Message").value_or("");
    }
  }
  if (const auto type = response.headers.get("x-amzn-ErrorType"); type && !type->empty())
    error.code = exception_name(*type);
  // The name that clients of the older protocol know; the more stable one where both are given.
  if (const auto legacy = response.headers.get("x-amzn-query-error"); legacy && !legacy->empty())
    error.code = exception_name(*legacy);
  error.message = shortened(std::move(error.message));
  if (const auto pause = response.headers.get("Retry-After")) {
    int seconds = 0;
    const auto [stop, problem] = std::from_chars(pause->data(), pause->data() + pause->size(), seconds);
    // The other form, a date, is not AWS's.
    if (problem == std::errc() && stop == pause->data() + pause->size() && seconds >= 0)
      error.retry_after = std::chrono::seconds(seconds);
  }
  return error;
}

/// Shared with the requests under way.
struct Client::State {
  State(const net::any_io_executor& executor, net::any_io_executor blocking, ClientSettings what, std::string where,
        std::string address, Log& log, const Clock& time)
      : settings(std::move(what)),
        region(std::move(where)),
        url(std::move(address)),
        clock(time),
        skew(settings.name, log),
        streams(executor),
        courier(executor),
        fetcher(std::move(blocking), courier, fetching(settings, region), time, skew),
        provider(
            executor, [this] { return fetcher.fetch(); }, settings.name, log, time, seed_from_system()) {}

  static CredentialFetcherSettings fetching(const ClientSettings& settings, const std::string& region) {
    CredentialFetcherSettings fetching;
    fetching.profile = settings.access.profile;
    fetching.region = region;
    fetching.environment = settings.environment;
    fetching.pause = settings.metadata_pause;
    return fetching;
  }

  /// Request, signed, as it is to be sent now. Nothing: its URL is none.
  std::optional<http::ClientRequest> prepare(const ServiceRequest& request, const http::Credentials& credentials,
                                             Moment now, Instant deadline) const;

  /// What came of an exchange; of a stream the body only when the status is no 200.
  struct Answer {
    Answer() = default;

    http::Response response;
    std::unique_ptr<http::ResponseStream> stream;
  };
  static net::awaitable<ServiceResult<Answer>> exchange(std::shared_ptr<State> state, http::ClientRequest request,
                                                        bool streamed);
  static net::awaitable<ServiceResult<Answer>> ask(std::shared_ptr<State> state, ServiceRequest request, bool streamed);

  ClientSettings settings;
  std::string region;
  std::string url;
  const Clock& clock;
  ClockSkew skew;
  http::Client streams;
  Courier courier;
  CredentialFetcher fetcher;
  CredentialProvider provider;
};

std::optional<http::ClientRequest> Client::State::prepare(const ServiceRequest& request,
                                                          const http::Credentials& credentials, Moment now,
                                                          Instant deadline) const {
  http::ClientRequest sent;
  sent.method = request.method;
  if (request.url.empty()) {
    sent.url = url;
    while (sent.url.ends_with('/')) sent.url.pop_back();
    sent.url += request.target;
  } else {
    sent.url = request.url;
  }
  const auto parts = http::split_url(sent.url);
  if (!parts) return std::nullopt;
  sent.headers = request.headers;
  sent.body = request.body;
  sent.timeout = std::max<Duration>(deadline - now.instant, std::chrono::milliseconds(1));
  sent.connect_timeout = std::min(sent.connect_timeout, sent.timeout);
  sent.response_max_bytes = request.response_max_bytes;
  http::SigningScope scope;
  scope.region = region;
  scope.service = settings.signing;
  scope.at = skew.corrected(now.wall);
  http::sign(sent.method, parts->host, parts->target, sent.body, credentials, scope, sent.headers);
  return sent;
}

Result<std::unique_ptr<Client>> Client::make(net::any_io_executor executor, net::any_io_executor blocking,
                                             ClientSettings settings, Log& log, const Clock& clock) {
  if (!settings.environment) settings.environment = process_environment();
  if (settings.signing.empty()) settings.signing = settings.service;
  const Result<AwsProfiles> profiles = read_profiles(settings.environment);
  if (!profiles) return Error(profiles.error()).during("looking for the region");
  const std::string profile = profile_name(settings.access.profile, settings.environment);
  std::string region =
      find_region(settings.access.region, settings.arn_region, settings.environment, *profiles, profile);
  if (!is_region(region)) {
    return Error(ErrorCode::kEndpointFailed,
                 region.empty() ? "the region of " + settings.name +
                                      " is not known: give `region`, an ARN, AWS_REGION or the profile's region"
                                : "\"" + region + "\" is no region");
  }
  std::string url = settings.access.endpoint_url.empty()
                        ? find_service_url(settings.service, region, settings.environment, *profiles, profile)
                        : settings.access.endpoint_url;
  if (!http::split_url(url)) {
    return Error(ErrorCode::kEndpointFailed,
                 "\"" + http::without_secrets(url) + "\" is no address of " + settings.service);
  }
  return std::unique_ptr<Client>(new Client(std::make_shared<State>(executor, std::move(blocking), std::move(settings),
                                                                    std::move(region), std::move(url), log, clock)));
}

Client::Client(std::shared_ptr<State> state) : state_(std::move(state)) {}
Client::~Client() = default;

const std::string& Client::region() const {
  return state_->region;
}

const std::string& Client::url() const {
  return state_->url;
}

/// One exchange; of a stream, up to its headers, or to the end of what is no 200.
net::awaitable<ServiceResult<Client::State::Answer>> Client::State::exchange(std::shared_ptr<State> state,
                                                                             http::ClientRequest request,
                                                                             bool streamed) {
  const auto failed = [](const Error& error) {
    return error.code() == ErrorCode::kCancelled ? called_off() : unanswered(kNoAnswer, error.message());
  };
  Answer answer;
  if (!streamed) {
    Result<http::Response> response = co_await state->courier.send(std::move(request));
    if (!response) co_return failed(response.error());
    answer.response = std::move(*response);
    co_return answer;
  }
  auto opened = co_await state->streams.open(std::move(request));
  if (!opened) co_return failed(opened.error());
  answer.stream = std::move(*opened);
  answer.response.status = answer.stream->status();
  answer.response.headers = answer.stream->headers();
  while (answer.response.status != 200 && answer.response.body.size() < kErrorBodyMax) {
    Result<std::string> more = co_await answer.stream->read();
    if (!more) co_return failed(more.error());
    if (more->empty()) break;
    answer.response.body += *more;
  }
  co_return answer;
}

net::awaitable<ServiceResult<Client::State::Answer>> Client::State::ask(std::shared_ptr<State> state,
                                                                        ServiceRequest request, bool streamed) {
  // Being cancelled is a value here, so it must not throw while the request is on its way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  const Instant deadline = state->clock.now().instant + request.timeout;
  ServiceResult<Answer> outcome = called_off();
  std::optional<http::Credentials> refused;
  bool time_corrected = false;
  for (;;) {
    const Result<http::Credentials> credentials = co_await state->provider.get(deadline);
    if (!credentials) {
      // That the first ones were refused says more than that there are no others.
      if (!refused && credentials.error().code() != ErrorCode::kCancelled)
        outcome = unanswered(kNoCredentials, credentials.error().describe());
      break;
    }
    if (refused && refused->access_key_id == credentials->access_key_id &&
        refused->session_token == credentials->session_token) {
      break;
    }
    const Moment now = state->clock.now();
    const WallTime signed_at = state->skew.corrected(now.wall);
    auto sent = state->prepare(request, *credentials, now, deadline);
    if (!sent) {
      outcome = unanswered(kNoAnswer, "\"" + http::without_secrets(request.url) + "\" is no address");
      break;
    }
    sent->may_be_http2 = streamed;
    if (request.sent_at) *request.sent_at = now.instant;
    outcome = co_await exchange(state, std::move(*sent), streamed);
    if (!outcome || outcome->response.status < 400) break;
    const ServiceError error = read_service_error(outcome->response);
    if (!time_corrected &&
        state->skew.learn(error.code, outcome->response.headers.get("Date"), signed_at, state->clock.now().wall)) {
      time_corrected = true;
      continue;
    }
    if (refused || !are_credentials_refused(error)) break;
    // They ended, or were taken back, between two looks at the clock: others are fetched, and tried once.
    refused = *credentials;
    state->provider.refused(*credentials);
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return outcome;
}

net::awaitable<ServiceResult<http::Response>> Client::send(ServiceRequest request) {
  ServiceResult<State::Answer> answer = co_await State::ask(state_, std::move(request), false);
  if (!answer) co_return answer.error();
  co_return std::move(answer->response);
}

net::awaitable<ServiceResult<std::unique_ptr<http::ResponseStream>>> Client::open(ServiceRequest request) {
  ServiceResult<State::Answer> answer = co_await State::ask(state_, std::move(request), true);
  if (!answer) co_return answer.error();
  if (answer->response.status != 200) co_return read_service_error(answer->response);
  co_return std::move(answer->stream);
}

net::awaitable<ServiceResult<std::string>> Client::call(std::string target, std::string version, std::string body,
                                                        Duration timeout) {
  const std::shared_ptr<State> state = state_;
  ServiceRequest request;
  request.headers.add("Content-Type", "application/x-amz-json-" + version);
  request.headers.add("X-Amz-Target", target);
  request.body = std::move(body);
  request.timeout = timeout;
  ServiceResult<http::Response> answer = co_await send(std::move(request));
  if (!answer) co_return answer.error();
  if (answer->status == 200) co_return std::move(answer->body);
  ServiceError error = read_service_error(*answer);
  if (error.code.empty() && error.message.empty()) {
    error.message = http::without_secrets(state->url) + " answered status " + std::to_string(error.status) +
                    ", and nothing that AWS would";
  }
  co_return error;
}

net::awaitable<void> Client::close() {
  const std::shared_ptr<State> state = state_;
  state->fetcher.stop();
  co_await state->courier.close();
  co_await state->provider.close();
}

}  // namespace weir::aws
