#include "weir/aws_access.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace weir {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// What stands behind "http://" or "https://", in either case; nothing when neither does.
std::optional<std::string_view> behind_scheme(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.size() < scheme.size()) continue;
    const bool same = std::equal(scheme.begin(), scheme.end(), text.begin(), [](char expected, char c) {
      return expected == (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    });
    if (same) return text.substr(scheme.size());
  }
  return std::nullopt;
}

bool is_port(std::string_view text) {
  constexpr int kMost = 65'535;
  int port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  return problem == std::errc() && end == text.data() + text.size() && port >= 1 && port <= kMost;
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
  if (!access.endpoint_url.empty() && !is_server_url(access.endpoint_url)) {
    node.mistake("endpoint_url",
                 "is no address of a server, such as http://127.0.0.1:4567; without user, query and "
                 "fragment");
  }
  access.profile = *node.text(
      "profile",
      {.about = "The profile of the shared AWS files; AWS_PROFILE or `default` when not given.", .fallback = ""});
  return access;
}

void settle_region(ConfigNode& node, AwsAccess& access, const std::string& said) {
  if (said.empty()) return;
  if (!access.region.empty() && access.region != said) {
    node.mistake("region", "\"" + access.region + "\" is another region than the source's own, " + said);
  }
  access.region = said;
}

bool is_server_url(std::string_view text) {
  const auto rest = behind_scheme(text);
  if (!rest || text.find_first_of(" \t?#") != std::string_view::npos) return false;
  const std::string_view authority = rest->substr(0, rest->find('/'));
  if (authority.empty() || authority.find('@') != std::string_view::npos) return false;
  const bool bracketed = authority.front() == '[';  // an IPv6 address has colons of its own
  const std::size_t host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && (host_end == std::string_view::npos || host_end == 1)) return false;
  if (host_end == 0) return false;
  const std::string_view behind =
      host_end == std::string_view::npos ? "" : authority.substr(bracketed ? host_end + 1 : host_end);
  return behind.empty() || (behind.front() == ':' && is_port(behind.substr(1)));
}

bool is_account(std::string_view text) {
  constexpr std::size_t kDigits = 12;
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), is_digit);
}

bool same_place(const AwsPlace& one, const AwsPlace& other) {
  const auto endpoint = [](std::string_view url) { return url.substr(0, url.find_last_not_of('/') + 1); };
  if (one.access.region != other.access.region) return false;
  if (endpoint(one.access.endpoint_url) != endpoint(other.access.endpoint_url)) return false;
  if (!one.account.empty() && !other.account.empty()) return one.account == other.account;
  return one.access.profile == other.access.profile;  // which decides whose account it is
}

}  // namespace weir
