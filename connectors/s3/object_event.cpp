#include "connectors/s3/object_event.h"

#include <array>

#include <openssl/evp.h>

#include "weir/base/bytes.h"
#include "weir/base/error.h"
#include "weir/base/json_writer.h"

#include "connectors/s3/rules.h"

namespace weir::s3 {
namespace {

std::string_view version_of(std::string_view name) {
  constexpr std::array<std::string_view, 7> kThird{
      "s3:LifecycleExpiration:", "s3:LifecycleTransition", "s3:IntelligentTiering",   "s3:ObjectAcl:",
      "s3:ObjectTagging:",       "s3:ObjectAnnotation:",   "s3:ObjectRestore:Delete",
  };
  if (name.starts_with("s3:Replication:")) return "2.2";
  for (const std::string_view third : kThird) {
    if (name.starts_with(third)) return "2.3";
  }
  return "2.1";
}

constexpr std::size_t kRequestIdBytes = 8;

/// In the shape of Amazon's.
std::string made_up_request_id(const ObjectEvent& event) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  const auto digest = digest_of(event);
  std::string id;
  for (std::size_t i = 0; i < kRequestIdBytes; ++i) id += {kHex[digest[i] >> 4U], kHex[digest[i] & 15U]};
  return id;
}

std::string made_up_host_id(const ObjectEvent& event) {
  const auto digest = digest_of(event);
  std::string id;
  append_base64(id,
                std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()).substr(kRequestIdBytes));
  return id;
}

void write_object(JsonWriter& json, const ObjectEvent& event) {
  const ObjectFacts facts = facts_of(event);
  json.begin_object().member("key", encode_key(event.key));
  if (facts.size) json.member("size", *facts.size);
  if (!facts.etag.empty()) json.member("eTag", facts.etag);
  if (!event.version_id.empty()) json.member("versionId", event.version_id);
  if (!facts.sequencer.empty()) json.member("sequencer", facts.sequencer);
  json.end_object();
}

}  // namespace

ObjectFacts facts_of(const ObjectEvent& event) {
  const std::string_view name = event.name;
  const bool deleted = name == "s3:ObjectRemoved:Delete" || name == "s3:LifecycleExpiration:Delete";
  const bool marked = name.ends_with(":DeleteMarkerCreated");
  const bool tagged = name.starts_with("s3:ObjectTagging:");
  ObjectFacts facts;
  if (!deleted && !marked && !tagged) facts.size = event.size;
  if (!deleted) facts.etag = marked ? kEmptyEtag : std::string_view(event.etag);
  if (!tagged) facts.sequencer = event.sequencer;
  return facts;
}

std::string request_id_of(const ObjectEvent& event) {
  return event.request_id.empty() ? made_up_request_id(event) : event.request_id;
}

std::array<unsigned char, 64> digest_of(const ObjectEvent& event) {
  std::array<unsigned char, 64> digest{};
  unsigned int bytes = 0;
  std::string all;
  for (const std::string* part : {&event.bucket, &event.key, &event.name, &event.version_id, &event.sequencer}) {
    all += *part;
    all += '\0';
  }
  WEIR_ASSERT(EVP_Digest(all.data(), all.size(), digest.data(), &bytes, EVP_sha512(), nullptr) == 1);
  WEIR_ASSERT(bytes == digest.size());
  return digest;
}

std::string lambda_event(const ObjectEvent& event, std::string_view configuration_id) {
  constexpr std::string_view kScheme = "s3:";
  constexpr std::string_view kNobodysAddress = "s3.amazonaws.com";  // what Amazon says when no caller did it
  WEIR_ASSERT(event.name.starts_with(kScheme));
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("Records").begin_array().begin_object();
  json.member("eventVersion", version_of(event.name)).member("eventSource", "aws:s3");
  json.member("awsRegion", event.region).member("eventTime", iso_milliseconds(event.time));
  json.member("eventName", std::string_view(event.name).substr(kScheme.size()));
  json.key("userIdentity").begin_object().member("principalId", event.principal).end_object();
  json.key("requestParameters")
      .begin_object()
      .member("sourceIPAddress", event.source_ip.empty() ? kNobodysAddress : std::string_view(event.source_ip))
      .end_object();
  json.key("responseElements").begin_object();
  json.member("x-amz-request-id", request_id_of(event));
  json.member("x-amz-id-2", event.host_id.empty() ? made_up_host_id(event) : event.host_id).end_object();
  json.key("s3").begin_object();
  json.member("s3SchemaVersion", "1.0").member("configurationId", configuration_id);
  json.key("bucket").begin_object().member("name", event.bucket);
  json.key("ownerIdentity").begin_object().member("principalId", event.bucket_owner).end_object();
  json.member("arn", "arn:aws:s3:::" + event.bucket).end_object();
  json.key("object");
  write_object(json, event);
  json.end_object();
  if (!event.extra_name.empty()) json.key(event.extra_name).raw(event.extra_json);
  json.end_object().end_array().end_object();
  return out;
}

}  // namespace weir::s3
