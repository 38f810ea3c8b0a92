#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::service {

/// An Amazon Resource Name: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE.
struct Arn {
  std::string partition;
  std::string service;
  std::string region;    ///< "" of some services
  std::string account;   ///< "" of some services
  std::string resource;  ///< with its colons and slashes; not empty
};

/// Nothing when it is none.
std::optional<Arn> parse_arn(std::string_view text);

/// The ARN of something that weir stands in for: local_arn("sns", "orders").
std::string local_arn(std::string_view service, std::string_view resource);

/// The resource of a local ARN of that service; nothing of any other.
std::optional<std::string> local_resource(std::string_view text, std::string_view service);

}  // namespace weir::service
