#include "connectors/dynamodb/envelope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "weir/base/json_check.h"

#include "event/kinesis_event.h"

namespace weir::dynamodb {
namespace {

namespace ondemand = simdjson::ondemand;

/// botocore dynamodbstreams: SequenceNumber has 21 to 40 characters.
constexpr std::size_t kLeastSequenceDigits = 21;

/// The bytes that the records of one answer refer to.
struct Texts {
  std::string records;
  std::string keys;  ///< of items whose keys the service did not write in the order of their names
};

/// A part of one of the texts, by place: the texts grow while they are written.
struct Part {
  std::size_t begin = 0;
  std::size_t size = 0;
  std::string_view of(const std::string& text) const { return std::string_view(text).substr(begin, size); }
};

std::string_view without_space_behind(std::string_view json) {
  while (!json.empty() && (json.back() == ' ' || json.back() == '\n' || json.back() == '\r' || json.back() == '\t')) {
    json.remove_suffix(1);
  }
  return json;
}

/// The members of a record, each as the JSON text the service wrote; "" where there is none.
struct RawRecord {
  std::string_view event_id, event_name, event_version, region;
  std::string_view keys, new_image, old_image, view_type;
  std::string_view identity_type, identity_principal;
  std::string_view sequence;  ///< the digits
  std::optional<double> created;
  std::optional<std::int64_t> size_bytes;
  std::string item;  ///< the keys, in the order of their names
};

/// The answer has another form than GetRecords gives; caught where the reading began.
struct WrongForm {
  const char* what;
};

std::string_view text_token(ondemand::value value, const char* what) {
  const std::string_view token = without_space_behind(value.raw_json_token());
  if (!token.starts_with('"')) throw WrongForm{what};
  return token;
}

std::string_view object_text(ondemand::value value, const char* what) {
  if (value.type() != ondemand::json_type::object) throw WrongForm{what};
  return without_space_behind(value.get_object().value().raw_json());
}

/// Keys are one or two attributes, whose order is nobody's promise; lanes need one text for each item.
void read_keys(ondemand::value value, RawRecord& record) {
  if (value.type() != ondemand::json_type::object) throw WrongForm{"Keys is no object"};
  ondemand::object keys = value.get_object();
  std::vector<std::pair<std::string_view, std::string_view>> attributes;
  record.keys = without_space_behind(keys.raw_json());
  keys.reset();
  for (auto attribute : keys) {
    const std::string_view name = attribute.unescaped_key();
    attributes.emplace_back(name, object_text(attribute.value(), "a key's attribute is no object"));
  }
  std::sort(attributes.begin(), attributes.end());
  record.item = "{";
  for (const auto& [name, attribute] : attributes) {
    if (record.item.size() > 1) record.item += ',';
    record.item += '"';
    append_json_escaped(record.item, name);
    record.item.append("\":").append(attribute);
  }
  record.item += '}';
}

void read_change(ondemand::value value, RawRecord& record) {
  if (value.type() != ondemand::json_type::object) throw WrongForm{"dynamodb is no object"};
  for (auto field : value.get_object()) {
    const std::string_view name = field.unescaped_key();
    ondemand::value member = field.value();
    if (member.is_null()) continue;
    if (name == "Keys") {
      read_keys(member, record);
    } else if (name == "NewImage") {
      record.new_image = object_text(member, "NewImage is no object");
    } else if (name == "OldImage") {
      record.old_image = object_text(member, "OldImage is no object");
    } else if (name == "SequenceNumber") {
      record.sequence = text_token(member, "SequenceNumber is no text");
    } else if (name == "ApproximateCreationDateTime") {
      record.created = member.get_double();
    } else if (name == "SizeBytes") {
      record.size_bytes = member.get_int64();
    } else if (name == "StreamViewType") {
      record.view_type = text_token(member, "StreamViewType is no text");
    }
  }
}

/// GetRecords spells the members PrincipalId and Type, Lambda's event principalId and type.
void read_identity(ondemand::value value, RawRecord& record) {
  if (value.type() != ondemand::json_type::object) throw WrongForm{"userIdentity is no object"};
  for (auto field : value.get_object()) {
    const std::string_view name = field.unescaped_key();
    ondemand::value member = field.value();
    if (name == "Type" || name == "type") record.identity_type = text_token(member, "userIdentity.Type is no text");
    if (name == "PrincipalId" || name == "principalId") {
      record.identity_principal = text_token(member, "userIdentity.PrincipalId is no text");
    }
  }
}

RawRecord read_record(ondemand::object object) {
  RawRecord record;
  for (auto field : object) {
    const std::string_view name = field.unescaped_key();
    ondemand::value member = field.value();
    if (member.is_null()) continue;
    if (name == "dynamodb") {
      read_change(member, record);
    } else if (name == "eventID") {
      record.event_id = text_token(member, "eventID is no text");
    } else if (name == "eventName") {
      record.event_name = text_token(member, "eventName is no text");
    } else if (name == "eventVersion") {
      record.event_version = text_token(member, "eventVersion is no text");
    } else if (name == "awsRegion") {
      record.region = text_token(member, "awsRegion is no text");
    } else if (name == "userIdentity") {
      read_identity(member, record);
    }
  }
  if (record.event_id.empty() || record.event_name.empty()) throw WrongForm{"a record has no eventID or eventName"};
  if (record.keys.empty()) throw WrongForm{"a record has no Keys"};
  if (record.sequence.empty()) throw WrongForm{"a record has no SequenceNumber"};
  if (!record.created || !(*record.created >= 0 && *record.created <= 9e9)) {
    throw WrongForm{"a record has no ApproximateCreationDateTime"};
  }
  return record;
}

/// Appends the element of `Records`, in the wire order of a recorded event (reference stream-sources.md, 2.2); where
/// its keys stand in it comes back.
Part append_record(std::string& out, const RawRecord& record, WallTime created, std::string_view stream_arn) {
  out.append(R"({"eventID":)").append(record.event_id);
  out.append(R"(,"eventName":)").append(record.event_name);
  out.append(R"(,"eventVersion":)").append(record.event_version.empty() ? R"("1.1")" : record.event_version);
  out.append(R"(,"eventSource":"aws:dynamodb")");
  if (!record.region.empty()) out.append(R"(,"awsRegion":)").append(record.region);
  out.append(R"(,"dynamodb":{"ApproximateCreationDateTime":)").append(java_seconds(created));
  out.append(R"(,"Keys":)");
  const Part keys{out.size(), record.keys.size()};
  out.append(record.keys);
  if (!record.new_image.empty()) out.append(R"(,"NewImage":)").append(record.new_image);
  if (!record.old_image.empty()) out.append(R"(,"OldImage":)").append(record.old_image);
  out.append(R"(,"SequenceNumber":)").append(record.sequence);
  if (record.size_bytes) {
    out.append(R"(,"SizeBytes":)");
    append_number(out, *record.size_bytes);
  }
  if (!record.view_type.empty()) out.append(R"(,"StreamViewType":)").append(record.view_type);
  out.append("}");
  if (!record.identity_type.empty() && !record.identity_principal.empty()) {
    out.append(R"(,"userIdentity":{"type":)").append(record.identity_type);
    out.append(R"(,"principalId":)").append(record.identity_principal).append("}");
  }
  out.append(R"(,"eventSourceARN":")");
  append_json_escaped(out, stream_arn);
  out.append(R"("})");
  return keys;
}

std::string iso_seconds(WallTime time) {
  std::string text = iso_milliseconds(time);
  text.replace(text.size() - 5, 5, "Z");
  return text;
}

}  // namespace

struct RecordReader::Impl {
  ondemand::parser parser;
};

RecordReader::RecordReader() : impl_(std::make_unique<Impl>()) {}
RecordReader::~RecordReader() = default;

Result<StreamPage> RecordReader::read(std::string answer, std::string_view stream_arn) {
  const auto damaged = [](std::string_view what) {
    return Error(ErrorCode::kSourceFailed, "the answer to GetRecords cannot be read: " + std::string(what));
  };
  // What is spliced is not looked at again, neither here nor before it is a part of an invocation's payload.
  if (!is_json(answer)) return damaged("it is not JSON");
  answer.reserve(answer.size() + simdjson::SIMDJSON_PADDING);
  const auto texts = std::make_shared<Texts>();
  StreamPage page;
  std::vector<std::pair<Part, std::pair<const std::string*, Part>>> places;  // of each record: itself, its key
  try {
    ondemand::document document =
        impl_->parser.iterate(simdjson::padded_string_view(answer.data(), answer.size(), answer.capacity()));
    if (document.type() != ondemand::json_type::object) return damaged("it is no object");
    for (auto field : document.get_object()) {
      const std::string_view name = field.unescaped_key();
      ondemand::value member = field.value();
      if (member.is_null()) continue;
      if (name == "NextShardIterator") {
        page.next = std::string(member.get_string().value());
      } else if (name == "Records") {
        texts->records.reserve(answer.size() + answer.size() / 4);
        for (auto element : member.get_array()) {
          const RawRecord raw = read_record(element.get_object());
          Record record;
          const auto position = Position::parse(raw.sequence.substr(1, raw.sequence.size() - 2));
          if (!position) throw WrongForm{"a record's SequenceNumber is no number"};
          record.position = *position;
          record.arrival = from_epoch_milliseconds(std::llround(*raw.created * 1000));
          const std::size_t begin = texts->records.size();
          Part keys = append_record(texts->records, raw, record.arrival, stream_arn);
          const std::string* key_text = &texts->records;
          if (raw.keys != raw.item) {
            keys = Part{texts->keys.size(), raw.item.size()};
            key_text = &texts->keys;
            texts->keys.append(raw.item);
          }
          record.encoded_bytes = texts->records.size() - begin;
          places.push_back({Part{begin, record.encoded_bytes}, {key_text, keys}});
          page.records.records.push_back(std::move(record));
        }
      }
    }
  } catch (const simdjson::simdjson_error& error) {
    return damaged(error.what());
  } catch (const WrongForm& wrong) {
    return damaged(wrong.what);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    Record& record = page.records.records[i];
    record.data = places[i].first.of(texts->records);
    record.key = places[i].second.second.of(*places[i].second.first);
  }
  page.records.owner = texts;
  page.records.end_of_shard = !page.next;
  return page;
}

void write_event(std::span<const Record> records, std::string& out) {
  out.append(R"({"Records":[)");
  for (const Record& record : records) {
    if (&record != records.data()) out.push_back(',');
    out.append(record.data);
  }
  out.append("]}");
}

std::string sequence_text(const Position& position) {
  std::string digits = position.text();
  if (digits.size() < kLeastSequenceDigits) digits.insert(0, kLeastSequenceDigits - digits.size(), '0');
  return digits;
}

void write_batch_info(std::string_view shard, std::string_view stream_arn, std::span<const Record> records,
                      JsonWriter& out) {
  out.key("DDBStreamBatchInfo").begin_object();
  out.member("shardId", shard);
  if (!records.empty()) {
    out.member("startSequenceNumber", sequence_text(records.front().position));
    out.member("endSequenceNumber", sequence_text(records.back().position));
    out.member("approximateArrivalOfFirstRecord", iso_seconds(records.front().arrival));
    out.member("approximateArrivalOfLastRecord", iso_seconds(records.back().arrival));
    out.member("batchSize", static_cast<std::int64_t>(records.size()));
  }
  out.member("streamArn", stream_arn);
  out.end_object();
}

}  // namespace weir::dynamodb
