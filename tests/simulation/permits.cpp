#include "permits.h"

#include <iterator>

namespace weir::simulation {

namespace {

const std::string kCrowd = "crowd";

}  // namespace

bool Permits::take(const std::string& function) {
  Use& use = uses_[function];
  int all = 0;
  int unreserved_executing = 0;
  int reserved = 0;
  for (const auto& [name, each] : uses_) {
    all += each.executing;
    if (!each.reserved) unreserved_executing += each.executing;
    reserved += each.reserved.value_or(0);
  }
  std::optional<ThrottleReason> expected;
  if (use.reserved && use.executing >= *use.reserved) {
    expected = ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;
  } else if (all >= account_ || (!use.reserved && unreserved_executing >= account_ - reserved)) {
    expected = ThrottleReason::kConcurrentInvocationLimitExceeded;
  }
  const auto throttled = ledger_.acquire(Instant{}, function, engine::CallKind::kAsynchronous);
  promise(throttled == expected, "the ledger grants or throttles against the rule");
  if (throttled) return false;
  ++use.executing;
  promise(ledger_.executing() == all + 1 && ledger_.executing() <= account_, "the ledger passes the account's limit");
  return true;
}

void Permits::give_back(const std::string& function) {
  ledger_.release(function);
  --uses_[function].executing;
}

bool Permits::change(Random& random) {
  auto use = uses_.begin();
  std::advance(use, static_cast<std::ptrdiff_t>(random.below(uses_.size())));
  std::optional<int> wanted;
  if (random.chance(0.7)) wanted = static_cast<int>(random.below(4));
  int others = 0;
  for (const auto& [name, each] : uses_) {
    if (name != use->first) others += each.reserved.value_or(0);
  }
  const bool takes_more = wanted.value_or(0) > use->second.reserved.value_or(0);
  const bool allowed =
      !takes_more || account_ - others - wanted.value_or(0) >= engine::ConcurrencyLedger::kUnreservedMinimum;
  const auto reserved = ledger_.reserve(use->first, wanted);
  promise(reserved.has_value() == allowed, "the ledger keeps less than 100 unreserved, or refuses what leaves 100");
  if (reserved) use->second.reserved = wanted;
  return use->second.reserved == 0;
}

void Permits::unblock() {
  for (auto& [function, use] : uses_) {
    if (use.reserved != 0) continue;
    promise(ledger_.reserve(function, std::nullopt).has_value(), "the ledger refuses to unblock");
    use.reserved.reset();
  }
}

bool Permits::crowd() {
  if (uses_[kCrowd].executing > 0) {
    while (uses_[kCrowd].executing > 0) give_back(kCrowd);
    return false;
  }
  while (broken_ == nullptr && take(kCrowd)) {
  }
  return true;
}

void Permits::forget() {
  ledger_ = engine::ConcurrencyLedger(account_);
  for (auto& [function, use] : uses_) {
    use.executing = 0;
    if (use.reserved) {
      promise(ledger_.reserve(function, use.reserved).has_value(), "the ledger refuses what it had accepted");
    }
  }
}

void Permits::check_end() {
  while (uses_[kCrowd].executing > 0) give_back(kCrowd);
  promise(ledger_.executing() == 0 && ledger_.executing_unreserved() == 0, "a permit was not given back");
}

}  // namespace weir::simulation
