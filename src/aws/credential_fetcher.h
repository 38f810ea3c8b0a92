#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "aws/clock_skew.h"
#include "aws/courier.h"
#include "aws/credentials.h"
#include "http/sigv4.h"

namespace weir::aws {

namespace net = boost::asio;

/// What was fetched, and where, in words.
struct FetchedCredentials {
  http::Credentials credentials;
  std::string from;
  bool renewable_late = false;  ///< instance metadata: those that ended are still good while it has no others
};

struct CredentialFetcherSettings {
  std::string profile;  ///< that the configuration names; "" for the environment's choice
  std::string region;   ///< of STS
  Environment environment;
  Duration pause = std::chrono::seconds(1);             ///< before a metadata service is asked again
  Duration process_timeout = std::chrono::seconds(60);  ///< for credential_process
};

/// Gets credentials from wherever choose_credential_source() says. Reads files and runs programs on `blocking`, never
/// on the executor's thread.
class CredentialFetcher {
 public:
  /// `courier` and `skew` outlive the fetcher.
  CredentialFetcher(net::any_io_executor blocking, Courier& courier, CredentialFetcherSettings settings,
                    const Clock& clock, ClockSkew& skew);
  ~CredentialFetcher();
  CredentialFetcher(const CredentialFetcher&) = delete;
  CredentialFetcher& operator=(const CredentialFetcher&) = delete;

  /// endpoint.failed says where they were looked for and why there are none; no secret is in it.
  net::awaitable<Result<FetchedCredentials>> fetch();

  /// Ends a program that runs.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with what runs on `blocking`
};

}  // namespace weir::aws
