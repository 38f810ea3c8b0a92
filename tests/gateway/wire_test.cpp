#include <chrono>
#include <memory>
#include <regex>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "gateway/fake_functions.h"
#include "gateway/gateway.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
using tcp = net::ip::tcp;

namespace {

/// The gateway behind its server, asked over a socket; everything in one thread.
class Wire {
 public:
  Wire() {
    config::Config config;
    auto options = gateway::gateway_options(config);
    auto made = http::Server::listen(
        io_.get_executor(), "127.0.0.1:0",
        gateway::gateway_handler({functions, keys_, {}, "127.0.0.1:4580", null_log(), clock_}), options);
    REQUIRE(made.has_value());
    server_ = std::move(*made);
  }
  ~Wire() { test::run(io_, close()); }

  /// Sends the bytes, closes its side, and gives what came back, with ids and traces replaced.
  std::string exchange(std::string bytes) {
    auto answer = net::co_spawn(io_, talk(std::move(bytes)), net::use_future);
    io_.restart();
    while (answer.wait_for(0s) != std::future_status::ready) io_.run_one();
    std::string text = answer.get();
    text = std::regex_replace(text, std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
                              "ID");
    return std::regex_replace(text, std::regex("root=1-[0-9a-f]{8}-[0-9a-f]{24};parent=[0-9a-f]{16}"), "TRACE");
  }

  test::FakeFunctions functions;

 private:
  net::awaitable<std::string> talk(std::string bytes) {
    tcp::socket socket(io_);
    co_await socket.async_connect({net::ip::address_v4::loopback(), server_->port()}, net::use_awaitable);
    boost::system::error_code error;
    co_await net::async_write(socket, net::buffer(bytes), net::redirect_error(net::use_awaitable, error));
    socket.shutdown(tcp::socket::shutdown_send, error);
    std::string received;
    co_await net::async_read(socket, net::dynamic_buffer(received), net::redirect_error(net::use_awaitable, error));
    co_return received;
  }
  net::awaitable<void> close() { co_await server_->close(); }

  net::io_context io_{1};
  std::map<std::string, std::string> keys_;
  test::FakeClock clock_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

TEST_CASE("an invocation, byte by byte") {
  Wire wire;
  wire.functions.answer_next(Outcome(Succeeded{"\"Zo\xC3\xAB\""}));
  CHECK(wire.exchange("POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: 2\r\n\r\n{}") ==
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        "x-amzn-RequestId: ID\r\n"
        "x-amzn-Remapped-Content-Length: 0\r\n"
        "X-Amz-Executed-Version: $LATEST\r\n"
        "X-Amzn-Trace-Id: TRACE;sampled=0\r\n"
        "Date: Sat, 12 Sep 2026 08:00:00 GMT\r\n"
        "Content-Length: 6\r\n"
        "Connection: close\r\n\r\n"
        "\"Zo\xC3\xAB\"");
  CHECK(wire.exchange("POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "X-Amz-Invocation-Type: Event\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") ==
        "HTTP/1.1 202 Accepted\r\n"
        "x-amzn-RequestId: ID\r\n"
        "x-amzn-Remapped-Content-Length: 0\r\n"
        "X-Amzn-Trace-Id: TRACE;sampled=0\r\n"
        "Date: Sat, 12 Sep 2026 08:00:00 GMT\r\n"
        "Content-Length: 0\r\n"
        "Connection: close\r\n\r\n");
  CHECK(wire.exchange("POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "X-Amz-Invocation-Type: DryRun\r\n\r\n") ==
        "HTTP/1.1 204 No Content\r\n"
        "Date: Sat, 12 Sep 2026 08:00:00 GMT\r\n"
        "x-amzn-RequestId: ID\r\n"
        "Connection: close\r\n\r\n");
}

TEST_CASE("what the server refuses before the gateway sees it has AWS's shape too") {
  Wire wire;
  const std::string not_http = wire.exchange("HELO there\r\n\r\n");
  CHECK_THAT(not_http,
             Catch::Matchers::StartsWith("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
                                         "x-amzn-ErrorType: BadRequestException\r\nx-amzn-RequestId: ID\r\n"));
  CHECK(not_http.find("\r\n\r\n{\"message\":\"") != std::string::npos);
  const std::string header =
      "POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: ";
  CHECK_THAT(wire.exchange(header + std::string(60'000, 'x') + "\r\n\r\n"),
             Catch::Matchers::StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(wire.exchange(header + std::string(65'536, 'x') + "\r\n\r\n"),
             Catch::Matchers::StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"
                                         "Content-Type: application/json\r\n"
                                         "x-amzn-ErrorType: RequestHeaderFieldsTooLargeException\r\n"));
  CHECK(wire.functions.calls.size() == 1);
}

TEST_CASE("a body over the limit is read to its end and answered with its size") {
  Wire wire;
  const auto post = [&](std::size_t size, const std::string& type) {
    return wire.exchange(
        "POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "X-Amz-Invocation-Type: " +
        type + "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n\"" + std::string(size - 2, 'x') + "\"");
  };
  CHECK_THAT(post(6'291'456, "RequestResponse"), Catch::Matchers::StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(post(6'291'457, "RequestResponse"),
             Catch::Matchers::StartsWith("HTTP/1.1 413 Payload Too Large\r\n") &&
                 Catch::Matchers::EndsWith("\r\n\r\n{\"Message\":\"Request must be smaller than 6291456 bytes for the "
                                           "InvokeFunction operation\"}"));
  CHECK_THAT(post(6'291'457, "Event"),
             Catch::Matchers::EndsWith("{\"Message\":\"6291457 byte payload is too large for the Event invocation type "
                                       "(limit 1048576 bytes)\"}"));
}
