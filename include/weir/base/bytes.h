#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// Length of the base64 text of `bytes` bytes, padding included.
constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

/// Writes the base64 of `bytes` to `out`, which has room for base64_size(bytes.size()) characters.
void encode_base64(std::string_view bytes, char* out);

/// Appends the base64 of `bytes` (standard alphabet, padded, no line breaks).
void append_base64(std::string& out, std::string_view bytes);

/// The bytes of a base64 text, or nothing when it is none.
std::optional<std::string> decode_base64(std::string_view text);

/// Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view bytes);

}  // namespace weir
