#include "gateway/paths.h"

#include <algorithm>
#include <array>
#include <string>

#include "http/uri.h"

namespace weir::gateway {

std::vector<std::string_view> path_segments(std::string_view path) {
  constexpr std::size_t kMostHave = 8;
  std::vector<std::string_view> out;
  out.reserve(kMostHave);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    out.push_back(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    if (end != std::string_view::npos && path.empty()) out.emplace_back();
  }
  return out;
}

std::string segment_meaning(std::string_view segment) {
  return http::percent_decode(segment).value_or(std::string(segment));
}

bool is_api_resource(std::string_view segment) {
  // The last two are weir's own: a link to a function's code, and the address that stands for a function's URL.
  constexpr std::array kResources{"functions",
                                  "event-source-mappings",
                                  "layers",
                                  "account-settings",
                                  "tags",
                                  "code-signing-configs",
                                  "capacity-providers",
                                  "durable-executions",
                                  "durable-execution-callbacks",
                                  "lambda-code",
                                  "function-urls"};
  return std::find(kResources.begin(), kResources.end(), segment) != kResources.end();
}

bool is_api_version(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

bool is_address_or_localhost(std::string_view host) {
  if (host.starts_with('[')) return true;
  host = host.substr(0, host.find(':'));
  return host == "localhost" || (!host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_local_name(std::string_view host) {
  host = host.substr(0, host.find(':'));
  if (host.find('.') == std::string_view::npos) return true;
  constexpr std::array<std::string_view, 6> kEndings{".internal", ".local",     ".localhost",
                                                     ".test",     ".home.arpa", ".svc.cluster.local"};
  std::string lower(host);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return lower.ends_with(ending); });
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("localhost:");
}

}  // namespace weir::gateway
