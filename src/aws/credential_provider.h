#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"

#include "aws/credential_fetcher.h"
#include "http/sigv4.h"

namespace weir::aws {

/// The credentials in force. They are fetched when first asked for, once however many ask; fetched again five to six
/// minutes before they end, while the old ones are still given; and waited for when the old ones have ended. While
/// fetching fails the old ones serve, and it is tried again every ten seconds. One executor, whose context runs in one
/// thread.
class CredentialProvider {
 public:
  using Fetch = std::function<net::awaitable<Result<FetchedCredentials>>()>;

  /// `fetch` is called one at a time. `name`: of the function, for the log.
  CredentialProvider(net::any_io_executor executor, Fetch fetch, std::string name, Log& log, const Clock& clock,
                     std::uint64_t seed);
  ~CredentialProvider();
  CredentialProvider(const CredentialProvider&) = delete;
  CredentialProvider& operator=(const CredentialProvider&) = delete;

  /// Waits at most until `deadline`. Being cancelled, or closed, is the error `cancelled`; other errors are fetch's.
  net::awaitable<Result<http::Credentials>> get(Instant deadline);

  /// AWS did not take these: unless others are in force already, the next get() fetches.
  void refused(const http::Credentials& credentials);

  net::awaitable<void> close();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with a fetch under way and with those who wait for it
};

}  // namespace weir::aws
