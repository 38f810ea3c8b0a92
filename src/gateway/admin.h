#pragma once

#include "bridge/bridge.h"
#include "http/server.h"

namespace weir::gateway {

/// What the admin address answers:
/// - GET /healthz, /readyz, /status, /metrics
/// - GET /checkpoints; POST /checkpoints with {"source", "shard", "position"}, where a null position forgets the
///   checkpoint
/// - GET /deadletters?function=&source=&limit= (100 when not given, at most 1000000): the oldest first, as
///   dead_letters_json() writes them; GET /deadletters/ID: one with its record and payload (dead_letter_json());
///   GET /deadletters/ID/payload: its payload's bytes
/// - POST /deadletters/redrive with {"ids": [1, 2]}, or {"all": true}, or {"function", "source"}, which also narrow the
///   others: {"redriven": 2}
/// Errors are {"code", "message"}. `bridge` outlives the handler.
http::Handler admin_handler(bridge::Bridge& bridge);

}  // namespace weir::gateway
