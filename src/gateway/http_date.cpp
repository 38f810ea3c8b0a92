#include "gateway/http_date.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace weir::gateway {

std::string http_date(WallTime time) {
  using namespace std::chrono;
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto since = floor<seconds>(time.time_since_epoch());
  const sys_days day{floor<days>(since)};
  const year_month_day date{day};
  const hh_mm_ss clock(since - day.time_since_epoch());
  std::array<char, 64> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[weekday{day}.c_encoding()],
                    static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                    static_cast<int>(date.year()), static_cast<int>(clock.hours().count()),
                    static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace weir::gateway
