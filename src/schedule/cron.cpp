#include "schedule/cron.h"

#include <array>
#include <charconv>
#include <span>
#include <string>
#include <vector>

namespace weir::schedule {
namespace {

using namespace std::chrono;

struct Field {
  std::string_view name;
  int min;
  int max;
  std::span<const std::string_view> words;  ///< of the values from `min` on
  bool wraps = true;
};

constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                   "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdays{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

constexpr Field kMinutes{"minutes", 0, 59, {}};
constexpr Field kHours{"hours", 0, 23, {}};
constexpr Field kDayOfMonth{"day of month", 1, 31, {}};
constexpr Field kMonth{"month", 1, 12, kMonths};
constexpr Field kDayOfWeek{"day of week", 1, 7, kWeekdays};
constexpr Field kYear{"year", Cron::kFirstYear, Cron::kLastYear, {}, false};

Error wrong(const Field& field, std::string_view text, std::string_view why) {
  return Error(ErrorCode::kConfigInvalid,
               "the field " + std::string(field.name) + " has '" + std::string(text) + "', " + std::string(why));
}
Error no_value(const Field& field, std::string_view text) {
  return wrong(
      field, text,
      "which is no value of it; they are " + std::to_string(field.min) + " to " + std::to_string(field.max) +
          (field.words.empty() ? ""
                               : " or " + std::string(field.words.front()) + " to " + std::string(field.words.back())));
}

std::optional<int> number_of(std::string_view text) {
  constexpr std::size_t kDigitsMax = 4;
  int number = 0;
  if (text.empty() || text.size() > kDigitsMax || text.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int> value_of(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.words.size(); ++i)
    if (text == field.words[i]) return field.min + static_cast<int>(i);
  const auto number = number_of(text);
  if (!number || *number < field.min || *number > field.max) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// The values of "1,5-10,20/5,*": of a list of values, ranges and steps.
Result<std::vector<int>> values_of(const Field& field, std::string_view text) {
  std::vector<int> values;
  for (const std::string_view item : split(text, ',')) {
    std::string_view range = item;
    int step = 1;
    const std::size_t slash = item.find('/');
    if (slash != std::string_view::npos) {
      range = item.substr(0, slash);
      const auto number = number_of(item.substr(slash + 1));
      if (!number || *number < 1 || *number > field.max)
        return wrong(field, item, "whose step is none; steps are 1 to " + std::to_string(field.max));
      step = *number;
    }
    int first = field.min;
    int last = field.max;
    if (range != "*") {
      const std::size_t dash = range.find('-');
      const auto from = value_of(field, range.substr(0, dash));
      if (!from) return no_value(field, item);
      first = *from;
      // "5/10" goes to the end, "5" stays where it is.
      if (slash == std::string_view::npos) last = first;
      if (dash != std::string_view::npos) {
        const auto to = value_of(field, range.substr(dash + 1));
        if (!to) return no_value(field, item);
        last = *to;
      }
      if (last < first) {
        if (!field.wraps) return wrong(field, item, "which ends before it begins");
        last += field.max - field.min + 1;
      }
    }
    const int span = field.max - field.min + 1;
    for (int value = first; value <= last; value += step) values.push_back(field.min + (value - field.min) % span);
  }
  return values;
}

template <std::size_t kSize>
Result<void> read_set(const Field& field, std::string_view text, std::bitset<kSize>& set, int offset = 0) {
  const auto values = values_of(field, text);
  if (!values) return values.error();
  for (const int value : *values) set.set(static_cast<std::size_t>(value - offset));
  return {};
}

unsigned days_in(year_month month) {
  return static_cast<unsigned>((month / last).day());
}

}  // namespace

Result<Cron> Cron::parse(std::string_view fields) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(fields, ' '))
    if (!part.empty()) parts.push_back(part);
  if (parts.size() != 6 || fields.front() == ' ' || fields.back() == ' ')
    return Error(ErrorCode::kConfigInvalid,
                 "cron() has six fields with spaces between them: minutes, hours, day of month, month, day of week, "
                 "year");
  Cron cron;
  if (auto read = read_set(kMinutes, parts[0], cron.minutes_); !read) return read.error();
  if (auto read = read_set(kHours, parts[1], cron.hours_); !read) return read.error();
  if (auto read = read_set(kMonth, parts[3], cron.months_); !read) return read.error();
  if (auto read = read_set(kYear, parts[5], cron.years_, kFirstYear); !read) return read.error();
  const std::string_view of_month = parts[2];
  const std::string_view of_week = parts[4];
  if ((of_month == "?") == (of_week == "?"))
    return Error(ErrorCode::kConfigInvalid,
                 "exactly one of the fields day of month and day of week has to be a question mark");

  if (of_week == "?") {
    if (of_month == "L") {
      cron.which_ = Days::kLastOfMonth;
    } else if (of_month.ends_with('W')) {
      const auto day = value_of(kDayOfMonth, of_month.substr(0, of_month.size() - 1));
      if (!day) return wrong(kDayOfMonth, of_month, "but W stands behind one day, 1 to 31, alone");
      cron.which_ = Days::kWeekdayNearest;
      cron.day_ = *day;
    } else if (auto read = read_set(kDayOfMonth, of_month, cron.days_); !read) {
      return read.error();
    }
    return cron;
  }
  cron.which_ = Days::kOfWeek;
  if (of_week == "L") {
    cron.days_.set(7);
  } else if (const std::size_t hash = of_week.find('#'); hash != std::string_view::npos) {
    const auto day = value_of(kDayOfWeek, of_week.substr(0, hash));
    const auto nth = number_of(of_week.substr(hash + 1));
    if (!day || !nth || *nth < 1 || *nth > 5)
      return wrong(kDayOfWeek, of_week, "but # stands once, between a day and its number in the month, 1 to 5");
    cron.which_ = Days::kNthOfWeek;
    cron.day_ = *day;
    cron.nth_ = *nth;
  } else if (of_week.ends_with('L')) {
    const auto day = value_of(kDayOfWeek, of_week.substr(0, of_week.size() - 1));
    if (!day) return wrong(kDayOfWeek, of_week, "but L stands behind one day, 1 to 7, alone");
    cron.which_ = Days::kLastOfWeek;
    cron.day_ = *day;
  } else if (auto read = read_set(kDayOfWeek, of_week, cron.days_); !read) {
    return read.error();
  }
  return cron;
}

bool Cron::year_fits(year year) const {
  const int number = static_cast<int>(year);
  return number >= kFirstYear && number <= kLastYear && years_.test(static_cast<std::size_t>(number - kFirstYear));
}

bool Cron::falls_on(year_month_day date) const {
  if (!year_fits(date.year()) || !months_.test(static_cast<unsigned>(date.month()))) return false;
  const unsigned day = static_cast<unsigned>(date.day());
  const unsigned days = days_in(date.year() / date.month());
  const unsigned weekday_number = weekday(sys_days(date)).c_encoding() + 1;  // 1 = Sunday
  switch (which_) {
    case Days::kOfMonth:
      return days_.test(day);
    case Days::kLastOfMonth:
      return day == days;
    case Days::kWeekdayNearest: {
      // Within the month: the 1st on a Saturday is kept on Monday the 3rd. A day that the month has not is not kept.
      const auto wanted = static_cast<unsigned>(day_);
      if (wanted > days) return false;
      const unsigned on = weekday(sys_days(date.year() / date.month() / wanted)).c_encoding();
      unsigned kept = wanted;
      if (on == Saturday.c_encoding()) kept = wanted == 1 ? wanted + 2 : wanted - 1;
      if (on == Sunday.c_encoding()) kept = wanted == days ? wanted - 2 : wanted + 1;
      return day == kept;
    }
    case Days::kOfWeek:
      return days_.test(weekday_number);
    case Days::kLastOfWeek:
      return weekday_number == static_cast<unsigned>(day_) && day + 7 > days;
    case Days::kNthOfWeek:
      return weekday_number == static_cast<unsigned>(day_) && (day - 1) / 7 + 1 == static_cast<unsigned>(nth_);
  }
  return false;
}

std::optional<UtcSeconds> Cron::next(UtcSeconds from, const TimeZone& zone) const {
  // What a wall clock showed before it shows this is not shown for the first time later.
  const LocalSeconds begin = zone.local(from);
  local_days day = floor<days>(begin);
  for (;;) {
    const year_month_day date(day);
    if (static_cast<int>(date.year()) > kLastYear) return std::nullopt;
    if (!year_fits(date.year())) {
      day = local_days((date.year() + years(1)) / January / 1);
      continue;
    }
    if (!months_.test(static_cast<unsigned>(date.month()))) {
      day = local_days(date.year() / date.month() / last) + days(1);
      continue;
    }
    if (falls_on(date)) {
      for (std::size_t hour = 0; hour < hours_.size(); ++hour) {
        if (!hours_.test(hour) || day + hours(hour + 1) <= begin) continue;
        for (std::size_t minute = 0; minute < minutes_.size(); ++minute) {
          const LocalSeconds time = day + hours(hour) + minutes(minute);
          if (!minutes_.test(minute) || time < begin) continue;
          const auto shown = zone.first_showing(time);
          if (shown && *shown >= from) return shown;
        }
      }
    }
    day += days(1);
  }
}

std::optional<UtcSeconds> Cron::previous(UtcSeconds to, UtcSeconds after, const TimeZone& zone) const {
  // A clock that was set back shows less now than it did before.
  const LocalSeconds end =
      std::max(zone.local(to), LocalSeconds((to + zone.offset_at(to - days(1))).time_since_epoch()));
  const LocalSeconds begin = zone.local(after);
  local_days day = floor<days>(end);
  for (;;) {
    if (day + days(1) <= begin) return std::nullopt;
    const year_month_day date(day);
    if (static_cast<int>(date.year()) < kFirstYear) return std::nullopt;
    if (!year_fits(date.year())) {
      day = local_days(date.year() / January / 1) - days(1);
      continue;
    }
    if (!months_.test(static_cast<unsigned>(date.month()))) {
      day = local_days(date.year() / date.month() / 1) - days(1);
      continue;
    }
    if (falls_on(date)) {
      for (std::size_t hour = hours_.size(); hour-- > 0;) {
        if (!hours_.test(hour) || day + hours(hour) > end) continue;
        for (std::size_t minute = minutes_.size(); minute-- > 0;) {
          const LocalSeconds time = day + hours(hour) + minutes(minute);
          if (!minutes_.test(minute) || time > end) continue;
          const auto shown = zone.first_showing(time);
          if (!shown || *shown > to) continue;
          if (*shown <= after) return std::nullopt;
          return shown;
        }
      }
    }
    day -= days(1);
  }
}

}  // namespace weir::schedule
