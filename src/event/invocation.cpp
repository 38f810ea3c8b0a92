#include "weir/event/invocation.h"

#include <array>
#include <utility>

namespace weir {

namespace {

constexpr std::array<std::pair<ThrottleReason, std::string_view>, 6> kReasons{{
    {ThrottleReason::kConcurrentInvocationLimitExceeded, "ConcurrentInvocationLimitExceeded"},
    {ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded,
     "ReservedFunctionConcurrentInvocationLimitExceeded"},
    {ThrottleReason::kFunctionInvocationRateLimitExceeded, "FunctionInvocationRateLimitExceeded"},
    {ThrottleReason::kReservedFunctionInvocationRateLimitExceeded, "ReservedFunctionInvocationRateLimitExceeded"},
    {ThrottleReason::kCallerRateLimitExceeded, "CallerRateLimitExceeded"},
    {ThrottleReason::kConcurrentSnapshotCreateLimitExceeded, "ConcurrentSnapshotCreateLimitExceeded"},
}};

}  // namespace

std::string_view text(ThrottleReason reason) {
  for (const auto& [each, word] : kReasons) {
    if (each == reason) return word;
  }
  return "";
}

std::optional<ThrottleReason> throttle_reason(std::string_view text) {
  for (const auto& [reason, word] : kReasons) {
    if (word == text) return reason;
  }
  return std::nullopt;
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
