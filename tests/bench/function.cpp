// The function of the latency benchmarks: notes when its handler was entered, and answers.
//
//   NOTES=FILE    where it appends a line a record: Unix nanoseconds of the entry, a space, the record's data (base64);
//                 of an object's event the object's key
//   ANSWER=BYTES  how long its answer is; 2 when not given
//   SLEEP_MS=N    how long it takes over each invocation
//   FIRST_OUTPUT  when it is there: writes a byte and ends, before it looks for anybody who invokes it
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "functions/runtime/runtime_client.h"

namespace {

long long wall_nanoseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

/// Calls `see` with each string that stands behind `mark`. The benchmarks' data has no quotes in it.
template <typename See>
void each_behind(std::string_view event, std::string_view mark, See see) {
  for (std::size_t at = event.find(mark); at != std::string_view::npos; at = event.find(mark, at)) {
    at += mark.size();
    see(event.substr(at, event.find('"', at) - at));
  }
}

}  // namespace

int main() {
  if (std::getenv("FIRST_OUTPUT") != nullptr) {
    std::puts("");
    return 0;
  }
  const char* path = std::getenv("NOTES");
  std::FILE* notes = path == nullptr ? nullptr : std::fopen(path, "a");
  if (path != nullptr && notes == nullptr) {
    std::perror(path);
    return 1;
  }
  const char* answer_bytes = std::getenv("ANSWER");
  const std::string answer =
      answer_bytes == nullptr ? "{}" : "\"" + std::string(std::stoul(answer_bytes) - 2, 'x') + "\"";
  const char* sleep = std::getenv("SLEEP_MS");
  const long sleep_ms = sleep == nullptr ? 0 : std::stol(sleep);
  return weir::functions::run([&](const std::string& event, const weir::functions::Context&) {
    const long long entered = wall_nanoseconds();
    if (notes != nullptr) {
      const auto note = [&](std::string_view data) {
        std::fprintf(notes, "%lld %.*s\n", entered, static_cast<int>(data.size()), data.data());
      };
      each_behind(event, "\"value\":\"", note);  // Kafka
      each_behind(event, "\"data\":\"", note);   // Kinesis, which is what a file looks like
      each_behind(event, "\"key\":\"", note);    // S3
      std::fflush(notes);
    }
    if (sleep_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
    return answer;
  });
}
