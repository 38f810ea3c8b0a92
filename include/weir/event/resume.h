#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weir/base/time.h"
#include "weir/event/position.h"

namespace weir {

/// Where reading of a shard goes on: what a checkpoint says, and what `weir checkpoint set` may say.
class Resume {
 public:
  enum class Kind {
    kAfter,        ///< behind this record
    kTrimHorizon,  ///< at the oldest record there is
    kLatest,       ///< behind the newest record there is when reading begins
    kAtTimestamp,  ///< at the first record that came at this time or later
    kShardEnd,     ///< nowhere: the shard is closed and all of it is done
  };

  static Resume after(Position position);
  static Resume trim_horizon() { return Resume(Kind::kTrimHorizon); }
  static Resume latest() { return Resume(Kind::kLatest); }
  static Resume at_timestamp(WallTime time);
  static Resume shard_end() { return Resume(Kind::kShardEnd); }

  /// Reads what text() gives; a time may also be epoch seconds or ISO 8601 with less behind the point, as in
  /// "AT_TIMESTAMP 1760000000". Nothing if it is anything else.
  static std::optional<Resume> parse(std::string_view text);
  /// "1041", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP 2026-09-12T07:00:00.000Z", "SHARD_END".
  std::string text() const;

  Kind kind() const { return kind_; }
  const Position& position() const { return position_; }  ///< of kAfter
  WallTime time() const { return time_; }                 ///< of kAtTimestamp

  bool operator==(const Resume& other) const = default;

 private:
  explicit Resume(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kTrimHorizon;
  Position position_;
  WallTime time_{};
};

}  // namespace weir
