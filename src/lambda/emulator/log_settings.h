#pragma once

#include <cstdint>
#include <string_view>

namespace weir::emulator {

/// How large a function's log may become.
struct LogLimits {
  std::uint64_t file_bytes = 16U << 20U;  ///< then the file is rotated; 0: never
  int files = 4;                          ///< the one that is written included; at least 2
};

/// Of what a function prints (LoggingConfig.ApplicationLogLevel) and of Lambda's own lines (SystemLogLevel); the least
/// important first.
enum class ApplicationLevel { kTrace, kDebug, kInfo, kWarn, kError, kFatal };
enum class SystemLevel { kDebug, kInfo, kWarn };

/// Which lines a function's log keeps: all of them in the text format, those of some level and above in the JSON one.
/// Source: monitoring-cloudwatchlogs-log-level.
struct LogLevels {
  bool filtered = false;  ///< the format is JSON
  ApplicationLevel application = ApplicationLevel::kInfo;
  SystemLevel system = SystemLevel::kInfo;

  bool wants(SystemLevel level) const { return !filtered || level >= system; }
  /// A line that the function printed.
  bool wants(std::string_view line) const;
};

/// The level of a printed line: what a JSON object says of itself in `level`, where it has a time, too; else INFO.
ApplicationLevel level_of(std::string_view line);

/// Of AWS's words, such as "WARN"; INFO of any other.
ApplicationLevel application_level(std::string_view word);
SystemLevel system_level(std::string_view word);

}  // namespace weir::emulator
