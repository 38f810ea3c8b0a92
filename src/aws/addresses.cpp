#include "aws/addresses.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace weir::aws {
namespace {

/// The partitions' domains by how their regions begin. Source: botocore's partitions.json.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kDomains{{
    {"cn-", "amazonaws.com.cn"},
    {"us-iso-", "c2s.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov"},
    {"us-isof-", "csp.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk"},
    {"eusc-", "amazonaws.eu"},
    {"", "amazonaws.com"},
}};

/// What settings call a service: its id with underscores, which is not always the name in its addresses.
std::string setting_name(const std::string& service) {
  if (service == "streams.dynamodb") return "dynamodb_streams";
  return service == "events" ? "eventbridge" : service;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

bool is_region(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string find_region(const std::string& setting, const std::string& of_arn, const Environment& environment,
                        const AwsProfiles& profiles, const std::string& profile) {
  if (!setting.empty()) return setting;
  if (!of_arn.empty()) return of_arn;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string value = variable(environment, name); !value.empty()) return value;
  }
  return profiles.get(profile, "region").value_or("");
}

std::string service_url(std::string_view service, std::string_view region) {
  const auto domain = std::find_if(kDomains.begin(), kDomains.end(),
                                   [&](const auto& entry) { return region.starts_with(entry.first); });
  return "https://" + std::string(service) + "." + std::string(region) + "." + std::string(domain->second);
}

std::string find_service_url(const std::string& service, const std::string& region, const Environment& environment,
                             const AwsProfiles& profiles, const std::string& profile) {
  std::string ignored = variable(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
  if (ignored.empty()) ignored = profiles.get(profile, "ignore_configured_endpoint_urls").value_or("");
  if (upper(ignored) != "TRUE") {
    for (const std::string& name :
         {"AWS_ENDPOINT_URL_" + upper(setting_name(service)), std::string("AWS_ENDPOINT_URL")}) {
      if (std::string value = variable(environment, name); !value.empty()) return value;
    }
    if (const auto services = profiles.get(profile, "services")) {
      const auto section = profiles.services.find(*services);
      if (section != profiles.services.end()) {
        const auto url = section->second.find(setting_name(service) + ".endpoint_url");
        if (url != section->second.end() && !url->second.empty()) return url->second;
      }
    }
    if (auto url = profiles.get(profile, "endpoint_url"); url && !url->empty()) return *url;
  }
  return service_url(service, region);
}

}  // namespace weir::aws
