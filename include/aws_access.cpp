#include "weir/aws_access.h"

#include <algorithm>

namespace weir {
namespace {

bool is_http_url(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const std::string_view rest = text.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find('/'));
    return !authority.empty() && authority.front() != ':' && authority.find('@') == std::string_view::npos &&
           text.find_first_of(" \t?#") == std::string_view::npos;
  }
  return false;
}

/// What becomes part of a host name.
bool is_region(std::string_view text) {
  return text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace

AwsAccess AwsAccess::or_else(const AwsAccess& defaults) const {
  AwsAccess access = *this;
  if (access.region.empty()) access.region = defaults.region;
  if (access.endpoint_url.empty()) access.endpoint_url = defaults.endpoint_url;
  if (access.profile.empty()) access.profile = defaults.profile;
  return access;
}

AwsAccess read_aws_access(ConfigNode& node) {
  AwsAccess access;
  access.region = *node.text("region", {.about = "The region. When not given: that of the ARN, AWS_REGION, "
                                                 "AWS_DEFAULT_REGION or the profile's.",
                                        .fallback = ""});
  if (!access.region.empty() && !is_region(access.region)) node.mistake("region", "is no region, such as eu-west-1");
  access.endpoint_url =
      *node.text("endpoint_url", {.about = "Where the service is: something that stands in for it, or an address of "
                                           "one's own. When not given: AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL, "
                                           "the profile's, else AWS's own address in the region.",
                                  .fallback = ""});
  // Not shown: it may hold a password.
  if (!access.endpoint_url.empty() && !is_http_url(access.endpoint_url)) {
    node.mistake("endpoint_url",
                 "is no address of a server, such as http://127.0.0.1:4567; without user, query and "
                 "fragment");
  }
  access.profile = *node.text(
      "profile",
      {.about = "The profile of the shared AWS files; AWS_PROFILE or `default` when not given.", .fallback = ""});
  return access;
}

}  // namespace weir
