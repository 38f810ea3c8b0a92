#include "engine/concurrency_ledger.h"

#include <catch2/catch.hpp>

#include "support/print.h"

using weir::ThrottleReason;
using weir::engine::ConcurrencyLedger;

namespace {

constexpr auto kAccountFull = ThrottleReason::kConcurrentInvocationLimitExceeded;
constexpr auto kReservedFull = ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;

void acquire_all(ConcurrencyLedger& ledger, std::string_view function, int permits) {
  for (int i = 0; i < permits; ++i) REQUIRE_FALSE(ledger.acquire(function));
}
void release_all(ConcurrencyLedger& ledger, std::string_view function, int permits) {
  for (int i = 0; i < permits; ++i) ledger.release(function);
}

}  // namespace

TEST_CASE("without reservations all share the account") {
  ConcurrencyLedger ledger(3);
  acquire_all(ledger, "a", 2);
  acquire_all(ledger, "b", 1);
  CHECK(ledger.acquire("a") == kAccountFull);
  CHECK(ledger.acquire("c") == kAccountFull);
  ledger.release("b");
  CHECK_FALSE(ledger.acquire("c"));
  CHECK(ledger.executing() == 3);
  CHECK(ledger.executing_unreserved() == 3);
  release_all(ledger, "a", 2);
  ledger.release("c");
  CHECK(ledger.executing() == 0);
  CHECK(ledger.executing_max() == 3);
  CHECK(ledger.functions().at("a").executing_max == 2);
  CHECK(ledger.functions().at("a").throttles == 1);
  CHECK(ledger.functions().at("c").throttles == 1);
}

TEST_CASE("a reservation is the function's alone, and its limit") {
  ConcurrencyLedger ledger(102);
  REQUIRE(ledger.reserve("mine", 2));
  CHECK(ledger.unreserved() == 100);
  acquire_all(ledger, "others", 100);
  CHECK(ledger.acquire("others") == kAccountFull);
  acquire_all(ledger, "mine", 2);
  CHECK(ledger.acquire("mine") == kReservedFull);
  CHECK(ledger.executing_unreserved() == 100);
  CHECK(ledger.executing() == 102);
}

TEST_CASE("a reservation of 0 blocks the function and costs nobody anything") {
  ConcurrencyLedger ledger(1);
  REQUIRE(ledger.reserve("blocked", 0));
  CHECK(ledger.acquire("blocked") == kReservedFull);
  CHECK_FALSE(ledger.acquire("other"));
  REQUIRE(ledger.reserve("blocked", std::nullopt));
  CHECK(ledger.acquire("blocked") == kAccountFull);
  ledger.release("other");
  CHECK_FALSE(ledger.acquire("blocked"));
}

TEST_CASE("at least 100 always stay unreserved") {
  ConcurrencyLedger ledger(110);
  CHECK(ledger.reserve("a", 10));
  const auto refused = ledger.reserve("b", 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == weir::ErrorCode::kConfigInvalid);
  // Source: recorded from AWS, reference/invoke.md 4.3
  CHECK(
      refused.error().message() ==
      "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
      "minimum value of [100].");
  CHECK(ledger.unreserved() == 100);
  CHECK_FALSE(ledger.functions().at("b").reserved);
  CHECK_FALSE(ledger.reserve("a", 11));
  CHECK(ledger.functions().at("a").reserved == 10);
  CHECK(ledger.reserve("a", 4));
  CHECK(ledger.reserve("b", 6));
  CHECK_FALSE(ledger.reserve("b", 7));
  CHECK(ledger.reserve("a", std::nullopt));
  CHECK(ledger.reserve("b", 10));
}

TEST_CASE("an account of less than the minimum can block, but not reserve") {
  ConcurrencyLedger ledger(10);
  CHECK_FALSE(ledger.reserve("a", 1));
  CHECK(ledger.reserve("a", 0));
}

TEST_CASE("reservations that change while calls run stop none of them") {
  ConcurrencyLedger ledger(110);
  acquire_all(ledger, "f", 5);
  REQUIRE(ledger.reserve("f", 2));
  CHECK(ledger.executing_unreserved() == 0);
  CHECK(ledger.acquire("f") == kReservedFull);
  release_all(ledger, "f", 4);
  CHECK_FALSE(ledger.acquire("f"));
  REQUIRE(ledger.reserve("f", std::nullopt));
  CHECK(ledger.executing_unreserved() == 2);
  release_all(ledger, "f", 2);
  CHECK(ledger.executing_unreserved() == 0);
  CHECK(ledger.executing() == 0);
}

TEST_CASE("the account is never exceeded, also while older calls use what was reserved since") {
  ConcurrencyLedger ledger(110);
  acquire_all(ledger, "others", 110);
  REQUIRE(ledger.reserve("mine", 10));
  CHECK(ledger.acquire("mine") == kAccountFull);
  CHECK(ledger.executing() == 110);
  ledger.release("others");
  CHECK(ledger.acquire("others") == kAccountFull);
  CHECK_FALSE(ledger.acquire("mine"));
}

TEST_CASE("a permit that was not given cannot be given back") {
  ConcurrencyLedger ledger(10);
  CHECK_THROWS_AS(ledger.release("f"), weir::BrokenBelief);
  CHECK_THROWS_AS(ConcurrencyLedger(0), weir::BrokenBelief);
}
