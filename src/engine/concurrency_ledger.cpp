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
  WEIR_ASSERT(provision(function, {}).has_value());
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
  if (executions && *executions < mine.provisioned_total) {
    return Error(ErrorCode::kConfigInvalid, " ReservedConcurrentExecutions  " + std::to_string(*executions) +
                                                " should not be lower than function's total provisioned concurrency [" +
                                                std::to_string(mine.provisioned_total) + "].");
  }
  const int claim_before = mine.claim();
  const int claimed_after = claimed_ - claim_before + executions.value_or(mine.provisioned_total);
  if (claimed_after > claimed_ && account_ - claimed_after < kUnreservedMinimum) {
    return Error(ErrorCode::kConfigInvalid,
                 "Specified ReservedConcurrentExecutions for function decreases account's "
                 "UnreservedConcurrentExecution below its "
                 "minimum value of [" +
                     std::to_string(kUnreservedMinimum) + "].");
  }
  // Running calls change pools together with their function.
  if (mine.reserved.has_value() && !executions.has_value()) executing_unreserved_ += mine.executing_standard();
  if (!mine.reserved.has_value() && executions.has_value()) executing_unreserved_ -= mine.executing_standard();
  claimed_ = claimed_after;
  mine.reserved = executions;
  mine.forgotten = false;
  return {};
}

Result<void> ConcurrencyLedger::provision(std::string_view function, const std::map<std::string, int>& versions) {
  ConcurrencyUse& mine = use(function);
  int total = 0;
  for (const auto& [version, environments] : versions) total += environments;
  const bool takes_more = total > mine.provisioned_total;
  if (takes_more && mine.reserved && total > *mine.reserved) {
    return Error(
        ErrorCode::kConfigInvalid,
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function");
  }
  if (takes_more && !mine.reserved) {
    const int left = unreserved() + mine.provisioned_total;
    if (total > left) {
      return Error(ErrorCode::kConfigInvalid,
                   "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [" +
                       std::to_string(left) + "].");
    }
    if (left - total < kUnreservedMinimum) {
      return Error(ErrorCode::kConfigInvalid,
                   "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                   "below its minimum value of [" +
                       std::to_string(kUnreservedMinimum) + "].");
    }
  }
  claimed_ -= mine.claim();
  mine.provisioned_total = total;
  claimed_ += mine.claim();
  for (auto& [version, use] : mine.provisioned) use.configured = 0;
  for (const auto& [version, environments] : versions) mine.provisioned[version].configured = environments;
  return {};
}

/// Whether one more execution takes an environment that is not there yet.
bool ConcurrencyLedger::needs_start(Instant now, ConcurrencyUse& mine) {
  if (now - mine.peak_since >= kEnvironmentKept) {
    mine.peak_before = now - mine.peak_since < 2 * kEnvironmentKept ? mine.peak : mine.executing_standard();
    mine.peak = mine.executing_standard();
    mine.peak_since = now;
  }
  return mine.executing_standard() >= std::max(mine.peak, mine.peak_before);
}

/// Whether the rates have one more synchronous call, which is then taken of them by begin().
bool ConcurrencyLedger::has_calls(Instant now, ConcurrencyUse& mine, std::optional<ThrottleReason>& refused) {
  const double rate = kCallsPerExecution * mine.reserved.value_or(0);
  if (mine.reserved && !mine.calls.has(now, rate, rate)) {
    refused = ThrottleReason::kReservedFunctionInvocationRateLimitExceeded;
    return false;
  }
  const double account_rate = static_cast<double>(kCallsPerExecution) * account_;
  if (!calls_.has(now, account_rate, account_rate)) {
    refused = ThrottleReason::kFunctionInvocationRateLimitExceeded;
    return false;
  }
  return true;
}

std::optional<ThrottleReason> ConcurrencyLedger::refusal(Instant now, ConcurrencyUse& mine, CallKind kind) {
  if (mine.reserved) {
    if (mine.executing_standard() >= *mine.reserved - mine.provisioned_total) {
      return ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;
    }
  } else {
    if (executing_unreserved_ >= unreserved()) return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  // Calls go on that began under other reservations, so a pool may have room which the account has not.
  if (executing_ >= account_) {
    return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  std::optional<ThrottleReason> refused;
  if (kind == CallKind::kSynchronous && !has_calls(now, mine, refused)) return refused;
  const bool start = needs_start(now, mine);
  // Lambda's own reason for this case is not known.
  if (start && !mine.starts.has(now, kStarts, kStartsPerSecond)) {
    return ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  if (start) mine.starts.take();
  return std::nullopt;
}

void ConcurrencyLedger::begin(ConcurrencyUse& mine, CallKind kind) {
  if (kind == CallKind::kSynchronous) {
    if (mine.reserved) mine.calls.take();
    calls_.take();
  }
  ++mine.executing;
  ++executing_;
  mine.executing_max = std::max(mine.executing_max, mine.executing);
  executing_max_ = std::max(executing_max_, executing_);
}

std::optional<ThrottleReason> ConcurrencyLedger::acquire(Instant now, std::string_view function, CallKind kind) {
  ConcurrencyUse& mine = use(function);
  if (const auto refused = refusal(now, mine, kind)) {
    ++mine.throttles;
    return refused;
  }
  if (!mine.reserved) ++executing_unreserved_;
  begin(mine, kind);
  mine.peak = std::max(mine.peak, mine.executing_standard());
  return std::nullopt;
}

void ConcurrencyLedger::release(std::string_view function) {
  ConcurrencyUse& mine = use(function);
  WEIR_ASSERT(mine.executing_standard() > 0 && executing_ > 0);
  --mine.executing;
  --executing_;
  if (!mine.reserved) --executing_unreserved_;
  if (mine.forgotten && mine.executing == 0) functions_.erase(functions_.find(function));
}

bool ConcurrencyLedger::acquire_provisioned(Instant now, std::string_view function, std::string_view version,
                                            int available, CallKind kind) {
  ConcurrencyUse& mine = use(function);
  const auto found = mine.provisioned.find(version);
  if (found == mine.provisioned.end()) return false;
  ProvisionedUse& its = found->second;
  if (its.executing >= std::min(its.configured, available) || executing_ >= account_) return false;
  if (kind == CallKind::kSynchronous) {
    const double rate = static_cast<double>(kCallsPerExecution) * its.configured;
    std::optional<ThrottleReason> refused;
    if (!its.calls.has(now, rate, rate) || !has_calls(now, mine, refused)) return false;
    its.calls.take();
  }
  begin(mine, kind);
  ++mine.executing_provisioned;
  ++its.executing;
  its.executing_max = std::max(its.executing_max, its.executing);
  ++its.invocations;
  return true;
}

void ConcurrencyLedger::release_provisioned(std::string_view function, std::string_view version) {
  ConcurrencyUse& mine = use(function);
  ProvisionedUse& its = mine.provisioned.find(version)->second;
  WEIR_ASSERT(its.executing > 0 && mine.executing_provisioned > 0);
  --its.executing;
  --mine.executing_provisioned;
  --mine.executing;
  --executing_;
  if (mine.forgotten && mine.executing == 0) functions_.erase(functions_.find(function));
}

void ConcurrencyLedger::on_spillover(std::string_view function, std::string_view version) {
  ConcurrencyUse& mine = use(function);
  const auto found = mine.provisioned.find(version);
  if (found != mine.provisioned.end() && found->second.configured > 0) ++found->second.spillovers;
}

}  // namespace weir::engine
