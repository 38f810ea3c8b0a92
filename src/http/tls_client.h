#pragma once

#include <memory>

#include "http/client.h"
#include "http/exchange.h"

namespace weir::http {

/// Sends requests to https:// URLs: libcurl's multi interface on the executor's reactor. What is under way goes on when
/// the client goes.
class TlsClient {
 public:
  explicit TlsClient(net::any_io_executor executor);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  net::awaitable<Result<Response>> send(ClientRequest request);
  net::awaitable<Result<std::unique_ptr<BodyStream>>> open(ClientRequest request);
  void call_off();

 private:
  struct State;
  class Stream;
  static net::awaitable<Result<Response>> exchange(std::shared_ptr<State> state, ClientRequest request);
  static net::awaitable<Result<std::unique_ptr<BodyStream>>> begin(std::shared_ptr<State> state, ClientRequest request);

  std::shared_ptr<State> state_;  ///< shared with the requests under way
};

}  // namespace weir::http
