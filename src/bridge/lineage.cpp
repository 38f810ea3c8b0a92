#include "bridge/lineage.h"

#include <algorithm>
#include <charconv>

namespace weir::bridge {
namespace {

constexpr int kMostPasses = 16;
constexpr std::string_view kLineage = "Lineage=1:weir:";

/// Where in the header the passes stand; at its end when they do not.
struct Lineage {
  std::size_t at = 0;
  std::size_t end = 0;
  int passes = 0;
};

Lineage lineage_of(std::string_view header) {
  Lineage found{header.size(), header.size(), 0};
  if (const std::size_t at = header.find(kLineage); at != std::string_view::npos) {
    found.at = at;
    found.end = std::min(header.find(';', at), header.size());
    const std::string_view digits = header.substr(at + kLineage.size(), found.end - at - kLineage.size());
    std::from_chars(digits.data(), digits.data() + digits.size(), found.passes);
    found.passes = std::clamp(found.passes, 0, kMostPasses + 1);  // a caller may have written anything
  }
  return found;
}

}  // namespace

std::optional<std::string> pass_on(std::string_view trace_header) {
  const Lineage lineage = lineage_of(trace_header);
  if (lineage.passes > kMostPasses) return std::nullopt;
  std::string next(trace_header);
  next.erase(lineage.at, lineage.end - lineage.at + 1);
  if (next.ends_with(';')) next.pop_back();
  return next + (next.empty() ? "" : ";") + std::string(kLineage) + std::to_string(lineage.passes + 1);
}

bool is_recursive(std::string_view trace_header) {
  return lineage_of(trace_header).passes > kMostPasses;
}

std::string too_many_passes() {
  return "RecursiveInvocation: " + std::to_string(kMostPasses) +
         " functions in a row invoked each other by topics, rules and destinations";
}

}  // namespace weir::bridge
