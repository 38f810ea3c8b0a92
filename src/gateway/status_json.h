#pragma once

#include <string>
#include <vector>

#include "bridge/bridge.h"

namespace weir::gateway {

/// Whether the functions that weir runs are held to their limits by the kernel.
struct ControlGroupStatus {
  bool known = false;   ///< one was started since weir was
  std::string missing;  ///< why there are none; "" when there are
};

/// What /status serves and `weir status --json` prints. Ages in seconds, positions as text, times ISO 8601.
std::string status_json(const bridge::BridgeStatus& status, const ControlGroupStatus& groups = ControlGroupStatus());

/// What /checkpoints serves: [{"source","shard","position","saved_at"}], position null where there is none.
std::string checkpoints_json(const std::vector<bridge::CheckpointRow>& rows);

/// What /metrics serves: the Prometheus text exposition, with the names of docs/metrics.md.
std::string metrics_text(const bridge::BridgeStatus& status);

}  // namespace weir::gateway
