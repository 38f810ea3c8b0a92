#pragma once

#include <cstddef>

#include "bridge/bridge.h"
#include "http/server.h"

namespace weir::gateway {

constexpr std::size_t kDeadLettersListed = 1000;  ///< in one page, when nobody says
constexpr std::size_t kDeadLettersListedMax = 10'000;

/// What the admin address answers:
/// - GET /healthz, /readyz, /status, /metrics
/// - GET /checkpoints; POST /checkpoints with {"source", "shard", "position"}, where a null position forgets the
///   checkpoint
/// - GET /deadletters?function=&source=&limit=&after=: one page, the oldest first, as dead_letters_json() writes it:
/// the
///   newest `limit`, or those behind the id `after`; 0 begins at the oldest. A "Link: <...>; rel="next"" says that
///   there are others behind it. GET /deadletters/ID: one with its record and payload (dead_letter_json()); GET
///   /deadletters/ID/payload: its payload's bytes
/// - POST /deadletters/redrive with {"ids": [1, 2]}, or {"all": true}, or {"function", "source"}, which also narrow the
///   others: {"redriven": 2}
/// Errors are {"code", "message"}. `bridge` outlives the handler.
http::Handler admin_handler(bridge::Bridge& bridge);

}  // namespace weir::gateway
