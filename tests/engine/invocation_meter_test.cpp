#include "engine/invocation_meter.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using weir::Duration;
using weir::Outcome;
using weir::StartReason;
using weir::Succeeded;
using weir::engine::InvocationMeter;

namespace {
Outcome lasted(Outcome outcome, Duration duration) {
  outcome.duration = duration;
  return outcome;
}
}  // namespace

TEST_CASE("an invocation is what ran, well or not") {
  struct Row {
    std::string_view sentence;
    Outcome outcome;
    std::uint64_t invocations, errors, service_errors;
  };
  const auto row = GENERATE(values<Row>({
      {"a success", Outcome(weir::Succeeded{"1"}), 1, 0, 0},
      {"a function error", Outcome(weir::FunctionFailed{}), 1, 1, 0},
      {"a throttle", Outcome(weir::Throttled{}), 0, 0, 0},
      {"a service error", Outcome(weir::ServiceFailed{}), 0, 0, 1},
      {"a cancelled call", Outcome(weir::Cancelled{}), 0, 0, 0},
  }));
  DYNAMIC_SECTION(row.sentence) {
    InvocationMeter meter;
    meter.on_outcome(row.outcome);
    CHECK(meter.invocations() == row.invocations);
    CHECK(meter.errors() == row.errors);
    CHECK(meter.service_errors() == row.service_errors);
    CHECK(meter.cold_starts() == 0);
  }
}

TEST_CASE("durations fall into buckets, whose upper bound belongs to them") {
  InvocationMeter meter;
  const Outcome ran(weir::Succeeded{"1"});
  meter.on_outcome(lasted(ran, 1ms));
  meter.on_outcome(lasted(ran, 1ms + 1ns));
  meter.on_outcome(lasted(ran, 900s));
  meter.on_outcome(lasted(ran, 901s));
  meter.on_outcome(lasted(Outcome(weir::FunctionFailed{}), 1s));
  meter.on_outcome(ran);  // an endpoint that does not say how long it took
  CHECK(meter.durations()[0] == 1);
  CHECK(meter.durations()[1] == 1);
  CHECK(meter.durations()[9] == 1);  // up to 1 s
  CHECK(meter.durations()[13] == 1);
  CHECK(meter.durations()[14] == 1);
  CHECK(meter.duration_sum() == 1ms + 1ms + 1ns + 900s + 901s + 1s);
  CHECK(meter.invocations() == 6);
}

TEST_CASE("a cold start is counted whatever came of it") {
  InvocationMeter meter;
  Outcome cold(weir::FunctionFailed{});
  cold.init_duration = 80ms;
  meter.on_outcome(cold);
  CHECK(meter.cold_starts() == 1);
  CHECK(meter.duration_sum() == Duration(0));
}

TEST_CASE("the cold starts of one's own function are counted as they are told, by reason and by how long they took") {
  InvocationMeter meter;
  CHECK_FALSE(meter.last_cold_start().has_value());
  meter.on_cold_start({StartReason::kFirst, true, std::chrono::milliseconds(5)});
  meter.on_cold_start({StartReason::kScaleOut, true, std::chrono::milliseconds(6)});
  meter.on_cold_start({StartReason::kAfterCrash, false, std::chrono::milliseconds(7)});
  CHECK(meter.cold_starts() == 3);
  CHECK(meter.cold_starts(StartReason::kFirst) == 1);
  CHECK(meter.cold_starts(StartReason::kScaleOut) == 1);
  CHECK(meter.cold_starts(StartReason::kAfterTimeout) == 0);
  CHECK(meter.failed_inits() == 1);
  // A bound belongs to its bucket.
  CHECK(meter.inits()[0] == 1);
  CHECK(meter.inits()[1] == 1);
  CHECK(meter.init_sum() == std::chrono::milliseconds(11));
  CHECK(meter.last_cold_start()->reason == StartReason::kAfterCrash);
  // The outcome tells of the same start again.
  Outcome outcome{Succeeded{"{}"}};
  outcome.init_duration = std::chrono::milliseconds(5);
  meter.on_outcome(outcome);
  CHECK(meter.cold_starts() == 3);
  // No call waited for this one.
  meter.on_cold_start({StartReason::kProvisioned, true, std::chrono::milliseconds(5)});
  CHECK(meter.cold_starts() == 3);
  CHECK(meter.cold_starts(StartReason::kProvisioned) == 1);
}
