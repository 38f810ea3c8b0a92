#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "http/message.h"

namespace weir::http {

namespace net = boost::asio;

/// Sends one request and waits for the answer; for the command line, which has nothing else to do. Whatever status
/// comes back is a value; http.failed says that no answer came and why. No proxy is used and no redirect followed.
/// `url`: "http://127.0.0.1:4581/status". `timeout`: for the whole exchange.
Result<Response> request(const std::string& method, const std::string& url, const std::string& body, Duration timeout,
                         const Headers& headers = {});

/// A request that the Client sends.
struct ClientRequest {
  ClientRequest() = default;

  std::string method = "GET";
  std::string url;  ///< http or https
  Headers headers;
  std::string body;
  Duration timeout = std::chrono::seconds(30);  ///< for the whole exchange
  Duration connect_timeout = std::chrono::seconds(5);
  std::size_t response_max_bytes = 8U << 20U;  ///< a larger answer is http.failed
  bool may_be_http2 = false;                   ///< where TLS agrees on it
};

class BodyStream;

/// An answer whose body is read as it comes. It ends its exchange when it goes; it may outlive the client.
class ResponseStream {
 public:
  explicit ResponseStream(std::unique_ptr<BodyStream> body);
  ~ResponseStream();
  ResponseStream(const ResponseStream&) = delete;
  ResponseStream& operator=(const ResponseStream&) = delete;

  int status() const;
  const Headers& headers() const;
  /// Waits for more of the body; "" at its end. http.failed: it was cut off, or silent for half a minute. Cancelling
  /// ends the waiting and nothing else: `cancelled`. What nobody reads waits at the sender, but for some 100 KB.
  net::awaitable<Result<std::string>> read();

 private:
  std::unique_ptr<BodyStream> body_;
};

/// Sends requests on an executor whose context runs in one thread: keeps connections alive and shares them, checks TLS
/// against the system's certificates (or the file that AWS_CA_BUNDLE, else SSL_CERT_FILE names), follows no redirect,
/// uses no proxy, asks for no compression. http:// is spoken over asio, https:// by libcurl, which is loaded when the
/// first such request is sent. While nothing is under way it keeps the io_context from nothing.
///
/// A request is sent once. Only when a kept connection ends before a byte of the answer has come is it sent once more,
/// on a fresh connection, and only if no byte of it was sent before or its method may be repeated (GET, HEAD, OPTIONS,
/// PUT, DELETE: at least once). A POST that a server may have taken is http.failed: the caller knows whether it may be
/// repeated. So that this is rare, a kept connection is looked at before it is used, and used again only within 4 s.
class Client {
 public:
  explicit Client(net::any_io_executor executor);
  /// What is under way goes on to its end.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Whatever status comes back is a value; http.failed says that no whole answer came, and why, without secrets.
  /// Cancelling ends the exchange and closes its connection: `cancelled`.
  net::awaitable<Result<Response>> send(ClientRequest request);

  /// The same, but gives the answer as soon as its headers have come. The request's timeout is for the body too.
  net::awaitable<Result<std::unique_ptr<ResponseStream>>> open(ClientRequest request);

  /// Ends what is under way, as cancelling would.
  void call_off();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir::http
