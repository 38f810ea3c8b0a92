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
  engine::ResourceMeter resources;
  resources.on_begin("");
  resources.on_end("", outcome);
  function.resources = resources.all();
  status.functions.push_back(function);
  SourceStatus source;
  source.name = "clicks";
  source.type = "kafka";
  source.function = "counter";
  source.state = SourceState::kRunning;
  source.counters.polled_events = 12;
  source.counters.filtered_out_events = 5;
  source.last_result = {engine::ProcessingResult::kFailed, WallTime(std::chrono::seconds(7))};
  ShardStatus shard;
  shard.shard = "clicks-0";
  shard.checkpoint = Resume::after(Position(41));
  shard.iterator_age = std::chrono::milliseconds(1500);
  shard.backlog = 7;
  shard.counters.polled_events = 11;
  shard.counters.filtered_out_events = 4;
  shard.counters.invoked_events = 6;
  shard.counters.failed_invoke_events = 3;
  shard.counters.dropped_events = 2;
  shard.counters.destination_events = 1;
  shard.last_result = {engine::ProcessingResult::kOk, WallTime(std::chrono::seconds(6))};
  source.shards.push_back(shard);
  status.sources.push_back(source);
  return status;
}

SourceStatus some_queue() {
  SourceStatus source;
  source.name = "mail";
  source.type = "sqs";
  source.function = "counter";
  source.state = SourceState::kRunning;
  QueueStatus queue;
  queue.in_flight = 2;
  queue.concurrency = 5;
  queue.held = 13;
  queue.backlog = 1000;
  queue.counters.polled_events = 100;
  queue.counters.filtered_out_events = 10;
  queue.counters.invoked_events = 80;
  queue.counters.failed_invoke_events = 7;
  queue.counters.deleted_events = 70;
  queue.counters.delete_failures = 2;
  queue.counters.receive_failures = 1;
  source.queue = queue;
  return source;
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

// Source: monitoring-metrics-view; reference invoke.md 4.4.
TEST_CASE(
    "the calls of a function are counted by what they named, and those of an alias by the version that ran them") {
  BridgeStatus status;
  FunctionStatus function;
  function.name = "f";
  function.executing_max = 4;
  engine::ResourceMeter resources;
  const auto call = [&](const std::string& qualifier, const std::string& version, Outcome outcome) {
    outcome.executed_version = version;
    resources.on_begin(qualifier);
    resources.on_end(qualifier, outcome);
  };
  const Outcome failed(FunctionFailed{"Error", "{}"});
  call("", "$LATEST", Outcome(Succeeded{"1"}));
  call("$LATEST", "$LATEST", Outcome(Succeeded{"1"}));
  call("7", "7", failed);
  call("live", "7", Outcome(Succeeded{"1"}));
  call("live", "8", failed);
  call("live", "8", Outcome(Succeeded{"1"}));
  call("live", "$LATEST", Outcome(ServiceFailed{500, "no version ran"}));
  resources.on_throttle("live");
  resources.on_begin("live");
  function.resources = resources.all();
  status.functions.push_back(function);
  FunctionStatus quiet;
  quiet.name = "quiet";
  status.functions.push_back(quiet);
  const std::string page = gateway::metrics_text(status);
  CAPTURE(page);
  CHECK(has_line(page, R"(lambda_invocations_total{function="f"} 1)"));
  CHECK(has_line(page, R"(lambda_invocations_total{function="f",qualifier="$LATEST"} 1)"));
  CHECK(has_line(page, R"(lambda_invocations_total{function="f",qualifier="7"} 1)"));
  CHECK(has_line(page, R"(lambda_errors_total{function="f",qualifier="7"} 1)"));
  CHECK(has_line(page, R"(lambda_invocations_total{function="f",qualifier="live",executed_version="7"} 1)"));
  CHECK(has_line(page, R"(lambda_errors_total{function="f",qualifier="live",executed_version="7"} 0)"));
  CHECK(has_line(page, R"(lambda_invocations_total{function="f",qualifier="live",executed_version="8"} 2)"));
  CHECK(has_line(page, R"(lambda_errors_total{function="f",qualifier="live",executed_version="8"} 1)"));
  CHECK(has_line(page, R"(lambda_throttles_total{function="f",qualifier="live"} 1)"));
  CHECK(has_line(page, R"(lambda_throttles_total{function="f"} 0)"));
  CHECK(has_line(page, R"(lambda_concurrent_executions{function="f",qualifier="live"} 1)"));
  CHECK(has_line(page, R"(lambda_concurrent_executions{function="f"} 0)"));
  CHECK(has_line(page, R"(lambda_concurrent_executions_max{function="f"} 4)"));
  CHECK(page.find(R"(executed_version="$LATEST")") == std::string::npos);
  CHECK(has_line(page, R"(lambda_invocations_total{function="quiet"} 0)"));
  CHECK(has_line(page, R"(lambda_duration_seconds_count{function="quiet"} 0)"));
  const auto told = nlohmann::json::parse(gateway::status_json(status))["functions"][0]["resources"];
  REQUIRE(told.size() == 4);
  CHECK(told[3]["qualifier"] == "live");
  CHECK(told[3]["executing"] == 1);
  CHECK(told[3]["throttles"] == 1);
  CHECK(told[3]["versions"][1] == nlohmann::json{{"executed_version", "8"}, {"invocations", 2}, {"errors", 1}});
}

TEST_CASE("a function that may be called by any name does not fill the page") {
  engine::ResourceMeter resources;
  for (std::size_t i = 0; i < engine::ResourceMeter::kResourcesMax + 10; ++i) {
    resources.on_begin("q" + std::to_string(i));
    resources.on_end("q" + std::to_string(i), Outcome(Succeeded{"1"}));
  }
  CHECK(resources.all().size() == engine::ResourceMeter::kResourcesMax + 1);
  CHECK(resources.all().at("").by_version.at("").invocations() == 10);
  CHECK(resources.all().at("").executing == 0);
}

TEST_CASE("the status says whether control groups hold functions to their limits") {
  const auto told = [](const gateway::ControlGroupStatus& groups) {
    return nlohmann::json::parse(gateway::status_json(some_status(), groups))["control_groups"];
  };
  gateway::ControlGroupStatus groups;
  CHECK(told(groups)["state"] == "unknown");
  groups.known = true;
  CHECK(told(groups)["state"] == "used");
  groups.missing = "there is no cgroup v2 here";
  CHECK(told(groups) == nlohmann::json{{"state", "none"}, {"reason", "there is no cgroup v2 here"}});
}

TEST_CASE("what happened to records is counted by mapping, and by shard under a name of its own") {
  const std::string page = gateway::metrics_text(some_status());
  CAPTURE(page);
  CHECK(has_line(page, "lambda_filtered_out_event_count_total{source=\"clicks\",function=\"counter\"} 5"));
  const auto of_shard = [&](const std::string& name, int number) {
    return has_line(page, "weir_shard_" + name + "_total{source=\"clicks\",function=\"counter\",shard=\"clicks-0\"} " +
                              std::to_string(number));
  };
  CHECK(of_shard("polled_event_count", 11));
  CHECK(of_shard("filtered_out_event_count", 4));
  CHECK(of_shard("invoked_event_count", 6));
  CHECK(of_shard("failed_invoke_event_count", 3));
  CHECK(of_shard("dropped_event_count", 2));
  CHECK(of_shard("on_failure_destination_delivered_event_count", 1));
}

TEST_CASE("a queue's mapping has counters, and neither shards nor a last result") {
  BridgeStatus status;
  status.sources.push_back(some_queue());
  const std::string page = gateway::metrics_text(status);
  CAPTURE(page);
  const std::string labels = R"({source="mail",function="counter"} )";
  CHECK(has_line(page, "lambda_polled_event_count_total" + labels + "100"));
  CHECK(has_line(page, "lambda_filtered_out_event_count_total" + labels + "10"));
  CHECK(has_line(page, "lambda_invoked_event_count_total" + labels + "80"));
  CHECK(has_line(page, "lambda_failed_invoke_event_count_total" + labels + "7"));
  CHECK(has_line(page, "lambda_deleted_event_count_total" + labels + "70"));
  CHECK(has_line(page, "weir_queue_messages" + labels + "1000"));
  CHECK(has_line(page, "weir_queue_messages_in_flight" + labels + "13"));
  CHECK(has_line(page, R"(weir_errors_total{source="mail",function="counter",stage="source"} 3)"));
  CHECK(page.find("dropped_event") == std::string::npos);
  const auto source = nlohmann::json::parse(gateway::status_json(status))["sources"][0];
  CHECK(source["deleted_events"] == 70);
  CHECK(source["messages_in_flight"] == 13);
  CHECK(source["approximate_messages"] == 1000);
  CHECK(source["executing"] == 2);
  CHECK(source["concurrency"] == 5);
  CHECK_FALSE(source.contains("last_processing_result"));
  CHECK_FALSE(source.contains("shards"));
}

TEST_CASE("a source that is hindered is not up, though it runs") {
  BridgeStatus status = some_status();
  const auto up = [&] {
    return has_line(gateway::metrics_text(status), "weir_source_up{source=\"clicks\",function=\"counter\"} 1");
  };
  status.sources[0].state = SourceState::kRunning;
  status.sources[0].error.clear();
  CHECK(up());
  status.sources[0].error = "source.unreachable: nobody answers";
  CHECK_FALSE(up());
}

TEST_CASE("services and what they deliver: series by service and target, targets that look alike as one") {
  BridgeStatus status;
  ServiceStatus service;
  service.name = "sns";
  service.ready = true;
  service.calls = 7;
  service.accepted = {{"", 2}, {"orders", 3}};
  status.services.push_back(service);
  DeliveryStatus delivery;
  delivery.target = "http:http://example.com/";
  delivery.figures.received = 9;
  delivery.figures.delivered = 4;
  delivery.figures.exhausted = 2;
  delivery.figures.waiting = 3;
  delivery.dead_letter_errors = 1;
  delivery.oldest_age = std::chrono::seconds(5);
  status.deliveries = {delivery, delivery};
  status.deliveries_parked = true;
  const std::string page = gateway::metrics_text(status);
  CAPTURE(page);
  CHECK(has_line(page, R"(weir_service_up{service="sns"} 1)"));
  CHECK(has_line(page, R"(weir_service_calls_total{service="sns"} 7)"));
  CHECK(has_line(page, R"(weir_service_events_total{service="sns",source="orders"} 3)"));
  const std::string target = R"({target="http:http://example.com/"} )";
  CHECK(has_line(page, "weir_deliveries_received_total" + target + "18"));
  CHECK(has_line(page, "weir_deliveries_waiting" + target + "6"));
  CHECK(has_line(page, "weir_deliveries_oldest_age_seconds" + target + "5"));
  CHECK(has_line(page, "weir_delivery_dead_letter_errors_total" + target + "2"));
  CHECK(has_line(page, R"(weir_deliveries_failed_total{target="http:http://example.com/",reason="exhausted"} 4)"));
  CHECK(has_line(page, "weir_deliveries_parked 1"));
  const auto told = nlohmann::json::parse(gateway::status_json(status));
  CHECK(told["services"].dump() ==
        R"([{"accepted":[{"events":2,"source":""},{"events":3,"source":"orders"}],"calls":7,"error":"","ready":true,)"
        R"("service":"sns"}])");
  CHECK(told["deliveries"]["state"] == "parked");
  const auto& first = told["deliveries"]["targets"].at(0);
  CHECK(first["waiting"] == 3);
  CHECK(first["oldest_delivery_age_seconds"] == 5.0);
  CHECK(first["next_attempt_seconds"].is_null());
}

TEST_CASE("the last result of a mapping is told in AWS's words") {
  BridgeStatus status = some_status();
  const auto told = [&] {
    const auto source = nlohmann::json::parse(gateway::status_json(status))["sources"][0];
    return source["last_processing_result"].get<std::string>();
  };
  CHECK(told() == "PROBLEM: Function call failed");
  status.sources[0].last_result.result = engine::ProcessingResult::kOk;
  CHECK(told() == "OK");
  status.sources[0].last_result.result = engine::ProcessingResult::kNone;
  CHECK(told() == "No records processed");
  SECTION("throttled before the function ever ran") {
    status.sources[0].counters.throttles = 1;
  }
  SECTION("no function that could be reached") {
    status.sources[0].counters.service_errors = 1;
  }
  if (status.sources[0].counters.throttles + status.sources[0].counters.service_errors > 0) {
    CHECK(told() == "PROBLEM: Function call failed");
  }
  status.sources[0].state = SourceState::kBackingOff;
  status.sources[0].error = "source.unreachable: nobody answers";
  CHECK(told() == "PROBLEM: source.unreachable: nobody answers");
}

TEST_CASE("of two results the newer one counts, and having none is no result") {
  using engine::ProcessingResult;
  const auto at = [](int seconds) { return WallTime(std::chrono::seconds(seconds)); };
  LastResult last;
  last.follow({ProcessingResult::kFailed, at(5)});
  last.follow({ProcessingResult::kOk, at(4)});
  CHECK(last.result == ProcessingResult::kFailed);
  last.follow({ProcessingResult::kOk, at(6)});
  CHECK(last.result == ProcessingResult::kOk);
  last.follow({ProcessingResult::kNone, at(7)});
  CHECK(last.result == ProcessingResult::kOk);
  CHECK(last.at == at(6));
}

TEST_CASE("the status is JSON") {
  const auto status = nlohmann::json::parse(gateway::status_json(some_status()));
  CHECK(status["functions"][0]["cold_starts"] == 1);
  CHECK(status["functions"][0]["reserved"].is_null());
  CHECK(status["sources"][0]["state"] == "running");
  CHECK(status["sources"][0]["iterator_age_seconds"] == 1.5);
  CHECK(status["sources"][0]["shards"][0]["checkpoint"] == "41");
  CHECK(status["sources"][0]["shards"][0]["offset_lag"] == 7);
  CHECK(status["sources"][0]["filtered_out_events"] == 5);
  CHECK(status["sources"][0]["shards"][0]["filtered_out_events"] == 4);
  CHECK(status["sources"][0]["shards"][0]["last_processing_result"] == "OK");
}
