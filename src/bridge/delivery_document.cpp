#include "bridge/delivery_document.h"

#include <array>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

namespace weir::bridge {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kBackoffs{"linear", "arithmetic", "geometric", "exponential"};

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

void write_attributes(JsonWriter& out, std::string_view name,
                      const std::map<std::string, MessageAttribute>& attributes) {
  out.key(name).begin_object();
  for (const auto& [key, attribute] : attributes) {
    out.key(key).begin_array().value(attribute.type).value(attribute.value).end_array();
  }
  out.end_object();
}

std::map<std::string, MessageAttribute> read_attributes(const json& from) {
  std::map<std::string, MessageAttribute> attributes;
  for (const auto& [key, value] : from.items()) {
    attributes[key] = {value.at(0).get<std::string>(), value.at(1).get<std::string>()};
  }
  return attributes;
}

std::string write_terms(const ServiceDelivery& delivery) {
  std::string text;
  JsonWriter out(text);
  out.begin_object().key("phases").begin_array();
  for (const RetryPhase& phase : delivery.rules.phases) {
    out.begin_array().value(phase.retries).value(milliseconds(phase.first)).value(milliseconds(phase.last));
    out.value(kBackoffs.at(static_cast<std::size_t>(phase.backoff))).end_array();
  }
  out.end_array();
  if (delivery.rules.max_age != Duration::max()) out.member("max_age", milliseconds(delivery.rules.max_age));
  out.member("jitter", delivery.rules.jitter).member("max_per_second", delivery.rules.max_per_second);
  out.member("group", delivery.details.group).end_object();
  return text;
}

DeliveryTerms terms_of(const json& from) {
  DeliveryTerms terms;
  for (const json& each : from.at("phases")) {
    RetryPhase phase;
    phase.retries = each.at(0).get<int>();
    phase.first = std::chrono::milliseconds(each.at(1).get<std::int64_t>());
    phase.last = std::chrono::milliseconds(each.at(2).get<std::int64_t>());
    const auto word = each.at(3).get<std::string>();
    const auto found = std::find(kBackoffs.begin(), kBackoffs.end(), word);
    if (found == kBackoffs.end()) throw std::out_of_range(word);
    phase.backoff = static_cast<Backoff>(found - kBackoffs.begin());
    terms.rules.phases.push_back(phase);
  }
  if (from.contains("max_age")) terms.rules.max_age = std::chrono::milliseconds(from["max_age"].get<std::int64_t>());
  terms.rules.jitter = from.at("jitter").get<double>();
  terms.rules.max_per_second = from.at("max_per_second").get<int>();
  terms.group = from.at("group").get<std::string>();
  return terms;
}

ServiceDelivery delivery_of(const json& from) {
  ServiceDelivery delivery;
  delivery.payload = from.at("payload").get<std::string>();
  delivery.details.attributes = read_attributes(from.at("attributes"));
  for (const json& header : from.at("headers")) {
    delivery.details.headers.emplace_back(header.at(0).get<std::string>(), header.at(1).get<std::string>());
  }
  delivery.details.subject = from.at("subject").get<std::string>();
  delivery.details.deduplication = from.at("deduplication").get<std::string>();
  delivery.dead_letter = from.at("dead_letter").get<std::string>();
  delivery.dead_letter_body = from.at("dead_letter_body").get<std::string>();
  delivery.dead_letter_attributes = read_attributes(from.at("dead_letter_attributes"));
  delivery.dead_letter_tells_why = from.at("dead_letter_tells_why").get<bool>();
  return delivery;
}

template <typename Read>
auto read(std::string_view text, Read read_json) -> Result<decltype(read_json(json()))> {
  try {
    return read_json(json::parse(text));
  } catch (const std::exception& error) {
    return Error(ErrorCode::kStoreCorrupt, std::string("a delivery that was kept cannot be read: ") + error.what());
  }
}

}  // namespace

bool is_delivery(std::string_view function) {
  return function.find(':') != std::string_view::npos;
}

store::StoredEvent stored_delivery(const ServiceDelivery& delivery, WallTime accepted) {
  store::StoredEvent stored;
  stored.function = delivery.target;
  stored.qualifier = write_terms(delivery);
  stored.source = delivery.source;
  stored.trace_header = delivery.trace_header;
  stored.accepted = accepted;
  JsonWriter out(stored.payload);
  out.begin_object().member("payload", delivery.payload);
  write_attributes(out, "attributes", delivery.details.attributes);
  out.key("headers").begin_array();
  for (const auto& [name, value] : delivery.details.headers) out.begin_array().value(name).value(value).end_array();
  out.end_array().member("subject", delivery.details.subject).member("deduplication", delivery.details.deduplication);
  out.member("dead_letter", delivery.dead_letter).member("dead_letter_body", delivery.dead_letter_body);
  write_attributes(out, "dead_letter_attributes", delivery.dead_letter_attributes);
  out.member("dead_letter_tells_why", delivery.dead_letter_tells_why).end_object();
  return stored;
}

Result<ServiceDelivery> read_delivery(const store::StoredEvent& stored) {
  auto terms = read_terms(stored.qualifier);
  if (!terms) return std::move(terms.error());
  auto delivery = read(stored.payload, delivery_of);
  if (!delivery) return delivery;
  delivery->target = stored.function;
  delivery->source = stored.source;
  delivery->trace_header = stored.trace_header;
  delivery->rules = std::move(terms->rules);
  delivery->details.group = std::move(terms->group);
  return delivery;
}

Result<DeliveryTerms> read_terms(std::string_view qualifier) {
  return read(qualifier, terms_of);
}

}  // namespace weir::bridge
