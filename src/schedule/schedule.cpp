#include "schedule/schedule.h"

#include <algorithm>
#include <cstdio>

namespace weir::schedule {
namespace {

using std::chrono::seconds;

/// "2026-03-04T05:06:00".
std::string iso_text(LocalSeconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char buffer[64];
  const int length = std::snprintf(
      buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return std::string(buffer, static_cast<std::size_t>(length));
}

}  // namespace

UtcSeconds to_seconds(WallTime time) {
  return UtcSeconds(std::chrono::floor<seconds>(time.time_since_epoch()));
}

WallTime wall_time(UtcSeconds time) {
  return WallTime(std::chrono::duration_cast<Duration>(time.time_since_epoch()));
}

std::string iso_seconds(UtcSeconds time) {
  return iso_text(LocalSeconds(time.time_since_epoch())) + "Z";
}

std::string iso_in_zone(UtcSeconds time, const TimeZone& zone) {
  const auto offset = std::chrono::duration_cast<std::chrono::minutes>(zone.offset_at(time));
  const auto size = std::chrono::abs(offset).count();
  char buffer[32];
  const int length = std::snprintf(buffer, sizeof buffer, "%c%02d:%02d", offset.count() < 0 ? '-' : '+',
                                   static_cast<int>(size / 60), static_cast<int>(size % 60));
  return iso_text(zone.local(time)) + std::string(buffer, static_cast<std::size_t>(length));
}

std::optional<UtcSeconds> Schedule::next(UtcSeconds from, UtcSeconds begun) const {
  if (expression.once()) return expression.next(from, *zone, begun);
  auto time = expression.next(start_date ? std::max(from, *start_date) : from, *zone, start_date.value_or(begun));
  if (time && end_date && *time > *end_date) time.reset();
  return time;
}

std::optional<UtcSeconds> Schedule::previous(UtcSeconds to, UtcSeconds after, UtcSeconds begun) const {
  if (expression.once()) return expression.previous(to, after, *zone, begun);
  if (start_date) after = std::max(after, *start_date - seconds(1));
  if (end_date) to = std::min(to, *end_date);
  if (to <= after) return std::nullopt;
  return expression.previous(to, after, *zone, start_date.value_or(begun));
}

}  // namespace weir::schedule
