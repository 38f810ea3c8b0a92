#include "http/server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "weir/base/json_writer.h"

#include "http/address.h"
#include "http/request_reader.h"
#include "http/streaming.h"
#include "runtime/task_scope.h"

namespace weir::http {

namespace beast = boost::beast;
using tcp = net::ip::tcp;
using runtime::TaskScope;

namespace {

constexpr std::string_view kFailed = "the server failed to answer";
/// What is read at once, where a request has no more: headers, and a small body.
constexpr std::size_t kReadBytes = 4096;
/// A body of so many bytes is copied behind its headers, which costs less than being sent from a place of its own.
constexpr std::size_t kCopiedBytes = 4096;

/// No header value may end its line and begin another.
void append_value(std::string& out, std::string_view value) {
  const std::size_t begin = out.size();
  out += value;
  const auto has = [value](char c) { return value.find(c) != std::string_view::npos; };
  if (!has('\r') && !has('\n') && !has('\0')) return;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
}

/// How a client knows where a body ends.
enum class BodyEnd { kLength, kLastChunk, kConnection };

/// `head`: memory for it.
std::string head_of(const Response& response, bool keep_alive, bool http_1_0, BodyEnd body_end = BodyEnd::kLength,
                    std::string head = "") {
  head.clear();
  head += http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  append_number(head, response.status);
  head += ' ';
  head += reason(response.status);
  head += "\r\n";
  for (const auto& [name, value] : response.headers.all()) {
    head += name;
    head += ": ";
    append_value(head, value);
    head += "\r\n";
  }
  if (body_end == BodyEnd::kLastChunk) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (body_end == BodyEnd::kLength && response.status != 204) {
    head += "Content-Length: ";
    append_number(head, static_cast<std::int64_t>(response.body.size()));
    head += "\r\n";
  }
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
/// was for this reason. One timer for a connection; where no limit is set it is never touched. Requests set and lift
/// limits all the time, so the timer stays where it is as long as it does not come too late: it looks at the limit when
/// it expires.
struct Limit {
  using Clock = net::steady_timer::clock_type;

  explicit Limit(const net::any_io_executor& executor) : timer(executor) {}
  net::steady_timer timer;
  bool over = false;
  std::optional<Clock::time_point> ends;    ///< none: it was lifted
  std::optional<Clock::time_point> looked;  ///< when the timer expires
};

struct Connection {
  explicit Connection(tcp::socket accepted) : socket(std::move(accepted)), limit(socket.get_executor()) {}

  /// Whether it waits for a request of which no byte was read.
  bool is_quiet() const { return reading != nullptr && buffer.size() == 0 && !reading->got_some(); }

  tcp::socket socket;
  Limit limit;
  beast::flat_buffer buffer;
  std::string head;                        ///< of the last answer, for its memory
  const RequestReader* reading = nullptr;  ///< of the request that is read or waited for; null while one is answered
};

void lift(Connection& connection) {
  connection.limit.ends.reset();
}

void look_at_limit(const std::shared_ptr<Connection>& connection);

/// Sees to it that the limit is looked at when it ends.
void watch_limit(const std::shared_ptr<Connection>& connection) {
  Limit& limit = connection->limit;
  if (!limit.ends || (limit.looked && *limit.looked <= *limit.ends)) return;
  limit.looked = limit.ends;
  limit.timer.expires_at(*limit.ends);
  limit.timer.async_wait([kept = std::weak_ptr(connection)](const boost::system::error_code& called_off) {
    if (const auto late = called_off ? nullptr : kept.lock()) look_at_limit(late);
  });
}

void look_at_limit(const std::shared_ptr<Connection>& connection) {
  static constexpr Duration kAgain = std::chrono::milliseconds(20);
  Limit& limit = connection->limit;
  limit.looked.reset();
  const auto now = Limit::Clock::now();
  if (limit.ends && *limit.ends <= now) {
    limit.over = true;
    boost::system::error_code ignored;
    connection->socket.cancel(ignored);
    // An operation that had succeeded already, and is only waiting for its turn, is not called off, and what is made of
    // many goes on with another: so again, until the limit is lifted.
    limit.ends = now + kAgain;
  }
  watch_limit(connection);
}

void set_limit(const std::shared_ptr<Connection>& connection, Duration duration) {
  connection->limit.over = false;
  connection->limit.ends = Limit::Clock::now() + duration;
  watch_limit(connection);
}

/// Reads what comes next into the connection's buffer.
net::awaitable<beast::error_code> read_more(Connection& connection) {
  constexpr std::size_t kLeast = 512;
  beast::flat_buffer& buffer = connection.buffer;
  const std::size_t most = std::max(kLeast, buffer.capacity() - buffer.size());
  beast::error_code error;
  const std::size_t size =
      co_await connection.socket.async_read_some(buffer.prepare(most), net::redirect_error(net::use_awaitable, error));
  buffer.commit(size);
  co_return error;
}

/// An answer on its way.
struct Outgoing {
  std::string head;       ///< and the body, if it is small
  std::string_view body;  ///< of the response, which outlives it
  bool failed = false;

  std::array<net::const_buffer, 2> pieces() const { return {net::buffer(head), net::buffer(body.data(), body.size())}; }
};

Outgoing outgoing(Connection& connection, const Response& response, bool keep_alive, bool http_1_0, bool head_only) {
  Outgoing out;
  out.head = head_of(response, keep_alive, http_1_0, BodyEnd::kLength, std::move(connection.head));
  if (head_only || response.status == 204 || response.status == 304) return out;
  if (response.body.size() <= kCopiedBytes) {
    out.head += response.body;
  } else {
    out.body = response.body;
  }
  return out;
}

/// Sends what the socket takes at once, which is mostly all of it: no turn of the event loop is waited for then.
/// Whether it was.
bool send_at_once(Connection& connection, Outgoing& out) {
  boost::system::error_code error;
  std::size_t sent = connection.socket.write_some(out.pieces(), error);
  out.failed = error && error != net::error::would_block && error != net::error::try_again;
  if (sent == out.head.size() + out.body.size()) {
    connection.head = std::move(out.head);
    return true;
  }
  const std::size_t of_head = std::min(sent, out.head.size());
  out.head.erase(0, of_head);
  out.body.remove_prefix(sent - of_head);
  return false;
}

/// The body of the request that its connection is at.
class BodyReader final : public RequestBody {
 public:
  BodyReader(Connection& connection, RequestReader& reader) : connection_(connection), reader_(reader) {}

  net::awaitable<Result<std::string>> read() override {
    beast::error_code error;
    reader_.take(connection_.buffer, error);
    while (!reader_.has_next() && !reader_.is_done() && !error) {
      error = co_await read_more(connection_);
      if (!error) reader_.take(connection_.buffer, error);
    }
    if (reader_.has_next()) co_return reader_.next();
    if (!error) co_return std::string();
    co_return Error(ErrorCode::kHttpFailed, "the body did not come to its end: " + error.message());
  }

  std::string trailer(std::string_view name) const override {
    return reader_.is_done() ? std::string(reader_.trailers().get(name).value_or("")) : std::string();
  }

 private:
  Connection& connection_;
  RequestReader& reader_;
};

/// An answer that is sent bit by bit to the client of a connection.
class AnswerWriter final : public AnswerStream {
 public:
  AnswerWriter(const std::shared_ptr<Connection>& connection, std::optional<Duration> write_timeout, BodyEnd body_end,
               bool keep_alive, bool head_only)
      : connection_(connection),
        write_timeout_(write_timeout),
        body_end_(body_end),
        keep_alive_(keep_alive),
        head_only_(head_only) {}

  void begin(Response head) override {
    WEIR_ASSERT(!begun_);
    begun_ = true;
    head_ = head_of(head, keep_alive_, body_end_ == BodyEnd::kConnection, body_end_);
  }
  bool begun() const override { return begun_; }
  /// Whether all of it was taken.
  bool ended() const { return ended_; }

  net::awaitable<bool> write(std::string_view bytes) override {
    const bool chunked = body_end_ == BodyEnd::kLastChunk;
    if (failed_ || bytes.empty() || head_only_) co_return !failed_;
    std::array<char, 24> size{};
    const int size_bytes = chunked ? std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size()) : 0;
    co_return co_await send(net::buffer(size.data(), static_cast<std::size_t>(size_bytes)),
                            net::buffer(bytes.data(), bytes.size()), net::buffer("\r\n", chunked ? 2 : 0));
  }

  net::awaitable<bool> end() override {
    static constexpr std::string_view kLastChunk = "0\r\n\r\n";
    if (failed_) co_return false;
    const bool chunked = body_end_ == BodyEnd::kLastChunk && !head_only_;
    ended_ = co_await send(net::buffer(kLastChunk.data(), chunked ? kLastChunk.size() : 0), net::const_buffer(),
                           net::const_buffer());
    co_return ended_;
  }

 private:
  net::awaitable<bool> send(net::const_buffer first, net::const_buffer second, net::const_buffer third) {
    WEIR_ASSERT(begun_);
    const std::array<net::const_buffer, 4> all{net::buffer(head_), first, second, third};
    if (write_timeout_) set_limit(connection_, *write_timeout_);
    beast::error_code error;
    co_await net::async_write(connection_->socket, all, net::redirect_error(net::use_awaitable, error));
    if (write_timeout_) lift(*connection_);
    head_.clear();
    failed_ = static_cast<bool>(error);
    co_return !failed_;
  }

  const std::shared_ptr<Connection>& connection_;  ///< shared as serve() says
  std::optional<Duration> write_timeout_;
  BodyEnd body_end_;
  bool keep_alive_;
  bool head_only_;
  bool begun_ = false;
  bool ended_ = false;
  bool failed_ = false;
  std::string head_;  ///< not yet sent
};

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
    bool streamed = false;            ///< its body is still to be read
  };

  net::awaitable<void> accept();
  net::awaitable<void> serve(std::shared_ptr<Connection> connection);
  net::awaitable<void> talk(std::shared_ptr<Connection> connection);
  void begin_body(RequestReader& reader, Incoming& incoming) const;
  bool receive_at_once(Connection& connection, RequestReader& reader, Incoming& incoming) const;
  net::awaitable<void> receive(std::shared_ptr<Connection> connection, RequestReader& reader, Incoming& incoming);
  void judge(const beast::error_code& error, Incoming& incoming) const;
  net::awaitable<bool> send(std::shared_ptr<Connection> connection, Outgoing out);
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
  bool closed = false;
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
  state_->closed = true;
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
    socket.non_blocking(true, error);
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
    // Whatever it is, such as memory that has run out, only this connection is to end for it.
  }
  lift(*connection);
  open.erase(connection.get());
  if (--connections == 0) emptied.cancel();
}

net::awaitable<void> Server::State::talk(std::shared_ptr<Connection> connection) {
  connection->buffer.reserve(kReadBytes);
  while (!draining) {
    RequestReader reader(options.body_max_bytes);
    reader.header_limit(static_cast<std::uint32_t>(options.header_max_bytes));
    reader.body_limit(options.body_max_bytes + options.drop_max_bytes);
    connection->reading = &reader;
    Incoming incoming;
    if (connection->buffer.size() == 0) {
      // The first byte has a time of its own.
      if (options.idle_timeout) set_limit(connection, *options.idle_timeout);
      beast::error_code error;
      const std::size_t size = co_await connection->socket.async_read_some(
          connection->buffer.prepare(kReadBytes), net::redirect_error(net::use_awaitable, error));
      connection->buffer.commit(size);
      lift(*connection);
      incoming.gone = static_cast<bool>(error);
    }
    if (!incoming.gone && !receive_at_once(*connection, reader, incoming)) {
      co_await receive(connection, reader, incoming);
    }
    connection->reading = nullptr;
    if (incoming.gone) co_return;
    if (incoming.refused) {
      Outgoing out = outgoing(*connection, *incoming.refused, false, false, false);
      co_await send(connection, std::move(out));
      co_await end(connection);
      co_return;
    }
    bool keep_alive = reader.keep_alive();
    const bool http_1_0 = reader.version() == 10;
    const bool head_only = reader.request().method == "HEAD";
    Request request = reader.release();
    BodyReader body(*connection, reader);
    if (incoming.streamed) request.streamed_body = &body;
    AnswerWriter stream(connection, options.write_timeout, http_1_0 ? BodyEnd::kConnection : BodyEnd::kLastChunk,
                        keep_alive && !draining && !http_1_0, head_only);
    request.answer_stream = &stream;
    Response response;
    try {
      response = co_await handler(std::move(request));
    } catch (const boost::system::system_error& failure) {
      if (failure.code() == net::error::operation_aborted) throw;
      response = refusal(500, kFailed);
    } catch (const std::exception&) {
      // A handler that wants its failure known logs it itself.
      response = refusal(500, kFailed);
    }
    if (closed) co_return;  // it was called off, whatever it came to
    keep_alive = keep_alive && !draining && (!stream.begun() || !http_1_0);
    bool taken = stream.ended();
    if (!stream.begun()) {
      Outgoing out = outgoing(*connection, response, keep_alive, http_1_0, head_only);
      taken = send_at_once(*connection, out);
      if (!taken && !out.failed) taken = co_await send(connection, std::move(out));
    }
    boost::system::error_code ignored;
    if (taken && !reader.is_done()) {
      // Nobody wants the rest of the request, and nothing can be told from it.
      co_await end(connection);
      co_return;
    }
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

/// What the headers say of the body. May be asked again.
void Server::State::begin_body(RequestReader& reader, Incoming& incoming) const {
  const Request& request = reader.request();
  if (!reader.is_done() && options.is_upload && options.is_upload(request.method, request.path())) {
    reader.body_limit(options.upload_max_bytes + options.drop_max_bytes);
    reader.set_body_max_bytes(options.upload_max_bytes);
  }
  const auto& [name, value] = options.streamed_by;
  incoming.streamed = !name.empty() && same_word(request.headers.get(name).value_or(""), value);
  if (incoming.streamed) reader.hand_on_body();
}

/// Reads a request that lies in the buffer, which most do: they come in one piece. False: there is more to come.
bool Server::State::receive_at_once(Connection& connection, RequestReader& reader, Incoming& incoming) const {
  beast::error_code error;
  reader.take(connection.buffer, error);
  if (!error && reader.is_header_done()) {
    begin_body(reader, incoming);
    if (!reader.is_done() && !incoming.streamed && !reader.expects_leave()) {
      reader.eager(true);
      reader.take(connection.buffer, error);
    }
  }
  if (error) judge(error, incoming);
  return error || reader.is_done();
}

/// Reads the rest of a request.
net::awaitable<void> Server::State::receive(std::shared_ptr<Connection> connection, RequestReader& reader,
                                            Incoming& incoming) {
  if (options.request_timeout) set_limit(connection, *options.request_timeout);
  beast::error_code error;
  while (!error && !reader.is_header_done()) {
    error = co_await read_more(*connection);
    if (!error) reader.take(connection->buffer, error);
  }
  if (!error) begin_body(reader, incoming);
  if (!error && !reader.is_done() && reader.expects_leave()) {
    const auto length = reader.content_length();
    if (length && *length > reader.body_max_bytes()) {
      // It waits for leave to send, and nothing of it was sent.
      error = beast::http::error::body_limit;
    } else if (reader.version() >= 11 && connection->buffer.size() == 0) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await net::async_write(connection->socket, net::buffer(kContinue),
                                net::redirect_error(net::use_awaitable, error));
    }
  }
  reader.eager(true);
  if (!error && !incoming.streamed) {
    reader.take(connection->buffer, error);
    while (!error && !reader.is_done()) {
      error = co_await read_more(*connection);
      if (!error) reader.take(connection->buffer, error);
    }
  }
  const bool late = options.request_timeout && connection->limit.over;
  lift(*connection);
  if (error && late) {
    incoming.refused = refusal(408, "the request did not come to its end in time");
  } else {
    judge(error, incoming);
  }
}

/// What an error in reading a request means for its client.
void Server::State::judge(const beast::error_code& error, Incoming& incoming) const {
  if (is_refusal(error)) {
    incoming.refused = refusal_of(error);
  } else {
    incoming.gone = static_cast<bool>(error);
  }
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

/// Sends all of it. False: it was not taken in time.
net::awaitable<bool> Server::State::send(std::shared_ptr<Connection> connection, Outgoing out) {
  if (options.write_timeout) set_limit(connection, *options.write_timeout);
  beast::error_code error;
  co_await net::async_write(connection->socket, out.pieces(), net::redirect_error(net::use_awaitable, error));
  lift(*connection);
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

}  // namespace weir::http
