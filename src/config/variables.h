#pragma once

#include <cstddef>
#include <string_view>

namespace weir::config {

// What a function's environment variables may be, wherever they are given.

/// What they may take, as the JSON text of their mapping (Lambda quotas).
inline constexpr std::size_t kMaxEnvironmentBytes = 4096;

/// Whether Lambda sets it itself (configuration-envvars; reference invoke.md 2.2).
bool is_reserved_variable(std::string_view name);

/// AWS's pattern of a name: [a-zA-Z]([a-zA-Z0-9_])+
bool is_variable_name(std::string_view name);

}  // namespace weir::config
