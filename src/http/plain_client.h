#pragma once

#include <memory>

#include "http/client.h"
#include "http/exchange.h"
#include "http/uri.h"

namespace weir::http {

/// Sends requests to http:// URLs. Connections are kept and shared; one timer serves the limits of all exchanges. What
/// is under way goes on when the client goes.
class PlainClient {
 public:
  explicit PlainClient(net::any_io_executor executor);
  ~PlainClient();
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;

  /// `url`: the request's own.
  net::awaitable<Result<Response>> send(ClientRequest request, UrlParts url);
  net::awaitable<Result<std::unique_ptr<BodyStream>>> open(ClientRequest request, UrlParts url);
  void call_off();

 private:
  class Pool;
  class Exchange;
  class Stream;
  static net::awaitable<Result<Response>> exchange(std::shared_ptr<Pool> pool, ClientRequest request, UrlParts url);
  static net::awaitable<Result<std::unique_ptr<BodyStream>>> begin(std::shared_ptr<Pool> pool, ClientRequest request,
                                                                   UrlParts url);

  std::shared_ptr<Pool> pool_;  ///< shared with the exchanges under way
};

}  // namespace weir::http
