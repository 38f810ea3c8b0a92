#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "schedule/schedule.h"

namespace weir::test {

inline std::shared_ptr<const schedule::TimeZone> zone(std::string_view name) {
  auto loaded = schedule::load_time_zone(name);
  INFO((loaded ? "" : loaded.error().describe()));
  REQUIRE(loaded.has_value());
  return *loaded;
}

inline std::string shown(std::optional<schedule::UtcSeconds> time) {
  return time ? schedule::iso_seconds(*time) : "never";
}

inline schedule::Expression expression(std::string_view text) {
  auto parsed = schedule::Expression::parse(text, schedule::Grammar::kScheduler);
  INFO(text << (parsed ? "" : ": " + parsed.error().message()));
  REQUIRE(parsed.has_value());
  return *parsed;
}

/// "2026-03-04T05:06:00Z".
inline schedule::UtcSeconds utc(std::string_view text) {
  const std::string local(text.substr(0, text.size() - 1));
  return expression("at(" + local + ")").next(schedule::UtcSeconds(), schedule::TimeZone::utc(), {}).value();
}

}  // namespace weir::test
