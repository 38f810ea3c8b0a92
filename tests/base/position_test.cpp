#include "weir/event/position.h"

#include <catch2/catch.hpp>

#include "support/print.h"

using weir::Position;

TEST_CASE("positions read decimal digits and print them again") {
  struct Row {
    std::string text, prints;
  };
  const auto row = GENERATE(values<Row>({
      {"0", "0"},
      {"000", "0"},
      {"17", "17"},
      {"00017", "17"},
      {"18446744073709551615", "18446744073709551615"},
      {"18446744073709551616", "18446744073709551616"},
      {"00018446744073709551616", "18446744073709551616"},
      {"49543463076570308322303623326179887152428262250726293588",
       "49543463076570308322303623326179887152428262250726293588"},
      {std::string(129, '9'), std::string(129, '9')},
  }));
  DYNAMIC_SECTION(row.text) {
    const auto position = Position::parse(row.text);
    REQUIRE(position);
    CHECK(position->text() == row.prints);
  }
}

TEST_CASE("anything else is no position") {
  for (const std::string text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "a", "1e3", "\xC2\xB2"}) {
    INFO(text);
    CHECK_FALSE(Position::parse(text));
  }
  CHECK_FALSE(Position::parse(std::string(130, '1')));
}

TEST_CASE("positions compare as numbers, whatever their length") {
  const char* ascending[] = {"0",
                             "9",
                             "10",
                             "99",
                             "100",
                             "9223372036854775808",
                             "18446744073709551615",
                             "18446744073709551616",
                             "20000000000000000000",
                             "100000000000000000000",
                             "49543463076570308322303623326179887152428262250726293588",
                             "49543463076570308322303623326179887152428262250726293589",
                             "59543463076570308322303623326179887152428262250726293588",
                             "149543463076570308322303623326179887152428262250726293588"};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t j = 0; j < std::size(ascending); ++j) {
      INFO(ascending[i] << " and " << ascending[j]);
      const Position left = Position::parse(ascending[i]).value();
      const Position right = Position::parse(ascending[j]).value();
      CHECK((left < right) == (i < j));
      CHECK((left == right) == (i == j));
    }
  }
}

TEST_CASE("a position that fits a machine word is that word") {
  CHECK(Position::parse("007") == Position(7));
  CHECK(Position(7).number() == 7);
  CHECK(Position().number() == 0);
  CHECK(Position::parse("18446744073709551615")->number() == UINT64_MAX);
  CHECK_FALSE(Position::parse("18446744073709551616")->number());
}
