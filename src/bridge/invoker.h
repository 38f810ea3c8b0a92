#pragma once

#include <map>
#include <memory>
#include <string>

#include "weir/base/log.h"
#include "weir/lambda_endpoint.h"

#include "engine/concurrency_ledger.h"
#include "engine/invocation_meter.h"

namespace weir::bridge {

/// The one way to a function, whatever its endpoint: a permit of the ledger, the call, the figures. Lives on one
/// thread.
class Invoker {
 public:
  /// `account`: the account's concurrency.
  explicit Invoker(int account) : ledger_(account) {}

  /// `endpoint` outlives the invoker's calls. `arn`: of a function of real Lambda, with the qualifier that it has in
  /// the configuration; "" for one in weir's own region and account. Refused when the reservation leaves too little to
  /// the others.
  Result<void> add(const std::string& function, LambdaEndpoint& endpoint, std::optional<int> reserved,
                   std::string arn = "");
  bool knows(const std::string& function) const { return functions_.contains(function); }

  /// Never throws but for a broken belief; a function that is not known is a ServiceFailed with status 404.
  net::awaitable<Outcome> invoke(Invocation call, Instant deadline);

  /// The function's unqualified ARN; also of one that is not known.
  std::string arn(const std::string& function) const;
  /// The same with the qualifier that the configuration gives, if it gives one.
  std::string configured_arn(const std::string& function) const;
  /// The same with the qualifier of a call: "" is the one of the configuration, or $LATEST.
  std::string qualified_arn(const std::string& function, const std::string& qualifier) const;

  const engine::ConcurrencyLedger& ledger() const { return ledger_; }
  const engine::InvocationMeter& meter(const std::string& function) const { return functions_.at(function).meter; }

 private:
  struct Function {
    LambdaEndpoint* endpoint = nullptr;
    std::string arn;             ///< unqualified
    std::string qualifier;       ///< of a call without one
    bool has_qualifier = false;  ///< it is the configuration's
    engine::InvocationMeter meter;
  };
  engine::ConcurrencyLedger ledger_;
  std::map<std::string, Function> functions_;
};

/// "arn:aws:lambda:us-east-1:000000000000:function:NAME": weir's own functions live in this region and account.
std::string function_arn(std::string_view function);

}  // namespace weir::bridge
