#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "weir/base/time.h"
#include "weir/event/cold_start.h"
#include "weir/event/invocation.h"

namespace weir {

namespace net = boost::asio;

/// Where the invocations of one function go: real Lambda, a server that speaks the Invoke API, or a process that weir
/// runs.
class LambdaEndpoint {
 public:
  virtual ~LambdaEndpoint() = default;

  /// Invokes and waits for the answer. Failing is an outcome, never an exception; being cancelled is the outcome
  /// Cancelled. The caller holds a permit of the ConcurrencyLedger. `deadline`: when the caller stops waiting; the
  /// function's own timeout is the endpoint's business.
  virtual net::awaitable<Outcome> invoke(Invocation invocation, Instant deadline) = 0;

  /// The starts of execution environments since it was last asked, of an endpoint that runs its function itself.
  virtual std::vector<ColdStart> take_cold_starts() { return {}; }

  /// Ends what the endpoint started (processes, connections) and waits until it is gone.
  virtual net::awaitable<void> close() = 0;
};

}  // namespace weir
