#pragma once

#include <string>
#include <string_view>

#include "pattern/pattern_set.h"

namespace weir::pattern {

/// "yes", "no", or the error's sentence.
inline std::string verdict(std::string_view pattern, std::string_view event) {
  PatternSet set;
  if (auto added = set.add(7, pattern); !added) return added.error().message();
  const auto matched = set.match(event);
  if (!matched) return matched.error().message();
  return matched->empty() ? "no" : "yes";
}

/// Of a pattern, what is behind "Reason: ", without its place; "" when it is fine.
inline std::string reason(std::string_view pattern) {
  const auto compiled = Pattern::compile(pattern, Dialect::kEventBridge);
  if (compiled) return "";
  std::string text = compiled.error().message();
  constexpr std::string_view kBeginning = "Event pattern is not valid. Reason: ";
  if (!text.starts_with(kBeginning)) return text;
  text.erase(0, kBeginning.size());
  return text.substr(0, text.find('\n'));
}

}  // namespace weir::pattern
