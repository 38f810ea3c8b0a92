#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "weir/destination.h"

#include "aws/client.h"

namespace weir::destination {

/// Whether it is one of AWS's names of queues and topics: letters, digits, '-' and '_', at most so many.
bool is_name(std::string_view name, std::size_t most);

/// The client of a service for one destination. `arn_region`: as in aws::ClientSettings.
Result<std::unique_ptr<aws::Client>> client_for(const std::string& service, const std::string& target,
                                                const std::string& arn_region, const DestinationContext& context);

/// destination.failed with what the service says, or cancelled.
Error error_of(const aws::ServiceError& error, std::string_view doing);

}  // namespace weir::destination
