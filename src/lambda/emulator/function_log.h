#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::emulator {

/// A function's log file: whole lines, appended through a buffer. Shared by the function's environments, one thread.
class FunctionLog {
 public:
  /// Appends to `path`; "" keeps no file. endpoint.failed when it cannot be opened.
  static Result<FunctionLog> open(const std::string& path);
  FunctionLog(FunctionLog&& other) noexcept;
  FunctionLog& operator=(FunctionLog&& other) noexcept;
  ~FunctionLog();

  void add_line(std::string_view line);
  /// Writes what is buffered. A full disk loses log lines, never an invocation.
  void flush();

 private:
  explicit FunctionLog(int file) : file_(file) {}

  int file_ = -1;
  std::string buffer_;
};

/// What one environment prints, cut into lines for the log; and the last 4 KB of what was logged since an invocation
/// began.
class LogStream {
 public:
  static constexpr std::size_t kTailBytes = 4096;
  /// A longer line is cut: CloudWatch's limit for one event.
  static constexpr std::size_t kLineMaxBytes = 256U << 10U;

  explicit LogStream(FunctionLog& log) : log_(log) {}

  /// Bytes as they came out of the process.
  void add_output(std::string_view bytes);
  /// A line of the platform's own. A line that the process has begun is ended first.
  void add_platform_line(std::string_view line);
  /// Ends a line that the process left open.
  void end_line();
  void begin_tail() { tail_.clear(); }
  std::string tail() const;

 private:
  void add_line(std::string_view line);

  FunctionLog& log_;
  std::string open_line_;
  std::string tail_;
};

}  // namespace weir::emulator
