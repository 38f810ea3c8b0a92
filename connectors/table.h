#pragma once

#include <span>

#include "weir/connector.h"

namespace weir {

/// Every connector of this program, sorted by type.
std::span<const ConnectorEntry> connectors();

}  // namespace weir
