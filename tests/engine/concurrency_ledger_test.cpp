#include "engine/concurrency_ledger.h"

#include <catch2/catch.hpp>

#include "support/print.h"

using weir::Instant;
using weir::ThrottleReason;
using weir::engine::CallKind;
using weir::engine::ConcurrencyLedger;
using namespace std::chrono_literals;

namespace {

constexpr auto kAccountFull = ThrottleReason::kConcurrentInvocationLimitExceeded;
constexpr auto kReservedFull = ThrottleReason::kReservedFunctionConcurrentInvocationLimitExceeded;

constexpr auto kRate = ThrottleReason::kFunctionInvocationRateLimitExceeded;
constexpr auto kReservedRate = ThrottleReason::kReservedFunctionInvocationRateLimitExceeded;

/// A call that is held to no rate.
std::optional<ThrottleReason> take(ConcurrencyLedger& ledger, std::string_view function, Instant now = Instant{}) {
  return ledger.acquire(now, function, CallKind::kAsynchronous);
}
/// How many short calls in a row are admitted, of at most `most`; the last answer.
std::pair<int, std::optional<ThrottleReason>> calls(ConcurrencyLedger& ledger, std::string_view function, Instant now,
                                                    int most) {
  for (int admitted = 0; admitted < most; ++admitted) {
    if (const auto refused = ledger.acquire(now, function, CallKind::kSynchronous)) return {admitted, refused};
    ledger.release(function);
  }
  return {most, std::nullopt};
}
/// How many calls are admitted that run at the same time, of at most `most`.
int runs(ConcurrencyLedger& ledger, std::string_view function, Instant now, int most) {
  int admitted = 0;
  while (admitted < most && !take(ledger, function, now)) ++admitted;
  return admitted;
}

void acquire_all(ConcurrencyLedger& ledger, std::string_view function, int permits) {
  for (int i = 0; i < permits; ++i) REQUIRE_FALSE(take(ledger, function));
}
void release_all(ConcurrencyLedger& ledger, std::string_view function, int permits) {
  for (int i = 0; i < permits; ++i) ledger.release(function);
}

}  // namespace

TEST_CASE("without reservations all share the account") {
  ConcurrencyLedger ledger(3);
  acquire_all(ledger, "a", 2);
  acquire_all(ledger, "b", 1);
  CHECK(take(ledger, "a") == kAccountFull);
  CHECK(take(ledger, "c") == kAccountFull);
  ledger.release("b");
  CHECK_FALSE(take(ledger, "c"));
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
  CHECK(take(ledger, "others") == kAccountFull);
  acquire_all(ledger, "mine", 2);
  CHECK(take(ledger, "mine") == kReservedFull);
  CHECK(ledger.executing_unreserved() == 100);
  CHECK(ledger.executing() == 102);
}

TEST_CASE("a reservation of 0 blocks the function and costs nobody anything") {
  ConcurrencyLedger ledger(1);
  REQUIRE(ledger.reserve("blocked", 0));
  CHECK(take(ledger, "blocked") == kReservedFull);
  CHECK_FALSE(take(ledger, "other"));
  REQUIRE(ledger.reserve("blocked", std::nullopt));
  CHECK(take(ledger, "blocked") == kAccountFull);
  ledger.release("other");
  CHECK_FALSE(take(ledger, "blocked"));
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
  CHECK(take(ledger, "f") == kReservedFull);
  release_all(ledger, "f", 4);
  CHECK_FALSE(take(ledger, "f"));
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
  CHECK(take(ledger, "mine") == kAccountFull);
  CHECK(ledger.executing() == 110);
  ledger.release("others");
  CHECK(take(ledger, "others") == kAccountFull);
  CHECK_FALSE(take(ledger, "mine"));
}

TEST_CASE("a permit that was not given cannot be given back") {
  ConcurrencyLedger ledger(10);
  CHECK_THROWS_AS(ledger.release("f"), weir::BrokenBelief);
  CHECK_THROWS_AS(ConcurrencyLedger(0), weir::BrokenBelief);
}

TEST_CASE("synchronous calls: ten a second for each execution of the account, refilled as time goes") {
  ConcurrencyLedger ledger(3);
  const Instant start{1h};
  CHECK(calls(ledger, "a", start, 20) == std::pair(20, std::optional<ThrottleReason>()));
  // All functions together.
  CHECK(calls(ledger, "b", start, 20) == std::pair(10, std::optional(kRate)));
  CHECK(ledger.functions().at("b").throttles == 1);
  CHECK(calls(ledger, "b", start + 33ms, 20).first == 0);
  CHECK(calls(ledger, "b", start + 100ms, 20).first == 3);
  // What is not used is not saved up.
  CHECK(calls(ledger, "b", start + 1h, 100).first == 30);
  // The queue is held to no rate.
  CHECK_FALSE(take(ledger, "b", start + 1h));
}

TEST_CASE("synchronous calls: ten a second for each execution that a function has reserved") {
  ConcurrencyLedger ledger(1000);
  const Instant start{1h};
  REQUIRE(ledger.reserve("mine", 2));
  CHECK(calls(ledger, "mine", start, 100) == std::pair(20, std::optional(kReservedRate)));
  CHECK(calls(ledger, "other", start, 100).first == 100);
  CHECK(calls(ledger, "mine", start + 500ms, 100).first == 10);
  REQUIRE(ledger.reserve("mine", std::nullopt));
  CHECK(calls(ledger, "mine", start + 500ms, 100).first == 100);
  REQUIRE(ledger.reserve("mine", 1));
  CHECK(calls(ledger, "mine", start + 2s, 100).first == 10);
}

TEST_CASE("a function's environments grow by a thousand at once, then by a thousand per 10 s") {
  ConcurrencyLedger ledger(10'000);
  const Instant start{1h};
  CHECK(runs(ledger, "f", start, 2000) == 1000);
  CHECK(take(ledger, "f", start) == kAccountFull);
  CHECK(runs(ledger, "g", start, 500) == 500);  // each function has its own
  CHECK(runs(ledger, "f", start + 10ms, 2000) == 1);
  CHECK(runs(ledger, "f", start + 5s, 2000) == 499);
  CHECK(ledger.executing() == 2000);
  // Environments that are there take no start: within the time that they are kept for.
  release_all(ledger, "f", 1500);
  CHECK(runs(ledger, "f", start + 5s, 1501) == 1500);
  release_all(ledger, "f", 1500);
  CHECK(runs(ledger, "f", start + 2min, 3000) == 2500);
  release_all(ledger, "f", 2500);
  // Twice that time later none of them is there any more.
  CHECK(runs(ledger, "f", start + 7min, 1) == 1);
  ledger.release("f");
  CHECK(runs(ledger, "f", start + 12min, 3000) == 1001);
}

TEST_CASE("what is forgotten gives its reservation back at once, and its calls as they end") {
  ConcurrencyLedger ledger(110);
  REQUIRE(ledger.reserve("f", 10));
  acquire_all(ledger, "f", 2);
  ledger.forget("f");
  ledger.forget("nobody");
  CHECK(ledger.unreserved() == 110);
  CHECK(ledger.executing_unreserved() == 2);
  release_all(ledger, "f", 1);
  CHECK(ledger.functions().contains("f"));
  release_all(ledger, "f", 1);
  CHECK_FALSE(ledger.functions().contains("f"));
  CHECK(ledger.executing() == 0);
  // One that comes again meanwhile stays.
  acquire_all(ledger, "f", 1);
  ledger.forget("f");
  REQUIRE(ledger.reserve("f", 5));
  release_all(ledger, "f", 1);
  CHECK(ledger.functions().at("f").reserved == 5);
}

TEST_CASE("the account's limit changes while calls run, and stops none of them") {
  ConcurrencyLedger ledger(5);
  acquire_all(ledger, "f", 5);
  ledger.set_account(2);
  CHECK(take(ledger, "f") == kAccountFull);
  release_all(ledger, "f", 4);
  CHECK_FALSE(take(ledger, "f"));
  CHECK(take(ledger, "f") == kAccountFull);
  CHECK_THROWS_AS(ledger.set_account(0), weir::BrokenBelief);
}

// ---- Provisioned concurrency (reference/invoke.md 4.1, 4.3) ----

namespace {

constexpr Instant kNow{1000s};

/// Of a version with so many environments that can be used.
bool take_provisioned(ConcurrencyLedger& ledger, std::string_view function, std::string_view version, int available,
                      CallKind kind = CallKind::kAsynchronous, Instant now = kNow) {
  return ledger.acquire_provisioned(now, function, version, available, kind);
}

}  // namespace

TEST_CASE("what is provisioned is taken out of what others may share, or out of the function's reservation") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.provision("f", {{"1", 20}, {"2", 10}}));
  CHECK(ledger.unreserved() == 120);
  CHECK(ledger.claimed() == 30);
  REQUIRE(ledger.reserve("f", 40));
  CHECK(ledger.unreserved() == 110);
  CHECK(ledger.claimed() == 40);
  REQUIRE(ledger.provision("f", {{"2", 40}}));
  CHECK(ledger.unreserved() == 110);
  REQUIRE(ledger.reserve("f", std::nullopt));
  CHECK(ledger.unreserved() == 110);
  REQUIRE(ledger.provision("f", {}));
  CHECK(ledger.unreserved() == 150);
}

TEST_CASE("what cannot be provisioned, in AWS's words") {
  const auto why = [](const weir::Result<void>& done) { return done ? "" : done.error().message(); };
  ConcurrencyLedger ledger(150);
  SECTION("at least 100 stay for all") {
    CHECK(why(ledger.provision("f", {{"1", 50}})).empty());
    CHECK(why(ledger.provision("f", {{"1", 50}, {"2", 1}})) ==
          "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
          "minimum value of [100].");
    CHECK(ledger.functions().at("f").provisioned_total == 50);
    CHECK(why(ledger.provision("f", {{"1", 150}})) ==
          "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
          "minimum value of [100].");
    CHECK(why(ledger.provision("f", {{"1", 151}})) ==
          "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [150].");
    CHECK(why(ledger.reserve("g", 1)) ==
          "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
          "its minimum value of [100].");
  }
  SECTION("no more than the function has reserved, nor the other way round") {
    REQUIRE(ledger.reserve("f", 10));
    CHECK(why(ledger.provision("f", {{"1", 4}, {"2", 6}})).empty());
    CHECK(why(ledger.provision("f", {{"1", 4}, {"2", 7}})) ==
          "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function");
    CHECK(why(ledger.reserve("f", 10)).empty());
    CHECK(why(ledger.reserve("f", 9)) ==
          " ReservedConcurrentExecutions  9 should not be lower than function's total provisioned concurrency [10].");
  }
  SECTION("a smaller number always can be, also where the account became smaller") {
    REQUIRE(ledger.provision("f", {{"1", 50}}));
    ledger.set_account(20);
    CHECK(why(ledger.provision("f", {{"1", 50}})).empty());
    CHECK(why(ledger.provision("f", {{"1", 49}})).empty());
  }
}

TEST_CASE("a version's calls use what is provisioned for it, as far as it is there; the rest is spillover") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.provision("f", {{"1", 2}}));
  CHECK_FALSE(take_provisioned(ledger, "f", "1", 0));
  CHECK_FALSE(take_provisioned(ledger, "f", "2", 2));
  CHECK(take_provisioned(ledger, "f", "1", 2));
  CHECK(take_provisioned(ledger, "f", "1", 2));
  CHECK_FALSE(take_provisioned(ledger, "f", "1", 3));
  CHECK_FALSE(take(ledger, "f", kNow));
  ledger.on_spillover("f", "1");
  const auto& use = ledger.functions().at("f");
  CHECK(use.executing == 3);
  CHECK(ledger.executing_unreserved() == 1);
  CHECK(ledger.claimed() == 3);
  CHECK(use.provisioned.at("1").executing == 2);
  CHECK(use.provisioned.at("1").invocations == 2);
  CHECK(use.provisioned.at("1").spillovers == 1);
  ledger.release_provisioned("f", "1");
  CHECK(take_provisioned(ledger, "f", "1", 2));
  ledger.release_provisioned("f", "1");
  ledger.release_provisioned("f", "1");
  ledger.release("f");
  CHECK(ledger.executing() == 0);
  CHECK(use.provisioned.at("1").executing_max == 2);
}

TEST_CASE("of a reservation, others have what is not provisioned") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.reserve("f", 3));
  REQUIRE(ledger.provision("f", {{"1", 2}}));
  CHECK(runs(ledger, "f", kNow, 5) == 1);
  CHECK(take(ledger, "f", kNow) == kReservedFull);
  // Source: LocalStack's test_lambda, concurrency_block: all of it provisioned leaves nothing for $LATEST.
  REQUIRE(ledger.provision("f", {{"1", 3}}));
  ledger.release("f");
  CHECK(take(ledger, "f", kNow) == kReservedFull);
  CHECK(take_provisioned(ledger, "f", "1", 3));
  ledger.release_provisioned("f", "1");
}

TEST_CASE("synchronous calls of provisioned environments have 10 a second for each; what is more spills over") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.provision("f", {{"1", 2}}));
  const auto many = [&](Instant now, CallKind kind) {
    int admitted = 0;
    while (admitted < 100 && take_provisioned(ledger, "f", "1", 2, kind, now)) {
      ++admitted;
      ledger.release_provisioned("f", "1");
    }
    return admitted;
  };
  CHECK(many(kNow, CallKind::kSynchronous) == 20);
  CHECK(many(kNow + 500ms, CallKind::kSynchronous) == 10);
  CHECK(many(kNow + 500ms, CallKind::kAsynchronous) == 100);
  CHECK(calls(ledger, "f", kNow + 500ms, 1).first == 1);
}

TEST_CASE("a reservation's rate is also that of its provisioned calls") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.reserve("f", 2));
  REQUIRE(ledger.provision("f", {{"1", 2}}));
  for (int i = 0; i < 20; ++i) {
    REQUIRE(take_provisioned(ledger, "f", "1", 2, CallKind::kSynchronous));
    ledger.release_provisioned("f", "1");
  }
  CHECK_FALSE(take_provisioned(ledger, "f", "1", 2, CallKind::kSynchronous));
}

TEST_CASE("provisioned calls take no new environments, and end well where what they run in was given up") {
  ConcurrencyLedger ledger(3000);
  REQUIRE(ledger.provision("f", {{"1", 1500}}));
  for (int i = 0; i < 1500; ++i) REQUIRE(take_provisioned(ledger, "f", "1", 1500));
  CHECK(runs(ledger, "f", kNow, 1100) == 1000);
  REQUIRE(ledger.provision("f", {}));
  CHECK(ledger.unreserved() == 3000);
  for (int i = 0; i < 1500; ++i) ledger.release_provisioned("f", "1");
  release_all(ledger, "f", 1000);
  CHECK(ledger.executing() == 0);
  CHECK(ledger.executing_unreserved() == 0);
}

TEST_CASE("a function that is gone gives back what was provisioned for it") {
  ConcurrencyLedger ledger(150);
  REQUIRE(ledger.provision("f", {{"1", 50}}));
  REQUIRE(take_provisioned(ledger, "f", "1", 50));
  ledger.forget("f");
  CHECK(ledger.unreserved() == 150);
  ledger.release_provisioned("f", "1");
  CHECK(ledger.functions().empty());
}
