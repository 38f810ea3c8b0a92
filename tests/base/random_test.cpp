#include "weir/base/random.h"

#include <set>

#include <catch2/catch.hpp>

using weir::Random;

TEST_CASE("equal seeds give equal sequences, on every machine") {
  // Source: the reference implementation of SplitMix64, seed 1234567
  Random random(1234567);
  CHECK(random.next() == 6457827717110365317U);
  CHECK(random.next() == 3203168211198807973U);
  CHECK(random.next() == 9817491932198370423U);
}

TEST_CASE("numbers stay below their bound") {
  Random random(3);
  CHECK(random.below(0) == 0);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  CHECK(seen == std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6});
  for (int i = 0; i < 1000; ++i) {
    const double unit = random.unit();
    REQUIRE(unit >= 0.0);
    REQUIRE(unit < 1.0);
  }
  CHECK_FALSE(random.chance(0.0));
  CHECK(random.chance(1.0));
}

TEST_CASE("equal seeds give equal uuids") {
  Random random(1234567);
  CHECK(random.uuid() == "58cf80bf-710d-4e99-95af-04585480f37c");
  CHECK(random.uuid() == "77c72f3a-5ecb-4e38-8f3b-7719e047febf");
}

TEST_CASE("a uuid has the shape of version 4, and none comes twice") {
  Random random(4);
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::string uuid = random.uuid();
    REQUIRE(uuid.size() == 36);
    for (std::size_t at = 0; at < uuid.size(); ++at) {
      INFO(uuid);
      if (at == 8 || at == 13 || at == 18 || at == 23) {
        REQUIRE(uuid[at] == '-');
      } else {
        REQUIRE(std::string_view("0123456789abcdef").find(uuid[at]) != std::string_view::npos);
      }
    }
    REQUIRE(uuid[14] == '4');
    REQUIRE(std::string_view("89ab").find(uuid[19]) != std::string_view::npos);
    seen.insert(uuid);
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("the system gives another seed each time") {
  CHECK(weir::seed_from_system() != weir::seed_from_system());
}
