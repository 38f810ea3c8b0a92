#include "engine/retry_policy.h"

#include <algorithm>

namespace weir::engine {

Duration RetryPolicy::backoff(int failures) {
  Duration ceiling = limits_.backoff_min;
  for (int i = 1; i < failures && ceiling < limits_.backoff_max; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, limits_.backoff_max);
  // Full jitter, but never at once: a function that fails in no time must not be called in a tight loop.
  const auto floor = limits_.backoff_min / 2;
  const auto spread = std::max<std::int64_t>((ceiling - floor).count(), 1);
  return floor + Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(spread))));
}

}  // namespace weir::engine
