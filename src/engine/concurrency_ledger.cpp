#include "engine/concurrency_ledger.h"

#include <algorithm>

namespace weir::engine {

ConcurrencyLedger::ConcurrencyLedger(int account) : account_(account) {
  WEIR_ASSERT(account >= 1);
}

ConcurrencyUse& ConcurrencyLedger::use(std::string_view function) {
  const auto found = functions_.find(function);
  return found != functions_.end() ? found->second : functions_.emplace(function, ConcurrencyUse{}).first->second;
}

Result<void> ConcurrencyLedger::reserve(std::string_view function, std::optional<int> executions) {
  WEIR_ASSERT(!executions || *executions >= 0);
  ConcurrencyUse& mine = use(function);
  const int reserved_after = reserved_ - mine.reserved.value_or(0) + executions.value_or(0);
  const bool takes_more = executions.value_or(0) > mine.reserved.value_or(0);
  if (takes_more && account_ - reserved_after < kUnreservedMinimum) {
    return Error(ErrorCode::kConfigInvalid,
                 "Specified ReservedConcurrentExecutions for function decreases account's "
                 "UnreservedConcurrentExecution below its "
                 "minimum value of [" +
                     std::to_string(kUnreservedMinimum) + "].");
  }
  // Running calls change pools together with their function.
  if (mine.reserved.has_value() && !executions.has_value()) executing_unreserved_ += mine.executing;
  if (!mine.reserved.has_value() && executions.has_value()) executing_unreserved_ -= mine.executing;
  reserved_ = reserved_after;
  mine.reserved = executions;
  return {};
}

std::optional<ThrottleReason> ConcurrencyLedger::acquire(std::string_view function) {
  ConcurrencyUse& mine = use(function);
  if (mine.reserved) {
    if (mine.executing >= *mine.reserved) {
      ++mine.throttles;
      return ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;
    }
  } else {
    if (executing_unreserved_ >= unreserved()) {
      ++mine.throttles;
      return ThrottleReason::kConcurrentInvocationLimitExceeded;
    }
  }
  // Calls go on that began under other reservations, so a pool may have room which the account has not.
  if (executing_ >= account_) {
    ++mine.throttles;
    return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  if (!mine.reserved) ++executing_unreserved_;
  ++mine.executing;
  ++executing_;
  mine.executing_max = std::max(mine.executing_max, mine.executing);
  executing_max_ = std::max(executing_max_, executing_);
  return std::nullopt;
}

void ConcurrencyLedger::release(std::string_view function) {
  ConcurrencyUse& mine = use(function);
  WEIR_ASSERT(mine.executing > 0 && executing_ > 0);
  --mine.executing;
  --executing_;
  if (!mine.reserved) --executing_unreserved_;
}

}  // namespace weir::engine
