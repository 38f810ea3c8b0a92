#include "http/server.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <sys/socket.h>

#include "http/address.h"
#include "http/client.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::Request;
using http::Response;
using http::ServerOptions;

namespace {

net::awaitable<Response> answer(Request request) {
  if (request.path() == "/throw") throw std::runtime_error("a bug");
  if (request.path() == "/for-ever") {
    net::steady_timer never(co_await net::this_coro::executor, net::steady_timer::time_point::max());
    co_await never.async_wait(net::use_awaitable);
  }
  if (request.body_too_large) co_return Response(413, "text/plain", "too much");
  Response response(200, "text/plain", request.method + " " + request.target + " " + request.body);
  response.headers.add("X-Seen", request.headers.get("x-SENT").value_or("nothing"));
  response.headers.add("X-Query", request.query());
  co_return response;
}

/// A server in a thread of its own, for blocking clients.
class Serving {
 public:
  explicit Serving(ServerOptions options = {}) {
    auto made = http::Server::listen(io_.get_executor(), "127.0.0.1:0", &answer, options);
    REQUIRE(made.has_value());
    server_ = std::move(made.value());
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Serving() {
    net::co_spawn(io_, server_->close(), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    thread_.join();
  }
  std::string url(const std::string& path) const { return "http://" + server_->address() + path; }
  const http::Server& server() const { return *server_; }

 private:
  net::io_context io_{1};
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

/// A connection that sends what it is told, right or wrong.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(io_) {
    socket_.connect(net::ip::tcp::endpoint(net::ip::address_v4::loopback(), port));
    timeval patience{10, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  void send(const std::string& text) {
    // A server that refused already has closed; what it said is read all the same.
    boost::system::error_code ignored;
    net::write(socket_, net::buffer(text), ignored);
  }
  /// Reads until a text has come or the server closed.
  std::string receive(const std::string& until = "nothing ends it") {
    char bytes[4096];
    while (received_.find(until) == std::string::npos) {
      const ssize_t size = ::recv(socket_.native_handle(), bytes, sizeof(bytes), 0);
      if (size <= 0) break;
      received_.append(bytes, static_cast<std::size_t>(size));
    }
    return std::exchange(received_, {});
  }

 private:
  net::io_context io_;
  net::ip::tcp::socket socket_;
  std::string received_;
};

}  // namespace

TEST_CASE("a request is answered with what the handler says") {
  const Serving serving;
  http::Headers headers;
  headers.add("X-Sent", "grüße");
  const auto response = http::request("POST", serving.url("/a/b?c=d"), "body", 10s, headers);
  REQUIRE(response.has_value());
  CHECK(response->status == 200);
  CHECK(response->body == "POST /a/b?c=d body");
  CHECK(response->headers.get("x-seen") == "grüße");
  CHECK(response->headers.get("X-QUERY") == "c=d");
}

TEST_CASE("a handler that throws is a 500, and the server goes on") {
  const Serving serving;
  CHECK(http::request("GET", serving.url("/throw"), "", 10s)->status == 500);
  CHECK(http::request("GET", serving.url("/"), "", 10s)->status == 200);
}

TEST_CASE("a body over the limit is read, dropped and told to the handler") {
  ServerOptions options;
  options.body_max_bytes = 1000;
  const Serving serving(options);
  CHECK(http::request("POST", serving.url("/"), std::string(1000, 'x'), 10s)->status == 200);
  CHECK(http::request("POST", serving.url("/"), std::string(1001, 'x'), 10s)->status == 413);
  CHECK(http::request("POST", serving.url("/"), std::string(5'000'000, 'x'), 10s)->status == 413);
}

TEST_CASE("requests on one connection are answered in order, also when sent at once") {
  const Serving serving;
  RawClient client(serving.server().port());
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.receive();
  const std::size_t first = all.find("GET /1 ");
  const std::size_t second = all.find("POST /2 abcde");
  const std::size_t third = all.find("GET /3 ");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);
}

TEST_CASE("what is no request is refused, and harms nobody else") {
  ServerOptions options;
  options.header_max_bytes = 2000;
  const Serving serving(options);
  SECTION("rubbish") {
    RawClient client(serving.server().port());
    client.send("\x16\x03\x01 rubbish\r\n\r\n");
    CHECK(client.receive().find("HTTP/1.1 400 ") == 0);
  }
  SECTION("headers over the limit") {
    RawClient client(serving.server().port());
    client.send("GET / HTTP/1.1\r\nX: " + std::string(3000, 'x') + "\r\n\r\n");
    CHECK(client.receive().find("HTTP/1.1 431 ") == 0);
  }
  SECTION("half a request, then nothing") {
    RawClient client(serving.server().port());
    client.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab");
  }
  CHECK(http::request("GET", serving.url("/"), "", 10s)->status == 200);
}

TEST_CASE("an expectation is answered before the body is waited for") {
  const Serving serving;
  RawClient client(serving.server().port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ab");
  CHECK(client.receive("POST / ab").find("HTTP/1.1 200 OK") == 0);
}

TEST_CASE("a connection that says nothing is closed after the idle timeout") {
  ServerOptions options;
  options.idle_timeout = 50ms;
  const Serving serving(options);
  RawClient client(serving.server().port());
  CHECK(client.receive().empty());
}

TEST_CASE("closing ends handlers that wait") {
  auto serving = std::make_unique<Serving>();
  RawClient client(serving->server().port());
  client.send("GET /for-ever HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(http::request("GET", serving->url("/"), "", 10s)->status == 200);
  serving.reset();
  CHECK(client.receive().empty());
}

TEST_CASE("an address that cannot be listened on says why") {
  const Serving serving;
  net::io_context io{1};
  const auto refused = [&](const std::string& address) {
    const auto made = http::Server::listen(io.get_executor(), address, &answer, {});
    REQUIRE_FALSE(made.has_value());
    return made.error().describe();
  };
  const std::string taken = serving.server().address();
  CHECK(refused(taken) == "address.in_use: another process listens on " + taken);
  CHECK(refused("4581") == "address.invalid: '4581' is not HOST:PORT");
  CHECK(refused("127.0.0.1:") == "address.invalid: '127.0.0.1:' is not HOST:PORT");
  CHECK(refused("127.0.0.1:70000") == "address.invalid: '127.0.0.1:70000' is not HOST:PORT");
  CHECK(refused("::1:80") == "address.invalid: '::1:80' is not HOST:PORT");
  CHECK(refused("no.such.host:80") == "address.invalid: 'no.such.host' is not an IP address; in 'no.such.host:80'");
}

TEST_CASE("a client that gets no answer says why") {
  std::string gone;
  {
    const Serving serving;
    gone = serving.url("/status");
    const auto late = http::request("GET", serving.url("/for-ever"), "", 100ms);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code() == ErrorCode::kHttpFailed);
  }
  const auto refused = http::request("GET", gone, "", 10s);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == ErrorCode::kHttpFailed);
  CHECK(refused.error().describe().find("asking " + gone) != std::string::npos);
}
