#include "bridge/life_log.h"

#include <algorithm>
#include <array>
#include <utility>

#include "weir/base/overloaded.h"

namespace weir::bridge {
namespace {

/// Lines that are remembered; those of a life that says more are news each time.
constexpr std::size_t kRemembered = 256;

/// A line without what differs each time though nothing else does.
std::string line_of(std::string_view event, std::span<const LogField> fields) {
  std::string line(event);
  for (const LogField& field : fields) {
    if (field.key == "expires") continue;
    line += ' ';
    line += field.key;
    line += '=';
    line += std::visit(Overloaded{[](std::string_view word) { return std::string(word); },
                                  [](auto number) { return std::to_string(number); }},
                       field.value);
  }
  return without_milliseconds(std::move(line));
}

}  // namespace

/// "nobody answers after 12 ms" is the same trouble as "after 3 ms".
std::string without_milliseconds(std::string text) {
  for (std::size_t end = text.find(" ms"); end != std::string::npos; end = text.find(" ms", end + 1)) {
    std::size_t begin = end;
    while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
    text.erase(begin, end - begin);
    end = begin;
  }
  return text;
}

void LifeLog::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  const bool news = level == LogLevel::kDebug || is_news(line_of(event, fields));
  log_.write(news ? level : LogLevel::kDebug, event, fields);
}

bool LifeLog::is_news(std::string line) {
  const std::lock_guard lock(mutex_);
  const bool again = said_before_.erase(line) > 0;
  // It goes another way than the life before: from here on nothing is a repetition.
  if (!again) said_before_.clear();
  if (said_.size() < kRemembered) said_.insert(std::move(line));
  return !again;
}

void LifeLog::next_life() {
  const std::lock_guard lock(mutex_);
  said_before_ = std::exchange(said_, {});
}

void LifeLog::forget() {
  const std::lock_guard lock(mutex_);
  said_.clear();
  said_before_.clear();
}

}  // namespace weir::bridge
