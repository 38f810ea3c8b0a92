#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::s3 {

/// The names that `events` may have: Amazon's, with a wildcard for each family, and those of MinIO that have an object.
const std::vector<std::string_view>& event_names();

/// Amazon's name of an event. MinIO tells of tags as ObjectCreated:PutTagging and ObjectCreated:DeleteTagging; any
/// other name is returned as it is.
std::string_view amazons_name(std::string_view name);

/// A key as Amazon writes it in events and users write it in filters: a space is a plus sign, what is neither a letter,
/// a digit, nor one of . - * _ / is percent-encoded.
std::string encode_key(std::string_view key);

/// The bytes of such a text; nothing when a percent sign begins no escape.
std::optional<std::string> decode_key(std::string_view text);

/// Why a bucket may not have this name; nothing when it may. Source: S3 user guide, bucketnamingrules.
std::optional<std::string_view> bucket_name_mistake(std::string_view name);

/// Which events of which objects a source wants.
class EventRules {
 public:
  EventRules() = default;
  /// `events`: of event_names(). `prefix` and `suffix`: of keys, decoded.
  EventRules(std::vector<std::string> events, std::string prefix, std::string suffix);

  /// Whether one event could be wanted by both: they share a type of event, a key can begin with both prefixes, and one
  /// can end with both suffixes. Amazon asks no more: not whether one key can do all of it.
  /// Source: S3 user guide, notification-how-to-filtering.
  bool overlaps(const EventRules& other) const;
  /// Whether only some keys are wanted.
  bool filters_keys() const { return !prefix_.empty() || !suffix_.empty(); }

  /// `name`: as configurations have it, "s3:ObjectCreated:Put". A family's wildcard wants all of Amazon's events of
  /// that family, also those that this program has not heard of, but none of MinIO's own: they were not asked for.
  bool wants(std::string_view name) const;
  /// `key`: decoded.
  bool wants_key(std::string_view key) const;
  /// Whether a folder (its path, with no slash at its end; "" is the bucket) can hold a wanted key.
  bool may_hold_wanted(std::string_view folder) const;

 private:
  bool shares_event(const EventRules& other) const;

  std::vector<std::string> events_;
  std::string prefix_;
  std::string suffix_;
};

}  // namespace weir::s3
