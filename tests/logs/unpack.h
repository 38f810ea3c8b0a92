#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "weir/base/bytes.h"

namespace weir::test {

/// What is in the gzip of a Lambda event of CloudWatch Logs, as its readers see it.
inline nlohmann::json unpack(std::string_view lambda_event) {
  const auto bytes =
      decode_base64(nlohmann::json::parse(lambda_event).at("awslogs").at("data").get<std::string>()).value();
  z_stream stream{};
  if (::inflateInit2(&stream, 15 + 16) != Z_OK) throw std::runtime_error("inflateInit2");
  std::string out(1 << 23, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = ::inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::inflateEnd(&stream);
  if (ended != Z_STREAM_END) throw std::runtime_error("no gzip of at most 8 MiB");
  return nlohmann::json::parse(out);
}

}  // namespace weir::test
