// Subscription filters, what they send, and the trying of a pattern.
#include <functional>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "connectors/logs/request.h"
#include "connectors/logs/service.h"
#include "runtime/offload.h"

namespace weir::logs {
namespace {

constexpr std::size_t kFiltersMax = 2;
constexpr std::size_t kRegexFiltersMax = 5;
constexpr std::size_t kDescribed = 50;
constexpr std::size_t kTriedMax = 50;
/// What is packed at once, in some 300 us: it does not wait for a pool that has something else to do.
constexpr std::size_t kPackedHere = 32 * 1024;

pattern::LogPattern compiled(const std::string& text) {
  auto pattern = pattern::LogPattern::compile(text);
  if (!pattern) invalid(pattern.error().message());
  return std::move(*pattern);
}

}  // namespace

net::awaitable<std::string> LogsService::put_filter(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  Filter filter;
  filter.name = plain_name(asked.body, "filterName");
  filter.text = required(asked.body, "filterPattern");
  filter.pattern = compiled(filter.text);
  filter.destination = required(asked.body, "destinationArn");
  filter.distribution = text_of(asked.body, "distribution").value_or("ByLogStream");
  if (filter.distribution != "ByLogStream" && filter.distribution != "Random")
    unfit(filter.distribution, "distribution", "Member must satisfy enum value set: [Random, ByLogStream]");
  filter.target = asked.host.target_of(filter.destination);
  if (!filter.target.starts_with("lambda:"))
    invalid("weir delivers log events to Lambda functions only: destinationArn has to be a function's.");

  const auto turn = co_await group_alone(owner);
  Group& changed = group(owner);
  if (!asked.host.exists(filter.target)) {
    invalid(
        "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
        "function.");
  }
  filter.created = now();
  std::size_t others = 0;
  std::size_t with_regex = filter.pattern->regexes() > 0 ? 1 : 0;
  for (const Filter& each : changed.filters) {
    if (each.name != filter.name) {
      ++others;
      if (each.pattern->regexes() > 0) ++with_regex;
      continue;
    }
    if (!each.source.empty()) {
      invalid("The subscription filter " + each.name + " is declared in weir's configuration, as source " +
              each.source + "; change it there.");
    }
    filter.created = each.created;
  }
  if (others >= kFiltersMax || with_regex > kRegexFiltersMax)
    refuse("LimitExceededException", "Resource limit exceeded.");
  ServiceCommit what;
  const Json value{{"pattern", filter.text},
                   {"destination", filter.destination},
                   {"distribution", filter.distribution},
                   {"created", filter.created}};
  what.notes.push_back(group_note(owner, changed));
  what.notes.push_back({note_key(kFilterNote, owner, filter.name), value.dump()});
  co_await commit(asked.host, std::move(what));
  std::erase_if(changed.filters, [&](const Filter& each) { return each.name == filter.name; });
  changed.filters.push_back(std::move(filter));
  std::ranges::stable_sort(changed.filters, {}, &Filter::name);
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_filter(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  const std::string name = plain_name(asked.body, "filterName");
  const auto turn = co_await group_alone(owner);
  Group& changed = group(owner);
  const auto filter = std::ranges::find(changed.filters, name, &Filter::name);
  if (filter == changed.filters.end()) not_found("subscription filter");
  if (!filter->source.empty()) {
    invalid("The subscription filter " + name + " is declared in weir's configuration, as source " + filter->source +
            "; remove it there.");
  }
  ServiceCommit what;
  what.notes.push_back({note_key(kFilterNote, owner, name), std::nullopt});
  co_await commit(asked.host, std::move(what));
  std::erase_if(changed.filters, [&](const Filter& each) { return each.name == name; });
  co_return "{}";
}

net::awaitable<std::string> LogsService::describe_filters(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  const std::string prefix = plain_prefix(asked.body, "filterNamePrefix");
  std::vector<std::pair<ListKey, const void*>> chosen;
  for (const Filter& filter : group(owner).filters) {
    if (filter.name.starts_with(prefix)) chosen.emplace_back(ListKey(0, filter.name), &filter);
  }
  const std::string more = take_page(asked.body, kDescribed, false, chosen);
  Json out{{"subscriptionFilters", Json::array()}};
  if (!more.empty()) out["nextToken"] = more;
  for (const auto& [key, item] : chosen) {
    const auto& filter = *static_cast<const Filter*>(item);
    out["subscriptionFilters"].push_back({{"filterName", filter.name},
                                          {"logGroupName", owner},
                                          {"filterPattern", filter.text},
                                          {"destinationArn", filter.destination},
                                          {"distribution", filter.distribution},
                                          {"creationTime", filter.created}});
  }
  co_return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What a pattern makes of some messages. Source: reference patterns.md, "TestMetricFilter".
net::awaitable<std::string> LogsService::test_filter(const Asked& asked) {
  const auto pattern = compiled(required(asked.body, "filterPattern"));
  const Json* const messages = list_of(asked.body, "logEventMessages", kTriedMax);
  if (messages == nullptr) required(asked.body, "logEventMessages");
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("matches").begin_array();
  int number = 0;
  for (const Json& each : *messages) {
    ++number;
    const std::string at = "logEventMessages." + std::to_string(number) + ".member";
    if (!each.is_string()) refuse("SerializationException", at + " has to be a string");
    const auto& message = each.get_ref<const std::string&>();
    if (message.empty()) unfit(message, at, "Member must have length greater than or equal to 1");
    if (!pattern.matches(message)) continue;
    json.begin_object().member("eventNumber", number).member("eventMessage", message);
    json.key("extractedValues").begin_object();
    for (const auto& [name, text] : pattern.fields_of(message)) json.member("$" + name, text);
    json.end_object().end_object();
  }
  json.end_array().end_object();
  co_return out;
}

/// Batches of the events that a filter wants. An event that is larger than a batch is one of its own: what the function
/// does not take for its size, and ends among the dead letters, takes no other with it.
void LogsService::add_batches(const Filter& filter, const std::string& group, const std::string& stream,
                              const std::vector<LogEvent>& events, std::vector<Batch>& batches) {
  Batch* batch = nullptr;
  for (const LogEvent& event : events) {
    if (!filter.pattern->matches(event.message)) continue;
    LogEvent wanted = event;
    if (filter.pattern->has_fields()) wanted.fields = filter.pattern->fields_of(event.message);
    const std::size_t size = json_bytes(wanted);
    if (batch == nullptr || batch->bytes + size > kBatchBytes || batch->events.size() == kBatchEvents) {
      batch = &batches.emplace_back();
      batch->target = filter.target;
      batch->source = filter.source;
      batch->origin = {group, stream, filter.name};
    }
    batch->bytes += size;
    batch->events.push_back(std::move(wanted));
  }
}

/// Packs them. More than a little of it is not done on the engine's thread.
net::awaitable<std::vector<ServiceDelivery>> LogsService::deliveries_of(std::vector<Batch> batches,
                                                                        std::string trace_header) {
  std::size_t bytes = 0;
  for (const Batch& batch : batches) bytes += batch.bytes;
  std::function<std::vector<ServiceDelivery>()> packing = [batches = std::move(batches),
                                                           trace_header = std::move(trace_header)] {
    std::vector<ServiceDelivery> deliveries;
    deliveries.reserve(batches.size());
    for (const Batch& batch : batches) {
      ServiceDelivery& delivery = deliveries.emplace_back();
      delivery.target = batch.target;
      delivery.source = batch.source;
      delivery.trace_header = trace_header;
      delivery.payload = lambda_event(batch.origin, batch.events);
    }
    return deliveries;
  };
  if (bytes <= kPackedHere) co_return packing();
  co_return co_await runtime::offload(context_.blocking, std::move(packing));
}

}  // namespace weir::logs
