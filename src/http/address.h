#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::http {

/// HOST:PORT, taken apart.
struct Address {
  std::string host;  ///< an IPv4 or IPv6 address, or "localhost"; IPv6 without its brackets
  std::uint16_t port = 0;

  /// "127.0.0.1:4581", "[::1]:4581".
  std::string text() const;
};

/// Reads "127.0.0.1:4581", "localhost:0" or "[::1]:4581". address.invalid says what is wrong with it.
Result<Address> parse_address(std::string_view text);

}  // namespace weir::http
