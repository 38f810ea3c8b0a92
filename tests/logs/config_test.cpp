#include "connectors/logs/config.h"

#include <catch2/catch.hpp>

TEST_CASE("names of groups and streams") {
  CHECK(weir::logs::is_group_name("/aws/lambda/my-function_1.x#2"));
  CHECK_FALSE(weir::logs::is_group_name(""));
  CHECK_FALSE(weir::logs::is_group_name("a b"));
  CHECK_FALSE(weir::logs::is_group_name("a:b"));
  CHECK(weir::logs::is_group_name(std::string(512, 'a')));
  CHECK_FALSE(weir::logs::is_group_name(std::string(513, 'a')));
  CHECK(weir::logs::is_stream_name("2026/09/12/[$LATEST]abc def"));
  CHECK_FALSE(weir::logs::is_stream_name("a:b"));
  CHECK_FALSE(weir::logs::is_stream_name("a*"));
}
