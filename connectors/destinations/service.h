#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "weir/base/json_writer.h"
#include "weir/destination.h"

#include "aws/client.h"

namespace weir::destination {

/// Whether it is one of AWS's names of queues and topics: letters, digits, '-' and '_', at most so many.
bool is_name(std::string_view name, std::size_t most);

/// The client of a service for one destination. `arn_region`: as in aws::ClientSettings.
Result<std::unique_ptr<aws::Client>> client_for(const std::string& service, const std::string& target,
                                                const std::string& arn_region, const DestinationContext& context);

/// What the service says, as one of the errors of Destination::deliver().
Error error_of(const aws::ServiceError& error, std::string_view doing);

/// An attribute of a message in SQS's JSON protocol: {"DataType": ..., "StringValue" or "BinaryValue": ...}.
void write_attribute(std::string_view name, const MessageAttribute& attribute, JsonWriter& out);
/// Whether its value is base64 of bytes.
bool is_binary(const MessageAttribute& attribute);

}  // namespace weir::destination
