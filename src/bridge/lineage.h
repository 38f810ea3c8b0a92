#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::bridge {

/// The trace header of what is invoked next in a row, with its passes counted on; nothing when there were too many: a
/// chain of functions, topics and rules that hand on to each other, and so round in a circle, ends as in Lambda after
/// about 16 passes. The passes are counted in the trace, where Lambda has its lineage too.
std::optional<std::string> pass_on(std::string_view trace_header);

/// What is said of what was one pass too many.
std::string too_many_passes();

}  // namespace weir::bridge
