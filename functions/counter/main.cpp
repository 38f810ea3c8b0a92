// The quickstart's function: counts the records of stream events, says so in its log, and answers with what it saw.
//
//   FAIL_EVERY=n   fails every n-th invocation
//   SLEEP_MS=n     takes n milliseconds over each
//   a record whose data (decoded from base64 where the source encodes it) has "fail": true makes its invocation fail
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "functions/runtime/runtime_client.h"

namespace {

using nlohmann::json;

long number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

/// Base64 without strictness: what is no base64 ends it.
std::string decoded(const std::string& text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<std::uint32_t>(c - 'a' + 26);
    else if (c >= '0' && c <= '9')
      value = static_cast<std::uint32_t>(c - '0' + 52);
    else if (c == '+')
      value = 62;
    else if (c == '/')
      value = 63;
    else
      break;
    bits = bits << 6U | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU);
    }
  }
  return bytes;
}

/// Calls `see` with the data of every record of a Kafka, Kinesis, SQS or other stream event.
template <typename See>
void each_record(const json& event, See see) {
  // Kafka: {"records": {"topic-0": [{"value": base64}]}}; Kinesis: {"Records": [{"kinesis": {"data": base64}}]}.
  if (event.contains("records") && event["records"].is_object()) {
    for (const json& partition : event["records"]) {
      for (const json& record : partition) {
        see(record.contains("value") && record["value"].is_string() ? decoded(record["value"].get<std::string>()) : "");
      }
    }
  } else if (event.contains("Records") && event["Records"].is_array()) {
    for (const json& record : event["Records"]) {
      const json data = record.value("/kinesis/data"_json_pointer, json());
      const json body = record.value("/body"_json_pointer, json());
      see(data.is_string() ? decoded(data.get<std::string>()) : body.is_string() ? body.get<std::string>() : "");
    }
  }
}

}  // namespace

int main() {
  const long fail_every = number_from_environment("FAIL_EVERY");
  const long sleep_ms = number_from_environment("SLEEP_MS");
  long invocations = 0;
  long records_in_all = 0;
  return weir::functions::run([&](const std::string& text, const weir::functions::Context&) {
    ++invocations;
    if (sleep_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
    const json event = json::parse(text, nullptr, false);
    long records = 0;
    std::size_t bytes = 0;
    bool poison = false;
    if (event.is_object()) {
      each_record(event, [&](const std::string& data) {
        ++records;
        bytes += data.size();
        const json document = json::parse(data, nullptr, false);
        if (document.is_object() && document.value("fail", json()) == true) poison = true;
      });
      if (event.value("fail", json()) == true) poison = true;
    }
    records_in_all += records;
    std::printf("invocation %ld: %ld records, %zu bytes of data\n", invocations, records, bytes);
    if (poison) throw weir::functions::FunctionError("Counter.Poison", "a record asked for this failure");
    if (fail_every > 0 && invocations % fail_every == 0) {
      throw weir::functions::FunctionError("Counter.Unlucky", "FAIL_EVERY asked for this failure");
    }
    return "{\"records\":" + std::to_string(records) + ",\"records_in_all\":" + std::to_string(records_in_all) + "}";
  });
}
