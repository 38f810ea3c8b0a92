#include "schedule/time_zone.h"

#include <cstdlib>
#include <ctime>
#include <fstream>

#include "weir/base/random.h"

#include "schedule/zones.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::schedule;
using test::utc;
using test::zone;

namespace {

/// The C library's answer, which reads the same files by other code.
class LibraryZone {
 public:
  explicit LibraryZone(const std::string& name) {
    if (const char* former = std::getenv("TZ")) former_ = former;
    setenv("TZ", (":" + name).c_str(), 1);
    tzset();
  }
  ~LibraryZone() {
    if (former_)
      setenv("TZ", former_->c_str(), 1);
    else
      unsetenv("TZ");
    tzset();
  }
  long offset_at(UtcSeconds time) const {
    const std::time_t number = time.time_since_epoch().count();
    std::tm parts{};
    localtime_r(&number, &parts);
    return parts.tm_gmtoff;
  }

 private:
  std::optional<std::string> former_;
};

std::string first_showing(const TimeZone& zone, std::string_view local) {
  const auto as_utc = utc(std::string(local) + "Z");
  return test::shown(zone.first_showing(LocalSeconds(as_utc.time_since_epoch())));
}

}  // namespace

TEST_CASE("offsets are the C library's, by the files and by the rule behind them") {
  const auto name = GENERATE(as<std::string>(), "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                             "America/Nuuk", "Africa/Casablanca", "Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin",
                             "America/Santiago", "Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Etc/GMT+5",
                             "EST5EDT", "Asia/Gaza", "Antarctica/Troll");
  INFO(name);
  const auto ours = zone(name);
  const LibraryZone theirs(name);
  Random random(7);
  for (int i = 0; i < 4000; ++i) {
    const UtcSeconds time(std::chrono::seconds(static_cast<std::int64_t>(random.below(7'258'118'400))));  // until 2200
    INFO(iso_seconds(time));
    REQUIRE(ours->offset_at(time).count() == theirs.offset_at(time));
  }
}

TEST_CASE("the seconds around a change") {
  struct Row {
    std::string_view zone, before, after;
    int offset_before, offset_after;  // minutes
  };
  const auto row = GENERATE(values<Row>({
      {"Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", 60, 120},
      {"Europe/Berlin", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", 120, 60},
      {"America/New_York", "2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z", -300, -240},
      {"America/New_York", "2026-11-01T05:59:59Z", "2026-11-01T06:00:00Z", -240, -300},
      {"Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-04T15:00:00Z", 660, 630},
      {"Australia/Lord_Howe", "2026-10-03T15:29:59Z", "2026-10-03T15:30:00Z", 630, 660},
      {"Europe/Berlin", "2050-03-27T00:59:59Z", "2050-03-27T01:00:00Z", 60, 120},
  }));
  const auto place = zone(row.zone);
  CHECK(place->offset_at(utc(row.before)) == std::chrono::minutes(row.offset_before));
  CHECK(place->offset_at(utc(row.after)) == std::chrono::minutes(row.offset_after));
}

TEST_CASE("when a wall clock shows a time for the first time") {
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-07-01T12:00:00") == "2026-07-01T10:00:00Z");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-03-29T01:59:59") == "2026-03-29T00:59:59Z");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-03-29T02:00:00") == "never");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-03-29T02:59:59") == "never");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-03-29T03:00:00") == "2026-03-29T01:00:00Z");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-10-25T02:30:00") == "2026-10-25T00:30:00Z");
  CHECK(first_showing(*zone("Europe/Berlin"), "2026-10-25T03:00:00") == "2026-10-25T02:00:00Z");
  CHECK(first_showing(*zone("Europe/Berlin"), "2050-03-27T02:30:00") == "never");
  CHECK(first_showing(*zone("Australia/Lord_Howe"), "2026-04-05T01:45:00") == "2026-04-04T14:45:00Z");
  CHECK(first_showing(*zone("Australia/Lord_Howe"), "2026-10-04T02:15:00") == "never");
  CHECK(first_showing(*zone("Pacific/Apia"), "2011-12-30T12:00:00") == "never");  // a day that was left out
  CHECK(first_showing(TimeZone::utc(), "2026-03-29T02:30:00") == "2026-03-29T02:30:00Z");
}

TEST_CASE("what is no zone is refused") {
  for (const char* name : {"", "/etc/passwd", "../../../etc/passwd", "Europe/../../passwd", "Europe", "Europe/Atlantis",
                           "right/UTC", "posix/UTC", "localtime", "a b", "zone.tab", "tzdata.zi"})
    CHECK_FALSE(load_time_zone(name).has_value());
  CHECK(load_time_zone("Europe/Atlantis").error().message() ==
        "the time zone 'Europe/Atlantis' is not in /usr/share/zoneinfo (the package tzdata); names are like "
        "Europe/Berlin");
  CHECK(is_zone_name(std::string(50, 'a')));
  CHECK_FALSE(is_zone_name(std::string(51, 'a')));
}

TEST_CASE("a broken file is refused, wherever it breaks off") {
  std::ifstream file("/usr/share/zoneinfo/Europe/Berlin", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  REQUIRE(TimeZone::read("x", whole).has_value());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto read = TimeZone::read("x", std::string_view(whole).substr(0, length));
    // Without its rule a file is whole, too; a piece of a rule is none.
    if (read) CHECK(length + 40 > whole.size());
  }
  Random random(3);
  for (int i = 0; i < 5000; ++i) {
    std::string spoilt = whole;
    for (int j = 0; j < 8; ++j) spoilt[random.below(spoilt.size())] = static_cast<char>(random.below(256));
    if (const auto read = TimeZone::read("x", spoilt)) {
      read->offset_at(utc("2026-07-01T00:00:00Z"));
      read->first_showing(LocalSeconds(utc("2090-07-01T00:00:00Z").time_since_epoch()));
    }
  }
}

TEST_CASE("the system without tzdata has UTC") {
  const test::TemporaryFolder empty;
  CHECK(load_time_zone("UTC", empty.path()).has_value());
  CHECK_FALSE(load_time_zone("Europe/Berlin", empty.path()).has_value());
}
