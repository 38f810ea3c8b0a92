#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/time.h"

namespace weir::s3 {

/// Something that happened to an object. Empty texts are what is not known; lambda_event() settles what an event of its
/// kind has and has not.
struct ObjectEvent {
  std::string name;  ///< as configurations have it: "s3:ObjectCreated:Put"
  WallTime time;
  std::string region;
  std::string principal;  ///< who did it
  std::string source_ip;
  std::string request_id;  ///< of the request that did it; made up when empty, the same for the same event
  std::string host_id;
  std::string bucket;
  std::string bucket_owner;
  std::string key;  ///< decoded: any bytes
  std::optional<std::int64_t> size;
  std::string etag;  ///< without quotes
  std::string version_id;
  std::string sequencer;
  /// What only some kinds of events have, beside `s3`: a member's name and its JSON.
  std::string extra_name;
  std::string extra_json;
};

/// Lambda's event of it: {"Records":[one]}. The order of members is that of Amazon's events.
/// Sources: S3 user guide, notification-content-structure; what is absent when: recorded events
/// (localstack test_s3_notifications_sqs.snapshot.json).
std::string lambda_event(const ObjectEvent& event, std::string_view configuration_id);

/// What an event of its kind says of its object; empty is what it does not say.
struct ObjectFacts {
  std::optional<std::int64_t> size;
  std::string_view etag, sequencer;
};
/// They live as long as `event`.
ObjectFacts facts_of(const ObjectEvent& event);

/// Of the request that did it; one is made up where none is known.
std::string request_id_of(const ObjectEvent& event);

/// The same bytes for the same event, of which ids of what nobody gave one are made.
std::array<unsigned char, 64> digest_of(const ObjectEvent& event);

/// The eTag of an object with no bytes.
inline constexpr std::string_view kEmptyEtag = "d41d8cd98f00b204e9800998ecf8427e";

}  // namespace weir::s3
