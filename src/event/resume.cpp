#include "weir/event/resume.h"

#include <charconv>

#include "weir/base/epoch_seconds.h"

namespace weir {
namespace {

constexpr std::string_view kAtTimestampPrefix = "AT_TIMESTAMP ";

/// Epoch seconds, possibly with a fraction, as AWS has them, or ISO 8601.
std::optional<WallTime> parse_time(std::string_view text) {
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, seconds);
  if (problem == std::errc() && stop == end) {
    if (!(seconds >= 0 && seconds <= 9e9)) return std::nullopt;
    return from_epoch_seconds(seconds);
  }
  return parse_iso(text);
}

}  // namespace

Resume Resume::after(Position position) {
  Resume made(Kind::kAfter);
  made.position_ = std::move(position);
  return made;
}

Resume Resume::at_timestamp(WallTime time) {
  Resume made(Kind::kAtTimestamp);
  made.time_ = time;
  return made;
}

std::optional<Resume> Resume::parse(std::string_view text) {
  if (text == "TRIM_HORIZON") return trim_horizon();
  if (text == "LATEST") return latest();
  if (text == "SHARD_END") return shard_end();
  if (text.starts_with(kAtTimestampPrefix)) {
    const auto time = parse_time(text.substr(kAtTimestampPrefix.size()));
    if (!time) return std::nullopt;
    return at_timestamp(*time);
  }
  auto position = Position::parse(text);
  if (!position) return std::nullopt;
  return after(std::move(*position));
}

std::string Resume::text() const {
  switch (kind_) {
    case Kind::kAfter:
      return position_.text();
    case Kind::kTrimHorizon:
      return "TRIM_HORIZON";
    case Kind::kLatest:
      return "LATEST";
    case Kind::kAtTimestamp:
      return std::string(kAtTimestampPrefix) + iso_milliseconds(time_);
    case Kind::kShardEnd:
      return "SHARD_END";
  }
  return "";
}

}  // namespace weir
