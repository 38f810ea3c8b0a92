#include "service/bus_entry.h"

#include "weir/base/json_check.h"

#include "service/arn.h"
#include "service/json_text.h"

namespace weir::service {
namespace {

/// The requestContext of an invocation's record, without the payloads beside it.
std::string_view request_context(std::string_view record) {
  return is_json(record) ? member_of(record, "requestContext").value_or("{}") : "{}";
}

}  // namespace

std::optional<BusEntry> read_bus_event(std::string_view json) {
  BusEntry entry;
  std::string_view resources;
  std::string_view detail;
  each_member(json, [&](std::string_view name, std::string_view value) {
    if (name == "source") entry.source = decoded(value);
    if (name == "detail-type") entry.detail_type = decoded(value);
    if (name == "time") entry.time = decoded(value);
    if (name == "id") entry.id = decoded(value);
    if (name == "account") entry.account = decoded(value);
    if (name == "region") entry.region = decoded(value);
    if (name == "resources") resources = value;
    if (name == "detail") detail = value;
  });
  if (entry.source.empty() || entry.detail_type.empty() || !detail.starts_with('{')) return std::nullopt;
  entry.detail = detail;
  each_element(resources, [&](std::string_view value) {
    if (value.starts_with('"')) entry.resources.push_back(decoded(value));
  });
  return entry;
}

std::optional<BusEntry> bus_entry(const DestinationRecord& record, std::string_view bus_arn) {
  if (record.function.empty()) {
    if (!is_json(record.record)) return std::nullopt;
    return read_bus_event(record.record);
  }
  // Source: invocation-async-retain-records; the resources as recorded (invoke.md 3.4).
  const std::string_view context = request_context(record.record);
  BusEntry entry;
  entry.source = "lambda";
  entry.detail_type = "Lambda Function Invocation Result - ";
  entry.detail_type += text_of(context, "condition") == "Success" ? "Success" : "Failure";
  entry.detail = record.record;
  entry.resources.emplace_back(bus_arn);
  if (std::string function = text_of(context, "functionArn"); !function.empty()) {
    entry.resources.push_back(std::move(function));
  }
  return entry;
}

std::string account_of(const DestinationRecord& record) {
  const auto arn = parse_arn(text_of(request_context(record.record), "functionArn"));
  return arn ? arn->account : "";
}

}  // namespace weir::service
