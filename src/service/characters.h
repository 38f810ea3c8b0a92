#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::service {

/// How many characters a text in UTF-8 has, as Java counts them: AWS's limits of lengths are characters, not bytes.
/// What is beyond Unicode's first plane counts for one here.
std::size_t characters(std::string_view text);

/// A value as a sentence about it shows it: what is longer than 256 bytes ends there, not within a character, in "...".
std::string shown(std::string_view value);

}  // namespace weir::service
