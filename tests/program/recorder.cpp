// The function of the program's tests: it writes down what it was given, so that a test can tell loss from order.
//
//   SEEN=path       appends "SHARD SEQUENCE DATA" for each record, "s3 KEY -" for an object's event and "async ID -"
//   for
//                   an event {"id": ID}, and is on the disk before it answers
//   SLEEP_MS=n      takes n milliseconds over each invocation
//   MODE=rubbish    talks nonsense to the Runtime API instead of answering, and ends
//   MODE=no-json    answers with what is no JSON
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "functions/runtime/runtime_client.h"

namespace {

using nlohmann::json;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string decoded(std::string_view text) {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char letter : text) {
    const auto value = kLetters.find(letter);
    if (value == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU);
    }
  }
  return bytes;
}

std::string rows_of(const json& event) {
  std::string rows;
  const json stream = event.value("Records", json::array());
  const json kafka = event.value("records", json::object());
  if (event.contains("id")) rows += "async " + std::to_string(event["id"].get<long>()) + " -\n";
  for (const json& record : stream) {
    if (record.contains("s3")) {
      rows += "s3 " + record["s3"].at("object").at("key").get<std::string>() + " -\n";
      continue;
    }
    const std::string id = record.at("eventID");  // SHARD:SEQUENCE
    rows += id.substr(0, id.find(':')) + " " + record.at("kinesis").at("sequenceNumber").get<std::string>() + " " +
            decoded(record.at("kinesis").at("data").get<std::string>()) + "\n";
  }
  for (const auto& [partition, records] : kafka.items()) {
    for (const json& record : records) {
      rows += partition + " " + std::to_string(record.at("offset").get<long>()) + " " +
              (record.at("value").is_string() ? decoded(record["value"].get<std::string>()) : "") + "\n";
    }
  }
  return rows;
}

void append_durably(const std::string& path, const std::string& rows) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const bool kept =
      file >= 0 && ::write(file, rows.data(), rows.size()) == static_cast<ssize_t>(rows.size()) && ::fsync(file) == 0;
  if (file >= 0) ::close(file);
  if (!kept) throw weir::functions::FunctionError("Recorder.NotKept", path + " could not be written");
}

/// Bytes that are no HTTP, on a connection of its own; and for whoever reads the log, bytes that are no UTF-8.
[[noreturn]] void talk_nonsense() {
  const std::string address = variable("AWS_LAMBDA_RUNTIME_API");
  const auto colon = address.find(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    static constexpr std::string_view kNonsense("\x00\xff\xfeRUBBISH / HTTP/9.9\r\n: \r\nContent-Length: -1\r\n\r\n",
                                                45);
    if (::write(connection, kNonsense.data(), kNonsense.size()) > 0) {
      char answer[256];
      while (::read(connection, answer, sizeof answer) > 0) {
      }
    }
  }
  std::fputs("\xff\xfe rubbish\n", stdout);
  std::fflush(stdout);
  ::_exit(0);
}

}  // namespace

int main() {
  const std::string mode = variable("MODE");
  const std::string path = variable("SEEN");
  const long sleep_ms = std::strtol(variable("SLEEP_MS").c_str(), nullptr, 10);
  return weir::functions::run([&](const std::string& text, const weir::functions::Context&) -> std::string {
    if (mode == "rubbish") talk_nonsense();
    if (!path.empty()) append_durably(path, rows_of(json::parse(text)));
    if (sleep_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
    if (mode == "no-json") return "{\"half";
    return "{}";
  });
}
