#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

/// How deep arrays and objects may stand in each other: the limit of Jackson, with which Lambda reads payloads.
inline constexpr std::size_t kMaxJsonDepth = 1000;

/// Whether the bytes are one JSON value (RFC 8259) in well-formed UTF-8, at most kMaxJsonDepth deep. Builds nothing and
/// does not recurse: for a payload that is only passed on.
bool is_json(std::string_view bytes);

/// Why is_json() says no, in the words of Jackson 2.16, which clients of Lambda see: "Unexpected character ('}' (code
/// 125)): was expecting double-quote to start field name\n at [Source: REDACTED (...); line: 1, column: 9]". Lines end
/// with \n, \r or \r\n, columns are bytes, both from 1; the place is behind what was read last. Only for bytes that
/// is_json() refused. Holds at most 256 bytes of them, of a word that is no token.
std::string json_complaint(std::string_view bytes);

}  // namespace weir
