#pragma once

#include "bridge/bridge.h"
#include "http/server.h"

namespace weir::gateway {

/// What the admin address answers: GET /healthz, /readyz, /status, /metrics, /checkpoints; POST /checkpoints with
/// {"source", "shard", "position"}, where a null position forgets the checkpoint. `bridge` outlives the handler.
http::Handler admin_handler(bridge::Bridge& bridge);

}  // namespace weir::gateway
