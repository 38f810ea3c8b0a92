#include "weir/event/invocation.h"

namespace weir {

std::string_view text(ThrottleReason reason) {
  switch (reason) {
    case ThrottleReason::kConcurrentInvocationLimitExceeded:
      return "ConcurrentInvocationLimitExceeded";
    case ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded:
      return "ReservedFunctionConcurrentInvocationLimitExceeded";
  }
  return "";
}

std::string_view kind(const Outcome& outcome) {
  struct Namer {
    std::string_view operator()(const Succeeded&) const { return "success"; }
    std::string_view operator()(const FunctionFailed&) const { return "function_error"; }
    std::string_view operator()(const Throttled&) const { return "throttle"; }
    std::string_view operator()(const ServiceFailed&) const { return "service_error"; }
    std::string_view operator()(const Cancelled&) const { return "cancelled"; }
  };
  return std::visit(Namer{}, outcome.what);
}

}  // namespace weir
