#pragma once

#include <string>
#include <string_view>

#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::gateway {

/// The trace that an invocation belongs to.
struct TraceHeader {
  std::string
      passed_on;         ///< "Root=1-...;Parent=...;Sampled=0", with what else the caller's had: what the function sees
  std::string answered;  ///< "root=1-...;parent=...;sampled=0"
};

/// Joins the trace of a caller's X-Amzn-Trace-Id; without one, or with one that is none, begins a trace of its own.
/// What is missing is added; Lambda, which does not trace by itself here (PassThrough), leaves sampling off.
TraceHeader join_trace(std::string_view header, WallTime now, Random& random);

}  // namespace weir::gateway
