#include "connectors/kafka/envelope.h"

#include <array>
#include <charconv>
#include <cstring>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/error.h"

#include "connectors/kafka/config.h"
#include "connectors/kafka/connector.h"

namespace weir::kafka {
namespace {

constexpr std::string_view kTimestamp = ",\"timestamp\":";
constexpr std::string_view kTimestampType = ",\"timestampType\":\"";
constexpr std::string_view kKey = "\",\"key\":\"";
constexpr std::string_view kValue = "\",\"value\":\"";
constexpr std::string_view kNoValue = "\",\"value\":null";
constexpr std::string_view kHeaders = "\",\"headers\":[";
constexpr std::string_view kHeadersAfterNull = ",\"headers\":[";
constexpr std::string_view kRecordClosing = "]}";

/// The names of Kafka's own enumeration, which AWS prints.
constexpr std::string_view text(TimestampType type) {
  switch (type) {
    case TimestampType::kCreateTime:
      return "CREATE_TIME";
    case TimestampType::kLogAppendTime:
      return "LOG_APPEND_TIME";
    case TimestampType::kNone:
      break;
  }
  return "NO_TIMESTAMP_TYPE";
}

/// A header's bytes as Java prints them: signed. The digits of each, its comma in front.
struct SignedByte {
  char digits[5];
  std::uint8_t size;
};
constexpr std::array<SignedByte, 256> kSignedBytes = [] {
  std::array<SignedByte, 256> table{};
  for (int i = 0; i < 256; ++i) {
    SignedByte& entry = table[static_cast<std::size_t>(i)];
    int number = i < 128 ? i : i - 256;
    std::size_t at = 0;
    entry.digits[at++] = ',';
    if (number < 0) {
      entry.digits[at++] = '-';
      number = -number;
    }
    if (number >= 100) entry.digits[at++] = static_cast<char>('0' + number / 100);
    if (number >= 10) entry.digits[at++] = static_cast<char>('0' + number / 10 % 10);
    entry.digits[at++] = static_cast<char>('0' + number % 10);
    entry.size = static_cast<std::uint8_t>(at);
  }
  return table;
}();

/// {"name":[1,-2]}
std::size_t header_bytes(const Header& header) {
  std::size_t size = 7 + json_escaped_size(header.name);
  for (const char byte : header.value) size += kSignedBytes[static_cast<unsigned char>(byte)].size;
  return header.value.empty() ? size : size - 1;
}

/// Writes into a buffer whose size was computed before: nothing is checked on the way, the end is.
class Cursor {
 public:
  explicit Cursor(char* at) : at_(at) {}
  void put(std::string_view piece) {
    std::memcpy(at_, piece.data(), piece.size());
    at_ += piece.size();
  }
  void put(char c) { *at_++ = c; }
  /// At most 20 characters, the size of any 64-bit number with its sign.
  void put_number(std::int64_t number) { at_ = std::to_chars(at_, at_ + 20, number).ptr; }
  void put_base64(std::string_view bytes) {
    encode_base64(bytes, at_);
    at_ += base64_size(bytes.size());
  }
  void put_header(const Header& header) {
    put("{\"");
    std::string name;
    append_json_escaped(name, header.name);
    put(name);
    put("\":[");
    bool first = true;
    for (const char byte : header.value) {
      const SignedByte& entry = kSignedBytes[static_cast<unsigned char>(byte)];
      const std::size_t skip = first ? 1 : 0;
      put(std::string_view(entry.digits + skip, entry.size - skip));
      first = false;
    }
    put("]}");
  }
  const char* at() const { return at_; }

 private:
  char* at_;
};

const RecordExtras& extras(const Record& record) {
  return *static_cast<const RecordExtras*>(record.origin);
}

std::int64_t offset(const Record& record) {
  return static_cast<std::int64_t>(record.position.number().value_or(0));
}

}  // namespace

Envelope::Envelope(const EventOrigin& origin, std::int32_t partition)
    : bootstrap_servers_(origin.bootstrap_servers),
      event_source_arn_(origin.event_source_arn),
      shard_(shard_name(origin.topic, partition)) {
  JsonWriter json(opening_);
  json.begin_object();
  if (event_source_arn_.empty()) {
    json.member("eventSource", "SelfManagedKafka");
  } else {
    json.member("eventSource", "aws:kafka").member("eventSourceArn", event_source_arn_);
  }
  json.member("bootstrapServers", bootstrap_servers_).key("records").begin_object().key(shard_).begin_array();

  JsonWriter record(record_opening_);
  record.begin_object().member("topic", origin.topic).member("partition", partition).key("offset");
}

std::size_t Envelope::record_bytes(const Record& record) const {
  const RecordExtras& more = extras(record);
  std::size_t size = record_opening_.size() + number_size(offset(record)) + kTimestamp.size() +
                     number_size(more.timestamp_ms) + kTimestampType.size() + text(more.timestamp_type).size() +
                     kRecordClosing.size();
  if (record.has_key) size += kKey.size() + base64_size(record.key.size());
  size += record.has_data ? kValue.size() + base64_size(record.data.size()) + kHeaders.size()
                          : kNoValue.size() + kHeadersAfterNull.size();
  if (!more.headers.empty()) {
    size += more.headers.size() - 1;
    for (const Header& header : more.headers) size += header_bytes(header);
  }
  return size;
}

void Envelope::write_event(std::span<const Record> records, std::string& out) const {
  std::size_t size = event_bytes() + records.size() - 1;
  for (const Record& record : records) size += record.encoded_bytes;
  const std::size_t before = out.size();
  out.resize(before + size);

  Cursor cursor(out.data() + before);
  cursor.put(opening_);
  bool first = true;
  for (const Record& record : records) {
    const RecordExtras& more = extras(record);
    if (!first) cursor.put(',');
    first = false;
    cursor.put(record_opening_);
    cursor.put_number(offset(record));
    cursor.put(kTimestamp);
    cursor.put_number(more.timestamp_ms);
    cursor.put(kTimestampType);
    cursor.put(text(more.timestamp_type));
    if (record.has_key) {
      cursor.put(kKey);
      cursor.put_base64(record.key);
    }
    if (record.has_data) {
      cursor.put(kValue);
      cursor.put_base64(record.data);
      cursor.put(kHeaders);
    } else {
      cursor.put(kNoValue);
      cursor.put(kHeadersAfterNull);
    }
    bool first_header = true;
    for (const Header& header : more.headers) {
      if (!first_header) cursor.put(',');
      first_header = false;
      cursor.put_header(header);
    }
    cursor.put(kRecordClosing);
  }
  cursor.put(kClosing);
  WEIR_ASSERT(cursor.at() == out.data() + out.size());
}

void Envelope::write_batch_info(std::span<const Record> records, std::size_t payload_bytes, JsonWriter& out) const {
  out.key("KafkaBatchInfo").begin_object().member("batchSize", static_cast<std::uint64_t>(records.size()));
  if (!event_source_arn_.empty()) out.member("eventSourceArn", event_source_arn_);
  out.member("bootstrapServers", bootstrap_servers_).member("payloadSize", static_cast<std::uint64_t>(payload_bytes));
  // Offsets as texts and times in ISO form, as AWS's sample has them.
  out.key("recordsInfo")
      .begin_object()
      .key(shard_)
      .begin_object()
      .member("firstRecordOffset", records.front().position.text())
      .member("lastRecordOffset", records.back().position.text())
      .member("firstRecordTimestamp", iso_milliseconds(records.front().arrival))
      .member("lastRecordTimestamp", iso_milliseconds(records.back().arrival))
      .end_object()
      .end_object()
      .end_object();
}

void Envelope::write_filter_view(const Record& record, bool with_metadata, FilterView& out) const {
  out.body = record.data;
  out.has_body = record.has_data;
  if (!with_metadata) return;
  const RecordExtras& more = extras(record);
  std::string& json = out.metadata;
  json += record_opening_;
  append_number(json, offset(record));
  json += kTimestamp;
  append_number(json, more.timestamp_ms);
  json += kTimestampType;
  json += text(more.timestamp_type);
  json += '"';
  if (record.has_key) {
    json += ",\"key\":\"";
    append_json_escaped(json, record.key);
    json += '"';
  }
  json += kHeadersAfterNull;
  bool first = true;
  for (const Header& header : more.headers) {
    if (!first) json += ',';
    first = false;
    const std::size_t before = json.size();
    json.resize(before + header_bytes(header));
    Cursor(json.data() + before).put_header(header);
  }
  json += kRecordClosing;
}

std::optional<Position> identified_offset(std::string_view shard, std::string_view identifier) {
  const auto entry = nlohmann::json::parse(identifier, nullptr, false);
  if (!entry.is_object()) return std::nullopt;
  const auto partition = entry.find("partition");
  const auto offset = entry.find("offset");
  if (partition == entry.end() || offset == entry.end() || !partition->is_string() || !offset->is_number_unsigned() ||
      partition->get_ref<const std::string&>() != shard)
    return std::nullopt;
  return Position(offset->get<std::uint64_t>());
}

}  // namespace weir::kafka
