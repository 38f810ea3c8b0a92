#include "bridge/event_record.h"

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

namespace weir::bridge {
namespace {

/// The payloads are in the record as JSON, not as strings; what a function answered that is no JSON can only be one.
void write_payload(JsonWriter& out, std::string_view name, std::string_view payload) {
  out.key(name);
  if (is_json(payload)) {
    out.raw(payload);
  } else {
    out.value(payload);
  }
}

}  // namespace

std::string event_record(const engine::EndEvent& end, const store::StoredEvent& event, std::string_view function_arn,
                         const Outcome* outcome, WallTime now) {
  const auto* failed = outcome != nullptr ? std::get_if<FunctionFailed>(&outcome->what) : nullptr;
  const auto* succeeded = outcome != nullptr ? std::get_if<Succeeded>(&outcome->what) : nullptr;
  std::string record;
  record.reserve(event.payload.size() + 1024);
  JsonWriter out(record);
  out.begin_object().member("version", "1.0").member("timestamp", iso_milliseconds(now));
  out.key("requestContext").begin_object().member("requestId", event.request_id).member("functionArn", function_arn);
  out.member("condition", text(end.condition)).member("approximateInvokeCount", end.approximate_invoke_count);
  out.end_object();
  write_payload(out, "requestPayload", event.payload);
  if (end.status_code) {
    out.key("responseContext").begin_object().member("statusCode", *end.status_code);
    if (end.has_response && outcome != nullptr) out.member("executedVersion", outcome->executed_version);
    if (failed != nullptr) out.member("functionError", "Unhandled");
    out.end_object();
  }
  if (failed != nullptr) write_payload(out, "responsePayload", failed->payload);
  if (succeeded != nullptr) write_payload(out, "responsePayload", succeeded->payload);
  out.end_object();
  return record;
}

}  // namespace weir::bridge
