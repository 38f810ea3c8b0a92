#include "connectors/kinesis/protocol.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>
#include <simdjson.h>

#include "weir/base/bytes.h"
#include "weir/base/epoch_seconds.h"
#include "weir/base/json_writer.h"

namespace weir::kinesis {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

Error wrong(std::string_view what) {
  return {ErrorCode::kSourceFailed, "the answer is none of Kinesis: " + std::string(what)};
}

void write_stream(JsonWriter& out, const StreamName& stream) {
  // Both, as KCL does: what stands in for Kinesis mostly knows names only.
  out.member("StreamName", stream.name);
  if (!stream.arn.empty()) out.member("StreamARN", stream.arn);
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Milliseconds, of MillisBehindLatest: longer than Kinesis keeps records, a year.
constexpr std::int64_t kBehindMost = std::chrono::milliseconds(std::chrono::hours(24 * 1000)).count();

/// Seconds with milliseconds behind the point, which is what Kinesis keeps: "1790000000.123". No record came before
/// 1970.
std::string epoch_seconds(WallTime time) {
  const std::int64_t milliseconds = std::max<std::int64_t>(epoch_milliseconds(time), 0);
  std::string fraction = std::to_string(milliseconds % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  return std::to_string(milliseconds / 1000) + "." + fraction;
}

/// The bytes of a page: what records' views refer to.
struct PageBytes {
  std::string bytes;
};

/// Text of the page's own, for views of records; `bytes` has room for all of it.
std::string_view kept(std::string& bytes, std::string_view text) {
  const std::size_t begin = bytes.size();
  WEIR_ASSERT(bytes.capacity() - begin >= text.size());  // else what earlier views refer to would move
  bytes.append(text);
  return std::string_view(bytes).substr(begin);
}

/// Of an answer, in bytes: for one so long memory is kept from read to read.
constexpr std::size_t kScratchKept = 16U << 10U;

/// What is wrong with an answer that is JSON.
struct WrongForm {
  std::string_view what;
};

/// One element of Records; throws WrongForm or simdjson_error when it is none.
Record read_record(const dom::object& object, std::string& bytes) {
  Record record;
  bool has_position = false;
  for (const dom::key_value_pair field : object) {
    if (field.key == "SequenceNumber") {
      auto position = Position::parse(std::string_view(field.value));
      if (!position) throw WrongForm{"a record's SequenceNumber is no number"};
      record.position = std::move(*position);
      has_position = true;
    } else if (field.key == "PartitionKey") {
      record.key = kept(bytes, std::string_view(field.value));
    } else if (field.key == "Data") {
      const auto data = decode_base64(std::string_view(field.value));
      if (!data) throw WrongForm{"a record's Data is no base64"};
      record.data = kept(bytes, *data);
    } else if (field.key == "ApproximateArrivalTimestamp") {
      record.arrival = from_epoch_seconds(double(field.value));
    }
  }
  if (!has_position) throw WrongForm{"a record without SequenceNumber"};
  return record;
}

/// Adds a record, or those that KPL put into it: they all have its sequence number.
void add_record(std::vector<Record>& records, Record record, const KinesisStream& stream, const HashRange* split) {
  const auto parts = split != nullptr ? split_aggregate(record.data, *split) : std::nullopt;
  if (!parts) {
    record.encoded_bytes = kinesis_record_size(stream, record, record.arrival);
    records.push_back(std::move(record));
    return;
  }
  for (const SubRecord& part : *parts) {
    record.key = part.key;
    record.data = part.data;
    record.continues = &part != &parts->back();
    record.encoded_bytes = kinesis_record_size(stream, record, record.arrival);
    records.push_back(record);
  }
}

}  // namespace

std::string list_shards_body(const StreamName& stream, const std::string& next_token) {
  std::string body;
  JsonWriter out(body);
  out.begin_object();
  // A page that follows is named by its token alone.
  if (next_token.empty()) {
    write_stream(out, stream);
  } else {
    out.member("NextToken", next_token);
  }
  out.member("MaxResults", 1000).end_object();
  return body;
}

std::string shard_iterator_body(const StreamName& stream, const std::string& shard, const Resume& from) {
  std::string body;
  JsonWriter out(body);
  out.begin_object();
  write_stream(out, stream);
  out.member("ShardId", shard);
  write_position(out, from, "ShardIteratorType", "StartingSequenceNumber");
  out.end_object();
  return body;
}

void write_position(JsonWriter& out, const Resume& from, std::string_view type_key, std::string_view sequence_key) {
  switch (from.kind()) {
    case Resume::Kind::kAfter:
      out.member(type_key, "AFTER_SEQUENCE_NUMBER").member(sequence_key, from.position().text());
      return;
    case Resume::Kind::kTrimHorizon:
      out.member(type_key, "TRIM_HORIZON");
      return;
    case Resume::Kind::kLatest:
      out.member(type_key, "LATEST");
      return;
    case Resume::Kind::kAtTimestamp:
      out.member(type_key, "AT_TIMESTAMP");
      out.key("Timestamp").raw(epoch_seconds(from.time()));
      return;
    case Resume::Kind::kShardEnd:
      throw BrokenBelief("a shard that has ended is not read");
  }
}

std::string get_records_body(const StreamName& stream, const std::string& iterator, std::size_t max_records) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("ShardIterator", iterator).member("Limit", static_cast<std::int64_t>(max_records));
  if (!stream.arn.empty()) out.member("StreamARN", stream.arn);
  out.end_object();
  return body;
}

std::string describe_summary_body(const StreamName& stream) {
  std::string body;
  JsonWriter out(body);
  out.begin_object();
  write_stream(out, stream);
  out.end_object();
  return body;
}

Result<ShardsPage> read_shards(std::string_view answer) {
  const json document = json::parse(answer, nullptr, false);
  if (!document.is_object()) return wrong("no JSON object");
  const auto shards = document.find("Shards");
  if (shards == document.end() || !shards->is_array()) return wrong("no Shards");
  ShardsPage page;
  for (const json& each : *shards) {
    if (!each.is_object()) return wrong("a shard is no object");
    streams::ListedShard shard;
    shard.id = text_of(each, "ShardId");
    if (shard.id.empty()) return wrong("a shard without ShardId");
    for (const char* key : {"ParentShardId", "AdjacentParentShardId"}) {
      if (std::string parent = text_of(each, key); !parent.empty()) shard.parents.push_back(std::move(parent));
    }
    const auto range = each.find("SequenceNumberRange");
    shard.closed = range != each.end() && range->is_object() && !text_of(*range, "EndingSequenceNumber").empty();
    page.shards.push_back(std::move(shard));
    HashRange& keys = page.ranges.emplace_back();
    if (const auto given = each.find("HashKeyRange"); given != each.end() && given->is_object()) {
      if (std::string from = text_of(*given, "StartingHashKey"); !from.empty()) keys.from = std::move(from);
      if (std::string to = text_of(*given, "EndingHashKey"); !to.empty()) keys.to = std::move(to);
    }
  }
  page.next_token = text_of(document, "NextToken");
  return page;
}

Result<std::string> read_shard_iterator(std::string_view answer) {
  const json document = json::parse(answer, nullptr, false);
  std::string iterator = document.is_object() ? text_of(document, "ShardIterator") : "";
  if (iterator.empty()) return wrong("no ShardIterator");
  return iterator;
}

Result<StreamSummary> read_stream_summary(std::string_view answer) {
  const json document = json::parse(answer, nullptr, false);
  if (!document.is_object()) return wrong("no JSON object");
  const auto found = document.find("StreamDescriptionSummary");
  if (found == document.end() || !found->is_object()) return wrong("no StreamDescriptionSummary");
  StreamSummary summary;
  summary.arn = text_of(*found, "StreamARN");
  if (summary.arn.empty()) return wrong("no StreamARN");
  if (const auto created = found->find("StreamCreationTimestamp"); created != found->end() && created->is_number()) {
    const double seconds = created->get<double>();
    // Within what the calendar of weir's times has; nobody made a stream elsewhere.
    constexpr double kSecondsMax = 1e11;
    if (seconds > 0 && seconds < kSecondsMax) summary.created = from_epoch_seconds(seconds);
  }
  return summary;
}

/// The DOM's parser: unlike the other one of this library it picks the machine's instructions when it runs.
struct RecordsReader::Impl {
  dom::parser parser;
};

RecordsReader::RecordsReader() : impl_(std::make_unique<Impl>()) {}
RecordsReader::~RecordsReader() = default;

Result<streams::ReadPage> RecordsReader::read_page(std::string answer, const KinesisStream& stream,
                                                   const HashRange* split) {
  streams::ReadPage page;
  const auto owner = std::make_shared<PageBytes>();
  // Decoded, neither keys nor data take more than they do in JSON.
  owner->bytes.reserve(answer.size());
  answer.reserve(answer.size() + simdjson::SIMDJSON_PADDING);
  bool has_records = false;
  try {
    dom::element parsed;
    if (impl_->parser.parse(answer.data(), answer.size(), false).get(parsed) != simdjson::SUCCESS) {
      return wrong("it is not JSON");
    }
    const dom::object document = parsed;
    for (const dom::key_value_pair field : document) {
      if (field.key == "Records") {
        has_records = true;
        const dom::array records = field.value;
        page.records.records.reserve(records.size());
        for (const dom::element each : records) {
          add_record(page.records.records, read_record(each, owner->bytes), stream, split);
        }
      } else if (field.key == "NextShardIterator" || field.key == "ContinuationSequenceNumber") {
        if (!field.value.is_null()) page.next = std::string(std::string_view(field.value));
      } else if (field.key == "MillisBehindLatest") {
        // A day or a century: there is more. It is no use to multiply either by a million and see what comes of it.
        page.behind = std::chrono::milliseconds(std::clamp<std::int64_t>(field.value, 0, kBehindMost));
      }
    }
  } catch (const WrongForm& form) {
    return wrong(form.what);
  } catch (const simdjson::simdjson_error&) {
    return wrong("a member is of another kind than Kinesis's");
  }
  if (!has_records) return wrong("no Records");
  if (page.next && page.next->empty()) page.next.reset();
  // Where nothing comes for a while the scratch memory of a large answer would lie idle.
  if (page.records.records.empty() && impl_->parser.capacity() > kScratchKept) impl_->parser = dom::parser();
  page.records.end_of_shard = !page.next;
  page.records.owner = owner;
  return page;
}

}  // namespace weir::kinesis
