#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "http/message.h"

namespace weir::http {

namespace net = boost::asio;

struct ServerOptions {
  std::size_t body_max_bytes = 1U << 20U;  ///< a larger body is read, dropped and marked Request::body_too_large
  /// Which requests may have larger bodies; none when it is not given.
  std::function<bool(std::string_view method, std::string_view path)> is_upload;
  std::size_t upload_max_bytes = 0;           ///< `body_max_bytes` of those
  std::size_t header_max_bytes = 64U << 10U;  ///< request line and headers; more is answered 431
  /// A header field and its value (compared without case): a request that has it goes to its handler with its headers,
  /// and Request::streamed_body is its body, of whatever size. No such request when it is empty.
  std::pair<std::string, std::string> streamed_by;
  /// What is thrown away of a body that is too large before the connection is closed instead.
  std::size_t drop_max_bytes = 64U << 20U;
  std::optional<Duration> idle_timeout;     ///< for the first byte of a request to come; none: wait for ever
  std::optional<Duration> request_timeout;  ///< from a request's first byte to its last, else 408; none: wait for ever
  std::optional<Duration> write_timeout;    ///< for an answer to be taken; none: wait for ever
  std::size_t connections_max = 1024;       ///< a further one is answered 503 and closed
  /// What an answer says that the server gives itself (400, 408, 413, 431, 500, 503); plain text when none is given.
  std::function<Response(int status, std::string_view sentence)> refusal;
};

/// Answers a request: returns the answer, or sends it through Request::answer_stream. Runs on the server's executor,
/// one call per connection at a time; may wait as long as it likes, and is cancelled by close(). What it throws is
/// answered 500. A client that hangs up meanwhile does not end it, for the connection is looked at again only when the
/// answer is written: until then it counts as one of `connections_max` and keeps its descriptor. So a handler's time
/// should have a limit, which is then the limit of that too.
using Handler = std::function<net::awaitable<Response>(Request)>;

/// A small HTTP/1.1 server for the gateway, the Runtime API and the admin address: keep-alive, pipelined requests in
/// order, one write per answer, TCP_NODELAY. A body that is announced by "Expect: 100-continue" and larger than the
/// limit is refused with 413 before it is sent. One executor, whose context runs in one thread.
class Server {
 public:
  /// Listens on "HOST:PORT"; port 0 takes a free one. address.in_use and address.invalid name the address.
  static Result<std::unique_ptr<Server>> listen(net::any_io_executor executor, const std::string& address,
                                                Handler handler, ServerOptions options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// close() comes first, unless the io_context runs no more.
  ~Server();

  std::uint16_t port() const;
  /// "127.0.0.1:4581", with the port that was taken.
  std::string address() const;

  /// Answers what was begun, then close(). From now on nobody is accepted and no further request is read; a quiet
  /// connection is closed at once. A request of which a byte was read is read to its end, handled and answered with
  /// "Connection: close", all within `grace`; what is not done then is cancelled.
  net::awaitable<void> drain(Duration grace);

  /// Closes the listening socket and every connection, cancels the handlers and waits for them.
  net::awaitable<void> close();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir::http
