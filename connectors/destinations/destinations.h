#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "weir/destination.h"

/// Destinations at AWS or what stands in for it (README.md): what the table of destinations needs of them.
namespace weir::destination {

std::string check_sqs(std::string_view target, std::string_view source_type);
Result<std::unique_ptr<Destination>> make_sqs(std::string target, DestinationContext context);

std::string check_sns(std::string_view target, std::string_view source_type);
Result<std::unique_ptr<Destination>> make_sns(std::string target, DestinationContext context);

std::string check_eventbridge(std::string_view target, std::string_view source_type);
Result<std::unique_ptr<Destination>> make_eventbridge(std::string target, DestinationContext context);

std::string check_s3(std::string_view target, std::string_view source_type);
Result<std::unique_ptr<Destination>> make_s3(std::string target, DestinationContext context);

}  // namespace weir::destination
