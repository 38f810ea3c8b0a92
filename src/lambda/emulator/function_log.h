#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "lambda/emulator/log_settings.h"

namespace weir::emulator {

/// A function's log file: whole lines, each with its time and its stream (observe/function_log_lines.h), appended
/// through a buffer. Shared by the environments of one version, on one thread; the file also with other versions, other
/// processes, and whoever else renames it.
///
/// A file that is full becomes NAME.1, what was that NAME.2, and so on; the last one is removed. Whoever writes holds
/// the file's lock and looks whether it still has its name, so nobody writes to a file that was rotated away: a reader
/// that has come to its end has read all of it.
class FunctionLog {
 public:
  /// Appends to `path`; "" keeps no file. endpoint.failed when it cannot be opened. `clock` outlives it.
  static Result<FunctionLog> open(const std::string& path, const Clock& clock, LogLimits limits = {},
                                  LogLevels levels = {});
  FunctionLog(FunctionLog&& other) noexcept;
  FunctionLog& operator=(FunctionLog&&) = delete;
  FunctionLog(const FunctionLog&) = delete;
  FunctionLog& operator=(const FunctionLog&) = delete;
  ~FunctionLog();

  void add_line(std::string_view stream, std::string_view line);
  /// Writes what is buffered. A full disk loses log lines, never an invocation.
  void flush();

  const LogLevels& levels() const { return levels_; }

 private:
  FunctionLog(std::string path, int file, const Clock& clock, LogLimits limits, LogLevels levels);
  enum class Hold { kHeld, kBusy, kFailed };
  void write_out(bool may_wait);
  Hold hold_file();
  void rotate() const;
  void close_file();

  std::string path_;
  int file_ = -1;
  const Clock* clock_;
  LogLimits limits_;
  LogLevels levels_;
  std::string buffer_;
  bool torn_ = false;  ///< the last line that was written has no end
};

/// What one environment prints, cut into lines for the log; and the last 4 KB of what was logged since an invocation
/// began, which are not held to the levels of the log.
class LogStream {
 public:
  static constexpr std::size_t kTailBytes = 4096;
  /// A longer line is cut: CloudWatch's former limit of an event, of which 26 bytes are its own.
  static constexpr std::size_t kLineMaxBytes = (256U << 10U) - 26;

  /// `name`: AWS_LAMBDA_LOG_STREAM_NAME of the environment.
  LogStream(FunctionLog& log, std::string name) : log_(log), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  /// Bytes as they came out of the process.
  void add_output(std::string_view bytes);
  /// A line of the platform's own. A line that the process has begun is ended first.
  void add_platform_line(std::string_view line, SystemLevel level = SystemLevel::kInfo);
  /// Ends a line that the process left open.
  void end_line();
  void begin_tail() { tail_.clear(); }
  std::string tail() const;

 private:
  void add_line(std::string_view line, bool wanted);

  FunctionLog& log_;
  std::string name_;
  std::string open_line_;
  std::string tail_;
};

}  // namespace weir::emulator
