#include "engine/concurrency_ledger.h"

#include <algorithm>

namespace weir::engine {

bool Allowance::has(Instant now, double at_once, double per_second) {
  left_ = begun_ ? std::min(at_once, left_ + as_seconds(std::max(Duration(0), now - at_)) * per_second) : at_once;
  begun_ = true;
  at_ = std::max(at_, now);
  return left_ > 1 - 1e-9;  // a sum of fractions
}

ConcurrencyLedger::ConcurrencyLedger(int account) : account_(account) {
  WEIR_ASSERT(account >= 1);
}

void ConcurrencyLedger::set_account(int account) {
  WEIR_ASSERT(account >= 1);
  account_ = account;
}

ConcurrencyUse& ConcurrencyLedger::use(std::string_view function) {
  const auto found = functions_.find(function);
  return found != functions_.end() ? found->second : functions_.emplace(function, ConcurrencyUse{}).first->second;
}

void ConcurrencyLedger::forget(std::string_view function) {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return;
  WEIR_ASSERT(reserve(function, std::nullopt).has_value());
  if (found->second.executing == 0) {
    functions_.erase(found);
  } else {
    found->second.forgotten = true;
  }
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
  mine.forgotten = false;
  return {};
}

/// Whether one more execution takes an environment that is not there yet.
bool ConcurrencyLedger::needs_start(Instant now, ConcurrencyUse& mine) {
  if (now - mine.peak_since >= kEnvironmentKept) {
    mine.peak_before = now - mine.peak_since < 2 * kEnvironmentKept ? mine.peak : mine.executing;
    mine.peak = mine.executing;
    mine.peak_since = now;
  }
  return mine.executing >= std::max(mine.peak, mine.peak_before);
}

std::optional<ThrottleReason> ConcurrencyLedger::refusal(Instant now, ConcurrencyUse& mine, CallKind kind) {
  if (mine.reserved) {
    if (mine.executing >= *mine.reserved) return ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;
  } else {
    if (executing_unreserved_ >= unreserved()) return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  // Calls go on that began under other reservations, so a pool may have room which the account has not.
  if (executing_ >= account_) {
    return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  if (kind == CallKind::kSynchronous) {
    const double rate = kCallsPerExecution * mine.reserved.value_or(0);
    if (mine.reserved && !mine.calls.has(now, rate, rate)) {
      return ThrottleReason::kReservedFunctionInvocationRateLimitExceeded;
    }
    const double account_rate = static_cast<double>(kCallsPerExecution) * account_;
    if (!calls_.has(now, account_rate, account_rate)) return ThrottleReason::kFunctionInvocationRateLimitExceeded;
  }
  const bool start = needs_start(now, mine);
  // Lambda's own reason for this case is not known.
  if (start && !mine.starts.has(now, kStarts, kStartsPerSecond)) {
    return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  if (start) mine.starts.take();
  return std::nullopt;
}

std::optional<ThrottleReason> ConcurrencyLedger::acquire(Instant now, std::string_view function, CallKind kind) {
  ConcurrencyUse& mine = use(function);
  if (const auto refused = refusal(now, mine, kind)) {
    ++mine.throttles;
    return refused;
  }
  if (kind == CallKind::kSynchronous) {
    if (mine.reserved) mine.calls.take();
    calls_.take();
  }
  if (!mine.reserved) ++executing_unreserved_;
  ++mine.executing;
  ++executing_;
  mine.peak = std::max(mine.peak, mine.executing);
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
  if (mine.forgotten && mine.executing == 0) functions_.erase(functions_.find(function));
}

}  // namespace weir::engine
