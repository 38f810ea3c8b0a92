#pragma once

#include <cstddef>
#include <string_view>

namespace weir {

/// Length of the well-formed UTF-8 sequence at the front of `bytes` (1 to 4), or 0 when there is none.
std::size_t utf8_sequence_length(std::string_view bytes);

}  // namespace weir
