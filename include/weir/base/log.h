#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace weir {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

std::string_view text(LogLevel level);

/// One field of a log event. Borrowed for the call.
struct LogField {
  template <typename T>
  requires std::is_integral_v<T> &&(!std::is_same_v<T, bool>)LogField(std::string_view name, T number)
      : key(name), value(static_cast<std::int64_t>(number)) {}
  LogField(std::string_view name, std::string_view word) : key(name), value(word) {}
  LogField(std::string_view name, const char* word) : key(name), value(std::string_view(word)) {}
  LogField(std::string_view name, const std::string& word) : key(name), value(std::string_view(word)) {}
  LogField(std::string_view name, double number) : key(name), value(number) {}
  LogField(std::string_view name, bool truth) : key(name), value(truth) {}

  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;
};

/// Where log events go. An event has a name (`noun.past_verb`) and fields; one per change of state, none per record.
/// Implementations may be called from every thread.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view event, std::span<const LogField> fields) = 0;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kDebug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kInfo, event, fields);
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kWarn, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::kError, event, fields);
  }
};

/// Drops everything; for tests and for commands that report by themselves.
Log& null_log();

}  // namespace weir
