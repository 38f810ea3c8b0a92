#include "gateway/status_json.h"

#include "weir/base/json_writer.h"

#include "observe/metrics_page.h"

namespace weir::gateway {
namespace {

void write_position(JsonWriter& out, std::string_view name, const std::optional<Position>& position) {
  out.key(name);
  if (position) {
    out.value(position->text());
  } else {
    out.null();
  }
}

void write_shard(JsonWriter& out, const bridge::ShardStatus& shard) {
  out.begin_object().member("shard", shard.shard);
  write_position(out, "checkpoint", shard.checkpoint);
  out.member("iterator_age_seconds", as_seconds(shard.iterator_age));
  out.member("unsettled_records", static_cast<std::int64_t>(shard.unsettled)).member("in_flight", shard.in_flight);
  if (shard.backlog) out.member("offset_lag", *shard.backlog);
  out.end_object();
}

void write_counters(JsonWriter& out, const engine::ShardCounters& counters) {
  out.member("polled_events", counters.polled_events).member("invoked_events", counters.invoked_events);
  out.member("settled_events", counters.settled_events).member("failed_invoke_events", counters.failed_invoke_events);
  out.member("dropped_events", counters.dropped_events).member("invocations", counters.invocations);
  out.member("function_errors", counters.function_errors).member("throttles", counters.throttles);
  out.member("service_errors", counters.service_errors).member("checkpoints", counters.checkpoints);
  out.member("store_failures", counters.store_failures);
}

}  // namespace

std::string status_json(const bridge::BridgeStatus& status) {
  std::string text;
  JsonWriter out(text);
  out.begin_object()
      .member("started", iso_milliseconds(status.started))
      .member("ready", status.ready)
      .member("stopping", status.stopping);
  out.key("concurrency").begin_object().member("limit", status.concurrency).member("executing", status.executing);
  out.member("executing_max", status.executing_max).member("unreserved", status.unreserved).end_object();
  out.key("functions").begin_array();
  for (const bridge::FunctionStatus& function : status.functions) {
    out.begin_object().member("function", function.name).key("reserved");
    if (function.reserved) {
      out.value(*function.reserved);
    } else {
      out.null();
    }
    out.member("executing", function.executing).member("executing_max", function.executing_max);
    out.member("invocations", function.meter.invocations()).member("errors", function.meter.errors());
    out.member("throttles", function.throttles).member("cold_starts", function.meter.cold_starts()).end_object();
  }
  out.end_array().key("sources").begin_array();
  for (const bridge::SourceStatus& source : status.sources) {
    out.begin_object().member("source", source.name).member("type", source.type).member("function", source.function);
    out.member("state", bridge::text(source.state)).member("error", source.error).member("restarts", source.restarts);
    Duration oldest{0};
    for (const bridge::ShardStatus& shard : source.shards) oldest = std::max(oldest, shard.iterator_age);
    out.member("iterator_age_seconds", as_seconds(oldest));
    write_counters(out, source.counters);
    out.key("shards").begin_array();
    for (const bridge::ShardStatus& shard : source.shards) write_shard(out, shard);
    out.end_array().end_object();
  }
  out.end_array().end_object();
  return text;
}

std::string checkpoints_json(const std::vector<bridge::CheckpointRow>& rows) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const bridge::CheckpointRow& row : rows) {
    out.begin_object().member("source", row.source).member("shard", row.shard);
    write_position(out, "position", row.upto);
    out.key("saved_at");
    if (row.saved_at) {
      out.value(iso_milliseconds(*row.saved_at));
    } else {
      out.null();
    }
    out.end_object();
  }
  out.end_array();
  return text;
}

std::string metrics_text(const bridge::BridgeStatus& status) {
  observe::MetricsPage page;
  const auto count = [](std::uint64_t number) { return static_cast<double>(number); };
  page.gauge("lambda_concurrent_executions_limit", "The account's concurrency.", {}, status.concurrency);
  page.gauge("lambda_unreserved_concurrent_executions", "Executions of functions without reserved concurrency.", {},
             status.executing_unreserved);
  for (const bridge::FunctionStatus& function : status.functions) {
    const observe::Labels labels{{"function", function.name}};
    page.counter("lambda_invocations_total", "Invocations whose code ran, well or not.", labels,
                 count(function.meter.invocations()));
    page.counter("lambda_errors_total", "Invocations that ended in a function error.", labels,
                 count(function.meter.errors()));
    page.counter("lambda_throttles_total", "Invocations that were not admitted.", labels, count(function.throttles));
    page.gauge("lambda_concurrent_executions", "Invocations that run now.", labels, function.executing);
    page.gauge("lambda_concurrent_executions_max", "The most invocations that ran at once.", labels,
               function.executing_max);
    page.counter("weir_cold_starts_total", "Execution environments that were started for an invocation.", labels,
                 count(function.meter.cold_starts()));
    page.histogram("lambda_duration_seconds", "How long the function's code ran, without its initialization.", labels,
                   engine::InvocationMeter::kDurationBounds, function.meter.durations(),
                   as_seconds(function.meter.duration_sum()));
  }
  for (const bridge::SourceStatus& source : status.sources) {
    const observe::Labels labels{{"source", source.name}, {"function", source.function}};
    const engine::ShardCounters& counters = source.counters;
    page.counter("lambda_polled_event_count_total", "Records read.", labels, count(counters.polled_events));
    page.counter("lambda_invoked_event_count_total", "Records sent to the function, again on each retry.", labels,
                 count(counters.invoked_events));
    page.counter("lambda_failed_invoke_event_count_total", "Records of invocations that failed.", labels,
                 count(counters.failed_invoke_events));
    page.counter("lambda_dropped_event_count_total", "Records given up on and kept as dead letters.", labels,
                 count(counters.dropped_events));
    page.counter("weir_settled_records_total", "Records that are done, one way or the other.", labels,
                 count(counters.settled_events));
    page.counter("weir_checkpoints_total", "Checkpoints stored.", labels, count(counters.checkpoints));
    page.counter("weir_source_restarts_total", "How often the source was made anew after a failure.", labels,
                 source.restarts);
    page.gauge("weir_source_up", "1 while the source runs or has ended by itself.", labels,
               source.state == bridge::SourceState::kRunning || source.state == bridge::SourceState::kFinished ? 1 : 0);
    const auto failures = [&](std::string_view stage, std::uint64_t number) {
      observe::Labels with = labels;
      with.emplace_back("stage", stage);
      page.counter("weir_errors_total", "Failures by where they happened: function, throttle, endpoint or store.", with,
                   count(number));
    };
    failures("function", counters.function_errors);
    failures("throttle", counters.throttles);
    failures("endpoint", counters.service_errors);
    failures("store", counters.store_failures);
    for (const bridge::ShardStatus& shard : source.shards) {
      observe::Labels with = labels;
      with.emplace_back("shard", shard.shard);
      page.gauge("lambda_iterator_age_seconds",
                 "Age of the oldest record that is read and not settled; 0 when there is none.", with,
                 as_seconds(shard.iterator_age));
      if (shard.backlog) {
        page.gauge("lambda_offset_lag", "Records written to the shard and not settled.", with,
                   static_cast<double>(*shard.backlog));
      }
    }
  }
  return page.text();
}

}  // namespace weir::gateway
