#pragma once

#include <optional>
#include <string_view>

namespace weir::pattern {

/// The value by which a JSON number is compared: its IEEE double, when the number is what that double's shortest text
/// says ("3.0e2" is 300; "9007199254740993" and "1e400" are none). Nothing for the others, which equal their own
/// spelling only. `text` is a JSON number.
std::optional<double> comparable_number(std::string_view text);

}  // namespace weir::pattern
