#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "weir/base/log.h"
#include "weir/base/time.h"

namespace weir::observe {

enum class LogFormat {
  kJson,  ///< {"time":"2026-09-12T07:00:00.123Z","level":"warn","event":"invocation.throttled","source":"clicks"}
  kText,  ///< level=warn event=invocation.throttled source=clicks
};

/// Writes each event as one line to a file descriptor, whole or not at all. Safe from every thread.
class LogSink final : public Log {
 public:
  /// `descriptor` is borrowed. Events below `least` are dropped.
  LogSink(int descriptor, LogFormat format, LogLevel least, const Clock& clock)
      : descriptor_(descriptor), format_(format), least_(least), clock_(clock) {}

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;

  /// Called before each line, so that a progress display on the same terminal can make room.
  void before_lines(std::function<void()> make_room);

 private:
  std::string line(LogLevel level, std::string_view event, std::span<const LogField> fields) const;

  int descriptor_;
  LogFormat format_;
  LogLevel least_;
  const Clock& clock_;
  std::mutex mutex_;
  std::function<void()> make_room_;
};

}  // namespace weir::observe
