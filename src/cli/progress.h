#pragma once

#include <map>
#include <string>

#include "bridge/bridge.h"
#include "weir/base/time.h"

namespace weir::cli {

/// One line per source at the foot of a terminal, written anew in place: records a second, in flight, IteratorAge, errors.
class Progress {
 public:
  /// `columns`: of the terminal; lines are cut there.
  explicit Progress(std::size_t columns) : columns_(columns) {}

  /// What to write to put the lines there, over the ones written before.
  std::string draw(const bridge::BridgeStatus& status, Instant now);
  /// What to write to take them away, so that a log line can stand in their place; the next draw() brings them back.
  std::string erase();

 private:
  struct Seen {
    std::uint64_t settled = 0;
    Instant at{};
    double rate = 0;
  };
  std::size_t columns_;
  std::size_t lines_ = 0;
  std::map<std::string, Seen> seen_;
};

}  // namespace weir::cli
