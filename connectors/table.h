#pragma once

#include <span>

#include "weir/connector.h"
#include "weir/destination.h"
#include "weir/service.h"

namespace weir {

/// Every connector of this program, sorted by type.
std::span<const ConnectorEntry> connectors();

/// Every destination of this program beside files and functions, sorted by scheme.
std::span<const DestinationEntry> destinations();

/// Every AWS service that this program stands in for.
std::span<const ServiceEntry> services();

}  // namespace weir
