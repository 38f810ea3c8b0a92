#pragma once

#include <algorithm>
#include <cstdint>

#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::engine {

/// How long to wait after the `failures`-th failure in a row: `least`, doubled up to `most`, with up to a quarter of
/// jitter.
inline Duration growing_wait(Duration least, Duration most, int failures, Random& random) {
  Duration wait = least;
  for (int i = 1; i < failures && wait < most; ++i) wait *= 2;
  const auto jitter = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(wait.count() / 4 + 1)));
  return std::min(wait + Duration(jitter), most);
}

}  // namespace weir::engine
