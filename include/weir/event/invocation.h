#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "weir/base/time.h"

namespace weir {

/// The largest event of a synchronous invocation: 6 MB, base64 and metadata included (Lambda quotas).
inline constexpr std::size_t kMaxRequestBytes = 6'291'456;
/// The largest event of an asynchronous invocation: 1 MB (Lambda quotas, since October 2025).
inline constexpr std::size_t kMaxAsyncRequestBytes = 1'048'576;
/// The largest answer: 6 MB and 100 bytes, the figure in Lambda's own error text.
inline constexpr std::size_t kMaxResponseBytes = 6'291'556;

class ResponseSink;

/// One call of a function, as it crosses to an endpoint.
struct Invocation {
  Invocation() = default;

  std::string function;
  std::string qualifier;       ///< "" for an unqualified call, else "$LATEST", a version or an alias
  std::string request_id;      ///< a UUID; the same for every attempt of an unchanged batch
  std::string payload;         ///< the event, JSON
  std::string client_context;  ///< JSON, or "" for none; reaches the handler of synchronous calls
  std::string trace_header;    ///< X-Amzn-Trace-Id of the caller, or "" for a trace of its own
  bool log_tail = false;       ///< whether the caller wants the last 4 KB of the function's log
  bool provisioned = false;    ///< it runs in one of the environments that are kept ready
  /// Who takes the response as it comes (weir/lambda_endpoint.h); null: it is wanted whole, in the outcome.
  std::shared_ptr<ResponseSink> response_sink;
};

/// Why a call was not admitted. The texts are the values of the Invoke API's `Reason`.
enum class ThrottleReason {
  kConcurrentInvocationLimitExceeded,                  ///< the unreserved pool, that is the account, is used up
  kReservedFunctionConcurrentInvocationLimitExceeded,  ///< the function's reservation is used up, or it is 0
  kFunctionInvocationRateLimitExceeded,                ///< real Lambda only, as the rest
  kReservedFunctionInvocationRateLimitExceeded,
  kCallerRateLimitExceeded,
  kConcurrentSnapshotCreateLimitExceeded,
};
std::string_view text(ThrottleReason reason);
/// The reason of that text; nothing when it is none.
std::optional<ThrottleReason> throttle_reason(std::string_view text);

/// The function ran and answered. What went to the invocation's sink is not in `payload`.
struct Succeeded {
  std::string payload;
};
/// The function ran and failed, or could not be made to run: what the Invoke API answers with status 200 and
/// `X-Amz-Function-Error: Unhandled`.
struct FunctionFailed {
  std::string error_type;  ///< for example "Sandbox.Timedout", "Runtime.ExitError", or the function's own
  std::string payload;     ///< the error document, JSON
  bool in_stream = false;  ///< the function itself said so behind what it had streamed
};
/// Not admitted; the function did not run.
struct Throttled {
  ThrottleReason reason{};
};
/// Lambda's (or the endpoint's) own failure; it is not known that the function ran. `status` 404: there is no such
/// function or version; other 4xx: the endpoint refused the call as it is, trying again would not help.
struct ServiceFailed {
  int status = 500;
  std::string message;
  std::string type = "ServiceException";  ///< the Invoke API's name of it, for example "ResourceNotFoundException"
};
/// The call was called off by weir itself, while it stops. It is not known whether the function ran.
struct Cancelled {};

/// What happened to an invocation. Whether it uses up an attempt is another question, which engines answer.
struct Outcome {
  using What = std::variant<Succeeded, FunctionFailed, Throttled, ServiceFailed, Cancelled>;

  Outcome() : what(Cancelled{}) {}
  template <typename T>
  requires std::is_constructible_v<What, T&&> &&
      (!std::is_same_v<std::remove_cvref_t<T>, Outcome>)explicit Outcome(T&& happened)
      : what(std::forward<T>(happened)) {}

  What what;
  std::string executed_version = "$LATEST";
  std::string log_tail;                   ///< the last 4 KB of the log, when asked for
  std::string request_id;                 ///< where the endpoint chose it (real Lambda); "": the invocation's own
  std::optional<Duration> duration;       ///< how long the function ran, without its initialization; if it ran
  std::optional<Duration> init_duration;  ///< of a cold start
};

/// A word for logs and labels: "success", "function_error", "throttle", "service_error", "cancelled".
std::string_view kind(const Outcome& outcome);

}  // namespace weir
