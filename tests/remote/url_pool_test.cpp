// Which URL a call goes to.
#include "lambda/remote/url_pool.h"

#include <string>

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::remote;
using namespace std::chrono_literals;

namespace {

constexpr Instant kStart{std::chrono::hours(1)};

/// What acquire() gives, one after the other, as text: "0 1 -" where "-" is nothing.
std::string taken(UrlPool& pool, Instant now, int calls) {
  std::string all;
  for (int i = 0; i < calls; ++i) {
    const auto url = pool.acquire(now);
    all += (all.empty() ? "" : " ") + (url ? std::to_string(*url) : "-");
  }
  return all;
}

}  // namespace

TEST_CASE("calls go to the least busy URL, to equals in turn, and no further than each takes") {
  UrlPool pool(3, 2, 1);
  CHECK(taken(pool, kStart, 7) == "0 1 2 0 1 2 -");
  pool.release(1);
  CHECK(taken(pool, kStart, 2) == "1 -");
  pool.release(2);
  pool.release(0);
  pool.release(0);
  CHECK(taken(pool, kStart, 4) == "0 2 0 -");
  CHECK_FALSE(pool.wake_at(kStart).has_value());
}

TEST_CASE("a quiet pool spreads its calls") {
  UrlPool pool(3, 1, 1);
  std::string order;
  for (int i = 0; i < 6; ++i) {
    const std::size_t url = *pool.acquire(kStart);
    order += std::to_string(url);
    pool.release(url);
  }
  CHECK(order == "012012");
}

TEST_CASE("a URL that cannot be reached is passed over, longer each time, and then tried by one call") {
  UrlPool pool(2, 5, 7);
  CHECK(taken(pool, kStart, 1) == "0");
  CHECK(pool.on_unreachable(kStart, 0));
  pool.release(0);
  CHECK(taken(pool, kStart, 3) == "1 1 1");
  const Instant retry = pool.wake_at(kStart).value();
  CHECK(retry >= kStart + 250ms);
  CHECK(retry <= kStart + 500ms);
  CHECK(taken(pool, retry - 1ns, 1) == "1");
  CHECK(taken(pool, retry, 2) == "0 1");
  SECTION("refused again: not news, and twice as long") {
    CHECK_FALSE(pool.on_unreachable(retry, 0));
    pool.release(0);
    CHECK(pool.wake_at(retry).value() >= retry + 500ms);
    CHECK(pool.wake_at(retry).value() <= retry + 1s);
    Instant now = retry;
    for (int i = 0; i < 20; ++i) {
      now = pool.wake_at(now).value();
      CHECK_FALSE(pool.on_unreachable(now, 0));
    }
    CHECK(pool.wake_at(now).value() >= now + 15s);
    CHECK(pool.wake_at(now).value() <= now + 30s);
  }
  SECTION("reached: it takes calls as before, and that is news once") {
    CHECK(pool.on_reached(0));
    CHECK_FALSE(pool.on_reached(0));
    CHECK_FALSE(pool.wake_at(kStart).has_value());
    pool.release(0);
    CHECK(taken(pool, retry, 2) == "0 0");
  }
}

TEST_CASE("calls that are refused together are one refusal") {
  UrlPool pool(1, 3, 1);
  CHECK(taken(pool, kStart, 3) == "0 0 0");
  CHECK(pool.on_unreachable(kStart, 0));
  CHECK_FALSE(pool.on_unreachable(kStart + 1ms, 0));
  CHECK_FALSE(pool.on_unreachable(kStart + 2ms, 0));
  for (int i = 0; i < 3; ++i) pool.release(0);
  CHECK(pool.wake_at(kStart).value() <= kStart + 500ms);
}

TEST_CASE("when none can be reached calls do not wait for nothing") {
  UrlPool pool(2, 1, 1);
  CHECK(taken(pool, kStart, 2) == "0 1");
  CHECK(pool.on_unreachable(kStart, 0));
  CHECK(pool.on_unreachable(kStart + 1s, 1));
  pool.release(0);
  pool.release(1);
  CHECK(taken(pool, kStart + 1s, 3) == "0 1 -");
}

TEST_CASE("URLs that are all down are tried in turn, so that one that came back is found soon") {
  UrlPool pool(3, 1, 1);
  std::string order;
  for (int i = 0; i < 9; ++i) {
    const std::size_t url = *pool.acquire(kStart);
    order += std::to_string(url);
    pool.on_unreachable(kStart, url);
    pool.release(url);
  }
  CHECK(order == "012012012");
}

TEST_CASE("a call goes nowhere twice") {
  UrlPool pool(3, 1, 1);
  SECTION("while the others can be reached") {
    CHECK(pool.acquire(kStart, {true, false, true}) == 1);
    CHECK_FALSE(pool.acquire(kStart, {true, false, true}).has_value());
  }
  SECTION("when the others are down and it was where one answers now") {
    for (const std::size_t url : {1U, 2U}) CHECK(pool.on_unreachable(kStart, url));
    CHECK(pool.acquire(kStart, {true, false, false}) == 1);
    CHECK(pool.acquire(kStart, {true, true, false}) == 2);
    CHECK_FALSE(pool.acquire(kStart, {true, true, true}).has_value());
    CHECK(pool.acquire(kStart) == 0);
  }
}

TEST_CASE("what is due already is no reason to wake") {
  UrlPool pool(2, 1, 1);
  pool.on_unreachable(kStart, 0);
  const Instant due = pool.wake_at(kStart).value();
  CHECK(pool.wake_at(due - 1ns) == due);
  CHECK_FALSE(pool.wake_at(due).has_value());
}

TEST_CASE("while others are only busy, a URL that is passed over is not given before its time") {
  UrlPool pool(2, 1, 1);
  CHECK(taken(pool, kStart, 1) == "0");
  CHECK(pool.on_unreachable(kStart, 0));
  pool.release(0);
  CHECK(taken(pool, kStart, 2) == "1 -");
  CHECK(taken(pool, pool.wake_at(kStart).value(), 2) == "0 -");
}
