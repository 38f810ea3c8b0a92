#include "http/plain_client.h"

#include <algorithm>
#include <array>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>
#include <fcntl.h>
#include <netinet/tcp.h>

#include "weir/base/bytes.h"

#include "http/answer_parser.h"
#include "http/name_lookup.h"

namespace weir::http {

namespace {

using tcp = net::ip::tcp;
using Time = net::steady_timer::time_point;
using Code = boost::system::error_code;

/// Read at once; larger bodies come in pieces of it.
constexpr std::size_t kReadBytes = 64U << 10U;
/// Longer limits are as good as none, and no sum of times overflows.
constexpr Duration kLongest = std::chrono::hours(24 * 365);

Time now() {
  return net::steady_timer::clock_type::now();
}

Time after(Time begun, Duration limit) {
  return begun + std::clamp<Duration>(limit, std::chrono::milliseconds(1), kLongest);
}

std::string in_milliseconds(Duration duration) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count()) + " milliseconds";
}

struct Connection {
  Connection(const net::any_io_executor& executor, const UrlParts& url)
      : socket(executor), name(url.name), port(url.port) {}

  tcp::socket socket;
  const std::string name;
  const std::uint16_t port;
  Time idle_since;
};

void keep_alive(tcp::socket& socket) {
  const auto set = [&](int option, std::chrono::seconds duration) {
    const int seconds = static_cast<int>(duration.count());
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &seconds, sizeof(seconds));
  };
  // Without these it works too, until somebody on the way forgets the connection.
  Code ignored;
  socket.set_option(net::socket_base::keep_alive(true), ignored);
  set(TCP_KEEPIDLE, kKeepAliveAfter);
  set(TCP_KEEPINTVL, kKeepAliveEvery);
}

/// Whether the server has neither closed it nor said anything unasked.
bool is_quiet(tcp::socket& socket) {
  char byte = 0;
  Code code;
  socket.receive(net::buffer(&byte, 1), net::socket_base::message_peek, code);
  return code == net::error::would_block;
}

/// Whether it says that the other end has gone.
bool is_end(const Code& code) {
  return code == net::error::eof || code == net::error::connection_reset || code == net::error::broken_pipe;
}

std::string head_of(const ClientRequest& request, const UrlParts& url) {
  std::string head;
  std::size_t bytes = request.method.size() + url.target.size() + url.host.size() + 64;
  for (const auto& [name, value] : request.headers.all()) bytes += name.size() + value.size() + 4;
  head.reserve(bytes);
  ((head += request.method) += ' ') += url.target;
  head += " HTTP/1.1\r\n";
  if (!request.headers.get("Host")) ((head += "Host: ") += url.host) += "\r\n";
  if (!url.user_info.empty() && !request.headers.get("Authorization")) {
    head += "Authorization: Basic ";
    append_base64(head, percent_decode(url.user_info).value_or(url.user_info));
    head += "\r\n";
  }
  for (const auto& [name, value] : request.headers.all()) {
    head += name;
    if (!value.empty()) (head += ": ") += value;
    if (value.empty()) head += ':';
    head += "\r\n";
  }
  if (has_body(request)) ((head += "Content-Length: ") += std::to_string(request.body.size())) += "\r\n";
  head += "\r\n";
  return head;
}

}  // namespace

/// One request and its answer. Stands still while it is under way: in the frame of a coroutine, or in a stream.
class PlainClient::Exchange : public boost::intrusive::list_base_hook<> {
 public:
  /// `request` and `url` outlive it.
  Exchange(std::shared_ptr<Pool> pool, const ClientRequest& request, const UrlParts& url, bool streamed);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Sends the request and waits until the headers of its answer are there.
  net::awaitable<Result<void>> ask();
  /// Waits for more of the answer, which is not done, until `due` at most.
  net::awaitable<Result<void>> receive(Time due);
  bool done() const { return parser_->done(); }
  Time deadline() const { return deadline_; }
  /// What came of the answer and was not taken yet.
  Response& response() { return response_; }
  /// The connection goes back when the answer is whole.
  void give_back();

  Time due() const { return due_; }
  /// The time is over, or it is called off: whoever waits is woken. An operation that had succeeded already, and only
  /// waits for its turn, is not called off: so both are asked about after each.
  void expire() { stop(late_); }
  void call_off() { stop(called_off_); }

 private:
  net::awaitable<Result<void>> connect();
  bool is_sent(const std::string& head) const { return sent_ == head.size() + request_.body.size(); }
  bool send_some(const std::string& head);
  net::awaitable<Result<void>> send_rest(const std::string& head);
  void begin_parser();
  bool is_stopped(const net::cancellation_state& state) const {
    return called_off_ || state.cancelled() != net::cancellation_type::none;
  }
  void limit(Time due);
  void stop(bool& why);
  Error failure(std::string why) const { return exchange_failure(request_, ErrorCode::kHttpFailed, std::move(why)); }
  Error timed_out() const;

  std::shared_ptr<Pool> pool_;
  const ClientRequest& request_;
  const UrlParts& url_;
  const bool streamed_;
  const Time begun_ = now();
  const Time deadline_;
  Time due_;
  bool late_ = false;
  bool called_off_ = false;
  net::steady_timer* looking_up_ = nullptr;  ///< while the host's addresses are looked up
  std::unique_ptr<Connection> connection_;
  std::size_t sent_ = 0;      ///< of the request, on this connection
  bool send_failed_ = false;  ///< the rest of it cannot be; an answer may have come all the same
  bool more_waits_ = false;   ///< the last read was full
  Response response_;
  std::optional<AnswerParser> parser_;
};

/// What the exchanges of a client share. While none is under way it waits for nothing, so that an io_context with an
/// idle client runs out of work.
class PlainClient::Pool : public std::enable_shared_from_this<PlainClient::Pool> {
 public:
  explicit Pool(const net::any_io_executor& executor) : executor_(executor), timer_(executor) {}

  /// A kept connection to the host that may be used; null: there is none.
  std::unique_ptr<Connection> take(const UrlParts& url);
  void keep(std::unique_ptr<Connection> connection);

  void enter(Exchange& exchange);
  void leave(Exchange& exchange);
  /// Some exchange has a limit of time now that ends then.
  void wake_by(Time due);
  void call_off();

  const net::any_io_executor& executor() const { return executor_; }
  NameLookup& names() { return names_; }
  /// For reading from a socket without waiting: nothing in it outlives the turn.
  std::vector<char>& scratch() {
    if (scratch_.empty()) scratch_.resize(kReadBytes);
    return scratch_;
  }

 private:
  void act_on_time();

  net::any_io_executor executor_;
  NameLookup names_;
  std::list<std::unique_ptr<Connection>> idle_;  ///< that longest first
  boost::intrusive::list<Exchange, boost::intrusive::constant_time_size<false>> under_way_;
  net::steady_timer timer_;
  bool timer_waits_ = false;
  std::vector<char> scratch_;
};

std::unique_ptr<Connection> PlainClient::Pool::take(const UrlParts& url) {
  const Time oldest = now() - kIdleMax;
  while (!idle_.empty() && idle_.front()->idle_since <= oldest) idle_.pop_front();
  for (auto each = idle_.end(); each != idle_.begin();) {
    --each;
    if ((*each)->port != url.port || (*each)->name != url.name) continue;
    std::unique_ptr<Connection> connection = std::move(*each);
    each = idle_.erase(each);
    if (is_quiet(connection->socket)) return connection;
  }
  return nullptr;
}

void PlainClient::Pool::keep(std::unique_ptr<Connection> connection) {
  if (idle_.size() == kIdleConnectionsMax) idle_.pop_front();
  connection->idle_since = now();
  idle_.push_back(std::move(connection));
}

void PlainClient::Pool::enter(Exchange& exchange) {
  under_way_.push_back(exchange);
}

void PlainClient::Pool::leave(Exchange& exchange) {
  under_way_.erase(under_way_.iterator_to(exchange));
  if (!under_way_.empty()) return;
  timer_.cancel();
  timer_waits_ = false;
}

/// A timer that fires too early is set again then: cheaper than moving it with every exchange.
void PlainClient::Pool::wake_by(Time due) {
  if (timer_waits_ && timer_.expiry() <= due) return;
  timer_.expires_at(due);  // calls off the later one
  timer_waits_ = true;
  timer_.async_wait([kept = weak_from_this()](const Code& called_off) {
    const auto self = called_off ? nullptr : kept.lock();
    if (!self) return;
    self->timer_waits_ = false;
    self->act_on_time();
  });
}

void PlainClient::Pool::act_on_time() {
  const Time present = now();
  std::optional<Time> next;
  for (Exchange& each : under_way_) {
    if (each.due() <= present) {
      each.expire();
    } else {
      next = next ? std::min(*next, each.due()) : each.due();
    }
  }
  if (next) wake_by(*next);
}

void PlainClient::Pool::call_off() {
  for (Exchange& each : under_way_) each.call_off();
}

PlainClient::Exchange::Exchange(std::shared_ptr<Pool> pool, const ClientRequest& request, const UrlParts& url,
                                bool streamed)
    : pool_(std::move(pool)),
      request_(request),
      url_(url),
      streamed_(streamed),
      deadline_(after(begun_, request.timeout)),
      due_(deadline_) {
  pool_->enter(*this);
  begin_parser();
}

PlainClient::Exchange::~Exchange() {
  pool_->leave(*this);
}

void PlainClient::Exchange::begin_parser() {
  AnswerParser::Limits limits;
  limits.headers_max = kHeadersMaxBytes;
  if (!streamed_) limits.body_max = request_.response_max_bytes;
  limits.head_only = request_.method == "HEAD";
  parser_.emplace(response_, limits);
}

void PlainClient::Exchange::limit(Time due) {
  due_ = due;
  pool_->wake_by(due);
}

void PlainClient::Exchange::stop(bool& why) {
  why = true;
  due_ = Time::max();  // it is woken once
  Code ignored;
  if (connection_) connection_->socket.cancel(ignored);
  if (looking_up_ != nullptr) looking_up_->cancel();
}

Error PlainClient::Exchange::timed_out() const {
  return failure("Operation timed out after " + in_milliseconds(now() - begun_));
}

net::awaitable<Result<void>> PlainClient::Exchange::ask() {
  if (auto fit = check(request_); !fit) co_return fit;
  const auto cancellation = co_await net::this_coro::cancellation_state;
  if (is_stopped(cancellation)) co_return called_off(request_);
  limit(deadline_);
  const std::string head = head_of(request_, url_);
  for (bool again = false;; again = true) {
    // What ended a kept connection may have ended all: a second try has a fresh one.
    if (!again) connection_ = pool_->take(url_);
    const bool kept = connection_ != nullptr;
    if (!kept) {
      auto connected = co_await connect();
      if (!connected) co_return connected;
    }
    sent_ = 0;
    send_failed_ = !send_some(head);
    Result<void> going;
    if (!send_failed_ && !is_sent(head)) going = co_await send_rest(head);
    while (going && !parser_->headers_done()) going = co_await receive(deadline_);
    // What is refused behind its headers is an answer all the same: what came of its body may be of use to a stream.
    if (going || parser_->headers_done()) co_return Result<void>();
    const bool lost = kept && !again && !parser_->got_some() && parser_->refused() == kEndedUnanswered;
    if (!lost) co_return going;
    if (sent_ > 0 && !is_idempotent(request_.method)) co_return failure(std::string(kNotSentAgain));
    connection_.reset();
    begin_parser();
  }
}

net::awaitable<Result<void>> PlainClient::Exchange::connect() {
  const Time begun = now();
  const Time until = std::min(deadline_, after(begun, request_.connect_timeout));
  const auto cancellation = co_await net::this_coro::cancellation_state;
  net::steady_timer patience(pool_->executor(), until);
  looking_up_ = &patience;
  const auto addresses = co_await pool_->names().find(url_.name, patience);
  looking_up_ = nullptr;
  if (is_stopped(cancellation)) co_return called_off(request_);
  if (addresses.empty()) {
    const bool late = now() >= until;
    co_return failure(late ? "Resolving timed out after " + in_milliseconds(now() - begun)
                           : "Could not resolve host: " + url_.name);
  }
  Code code;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const tcp::endpoint endpoint(addresses[i], url_.port);
    connection_ = std::make_unique<Connection>(pool_->executor(), url_);
    tcp::socket& socket = connection_->socket;
    socket.open(endpoint.protocol(), code);
    if (code) continue;
    socket.non_blocking(true, code);
    if (code) continue;
    // A function's process that has it too would keep it open.
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    socket.set_option(tcp::no_delay(true), code);
    keep_alive(socket);
    // One that says nothing leaves time for the others.
    const Time present = now();
    late_ = false;
    limit(present + (until - present) / static_cast<int>(addresses.size() - i));
    co_await socket.async_connect(endpoint, net::redirect_error(net::use_awaitable, code));
    if (is_stopped(cancellation)) co_return called_off(request_);
    if (std::exchange(late_, false)) code = net::error::timed_out;
    if (code) continue;
    limit(deadline_);
    co_return Result<void>();
  }
  connection_.reset();
  if (code == net::error::timed_out && now() >= until)
    co_return failure("Connection timed out after " + in_milliseconds(now() - begun));
  co_return failure("Failed to connect to " + url_.name + " port " + std::to_string(url_.port) + ": " + code.message());
}

/// A server may answer before it has everything, and close; what it said is read then. So while the rest waits to be
/// taken, what comes in ends the waiting, and the rest is not sent.
net::awaitable<Result<void>> PlainClient::Exchange::send_rest(const std::string& head) {
  struct Early {
    tcp::socket* socket;  ///< null when nothing is sent any more
    bool answered = false;
  };
  tcp::socket& socket = connection_->socket;
  const auto early = std::make_shared<Early>(Early{&socket});
  socket.async_wait(tcp::socket::wait_read, [early](const Code& ended) {
    if (ended || early->socket == nullptr) return;
    early->answered = true;
    Code ignored;
    early->socket->cancel(ignored);
  });
  const auto cancellation = co_await net::this_coro::cancellation_state;
  while (!send_failed_ && !is_sent(head)) {
    Code code;
    co_await socket.async_wait(tcp::socket::wait_write, net::redirect_error(net::use_awaitable, code));
    if (late_ || is_stopped(cancellation)) break;
    send_failed_ = early->answered || !send_some(head);
  }
  early->socket = nullptr;
  Code ignored;
  socket.cancel(ignored);
  if (is_stopped(cancellation)) co_return called_off(request_);
  if (late_) co_return timed_out();
  co_return Result<void>();
}

/// As much as the socket takes at once, mostly all. False: it takes no more.
bool PlainClient::Exchange::send_some(const std::string& head) {
  Code code;
  while (!code && !is_sent(head)) {
    const std::size_t of_head = std::min(sent_, head.size());
    const std::array<net::const_buffer, 2> rest{net::buffer(head) + of_head,
                                                net::buffer(request_.body) + (sent_ - of_head)};
    sent_ += connection_->socket.write_some(rest, code);
  }
  return !code || code == net::error::would_block;
}

net::awaitable<Result<void>> PlainClient::Exchange::receive(Time due) {
  if (!parser_->refused().empty()) co_return failure(parser_->refused());
  tcp::socket& socket = connection_->socket;
  Code code;
  if (!more_waits_) {
    const auto cancellation = co_await net::this_coro::cancellation_state;
    if (due < due_) limit(due);
    if (!late_ && !is_stopped(cancellation))
      co_await socket.async_wait(tcp::socket::wait_read, net::redirect_error(net::use_awaitable, code));
    if (is_stopped(cancellation)) co_return called_off(request_);
    if (late_) co_return timed_out();
    due_ = deadline_;
  }
  std::vector<char>& scratch = pool_->scratch();
  const std::size_t size = socket.read_some(net::buffer(scratch), code);
  more_waits_ = size == scratch.size();
  if (code == net::error::would_block) co_return Result<void>();
  if (code && !is_end(code)) co_return failure("Recv failure: " + code.message());
  if (code) {
    parser_->end();
  } else {
    parser_->take(std::string_view(scratch.data(), size));
  }
  if (!parser_->refused().empty()) co_return failure(parser_->refused());
  co_return Result<void>();
}

void PlainClient::Exchange::give_back() {
  if (connection_ && !send_failed_ && parser_->keep_alive()) pool_->keep(std::move(connection_));
  connection_.reset();
}

net::awaitable<Result<Response>> PlainClient::exchange(std::shared_ptr<Pool> pool, ClientRequest request,
                                                       UrlParts url) {
  // Being cancelled is a value here.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Exchange exchange(std::move(pool), request, url, false);
  Result<void> going = co_await exchange.ask();
  while (going && !exchange.done()) going = co_await exchange.receive(exchange.deadline());
  co_await net::this_coro::throw_if_cancelled(throws);
  if (!going) co_return std::move(going.error());
  exchange.give_back();
  co_return std::move(exchange.response());
}

class PlainClient::Stream final : public BodyStream {
 public:
  Stream(std::shared_ptr<Pool> pool, ClientRequest request, UrlParts url)
      : request_(std::move(request)), url_(std::move(url)), exchange_(std::move(pool), request_, url_, true) {}

  net::awaitable<Result<void>> ask() { return exchange_.ask(); }
  int status() const override { return exchange_.response().status; }
  const Headers& headers() const override { return exchange_.response().headers; }
  net::awaitable<Result<std::string>> read() override;

 private:
  const ClientRequest request_;
  const UrlParts url_;
  mutable Exchange exchange_;
  std::optional<Error> failed_;  ///< told when all that came before was taken
};

net::awaitable<Result<std::string>> PlainClient::Stream::read() {
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  std::string& body = exchange_.response().body;
  while (body.empty() && !exchange_.done() && !failed_) {
    auto going = co_await exchange_.receive(std::min(exchange_.deadline(), now() + kStreamSilence));
    if (going) continue;
    // Being called off ends this waiting and nothing else.
    if (going.error().code() == ErrorCode::kCancelled && body.empty()) {
      co_await net::this_coro::throw_if_cancelled(throws);
      co_return std::move(going.error());
    }
    failed_ = std::move(going.error());
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  if (!body.empty()) co_return std::exchange(body, {});
  if (failed_) co_return *failed_;
  exchange_.give_back();
  co_return std::string();
}

net::awaitable<Result<std::unique_ptr<BodyStream>>> PlainClient::begin(std::shared_ptr<Pool> pool,
                                                                       ClientRequest request, UrlParts url) {
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  auto stream = std::make_unique<Stream>(std::move(pool), std::move(request), std::move(url));
  Result<void> asked = co_await stream->ask();
  co_await net::this_coro::throw_if_cancelled(throws);
  if (!asked) co_return std::move(asked.error());
  co_return std::unique_ptr<BodyStream>(std::move(stream));
}

PlainClient::PlainClient(net::any_io_executor executor) : pool_(std::make_shared<Pool>(executor)) {}
PlainClient::~PlainClient() = default;

net::awaitable<Result<Response>> PlainClient::send(ClientRequest request, UrlParts url) {
  return exchange(pool_, std::move(request), std::move(url));
}

net::awaitable<Result<std::unique_ptr<BodyStream>>> PlainClient::open(ClientRequest request, UrlParts url) {
  return begin(pool_, std::move(request), std::move(url));
}

void PlainClient::call_off() {
  pool_->call_off();
}

}  // namespace weir::http
