#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::kinesis {

/// A message of AWS's event stream encoding (application/vnd.amazon.eventstream).
struct StreamMessage {
  StreamMessage() = default;

  std::map<std::string, std::string, std::less<>> headers;  ///< those whose values are texts
  std::string payload;

  /// A header's value, or "".
  std::string_view header(std::string_view name) const;
};

/// Takes messages out of bytes as they come: a prelude of total length, headers' length and CRC, the headers, the
/// payload, a CRC over all of it. Pure.
/// Source: Smithy, "Amazon Event Stream Specification".
class StreamMessages {
 public:
  void add(std::string_view bytes) { buffer_.append(bytes); }
  /// The next whole message; nothing while it is not whole. source.failed: what came is none; nothing more can be read.
  Result<std::optional<StreamMessage>> next();

 private:
  std::string buffer_;
  std::size_t begin_ = 0;  ///< what is before it was taken
};

/// As zlib computes it.
std::uint32_t crc32_of(std::string_view bytes);

}  // namespace weir::kinesis
