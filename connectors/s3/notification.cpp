#include "connectors/s3/notification.h"

#include <array>

#include <nlohmann/json.hpp>

#include "connectors/s3/rules.h"

namespace weir::s3 {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 32;            // Amazon's events have 5; what goes deeper is written by nobody
constexpr std::size_t kKeyBytes = 1024;  // S3's limit

Error refused(std::string why) {
  return Error(ErrorCode::kEventRefused, std::move(why));
}

/// The text at a path; "" when there is none.
std::string text_at(const json& value, std::initializer_list<const char*> path) {
  const json* at = &value;
  for (const char* name : path) {
    if (!at->is_object()) return "";
    const auto found = at->find(name);
    if (found == at->end()) return "";
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : "";
}

/// Members that belong to one kind of event each.
void read_extra(const json& record, ObjectEvent& event) {
  constexpr std::array<std::string_view, 4> kExtras{"glacierEventData", "replicationEventData",
                                                    "intelligentTieringEventData", "lifecycleEventData"};
  for (const std::string_view name : kExtras) {
    const auto found = record.find(name);
    if (found == record.end() || !found->is_object()) continue;
    event.extra_name = name;
    event.extra_json = found->dump(-1, ' ', false, json::error_handler_t::replace);
    return;
  }
}

std::string unquoted(std::string etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

/// Reads one record into `event`. Gives what is wrong with it; "" when nothing is.
std::string_view read_record(const json& record, WallTime now, ObjectEvent& event) {
  if (!record.is_object()) return "the record is no object";
  event.bucket = text_at(record, {"s3", "bucket", "name"});
  event.key = text_at(record, {"s3", "object", "key"});
  event.name = text_at(record, {"eventName"});
  if (event.name.empty()) return "the record has no eventName";
  if (!event.name.starts_with("s3:")) event.name.insert(0, "s3:");
  event.name = amazons_name(event.name);
  if (event.bucket.empty()) return "the record has no s3.bucket.name";
  if (event.key.empty()) return "the record has no s3.object.key";
  const bool minio = text_at(record, {"eventSource"}) == "minio:s3";
  // s3rver, whose version is MinIO's, writes keys as they are.
  if (minio || text_at(record, {"eventVersion"}) != "2.0") {
    auto decoded = decode_key(event.key);
    if (!decoded) return "s3.object.key is not form-urlencoded";
    event.key = std::move(*decoded);
  }
  if (event.key.size() > kKeyBytes) return "s3.object.key has more than 1024 bytes";

  event.time = parse_iso(text_at(record, {"eventTime"})).value_or(now);
  event.region = text_at(record, {"awsRegion"});
  event.principal = text_at(record, {"userIdentity", "principalId"});
  event.source_ip = text_at(record, {"requestParameters", "sourceIPAddress"});
  // Node says of a caller by IPv4 that it came by IPv6.
  constexpr std::string_view kMapped = "::ffff:";
  if (event.source_ip.starts_with(kMapped)) event.source_ip.erase(0, kMapped.size());
  event.request_id = text_at(record, {"responseElements", "x-amz-request-id"});
  event.host_id = text_at(record, {"responseElements", "x-amz-id-2"});
  event.bucket_owner = text_at(record, {"s3", "bucket", "ownerIdentity", "principalId"});
  const json& object = record["s3"]["object"];
  if (const auto size = object.find("size");
      size != object.end() && size->is_number_integer() && size->get<std::int64_t>() >= 0)
    event.size = size->get<std::int64_t>();
  event.etag = unquoted(text_at(object, {"eTag"}));
  event.version_id = text_at(object, {"versionId"});
  // What MinIO calls the only version of an object in a bucket without versions; Amazon says nothing then.
  if (event.version_id == "null") event.version_id.clear();
  event.sequencer = text_at(object, {"sequencer"});
  read_extra(record, event);
  return "";
}

}  // namespace

Result<Notification> read_notification(std::string_view body, WallTime now) {
  bool too_deep = false;
  const json document = json::parse(
      body,
      [&too_deep](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > kDepthMax;
        return !too_deep;
      },
      false);
  if (too_deep) return refused("the body is nested deeper than 32 levels");
  if (document.is_discarded()) return refused("the body is not JSON");
  Notification notification;
  if (text_at(document, {"Event"}) == "s3:TestEvent") {
    notification.test = true;
    return notification;
  }
  const auto records = document.is_object() ? document.find("Records") : document.end();
  if (!document.is_object() || records == document.end() || !records->is_array() || records->empty())
    return refused("the body has no Records");
  for (const json& record : *records) {
    ObjectEvent event;
    if (const std::string_view wrong = read_record(record, now, event); wrong.empty()) {
      notification.events.push_back(std::move(event));
    } else {
      notification.left_out.push_back({std::move(event.bucket), std::move(event.key), wrong});
    }
  }
  return notification;
}

}  // namespace weir::s3
