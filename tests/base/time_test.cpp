#include "weir/base/time.h"

#include <limits>

#include <catch2/catch.hpp>

#include "weir/base/epoch_seconds.h"

using namespace std::chrono_literals;
using weir::Duration;
using weir::epoch_milliseconds;
using weir::from_epoch_milliseconds;
using weir::Instant;
using weir::iso_milliseconds;
using weir::parse_iso;
using weir::WallTime;

TEST_CASE("ISO times are read") {
  struct Row {
    std::string text;
    std::int64_t milliseconds;
  };
  const auto row = GENERATE(values<Row>({
      {"1970-01-01T00:00:00Z", 0},
      {"2026-09-12T07:00:00.123Z", 1'789'196'400'123},
      {"2026-09-12T07:00Z", 1'789'196'400'000},
      {"2026-09-12 07:00:00Z", 1'789'196'400'000},
      {"2026-09-12T09:30:00+02:30", 1'789'196'400'000},
      {"2026-09-12T09:30:00+0230", 1'789'196'400'000},
      {"2026-09-12T00:00:00-07:00", 1'789'196'400'000},
      {"2026-09-12T07:00:00.1Z", 1'789'196'400'100},
      {"2026-09-12T07:00:00.1239999999999Z", 1'789'196'400'123},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000},
      {"1969-12-31T23:59:59.999Z", -1},
  }));
  DYNAMIC_SECTION(row.text) {
    const auto time = parse_iso(row.text);
    REQUIRE(time);
    CHECK(epoch_milliseconds(*time) == row.milliseconds);
  }
}

TEST_CASE("what is no time is refused") {
  for (const std::string text :
       {"", "now", "2026-09-12", "2026-09-12T", "2026-09-12T07Z", "2026-09-12T07:00:00", "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z", "2026-09-12T24:00:00Z", "2026-09-12T07:60:00Z", "2026-09-12T07:00:61Z",
        "2026-09-12T07:00:00.Z", "2026-09-12T07:00:00Zz", "2026-09-12T07:00:00+2", "26-09-12T07:00:00Z",
        "2026-09-12T07:00:00+24:00", " 2026-09-12T07:00:00Z"}) {
    INFO(text);
    CHECK_FALSE(parse_iso(text));
  }
}

TEST_CASE("times are printed with milliseconds, and read back the same") {
  for (const std::string text : {"2026-09-12T07:00:00.123Z", "1970-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z",
                                 "2000-02-29T23:59:59.001Z", "2100-01-01T00:00:00.000Z"}) {
    CHECK(iso_milliseconds(parse_iso(text).value()) == text);
  }
  CHECK(iso_milliseconds(WallTime(1ns)) == "1970-01-01T00:00:00.000Z");
  CHECK(iso_milliseconds(WallTime(-1ns)) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("times that follow each other, within a second and beyond it") {
  const WallTime time = parse_iso("2026-12-31T23:59:59.998Z").value();
  CHECK(iso_milliseconds(time + 1ms) == "2026-12-31T23:59:59.999Z");
  CHECK(iso_milliseconds(time) == "2026-12-31T23:59:59.998Z");
  CHECK(iso_milliseconds(time - 990ms) == "2026-12-31T23:59:59.008Z");
  CHECK(iso_milliseconds(time + 2ms) == "2027-01-01T00:00:00.000Z");
  CHECK(iso_milliseconds(time) == "2026-12-31T23:59:59.998Z");
}

TEST_CASE("times that no clock will show are held at the ends, where differences still fit") {
  const WallTime first = from_epoch_milliseconds(INT64_MIN);
  const WallTime last = from_epoch_milliseconds(INT64_MAX);
  CHECK(iso_milliseconds(first).substr(0, 4) == "1823");
  CHECK(iso_milliseconds(last).substr(0, 4) == "2116");
  CHECK(last - first > Duration(0));
  CHECK(first - last < Duration(0));
  CHECK(parse_iso("9999-12-31T23:59:59Z").value() >= last);
  CHECK(parse_iso("0001-01-01T00:00:00Z").value() <= first + 24h);
}

TEST_CASE("milliseconds since 1970 go both ways") {
  for (const std::int64_t milliseconds : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1'789'196'400'123}}) {
    CHECK(epoch_milliseconds(from_epoch_milliseconds(milliseconds)) == milliseconds);
  }
}

TEST_CASE("never is later than any instant") {
  const Instant one(1s);
  const Instant two(2s);
  CHECK(weir::earlier(one, two) == one);
  CHECK(weir::earlier(two, one) == one);
  CHECK(weir::earlier(std::nullopt, two) == two);
  CHECK(weir::earlier(one, std::nullopt) == one);
  CHECK_FALSE(weir::earlier(std::nullopt, std::nullopt));
}

TEST_CASE("the machine's monotonic clock does not go back") {
  const weir::SystemClock clock;
  const weir::Moment before = clock.now();
  const weir::Moment after = clock.now();
  CHECK(before.instant <= after.instant);
  CHECK(iso_milliseconds(after.wall).substr(0, 2) == "20");
}

TEST_CASE("seconds with a fraction, whatever number they are") {
  using weir::from_epoch_seconds;
  CHECK(epoch_milliseconds(from_epoch_seconds(1'790'000'000.123)) == 1'790'000'000'123);
  CHECK(epoch_milliseconds(from_epoch_seconds(-0.5)) == -500);
  const WallTime first = from_epoch_milliseconds(INT64_MIN);
  const WallTime last = from_epoch_milliseconds(INT64_MAX);
  for (const double far : {1e10, 1e18, 1e300, std::numeric_limits<double>::infinity()}) {
    CAPTURE(far);
    CHECK(from_epoch_seconds(far) == last);
    CHECK(from_epoch_seconds(-far) == first);
  }
  CHECK(from_epoch_seconds(std::numeric_limits<double>::quiet_NaN()) == WallTime());
}
