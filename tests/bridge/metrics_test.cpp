#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "gateway/status_json.h"

using namespace weir;
using namespace weir::bridge;

namespace {

BridgeStatus some_status() {
  BridgeStatus status;
  status.ready = true;
  status.concurrency = 1000;
  FunctionStatus function;
  function.name = "counter";
  Outcome outcome(Succeeded{"null"});
  outcome.duration = std::chrono::milliseconds(3);
  outcome.init_duration = std::chrono::milliseconds(40);
  function.meter.on_outcome(outcome);
  status.functions.push_back(function);
  SourceStatus source;
  source.name = "clicks";
  source.type = "kafka";
  source.function = "counter";
  source.state = SourceState::kRunning;
  source.counters.polled_events = 12;
  ShardStatus shard;
  shard.shard = "clicks-0";
  shard.checkpoint = Position(41);
  shard.iterator_age = std::chrono::milliseconds(1500);
  shard.backlog = 7;
  source.shards.push_back(shard);
  status.sources.push_back(source);
  return status;
}

bool has_line(const std::string& page, const std::string& line) {
  return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("the exposition has AWS's names in base units") {
  const std::string page = gateway::metrics_text(some_status());
  CAPTURE(page);
  CHECK(has_line(page, "# TYPE lambda_invocations_total counter"));
  CHECK(has_line(page, "lambda_invocations_total{function=\"counter\"} 1"));
  CHECK(has_line(page, "lambda_polled_event_count_total{source=\"clicks\",function=\"counter\"} 12"));
  CHECK(has_line(page, "lambda_iterator_age_seconds{source=\"clicks\",function=\"counter\",shard=\"clicks-0\"} 1.5"));
  CHECK(has_line(page, "lambda_offset_lag{source=\"clicks\",function=\"counter\",shard=\"clicks-0\"} 7"));
  CHECK(has_line(page, "lambda_duration_seconds_bucket{function=\"counter\",le=\"0.0025\"} 0"));
  CHECK(has_line(page, "lambda_duration_seconds_bucket{function=\"counter\",le=\"0.005\"} 1"));
  CHECK(has_line(page, "lambda_duration_seconds_bucket{function=\"counter\",le=\"+Inf\"} 1"));
  CHECK(has_line(page, "lambda_duration_seconds_sum{function=\"counter\"} 0.003"));
}

TEST_CASE("the status is JSON") {
  const auto status = nlohmann::json::parse(gateway::status_json(some_status()));
  CHECK(status["functions"][0]["cold_starts"] == 1);
  CHECK(status["functions"][0]["reserved"].is_null());
  CHECK(status["sources"][0]["state"] == "running");
  CHECK(status["sources"][0]["iterator_age_seconds"] == 1.5);
  CHECK(status["sources"][0]["shards"][0]["checkpoint"] == "41");
  CHECK(status["sources"][0]["shards"][0]["offset_lag"] == 7);
}
