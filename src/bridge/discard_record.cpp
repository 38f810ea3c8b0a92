#include "bridge/discard_record.h"

namespace weir::bridge {

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
  // Recorded: absent for records that were too old or too large, even after failed invocations.
  if (discard.error != nullptr) {
    writer.key("responseContext").begin_object();
    writer.member("statusCode", 200)
        .member("executedVersion", "$LATEST")
        .member("functionError", "Unhandled")
        .end_object();
  }
  writer.member("version", "1.0").member("timestamp", iso_milliseconds(now));
  source.write_batch_info(shard, discard.records, payload_bytes, writer);
  writer.end_object();
  return out;
}

}  // namespace weir::bridge
