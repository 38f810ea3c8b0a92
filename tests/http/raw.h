#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace weir::test {

namespace net = boost::asio;

/// One end of a TCP connection that sends what it is told, right or wrong.
class Raw {
 public:
  explicit Raw(net::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  /// Connected to a port of this machine.
  Raw(const net::any_io_executor& executor, std::uint16_t port) : socket_(executor) {
    socket_.connect(net::ip::tcp::endpoint(net::ip::address_v4::loopback(), port));
    socket_.set_option(net::ip::tcp::no_delay(true));
  }

  /// The other side may have closed already; what it said is read all the same.
  net::awaitable<void> send(std::string text) {
    boost::system::error_code ignored;
    co_await net::async_write(socket_, net::buffer(text), net::redirect_error(net::use_awaitable, ignored));
  }

  /// What came up to and with a text; everything, when the other side closed before.
  net::awaitable<std::string> receive(std::string until) {
    bool more = true;
    while (more && received_.find(until) == std::string::npos) more = co_await read_some();
    const std::size_t found = received_.find(until);
    if (found == std::string::npos) co_return std::exchange(received_, {});
    std::string text = received_.substr(0, found + until.size());
    received_.erase(0, text.size());
    co_return text;
  }

  /// Everything until the other side closes.
  net::awaitable<std::string> receive_all() {
    bool more = true;
    while (more) more = co_await read_some();
    co_return std::exchange(received_, {});
  }

  void close() { socket_.close(); }
  net::ip::tcp::socket& socket() { return socket_; }

 private:
  net::awaitable<bool> read_some() {
    char bytes[4096];
    boost::system::error_code error;
    const std::size_t size =
        co_await socket_.async_read_some(net::buffer(bytes), net::redirect_error(net::use_awaitable, error));
    received_.append(bytes, size);
    co_return !error;
  }

  net::ip::tcp::socket socket_;
  std::string received_;
};

/// Listens on a port of its own; what it answers is the test's business.
class RawListener {
 public:
  explicit RawListener(const net::any_io_executor& executor)
      : acceptor_(executor, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0)) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + std::string(path);
  }
  net::awaitable<Raw> accept() { co_return Raw(co_await acceptor_.async_accept(net::use_awaitable)); }

 private:
  net::ip::tcp::acceptor acceptor_;
};

}  // namespace weir::test
