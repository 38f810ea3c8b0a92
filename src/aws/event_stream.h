#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "weir/base/error.h"

namespace weir::aws {

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

/// Appends a message whose headers are texts; a name has at most 255 bytes, a value 65,535, the payload 16 MB, which is
/// what decoders of all SDKs take.
void append_stream_message(std::string& out,
                           std::initializer_list<std::pair<std::string_view, std::string_view>> headers,
                           std::string_view payload);

/// As zlib computes it.
std::uint32_t crc32_of(std::string_view bytes);

}  // namespace weir::aws
