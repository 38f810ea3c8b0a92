#include "connectors/s3/notification.h"

#include <array>

#include <nlohmann/json.hpp>

#include "connectors/s3/eventbridge.h"
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

/// The same members out of EventBridge's event.
void read_detail_extra(const json& detail, ObjectEvent& event) {
  std::string expiry = text_at(detail, {"restore-expiry-time"});
  if (const auto time = parse_iso(expiry)) expiry = iso_milliseconds(*time);
  const std::string restored = text_at(detail, {"source-storage-class"});
  const std::string moved = text_at(detail, {"destination-storage-class"});
  const std::string tier = text_at(detail, {"destination-access-tier"});
  json extra;
  if (!expiry.empty()) {
    event.extra_name = "glacierEventData";
    extra["restoreEventData"] = {{"lifecycleRestorationExpiryTime", expiry},
                                 {"lifecycleRestoreStorageClass", restored}};
  } else if (!moved.empty()) {
    event.extra_name = "lifecycleEventData";
    extra["transitionEventData"] = {{"destinationStorageClass", moved}};
  } else if (!tier.empty()) {
    event.extra_name = "intelligentTieringEventData";
    extra["destinationAccessTier"] = tier;
  } else {
    return;
  }
  event.extra_json = extra.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::int64_t> size_of(const json& object) {
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_integer() || size->get<std::int64_t>() < 0) return std::nullopt;
  return size->get<std::int64_t>();
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
  event.size = size_of(object);
  event.etag = unquoted(text_at(object, {"eTag"}));
  event.version_id = text_at(object, {"versionId"});
  // What MinIO calls the only version of an object in a bucket without versions; Amazon says nothing then.
  if (event.version_id == "null") event.version_id.clear();
  event.sequencer = text_at(object, {"sequencer"});
  read_extra(record, event);
  return "";
}

/// Reads EventBridge's event of an object, in the same way. Keys are not encoded there.
std::string_view read_detail(const json& envelope, WallTime now, ObjectEvent& event) {
  event.bucket = text_at(envelope, {"detail", "bucket", "name"});
  event.key = text_at(envelope, {"detail", "object", "key"});
  event.name = name_of_detail(text_at(envelope, {"detail-type"}), text_at(envelope, {"detail", "reason"}),
                              text_at(envelope, {"detail", "deletion-type"}));
  if (event.name.empty()) return "the event's detail-type is none that S3 has";
  if (event.bucket.empty()) return "the event has no detail.bucket.name";
  if (event.key.empty()) return "the event has no detail.object.key";
  if (event.key.size() > kKeyBytes) return "detail.object.key has more than 1024 bytes";
  event.time = parse_iso(text_at(envelope, {"time"})).value_or(now);
  event.region = text_at(envelope, {"region"});
  event.bucket_owner = text_at(envelope, {"account"});
  event.principal = text_at(envelope, {"detail", "requester"});
  event.source_ip = text_at(envelope, {"detail", "source-ip-address"});
  event.request_id = text_at(envelope, {"detail", "request-id"});
  const json& object = envelope["detail"]["object"];
  event.size = size_of(object);
  event.etag = unquoted(text_at(object, {"etag"}));
  event.version_id = text_at(object, {"version-id"});
  event.sequencer = text_at(object, {"sequencer"});
  read_detail_extra(envelope["detail"], event);
  return "";
}

Result<json> parse_document(std::string_view body) {
  bool too_deep = false;
  json document = json::parse(
      body,
      [&too_deep](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > kDepthMax;
        return !too_deep;
      },
      false);
  if (too_deep) return refused("the body is nested deeper than 32 levels");
  if (document.is_discarded()) return refused("the body is not JSON");
  return document;
}

constexpr int kWrapsMax = 3;  // a notification that was published, queued, and received as an event

Result<void> read_body(std::string_view body, WallTime now, int wraps, Notification& into);

/// What is not understood within is left out: what it came in would be repeated in vain.
void read_wrapped(std::string_view body, WallTime now, int wraps, Notification& into) {
  if (!read_body(body, now, wraps - 1, into))
    into.left_out.push_back({"", "", "what is wrapped is no S3 notification"});
}

void keep(ObjectEvent event, std::string_view wrong, Notification& into) {
  if (wrong.empty()) {
    into.events.push_back(std::move(event));
  } else {
    into.left_out.push_back({std::move(event.bucket), std::move(event.key), wrong});
  }
}

/// Whether the document is a wrapping; then it was read.
bool read_wrapping(const json& document, WallTime now, int wraps, Notification& into) {
  const std::string type = text_at(document, {"Type"});
  if (type == "Notification") {
    read_wrapped(text_at(document, {"Message"}), now, wraps, into);
    return true;
  }
  if (type == "SubscriptionConfirmation" || type == "UnsubscribeConfirmation") {
    into.left_out.push_back({"", "", "it is about a subscription to a topic, which nobody confirms here"});
    return true;
  }
  if (text_at(document, {"source"}) == "aws.s3") {
    ObjectEvent event;
    const std::string_view wrong = read_detail(document, now, event);
    keep(std::move(event), wrong, into);
    return true;
  }
  return false;
}

void read_any_record(const json& record, WallTime now, int wraps, Notification& into) {
  if (wraps > 0 && text_at(record, {"eventSource"}) == "aws:sqs") {
    read_wrapped(text_at(record, {"body"}), now, wraps, into);
  } else if (wraps > 0 && text_at(record, {"EventSource"}) == "aws:sns") {
    read_wrapped(text_at(record, {"Sns", "Message"}), now, wraps, into);
  } else {
    ObjectEvent event;
    const std::string_view wrong = read_record(record, now, event);
    keep(std::move(event), wrong, into);
  }
}

/// `wraps`: how many wrappings, one in the other, it may have.
Result<void> read_body(std::string_view body, WallTime now, int wraps, Notification& into) {
  const auto document = parse_document(body);
  if (!document) return document.error();
  if (text_at(*document, {"Event"}) == "s3:TestEvent") {
    into.test = true;
    return {};
  }
  if (wraps > 0 && read_wrapping(*document, now, wraps, into)) return {};
  const auto records = document->is_object() ? document->find("Records") : document->end();
  if (!document->is_object() || records == document->end() || !records->is_array() || records->empty())
    return refused("the body has no Records");
  for (const json& record : *records) read_any_record(record, now, wraps, into);
  return {};
}

}  // namespace

Result<Notification> read_notification(std::string_view body, WallTime now, Wrapping wrapping) {
  Notification notification;
  if (auto read = read_body(body, now, wrapping == Wrapping::kAny ? kWrapsMax : 0, notification); !read)
    return std::move(read.error());
  return notification;
}

}  // namespace weir::s3
