#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// Length of the well-formed UTF-8 sequence at the front of `bytes` (1 to 4), or 0 when there is none.
std::size_t utf8_sequence_length(std::string_view bytes);

/// Appends the letter with this number, at most 0x1FFFFF, in as many bytes as it takes. Also what no letter is: half of
/// a surrogate pair, and numbers beyond 0x10FFFF, as sources of JSON may escape or carry them; is_utf8() refuses those.
void append_utf8(std::string& out, std::uint32_t letter);

/// What fits of the text into so many bytes, without a letter that is cut.
std::string first_bytes(std::string text, std::size_t most);

}  // namespace weir
