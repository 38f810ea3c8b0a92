#pragma once

#include "weir/base/time.h"

namespace weir {

/// Seconds since 1970 with a fraction, as the services' JSON has times. Whatever number it is: what is further away
/// than weir's times reach is taken for the end of them, what is no number for 1970.
WallTime from_epoch_seconds(double seconds);

}  // namespace weir
