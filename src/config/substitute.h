#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"

namespace weir::config {

/// A value of the file with its variables replaced.
struct Substitution {
  std::string text;
  bool replaced = false;  ///< a ${...} stood in it, so what it is (number, text) is told by who asks for it
  /// Name and value of each variable that was set; a value may be a secret and is never shown.
  std::vector<std::pair<std::string, std::string>> variables;
  std::optional<std::string> mistake;  ///< a sentence; the text is not to be used then
};

/// Replaces ${NAME} and ${NAME:-default} (the default holds when the variable is not set or empty); `$${` is a literal
/// `${`.
Substitution substitute(std::string_view written, const EnvironmentLookup& environment);

}  // namespace weir::config
