#include "weir/event/cold_start.h"

namespace weir {

std::string_view text(StartReason reason) {
  switch (reason) {
    case StartReason::kFirst:
      return "first";
    case StartReason::kScaleOut:
      return "scale_out";
    case StartReason::kAfterCrash:
      return "after_crash";
    case StartReason::kAfterTimeout:
      return "after_timeout";
    case StartReason::kAfterUpdate:
      return "after_update";
    case StartReason::kProvisioned:
      return "provisioned";
  }
  return "";
}

}  // namespace weir
