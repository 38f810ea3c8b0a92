#include "service/arn.h"

#include <array>

#include "weir/service.h"

namespace weir::service {

std::optional<Arn> parse_arn(std::string_view text) {
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    part = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (parts[0] != "arn" || !parts[1].starts_with("aws") || parts[2].empty() || text.empty()) return std::nullopt;
  Arn arn;
  arn.partition = parts[1];
  arn.service = parts[2];
  arn.region = parts[3];
  arn.account = parts[4];
  arn.resource = text;
  return arn;
}

std::string local_arn(std::string_view service, std::string_view resource) {
  std::string arn = "arn:aws:";
  arn.append(service).append(":").append(kLocalRegion).append(":").append(kLocalAccount).append(":");
  return arn.append(resource);
}

std::optional<std::string> local_resource(std::string_view text, std::string_view service) {
  const auto arn = parse_arn(text);
  if (!arn || arn->service != service || arn->region != kLocalRegion || arn->account != kLocalAccount) {
    return std::nullopt;
  }
  return arn->resource;
}

}  // namespace weir::service
