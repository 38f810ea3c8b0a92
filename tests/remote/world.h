#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "weir/base/log.h"
#include "weir/event/invocation.h"
#include "weir/lambda_endpoint.h"

#include "http/server.h"

namespace weir::test {

namespace net = boost::asio;

/// Keeps everything that is logged, a line an event: "endpoint.recovered function=f url=http://...".
class LoggedLines final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    std::string line = std::string(text(level)) + " " + std::string(event);
    for (const LogField& field : fields) {
      line += " " + std::string(field.key) + "=";
      if (const auto* word = std::get_if<std::string_view>(&field.value)) line += *word;
      if (const auto* number = std::get_if<std::int64_t>(&field.value)) line += std::to_string(*number);
    }
    lines.push_back(std::move(line));
  }
  auto count(std::string_view event) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.find(event) != std::string::npos; });
  }
  std::string all() const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }
  std::vector<std::string> lines;
};

/// A server that keeps what it was asked and answers as the test says.
class FakeServer {
 public:
  using Answer = std::function<http::Response(const http::Request&)>;

  FakeServer(net::io_context& context, Answer answer) : FakeServer(context, "127.0.0.1:0", std::move(answer)) {}
  FakeServer(net::io_context& context, const std::string& address, Answer answer)
      : answer_(std::move(answer)), hold_(context) {
    hold_.expires_at(net::steady_timer::time_point::max());
    http::ServerOptions options;
    options.body_max_bytes = 8U << 20U;
    auto made = http::Server::listen(
        context.get_executor(), address, [this](http::Request request) { return handle(std::move(request)); }, options);
    REQUIRE(made.has_value());
    server_ = std::move(*made);
  }

  net::awaitable<http::Response> handle(http::Request request) {
    requests.push_back(request);
    ++under_way;
    most_under_way = std::max(most_under_way, under_way);
    if (on_request) on_request(request);
    while (held) {
      boost::system::error_code released;
      co_await hold_.async_wait(net::redirect_error(net::use_awaitable, released));
    }
    --under_way;
    co_return answer_(request);
  }

  /// Requests are kept waiting until release().
  bool held = false;
  void release() {
    held = false;
    hold_.cancel();
  }
  net::awaitable<void> close() { return server_->close(); }
  std::string url() const { return "http://" + server_->address(); }
  std::string address() const { return server_->address(); }

  std::vector<http::Request> requests;
  std::function<void(const http::Request&)> on_request;
  int under_way = 0;
  int most_under_way = 0;

 private:
  Answer answer_;
  net::steady_timer hold_;
  std::unique_ptr<http::Server> server_;
};

/// Listens, takes one connection after the other, sends the same bytes to each after a request came, and closes; or,
/// with nothing to send, keeps it open and silent.
class RawServer {
 public:
  RawServer(net::io_context& context, std::string bytes)
      : bytes_(std::move(bytes)),
        acceptor_(context, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0)),
        url_("http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port())) {
    net::co_spawn(context, serve(), net::detached);
  }
  const std::string& url() const { return url_; }
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (net::ip::tcp::socket& socket : open_) socket.close(ignored);
  }

 private:
  net::awaitable<void> serve() {
    for (;;) {
      boost::system::error_code error;
      net::ip::tcp::socket& socket = open_.emplace_back(acceptor_.get_executor());
      co_await acceptor_.async_accept(socket, net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      char request[4096];
      co_await socket.async_read_some(net::buffer(request), net::redirect_error(net::use_awaitable, error));
      if (bytes_.empty()) continue;
      co_await net::async_write(socket, net::buffer(bytes_), net::redirect_error(net::use_awaitable, error));
      socket.shutdown(net::ip::tcp::socket::shutdown_send, error);
    }
  }

  std::string bytes_;
  net::ip::tcp::acceptor acceptor_;
  std::string url_;
  std::list<net::ip::tcp::socket> open_;  ///< until close(): closing one with bytes unread would be a reset
};

/// A port of 127.0.0.1 on which nobody listens.
inline std::string closed_address(net::io_context& context) {
  net::ip::tcp::acceptor acceptor(context, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0));
  return "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
}

}  // namespace weir::test
