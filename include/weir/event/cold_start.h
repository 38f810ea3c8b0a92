#pragma once

#include <string_view>

#include "weir/base/time.h"

namespace weir {

/// Why an execution environment was started.
enum class StartReason {
  kFirst,         ///< a call came and there was none
  kScaleOut,      ///< those that there were had calls of their own
  kAfterCrash,    ///< the process before it exited, was killed, or did not get through its initialization
  kAfterTimeout,  ///< the one before it was killed at the end of its time
  kAfterUpdate,   ///< the first one of code or settings that took the place of others
  kProvisioned,   ///< to be kept ready, before any call came
};
inline constexpr StartReason kStartReasons[]{StartReason::kFirst,       StartReason::kScaleOut,
                                             StartReason::kAfterCrash,  StartReason::kAfterTimeout,
                                             StartReason::kAfterUpdate, StartReason::kProvisioned};
/// "first", "scale_out", "after_crash", "after_timeout", "after_update", "provisioned".
std::string_view text(StartReason reason);

/// One start of an execution environment.
struct ColdStart {
  StartReason reason{};
  bool initialized = false;  ///< it got as far as asking for its first invocation
  Duration init{0};          ///< how long that took, or until it failed
};

}  // namespace weir
