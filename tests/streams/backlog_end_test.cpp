// When the memory that a backlog took is given back.
#include "streams/backlog_end.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;
using streams::BacklogEnd;

namespace {

constexpr Instant kBegin = Instant(1h);

}  // namespace

TEST_CASE("a second after the last large read of a backlog memory is given back, once") {
  BacklogEnd end;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(end.on_read(kBegin + i * 1ms, 100'000));
  CHECK_FALSE(end.on_read(kBegin + 99ms + BacklogEnd::kQuiet - 1ns, 0));
  CHECK(end.on_read(kBegin + 99ms + BacklogEnd::kQuiet, 0));
  CHECK_FALSE(end.on_read(kBegin + 1min, 0));
}

TEST_CASE("records that trickle in behind a backlog do not put its end off") {
  BacklogEnd end;
  CHECK_FALSE(end.on_read(kBegin, BacklogEnd::kMuch));
  CHECK_FALSE(end.on_read(kBegin + 500ms, BacklogEnd::kLargeRead));
  CHECK(end.on_read(kBegin + 1s, BacklogEnd::kLargeRead));
}

TEST_CASE("another backlog ends again") {
  BacklogEnd end;
  CHECK_FALSE(end.on_read(kBegin, BacklogEnd::kMuch));
  CHECK(end.on_read(kBegin + 1s, 0));
  CHECK_FALSE(end.on_read(kBegin + 2s, BacklogEnd::kMuch));
  CHECK(end.on_read(kBegin + 3s, 0));
}

TEST_CASE("little read is nothing to give back") {
  BacklogEnd end;
  CHECK_FALSE(end.on_read(kBegin, BacklogEnd::kMuch - 1));
  CHECK_FALSE(end.on_read(kBegin + 1h, 0));
  CHECK(end.on_read(kBegin + 2h, 1));
}
