#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"

#include "lambda/remote/aws_profiles.h"

namespace weir::remote {

/// A function as a caller of Lambda names it.
struct FunctionName {
  std::string region;     ///< "" when only a name was given
  std::string function;   ///< the ARN without its qualifier, or the name
  std::string qualifier;  ///< "" when there is none
};

/// Takes "arn:aws:lambda:eu-west-1:123456789012:function:NAME:QUALIFIER" or "NAME:QUALIFIER" apart. endpoint.failed
/// says what is wrong with it.
Result<FunctionName> parse_function_name(std::string_view text);

/// The region of an endpoint: the setting, the function's own, AWS_REGION, AWS_DEFAULT_REGION, the profile's; "" when
/// nobody says.
std::string find_region(const std::string& setting, const FunctionName& function, const Environment& environment,
                        const AwsProfiles& profiles, const std::string& profile);

/// Whether the text can be a region: it becomes part of a host name.
bool is_region(std::string_view text);

/// "https://lambda.eu-west-1.amazonaws.com", in the domain of the region's partition.
std::string service_url(std::string_view service, std::string_view region);

/// Where a service is: AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL, the profile's services section and endpoint_url (all
/// unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true), else AWS's own address. `service`: "lambda" or "sts".
std::string find_service_url(const std::string& service, const std::string& region, const Environment& environment,
                             const AwsProfiles& profiles, const std::string& profile);

/// A URL taken apart as a signature needs it.
struct UrlParts {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< as the Host header has it: with the port unless it is the scheme's own
  std::string target;  ///< path and query, at least "/"
  /// The host without port and brackets.
  std::string name;
};

/// Nothing: it is no http or https URL.
std::optional<UrlParts> split_url(std::string_view url);

}  // namespace weir::remote
