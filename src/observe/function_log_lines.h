#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::observe {

/// A line of a function's log file, as `aws logs tail` prints one:
/// "2026-09-13T15:32:02.357Z 2026/09/13/[$LATEST]0123456789abcdef0123456789abcdef START RequestId: ..."
struct FunctionLogLine {
  std::int64_t time = 0;     ///< milliseconds since 1970
  std::string_view stream;   ///< AWS_LAMBDA_LOG_STREAM_NAME of the environment that printed it
  std::string_view message;  ///< without the line's end
};

/// What stands before the message is never longer than this.
inline constexpr std::size_t kFunctionLogPrefixMax = 128;

/// Adds a line, its end included. `stream` is not "", has no space, and with the rest before the message is no longer
/// than kFunctionLogPrefixMax.
void append_function_log_line(std::string& to, std::int64_t time, std::string_view stream, std::string_view message);
/// A line without its end; nothing when it has no time and stream, as those that weir wrote in 2026 have none. What it
/// says is gone with `line`.
std::optional<FunctionLogLine> read_function_log_line(std::string_view line);
/// The version that the environments of a stream are of: "$LATEST" of "2026/09/13/[$LATEST]0123...".
std::string_view version_of_stream(std::string_view stream);

/// The files of a function's log that were rotated away have numbers behind its name, the youngest of them 1.
inline constexpr int kFunctionLogFilesMax = 100;
std::string rotated_function_log(const std::string& path, int number);
/// Those that are there, the oldest first and `path` itself last, if it is there.
std::vector<std::string> function_log_files(const std::string& path);

}  // namespace weir::observe
