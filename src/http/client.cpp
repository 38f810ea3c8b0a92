#include "http/client.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "http/exchange.h"
#include "http/plain_client.h"
#include "http/tls_client.h"
#include "http/uri.h"

namespace weir::http {

Result<Response> request(const std::string& method, const std::string& url, const std::string& body, Duration timeout,
                         const Headers& headers) {
  ClientRequest asked;
  asked.method = method;
  asked.url = url;
  asked.headers = headers;
  asked.body = body;
  asked.timeout = timeout;
  asked.connect_timeout = std::min<Duration>(timeout, std::chrono::seconds(10));
  net::io_context context{1};
  Client client(context.get_executor());
  Result<Response> answer = Error();
  std::exception_ptr failure;
  net::co_spawn(context, client.send(std::move(asked)), [&](std::exception_ptr thrown, Result<Response> got) {
    failure = std::move(thrown);
    answer = std::move(got);
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return answer;
}

struct Client::State {
  explicit State(net::any_io_executor where) : executor(std::move(where)), plain(executor) {}

  TlsClient& through_tls() {
    if (!tls) tls.emplace(executor);
    return *tls;
  }

  net::any_io_executor executor;
  PlainClient plain;
  std::optional<TlsClient> tls;  ///< from the first https:// request on
};

namespace {

/// Refused before it begins.
template <typename T>
net::awaitable<Result<T>> no_url(ClientRequest request) {
  co_return exchange_failure(request, ErrorCode::kHttpFailed, "it is no http or https URL");
}

net::awaitable<Result<std::unique_ptr<ResponseStream>>> shown(
    net::awaitable<Result<std::unique_ptr<BodyStream>>> opening) {
  auto opened = co_await std::move(opening);
  if (!opened) co_return std::move(opened.error());
  co_return std::make_unique<ResponseStream>(std::move(*opened));
}

}  // namespace

Client::Client(net::any_io_executor executor) : state_(std::make_unique<State>(std::move(executor))) {}
Client::~Client() = default;

net::awaitable<Result<Response>> Client::send(ClientRequest request) {
  auto url = split_url(request.url);
  if (!url) return no_url<Response>(std::move(request));
  if (url->scheme == "https") return state_->through_tls().send(std::move(request));
  return state_->plain.send(std::move(request), std::move(*url));
}

net::awaitable<Result<std::unique_ptr<ResponseStream>>> Client::open(ClientRequest request) {
  auto url = split_url(request.url);
  if (!url) return shown(no_url<std::unique_ptr<BodyStream>>(std::move(request)));
  if (url->scheme == "https") return shown(state_->through_tls().open(std::move(request)));
  return shown(state_->plain.open(std::move(request), std::move(*url)));
}

void Client::call_off() {
  state_->plain.call_off();
  if (state_->tls) state_->tls->call_off();
}

ResponseStream::ResponseStream(std::unique_ptr<BodyStream> body) : body_(std::move(body)) {}
ResponseStream::~ResponseStream() = default;

int ResponseStream::status() const {
  return body_->status();
}

const Headers& ResponseStream::headers() const {
  return body_->headers();
}

net::awaitable<Result<std::string>> ResponseStream::read() {
  return body_->read();
}

}  // namespace weir::http
