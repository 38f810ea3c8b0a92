#pragma once

#include <memory>

#include "bridge/bridge.h"
#include "gateway/gateway.h"

namespace weir::gateway {

/// The functions and webhooks of a bridge, which outlives them.
std::unique_ptr<Functions> functions_of(bridge::Bridge& bridge);

}  // namespace weir::gateway
