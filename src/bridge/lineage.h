#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::bridge {

// A chain of functions, topics and rules that hand on to each other, and so round in a circle, ends as in Lambda after
// about 16 passes. The passes are counted in the trace, where Lambda has its lineage too. The event of the pass that is
// one too many is kept, and ends without an invocation; what that end would hand on to a function is refused.

/// The trace header of what is invoked next in a row, with its passes counted on; nothing behind the end of the row.
std::optional<std::string> pass_on(std::string_view trace_header);

/// Whether the event with this trace header is one pass too many.
bool is_recursive(std::string_view trace_header);

/// What is said of what is refused behind the end.
std::string too_many_passes();

}  // namespace weir::bridge
