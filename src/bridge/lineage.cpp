#include "bridge/lineage.h"

#include <algorithm>
#include <charconv>

namespace weir::bridge {
namespace {

constexpr int kMostPasses = 16;

}  // namespace

std::optional<std::string> pass_on(std::string_view trace_header) {
  constexpr std::string_view kLineage = "Lineage=1:weir:";
  std::string next(trace_header);
  int passes = 0;
  if (const std::size_t at = next.find(kLineage); at != std::string::npos) {
    const std::size_t end = std::min(next.find(';', at), next.size());
    const std::string digits = next.substr(at + kLineage.size(), end - at - kLineage.size());
    std::from_chars(digits.data(), digits.data() + digits.size(), passes);
    passes = std::clamp(passes, 0, kMostPasses);  // a caller may have written anything
    next.erase(at, end - at + 1);
    if (next.ends_with(';')) next.pop_back();
  }
  if (++passes > kMostPasses) return std::nullopt;
  return next + (next.empty() ? "" : ";") + std::string(kLineage) + std::to_string(passes);
}

std::string too_many_passes() {
  return "RecursiveInvocation: " + std::to_string(kMostPasses) +
         " functions in a row were invoked by each other's destinations";
}

}  // namespace weir::bridge
