#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weir/base/log.h"
#include "weir/base/time.h"

namespace weir::aws {

/// "Tue, 15 Nov 1994 08:12:31 GMT", as a Date header has it. Nothing if it is not that.
std::optional<WallTime> parse_http_date(std::string_view text);

/// How far AWS's clocks are from this machine's, as far as it matters: a signature made more than five minutes before
/// or after AWS's time is refused. Like the SDKs, who is refused for that goes by the time of the answer's Date.
/// One owner, not thread-safe.
class ClockSkew {
 public:
  /// `name`: of what asks, for the log, which outlives it.
  ClockSkew(std::string name, Log& log) : name_(std::move(name)), log_(log) {}

  /// What time a request is to be signed with.
  WallTime corrected(WallTime now) const { return now + offset_; }

  /// A request that was signed with the time `signed_at` was answered with that error `code` and Date at `now`. True:
  /// that time was wrong; the next one will have the right one, which is said when it was not known yet. Others that
  /// were on their way with the wrong time learn the same.
  bool learn(std::string_view code, std::optional<std::string_view> date, WallTime signed_at, WallTime now);

 private:
  std::string name_;
  Log& log_;
  Duration offset_{0};
};

}  // namespace weir::aws
