// How often a shard is read: Kinesis's limit of 5 reads a second, and what weir makes of it.
#include "streams/poll_pace.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;
using streams::PaceLimits;
using streams::PollPace;

namespace {

constexpr Instant kBegin = Instant(1h);

/// Reads, each as soon as it is due, for so long: their beginnings, in milliseconds.
std::vector<std::int64_t> read_for(PollPace& pace, Duration span, bool backlog, bool records) {
  std::vector<std::int64_t> begun;
  Instant now = std::max(kBegin, pace.due());
  while (now < kBegin + span) {
    begun.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(now - kBegin).count());
    pace.on_read(now, backlog, records);
    now = std::max(now, pace.due());
  }
  return begun;
}

}  // namespace

TEST_CASE("an idle shard is read every 200 ms") {
  PollPace pace(PaceLimits(), 1);
  CHECK(read_for(pace, 1s, false, false) == std::vector<std::int64_t>{0, 200, 400, 600, 800});
}

TEST_CASE("with more to read the next read is at once, but a second has no more than five") {
  PollPace pace(PaceLimits(), 1);
  CHECK(read_for(pace, 2s, true, true) == std::vector<std::int64_t>{0, 0, 0, 0, 0, 1000, 1000, 1000, 1000, 1000});
}

TEST_CASE("without a limit a shard is read as often as it has records, and less often when it has none") {
  PaceLimits limits;
  limits.reads_per_second = 0;
  limits.active_pause = 20ms;
  limits.idle_pause = 100ms;
  limits.active_for = 1s;
  PollPace pace(limits, 1);
  pace.on_read(kBegin, false, true);
  CHECK(pace.due() == kBegin + 20ms);
  pace.on_read(kBegin + 999ms, false, false);
  CHECK(pace.due() == kBegin + 1019ms);
  pace.on_read(kBegin + 1s, false, false);
  CHECK(pace.due() == kBegin + 1100ms);
}

TEST_CASE("throttled reads become rarer, and then as frequent as before") {
  PollPace pace(PaceLimits(), 1);
  pace.on_throttled(kBegin, kBegin);
  CHECK(pace.due() == kBegin + 400ms);
  pace.on_throttled(kBegin + 400ms, kBegin + 400ms);
  CHECK(pace.due() == kBegin + 1200ms);
  Instant now = pace.due();
  Duration last = 2s;
  for (int i = 0; i < 30; ++i) {
    pace.on_read(now, true, true);
    CHECK(pace.due() - now <= last);
    last = pace.due() - now;
    now += 200ms;
  }
  CHECK(last == 200ms);  // what five reads a second come to
}

TEST_CASE("who fails in a row waits longer, up to 5 s; one answer ends it") {
  PollPace pace(PaceLimits(), GENERATE(range(1, 20)));
  Instant now = kBegin;
  Duration ceiling = 200ms;
  for (int i = 0; i < 12; ++i) {
    pace.on_failure(now, now);
    CHECK(pace.due() - now >= ceiling / 2);
    CHECK(pace.due() - now <= ceiling);
    now = pace.due();
    ceiling = std::min<Duration>(ceiling * 2, 5s);
  }
  pace.on_read(now, false, false);
  pace.on_failure(now, now);
  CHECK(pace.due() - now <= 200ms);
}
