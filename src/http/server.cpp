#include "http/server.h"

#include <array>
#include <chrono>
#include <memory>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "http/address.h"
#include "runtime/task_scope.h"

namespace weir::http {

namespace beast = boost::beast;
using tcp = net::ip::tcp;
using runtime::TaskScope;

namespace {

/// A Beast body that is kept up to a limit; more is dropped as it comes in, so that the client, which reads no answer
/// before it has sent everything, still gets one, and no memory is spent on it.
struct CappedBody {
  struct value_type {
    std::string bytes;
    std::size_t max_bytes = 0;
    std::size_t received = 0;
    bool too_large = false;
  };
  class reader {
   public:
    template <bool is_request, typename Fields>
    reader(beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& length, beast::error_code& error) {
      error = {};
      if (length && *length <= body_.max_bytes) body_.bytes.reserve(static_cast<std::size_t>(*length));
    }
    template <typename Buffers>
    std::size_t put(const Buffers& buffers, beast::error_code& error) {
      error = {};
      const std::size_t size = beast::buffer_bytes(buffers);
      body_.received += size;
      if (body_.received > body_.max_bytes) {
        body_.too_large = true;
        body_.bytes = std::string();
      } else {
        for (const net::const_buffer piece : beast::buffers_range_ref(buffers)) {
          body_.bytes.append(static_cast<const char*>(piece.data()), piece.size());
        }
      }
      return size;
    }
    void finish(beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

using Parser = beast::http::request_parser<CappedBody>;

/// No header value may end its line and begin another.
void append_value(std::string& out, std::string_view value) {
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

std::string head_of(const Response& response, bool keep_alive, bool http_1_0) {
  std::string head = http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += reason(response.status);
  head += "\r\n";
  for (const auto& [name, value] : response.headers.all()) {
    head += name;
    head += ": ";
    append_value(head, value);
    head += "\r\n";
  }
  if (response.status != 204) head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (!keep_alive)
    head += "Connection: close\r\n";
  else if (http_1_0)
    head += "Connection: keep-alive\r\n";
  head += "\r\n";
  return head;
}

Response plain(int status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", sentence + "\n"};
}

Error listen_error(const std::string& address, const boost::system::error_code& error) {
  if (error == net::error::address_in_use) {
    return {ErrorCode::kAddressInUse, "another process listens on " + address};
  }
  return {ErrorCode::kAddressInvalid, "cannot listen on " + address + ": " + error.message()};
}

}  // namespace

struct Server::State {
  State(net::any_io_executor where, Handler answer, ServerOptions settings)
      : executor(where), acceptor(where), handler(std::move(answer)), options(settings), scope(where) {}

  net::awaitable<void> accept();
  net::awaitable<void> serve(tcp::socket socket);
  net::awaitable<void> talk(std::shared_ptr<tcp::socket> shared);
  net::awaitable<Response> answer(Request request);

  net::any_io_executor executor;
  tcp::acceptor acceptor;
  Handler handler;
  ServerOptions options;
  std::string host;
  std::size_t connections = 0;
  TaskScope scope;
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(net::any_io_executor executor, const std::string& address,
                                               Handler handler, ServerOptions options) {
  const Result<Address> parsed = parse_address(address);
  if (!parsed) return parsed.error();
  boost::system::error_code error;
  // "localhost" is the only name: a resolver would block, and an address that names change under is no place to listen.
  const std::string& host = parsed->host;
  const net::ip::address ip = net::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return Error(ErrorCode::kAddressInvalid, "'" + host + "' is not an IP address; in '" + address + "'");

  auto state = std::make_unique<State>(executor, std::move(handler), options);
  const tcp::endpoint endpoint(ip, parsed->port);
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(net::socket_base::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(net::socket_base::max_listen_connections, error);
  if (error) return listen_error(address, error);
  state->host = ip.to_string();
  auto server = std::unique_ptr<Server>(new Server(std::move(state)));
  server->state_->scope.spawn(server->state_->accept());
  return server;
}

std::uint16_t Server::port() const {
  return state_->acceptor.local_endpoint().port();
}

std::string Server::address() const {
  Address address;
  address.host = state_->host;
  address.port = port();
  return address.text();
}

net::awaitable<void> Server::close() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  state_->scope.cancel();
  co_await state_->scope.join();
}

net::awaitable<void> Server::State::accept() {
  net::steady_timer pause(executor);
  for (;;) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(net::redirect_error(net::use_awaitable, error));
    if (error == net::error::operation_aborted || error == net::error::bad_descriptor) co_return;
    if (error) {
      // Out of descriptors or memory: what is connected goes on, and new ones wait in the backlog meanwhile.
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(net::redirect_error(net::use_awaitable, error));
      if (!acceptor.is_open()) co_return;
      continue;
    }
    if (connections >= options.connections_max) continue;
    socket.set_option(tcp::no_delay(true), error);
    ++connections;
    scope.spawn(serve(std::move(socket)));
  }
}

net::awaitable<void> Server::State::serve(tcp::socket socket) {
  const auto shared = std::make_shared<tcp::socket>(std::move(socket));
  try {
    co_await talk(shared);
  } catch (const boost::system::system_error&) {
    // The client went away or close() called it off; either way there is nobody to tell.
  }
  --connections;
}

/// `shared` with the idle timer's handler, which may be on its way when the connection ends.
net::awaitable<void> Server::State::talk(std::shared_ptr<tcp::socket> shared) {
  tcp::socket& socket = *shared;
  beast::flat_buffer buffer;
  buffer.reserve(4096);
  net::steady_timer idle(executor);
  for (;;) {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options.header_max_bytes));
    parser.body_limit(options.body_max_bytes + options.drop_max_bytes);
    parser.get().body().max_bytes = options.body_max_bytes;
    if (options.idle_timeout) {
      idle.expires_after(*options.idle_timeout);
      idle.async_wait([connection = std::weak_ptr(shared)](const boost::system::error_code& called_off) {
        const auto late = called_off ? nullptr : connection.lock();
        boost::system::error_code ignored;
        if (late) late->cancel(ignored);
      });
    }
    beast::error_code error;
    co_await beast::http::async_read_header(socket, buffer, parser, net::redirect_error(net::use_awaitable, error));
    if (!error && parser.get()[beast::http::field::expect] == "100-continue") {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await net::async_write(socket, net::buffer(kContinue), net::use_awaitable);
    }
    // A body that came with its headers needs no further turn of the event loop.
    parser.eager(true);
    if (!error && !parser.is_done() && buffer.size() > 0) {
      buffer.consume(parser.put(buffer.data(), error));
      if (error == beast::http::error::need_more) error = {};
    }
    if (!error && !parser.is_done()) {
      co_await beast::http::async_read(socket, buffer, parser, net::redirect_error(net::use_awaitable, error));
    }
    idle.cancel();
    // Only what Beast's parser refuses is worth an answer; for the rest there is nobody who would read it.
    static const auto& refused = beast::http::make_error_code(beast::http::error::bad_method).category();
    if (error && error.category() != refused) co_return;
    if (error == beast::http::error::end_of_stream || error == beast::http::error::partial_message) co_return;

    Response response;
    bool keep_alive = false;
    bool http_1_0 = false;
    bool head_only = false;
    if (error == beast::http::error::header_limit) {
      response = plain(
          431, "the request line and headers are larger than " + std::to_string(options.header_max_bytes) + " bytes");
    } else if (error == beast::http::error::body_limit) {
      response = plain(413, "the body is larger than " + std::to_string(options.body_max_bytes) + " bytes");
    } else if (error) {
      response = plain(400, "this is not a request that HTTP/1.1 knows: " + error.message());
    } else {
      auto& message = parser.get();
      keep_alive = message.keep_alive();
      http_1_0 = message.version() == 10;
      head_only = message.method() == beast::http::verb::head;
      Request request;
      request.method = std::string(message.method_string());
      request.target = std::string(message.target());
      for (const auto& field : message) request.headers.add(field.name_string(), field.value());
      request.body = std::move(message.body().bytes);
      request.body_too_large = message.body().too_large;
      response = co_await answer(std::move(request));
    }
    const std::string head = head_of(response, keep_alive, http_1_0);
    const bool bodiless = head_only || response.status == 204;
    const std::array<net::const_buffer, 2> pieces{
        net::buffer(head), net::buffer(response.body.data(), bodiless ? 0 : response.body.size())};
    co_await net::async_write(socket, pieces, net::use_awaitable);
    if (!keep_alive) {
      boost::system::error_code ignored;
      socket.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
  }
}

net::awaitable<Response> Server::State::answer(Request request) {
  try {
    co_return co_await handler(std::move(request));
  } catch (const boost::system::system_error& failure) {
    if (failure.code() == net::error::operation_aborted) throw;
  } catch (const std::exception&) {
    // Answered below; a handler that wants its failure known logs it itself.
  }
  co_return plain(500, "the server failed to answer");
}

}  // namespace weir::http
