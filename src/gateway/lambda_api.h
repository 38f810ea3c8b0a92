#pragma once

#include <string>

#include "gateway/aws_error.h"
#include "gateway/gateway.h"
#include "gateway/trace_header.h"

namespace weir::gateway {

/// A call of the Invoke API, understood as far as its address and headers go.
struct InvokeCall {
  enum class Operation { kInvoke, kInvokeAsync, kInvokeWithResponseStream };
  enum class Kind { kRequestResponse, kEvent, kDryRun };

  Operation operation = Operation::kInvoke;
  Kind kind = Kind::kRequestResponse;
  std::string function;
  std::string qualifier;
  bool log_tail = false;
};

/// Lambda's API: POST /2015-03-31/functions/NAME/invocations, POST /2014-11-13/functions/NAME/invoke-async and
/// POST /2021-11-15/functions/NAME/response-streaming-invocations. Status, headers and texts are AWS's
/// (docs/gateway.md). A caller that hangs up ends nothing: the invocation goes on.
class LambdaApi {
 public:
  /// `random`: of trace ids; outlives the API, as what `deps` refers to.
  LambdaApi(const GatewayDeps& deps, Random& random) : deps_(deps), random_(random) {}

  /// Answers a request that is no other service's, which is signed where it has to be.
  net::awaitable<http::Response> answer(http::Request request, const std::string& request_id);

 private:
  http::Response refuse(const AwsError& error, const std::string& request_id);
  net::awaitable<http::Response> perform(const InvokeCall& call, http::Request request, const std::string& request_id);
  net::awaitable<http::Response> accept(const InvokeCall& call, http::Request request, const TraceHeader& trace,
                                        const std::string& request_id);
  /// Invokes and sends what the function streams as it comes; what it answers in one piece is one chunk.
  net::awaitable<http::Response> stream(const InvokeCall& call, Invocation invocation, http::AnswerStream& answer,
                                        const TraceHeader& trace, const std::string& request_id);
  http::Response tell(Outcome outcome, const InvokeCall& call, const TraceHeader& trace, const std::string& request_id);

  GatewayDeps deps_;
  Random& random_;
};

}  // namespace weir::gateway
