#include "gateway/status_json.h"

#include <array>
#include <map>
#include <utility>

#include "weir/base/json_writer.h"

#include "observe/metrics_page.h"

namespace weir::gateway {
namespace {

void write_resume(JsonWriter& out, std::string_view name, const std::optional<Resume>& resume) {
  out.key(name);
  if (resume) {
    out.value(resume->text());
  } else {
    out.null();
  }
}

/// What happened to records, under CloudWatch's names.
void write_event_counts(JsonWriter& out, const engine::ShardCounters& counters) {
  out.member("polled_events", counters.polled_events).member("filtered_out_events", counters.filtered_out_events);
  out.member("invoked_events", counters.invoked_events).member("settled_events", counters.settled_events);
  out.member("failed_invoke_events", counters.failed_invoke_events).member("dropped_events", counters.dropped_events);
  out.member("destination_events", counters.destination_events);
}

void write_counters(JsonWriter& out, const engine::ShardCounters& counters) {
  write_event_counts(out, counters);
  out.member("destination_failures", counters.destination_failures).member("invocations", counters.invocations);
  out.member("function_errors", counters.function_errors).member("throttles", counters.throttles);
  out.member("service_errors", counters.service_errors).member("checkpoints", counters.checkpoints);
  out.member("store_failures", counters.store_failures);
}

void write_queue(JsonWriter& out, const bridge::QueueStatus& queue) {
  const engine::QueueCounters& counters = queue.counters;
  out.member("polled_events", counters.polled_events).member("filtered_out_events", counters.filtered_out_events);
  out.member("invoked_events", counters.invoked_events).member("deleted_events", counters.deleted_events);
  out.member("failed_invoke_events", counters.failed_invoke_events);
  out.member("delete_failures", counters.delete_failures).member("receive_failures", counters.receive_failures);
  out.member("invocations", counters.invocations).member("function_errors", counters.function_errors);
  out.member("throttles", counters.throttles).member("service_errors", counters.service_errors);
  out.member("executing", queue.in_flight).member("concurrency", queue.concurrency);
  out.member("messages_in_flight", static_cast<std::uint64_t>(queue.held)).key("approximate_messages");
  if (queue.backlog) {
    out.value(*queue.backlog);
  } else {
    out.null();
  }
}

/// The calls of a function by what they named, and those of an alias by the version that ran them.
void write_resources(JsonWriter& out, const std::map<std::string, engine::ResourceFigures, std::less<>>& resources) {
  out.key("resources").begin_array();
  for (const auto& [qualifier, figures] : resources) {
    out.begin_object().member("qualifier", qualifier).member("executing", figures.executing);
    out.member("executing_max", figures.executing_max).member("throttles", figures.throttles);
    out.key("versions").begin_array();
    for (const auto& [version, meter] : figures.by_version) {
      out.begin_object().member("executed_version", version).member("invocations", meter.invocations());
      out.member("errors", meter.errors()).end_object();
    }
    out.end_array().end_object();
  }
  out.end_array();
}

/// Why environments were started and how long that took, of a function that weir runs itself.
void write_starts(JsonWriter& out, const engine::InvocationMeter& meter) {
  out.key("starts");
  const auto last = meter.last_cold_start();
  if (!last) {
    out.null();
    return;
  }
  out.begin_object();
  for (const StartReason reason : kStartReasons) out.member(text(reason), meter.cold_starts(reason));
  out.member("failed", meter.failed_inits()).member("last_reason", text(last->reason));
  out.member("last_init_seconds", as_seconds(last->init)).member("init_seconds_sum", as_seconds(meter.init_sum()));
  out.key("init_seconds").begin_array();
  for (std::size_t i = 0; i < meter.inits().size(); ++i) {
    out.begin_object().key("up_to");
    if (i < engine::InvocationMeter::kInitBounds.size()) {
      out.value(engine::InvocationMeter::kInitBounds[i]);
    } else {
      out.null();
    }
    out.member("starts", meter.inits()[i]).end_object();
  }
  out.end_array().end_object();
}

void write_shard(JsonWriter& out, const bridge::ShardStatus& shard) {
  out.begin_object().member("shard", shard.shard);
  write_resume(out, "checkpoint", shard.checkpoint);
  out.member("iterator_age_seconds", as_seconds(shard.iterator_age));
  out.member("unsettled_records", static_cast<std::int64_t>(shard.unsettled)).member("in_flight", shard.in_flight);
  if (shard.backlog) out.member("offset_lag", *shard.backlog);
  out.member("last_processing_result", engine::text(shard.last_result.result));
  write_event_counts(out, shard.counters);
  out.end_object();
}

/// Null where there is nothing to be old or due.
void write_age(JsonWriter& out, std::string_view name, const std::optional<Duration>& age) {
  out.key(name);
  if (age) {
    out.value(as_seconds(*age));
  } else {
    out.null();
  }
}

void write_async(JsonWriter& out, const bridge::AsyncStatus& status) {
  const engine::AsyncFigures& figures = status.figures;
  out.begin_object().member("function", status.function).member("qualifier", status.qualifier);
  out.member("waiting", figures.waiting).member("in_flight", figures.in_flight).member("ending", figures.ending);
  write_age(out, "oldest_event_age_seconds", status.oldest_age);
  write_age(out, "next_attempt_seconds", status.next_attempt);
  out.member("received", figures.received).member("restored", figures.restored);
  out.member("succeeded", figures.succeeded).member("dropped", figures.dropped).member("retries", figures.retries);
  out.member("throttles", figures.throttles).member("system_errors", figures.system_errors);
  out.member("recursive_invocations_dropped", figures.recursive);
  out.member("destination_failures", status.destination_failures);
  out.member("dead_letter_errors", status.dead_letter_errors).member("store_failures", figures.store_failures);
  out.end_object();
}

/// How deep the queue is, how old its oldest event, when the next attempt is due.
void write_queue_sums(JsonWriter& out, const std::vector<bridge::AsyncStatus>& queue) {
  std::uint64_t events = 0;
  std::optional<Duration> oldest;
  std::optional<Duration> next;
  for (const bridge::AsyncStatus& each : queue) {
    events += each.figures.waiting + each.figures.in_flight + each.figures.ending;
    if (each.oldest_age) oldest = std::max(oldest.value_or(Duration(0)), *each.oldest_age);
    if (each.next_attempt) next = std::min(next.value_or(Duration::max()), *each.next_attempt);
  }
  out.member("events", events);
  write_age(out, "oldest_event_age_seconds", oldest);
  write_age(out, "next_attempt_seconds", next);
}

void write_service(JsonWriter& out, const bridge::ServiceStatus& service) {
  out.begin_object().member("service", service.name).member("ready", service.ready).member("error", service.error);
  out.member("calls", service.calls).key("accepted").begin_array();
  for (const auto& [source, number] : service.accepted) {
    out.begin_object().member("source", source).member("events", number).end_object();
  }
  out.end_array().end_object();
}

void write_delivery(JsonWriter& out, const bridge::DeliveryStatus& status) {
  const engine::DeliveryFigures& figures = status.figures;
  out.begin_object().member("target", status.target);
  out.member("waiting", figures.waiting).member("in_flight", figures.in_flight).member("ending", figures.ending);
  write_age(out, "oldest_delivery_age_seconds", status.oldest_age);
  write_age(out, "next_attempt_seconds", status.next_attempt);
  out.member("received", figures.received).member("restored", figures.restored);
  out.member("delivered", figures.delivered).member("refused", figures.refused);
  out.member("exhausted", figures.exhausted).member("expired", figures.expired);
  out.member("attempts", figures.attempts).member("retries", figures.retries);
  out.member("dead_letter_errors", status.dead_letter_errors).member("store_failures", figures.store_failures);
  out.end_object();
}

double count(std::uint64_t number) {
  return static_cast<double>(number);
}

/// Of a function that weir runs itself.
void add_starts(observe::MetricsPage& page, const engine::InvocationMeter& meter, const std::string& name) {
  for (const StartReason reason : kStartReasons) {
    page.counter("weir_environment_starts_total", "Execution environments that were started, by the reason.",
                 {{"function", name}, {"reason", std::string(text(reason))}}, count(meter.cold_starts(reason)));
  }
  page.counter("weir_environment_start_failures_total", "Starts whose initialization failed.", {{"function", name}},
               count(meter.failed_inits()));
  page.histogram("weir_init_duration_seconds", "How long an initialization took that went well.", {{"function", name}},
                 engine::InvocationMeter::kInitBounds, meter.inits(), as_seconds(meter.init_sum()));
}

/// Of the versions that have environments which are kept ready, or had some.
void add_provisioned(observe::MetricsPage& page, const bridge::FunctionStatus& function) {
  for (const auto& [version, use] : function.provisioned) {
    const observe::Labels labels{{"function", function.name}, {"qualifier", version}};
    page.counter("lambda_provisioned_concurrency_invocations_total", "Invocations in provisioned environments.", labels,
                 count(use.invocations));
    page.counter("lambda_provisioned_concurrency_spillover_invocations_total",
                 "Invocations beside the provisioned environments, which were in use.", labels, count(use.spillovers));
    page.gauge("lambda_provisioned_concurrent_executions", "Invocations in provisioned environments that run now.",
               labels, use.executing);
    page.gauge("lambda_provisioned_concurrent_executions_max", "The most of them that ran at once.", labels,
               use.executing_max);
    page.gauge("lambda_provisioned_concurrency_utilization_ratio",
               "How much of the provisioned concurrency is in use, 0 to 1.", labels,
               use.configured == 0 ? 0.0 : static_cast<double>(use.executing) / use.configured);
  }
}

/// What the calls of one version or alias came to; those of an alias by the version that ran them.
void add_invocations(observe::MetricsPage& page, const observe::Labels& labels, const engine::InvocationMeter& meter) {
  page.counter("lambda_invocations_total", "Invocations whose code ran, well or not.", labels,
               count(meter.invocations()));
  page.counter("lambda_errors_total", "Invocations that ended in a function error.", labels, count(meter.errors()));
  page.histogram("lambda_duration_seconds", "How long the function's code ran, without its initialization.", labels,
                 engine::InvocationMeter::kDurationBounds, meter.durations(), as_seconds(meter.duration_sum()));
}

void add_resource(observe::MetricsPage& page, const std::string& function, const std::string& qualifier,
                  const engine::ResourceFigures& figures) {
  observe::Labels labels{{"function", function}};
  if (!qualifier.empty()) labels.emplace_back("qualifier", qualifier);
  page.counter("lambda_throttles_total", "Invocations that were not admitted.", labels, count(figures.throttles));
  page.gauge("lambda_concurrent_executions", "Invocations that run now.", labels, figures.executing);
  for (const auto& [version, meter] : figures.by_version) {
    observe::Labels of_version = labels;
    if (!version.empty()) of_version.emplace_back("executed_version", version);
    add_invocations(page, of_version, meter);
  }
}

void add_function(observe::MetricsPage& page, const bridge::FunctionStatus& function) {
  const observe::Labels labels{{"function", function.name}};
  // The calls without a qualifier are there from the start, at 0.
  engine::ResourceFigures unqualified;
  if (const auto found = function.resources.find(""); found != function.resources.end()) unqualified = found->second;
  unqualified.by_version.try_emplace("");
  add_resource(page, function.name, "", unqualified);
  for (const auto& [qualifier, figures] : function.resources) {
    if (!qualifier.empty()) add_resource(page, function.name, qualifier, figures);
  }
  page.gauge("lambda_concurrent_executions_max", "The most invocations of the function that ran at once.", labels,
             function.executing_max);
  page.counter("weir_cold_starts_total", "Execution environments that were started for an invocation.", labels,
               count(function.meter.cold_starts()));
  if (function.meter.last_cold_start()) add_starts(page, function.meter, function.name);
  add_provisioned(page, function);
}

void add_async(observe::MetricsPage& page, const bridge::AsyncStatus& each) {
  observe::Labels labels{{"function", each.function}};
  if (!each.qualifier.empty()) labels.emplace_back("qualifier", each.qualifier);
  const engine::AsyncFigures& figures = each.figures;
  page.counter("lambda_async_events_received_total", "Events that got their 202; a retry is not counted again.", labels,
               count(figures.received));
  page.counter("lambda_async_events_dropped_total", "Events that ended without success, after they were kept.", labels,
               count(figures.dropped));
  page.counter("lambda_recursive_invocations_dropped_total", "Events that a chain of functions led to too often.",
               labels, count(figures.recursive));
  page.histogram("lambda_async_event_age_seconds", "Age of an event at each of its attempts.", labels,
                 engine::AsyncFigures::kAgeBounds, figures.ages, as_seconds(figures.age_sum));
  page.counter("weir_async_events_succeeded_total", "Events that the function handled.", labels,
               count(figures.succeeded));
  page.counter("weir_async_retries_total", "Attempts again after a function error.", labels, count(figures.retries));
  page.gauge("weir_async_events", "Events that are not over: waiting, in flight or about to end.", labels,
             count(figures.waiting + figures.in_flight + figures.ending));
  page.gauge("weir_async_oldest_event_age_seconds", "Age of the oldest event that is not over; 0 when there is none.",
             labels, as_seconds(each.oldest_age.value_or(Duration(0))));
  page.counter("lambda_destination_delivery_failures_total", "Records that a destination did not take.", labels,
               count(each.destination_failures));
  page.counter("lambda_dead_letter_errors_total", "Events that the function's dead-letter queue did not take.", labels,
               count(each.dead_letter_errors));
}

/// What happened to records: of a mapping under CloudWatch's name, of each of its shards under weir's own. Two
/// families, so that a sum over either one counts a record once.
struct EventCounter {
  std::string_view mapping;
  std::string_view shard;
  std::string_view help;
  std::uint64_t engine::ShardCounters::*number;
};
using Counters = engine::ShardCounters;
constexpr std::array kEventCounters{
    EventCounter{"lambda_polled_event_count_total", "weir_shard_polled_event_count_total", "Records read.",
                 &Counters::polled_events},
    EventCounter{"lambda_filtered_out_event_count_total", "weir_shard_filtered_out_event_count_total",
                 "Records that the mapping's filters did not want.", &Counters::filtered_out_events},
    EventCounter{"lambda_invoked_event_count_total", "weir_shard_invoked_event_count_total",
                 "Records sent to the function, again on each retry.", &Counters::invoked_events},
    EventCounter{"lambda_failed_invoke_event_count_total", "weir_shard_failed_invoke_event_count_total",
                 "Records of invocations that failed.", &Counters::failed_invoke_events},
    EventCounter{"lambda_dropped_event_count_total", "weir_shard_dropped_event_count_total",
                 "Records given up on and kept as dead letters.", &Counters::dropped_events},
    EventCounter{"lambda_on_failure_destination_delivered_event_count_total",
                 "weir_shard_on_failure_destination_delivered_event_count_total",
                 "Records given up on and taken by the on-failure destination.", &Counters::destination_events},
};

void add_failures(observe::MetricsPage& page, observe::Labels labels, std::string_view stage, std::uint64_t number) {
  labels.emplace_back("stage", stage);
  page.counter("weir_errors_total", "Failures by where they happened: function, throttle, endpoint, store or source.",
               labels, count(number));
}

void add_shard(observe::MetricsPage& page, observe::Labels labels, const bridge::ShardStatus& shard) {
  labels.emplace_back("shard", shard.shard);
  page.gauge("lambda_iterator_age_seconds",
             "Age of the oldest record that is read and not settled; 0 when there is none.", labels,
             as_seconds(shard.iterator_age));
  if (shard.backlog) {
    page.gauge("lambda_offset_lag", "Records written to the shard and not settled.", labels,
               static_cast<double>(*shard.backlog));
  }
  for (const EventCounter& each : kEventCounters) {
    page.counter(each.shard, each.help, labels, count(shard.counters.*each.number));
  }
}

void add_mapping(observe::MetricsPage& page, const observe::Labels& labels, const bridge::SourceStatus& source) {
  const engine::ShardCounters& counters = source.counters;
  for (const EventCounter& each : kEventCounters) {
    page.counter(each.mapping, each.help, labels, count(counters.*each.number));
  }
  page.counter("lambda_destination_delivery_failures_total", "Records that a destination did not take.", labels,
               count(counters.destination_failures));
  page.counter("weir_settled_records_total", "Records that are done, one way or the other.", labels,
               count(counters.settled_events));
  page.counter("weir_checkpoints_total", "Checkpoints stored.", labels, count(counters.checkpoints));
  add_failures(page, labels, "function", counters.function_errors);
  add_failures(page, labels, "throttle", counters.throttles);
  add_failures(page, labels, "endpoint", counters.service_errors);
  add_failures(page, labels, "store", counters.store_failures);
  for (const bridge::ShardStatus& shard : source.shards) add_shard(page, labels, shard);
}

/// A queue has no shards; of what happens to its messages it shares the names that mappings have in common.
void add_queue(observe::MetricsPage& page, const observe::Labels& labels, const bridge::QueueStatus& queue) {
  const engine::QueueCounters& counters = queue.counters;
  const std::array<std::uint64_t, 4> shared{counters.polled_events, counters.filtered_out_events,
                                            counters.invoked_events, counters.failed_invoke_events};
  for (std::size_t i = 0; i < shared.size(); ++i) {
    page.counter(kEventCounters[i].mapping, kEventCounters[i].help, labels, count(shared[i]));
  }
  page.counter("lambda_deleted_event_count_total", "Messages that were invoked and then deleted from their queue.",
               labels, count(counters.deleted_events));
  page.gauge("weir_queue_messages_in_flight", "Messages received from the queue and not done.", labels,
             count(queue.held));
  if (queue.backlog) {
    page.gauge("weir_queue_messages", "Messages that wait in the queue, as it counts them itself.", labels,
               static_cast<double>(*queue.backlog));
  }
  add_failures(page, labels, "function", counters.function_errors);
  add_failures(page, labels, "throttle", counters.throttles);
  add_failures(page, labels, "endpoint", counters.service_errors);
  add_failures(page, labels, "source", counters.receive_failures + counters.delete_failures);
}

void add_pushed(observe::MetricsPage& page, const observe::Labels& labels, const bridge::PushCounters& pushed) {
  page.counter("weir_source_events_total", "Events of the source that were taken into the queue.", labels,
               count(pushed.accepted));
  page.counter("weir_source_refused_events_total", "Events of the source that were not taken.", labels,
               count(pushed.refused));
  page.counter("weir_source_webhook_requests_total", "Requests to the source's webhook.", labels,
               count(pushed.webhooks));
}

void add_source(observe::MetricsPage& page, const bridge::SourceStatus& source) {
  const observe::Labels labels{{"source", source.name}, {"function", source.function}};
  page.counter("weir_source_restarts_total", "How often the source was made anew after a failure.", labels,
               source.restarts);
  const bool runs = source.state == bridge::SourceState::kRunning && source.error.empty();
  page.gauge("weir_source_up", "1 while the source runs unhindered or has ended by itself.", labels,
             runs || source.state == bridge::SourceState::kFinished ? 1 : 0);
  if (source.pushed) {
    add_pushed(page, labels, *source.pushed);
  } else if (source.queue) {
    add_queue(page, labels, *source.queue);
  } else {
    add_mapping(page, labels, source);
  }
}

void add_service(observe::MetricsPage& page, const bridge::ServiceStatus& service) {
  const observe::Labels labels{{"service", service.name}};
  page.gauge("weir_service_up", "1 while the service answers calls of its API.", labels, service.ready ? 1 : 0);
  page.counter("weir_service_calls_total", "Calls of the service's API.", labels, count(service.calls));
  for (const auto& [source, number] : service.accepted) {
    const observe::Labels of_source{{"service", service.name}, {"source", source}};
    page.counter("weir_service_events_total", "Events that the service sent to functions and other targets.", of_source,
                 count(number));
  }
}

/// Targets that look alike without what may be secret in them are one: a series must not be there twice.
std::map<std::string, bridge::DeliveryStatus> by_target(const std::vector<bridge::DeliveryStatus>& deliveries) {
  using Figures = engine::DeliveryFigures;
  std::map<std::string, bridge::DeliveryStatus> all;
  for (const bridge::DeliveryStatus& each : deliveries) {
    const auto [found, first] = all.try_emplace(each.target, each);
    if (first) continue;
    bridge::DeliveryStatus& sum = found->second;
    for (const auto figure :
         {&Figures::received, &Figures::delivered, &Figures::refused, &Figures::exhausted, &Figures::expired,
          &Figures::attempts, &Figures::retries, &Figures::waiting, &Figures::in_flight, &Figures::ending}) {
      sum.figures.*figure += each.figures.*figure;
    }
    sum.dead_letter_errors += each.dead_letter_errors;
    if (each.oldest_age) sum.oldest_age = std::max(sum.oldest_age.value_or(Duration(0)), *each.oldest_age);
  }
  return all;
}

void add_delivery(observe::MetricsPage& page, const bridge::DeliveryStatus& each) {
  const observe::Labels labels{{"target", each.target}};
  const engine::DeliveryFigures& figures = each.figures;
  page.counter("weir_deliveries_received_total", "Messages that services sent to targets other than functions.", labels,
               count(figures.received));
  page.counter("weir_deliveries_delivered_total", "Messages that their target took.", labels, count(figures.delivered));
  for (const auto& [reason, number] : {std::pair("refused", figures.refused), std::pair("exhausted", figures.exhausted),
                                       std::pair("expired", figures.expired)}) {
    page.counter("weir_deliveries_failed_total",
                 "Messages given up on: refused for good, out of retries (exhausted) or too old (expired).",
                 {{"target", each.target}, {"reason", reason}}, count(number));
  }
  page.counter("weir_delivery_attempts_total", "Attempts to deliver a message.", labels, count(figures.attempts));
  page.counter("weir_delivery_retries_total", "Of the attempts, those after one that failed.", labels,
               count(figures.retries));
  page.counter("weir_delivery_dead_letter_errors_total",
               "Messages that were given up on and that their dead-letter queue did not take.", labels,
               count(each.dead_letter_errors));
  page.gauge("weir_deliveries_waiting", "Messages that are not over: waiting, in flight or about to end.", labels,
             count(figures.waiting + figures.in_flight + figures.ending));
  page.gauge("weir_deliveries_oldest_age_seconds", "Age of the oldest message that is not over; 0 when there is none.",
             labels, as_seconds(each.oldest_age.value_or(Duration(0))));
}

}  // namespace

std::string status_json(const bridge::BridgeStatus& status, const ControlGroupStatus& groups) {
  std::string text;
  JsonWriter out(text);
  out.begin_object()
      .member("started", iso_milliseconds(status.started))
      .member("ready", status.ready)
      .member("stopping", status.stopping);
  out.key("concurrency").begin_object().member("limit", status.concurrency).member("executing", status.executing);
  out.member("executing_max", status.executing_max).member("unreserved", status.unreserved);
  out.member("claimed", status.claimed).end_object();
  out.key("control_groups").begin_object();
  out.member("state", !groups.known ? "unknown" : groups.missing.empty() ? "used" : "none");
  out.member("reason", groups.missing).end_object();
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
    out.member("throttles", function.throttles).member("cold_starts", function.meter.cold_starts());
    write_resources(out, function.resources);
    write_starts(out, function.meter);
    out.key("provisioned").begin_array();
    for (const auto& [version, use] : function.provisioned) {
      out.begin_object().member("qualifier", version).member("configured", use.configured);
      out.member("executing", use.executing).member("executing_max", use.executing_max);
      out.member("invocations", use.invocations).member("spillover_invocations", use.spillovers).end_object();
    }
    out.end_array();
    out.end_object();
  }
  out.end_array().key("queue").begin_object().member("state", status.queue_parked ? "parked" : "running");
  write_queue_sums(out, status.queue);
  out.key("functions").begin_array();
  for (const bridge::AsyncStatus& each : status.queue) write_async(out, each);
  out.end_array().end_object().key("sources").begin_array();
  for (const bridge::SourceStatus& source : status.sources) {
    out.begin_object().member("source", source.name).member("type", source.type).member("function", source.function);
    out.member("state", bridge::text(source.state)).member("error", source.error).member("restarts", source.restarts);
    if (source.pushed) {
      out.member("accepted_events", source.pushed->accepted).member("refused_events", source.pushed->refused);
      out.member("webhook_requests", source.pushed->webhooks).end_object();
      continue;
    }
    if (source.queue) {
      write_queue(out, *source.queue);
      out.end_object();
      continue;
    }
    out.member("last_processing_result", processing_result(source));
    Duration oldest{0};
    for (const bridge::ShardStatus& shard : source.shards) oldest = std::max(oldest, shard.iterator_age);
    out.member("iterator_age_seconds", as_seconds(oldest));
    write_counters(out, source.counters);
    out.key("shards").begin_array();
    for (const bridge::ShardStatus& shard : source.shards) write_shard(out, shard);
    out.end_array().end_object();
  }
  out.end_array().key("services").begin_array();
  for (const bridge::ServiceStatus& service : status.services) write_service(out, service);
  out.end_array().key("deliveries").begin_object();
  out.member("state", status.deliveries_parked ? "parked" : "running").key("targets").begin_array();
  for (const bridge::DeliveryStatus& each : status.deliveries) write_delivery(out, each);
  out.end_array().end_object().end_object();
  return text;
}

std::string checkpoints_json(const std::vector<bridge::CheckpointRow>& rows) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const bridge::CheckpointRow& row : rows) {
    out.begin_object().member("source", row.source).member("shard", row.shard);
    write_resume(out, "position", row.resume);
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
  page.gauge("lambda_concurrent_executions_limit", "The account's concurrency.", {}, status.concurrency);
  page.gauge("lambda_claimed_account_concurrency",
             "What runs unreserved, what is reserved, and what is provisioned beside that.", {}, status.claimed);
  page.gauge("lambda_unreserved_concurrent_executions", "Executions of functions without reserved concurrency.", {},
             status.executing_unreserved);
  for (const bridge::FunctionStatus& function : status.functions) add_function(page, function);
  page.gauge("weir_async_parked",
             "1 when weir broke a belief about its queue: nothing is accepted or invoked any more.", {},
             status.queue_parked ? 1 : 0);
  for (const bridge::AsyncStatus& each : status.queue) add_async(page, each);
  for (const bridge::SourceStatus& source : status.sources) add_source(page, source);
  for (const bridge::ServiceStatus& service : status.services) add_service(page, service);
  page.gauge("weir_deliveries_parked",
             "1 when weir broke a belief about its deliveries: none is attempted any more, what is kept stays kept.",
             {}, status.deliveries_parked ? 1 : 0);
  for (const auto& [target, each] : by_target(status.deliveries)) add_delivery(page, each);
  return page.text();
}

}  // namespace weir::gateway
