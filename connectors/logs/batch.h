#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::logs {

/// An event's limit, with the 26 bytes that CloudWatch counts for each; a tailed line beyond it becomes several.
inline constexpr std::size_t kEventOverhead = 26;
inline constexpr std::size_t kTailedBytesMax = 256 * 1024 - kEventOverhead;
/// How much a delivery holds: AWS publishes neither this nor its time. Half of what an asynchronous invocation may
/// have, for what does not compress grows by a third in base64.
inline constexpr std::size_t kBatchBytes = 512 * 1024;
inline constexpr std::size_t kBatchEvents = 10'000;

struct LogEvent {
  std::string id;
  std::int64_t timestamp = 0;  ///< milliseconds since 1970
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;  ///< of a filter pattern of fields
};

/// Whose events they are.
struct Origin {
  std::string group;
  std::string stream;
  std::string filter;
};

/// 56 digits, as AWS's ids have them: the milliseconds above 144 bits, then 80 bits of `stream` and the number. They
/// grow with the time, and within it with the number.
std::string event_id(std::int64_t timestamp, std::uint64_t stream, std::uint64_t number);

/// A number for a name, the same in every run.
std::uint64_t stable_hash(std::string_view text);

/// What is inside: {"messageType":"DATA_MESSAGE",...}.
std::string data_message(const Origin& origin, const std::vector<LogEvent>& events);
/// What Lambda gets: {"awslogs":{"data":"..."}}, gzip in base64.
std::string lambda_event(const Origin& origin, const std::vector<LogEvent>& events);
/// The same of a message that is there already.
std::string packed(std::string_view data_message);

/// About how many bytes an event adds to the message.
std::size_t json_bytes(const LogEvent& event);

}  // namespace weir::logs
