#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "weir/base/time.h"

namespace weir {

/// A tumbling window, as an invocation sees it (reference stream-sources.md, section 8).
struct WindowCall {
  WindowCall() = default;

  WallTime start;  ///< aligned to the epoch by the window's length
  WallTime end;
  std::string state = "{}";       ///< JSON, what the invocation before returned
  bool is_final = false;          ///< isFinalInvokeForWindow: the call has no records
  bool terminated_early = false;  ///< isWindowTerminatedEarly: the state grew too large
};

/// What a window adds to an event: the members behind `Records`, from the comma on.
std::string window_members(std::string_view shard_id, std::string_view source_arn, const WindowCall& window);

}  // namespace weir
