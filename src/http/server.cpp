#include "http/server.h"

#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <set>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
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
  std::string head;
  head.reserve(256);
  head += http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
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

Response plain(int status, std::string_view sentence) {
  return {status, "text/plain; charset=utf-8", std::string(sentence) + "\n"};
}

/// A limit of time on what one connection waits for. When it is over, the socket is called off, and `over` says that it
/// was for this reason. One timer for a connection; where no limit is set it is never touched.
struct Limit {
  explicit Limit(const net::any_io_executor& executor) : timer(executor) {}
  net::steady_timer timer;
  bool over = false;
  std::uint64_t turn = 0;  ///< a handler on its way when the limit was lifted finds another number
};

struct Connection {
  explicit Connection(tcp::socket accepted) : socket(std::move(accepted)), limit(socket.get_executor()) {}

  /// Whether it waits for a request of which no byte was read.
  bool is_quiet() const { return reading != nullptr && buffer.size() == 0 && !reading->got_some(); }

  tcp::socket socket;
  Limit limit;
  beast::flat_buffer buffer;
  const Parser* reading = nullptr;  ///< of the request that is read or waited for; null while one is answered
};

void lift(Connection& connection) {
  ++connection.limit.turn;
  connection.limit.timer.cancel();
}

void wait_for_limit(const std::shared_ptr<Connection>& connection, Duration duration) {
  static constexpr Duration kAgain = std::chrono::milliseconds(20);
  Limit& limit = connection->limit;
  limit.timer.expires_after(duration);
  limit.timer.async_wait(
      [kept = std::weak_ptr(connection), turn = limit.turn](const boost::system::error_code& called_off) {
        const auto late = called_off ? nullptr : kept.lock();
        if (!late || late->limit.turn != turn) return;
        late->limit.over = true;
        boost::system::error_code ignored;
        late->socket.cancel(ignored);
        // An operation that had succeeded already, and is only waiting for its turn, is not called off, and what is
        // made of many goes on with another: so again, until the limit is lifted.
        wait_for_limit(late, kAgain);
      });
}

void set_limit(const std::shared_ptr<Connection>& connection, Duration duration) {
  connection->limit.over = false;
  ++connection->limit.turn;
  wait_for_limit(connection, duration);
}

/// Whether an error is Beast's opinion of a request, for which there is an answer; for the rest nobody would read it.
bool is_refusal(const beast::error_code& error) {
  static const auto& category = beast::http::make_error_code(beast::http::error::bad_method).category();
  return error.category() == category && error != beast::http::error::end_of_stream &&
         error != beast::http::error::partial_message;
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
      : executor(where),
        acceptor(where),
        handler(std::move(answer)),
        options(std::move(settings)),
        emptied(where, net::steady_timer::time_point::max()),
        scope(where) {}

  /// What one request on a connection came to before it was handed on.
  struct Incoming {
    Incoming() = default;
    std::optional<Response> refused;  ///< answered instead of the handler; the connection ends then
    bool gone = false;                ///< nobody is there to be answered
  };

  net::awaitable<void> accept();
  net::awaitable<void> serve(std::shared_ptr<Connection> connection);
  net::awaitable<void> talk(std::shared_ptr<Connection> connection);
  net::awaitable<Incoming> receive(std::shared_ptr<Connection> connection, Parser& parser);
  net::awaitable<Response> answer(Request request);
  net::awaitable<bool> send(std::shared_ptr<Connection> connection, const Response& response, bool keep_alive,
                            bool http_1_0, bool head_only);
  net::awaitable<void> end(std::shared_ptr<Connection> connection);
  Response refusal(int status, std::string_view sentence) const;
  Response refusal_of(const beast::error_code& error) const;
  void turn_away(tcp::socket& socket) const;

  net::any_io_executor executor;
  tcp::acceptor acceptor;
  Handler handler;
  ServerOptions options;
  std::string host;
  std::size_t connections = 0;
  std::set<Connection*> open;  ///< of the connections, those whose coroutine has begun
  bool draining = false;
  net::steady_timer emptied;  ///< expires when the grace is over; cancelled when the last connection ends
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

  auto state = std::make_unique<State>(executor, std::move(handler), std::move(options));
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

net::awaitable<void> Server::drain(Duration grace) {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  state_->draining = true;
  for (Connection* connection : state_->open) {
    if (connection->is_quiet()) connection->socket.cancel(ignored);
  }
  state_->emptied.expires_after(grace);
  if (state_->connections > 0) {
    co_await state_->emptied.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  co_await close();
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
    if (connections >= options.connections_max) {
      turn_away(socket);
      continue;
    }
    socket.set_option(tcp::no_delay(true), error);
    ++connections;
    scope.spawn(serve(std::make_shared<Connection>(std::move(socket))));
  }
}

/// Says why in as much as the socket takes at once, and waits for nothing.
void Server::State::turn_away(tcp::socket& socket) const {
  const Response response = refusal(503, "too many connections are open");
  const std::string text = head_of(response, false, false) + response.body;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(net::buffer(text), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
}

/// The connection is shared with its timer's handler, which may be on its way when the connection ends.
net::awaitable<void> Server::State::serve(std::shared_ptr<Connection> connection) {
  open.insert(connection.get());
  try {
    co_await talk(connection);
  } catch (const boost::system::system_error&) {
    // The client went away or close() called it off; either way there is nobody to tell.
  } catch (const std::exception&) {
    // Beast throws at a header value that its own fields cannot hold. Only this connection is to end for it.
  }
  lift(*connection);
  open.erase(connection.get());
  if (--connections == 0) emptied.cancel();
}

net::awaitable<void> Server::State::talk(std::shared_ptr<Connection> connection) {
  connection->buffer.reserve(4096);
  while (!draining) {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options.header_max_bytes));
    parser.body_limit(options.body_max_bytes + options.drop_max_bytes);
    parser.get().body().max_bytes = options.body_max_bytes;
    connection->reading = &parser;
    Incoming incoming = co_await receive(connection, parser);
    connection->reading = nullptr;
    if (incoming.gone) co_return;
    if (incoming.refused) {
      co_await send(connection, *incoming.refused, false, false, false);
      co_await end(connection);
      co_return;
    }
    auto& message = parser.get();
    bool keep_alive = message.keep_alive();
    const bool http_1_0 = message.version() == 10;
    const bool head_only = message.method() == beast::http::verb::head;
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.headers.reserve(static_cast<std::size_t>(std::distance(message.begin(), message.end())));
    for (const auto& field : message) request.headers.add(field.name_string(), field.value());
    request.body = std::move(message.body().bytes);
    request.body_bytes = message.body().received;
    request.body_too_large = message.body().too_large;
    const Response response = co_await answer(std::move(request));
    keep_alive = keep_alive && !draining;
    const bool taken = co_await send(connection, response, keep_alive, http_1_0, head_only);
    boost::system::error_code ignored;
    if (taken && draining && (connection->buffer.size() > 0 || connection->socket.available(ignored) > 0)) {
      // The next request is here already. It is not answered, but it is not to cost the client this answer.
      co_await end(connection);
      co_return;
    }
    if (!taken || !keep_alive) {
      connection->socket.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
  }
}

/// Reads one request, of which a part or all may be in the buffer already.
net::awaitable<Server::State::Incoming> Server::State::receive(std::shared_ptr<Connection> connection, Parser& parser) {
  tcp::socket& socket = connection->socket;
  beast::flat_buffer& buffer = connection->buffer;
  Incoming incoming;
  beast::error_code error;
  if (buffer.size() == 0 && (options.idle_timeout || options.request_timeout)) {
    // The first byte has a time of its own; without limits nothing is read on its own.
    if (options.idle_timeout) set_limit(connection, *options.idle_timeout);
    const std::size_t size =
        co_await socket.async_read_some(buffer.prepare(4096), net::redirect_error(net::use_awaitable, error));
    buffer.commit(size);
    lift(*connection);
    incoming.gone = static_cast<bool>(error);
    if (incoming.gone) co_return incoming;
  }
  if (options.request_timeout) set_limit(connection, *options.request_timeout);

  // What lies in the buffer, the rest of what a client sent at once, is served without waiting for the socket.
  while (buffer.size() > 0 && !parser.is_header_done()) {
    const std::size_t used = parser.put(buffer.data(), error);
    buffer.consume(used);
    if (error || used == 0) break;
  }
  if (error == beast::http::error::need_more) error = {};
  if (!error && !parser.is_header_done()) {
    co_await beast::http::async_read_header(socket, buffer, parser, net::redirect_error(net::use_awaitable, error));
  }
  if (!error && !parser.is_done() && options.is_upload) {
    const std::string_view target = parser.get().target();
    if (options.is_upload(parser.get().method_string(), target.substr(0, target.find('?')))) {
      parser.body_limit(options.upload_max_bytes + options.drop_max_bytes);
      parser.get().body().max_bytes = options.upload_max_bytes;
    }
  }
  if (!error && !parser.is_done()) {
    const auto length = parser.content_length();
    const bool expects = beast::iequals(parser.get()[beast::http::field::expect], "100-continue");
    if (expects && length && *length > parser.get().body().max_bytes) {
      // It waits for leave to send, and nothing of it was sent.
      error = beast::http::error::body_limit;
    } else if (expects && parser.get().version() >= 11 && buffer.size() == 0) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await net::async_write(socket, net::buffer(kContinue), net::redirect_error(net::use_awaitable, error));
    }
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
  const bool late = options.request_timeout && connection->limit.over;
  if (options.request_timeout) lift(*connection);
  if (error && late) {
    incoming.refused = refusal(408, "the request did not come to its end in time");
  } else if (is_refusal(error)) {
    incoming.refused = refusal_of(error);
  } else {
    incoming.gone = static_cast<bool>(error);
  }
  co_return incoming;
}

Response Server::State::refusal(int status, std::string_view sentence) const {
  return options.refusal ? options.refusal(status, sentence) : plain(status, sentence);
}

Response Server::State::refusal_of(const beast::error_code& error) const {
  if (error == beast::http::error::header_limit) {
    return refusal(
        431, "the request line and headers are larger than " + std::to_string(options.header_max_bytes) + " bytes");
  }
  if (error == beast::http::error::body_limit) {
    return refusal(413, "the body is larger than " + std::to_string(options.body_max_bytes) + " bytes");
  }
  return refusal(400, "this is not a request that HTTP/1.1 knows: " + error.message());
}

/// False: it was not taken in time.
net::awaitable<bool> Server::State::send(std::shared_ptr<Connection> connection, const Response& response,
                                         bool keep_alive, bool http_1_0, bool head_only) {
  const std::string head = head_of(response, keep_alive, http_1_0);
  const bool bodiless = head_only || response.status == 204 || response.status == 304;
  const std::array<net::const_buffer, 2> pieces{net::buffer(head),
                                                net::buffer(response.body.data(), bodiless ? 0 : response.body.size())};
  if (options.write_timeout) set_limit(connection, *options.write_timeout);
  beast::error_code error;
  co_await net::async_write(connection->socket, pieces, net::redirect_error(net::use_awaitable, error));
  if (options.write_timeout) lift(*connection);
  co_return !error;
}

/// Closes after a refusal. What the client has sent meanwhile is read first, for a while and up to a bound: closing on
/// unread bytes resets the connection, and the client may lose the answer.
net::awaitable<void> Server::State::end(std::shared_ptr<Connection> connection) {
  static constexpr std::size_t kLingerMaxBytes = 1U << 20U;
  static constexpr Duration kLinger = std::chrono::seconds(2);
  beast::error_code error;
  connection->socket.shutdown(tcp::socket::shutdown_send, error);
  set_limit(connection, kLinger);
  std::size_t dropped = 0;
  connection->buffer.clear();
  while (!error && dropped < kLingerMaxBytes) {
    dropped += co_await connection->socket.async_read_some(connection->buffer.prepare(16384),
                                                           net::redirect_error(net::use_awaitable, error));
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
  co_return refusal(500, "the server failed to answer");
}

}  // namespace weir::http
