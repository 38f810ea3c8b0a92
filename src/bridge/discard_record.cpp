#include "bridge/discard_record.h"

namespace weir::bridge {
namespace {

/// The version that ran: as the endpoint says; where it says none, which is the latest too, that of the qualifier in
/// the mapping's function ARN. Only an endpoint knows which version an alias stands for.
std::string_view executed_version(std::string_view said, std::string_view arn) {
  constexpr std::string_view kLatest = "$LATEST";
  if (!said.empty() && said != kLatest) return said;
  constexpr int kColonsBeforeQualifier = 7;
  int colons = 0;
  for (std::size_t i = 0; i < arn.size(); ++i) {
    if (arn[i] != ':' || ++colons != kColonsBeforeQualifier) continue;
    const std::string_view qualifier = arn.substr(i + 1);
    if (!qualifier.empty() && qualifier.find_first_not_of("0123456789") == qualifier.npos) return qualifier;
  }
  return kLatest;
}

/// "2026-09-12T07:00:00Z": as the window's event has it.
std::string iso_seconds(WallTime time) {
  return iso_milliseconds(time).substr(0, 19) + "Z";
}

void write_response_context(const engine::Discard& discard, std::string_view arn, JsonWriter& out) {
  if (discard.condition == engine::DiscardCondition::kMaximumPayloadSizeExceeded) {
    // Kafka's alone, and there it is null (kafka-on-failure).
    out.key("responseContext").null();
    return;
  }
  // Recorded: absent for records that were too old or too large, even after failed invocations.
  if (discard.response == engine::ResponseContext::kNone) return;
  out.key("responseContext").begin_object();
  out.member("statusCode", 200)
      .member("executedVersion", executed_version(discard.executed_version, arn))
      .key("functionError");
  if (discard.response == engine::ResponseContext::kUnhandled) {
    out.value("Unhandled");
  } else {
    out.null();
  }
  out.end_object();
}

void write_window(const WindowCall& window, JsonWriter& out) {
  out.key("timeWindowInfo").begin_object().key("window").begin_object();
  out.member("start", iso_seconds(window.start)).member("end", iso_seconds(window.end)).end_object();
  out.member("isFinalInvokeForWindow", window.is_final).member("isWindowTerminatedEarly", window.terminated_early);
  out.end_object();
}

}  // namespace

std::string discard_record(const engine::Discard& discard, std::string_view arn, WallTime now, const PollSource& source,
                           const ShardId& shard, std::size_t payload_bytes) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_object();
  writer.key("requestContext").begin_object();
  writer.member("requestId", discard.request_id)
      .member("functionArn", arn)
      .member("condition", text(discard.condition));
  writer.member("approximateInvokeCount", discard.approximate_invoke_count).end_object();
  write_response_context(discard, arn, writer);
  writer.member("version", "1.0").member("timestamp", iso_milliseconds(now));
  source.write_batch_info(shard, discard.records, payload_bytes, writer);
  if (discard.window) write_window(*discard.window, writer);
  writer.end_object();
  return out;
}

}  // namespace weir::bridge
