#include "connectors/logs/batch.h"

#include <array>

#include <zlib.h>

#include "weir/base/bytes.h"
#include "weir/base/error.h"
#include "weir/base/json_writer.h"
#include "weir/service.h"

namespace weir::logs {

std::string event_id(std::int64_t timestamp, std::uint64_t stream, std::uint64_t number) {
  // Limbs of 32 bits, the lowest first: the number, the stream in 80 bits, the time.
  const auto time = static_cast<std::uint64_t>(timestamp);
  std::array<std::uint32_t, 7> limbs{static_cast<std::uint32_t>(number),
                                     static_cast<std::uint32_t>(number >> 32U),
                                     static_cast<std::uint32_t>(stream),
                                     static_cast<std::uint32_t>(stream >> 32U),
                                     static_cast<std::uint32_t>((time & 0xFFFFU) << 16U),
                                     static_cast<std::uint32_t>(time >> 16U),
                                     static_cast<std::uint32_t>(time >> 48U)};
  constexpr std::size_t kDigits = 56;
  std::string digits(kDigits, '0');
  for (std::size_t i = kDigits; i > 0; --i) {
    std::uint64_t rest = 0;
    for (std::size_t limb = limbs.size(); limb > 0; --limb) {
      const std::uint64_t value = rest << 32U | limbs[limb - 1];
      limbs[limb - 1] = static_cast<std::uint32_t>(value / 10);
      rest = value % 10;
    }
    digits[i - 1] = static_cast<char>('0' + rest);
  }
  return digits;
}

/// FNV-1a.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string data_message(const Origin& origin, const std::vector<LogEvent>& events) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("messageType", "DATA_MESSAGE").member("owner", kLocalAccount);
  json.member("logGroup", origin.group).member("logStream", origin.stream);
  json.key("subscriptionFilters").begin_array().value(origin.filter).end_array();
  json.key("logEvents").begin_array();
  for (const LogEvent& event : events) {
    json.begin_object().member("id", event.id).member("timestamp", event.timestamp).member("message", event.message);
    if (!event.fields.empty()) {
      json.key("extractedFields").begin_object();
      for (const auto& [name, text] : event.fields) json.member(name, text);
      json.end_object();
    }
    json.end_object();
  }
  json.end_array().end_object();
  return out;
}

std::string packed(std::string_view data_message) {
  constexpr int kGzip = 15 + 16;
  constexpr int kMemory = 8;
  z_stream stream{};
  // Level 1: it has to keep up with a tailed file, and its sizes differ by a tenth.
  if (::deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string bytes(::deflateBound(&stream, data_message.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data_message.data()));  // zlib does not write there
  stream.avail_in = static_cast<uInt>(data_message.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  const int ended = ::deflate(&stream, Z_FINISH);
  bytes.resize(stream.total_out);
  ::deflateEnd(&stream);
  WEIR_ASSERT(ended == Z_STREAM_END);
  std::string out = R"({"awslogs":{"data":")";
  out.reserve(out.size() + base64_size(bytes.size()) + 3);
  append_base64(out, bytes);
  out += "\"}}";
  return out;
}

std::string lambda_event(const Origin& origin, const std::vector<LogEvent>& events) {
  return packed(data_message(origin, events));
}

std::size_t json_bytes(const LogEvent& event) {
  constexpr std::size_t kFrame = 120;  // names, id, timestamp
  std::size_t bytes = kFrame + json_escaped_size(event.message);
  for (const auto& [name, text] : event.fields) bytes += 30 + json_escaped_size(name) + json_escaped_size(text);
  return bytes;
}

}  // namespace weir::logs
