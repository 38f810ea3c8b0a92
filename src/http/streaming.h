#pragma once

#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"

#include "http/message.h"

namespace weir::http {

namespace net = boost::asio;

/// The body of a request, read as it comes. What is not read waits at the client. One reader; gone with its handler.
class RequestBody {
 public:
  /// More of it; "" at its end. http.failed: the client went away before, or sent what is no body.
  virtual net::awaitable<Result<std::string>> read() = 0;
  /// A field that came behind the body, or "": once the body is read to its end, if no header has the same name.
  virtual std::string trailer(std::string_view name) const = 0;

 protected:
  ~RequestBody() = default;
};

/// An answer that is sent as it comes to be: chunked, or to a client of HTTP/1.0 up to the end of the connection. What
/// the handler returns is not sent then. One that was begun and not ended ends its connection, so that the client sees
/// that it is cut off. One writer; gone with its handler.
class AnswerStream {
 public:
  /// Status and headers; `head` has no body. Sent with the first bytes. Once.
  virtual void begin(Response head) = 0;
  virtual bool begun() const = 0;
  /// Comes back when the bytes are on their way. False: the client has gone or does not read, now and from now on.
  virtual net::awaitable<bool> write(std::string_view bytes) = 0;
  virtual net::awaitable<bool> end() = 0;

 protected:
  ~AnswerStream() = default;
};

}  // namespace weir::http
