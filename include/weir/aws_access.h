#pragma once

#include <string>

#include "weir/config_node.h"

namespace weir {

/// Where AWS is, or what stands in for it, and who asks. An empty setting is the next one's business: of a source or a
/// function, the configuration's `aws` section, the environment (AWS_REGION, AWS_ENDPOINT_URL_SERVICE,
/// AWS_ENDPOINT_URL, AWS_PROFILE), the profile.
struct AwsAccess {
  AwsAccess() = default;

  std::string region;
  std::string endpoint_url;
  std::string profile;

  /// These settings, and where they are empty those of `defaults`.
  AwsAccess or_else(const AwsAccess& defaults) const;
};

/// Reads `region`, `endpoint_url` and `profile`.
AwsAccess read_aws_access(ConfigNode& node);

}  // namespace weir
