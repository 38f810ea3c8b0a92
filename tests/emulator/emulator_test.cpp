#include <catch2/catch.hpp>

#include "emulator/world.h"

using namespace weir;
using test::text_of;
using test::World;

TEST_CASE("a function is started for its first call and used again for the next") {
  World world;
  const Outcome first = world.invoke(R"({"n":1})");
  CHECK(text_of(first) == R"({"n":1})");
  CHECK(first.init_duration.has_value());
  CHECK(first.duration.has_value());
  const Outcome second = world.invoke(R"({"n":2})");
  CHECK(text_of(second) == R"({"n":2})");
  CHECK_FALSE(second.init_duration.has_value());
  CHECK(world.counts().cold_starts == 1);
}
