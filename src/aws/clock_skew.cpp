#include "aws/clock_skew.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>

namespace weir::aws {
namespace {

/// AWS allows five minutes (S3 fifteen). A difference below this one is not why a request was refused.
constexpr Duration kNoticeable = std::chrono::minutes(4);

/// Codes that speak of the time, and codes of any wrong signature, which may be wrong for the time alone: as the SDKs
/// have them.
bool may_be_of_time(std::string_view code) {
  constexpr std::array<std::string_view, 6> kCodes{"RequestTimeTooSkewed",      "RequestExpired",
                                                   "RequestInTheFuture",        "SignatureDoesNotMatch",
                                                   "InvalidSignatureException", "AuthFailure"};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

std::optional<int> number(std::string_view digits) {
  int value = 0;
  const auto [stop, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem != std::errc() || stop != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  using namespace std::chrono;
  constexpr std::string_view kForm = "Tue, 15 Nov 1994 08:12:31 GMT";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != kForm.size() || text.substr(25) != " GMT" || text[19] != ':' || text[22] != ':')
    return std::nullopt;
  const std::size_t name = kMonths.find(text.substr(8, 3));
  const auto day_of_month = number(text.substr(5, 2));
  const auto year_number = number(text.substr(12, 4));
  const auto hour = number(text.substr(17, 2));
  const auto minute = number(text.substr(20, 2));
  const auto second = number(text.substr(23, 2));
  if (name == std::string_view::npos || name % 3 != 0 || !day_of_month || !year_number || !hour || *hour > 23 ||
      !minute || *minute > 59 || !second || *second > 60) {
    return std::nullopt;
  }
  const year_month_day date{year(*year_number), month(static_cast<unsigned>(name / 3 + 1)),
                            day(static_cast<unsigned>(*day_of_month))};
  if (!date.ok()) return std::nullopt;
  // The day goes through milliseconds because the year 9999 does not fit nanoseconds.
  return from_epoch_milliseconds(milliseconds(sys_days(date).time_since_epoch()).count()) + hours(*hour) +
         minutes(*minute) + seconds(*second);
}

bool ClockSkew::learn(std::string_view code, std::optional<std::string_view> date, WallTime signed_at, WallTime now) {
  if (!date || !may_be_of_time(code)) return false;
  const auto theirs = parse_http_date(*date);
  if (!theirs) return false;
  const auto apart = [&](WallTime ours) { return *theirs - ours >= kNoticeable || ours - *theirs >= kNoticeable; };
  if (!apart(signed_at)) return false;
  if (!apart(corrected(now))) return true;  // another request has found it out
  offset_ = *theirs - now;
  const std::int64_t seconds = std::chrono::floor<std::chrono::seconds>(offset_).count();
  log_.warn("clock.corrected",
            {{"used_by", name_},
             {"seconds", seconds},
             {"message", "AWS refused a signature for its time: its clock is " +
                             std::to_string(seconds < 0 ? -seconds : seconds) + " s " +
                             (seconds < 0 ? "behind" : "ahead of") +
                             " this machine's, and requests are signed with its time from now on; set this machine's "
                             "clock"}});
  return true;
}

}  // namespace weir::aws
