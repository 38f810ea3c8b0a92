#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/event/invocation.h"

namespace weir::engine {

/// What one function holds of the account's concurrency, and what was refused to it.
struct ConcurrencyUse {
  int executing = 0;            ///< ConcurrentExecutions, now
  int executing_max = 0;        ///< its highest value so far
  std::uint64_t throttles = 0;  ///< Throttles
  std::optional<int> reserved;  ///< ReservedConcurrentExecutions, when set
};

/// Who may run now: the account's concurrency, what functions reserved of it, and what is left for the others.
/// Pure; the shell keeps it behind one mutex where several threads share it.
/// Source: configuration-concurrency, lambda-concurrency (reference invoke.md, section 4).
class ConcurrencyLedger {
 public:
  /// At least this much of the account always stays unreserved.
  static constexpr int kUnreservedMinimum = 100;

  /// `account`: the account's limit, at least 1.
  explicit ConcurrencyLedger(int account);

  /// Reserves for a function; 0 blocks it, nothing takes a reservation away. Calls that run are not stopped. Refused
  /// with AWS's text when less than the minimum would stay unreserved.
  Result<void> reserve(std::string_view function, std::optional<int> executions);

  /// A permit, or why there is none. Every permit is given back by release().
  std::optional<ThrottleReason> acquire(std::string_view function);
  void release(std::string_view function);

  int account() const { return account_; }
  int executing() const { return executing_; }
  int executing_max() const { return executing_max_; }
  /// What the functions without a reservation may share.
  int unreserved() const { return account_ - reserved_; }
  /// Executions of functions without a reservation.
  int executing_unreserved() const { return executing_unreserved_; }
  const std::map<std::string, ConcurrencyUse, std::less<>>& functions() const { return functions_; }

 private:
  ConcurrencyUse& use(std::string_view function);

  int account_;
  int reserved_ = 0;
  int executing_ = 0;
  int executing_max_ = 0;
  int executing_unreserved_ = 0;
  std::map<std::string, ConcurrencyUse, std::less<>> functions_;
};

}  // namespace weir::engine
