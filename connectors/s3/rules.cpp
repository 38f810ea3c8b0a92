#include "connectors/s3/rules.h"

#include <algorithm>
#include <array>

namespace weir::s3 {
namespace {

// Source: S3 user guide, notification-how-to-event-types-and-destinations; ObjectAnnotation from the SDK's enumeration.
constexpr std::array<std::string_view, 34> kAmazonsNames{
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectAnnotation:Delete",
    // MinIO's own families: there a wildcard can only mean MinIO's events.
    "s3:ObjectAccessed:*",
    "s3:ObjectTransition:*",
    "s3:ObjectTransition:Complete",
    "s3:ObjectTransition:Failed",
};

// Source: minio internal/event/name.go. Not among them: what has no object (buckets, the scanner).
constexpr std::array<std::string_view, 11> kMiniosNames{
    "s3:ObjectAccessed:Get",
    "s3:ObjectAccessed:Head",
    "s3:ObjectAccessed:GetRetention",
    "s3:ObjectAccessed:GetLegalHold",
    "s3:ObjectAccessed:Attributes",
    "s3:ObjectCreated:PutRetention",
    "s3:ObjectCreated:PutLegalHold",
    "s3:ObjectRemoved:NoOP",
    "s3:ObjectRemoved:DeleteAllVersions",
    "s3:Replication:OperationCompletedReplication",
    "s3:LifecycleDelMarkerExpiration:Delete",
};

bool is_minios_own(std::string_view name) {
  constexpr std::string_view kOwnFamily = "s3:ObjectAccessed:";
  return !name.starts_with(kOwnFamily) &&
         std::find(kMiniosNames.begin(), kMiniosNames.end(), name) != kMiniosNames.end();
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool looks_like_an_address(std::string_view name) {
  return std::count(name.begin(), name.end(), '.') == 3 && name.find_first_not_of("0123456789.") == name.npos;
}

}  // namespace

const std::vector<std::string_view>& event_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all(kAmazonsNames.begin(), kAmazonsNames.end());
    all.insert(all.end(), kMiniosNames.begin(), kMiniosNames.end());
    return all;
  }();
  return names;
}

std::string_view amazons_name(std::string_view name) {
  if (name == "s3:ObjectCreated:PutTagging") return "s3:ObjectTagging:Put";
  if (name == "s3:ObjectCreated:DeleteTagging") return "s3:ObjectTagging:Delete";
  return name;
}

std::string encode_key(std::string_view key) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kPlain = ".-*_/";
  std::string text;
  text.reserve(key.size());
  for (const char c : key) {
    if (is_letter_or_digit(c) || kPlain.find(c) != kPlain.npos) {
      text += c;
    } else if (c == ' ') {
      text += '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
    }
  }
  return text;
}

std::optional<std::string> decode_key(std::string_view text) {
  std::string key;
  key.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      key += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    key += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return key;
}

std::optional<std::string_view> bucket_name_mistake(std::string_view name) {
  constexpr std::array<std::string_view, 3> kReservedPrefixes{"xn--", "sthree-", "amzn-s3-demo-"};
  constexpr std::array<std::string_view, 5> kReservedSuffixes{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};
  if (name.size() < 3 || name.size() > 63) return "a bucket's name has 3 to 63 characters";
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != name.npos)
    return "a bucket's name consists of lower-case letters, digits, dots and hyphens";
  if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back()))
    return "a bucket's name begins and ends with a letter or digit";
  if (name.find("..") != name.npos) return "a bucket's name has no two dots side by side";
  if (looks_like_an_address(name)) return "a bucket's name does not look like an IP address";
  for (const std::string_view prefix : kReservedPrefixes) {
    if (name.starts_with(prefix)) return "names that begin with xn--, sthree- or amzn-s3-demo- are reserved";
  }
  for (const std::string_view suffix : kReservedSuffixes) {
    if (name.ends_with(suffix))
      return "names that end with -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3 are reserved";
  }
  return std::nullopt;
}

EventRules::EventRules(std::vector<std::string> events, std::string prefix, std::string suffix)
    : events_(std::move(events)), prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}

bool EventRules::overlaps(const EventRules& other) const {
  const std::string_view prefix = prefix_;
  const std::string_view suffix = suffix_;
  return (prefix.starts_with(other.prefix_) || other.prefix_.starts_with(prefix)) &&
         (suffix.ends_with(other.suffix_) || other.suffix_.ends_with(suffix)) && shares_event(other);
}

bool EventRules::shares_event(const EventRules& other) const {
  return std::any_of(events_.begin(), events_.end(),
                     [&](const std::string& mine) {
                       return std::any_of(other.events_.begin(), other.events_.end(),
                                          [&](const std::string& theirs) { return mine == theirs; }) ||
                              other.wants(mine);
                     }) ||
         std::any_of(other.events_.begin(), other.events_.end(),
                     [this](const std::string& theirs) { return wants(theirs); });
}

bool EventRules::wants(std::string_view name) const {
  return std::any_of(events_.begin(), events_.end(), [name](std::string_view wanted) {
    if (!wanted.ends_with(":*")) return wanted == name;
    wanted.remove_suffix(1);
    return name.starts_with(wanted) && !is_minios_own(name);
  });
}

bool EventRules::wants_key(std::string_view key) const {
  return key.starts_with(prefix_) && key.ends_with(suffix_);
}

bool EventRules::may_hold_wanted(std::string_view folder) const {
  if (folder.empty()) return true;
  const std::string begin = std::string(folder) + "/";
  return std::string_view(prefix_).starts_with(begin) || begin.starts_with(prefix_);
}

}  // namespace weir::s3
