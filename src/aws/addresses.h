#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"

#include "aws/profiles.h"

namespace weir::aws {

/// The region of an endpoint: the setting, the one of the ARN, AWS_REGION, AWS_DEFAULT_REGION, the profile's; "" when
/// nobody says.
std::string find_region(const std::string& setting, const std::string& of_arn, const Environment& environment,
                        const AwsProfiles& profiles, const std::string& profile);

/// Whether the text can be a region: it becomes part of a host name.
bool is_region(std::string_view text);

/// "https://lambda.eu-west-1.amazonaws.com", in the domain of the region's partition.
std::string service_url(std::string_view service, std::string_view region);

/// Where a service is: AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL, the profile's services section and endpoint_url (all
/// unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true), else AWS's own address. `service`: as it stands in addresses
/// ("lambda", "streams.dynamodb").
std::string find_service_url(const std::string& service, const std::string& region, const Environment& environment,
                             const AwsProfiles& profiles, const std::string& profile);

}  // namespace weir::aws
