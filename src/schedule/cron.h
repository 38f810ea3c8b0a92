#pragma once

#include <bitset>
#include <optional>
#include <string_view>

#include "weir/base/error.h"

#include "schedule/time_zone.h"

namespace weir::schedule {

/// The six fields of EventBridge's cron(): minutes, hours, day of month, month, day of week, year.
class Cron {
 public:
  /// `fields`: what stands between the parentheses. config.invalid with a sentence about the field that is wrong.
  static Result<Cron> parse(std::string_view fields);

  /// The first occurrence at `from` or later. A local time that is skipped has none, a repeated one its first.
  std::optional<UtcSeconds> next(UtcSeconds from, const TimeZone& zone) const;
  /// The latest occurrence after `after` and not after `to`.
  std::optional<UtcSeconds> previous(UtcSeconds to, UtcSeconds after, const TimeZone& zone) const;

  static constexpr int kFirstYear = 1970;
  static constexpr int kLastYear = 2199;

 private:
  enum class Days {
    kOfMonth,         ///< of days_
    kLastOfMonth,     ///< L
    kWeekdayNearest,  ///< 3W: day_
    kOfWeek,          ///< of days_, 1 = Sunday
    kLastOfWeek,      ///< 6L: the last such day of the month, day_
    kNthOfWeek        ///< 6#3: the third, day_ and nth_
  };

  Cron() = default;
  bool falls_on(std::chrono::year_month_day date) const;
  bool year_fits(std::chrono::year year) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<13> months_;
  std::bitset<kLastYear - kFirstYear + 1> years_;
  std::bitset<32> days_;
  Days which_ = Days::kOfMonth;
  int day_ = 0;
  int nth_ = 0;
};

}  // namespace weir::schedule
