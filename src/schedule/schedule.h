#pragma once

#include <memory>
#include <optional>
#include <string>

#include "weir/base/time.h"

#include "schedule/expression.h"
#include "schedule/time_zone.h"

namespace weir::schedule {

/// Whole seconds; what is behind the last of them is dropped.
UtcSeconds to_seconds(WallTime time);
/// Of the years that an expression has.
WallTime wall_time(UtcSeconds time);
/// "2026-03-04T05:06:00Z".
std::string iso_seconds(UtcSeconds time);
/// "2026-03-04T06:06:00+01:00".
std::string iso_in_zone(UtcSeconds time, const TimeZone& zone);

/// An expression in a place, between two dates.
struct Schedule {
  Expression expression;
  std::shared_ptr<const TimeZone> zone;
  std::optional<UtcSeconds> start_date;  ///< where a rate() begins, too
  std::optional<UtcSeconds> end_date;    ///< the last second of it

  /// The first occurrence at `from` or later. `begun`: what a rate() without a start date is counted from.
  std::optional<UtcSeconds> next(UtcSeconds from, UtcSeconds begun) const;
  /// The latest occurrence after `after` and not after `to`.
  std::optional<UtcSeconds> previous(UtcSeconds to, UtcSeconds after, UtcSeconds begun) const;
};

}  // namespace weir::schedule
