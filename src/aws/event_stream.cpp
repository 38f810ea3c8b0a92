#include "aws/event_stream.h"

#include <array>
#include <cstdint>
#include <utility>

namespace weir::aws {
namespace {

constexpr std::size_t kPreludeBytes = 12;
constexpr std::size_t kCrcBytes = 4;
/// The specification's bounds: 128 KiB of headers, 24 MiB of payload.
constexpr std::size_t kHeadersMax = 128U << 10U;
constexpr std::size_t kMessageMax = (24U << 20U) + kHeadersMax + kPreludeBytes + kCrcBytes;
/// What was taken is dropped when there is so much of it.
constexpr std::size_t kDropBytes = 64U << 10U;

/// Types of header values.
constexpr unsigned kBytes = 6;
constexpr unsigned kText = 7;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? (value >> 1U) ^ 0xEDB88320U : value >> 1U;
    table[i] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = crc_table();

std::uint32_t number(std::string_view bytes, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return value;
}

void append_number(std::string& out, std::size_t value, std::size_t bytes) {
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes) & 0xFFU);
}

Error broken(std::string_view what) {
  return {ErrorCode::kSourceFailed, "the event stream is broken: " + std::string(what)};
}

/// Bytes of a header value of that type without a length of its own; nothing of a type that there is not.
std::optional<std::size_t> fixed_size(unsigned type) {
  constexpr std::array<std::size_t, 10> kSizes{0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  if (type >= kSizes.size()) return std::nullopt;
  return kSizes[type];
}

bool read_headers(std::string_view bytes, StreamMessage& message) {
  while (!bytes.empty()) {
    const std::size_t name_size = number(bytes, 1);
    if (name_size == 0 || bytes.size() < 1 + name_size + 1) return false;
    std::string name(bytes.substr(1, name_size));
    const unsigned type = number(bytes.substr(1 + name_size), 1);
    bytes.remove_prefix(1 + name_size + 1);
    auto size = fixed_size(type);
    if (!size) return false;
    if (type == kBytes || type == kText) {
      if (bytes.size() < 2) return false;
      size = number(bytes, 2);
      bytes.remove_prefix(2);
    }
    if (bytes.size() < *size) return false;
    if (type == kText) message.headers.insert_or_assign(std::move(name), std::string(bytes.substr(0, *size)));
    bytes.remove_prefix(*size);
  }
  return true;
}

}  // namespace

std::uint32_t crc32_of(std::string_view bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  for (const char c : bytes) value = kCrcTable[(value ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (value >> 8U);
  return value ^ 0xFFFFFFFFU;
}

std::string_view StreamMessage::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

void append_stream_message(std::string& out,
                           std::initializer_list<std::pair<std::string_view, std::string_view>> headers,
                           std::string_view payload) {
  std::size_t header_bytes = 0;
  for (const auto& [name, value] : headers) header_bytes += 1 + name.size() + 1 + 2 + value.size();
  const std::size_t begin = out.size();
  const std::size_t total = kPreludeBytes + header_bytes + payload.size() + kCrcBytes;
  out.reserve(begin + total);
  append_number(out, total, 4);
  append_number(out, header_bytes, 4);
  append_number(out, crc32_of(std::string_view(out).substr(begin)), kCrcBytes);
  for (const auto& [name, value] : headers) {
    append_number(out, name.size(), 1);
    out += name;
    out += static_cast<char>(kText);
    append_number(out, value.size(), 2);
    out += value;
  }
  out += payload;
  append_number(out, crc32_of(std::string_view(out).substr(begin)), kCrcBytes);
}

Result<std::optional<StreamMessage>> StreamMessages::next() {
  const std::string_view left = std::string_view(buffer_).substr(begin_);
  if (left.size() < kPreludeBytes) return std::optional<StreamMessage>();
  const std::size_t total = number(left, 4);
  const std::size_t header_bytes = number(left.substr(4), 4);
  // Before the lengths are believed: of a broken one, one would wait for ever.
  if (number(left.substr(8), 4) != crc32_of(left.substr(0, 8))) return broken("a prelude's checksum is wrong");
  if (total > kMessageMax || header_bytes > kHeadersMax || total < kPreludeBytes + header_bytes + kCrcBytes)
    return broken("a message's lengths are impossible");
  if (left.size() < total) return std::optional<StreamMessage>();
  const std::string_view whole = left.substr(0, total);
  if (number(whole.substr(total - kCrcBytes), 4) != crc32_of(whole.substr(0, total - kCrcBytes)))
    return broken("a message's checksum is wrong");
  StreamMessage message;
  if (!read_headers(whole.substr(kPreludeBytes, header_bytes), message)) return broken("a message's headers are wrong");
  message.payload = whole.substr(kPreludeBytes + header_bytes, total - kPreludeBytes - header_bytes - kCrcBytes);
  begin_ += total;
  if (begin_ == buffer_.size() || begin_ > kDropBytes) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return std::optional<StreamMessage>(std::move(message));
}

}  // namespace weir::aws
