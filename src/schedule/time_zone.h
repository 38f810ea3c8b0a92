#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/error.h"

namespace weir::schedule {

/// Times of this module are whole seconds: of the world, and as a clock on a wall of some zone shows them.
using UtcSeconds = std::chrono::sys_seconds;
using LocalSeconds = std::chrono::local_seconds;

/// What a wall clock of one place shows, for every second of the world. Immutable; shared by whoever needs it.
///
/// A reader of our own: Debian's libhowardhinnant-date-dev 3.0.1 ignores the rule behind the last listed transition, so
/// that from 2038 on it knows no daylight saving. Formats: RFC 8536 (TZif), POSIX (TZ) for the rule.
class TimeZone {
 public:
  static TimeZone utc();
  /// Of a TZif file's bytes, version 1 to 4. config.invalid when they are none.
  static Result<TimeZone> read(std::string name, std::string_view tzif);

  const std::string& name() const { return name_; }
  std::chrono::seconds offset_at(UtcSeconds time) const;  ///< east of Greenwich
  LocalSeconds local(UtcSeconds time) const { return LocalSeconds((time + offset_at(time)).time_since_epoch()); }
  /// When a wall clock shows this for the first time (a repeated hour has each of its times twice); nothing for a time
  /// that is skipped.
  std::optional<UtcSeconds> first_showing(LocalSeconds time) const;

 private:
  /// From this second on.
  struct Change {
    UtcSeconds at;
    std::chrono::seconds offset;
  };
  /// When in a year daylight saving begins or ends, by the wall clock before.
  struct RuleDate {
    enum class Kind { kJulian, kDayOfYear, kWeekday } kind = Kind::kWeekday;
    int day = 0;  ///< of the year, or 0 = Sunday to 6
    int week = 0;
    int month = 0;
    std::chrono::seconds time{7200};
  };
  struct Rule {
    std::chrono::seconds standard{0};
    std::chrono::seconds saving{0};
    std::optional<std::pair<RuleDate, RuleDate>> dates;  ///< of the beginning and the end; none: no daylight saving
  };

  TimeZone() = default;
  static std::optional<Rule> read_rule(std::string_view text);
  static std::optional<RuleDate> read_rule_date(std::string_view text);
  static LocalSeconds date_in(std::chrono::year year, const RuleDate& date);
  std::vector<Change> rule_changes(std::chrono::year year) const;
  /// Every offset that holds at some second of the two days around a local time.
  std::vector<std::chrono::seconds> offsets_near(LocalSeconds time) const;

  std::string name_;
  std::chrono::seconds first_offset_{0};  ///< before the first change
  std::vector<Change> changes_;           ///< ascending
  std::optional<Rule> rule_;              ///< behind the last change
};

/// Whether a text can be an IANA name at all: no path that leads elsewhere, at most 50 characters (AWS's limit).
bool is_zone_name(std::string_view name);

/// The zone of an IANA name ("Europe/Berlin"), from the system's files; UTC needs none. config.invalid with a sentence
/// when there is no such zone.
Result<std::shared_ptr<const TimeZone>> load_time_zone(std::string_view name,
                                                       const std::string& folder = "/usr/share/zoneinfo");

}  // namespace weir::schedule
