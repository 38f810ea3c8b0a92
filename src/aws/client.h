#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/aws_access.h"
#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"

#include "aws/profiles.h"
#include "http/client.h"
#include "http/message.h"

namespace weir::aws {

namespace net = boost::asio;

/// Who is asked, as whom.
struct ClientSettings {
  ClientSettings() = default;

  std::string name;        ///< of what asks, for the log: the source's, the function's
  std::string service;     ///< as endpoints have it: "kinesis", "streams.dynamodb", "sqs", "sns", "s3", "lambda"
  std::string signing;     ///< as signatures have it; "": the service
  std::string arn_region;  ///< of the ARN that is asked about, where the settings name no region; "": there is none
  AwsAccess access;
  Environment environment;                            ///< none: the process's own
  Duration metadata_pause = std::chrono::seconds(1);  ///< before a metadata service that failed is asked again
};

/// A request to the service, not yet signed.
struct ServiceRequest {
  ServiceRequest() = default;

  std::string method = "POST";
  std::string target = "/";  ///< path and query, escaped; behind the path of the endpoint's URL
  std::string url;  ///< the whole URL instead, where the answer is elsewhere (an SQS queue's); "": the service's
  http::Headers headers;
  std::string body;
  Duration timeout = std::chrono::seconds(30);  ///< for all of it, waiting for credentials included
  std::size_t response_max_bytes = 32U << 20U;
  Instant* sent_at = nullptr;  ///< told when the (last) exchange began, credentials at hand; outlives the call
};

/// Codes of what never reached a service, or came to no answer.
inline constexpr std::string_view kCancelled = "cancelled";
inline constexpr std::string_view kNoAnswer = "RequestFailed";
inline constexpr std::string_view kNoCredentials = "CredentialsProviderError";

/// What a service answered that is no success.
struct ServiceError {
  ServiceError() = default;

  int status = 0;       ///< 0: no answer came
  std::string code;     ///< "ResourceNotFoundException": of __type without its namespace, of x-amzn-query-error, of XML
  std::string message;  ///< for a person; without secrets
  std::optional<Duration> retry_after;

  /// That there were too many requests: 429, or a throttling code of whatever status (SQS answers one with 403).
  bool is_throttle() const;
  /// That trying again helps: no answer, 5xx, throttles.
  bool is_transient() const;
  /// Of source.* codes: unreachable (no answer), not_found, refused (credentials, rights), failed.
  Error as_source_error(std::string_view doing) const;
};
template <typename T>
using ServiceResult = boost::system::result<T, ServiceError>;
[[noreturn]] void throw_exception_from_error(const ServiceError& error, const boost::source_location& where);

/// Sends signed requests (SigV4) to one service, with the credentials that the SDKs would find. When they are refused
/// as ended, others are fetched and the request is sent once more; so it is when a signature is refused because this
/// machine's clock is wrong, with the service's time. One executor, whose context runs in one thread.
class Client {
 public:
  /// endpoint.failed: the region is not known, or the address is none.
  static Result<std::unique_ptr<Client>> make(net::any_io_executor executor, net::any_io_executor blocking,
                                              ClientSettings settings, Log& log, const Clock& clock);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Whatever status comes back is a value; ServiceError with status 0 when none came. Being cancelled is
  /// code "cancelled".
  net::awaitable<ServiceResult<http::Response>> send(ServiceRequest request);

  /// A call of a JSON protocol: POST, `X-Amz-Target: TARGET`, `application/x-amz-json-VERSION`. Gives the body of a
  /// 200.
  net::awaitable<ServiceResult<std::string>> call(std::string target, std::string version, std::string body,
                                                  Duration timeout = std::chrono::seconds(30));

  /// Sends a request whose answer has no end in sight: HTTP/2 where TLS agrees on it, the body read as it comes. What
  /// is no 200 is an error. The stream ends with its object, not with close().
  net::awaitable<ServiceResult<std::unique_ptr<http::ResponseStream>>> open(ServiceRequest request);

  const std::string& region() const;
  const std::string& url() const;  ///< of the service

  /// Ends what is under way. To be awaited before it goes.
  net::awaitable<void> close();

 private:
  struct State;
  explicit Client(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// What an answer that is no success says.
ServiceError read_service_error(const http::Response& response);

}  // namespace weir::aws
