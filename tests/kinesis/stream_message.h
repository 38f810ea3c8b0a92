#pragma once

#include <string>
#include <utility>
#include <vector>

#include "aws/event_stream.h"

namespace weir::test {

/// Four bytes, the highest first.
inline std::string number(std::size_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFFU);
  return bytes;
}

/// A message of an event stream as the service writes it, with texts as headers.
inline std::string message(const std::vector<std::pair<std::string, std::string>>& texts, const std::string& payload) {
  std::string headers;
  for (const auto& [name, value] : texts) {
    headers += static_cast<char>(name.size());
    headers += name;
    headers += '\x07';
    headers += number(value.size()).substr(2);
    headers += value;
  }
  std::string bytes = number(12 + headers.size() + payload.size() + 4) + number(headers.size());
  bytes += number(aws::crc32_of(bytes));
  bytes += headers + payload;
  return bytes + number(aws::crc32_of(bytes));
}

/// "SubscribeToShardEvent" with records of these numbers, or with none, and where to go on.
inline std::string subscription_event(const std::vector<int>& records, const std::string& continuation) {
  std::string payload = R"({"MillisBehindLatest":0,"ContinuationSequenceNumber":")" + continuation + R"(","Records":[)";
  for (const int record : records) {
    if (payload.back() != '[') payload += ',';
    payload += R"({"SequenceNumber":")" + std::to_string(record) +
               R"(","PartitionKey":"k","Data":"YQ==","ApproximateArrivalTimestamp":1.5})";
  }
  return message({{":message-type", "event"}, {":event-type", "SubscribeToShardEvent"}}, payload + "]}");
}

}  // namespace weir::test
