#include "service/bus_entry.h"

#include <nlohmann/json.hpp>

#include "service/arn.h"

namespace weir::service {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string text_of(const auto& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->template get<std::string>() : "";
}

/// The requestContext of an invocation's record, without the payloads beside it.
json request_context(const std::string& record) {
  const auto wanted = [](int depth, json::parse_event_t event, json& parsed) {
    return depth != 1 || event != json::parse_event_t::key || parsed == "requestContext";
  };
  const json read = json::parse(record, wanted, false);
  if (!read.is_object()) return json::object();
  const auto found = read.find("requestContext");
  return found != read.end() && found->is_object() ? *found : json::object();
}

}  // namespace

std::optional<BusEntry> bus_entry(const DestinationRecord& record, std::string_view bus_arn) {
  BusEntry entry;
  if (!record.function.empty()) {
    // Source: invocation-async-retain-records; the resources as recorded (invoke.md 3.4).
    const json context = request_context(record.record);
    entry.source = "lambda";
    entry.detail_type = std::string("Lambda Function Invocation Result - ") +
                        (text_of(context, "condition") == "Success" ? "Success" : "Failure");
    entry.detail = record.record;
    entry.resources = {std::string(bus_arn), text_of(context, "functionArn")};
    return entry;
  }
  const ordered_json event = ordered_json::parse(record.record, nullptr, false);
  if (!event.is_object()) return std::nullopt;
  entry.source = text_of(event, "source");
  entry.detail_type = text_of(event, "detail-type");
  entry.time = text_of(event, "time");
  const auto detail = event.find("detail");
  if (entry.source.empty() || entry.detail_type.empty() || detail == event.end()) return std::nullopt;
  entry.detail = detail->dump();
  const auto resources = event.find("resources");
  if (resources != event.end() && resources->is_array()) {
    for (const auto& each : *resources) {
      if (each.is_string()) entry.resources.push_back(each.get<std::string>());
    }
  }
  return entry;
}

std::string account_of(const DestinationRecord& record) {
  const auto arn = parse_arn(text_of(request_context(record.record), "functionArn"));
  return arn ? arn->account : "";
}

}  // namespace weir::service
