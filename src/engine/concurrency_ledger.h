#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"

namespace weir::engine {

/// Something that may happen so often a second, and so many times at once after a pause. Pure.
class Allowance {
 public:
  /// Whether it may happen now, once more.
  bool has(Instant now, double at_once, double per_second);
  /// It happens. Only after has().
  void take() { left_ -= 1; }

 private:
  bool begun_ = false;
  double left_ = 0;
  Instant at_{};
};

/// What a version's provisioned environments are used for.
struct ProvisionedUse {
  int configured = 0;             ///< 0: not any more
  int executing = 0;              ///< ProvisionedConcurrentExecutions, now
  int executing_max = 0;          ///< its highest value so far
  std::uint64_t invocations = 0;  ///< ProvisionedConcurrencyInvocations
  std::uint64_t spillovers = 0;   ///< ProvisionedConcurrencySpilloverInvocations

  Allowance calls;
};

/// What one function holds of the account's concurrency, and what was refused to it.
struct ConcurrencyUse {
  int executing = 0;                                               ///< ConcurrentExecutions, now
  int executing_max = 0;                                           ///< its highest value so far
  std::uint64_t throttles = 0;                                     ///< Throttles
  std::optional<int> reserved;                                     ///< ReservedConcurrentExecutions, when set
  bool forgotten = false;                                          ///< there are only calls that still run
  std::map<std::string, ProvisionedUse, std::less<>> provisioned;  ///< by version
  int provisioned_total = 0;                                       ///< what is configured
  int executing_provisioned = 0;                                   ///< of `executing`

  /// What nobody else can have.
  int claim() const { return reserved.value_or(provisioned_total); }
  int executing_standard() const { return executing - executing_provisioned; }

  Allowance calls;   ///< of a function with a reservation
  Allowance starts;  ///< of environments
  int peak = 0;      ///< the most that ran at once lately, which is how many environments there are
  int peak_before = 0;
  Instant peak_since{};
};

/// Whether somebody waits for the answer of a call.
enum class CallKind { kSynchronous, kAsynchronous };

/// Who may run now: the account's concurrency, what functions reserved of it, and what is left for the others; how many
/// calls a second that allows, and how fast a function's environments may grow in number.
/// Pure; the shell keeps it behind one mutex where several threads share it.
/// Source: configuration-concurrency, lambda-concurrency, scaling-behavior (reference invoke.md, section 4).
class ConcurrencyLedger {
 public:
  /// At least this much of the account always stays unreserved.
  static constexpr int kUnreservedMinimum = 100;
  /// Synchronous calls a second, for each execution that the account, or a reservation, has.
  static constexpr int kCallsPerExecution = 10;
  /// Environments of one function that may be started at once, and per 10 s. What is not used is not saved up.
  static constexpr int kStarts = 1000;
  static constexpr double kStartsPerSecond = 100;
  /// An environment that is not needed is there for so long or up to twice that. Lambda does not say how long it keeps
  /// them; weir keeps its own for 5 minutes.
  static constexpr Duration kEnvironmentKept = std::chrono::minutes(5);

  /// `account`: the account's limit, at least 1.
  explicit ConcurrencyLedger(int account);

  /// Reserves for a function; 0 blocks it, nothing takes a reservation away. Calls that run are not stopped. Refused
  /// with AWS's text when less than the minimum would stay unreserved.
  Result<void> reserve(std::string_view function, std::optional<int> executions);
  /// From now on the function's versions have so many provisioned environments each, and the others none; in the order
  /// of a change of both, a reservation that grows comes first. Refused with AWS's texts where the reservation, or the
  /// account, has not so many.
  Result<void> provision(std::string_view function, const std::map<std::string, int>& versions);
  /// The function is no more: its reservation ends, and what is known of it with the last call that runs.
  void forget(std::string_view function);

  /// A permit, or why there is none. Every permit is given back by release(). Only synchronous calls are held to a
  /// rate.
  std::optional<ThrottleReason> acquire(Instant now, std::string_view function, CallKind kind);
  void release(std::string_view function);
  /// Whether the call runs in one of the version's provisioned environments, of which `available` can be used. If not,
  /// acquire() says whether it runs otherwise: on_spillover() then counts it.
  bool acquire_provisioned(Instant now, std::string_view function, std::string_view version, int available,
                           CallKind kind);
  void release_provisioned(std::string_view function, std::string_view version);
  void on_spillover(std::string_view function, std::string_view version);

  /// Another limit of the account, at least 1. Calls that run are not stopped.
  void set_account(int account);
  int account() const { return account_; }
  int executing() const { return executing_; }
  int executing_max() const { return executing_max_; }
  /// What the functions without a reservation may share, beside what they have provisioned.
  int unreserved() const { return account_ - claimed_; }
  /// Executions of functions without a reservation, those in provisioned environments not counted.
  int executing_unreserved() const { return executing_unreserved_; }
  /// ClaimedAccountConcurrency: what runs unreserved, what is reserved, and what is provisioned beside that.
  int claimed() const { return claimed_ + executing_unreserved_; }
  const std::map<std::string, ConcurrencyUse, std::less<>>& functions() const { return functions_; }

 private:
  ConcurrencyUse& use(std::string_view function);
  std::optional<ThrottleReason> refusal(Instant now, ConcurrencyUse& mine, CallKind kind);
  static bool needs_start(Instant now, ConcurrencyUse& mine);
  bool has_calls(Instant now, ConcurrencyUse& mine, std::optional<ThrottleReason>& refused);
  void begin(ConcurrencyUse& mine, CallKind kind);

  int account_;
  int claimed_ = 0;  ///< reserved, or provisioned without a reservation
  int executing_ = 0;
  int executing_max_ = 0;
  int executing_unreserved_ = 0;
  Allowance calls_;
  std::map<std::string, ConcurrencyUse, std::less<>> functions_;
};

}  // namespace weir::engine
