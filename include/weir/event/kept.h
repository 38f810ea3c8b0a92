#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "weir/base/time.h"

namespace weir {

/// An event that a service keeps to be read again: of an archive, or of a log group.
struct KeptEvent {
  KeptEvent() = default;

  std::string log;       ///< which one of the service's: "archive/NAME", "group/NAME"
  WallTime at;           ///< what it is found by
  std::uint64_t id = 0;  ///< given by the store, growing; events of one time are in its order
  std::string event;     ///< its bytes, the service's own format
};

/// Which events of one log are wanted: those behind (`from`, `after`) and in front of (`to`, `before`), by time and id.
struct KeptRange {
  KeptRange() = default;
  KeptRange(std::string which, std::size_t most) : log(std::move(which)), limit(most) {}

  std::string log;
  WallTime from = WallTime::min();
  std::uint64_t after = 0;  ///< of the time `from` only ids above
  WallTime to = WallTime::max();
  std::uint64_t before = 0;  ///< of the time `to` only ids below: 0 is none of them
  bool newest_first = false;
  std::size_t limit = 0;
  std::size_t bytes_max = 1'048'576;  ///< of all texts together; one event is given however large it is
};

/// The first events of a range, in its order.
struct KeptPage {
  KeptPage() = default;

  std::vector<KeptEvent> events;
  bool more = false;  ///< whether the range has more than these
};

}  // namespace weir
