#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"

#include "http/client.h"

namespace weir::aws {

namespace net = boost::asio;

/// Sends requests that two can call off: who waits for one (by being cancelled) and close(), which ends them all. One
/// executor, whose context runs in one thread.
class Courier {
 public:
  explicit Courier(net::any_io_executor executor);
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  /// As Client::send(). Being cancelled is a value here, the error `cancelled`: nothing is thrown, and the connection
  /// is closed when it comes back.
  net::awaitable<Result<http::Response>> send(http::ClientRequest request);

  /// Ends what is under way, and all that is sent later.
  net::awaitable<void> close();

 private:
  struct State;
  static net::awaitable<Result<http::Response>> carry(std::shared_ptr<State> state, http::ClientRequest request);
  std::shared_ptr<State> state_;  ///< shared with the exchanges under way
};

}  // namespace weir::aws
