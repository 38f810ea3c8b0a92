#pragma once

#include <map>
#include <string>

#include "weir/base/time.h"

#include "bridge/bridge.h"

namespace weir::cli {

/// One line per source: records a second, in flight, IteratorAge, errors; on a terminal written anew in place.
class Progress {
 public:
  /// `columns`: of the terminal; lines are cut there.
  explicit Progress(std::size_t columns) : columns_(columns) {}

  /// The lines, as they stand at `now`.
  std::string draw(const bridge::BridgeStatus& status, Instant now);
  /// What takes the lines drawn last off a terminal, so that something else can stand in their place.
  std::string erase();

 private:
  struct Seen {
    std::uint64_t done = 0;
    Instant at{};
    double rate = 0;
  };
  std::size_t columns_;
  std::size_t lines_ = 0;
  std::map<std::string, Seen> seen_;
};

}  // namespace weir::cli
