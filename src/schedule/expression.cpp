#include "schedule/expression.h"

#include <charconv>
#include <utility>

#include "weir/base/overloaded.h"

namespace weir::schedule {
namespace {

using std::chrono::seconds;

Error refused(std::string sentence) {
  return Error(ErrorCode::kConfigInvalid, std::move(sentence));
}

/// What stands in the parentheses of NAME(...).
std::optional<std::string_view> inside(std::string_view text, std::string_view name) {
  if (!text.starts_with(name) || !text.ends_with(')') || text.size() < name.size() + 2 || text[name.size()] != '(')
    return std::nullopt;
  return text.substr(name.size() + 1, text.size() - name.size() - 2);
}

Result<seconds> read_rate(std::string_view text) {
  const auto wrong = [] {
    return refused(
        "rate() has a whole number from 1 on, one space, and minute, hour or day (with 1) or minutes, hours or days");
  };
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1) return wrong();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const bool one = number == 1;
  seconds unit{0};
  if (text == (one ? " minute" : " minutes")) unit = std::chrono::minutes(1);
  if (text == (one ? " hour" : " hours")) unit = std::chrono::hours(1);
  if (text == (one ? " day" : " days")) unit = std::chrono::days(1);
  if (unit == seconds(0)) return wrong();
  constexpr seconds kLongest = std::chrono::days(84000);  // the 230 years that cron() has
  if (number > kLongest / unit) return refused("rate() is longer than 230 years");
  return number * unit;
}

Result<LocalSeconds> read_at(std::string_view text) {
  const auto wrong = [] {
    return refused("at() has a time of the years 1970 to 2199 as 2026-11-20T13:00:00, without a zone");
  };
  // yyyy-mm-ddThh:mm:ss
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() != kShape.size()) return wrong();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == '0' ? !digit : text[i] != kShape[i]) return wrong();
  }
  const auto number = [&](std::size_t from, std::size_t length) {
    int value = 0;
    std::from_chars(text.data() + from, text.data() + from + length, value);
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  const int year = static_cast<int>(date.year());
  if (!date.ok() || year < Cron::kFirstYear || year > Cron::kLastYear || hour > 23 || minute > 59 || second > 59)
    return wrong();
  return LocalSeconds(std::chrono::local_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         seconds(second);
}

}  // namespace

std::string scheduler_refusal(std::string_view expression) {
  return "Invalid Schedule Expression " + std::string(expression) + ".";
}

Result<Expression> Expression::parse(std::string_view text, Grammar grammar) {
  if (const auto rate = inside(text, "rate")) {
    const auto period = read_rate(*rate);
    if (!period) return period.error();
    return Expression(std::string(text), *period);
  }
  if (const auto fields = inside(text, "cron")) {
    auto cron = Cron::parse(*fields);
    if (!cron) return std::move(cron.error());
    return Expression(std::string(text), std::move(*cron));
  }
  if (grammar == Grammar::kRule) {
    if (text.starts_with("at("))
      return refused("a rule has rate(...) or cron(...); at(...) is EventBridge Scheduler's");
    return refused("an expression is rate(...) or cron(...)");
  }
  if (const auto time = inside(text, "at")) {
    const auto at = read_at(*time);
    if (!at) return at.error();
    return Expression(std::string(text), *at);
  }
  return refused("an expression is rate(...), cron(...) or at(...)");
}

std::optional<UtcSeconds> Expression::next(UtcSeconds from, const TimeZone& zone, UtcSeconds anchor) const {
  return std::visit(Overloaded{[&](seconds period) -> std::optional<UtcSeconds> {
                                 if (from <= anchor) return anchor;
                                 const auto periods = (from - anchor + period - seconds(1)) / period;
                                 const UtcSeconds time = anchor + periods * period;
                                 constexpr UtcSeconds kEnd = std::chrono::sys_days(
                                     std::chrono::year(Cron::kLastYear + 1) / std::chrono::January / 1);
                                 if (time >= kEnd) return std::nullopt;
                                 return time;
                               },
                               [&](const Cron& cron) { return cron.next(from, zone); },
                               [&](LocalSeconds at) {
                                 auto time = zone.first_showing(at);
                                 if (time && *time < from) time.reset();
                                 return time;
                               }},
                    when_);
}

std::optional<UtcSeconds> Expression::previous(UtcSeconds to, UtcSeconds after, const TimeZone& zone,
                                               UtcSeconds anchor) const {
  return std::visit(Overloaded{[&](seconds period) -> std::optional<UtcSeconds> {
                                 if (to < anchor) return std::nullopt;
                                 const UtcSeconds time = anchor + (to - anchor) / period * period;
                                 if (time <= after) return std::nullopt;
                                 return time;
                               },
                               [&](const Cron& cron) { return cron.previous(to, after, zone); },
                               [&](LocalSeconds at) {
                                 auto time = zone.first_showing(at);
                                 if (time && (*time > to || *time <= after)) time.reset();
                                 return time;
                               }},
                    when_);
}

}  // namespace weir::schedule
