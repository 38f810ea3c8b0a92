#include "http/client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
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
#include <curl/curl.h>
#include <sys/epoll.h>

#include "http/uri.h"

namespace weir::http {

namespace {

/// Headers of an answer beyond this are a failure; libcurl itself has no limit to their number.
constexpr std::size_t kHeadersMaxBytes = 256U << 10U;
/// Connections kept for reuse; the one that was idle longest is closed to make room.
constexpr long kIdleConnectionsMax = 256;
/// A connection that was idle this many whole seconds is not used again: servers close idle ones, the hastiest known
/// after 5 s (Node, uvicorn, hypercorn), and a request that meets such a close on its way cannot be sent again.
constexpr long kIdleSecondsMax = 3;
/// Of a body that is read as it comes: so much waits here to be read, then the sender has to.
constexpr std::size_t kStreamBufferBytes = 64U << 10U;
/// Such a body is cut off when nothing comes for so long; a stream of AWS says something every few seconds.
constexpr long kStreamSilenceSeconds = 30;
/// Easy handles kept for reuse.
constexpr std::size_t kIdleHandlesMax = 256;

void start_curl() {
  struct Global {
    Global() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  };
  static const Global once;
}

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using Multi = std::unique_ptr<CURLM, FreeMulti>;

long whole_milliseconds(Duration duration) {
  // Zero would mean "no limit" to libcurl.
  return std::max<long>(1, static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(duration).count()));
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
  });
}

/// Whether sending a request twice comes to the same as sending it once (RFC 9110, 9.2.2).
bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
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
  /// Lets the sender go on that had to wait for the body to be taken.
  void go_on() {
    if (!paused_) return;
    paused_ = false;  // take_body() may be called from within
    curl_easy_pause(easy_, CURLPAUSE_CONT);
  }

  /// Tells a fresh or reset handle everything. http.failed: the request cannot be sent as it is.
  Result<void> prepare(CURL* easy);
  /// What the transfer, which has ended, came to.
  Result<Response> finish(CURL* easy, CURLcode code);
  Error failure(ErrorCode code, std::string why) const {
    return Error(code, std::move(why)).during("asking " + without_secrets(request_.url));
  }

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
  curl_slist* head = curl_slist_append(lines_.get(), line.c_str());
  if (head == nullptr) return false;
  static_cast<void>(lines_.release());
  lines_.reset(head);
  return true;
}

Result<void> Exchange::prepare(CURL* easy) {
  if (!is_token(request_.method)) return failure(ErrorCode::kHttpFailed, "the method is no word of HTTP");
  bool added = true;
  for (const auto& [name, value] : request_.headers.all()) {
    if (!is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return failure(ErrorCode::kHttpFailed, "a header to be sent is none that HTTP knows");
    }
    // "Name:" would take a header away; libcurl sends an empty one for "Name;".
    added = added && add_line(value.empty() ? name + ";" : name + ": " + value);
  }
  // libcurl would wait a second for "100 Continue", and call every body a form.
  added = added && add_line("Expect:");
  if (!request_.headers.get("Content-Type")) added = added && add_line("Content-Type:");
  if (!added) return failure(ErrorCode::kHttpFailed, "no memory for the headers");

  easy_ = easy;
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Exchange::before_sending);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kIdleSecondsMax);
  // A synchronous call may be silent for 15 minutes; NAT forgets a silent connection after less than 6.
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 60L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 30L);
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  // A signature is made of the path as it is.
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  const std::string& method = request_.method;
  if (method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines_.get());
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   static_cast<long>(request_.may_be_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  if (told_) {
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStreamSilenceSeconds);
  }
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Without it, calling off a transfer waits for the thread that looks the host up.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, whole_milliseconds(request_.connect_timeout));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, whole_milliseconds(request_.timeout));
  for (const char* name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (const char* file = std::getenv(name); file != nullptr && *file != '\0') {
      curl_easy_setopt(easy, CURLOPT_CAINFO, file);
      break;
    }
  }
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason_.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Exchange::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Exchange::take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
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
    curl_easy_setopt(self.easy_, CURLOPT_FRESH_CONNECT, 1L);
    return CURL_PREREQFUNC_OK;
  }
  long sent = 0;
  curl_easy_getinfo(self.easy_, CURLINFO_REQUEST_SIZE, &sent);
  if (sent == 0 || is_idempotent(self.request_.method)) return CURL_PREREQFUNC_OK;
  self.refused_ = "the connection ended before an answer began, and the server may have taken the request";
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
    curl_easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &status);
    self.refused_ = "the answer, of status " + std::to_string(status) + ", is larger than " +
                    std::to_string(self.request_.response_max_bytes) + " bytes";
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
    self.refused_ = "the answer's headers are larger than " + std::to_string(kHeadersMaxBytes) + " bytes";
    return 0;
  }
  // A new status line: what came before belongs to an interim answer (100, 103).
  if (line.substr(0, 5) == "HTTP/") {
    self.response_.headers = Headers();
    self.headers_ended_ = false;
  }
  if (line == "\r\n" || line == "\n") {
    long status = 0;
    curl_easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &status);
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
  if (!refused_.empty()) return failure(ErrorCode::kHttpFailed, std::move(refused_));
  if (code != CURLE_OK) {
    return failure(ErrorCode::kHttpFailed, reason_[0] != '\0' ? reason_.data() : curl_easy_strerror(code));
  }
  // libcurl takes the end of the connection for the end of the headers.
  if (!headers_ended_) return failure(ErrorCode::kHttpFailed, "the connection ended within the answer's headers");
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  return std::move(response_);
}

}  // namespace

Result<Response> request(const std::string& method, const std::string& url, const std::string& body, Duration timeout,
                         const Headers& headers) {
  start_curl();
  ClientRequest asked;
  asked.method = method;
  asked.url = url;
  asked.headers = headers;
  asked.body = body;
  asked.timeout = timeout;
  asked.connect_timeout = std::min<Duration>(timeout, std::chrono::seconds(10));
  Exchange exchange(asked);
  const Easy easy(curl_easy_init());
  if (!easy) return exchange.failure(ErrorCode::kHttpFailed, "libcurl could not be started");
  if (const auto ready = exchange.prepare(easy.get()); !ready) return ready.error();
  return exchange.finish(easy.get(), curl_easy_perform(easy.get()));
}

/// libcurl's multi interface on the reactor. The sockets, which libcurl opens and closes as it likes, are in an epoll
/// set of the client's own, and the reactor waits for that set: no socket of libcurl's is ever known to asio, which
/// would close it or miss that its number was given to another. Waiting stops when no transfer is under way, so that
/// an io_context with an idle client runs out of work. What waits holds a weak pointer: the state ends with the client
/// and the last transfer, also when the context is destroyed with transfers under way.
struct Client::State : std::enable_shared_from_this<Client::State> {
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
    std::optional<CURLcode> code;
  };

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* state, void* known);
  static int on_timer(CURLM* multi, long milliseconds, void* state);

  bool start();
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
  std::size_t under_way = 0;
  Multi multi;  ///< from the first request on; last: its end calls on_socket
};

Client::State::State(net::any_io_executor where) : executor(where), sockets(where), timer(where) {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) throw std::runtime_error("no descriptor for an HTTP client");
  sockets.assign(set);
}

/// Not before the first request: most of what libcurl costs in memory and time is OpenSSL's beginning, and who reads
/// files or Kafka may never send one.
bool Client::State::start() {
  if (multi) return true;
  start_curl();
  multi.reset(curl_multi_init());
  if (!multi) return false;
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &State::on_socket);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &State::on_timer);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kIdleConnectionsMax);
  // With HTTP/2 too each exchange has a connection: one that pauses, because its reader is busy, would stop the others.
  curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  return true;
}

/// `known` is set for a socket that is in the epoll set.
int Client::State::on_socket(CURL*, curl_socket_t socket, int what, void* state, void* known) {
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
  curl_multi_assign(self.multi.get(), socket, &self);
  return 0;
}

int Client::State::on_timer(CURLM*, long milliseconds, void* state) {
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
void Client::State::wait_for_time() {
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

void Client::State::wait_for_sockets() {
  if (sockets_wait) return;
  sockets_wait = true;
  sockets.async_wait(net::posix::stream_descriptor::wait_read,
                     [kept = weak_from_this()](const boost::system::error_code& called_off) {
                       const auto self = kept.lock();
                       if (!self) return;
                       self->sockets_wait = false;
                       if (!called_off) self->act_on_sockets();
                       if (self->under_way > 0) self->wait_for_sockets();
                     });
}

void Client::State::act_on_sockets() {
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
    curl_multi_socket_action(multi.get(), one.data.fd, events, &running);
  }
  collect();
}

void Client::State::act_on_time() {
  int running = 0;
  curl_multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
  collect();
}

void Client::State::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    // libcurl gives back as char* what it was given as void*.
    auto& transfer = *static_cast<Transfer*>(static_cast<void*>(owner));
    transfer.code = message->data.result;
    transfer.ended.cancel();
  }
}

void Client::State::rest() {
  due.reset();
  boost::system::error_code ignored;
  sockets.cancel(ignored);
  timer.cancel();
  timer_waits = false;
}

Client::State::Transfer::Transfer(std::shared_ptr<State> of, const ClientRequest& request)
    : state(std::move(of)), exchange(request), ended(state->executor, net::steady_timer::time_point::max()) {}

Result<void> Client::State::Transfer::begin() {
  if (!state->start()) return exchange.failure(ErrorCode::kHttpFailed, "libcurl could not be started");
  if (state->idle.empty()) {
    easy.reset(curl_easy_init());
    if (!easy) return exchange.failure(ErrorCode::kHttpFailed, "libcurl has no memory for a request");
  } else {
    easy = std::move(state->idle.back());
    state->idle.pop_back();
  }
  if (auto ready = exchange.prepare(easy.get()); !ready) return ready;
  curl_easy_setopt(easy.get(), CURLOPT_PRIVATE, this);
  if (const CURLMcode refused = curl_multi_add_handle(state->multi.get(), easy.get()); refused != CURLM_OK) {
    return exchange.failure(ErrorCode::kHttpFailed, curl_multi_strerror(refused));
  }
  under_way = true;
  ++state->under_way;
  state->wait_for_sockets();
  return {};
}

Client::State::Transfer::~Transfer() {
  if (under_way) {
    curl_multi_remove_handle(state->multi.get(), easy.get());  // closes the connection of an unfinished one
    if (--state->under_way == 0) state->rest();
  }
  if (easy && state->idle.size() < kIdleHandlesMax) {
    curl_easy_reset(easy.get());
    state->idle.push_back(std::move(easy));
  }
}

Client::Client(net::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
Client::~Client() = default;

net::awaitable<Result<Response>> Client::send(ClientRequest request) {
  State::Transfer transfer(state_, request);
  const auto cancellation = co_await net::this_coro::cancellation_state;
  if (cancellation.cancelled() == net::cancellation_type::none) {
    if (const auto begun = transfer.begin(); !begun) co_return begun.error();
    boost::system::error_code ignored;
    co_await transfer.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
    if (transfer.code) co_return transfer.exchange.finish(transfer.easy.get(), *transfer.code);
  }
  co_return transfer.exchange.failure(ErrorCode::kCancelled, "the request was called off");
}

/// Stands still: libcurl and the exchange know its parts.
struct ResponseStream::State {
  State(std::shared_ptr<Client::State> client, ClientRequest asked)
      : request(std::move(asked)), transfer(std::move(client), request) {}

  ClientRequest request;
  Client::State::Transfer transfer;
};

ResponseStream::ResponseStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ResponseStream::~ResponseStream() = default;

int ResponseStream::status() const {
  return state_->transfer.exchange.arrived().status;
}

const Headers& ResponseStream::headers() const {
  return state_->transfer.exchange.arrived().headers;
}

net::awaitable<Result<std::string>> ResponseStream::read() {
  Client::State::Transfer& transfer = state_->transfer;
  const auto cancellation = co_await net::this_coro::cancellation_state;
  for (;;) {
    if (std::string& body = transfer.exchange.arrived().body; !body.empty()) {
      std::string taken = std::move(body);
      body.clear();
      transfer.exchange.go_on();
      co_return taken;
    }
    if (transfer.code) {
      if (auto whole = transfer.exchange.finish(transfer.easy.get(), *transfer.code); !whole) co_return whole.error();
      co_return std::string();
    }
    if (cancellation.cancelled() != net::cancellation_type::none)
      co_return transfer.exchange.failure(ErrorCode::kCancelled, "reading was called off");
    boost::system::error_code ignored;
    co_await transfer.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
}

net::awaitable<Result<std::unique_ptr<ResponseStream>>> Client::open(ClientRequest request) {
  auto stream = std::make_unique<ResponseStream::State>(state_, std::move(request));
  State::Transfer& transfer = stream->transfer;
  const auto cancellation = co_await net::this_coro::cancellation_state;
  if (cancellation.cancelled() != net::cancellation_type::none)
    co_return transfer.exchange.failure(ErrorCode::kCancelled, "the request was called off");
  transfer.exchange.stream_to([&transfer] { transfer.ended.cancel(); });
  if (const auto started = transfer.begin(); !started) co_return started.error();
  const auto begun = [&] { return transfer.exchange.headers_ended() && transfer.exchange.arrived().status >= 200; };
  while (!transfer.code && !begun()) {
    boost::system::error_code ignored;
    co_await transfer.ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
    if (cancellation.cancelled() != net::cancellation_type::none)
      co_return transfer.exchange.failure(ErrorCode::kCancelled, "the request was called off");
  }
  // What ended after its headers is a stream all the same: what came of the body may be of use, read() says the rest.
  if (!begun()) {
    auto nothing = transfer.exchange.finish(transfer.easy.get(), *transfer.code);
    if (!nothing) co_return nothing.error();
    co_return transfer.exchange.failure(ErrorCode::kHttpFailed, "the connection ended before an answer began");
  }
  co_return std::unique_ptr<ResponseStream>(new ResponseStream(std::move(stream)));
}

}  // namespace weir::http
