#include "connectors/s3/eventbridge.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "weir/aws_access.h"
#include "weir/base/error.h"
#include "weir/base/json_writer.h"
#include "weir/service.h"

namespace weir::s3 {
namespace {

using nlohmann::json;

constexpr std::string_view kServiceItself = "s3.amazonaws.com";  // who did what no caller did
constexpr std::string_view kPermanent = "Permanently Deleted";
constexpr std::string_view kMarker = "Delete Marker Created";
constexpr std::string_view kLifecycle = "Lifecycle Expiration";

struct Kind {
  std::string_view name, detail_type;
  std::string_view reason = "", deletion_type = "";
};

constexpr std::array kKinds{
    Kind{"s3:ObjectCreated:Put", "Object Created", "PutObject"},
    Kind{"s3:ObjectCreated:Post", "Object Created", "POST Object"},
    Kind{"s3:ObjectCreated:Copy", "Object Created", "CopyObject"},
    Kind{"s3:ObjectCreated:CompleteMultipartUpload", "Object Created", "CompleteMultipartUpload"},
    Kind{"s3:ObjectRemoved:Delete", "Object Deleted", "DeleteObject", kPermanent},
    Kind{"s3:ObjectRemoved:DeleteMarkerCreated", "Object Deleted", "DeleteObject", kMarker},
    Kind{"s3:LifecycleExpiration:Delete", "Object Deleted", kLifecycle, kPermanent},
    Kind{"s3:LifecycleExpiration:DeleteMarkerCreated", "Object Deleted", kLifecycle, kMarker},
    Kind{"s3:ObjectRestore:Post", "Object Restore Initiated"},
    Kind{"s3:ObjectRestore:Completed", "Object Restore Completed"},
    Kind{"s3:ObjectRestore:Delete", "Object Restore Expired"},
    Kind{"s3:LifecycleTransition", "Object Storage Class Changed"},
    Kind{"s3:IntelligentTiering", "Object Access Tier Changed"},
    Kind{"s3:ObjectTagging:Put", "Object Tags Added"},
    Kind{"s3:ObjectTagging:Delete", "Object Tags Deleted"},
    Kind{"s3:ObjectAcl:Put", "Object ACL Updated"},
};

const Kind* kind_of(std::string_view name) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [name](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : &*found;
}

std::string iso_seconds(WallTime time) {
  constexpr std::size_t kUpToSeconds = 19;  // of 2026-03-04T05:06:07.089Z
  return iso_milliseconds(time).substr(0, kUpToSeconds) + "Z";
}

/// Version 4 by its shape, though it is made of what the event is.
std::string made_up_id(const ObjectEvent& event) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::size_t kBytes = 16;
  auto digest = digest_of(event);
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0FU) | 0x40U);
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3FU) | 0x80U);
  std::string id;
  for (std::size_t i = 0; i < kBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += {kHex[digest[i] >> 4U], kHex[digest[i] & 15U]};
  }
  return id;
}

/// What the members that belong to one kind of event are called here.
void write_extra(JsonWriter& out, const ObjectEvent& event) {
  struct Member {
    std::string_view of, path, name;
  };
  constexpr std::array kMembers{
      Member{"glacierEventData", "/restoreEventData/lifecycleRestorationExpiryTime", "restore-expiry-time"},
      Member{"glacierEventData", "/restoreEventData/lifecycleRestoreStorageClass", "source-storage-class"},
      Member{"lifecycleEventData", "/transitionEventData/destinationStorageClass", "destination-storage-class"},
      Member{"intelligentTieringEventData", "/destinationAccessTier", "destination-access-tier"},
  };
  if (event.extra_name.empty()) return;
  const json extra = json::parse(event.extra_json, nullptr, false);
  for (const Member& member : kMembers) {
    const json::json_pointer path{std::string(member.path)};
    if (event.extra_name != member.of || !extra.contains(path)) continue;
    const json& value = extra.at(path);
    if (!value.is_string()) continue;
    const std::string text = value.get<std::string>();
    const auto time = parse_iso(text);
    out.member(member.name, time ? iso_seconds(*time) : text);
  }
}

}  // namespace

bool goes_to_eventbridge(std::string_view name) {
  if (!name.ends_with('*')) return kind_of(name) != nullptr;
  const std::string_view family = name.substr(0, name.size() - 1);
  return std::any_of(kKinds.begin(), kKinds.end(),
                     [family](const Kind& kind) { return kind.name.starts_with(family); });
}

std::string_view name_of_detail(std::string_view detail_type, std::string_view reason, std::string_view deletion_type) {
  const Kind* near = nullptr;
  for (const Kind& kind : kKinds) {
    if (kind.detail_type != detail_type) continue;
    if (kind.reason == reason && kind.deletion_type == deletion_type) return kind.name;
    if (near == nullptr || (kind.reason == reason && near->reason != reason)) near = &kind;
  }
  return near == nullptr ? "" : near->name;
}

std::string eventbridge_event(const ObjectEvent& event) {
  const Kind* kind = kind_of(event.name);
  WEIR_ASSERT(kind != nullptr);
  const bool by_service = event.source_ip.empty() || event.source_ip == kServiceItself;
  const std::string_view account =
      is_account(event.bucket_owner) ? std::string_view(event.bucket_owner) : kLocalAccount;
  std::string_view requester = is_account(event.principal) ? std::string_view(event.principal) : account;
  if (by_service) requester = kServiceItself;
  const ObjectFacts facts = facts_of(event);

  std::string out;
  JsonWriter json(out);
  json.begin_object().member("version", "0").member("id", made_up_id(event)).member("detail-type", kind->detail_type);
  json.member("source", "aws.s3").member("account", account).member("time", iso_seconds(event.time));
  json.member("region", event.region);
  json.key("resources").begin_array().value("arn:aws:s3:::" + event.bucket).end_array();
  json.key("detail").begin_object().member("version", "0");
  json.key("bucket").begin_object().member("name", event.bucket).end_object();
  json.key("object").begin_object().member("key", event.key);
  if (facts.size) json.member("size", *facts.size);
  if (!facts.etag.empty()) json.member("etag", facts.etag);
  if (!event.version_id.empty()) json.member("version-id", event.version_id);
  if (!facts.sequencer.empty()) json.member("sequencer", facts.sequencer);
  json.end_object();
  json.member("request-id", request_id_of(event)).member("requester", requester);
  if (!by_service) json.member("source-ip-address", event.source_ip);
  if (!kind->reason.empty()) json.member("reason", kind->reason);
  if (!kind->deletion_type.empty()) json.member("deletion-type", kind->deletion_type);
  write_extra(json, event);
  json.end_object().end_object();
  return out;
}

}  // namespace weir::s3
