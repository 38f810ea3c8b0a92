#include "http/tls_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/epoll.h>

#include "http/libcurl.h"

namespace weir::http {

namespace {

/// Of a body that is read as it comes: so much waits here to be read, then the sender has to.
constexpr std::size_t kStreamBufferBytes = 64U << 10U;
/// Easy handles kept for reuse.
constexpr std::size_t kIdleHandlesMax = 256;

/// Once it is known to be there.
const Libcurl& curl() {
  return **Libcurl::get();
}

struct FreeEasy {
  void operator()(CURL* easy) const { curl().easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl().multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using Multi = std::unique_ptr<CURLM, FreeMulti>;

long whole_milliseconds(Duration duration) {
  // Zero would mean "no limit" to libcurl.
  return std::max<long>(1, static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(duration).count()));
}

long whole_seconds(Duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

/// One request as libcurl needs it, and what came back. Stands still while libcurl knows it.
class Exchange {
 public:
  /// `request` outlives the exchange.
  explicit Exchange(const ClientRequest& request) : request_(request) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// The answer is read as it comes: `told` is called when there is more of it. Before prepare().
  void stream_to(std::function<void()> told) { told_ = std::move(told); }
  bool headers_ended() const { return headers_ended_; }
  /// What came of the answer and was not taken yet.
  Response& arrived() { return response_; }
  const Response& arrived() const { return response_; }
  /// Lets the sender go on that had to wait for the body to be taken.
  void go_on() {
    if (!paused_) return;
    paused_ = false;  // take_body() may be called from within
    curl().easy_pause(easy_, CURLPAUSE_CONT);
  }

  /// Tells a fresh or reset handle everything. http.failed: the request cannot be sent as it is.
  Result<void> prepare(CURL* easy);
  /// What the transfer, which has ended, came to.
  Result<Response> finish(CURL* easy, CURLcode code);
  Error failure(std::string why) const { return exchange_failure(request_, ErrorCode::kHttpFailed, std::move(why)); }
  const ClientRequest& request() const { return request_; }

 private:
  bool add_line(const std::string& line);
  static int before_sending(void* exchange, char*, char*, int, int);
  static std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* exchange);
  static std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* exchange);

  const ClientRequest& request_;
  CURL* easy_ = nullptr;
  bool sent_before_ = false;
  Response response_;
  std::unique_ptr<curl_slist, FreeList> lines_;
  std::size_t header_bytes_ = 0;
  bool headers_ended_ = false;
  std::function<void()> told_;  ///< of an answer that is read as it comes
  bool paused_ = false;
  std::string refused_;  ///< why the request was not sent again, or the rest of the answer not taken
  std::array<char, CURL_ERROR_SIZE> reason_{};
};

bool Exchange::add_line(const std::string& line) {
  // curl_slist_append gives the list's head, or null and leaves the list as it was.
  curl_slist* head = curl().slist_append(lines_.get(), line.c_str());
  if (head == nullptr) return false;
  static_cast<void>(lines_.release());
  lines_.reset(head);
  return true;
}

Result<void> Exchange::prepare(CURL* easy) {
  if (auto fit = check(request_); !fit) return fit;
  bool added = true;
  for (const auto& [name, value] : request_.headers.all()) {
    // "Name:" would take a header away; libcurl sends an empty one for "Name;".
    added = added && add_line(value.empty() ? name + ";" : name + ": " + value);
  }
  // libcurl would wait a second for "100 Continue", and call every body a form.
  added = added && add_line("Expect:");
  if (!request_.headers.get("Content-Type")) added = added && add_line("Content-Type:");
  if (!added) return failure("no memory for the headers");

  easy_ = easy;
  curl().easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Exchange::before_sending);
  curl().easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl().easy_setopt(easy, CURLOPT_MAXAGE_CONN, whole_seconds(kIdleMax) - 1);
  curl().easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl().easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, whole_seconds(kKeepAliveAfter));
  curl().easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, whole_seconds(kKeepAliveEvery));
  curl().easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  // A signature is made of the path as it is.
  curl().easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  const std::string& method = request_.method;
  if (method == "HEAD") {
    curl().easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (has_body(request_)) {
    curl().easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    curl().easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  }
  curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  curl().easy_setopt(easy, CURLOPT_HTTPHEADER, lines_.get());
  curl().easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     static_cast<long>(request_.may_be_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  if (told_) {
    curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, whole_seconds(kStreamSilence));
  }
  curl().easy_setopt(easy, CURLOPT_PROXY, "");
  curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
  curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Without it, calling off a transfer waits for the thread that looks the host up.
  curl().easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, whole_milliseconds(request_.connect_timeout));
  curl().easy_setopt(easy, CURLOPT_TIMEOUT_MS, whole_milliseconds(request_.timeout));
  for (const char* name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (const char* file = std::getenv(name); file != nullptr && *file != '\0') {
      curl().easy_setopt(easy, CURLOPT_CAINFO, file);
      break;
    }
  }
  curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, reason_.data());
  curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Exchange::take_body);
  curl().easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl().easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Exchange::take_header);
  curl().easy_setopt(easy, CURLOPT_HEADERDATA, this);
  return {};
}

/// libcurl sends a request again, up to five times, when a kept connection ends without a byte of an answer, also when
/// the server had taken it all (seen with 7.88). It asks here before each time.
int Exchange::before_sending(void* exchange, char*, char*, int, int) {
  auto& self = *static_cast<Exchange*>(exchange);
  if (!self.sent_before_) {
    self.sent_before_ = true;
    // For a second time, should there be one: another kept connection may be as dead as the first. A fresh one that
    // ends is never tried again.
    curl().easy_setopt(self.easy_, CURLOPT_FRESH_CONNECT, 1L);
    return CURL_PREREQFUNC_OK;
  }
  long sent = 0;
  curl().easy_getinfo(self.easy_, CURLINFO_REQUEST_SIZE, &sent);
  if (sent == 0 || is_idempotent(self.request_.method)) return CURL_PREREQFUNC_OK;
  self.refused_ = kNotSentAgain;
  return CURL_PREREQFUNC_ABORT;
}

std::size_t Exchange::take_body(char* bytes, std::size_t size, std::size_t count, void* exchange) {
  auto& self = *static_cast<Exchange*>(exchange);
  if (self.told_) {
    self.paused_ = self.response_.body.size() >= kStreamBufferBytes;
    if (self.paused_) return CURL_WRITEFUNC_PAUSE;
    self.response_.body.append(bytes, size * count);
    self.told_();
    return size * count;
  }
  const std::size_t room = self.request_.response_max_bytes - self.response_.body.size();
  if (size * count > room) {
    long status = 0;
    curl().easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &status);
    self.refused_ = too_large(static_cast<int>(status), self.request_.response_max_bytes);
    return 0;
  }
  self.response_.body.append(bytes, size * count);
  return size * count;
}

std::size_t Exchange::take_header(char* bytes, std::size_t size, std::size_t count, void* exchange) {
  auto& self = *static_cast<Exchange*>(exchange);
  const std::string_view line(bytes, size * count);
  self.header_bytes_ += line.size();
  if (self.header_bytes_ > kHeadersMaxBytes) {
    self.refused_ = headers_too_large();
    return 0;
  }
  // A new status line: what came before belongs to an interim answer (100, 103).
  if (line.substr(0, 5) == "HTTP/") {
    self.response_.headers = Headers();
    self.headers_ended_ = false;
  }
  if (line == "\r\n" || line == "\n") {
    long status = 0;
    curl().easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &status);
    self.response_.status = static_cast<int>(status);
    self.headers_ended_ = true;
    if (self.told_ && status >= 200) self.told_();
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && std::string_view(" \t\r\n").find(value.back()) != std::string_view::npos)
      value.remove_suffix(1);
    self.response_.headers.add(line.substr(0, colon), value);
  }
  return line.size();
}

Result<Response> Exchange::finish(CURL* easy, CURLcode code) {
  if (!refused_.empty()) return failure(std::move(refused_));
  if (code != CURLE_OK) {
    return failure(reason_[0] != '\0' ? reason_.data() : curl().easy_strerror(code));
  }
  // libcurl takes the end of the connection for the end of the headers.
  if (!headers_ended_) return failure(std::string(kEndedWithinHeaders));
  long status = 0;
  curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  return std::move(response_);
}

}  // namespace

/// libcurl's multi interface on the reactor. The sockets, which libcurl opens and closes as it likes, are in an epoll
/// set of the client's own, and the reactor waits for that set: no socket of libcurl's is ever known to asio, which
/// would close it or miss that its number was given to another. Waiting stops when no transfer is under way, so that
/// an io_context with an idle client runs out of work. What waits holds a weak pointer: the state ends with the client
/// and the last transfer, also when the context is destroyed with transfers under way.
struct TlsClient::State : std::enable_shared_from_this<TlsClient::State> {
  explicit State(net::any_io_executor where);

  /// A transfer from its beginning to its end; in the frame of send(), whatever way that is left.
  struct Transfer {
    Transfer(std::shared_ptr<State> of, const ClientRequest& request);
    ~Transfer();
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    Result<void> begin();

    std::shared_ptr<State> state;  ///< shared with the client, which may go first
    Easy easy;
    Exchange exchange;
    net::steady_timer ended;  ///< never expires; cancelled when `code` is there
    bool under_way = false;
    bool called_off = false;
    std::optional<CURLcode> code;
  };

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* state, void* known);
  static int on_timer(CURLM* multi, long milliseconds, void* state);

  Result<void> start(const ClientRequest& request);
  void call_off();
  void act_on_time();
  void act_on_sockets();
  void collect();
  void wait_for_sockets();
  void wait_for_time();
  void rest();

  net::any_io_executor executor;
  std::vector<Easy> idle;
  net::posix::stream_descriptor sockets;  ///< the epoll set
  net::steady_timer timer;
  std::optional<net::steady_timer::time_point> due;  ///< when libcurl wants to be called; the timer may fire earlier
  bool timer_waits = false;
  bool sockets_wait = false;
  bool call_posted = false;
  std::set<Transfer*> under_way;
  Multi multi;  ///< from the first request on; last: its end calls on_socket
};

TlsClient::State::State(net::any_io_executor where) : executor(where), sockets(where), timer(where) {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) throw std::runtime_error("no descriptor for an HTTP client");
  sockets.assign(set);
}

/// Not before the first request: who reads files or Kafka may never send one.
Result<void> TlsClient::State::start(const ClientRequest& request) {
  if (multi) return {};
  if (const auto there = Libcurl::get(); !there)
    return exchange_failure(request, ErrorCode::kHttpFailed, there.error().message());
  multi.reset(curl().multi_init());
  if (!multi) return exchange_failure(request, ErrorCode::kHttpFailed, "libcurl could not be started");
  curl().multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &State::on_socket);
  curl().multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl().multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &State::on_timer);
  curl().multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  curl().multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(kIdleConnectionsMax));
  // With HTTP/2 too each exchange has a connection: one that pauses, because its reader is busy, would stop the others.
  curl().multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  return {};
}

/// `known` is set for a socket that is in the epoll set.
int TlsClient::State::on_socket(CURL*, curl_socket_t socket, int what, void* state, void* known) {
  auto& self = *static_cast<State*>(state);
  const int set = self.sockets.native_handle();
  epoll_event wanted{};
  wanted.data.fd = socket;
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(set, EPOLL_CTL_DEL, socket, &wanted);
    return 0;
  }
  if ((what & CURL_POLL_IN) != 0) wanted.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) wanted.events |= EPOLLOUT;
  if (::epoll_ctl(set, known != nullptr ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &wanted) != 0) return -1;
  curl().multi_assign(self.multi.get(), socket, &self);
  return 0;
}

int TlsClient::State::on_timer(CURLM*, long milliseconds, void* state) {
  auto& self = *static_cast<State*>(state);
  if (milliseconds < 0) {
    self.due.reset();
  } else if (milliseconds == 0) {
    self.due.reset();
    // Through a timer it would cost two thirds of the speed (measured); and libcurl may not be called from here.
    if (!self.call_posted) {
      self.call_posted = true;
      net::post(self.executor, [kept = self.weak_from_this()] {
        const auto later = kept.lock();
        if (!later) return;
        later->call_posted = false;
        later->act_on_time();
      });
    }
  } else {
    self.due = net::steady_timer::clock_type::now() + std::chrono::milliseconds(milliseconds);
    self.wait_for_time();
  }
  return 0;
}

/// A timer that fires too early is set again then: cheaper than moving it with every request's beginning and end.
void TlsClient::State::wait_for_time() {
  if (!due || (timer_waits && timer.expiry() <= *due)) return;
  timer.expires_at(*due);  // calls off the later one
  timer_waits = true;
  timer.async_wait([kept = weak_from_this()](const boost::system::error_code& called_off) {
    const auto self = called_off ? nullptr : kept.lock();
    if (!self) return;
    self->timer_waits = false;
    if (!self->due) return;
    if (*self->due > net::steady_timer::clock_type::now()) {
      self->wait_for_time();
    } else {
      self->due.reset();
      self->act_on_time();
    }
  });
}

void TlsClient::State::wait_for_sockets() {
  if (sockets_wait) return;
  sockets_wait = true;
  sockets.async_wait(net::posix::stream_descriptor::wait_read,
                     [kept = weak_from_this()](const boost::system::error_code& called_off) {
                       const auto self = kept.lock();
                       if (!self) return;
                       self->sockets_wait = false;
                       if (!called_off) self->act_on_sockets();
                       if (!self->under_way.empty()) self->wait_for_sockets();
                     });
}

void TlsClient::State::act_on_sockets() {
  std::array<epoll_event, 64> ready;  // what does not fit is ready the next time too
  const int count = ::epoll_wait(sockets.native_handle(), ready.data(), static_cast<int>(ready.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& one = ready.at(static_cast<std::size_t>(i));
    int events = 0;
    if ((one.events & EPOLLIN) != 0) events |= CURL_CSELECT_IN;
    if ((one.events & EPOLLOUT) != 0) events |= CURL_CSELECT_OUT;
    if ((one.events & (EPOLLERR | EPOLLHUP)) != 0) events |= CURL_CSELECT_ERR;
    // A socket that an earlier call closed is unknown to libcurl, or a new one that is not ready: both do no harm.
    int running = 0;
    curl().multi_socket_action(multi.get(), one.data.fd, events, &running);
  }
  collect();
}

void TlsClient::State::act_on_time() {
  int running = 0;
  curl().multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
  collect();
}

void TlsClient::State::collect() {
  int left = 0;
  while (const CURLMsg* message = curl().multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* owner = nullptr;
    curl().easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    // libcurl gives back as char* what it was given as void*.
    auto& transfer = *static_cast<Transfer*>(static_cast<void*>(owner));
    transfer.code = message->data.result;
    transfer.ended.cancel();
  }
}

void TlsClient::State::rest() {
  due.reset();
  boost::system::error_code ignored;
  sockets.cancel(ignored);
  timer.cancel();
  timer_waits = false;
}

TlsClient::State::Transfer::Transfer(std::shared_ptr<State> of, const ClientRequest& request)
    : state(std::move(of)), exchange(request), ended(state->executor, net::steady_timer::time_point::max()) {}

Result<void> TlsClient::State::Transfer::begin() {
  if (auto started = state->start(exchange.request()); !started) return started;
  if (state->idle.empty()) {
    easy.reset(curl().easy_init());
    if (!easy) return exchange.failure("libcurl has no memory for a request");
  } else {
    easy = std::move(state->idle.back());
    state->idle.pop_back();
  }
  if (auto ready = exchange.prepare(easy.get()); !ready) return ready;
  curl().easy_setopt(easy.get(), CURLOPT_PRIVATE, this);
  if (const CURLMcode refused = curl().multi_add_handle(state->multi.get(), easy.get()); refused != CURLM_OK) {
    return exchange.failure(curl().multi_strerror(refused));
  }
  under_way = true;
  state->under_way.insert(this);
  state->wait_for_sockets();
  return {};
}

TlsClient::State::Transfer::~Transfer() {
  if (under_way) {
    curl().multi_remove_handle(state->multi.get(), easy.get());  // closes the connection of an unfinished one
    state->under_way.erase(this);
    if (state->under_way.empty()) state->rest();
  }
  if (easy && state->idle.size() < kIdleHandlesMax) {
    curl().easy_reset(easy.get());
    state->idle.push_back(std::move(easy));
  }
}

void TlsClient::State::call_off() {
  for (Transfer* each : under_way) {
    each->called_off = true;
    each->ended.cancel();
  }
}

net::awaitable<Result<Response>> TlsClient::exchange(std::shared_ptr<State> state, ClientRequest request) {
  State::Transfer transfer(std::move(state), request);
  const auto cancellation = co_await net::this_coro::cancellation_state;
  if (cancellation.cancelled() == net::cancellation_type::none) {
    if (const auto begun = transfer.begin(); !begun) co_return begun.error();
    boost::system::error_code ignored;
    co_await transfer.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
    if (transfer.code) co_return transfer.exchange.finish(transfer.easy.get(), *transfer.code);
  }
  co_return called_off(request);
}

/// Stands still: libcurl and the exchange know its parts.
class TlsClient::Stream final : public BodyStream {
 public:
  Stream(std::shared_ptr<State> state, ClientRequest request)
      : request_(std::move(request)), transfer_(std::move(state), request_) {}

  net::awaitable<Result<void>> begin();
  int status() const override { return transfer_.exchange.arrived().status; }
  const Headers& headers() const override { return transfer_.exchange.arrived().headers; }
  net::awaitable<Result<std::string>> read() override;

 private:
  bool is_stopped(const net::cancellation_state& state) const {
    return transfer_.called_off || state.cancelled() != net::cancellation_type::none;
  }

  const ClientRequest request_;
  State::Transfer transfer_;
};

net::awaitable<Result<void>> TlsClient::Stream::begin() {
  const auto cancellation = co_await net::this_coro::cancellation_state;
  if (is_stopped(cancellation)) co_return called_off(request_);
  transfer_.exchange.stream_to([this] { transfer_.ended.cancel(); });
  if (auto started = transfer_.begin(); !started) co_return started;
  const auto begun = [&] { return transfer_.exchange.headers_ended() && transfer_.exchange.arrived().status >= 200; };
  while (!transfer_.code && !begun()) {
    boost::system::error_code ignored;
    co_await transfer_.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
    if (is_stopped(cancellation)) co_return called_off(request_);
  }
  // What ended after its headers is a stream all the same: what came of the body may be of use, read() says the rest.
  if (begun()) co_return Result<void>();
  auto nothing = transfer_.exchange.finish(transfer_.easy.get(), *transfer_.code);
  if (!nothing) co_return std::move(nothing.error());
  co_return transfer_.exchange.failure(std::string(kEndedUnanswered));
}

net::awaitable<Result<std::string>> TlsClient::Stream::read() {
  const auto cancellation = co_await net::this_coro::cancellation_state;
  for (;;) {
    if (std::string& body = transfer_.exchange.arrived().body; !body.empty()) {
      std::string taken = std::move(body);
      body.clear();
      transfer_.exchange.go_on();
      co_return taken;
    }
    if (transfer_.code) {
      if (auto whole = transfer_.exchange.finish(transfer_.easy.get(), *transfer_.code); !whole)
        co_return whole.error();
      co_return std::string();
    }
    if (is_stopped(cancellation)) co_return called_off(request_);
    boost::system::error_code ignored;
    co_await transfer_.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
}

net::awaitable<Result<std::unique_ptr<BodyStream>>> TlsClient::begin(std::shared_ptr<State> state,
                                                                     ClientRequest request) {
  auto stream = std::make_unique<Stream>(std::move(state), std::move(request));
  if (auto begun = co_await stream->begin(); !begun) co_return std::move(begun.error());
  co_return std::unique_ptr<BodyStream>(std::move(stream));
}

TlsClient::TlsClient(net::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
TlsClient::~TlsClient() = default;

net::awaitable<Result<Response>> TlsClient::send(ClientRequest request) {
  return exchange(state_, std::move(request));
}

net::awaitable<Result<std::unique_ptr<BodyStream>>> TlsClient::open(ClientRequest request) {
  return begin(state_, std::move(request));
}

void TlsClient::call_off() {
  state_->call_off();
}

}  // namespace weir::http
