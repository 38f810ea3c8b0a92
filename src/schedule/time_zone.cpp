#include "schedule/time_zone.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <utility>

namespace weir::schedule {
namespace {

using std::chrono::seconds;

constexpr std::size_t kHeaderBytes = 44;
constexpr std::size_t kNameMax = 50;
constexpr std::streamoff kFileMax = 1 << 20;  // the largest of tzdata has 4 KiB

/// What follows a header, by the numbers in it.
struct Counts {
  std::size_t ut, standard, leap, time, type, letters;

  std::size_t body_bytes(std::size_t time_bytes) const {
    return time * time_bytes + time + type * 6 + letters + leap * (time_bytes + 4) + standard + ut;
  }
};

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

std::optional<Counts> read_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with("TZif")) return std::nullopt;
  const auto count = [&](std::size_t index) {
    return static_cast<std::size_t>(big_endian(bytes.substr(20 + 4 * index, 4)));
  };
  return Counts{count(0), count(1), count(2), count(3), count(4), count(5)};
}

/// Takes "5", "+05:30", "-3", "26:00:00": hours with a sign, minutes, seconds.
std::optional<seconds> take_time(std::string_view& text) {
  int sign = 1;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  int total = 0;
  for (const int unit : {3600, 60, 1}) {
    if (unit != 3600) {
      if (text.empty() || text.front() != ':') break;
      text.remove_prefix(1);
    }
    int number = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (wrong != std::errc() || number < 0 || number > (unit == 3600 ? 167 : 59)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    total += number * unit;
  }
  return seconds(sign * total);
}

/// Takes "CET" or "<+0330>".
bool take_abbreviation(std::string_view& text) {
  if (text.starts_with('<')) {
    const std::size_t end = text.find('>');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
    return true;
  }
  std::size_t length = 0;
  while (length < text.size() &&
         ((text[length] >= 'A' && text[length] <= 'Z') || (text[length] >= 'a' && text[length] <= 'z')))
    ++length;
  text.remove_prefix(length);
  return length >= 3;
}

/// "M3.5.0" has three numbers, "J60" and "59" have one.
std::vector<int> numbers(std::string_view text) {
  std::vector<int> found;
  for (;;) {
    int number = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (wrong != std::errc() || number < 0) return {};
    found.push_back(number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return found;
    if (text.front() != '.') return {};
    text.remove_prefix(1);
  }
}

std::chrono::year year_of(UtcSeconds time) {
  return std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year();
}

Error no_zone(const std::string& name, std::string_view why) {
  return Error(ErrorCode::kConfigInvalid, "the time zone '" + name + "' " + std::string(why));
}

}  // namespace

TimeZone TimeZone::utc() {
  TimeZone zone;
  zone.name_ = "UTC";
  return zone;
}

Result<TimeZone> TimeZone::read(std::string name, std::string_view tzif) {
  const auto broken = [&] { return no_zone(name, "has a file that is no TZif file"); };
  auto counts = read_header(tzif);
  if (!counts) return broken();
  std::size_t time_bytes = 4;
  if (tzif[4] >= '2') {
    // Since version 2 the same comes again behind the old form, with times of 64 bits, then the rule.
    const std::size_t first = kHeaderBytes + counts->body_bytes(4);
    if (first > tzif.size()) return broken();
    tzif.remove_prefix(first);
    counts = read_header(tzif);
    if (!counts) return broken();
    time_bytes = 8;
  }
  const std::size_t body = counts->body_bytes(time_bytes);
  if (counts->type == 0 || kHeaderBytes + body > tzif.size()) return broken();
  const std::string_view times = tzif.substr(kHeaderBytes, counts->time * time_bytes);
  const std::string_view indexes = tzif.substr(kHeaderBytes + times.size(), counts->time);
  const std::string_view types = tzif.substr(kHeaderBytes + times.size() + indexes.size(), counts->type * 6);
  const auto offset_of = [&](std::size_t type) {
    return seconds(static_cast<std::int32_t>(big_endian(types.substr(type * 6, 4))));
  };

  TimeZone zone;
  zone.first_offset_ = offset_of(0);
  for (std::size_t i = 0; i < counts->time; ++i) {
    const std::uint64_t bits = big_endian(times.substr(i * time_bytes, time_bytes));
    const std::int64_t at =
        time_bytes == 8 ? static_cast<std::int64_t>(bits) : static_cast<std::int32_t>(static_cast<std::uint32_t>(bits));
    const auto type = static_cast<unsigned char>(indexes[i]);
    if (type >= counts->type) return broken();
    const UtcSeconds when{seconds(at)};
    if (!zone.changes_.empty() && zone.changes_.back().at >= when) return broken();
    zone.changes_.push_back({when, offset_of(type)});
  }
  std::string_view rule = tzif.substr(kHeaderBytes + body);
  if (rule.size() > 2 && rule.front() == '\n' && rule.back() == '\n') {
    rule = rule.substr(1, rule.size() - 2);
    zone.rule_ = read_rule(rule);
    if (!zone.rule_) return broken();
  }
  zone.name_ = std::move(name);
  return zone;
}

std::optional<TimeZone::Rule> TimeZone::read_rule(std::string_view text) {
  Rule rule;
  // POSIX counts offsets to the west.
  if (!take_abbreviation(text)) return std::nullopt;
  const auto standard = take_time(text);
  if (!standard) return std::nullopt;
  rule.standard = -*standard;
  if (text.empty()) return rule;
  if (!take_abbreviation(text)) return std::nullopt;
  rule.saving = rule.standard + std::chrono::hours(1);
  if (!text.empty() && text.front() != ',') {
    const auto saving = take_time(text);
    if (!saving) return std::nullopt;
    rule.saving = -*saving;
  }
  const std::size_t comma = text.find(',', 1);
  if (!text.starts_with(',') || comma == std::string_view::npos) return std::nullopt;
  const auto begin = read_rule_date(text.substr(1, comma - 1));
  const auto end = read_rule_date(text.substr(comma + 1));
  if (!begin || !end) return std::nullopt;
  rule.dates.emplace(*begin, *end);
  return rule;
}

std::optional<TimeZone::RuleDate> TimeZone::read_rule_date(std::string_view text) {
  RuleDate date;
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    std::string_view rest = text.substr(slash + 1);
    const auto time = take_time(rest);
    if (!time || !rest.empty()) return std::nullopt;
    date.time = *time;
    text = text.substr(0, slash);
  }
  if (text.starts_with('M')) {
    const std::vector<int> parts = numbers(text.substr(1));
    if (parts.size() != 3 || parts[0] < 1 || parts[0] > 12 || parts[1] < 1 || parts[1] > 5 || parts[2] > 6)
      return std::nullopt;
    date.month = parts[0];
    date.week = parts[1];
    date.day = parts[2];
    return date;
  }
  const bool julian = text.starts_with('J');
  date.kind = julian ? RuleDate::Kind::kJulian : RuleDate::Kind::kDayOfYear;
  const std::vector<int> parts = numbers(julian ? text.substr(1) : text);
  if (parts.size() != 1 || parts[0] > 365 || (julian && parts[0] < 1)) return std::nullopt;
  date.day = parts[0];
  return date;
}

LocalSeconds TimeZone::date_in(std::chrono::year year, const RuleDate& date) {
  using namespace std::chrono;
  local_days day(year / January / 1);
  switch (date.kind) {
    case RuleDate::Kind::kDayOfYear:
      day += days(date.day);
      break;
    case RuleDate::Kind::kJulian:
      // Counts no 29th of February.
      day += days(date.day - 1 + (year.is_leap() && date.day >= 60 ? 1 : 0));
      break;
    case RuleDate::Kind::kWeekday: {
      const month in{static_cast<unsigned>(date.month)};
      const weekday on{static_cast<unsigned>(date.day)};
      day = date.week == 5 ? local_days(year / in / on[last])
                           : local_days(year / in / on[static_cast<unsigned>(date.week)]);
      break;
    }
  }
  return LocalSeconds(day) + date.time;
}

std::vector<TimeZone::Change> TimeZone::rule_changes(std::chrono::year year) const {
  std::vector<Change> changes;
  if (!rule_ || !rule_->dates) return changes;
  const auto& [begin, end] = *rule_->dates;
  // A date in the southern hemisphere's autumn or at the turn of a year may belong to a neighbouring year.
  for (const std::chrono::year each : {year - std::chrono::years(1), year, year + std::chrono::years(1)}) {
    changes.push_back({UtcSeconds(date_in(each, begin).time_since_epoch() - rule_->standard), rule_->saving});
    changes.push_back({UtcSeconds(date_in(each, end).time_since_epoch() - rule_->saving), rule_->standard});
  }
  // Where saving ends at the very second it begins anew it never ends: the beginning counts, so it comes behind.
  std::stable_sort(changes.begin(), changes.end(), [&](const Change& a, const Change& b) {
    return std::pair(a.at, a.offset == rule_->saving) < std::pair(b.at, b.offset == rule_->saving);
  });
  return changes;
}

seconds TimeZone::offset_at(UtcSeconds time) const {
  const auto behind = [](const std::vector<Change>& changes, UtcSeconds at) {
    return std::upper_bound(changes.begin(), changes.end(), at,
                            [](UtcSeconds a, const Change& change) { return a < change.at; });
  };
  const bool by_rule = rule_ && (changes_.empty() || time >= changes_.back().at);
  if (by_rule) {
    if (!rule_->dates) return rule_->standard;
    const std::vector<Change> changes = rule_changes(year_of(time));
    // A year before this time there was one.
    return std::prev(behind(changes, time))->offset;
  }
  const auto next = behind(changes_, time);
  return next == changes_.begin() ? first_offset_ : std::prev(next)->offset;
}

std::vector<seconds> TimeZone::offsets_near(LocalSeconds time) const {
  // Offsets are less than 26 hours.
  const UtcSeconds middle(time.time_since_epoch());
  const UtcSeconds from = middle - std::chrono::hours(26);
  const UtcSeconds to = middle + std::chrono::hours(26);
  std::vector<seconds> offsets{offset_at(from), offset_at(to)};
  const auto add = [&](const std::vector<Change>& changes) {
    const auto first = std::lower_bound(changes.begin(), changes.end(), from,
                                        [](const Change& change, UtcSeconds at) { return change.at < at; });
    for (auto change = first; change != changes.end() && change->at <= to; ++change) offsets.push_back(change->offset);
  };
  add(changes_);
  if (rule_) add(rule_changes(year_of(middle)));
  return offsets;
}

std::optional<UtcSeconds> TimeZone::first_showing(LocalSeconds time) const {
  std::optional<UtcSeconds> first;
  for (const seconds offset : offsets_near(time)) {
    const UtcSeconds candidate(time.time_since_epoch() - offset);
    if (offset_at(candidate) == offset && (!first || candidate < *first)) first = candidate;
  }
  return first;
}

bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name.front() == '/' || name.back() == '/') return false;
  const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
           c == '-' || c == '/';
  });
  // "right/..." counts leap seconds, which no clock of a computer does.
  return letters && name.find("//") == std::string_view::npos && !name.starts_with("right/") &&
         !name.starts_with("posix/") && name != "localtime" && name != "posixrules";
}

Result<std::shared_ptr<const TimeZone>> load_time_zone(std::string_view name, const std::string& folder) {
  if (name == "UTC") return std::make_shared<const TimeZone>(TimeZone::utc());
  const std::string text(name);
  if (!is_zone_name(name)) return no_zone(text, "is no name of the IANA database, such as Europe/Berlin");
  std::ifstream file(folder + "/" + text, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0 || size > kFileMax)
    return no_zone(text, "is not in " + folder + " (the package tzdata); names are like Europe/Berlin");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    return no_zone(text, "is not in " + folder + " (the package tzdata); names are like Europe/Berlin");
  auto zone = TimeZone::read(text, bytes);
  if (!zone) return std::move(zone.error());
  return std::make_shared<const TimeZone>(std::move(*zone));
}

}  // namespace weir::schedule
