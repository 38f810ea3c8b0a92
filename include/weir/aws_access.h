#pragma once

#include <string>
#include <string_view>

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

/// What an ARN or a URL says of the region ("": nothing): another `region` beside it is a mistake, and it goes before
/// that of the `aws` section.
void settle_region(ConfigNode& node, AwsAccess& access, const std::string& said);

/// Whether it is the URL of a server that weir may call: http or https, a host, perhaps a port and a path; without
/// user, query and fragment.
bool is_server_url(std::string_view text);

/// An account's number.
bool is_account(std::string_view text);

/// Something of an account: `access` with the defaults in it, `account` as far as a setting says it.
struct AwsPlace {
  AwsAccess access;
  std::string account;
};
/// Whether settings alone say that two are at the same place.
bool same_place(const AwsPlace& one, const AwsPlace& other);

}  // namespace weir
