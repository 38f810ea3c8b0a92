#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "http/client.h"

namespace weir::http {

// What both ways to send a request, in the clear and through TLS, have in common.

/// Headers of an answer beyond this are a failure.
inline constexpr std::size_t kHeadersMaxBytes = 256U << 10U;
/// Connections kept for reuse; the one that was idle longest is closed to make room.
inline constexpr std::size_t kIdleConnectionsMax = 256;
/// A connection that was idle for so long is not used again: servers close idle ones, the hastiest known after 5 s
/// (Node, uvicorn, hypercorn), and a request that meets such a close on its way cannot be sent again.
inline constexpr Duration kIdleMax = std::chrono::seconds(4);
/// A body that is read as it comes is cut off when nothing comes for so long; a stream of AWS says something every few
/// seconds.
inline constexpr Duration kStreamSilence = std::chrono::seconds(30);
/// A synchronous call may be silent for 15 minutes; NAT forgets a silent connection after less than 6.
inline constexpr std::chrono::seconds kKeepAliveAfter{60};
inline constexpr std::chrono::seconds kKeepAliveEvery{30};

/// A body that is read as it comes; what a ResponseStream is made of. Its end is the end of its exchange.
class BodyStream {
 public:
  virtual ~BodyStream() = default;

  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  virtual net::awaitable<Result<std::string>> read() = 0;
};

/// An error of `request`, without its secrets.
Error exchange_failure(const ClientRequest& request, ErrorCode code, std::string why);
Error called_off(const ClientRequest& request);

/// http.failed: its method or headers are none that HTTP knows.
Result<void> check(const ClientRequest& request);

/// Whether it says how long its body is: also of a method that has one and sends an empty one.
bool has_body(const ClientRequest& request);

/// Whether sending a request twice comes to the same as sending it once (RFC 9110, 9.2.2).
bool is_idempotent(std::string_view method);

/// The texts of failures that both have.
std::string too_large(int status, std::size_t max_bytes);
std::string headers_too_large();
inline constexpr std::string_view kEndedWithinHeaders = "the connection ended within the answer's headers";
inline constexpr std::string_view kEndedUnanswered = "the connection ended before an answer began";
inline constexpr std::string_view kNotSentAgain =
    "the connection ended before an answer began, and the server may have taken the request";

}  // namespace weir::http
