#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::pattern {

/// The bytes of an address literal, 4 or 16; nothing when the text is none. As event-ruler and the Java below it read
/// them: digits with dots (leading zeros allowed, at most 15 characters) or hexadecimal digits with colons. The mixed
/// form (::ffff:1.2.3.4) is none; an IPv4 address mapped into IPv6 is that IPv4 address.
std::optional<std::string> parse_address(std::string_view text);

/// Whether the text has the form of an address, right or not.
bool looks_like_address(std::string_view text);

/// A block of addresses, or one address alone.
struct AddressBlock {
  std::string bottom;
  std::string top;

  static AddressBlock of(std::string_view address) { return {std::string(address), std::string(address)}; }
  /// As event-ruler compares: as digits from the left. So a block of IPv4 also holds the IPv6 addresses that begin with
  /// its bytes, and a block of IPv6 the IPv4 addresses that are decided by their four bytes.
  bool holds(std::string_view address) const;

  bool operator==(const AddressBlock&) const = default;
};

/// Reads "address/bits". On failure `reason` says why, in event-ruler's words.
std::optional<AddressBlock> parse_block(std::string_view text, std::string& reason);

}  // namespace weir::pattern
