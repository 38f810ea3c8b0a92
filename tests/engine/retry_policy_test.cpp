#include "engine/retry_policy.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using weir::Duration;
using weir::Instant;
using weir::Moment;
using weir::WallTime;
using weir::engine::RetryLimits;
using weir::engine::RetryPolicy;

TEST_CASE("the first call is not a retry") {
  CHECK(RetryPolicy({.maximum_retry_attempts = 0}, 1).exhausted(1));
  CHECK_FALSE(RetryPolicy({.maximum_retry_attempts = 2}, 1).exhausted(2));
  CHECK(RetryPolicy({.maximum_retry_attempts = 2}, 1).exhausted(3));
  CHECK_FALSE(RetryPolicy({.maximum_retry_attempts = 10'000}, 1).exhausted(10'000));
  CHECK(RetryPolicy({.maximum_retry_attempts = 10'000}, 1).exhausted(10'001));
  CHECK_FALSE(RetryPolicy({.maximum_retry_attempts = -1}, 1).exhausted(1'000'000));
}

TEST_CASE("a record is too old when it is older than the limit") {
  const RetryPolicy policy({.maximum_record_age = 60s}, 1);
  const WallTime now(1'000'000s);
  CHECK_FALSE(policy.expired(now, now));
  CHECK_FALSE(policy.expired(now, now - 60s));
  CHECK(policy.expired(now, now - 60s - 1ns));
  CHECK_FALSE(policy.expired(now, now + 1h));
  CHECK_FALSE(RetryPolicy({}, 1).expired(now, WallTime(0s)));
}

TEST_CASE("expiry is the first instant at which the record is too old") {
  const RetryPolicy policy({.maximum_record_age = 60s}, 1);
  const Moment now{Instant(5s), WallTime(1'000'000s)};
  const WallTime arrival = now.wall - 20s;
  const Duration left = policy.expiry(now, arrival).value() - now.instant;
  CHECK_FALSE(policy.expired(now.wall + left - 1ns, arrival));
  CHECK(policy.expired(now.wall + left, arrival));
  CHECK_FALSE(RetryPolicy({}, 1).expiry(now, arrival));
}

TEST_CASE("the backoff doubles up to its most, is spread, and is never nothing") {
  RetryPolicy policy({.backoff_min = 200ms, .backoff_max = 1min}, 42);
  Duration ceiling = 200ms;
  for (int failures = 1; failures < 40; ++failures) {
    Duration least = Duration::max();
    Duration most{0};
    for (int i = 0; i < 200; ++i) {
      const Duration wait = policy.backoff(failures);
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    CHECK(least >= Duration(100ms));
    CHECK(most <= ceiling);
    CHECK(most > ceiling * 3 / 4);
    CHECK(least < ceiling * 3 / 4);
    ceiling = std::min<Duration>(ceiling * 2, 1min);
  }
  CHECK(policy.backoff(1'000'000'000) <= Duration(1min));
}

TEST_CASE("equal seeds give equal waits") {
  RetryPolicy one({}, 9);
  RetryPolicy same({}, 9);
  RetryPolicy other({}, 10);
  bool differs = false;
  for (int failures = 1; failures < 20; ++failures) {
    const Duration wait = one.backoff(failures);
    CHECK(wait == same.backoff(failures));
    differs = differs || wait != other.backoff(failures);
  }
  CHECK(differs);
}
