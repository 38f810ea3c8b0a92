// What weir's gateway is compared with.
//
// weir-bench-bare serve BYTES
//   A Beast server on loopback that answers every request with so many bytes. Prints HOST:PORT and serves until its
//   standard input is closed.
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <unistd.h>

namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using net::ip::tcp;

net::awaitable<void> talk(tcp::socket socket, const std::string& body) {
  boost::beast::flat_buffer buffer;
  try {
    for (;;) {
      http::request<http::string_body> request;
      co_await http::async_read(socket, buffer, request, net::use_awaitable);
      http::response<http::string_body> response(http::status::ok, 11);
      response.set(http::field::content_type, "application/json");
      response.body() = body;
      response.prepare_payload();
      co_await http::async_write(socket, response, net::use_awaitable);
    }
  } catch (const boost::system::system_error&) {
    // The client went away.
  }
}

net::awaitable<void> listen(tcp::acceptor& acceptor, const std::string& body) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(net::use_awaitable);
    socket.set_option(tcp::no_delay(true));
    net::co_spawn(acceptor.get_executor(), talk(std::move(socket), body), net::detached);
  }
}

int serve(std::size_t bytes) {
  net::io_context context(1);
  const std::string body(bytes, 'x');
  tcp::acceptor acceptor(context, tcp::endpoint(net::ip::address_v4::loopback(), 0));
  std::cout << "127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  net::posix::stream_descriptor input(context, ::dup(STDIN_FILENO));
  input.async_wait(net::posix::stream_descriptor::wait_read, [&](const auto&) { context.stop(); });
  net::co_spawn(context, listen(acceptor, body), net::detached);
  context.run();
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view command = count > 1 ? words[1] : "";
  if (command == "serve" && count == 3) return serve(std::stoul(words[2]));
  std::fprintf(stderr, "weir-bench-bare serve BYTES\n");
  return 2;
}
