#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "bridge/bridge.h"
#include "config/difference.h"
#include "gateway/status_json.h"
#include "http/server.h"

namespace weir::gateway {

constexpr std::size_t kDeadLettersListed = 1000;  ///< in one page, when nobody says
constexpr std::size_t kDeadLettersListedMax = 10'000;

/// What came of reading the configuration anew.
struct Reloaded {
  Reloaded() = default;

  std::vector<std::string> mistakes;  ///< "weir.yaml:14:17: ..."; when there are some, nothing has changed
  std::vector<config::Change> changes;
};
using Reload = std::function<net::awaitable<Reloaded>()>;
using ControlGroupsAsked = std::function<ControlGroupStatus()>;

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
/// - POST /reload: the configuration is read anew, {"changes": [{"path", "change", "from", "to", "restart", "text"}]},
/// where
///   "change" is added, removed or changed, "from" and "to" are null when not given or not to be shown, and "text" is
///   the line that says so; 400 with
///   {"code", "message", "mistakes"} when there are mistakes in it, which change nothing
/// Errors are {"code", "message"}. `bridge` outlives the handler. `reload`: null where nothing can be read anew.
/// `groups`: what the status says of control groups; null where no function is run.
http::Handler admin_handler(bridge::Bridge& bridge, Reload reload = nullptr, ControlGroupsAsked groups = nullptr);

}  // namespace weir::gateway
