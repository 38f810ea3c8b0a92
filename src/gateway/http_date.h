#pragma once

#include <string>

#include "weir/base/time.h"

namespace weir::gateway {

/// "Mon, 23 Nov 2026 08:02:26 GMT"
std::string http_date(WallTime time);

}  // namespace weir::gateway
