#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "weir/base/log.h"

namespace weir::bridge {

/// "nobody answers after 12 ms" is the same trouble as "after 3 ms".
std::string without_milliseconds(std::string text);

/// The log of one source over its lives. Each life begins anew, by fetching its credentials for example, and says so
/// again: what the life before said, too, is no news, and goes to the debug log.
class LifeLog final : public Log {
 public:
  explicit LifeLog(Log& log) : log_(log) {}

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;
  void next_life();
  /// What was said so far will be news again.
  void forget();

 private:
  bool is_news(std::string line);

  Log& log_;
  std::mutex mutex_;
  std::set<std::string> said_;         ///< by this life
  std::set<std::string> said_before_;  ///< by the life before, and not said again yet
};

}  // namespace weir::bridge
