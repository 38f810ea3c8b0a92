#pragma once

#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/time.h"
#include "weir/event/cold_start.h"
#include "weir/event/invocation.h"

namespace weir {

namespace net = boost::asio;

/// What is known of a response when its first bytes come.
struct ResponseStart {
  std::string executed_version;
  std::string request_id;  ///< where the endpoint chose it; "": the invocation's own
};

/// Takes a function's response as it comes. Shared by who waits for the response and who writes it: either may go
/// first. A sink whose caller has gone takes everything and keeps nothing, for the function goes on (Lambda developer
/// guide, configuration-response-streaming).
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  /// The function streams: once, before the first write(). A function that answers in one piece does not call it.
  virtual void begin(ResponseStart start) = 0;
  /// Comes back when there is room for more: a caller that reads slowly slows down the function.
  virtual net::awaitable<void> write(std::string bytes) = 0;
};

/// Environments that an endpoint keeps ready.
struct ProvisionedEnvironments {
  int allocated = 0;     ///< initialized
  int available = 0;     ///< of these, so many calls can use: none, before all that were asked for are there
  bool failing = false;  ///< the last one did not get through its initialization
};

/// Where the invocations of one function go: real Lambda, a server that speaks the Invoke API, or a process that weir
/// runs.
class LambdaEndpoint {
 public:
  virtual ~LambdaEndpoint() = default;

  /// Invokes and waits for the answer. Failing is an outcome, never an exception; being cancelled is the outcome
  /// Cancelled. The caller holds a permit of the ConcurrencyLedger. `deadline`: when the caller stops waiting; the
  /// function's own timeout is the endpoint's business. With a `response_sink`, what the function streams goes there
  /// and is not in the outcome; a function that does not stream answers in the outcome.
  virtual net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) = 0;

  /// The starts of execution environments since it was last asked, of an endpoint that runs its function itself.
  virtual std::vector<ColdStart> take_cold_starts() { return {}; }

  /// Keeps so many environments ready from now on, of an endpoint that runs its function itself.
  virtual void provision(int environments) { static_cast<void>(environments); }
  virtual ProvisionedEnvironments provisioned() const { return {}; }

  /// Ends what the endpoint started (processes, connections) and waits until it is gone.
  virtual net::awaitable<void> close() = 0;
};

}  // namespace weir
