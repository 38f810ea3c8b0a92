#include "event/kinesis_event.h"

#include "weir/base/bytes.h"

namespace weir {
namespace {

constexpr std::string_view kBeforeKey = R"({"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":")";
constexpr std::string_view kBeforeSequence = R"(","sequenceNumber":")";
constexpr std::string_view kBeforeData = R"(","data":")";
constexpr std::string_view kBeforeArrival = R"(","approximateArrivalTimestamp":)";
constexpr std::string_view kBeforeEventId = R"(},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":")";
constexpr std::string_view kBeforeRole = R"(","eventName":"aws:kinesis:record","invokeIdentityArn":")";
constexpr std::string_view kBeforeRegion = R"(","awsRegion":")";
constexpr std::string_view kBeforeStream = R"(","eventSourceARN":")";
constexpr std::string_view kEnd = R"("})";

constexpr std::size_t kFixed = kBeforeKey.size() + kBeforeSequence.size() + kBeforeData.size() + kBeforeArrival.size() +
                               kBeforeEventId.size() + 1 + kBeforeRole.size() + kBeforeRegion.size() +
                               kBeforeStream.size() + kEnd.size();

}  // namespace

std::string java_seconds(WallTime time) {
  const std::int64_t milliseconds = std::max<std::int64_t>(epoch_milliseconds(time), 0);
  std::string digits = std::to_string(milliseconds);
  // Below 10^7 Java prints a plain decimal fraction, from there on one digit, a point, the rest and the exponent.
  if (milliseconds < 10'000'000'000) {
    if (digits.size() < 4) digits.insert(0, 4 - digits.size(), '0');
    digits.insert(digits.size() - 3, ".");
    while (digits.ends_with('0') && digits[digits.size() - 2] != '.') digits.pop_back();
    return digits;
  }
  const std::size_t exponent = digits.size() - 4;
  digits.insert(1, ".");
  while (digits.ends_with('0') && digits[digits.size() - 2] != '.') digits.pop_back();
  return digits + "E" + std::to_string(exponent);
}

void append_kinesis_record(std::string& out, const KinesisStream& stream, const Record& record, WallTime arrived) {
  const std::string sequence = record.position.text();
  out.append(kBeforeKey);
  append_json_escaped(out, record.key);
  out.append(kBeforeSequence).append(sequence).append(kBeforeData);
  append_base64(out, record.data);
  out.append(kBeforeArrival).append(java_seconds(arrived));
  out.append(kBeforeEventId).append(stream.shard_id).append(":").append(sequence);
  out.append(kBeforeRole).append(stream.role_arn);
  out.append(kBeforeRegion).append(stream.region);
  out.append(kBeforeStream).append(stream.stream_arn).append(kEnd);
}

std::size_t kinesis_record_size(const KinesisStream& stream, const Record& record, WallTime arrived) {
  return kFixed + json_escaped_size(record.key) + 2 * record.position.text().size() + base64_size(record.data.size()) +
         java_seconds(arrived).size() + stream.shard_id.size() + stream.role_arn.size() + stream.region.size() +
         stream.stream_arn.size();
}

std::string kinesis_filter_metadata(const Record& record, WallTime arrived) {
  std::string out = R"({"kinesisSchemaVersion":"1.0","partitionKey":")";
  append_json_escaped(out, record.key);
  out += R"(","sequenceNumber":")" + record.position.text();
  out += R"(","approximateArrivalTimestamp":)" + java_seconds(arrived) + "}";
  return out;
}

void write_kinesis_batch_info(const KinesisStream& stream, std::span<const Record> records, JsonWriter& out) {
  out.key("KinesisBatchInfo").begin_object();
  out.member("shardId", stream.shard_id);
  if (!records.empty()) {
    out.member("startSequenceNumber", records.front().position.text());
    out.member("endSequenceNumber", records.back().position.text());
    out.member("approximateArrivalOfFirstRecord", iso_milliseconds(records.front().arrival));
    out.member("approximateArrivalOfLastRecord", iso_milliseconds(records.back().arrival));
    out.member("batchSize", static_cast<std::int64_t>(records.size()));
  }
  out.member("streamArn", stream.stream_arn);
  out.end_object();
}

}  // namespace weir
