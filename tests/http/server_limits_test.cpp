#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "http/raw.h"
#include "http/server.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::Request;
using http::Response;
using http::ServerOptions;
using test::Raw;

namespace {

/// A server and raw clients in one context.
class World {
 public:
  explicit World(ServerOptions options = {}) {
    auto made = http::Server::listen(
        io_.get_executor(), "127.0.0.1:0",
        [this](Request request) -> net::awaitable<Response> {
          std::string line = request.method + " " + request.target + " " + std::to_string(request.body_bytes);
          line += request.body_too_large ? " too large" : " " + request.body;
          served.push_back(line);
          co_return Response(200, "text/plain", std::string(answer_bytes, 'x'));
        },
        std::move(options));
    REQUIRE(made.has_value());
    server_ = std::move(made.value());
  }

  /// Everything that the server says to a client that sends this and then waits for the end.
  std::string told(std::string text) {
    std::string all;
    run([&](Raw& raw) -> net::awaitable<void> {
      co_await raw.send(text);
      all = co_await raw.receive_all();
    });
    return all;
  }

  void run(const std::function<net::awaitable<void>(Raw&)>& talk) {
    const auto work = [&]() -> net::awaitable<void> {
      Raw raw(io_.get_executor(), server_->port());
      co_await talk(raw);
      raw.close();
      co_await server_->close();
    };
    test::run(io_, work());
  }
  std::uint16_t port() const { return server_->port(); }
  net::any_io_executor executor() { return io_.get_executor(); }

  std::vector<std::string> served;
  std::size_t answer_bytes = 2;

 private:
  net::io_context io_{1};
  std::unique_ptr<http::Server> server_;
};

ServerOptions with_limits() {
  ServerOptions options;
  options.body_max_bytes = 10;
  options.header_max_bytes = 500;
  options.idle_timeout = 10s;
  options.request_timeout = 10s;
  options.write_timeout = 10s;
  return options;
}

}  // namespace

TEST_CASE("what no request of HTTP/1.1 looks like is refused, and the connection ends") {
  struct Row {
    std::string sentence, sent, status;
  };
  const auto row = GENERATE(values<Row>({
      {"both lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"a length that is no number", "POST / HTTP/1.1\r\nContent-Length: 3x\r\n\r\nabc", "400"},
      {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
      {"a length of 30 digits", "POST / HTTP/1.1\r\nContent-Length: 999999999999999999999999999999\r\n\r\n", "400"},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "400"},
      {"a length beyond what is dropped", "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "413"},
      {"a NUL byte in a header", std::string("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 26), "400"},
      {"a NUL byte in the target", std::string("GET /\0 HTTP/1.1\r\n\r\n", 19), "400"},
      {"a method that is no word", "G(T / HTTP/1.1\r\n\r\n", "400"},
      {"a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"},
      {"no target", "GET HTTP/1.1\r\n\r\n", "400"},
      {"another version", "GET / HTTP/2.0\r\n\r\n", "400"},
      {"a chunk whose size is no number", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
      {"a TLS greeting", "\x16\x03\x01 rubbish\r\n\r\n", "400"},
      {"a target over the limit", "GET /" + std::string(600, 'x') + " HTTP/1.1\r\n\r\n", "431"},
      {"headers over the limit", "GET / HTTP/1.1\r\nA: " + std::string(600, 'x') + "\r\n\r\n", "431"},
  }));
  const bool limited = GENERATE(true, false);
  DYNAMIC_SECTION(row.sentence << (limited ? ", with timeouts" : "")) {
    ServerOptions options;
    options.header_max_bytes = 500;
    World world(limited ? with_limits() : options);
    const std::string told = world.told(row.sent);
    CHECK(told.substr(0, 13) == "HTTP/1.1 " + row.status + " ");
    CHECK(told.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(world.served.empty());
  }
}

TEST_CASE("requests that came together are served from the buffer, in order") {
  const bool limited = GENERATE(true, false);
  World world(limited ? with_limits() : ServerOptions());
  world.told(
      "POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\ncd\r\n1\r\ne\r\n0\r\n\r\nHEAD /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\nConnection: close\r\n\r\nGET /5 "
      "HTTP/1.1"
      "\r\n\r\n");
  CHECK(world.served == std::vector<std::string>{"POST /1 2 ab", "POST /2 3 cde", "HEAD /3 0 ", "GET /4 0 "});
}

TEST_CASE("a request that comes byte by byte is a request") {
  World world(with_limits());
  world.run([](Raw& raw) -> net::awaitable<void> {
    const std::string text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    for (const char c : text) {
      std::string one(1, c);
      co_await raw.send(one);
    }
    const std::string told = co_await raw.receive_all();
    CHECK(told.find("HTTP/1.1 200 OK\r\n") == 0);
  });
  CHECK(world.served == std::vector<std::string>{"POST / 3 abc"});
}

TEST_CASE("HEAD is answered without a body, HTTP/1.0 with the connection's end") {
  World world;
  const std::string head = world.told("HEAD / HTTP/1.0\r\n\r\n");
  CHECK(head.find("HTTP/1.0 200 OK\r\n") == 0);
  CHECK(head.find("\r\nContent-Length: 2\r\n") != std::string::npos);
  CHECK(head.substr(head.size() - 4) == "\r\n\r\n");
}

TEST_CASE("a body over the limit is counted; announced with an expectation it is refused unsent") {
  SECTION("at the limit") {
    World world(with_limits());
    world.told("POST / HTTP/1.1\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789");
    CHECK(world.served == std::vector<std::string>{"POST / 10 0123456789"});
  }
  SECTION("one byte more") {
    World world(with_limits());
    world.told("POST / HTTP/1.1\r\nContent-Length: 11\r\nConnection: close\r\n\r\n01234567890");
    CHECK(world.served == std::vector<std::string>{"POST / 11 too large"});
  }
  SECTION("expected, at the limit") {
    World world(with_limits());
    world.run([](Raw& raw) -> net::awaitable<void> {
      co_await raw.send("POST / HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n");
      const std::string leave = co_await raw.receive("\r\n\r\n");
      CHECK(leave == "HTTP/1.1 100 Continue\r\n\r\n");
      co_await raw.send("0123456789");
      const std::string told = co_await raw.receive_all();
      CHECK(told.find("HTTP/1.1 200 OK") == 0);
    });
  }
  SECTION("expected, one byte more") {
    World world(with_limits());
    const std::string told = world.told("POST / HTTP/1.1\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    CHECK(told.find("HTTP/1.1 413 Payload Too Large\r\n") == 0);
    CHECK(world.served.empty());
  }
}

TEST_CASE("each wait has its own end") {
  ServerOptions options;
  SECTION("a connection that says nothing is closed without a word") {
    options.idle_timeout = 10ms;
    CHECK(World(options).told("") == "");
  }
  SECTION("so is one that says nothing more") {
    options.idle_timeout = 10ms;
    World world(options);
    const std::string told = world.told("GET / HTTP/1.1\r\n\r\n");
    CHECK(told.find("HTTP/1.1 200 OK") == 0);
    CHECK(told.find("Connection: close") == std::string::npos);
  }
  SECTION("headers that do not end are 408") {
    options.request_timeout = 10ms;
    CHECK(World(options).told("GET / HTTP/1.1\r\nHost:").find("HTTP/1.1 408 Request Timeout\r\n") == 0);
  }
  SECTION("and so is a body that does not") {
    options.request_timeout = 10ms;
    World world(options);
    CHECK(world.told("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").find("HTTP/1.1 408 Request Timeout\r\n") == 0);
    CHECK(world.served.empty());
  }
  SECTION("an answer that is never read is given up") {
    options.write_timeout = 10ms;
    World world(options);
    world.answer_bytes = 32U << 20U;
    world.run([](Raw& raw) -> net::awaitable<void> {
      co_await raw.send("GET / HTTP/1.1\r\n\r\n");
      // The server's end shows as the end of what can be read, long before the whole answer.
      net::steady_timer patience(raw.socket().get_executor(), 40ms);
      co_await patience.async_wait(net::use_awaitable);
      const std::string told = co_await raw.receive_all();
      CHECK(told.size() < (32U << 20U));
    });
  }
}

TEST_CASE("a limit that ends while bytes are on their way is kept all the same") {
  ServerOptions options;
  options.request_timeout = 10ms;
  World world(options);
  const std::string told = [&] {
    std::string all;
    world.run([&](Raw& raw) -> net::awaitable<void> {
      co_await raw.send("G");
      for (int turn = 0; turn < 20; ++turn) co_await net::post(world.executor(), net::use_awaitable);
      // More than the server reads at a time, and the time is over before it reads: the limit's end comes between two
      // reads, of which the second has succeeded already.
      const std::string more = "ET / HTTP/1.1\r\nX: " + std::string(10'000, 'x');
      boost::system::error_code error;
      net::write(raw.socket(), net::buffer(more), error);
      const auto over = std::chrono::steady_clock::now() + 15ms;
      while (std::chrono::steady_clock::now() < over) {
      }
      all = co_await raw.receive_all();
    });
    return all;
  }();
  CHECK(told.find("HTTP/1.1 408 ") == 0);
}

TEST_CASE("one connection too many is told so") {
  ServerOptions options;
  options.connections_max = 1;
  World world(options);
  world.run([&](Raw& raw) -> net::awaitable<void> {
    co_await raw.send("GET / HTTP/1.1\r\n\r\n");
    const std::string first = co_await raw.receive("xx");
    CHECK(first.find("HTTP/1.1 200 OK") == 0);
    Raw second(world.executor(), world.port());
    const std::string told = co_await second.receive_all();
    CHECK(told.find("HTTP/1.1 503 Service Unavailable\r\n") == 0);
  });
}

TEST_CASE("a refusal looks as the server's owner wants it") {
  ServerOptions options;
  options.refusal = [](int status, std::string_view) {
    Response response(status, "application/json", "{}");
    response.headers.add("x-amzn-ErrorType", "BadRequest");
    return response;
  };
  const std::string told = World(options).told("rubbish\r\n\r\n");
  CHECK(told.find("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nx-amzn-ErrorType: BadRequest\r\n") ==
        0);
}
