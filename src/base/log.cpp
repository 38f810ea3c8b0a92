#include "weir/base/log.h"

namespace weir {

std::string_view text(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

Log& null_log() {
  class NullLog final : public Log {
   public:
    void write(LogLevel, std::string_view, std::span<const LogField>) override {}
  };
  static NullLog log;
  return log;
}

}  // namespace weir
