#include "bridge/invoker.h"

namespace weir::bridge {
namespace {

/// A permit goes back however the call ends.
class Permit {
 public:
  Permit(engine::ConcurrencyLedger& ledger, const std::string& function) : ledger_(ledger), function_(function) {}
  ~Permit() { ledger_.release(function_); }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

 private:
  engine::ConcurrencyLedger& ledger_;
  const std::string& function_;
};

}  // namespace

std::string function_arn(std::string_view function) {
  return "arn:aws:lambda:us-east-1:000000000000:function:" + std::string(function);
}

Result<void> Invoker::add(const std::string& function, LambdaEndpoint& endpoint, std::optional<int> reserved,
                          std::string arn) {
  if (reserved) {
    if (auto done = ledger_.reserve(function, reserved); !done) return done;
  }
  Function& added = functions_[function];
  added.endpoint = &endpoint;
  added.arn = arn.empty() ? function_arn(function) : std::move(arn);
  added.qualifier = "$LATEST";
  // arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
  std::size_t end = 0;
  for (int colons = 0; end < added.arn.size(); ++end) {
    if (added.arn[end] == ':' && ++colons == 7) break;
  }
  if (end < added.arn.size()) {
    added.qualifier = added.arn.substr(end + 1);
    added.has_qualifier = true;
    added.arn.resize(end);
  }
  return {};
}

std::string Invoker::arn(const std::string& function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() ? function_arn(function) : found->second.arn;
}

std::string Invoker::configured_arn(const std::string& function) const {
  const auto found = functions_.find(function);
  return found != functions_.end() && found->second.has_qualifier ? qualified_arn(function, "") : arn(function);
}

std::string Invoker::qualified_arn(const std::string& function, const std::string& qualifier) const {
  const auto found = functions_.find(function);
  const std::string otherwise = found == functions_.end() ? "$LATEST" : found->second.qualifier;
  return arn(function) + ":" + (qualifier.empty() ? otherwise : qualifier);
}

net::awaitable<Outcome> Invoker::invoke(Invocation call, Instant deadline) {
  const auto found = functions_.find(call.function);
  if (found == functions_.end()) {
    co_return Outcome(ServiceFailed{404, "Function not found: " + qualified_arn(call.function, call.qualifier),
                                    "ResourceNotFoundException"});
  }
  if (const auto refused = ledger_.acquire(call.function)) co_return Outcome(Throttled{*refused});
  const Permit permit(ledger_, found->first);
  Outcome outcome = co_await found->second.endpoint->invoke(std::move(call), deadline);
  found->second.meter.on_outcome(outcome);
  co_return outcome;
}

}  // namespace weir::bridge
