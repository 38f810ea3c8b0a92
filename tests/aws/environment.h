#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "aws/profiles.h"

namespace weir::test {

/// An environment that has these variables and no others.
inline aws::Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

}  // namespace weir::test
