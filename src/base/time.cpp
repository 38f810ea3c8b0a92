#include "weir/base/time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "weir/base/epoch_seconds.h"

namespace weir {

Moment SystemClock::now() const {
  return {Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())),
          WallTime(std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()))};
}

std::int64_t epoch_milliseconds(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime from_epoch_milliseconds(std::int64_t milliseconds) {
  // Saturates: a source may claim any time, and nanoseconds since 1970 end in the year 2262. Half of that (the years
  // 1824 to 2115, and some months), so that the difference of two times fits too.
  constexpr std::int64_t kMost = std::chrono::duration_cast<std::chrono::milliseconds>(Duration::max()).count() / 2;
  return WallTime(std::chrono::milliseconds(std::clamp(milliseconds, -kMost, kMost)));
}

WallTime from_epoch_seconds(double seconds) {
  if (std::isnan(seconds)) return WallTime();
  // Beyond the years that from_epoch_milliseconds() keeps, and well within what llround() can give.
  constexpr double kMost = 1e10;
  return from_epoch_milliseconds(std::llround(std::clamp(seconds, -kMost, kMost) * 1000));
}

std::string iso_milliseconds(WallTime time) {
  using namespace std::chrono;
  // Written by hand, and each second once: events, traces and logs all have times, thousands of them in a second.
  struct Written {
    seconds second = seconds::min();
    std::array<char, 24> text{};
  };
  thread_local Written last;
  const auto since = floor<milliseconds>(time.time_since_epoch());
  const auto second = floor<seconds>(since);
  const auto put = [&](std::size_t end, std::int64_t number) {
    for (; number != 0; number /= 10) last.text[--end] = static_cast<char>('0' + number % 10);
  };
  if (second != last.second) {
    constexpr std::string_view kZeros = "0000-00-00T00:00:00.000Z";
    std::copy(kZeros.begin(), kZeros.end(), last.text.begin());
    const auto day = floor<days>(since);
    const year_month_day date{sys_days(day)};
    const hh_mm_ss clock(second - day);
    put(4, static_cast<int>(date.year()));  // a WallTime ends in the year 2262, and begins in 1677
    put(7, static_cast<unsigned>(date.month()));
    put(10, static_cast<unsigned>(date.day()));
    put(13, clock.hours().count());
    put(16, clock.minutes().count());
    put(19, clock.seconds().count());
    last.second = second;
  }
  last.text[20] = last.text[21] = last.text[22] = '0';
  put(23, (since - second).count());
  return {last.text.data(), last.text.size()};
}

namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::optional<int> digits(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    int number = 0;
    for (char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return number;
  }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Digits after the decimal point, as nanoseconds; further digits are dropped.
  std::optional<Duration> fraction() {
    std::int64_t nanoseconds = 0;
    std::size_t used = 0;
    while (used < rest_.size() && rest_[used] >= '0' && rest_[used] <= '9') {
      if (used < 9) nanoseconds = nanoseconds * 10 + (rest_[used] - '0');
      ++used;
    }
    if (used == 0) return std::nullopt;
    for (std::size_t i = used; i < 9; ++i) nanoseconds *= 10;
    rest_.remove_prefix(used);
    return Duration(nanoseconds);
  }

  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace

std::optional<WallTime> parse_iso(std::string_view text) {
  using namespace std::chrono;
  Scanner scan(text);
  const auto y = scan.digits(4);
  if (!y || !scan.take('-')) return std::nullopt;
  const auto m = scan.digits(2);
  if (!m || !scan.take('-')) return std::nullopt;
  const auto d = scan.digits(2);
  if (!d || !(scan.take('T') || scan.take(' '))) return std::nullopt;
  const year_month_day date{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
  if (!date.ok()) return std::nullopt;
  const auto hour = scan.digits(2);
  if (!hour || *hour > 23 || !scan.take(':')) return std::nullopt;
  const auto minute = scan.digits(2);
  if (!minute || *minute > 59) return std::nullopt;
  Duration rest{0};
  if (scan.take(':')) {
    const auto second = scan.digits(2);
    if (!second || *second > 60) return std::nullopt;
    rest += std::chrono::seconds(*second);
    if (scan.take('.')) {
      const auto fraction = scan.fraction();
      if (!fraction) return std::nullopt;
      rest += *fraction;
    }
  }
  Duration offset{0};
  if (!scan.take('Z')) {
    const bool west = scan.take('-');
    if (!west && !scan.take('+')) return std::nullopt;
    const auto hours_off = scan.digits(2);
    scan.take(':');
    const auto minutes_off = scan.digits(2);
    if (!hours_off || !minutes_off || *hours_off > 23 || *minutes_off > 59) return std::nullopt;
    offset = hours(*hours_off) + minutes(*minutes_off);
    if (west) offset = -offset;
  }
  if (!scan.empty()) return std::nullopt;
  // The day goes through milliseconds because the year 9999 does not fit nanoseconds.
  return from_epoch_milliseconds(milliseconds(sys_days(date).time_since_epoch()).count()) + hours(*hour) +
         minutes(*minute) + rest - offset;
}

double as_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::optional<Instant> earlier(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

}  // namespace weir
