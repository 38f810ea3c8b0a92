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

struct RequestIds {
  std::string request_id;
  std::string host_id;
};

/// Ids of a request that nobody sent, in the shape of Amazon's: the same for the same event, so that a repeated one is
/// told by them too.
RequestIds made_up_ids(const ObjectEvent& event) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int bytes = 0;
  std::string all;
  for (const std::string* part : {&event.bucket, &event.key, &event.name, &event.version_id, &event.sequencer}) {
    all += *part;
    all += '\0';
  }
  WEIR_ASSERT(EVP_Digest(all.data(), all.size(), digest.data(), &bytes, EVP_sha512(), nullptr) == 1);
  constexpr std::size_t kRequestIdBytes = 8;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  RequestIds ids;
  for (std::size_t i = 0; i < kRequestIdBytes; ++i) ids.request_id += {kHex[digest[i] >> 4U], kHex[digest[i] & 15U]};
  append_base64(ids.host_id, std::string_view(reinterpret_cast<const char*>(digest.data()) + kRequestIdBytes,
                                              bytes - kRequestIdBytes));
  return ids;
}

void write_object(JsonWriter& json, const ObjectEvent& event) {
  const std::string_view name = event.name;
  const bool deleted = name == "s3:ObjectRemoved:Delete" || name == "s3:LifecycleExpiration:Delete";
  const bool marked = name.ends_with(":DeleteMarkerCreated");
  const bool tagged = name.starts_with("s3:ObjectTagging:");
  json.begin_object().member("key", encode_key(event.key));
  if (event.size && !deleted && !marked && !tagged) json.member("size", *event.size);
  if (marked) {
    json.member("eTag", kEmptyEtag);
  } else if (!event.etag.empty() && !deleted) {
    json.member("eTag", event.etag);
  }
  if (!event.version_id.empty()) json.member("versionId", event.version_id);
  if (!event.sequencer.empty() && !tagged) json.member("sequencer", event.sequencer);
  json.end_object();
}

}  // namespace

std::string lambda_event(const ObjectEvent& event, std::string_view configuration_id) {
  constexpr std::string_view kScheme = "s3:";
  constexpr std::string_view kNobodysAddress = "s3.amazonaws.com";  // what Amazon says when no caller did it
  WEIR_ASSERT(event.name.starts_with(kScheme));
  const RequestIds ids = event.request_id.empty() || event.host_id.empty() ? made_up_ids(event) : RequestIds{};
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
  json.member("x-amz-request-id", event.request_id.empty() ? ids.request_id : event.request_id);
  json.member("x-amz-id-2", event.host_id.empty() ? ids.host_id : event.host_id).end_object();
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
