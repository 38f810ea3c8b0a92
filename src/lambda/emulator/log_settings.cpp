#include "lambda/emulator/log_settings.h"

#include <array>
#include <cctype>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/time.h"

namespace weir::emulator {
namespace {

/// AWS's words, and what Python calls two of them.
constexpr std::array<std::pair<std::string_view, ApplicationLevel>, 8> kWords{{{"TRACE", ApplicationLevel::kTrace},
                                                                               {"DEBUG", ApplicationLevel::kDebug},
                                                                               {"INFO", ApplicationLevel::kInfo},
                                                                               {"WARN", ApplicationLevel::kWarn},
                                                                               {"WARNING", ApplicationLevel::kWarn},
                                                                               {"ERROR", ApplicationLevel::kError},
                                                                               {"CRITICAL", ApplicationLevel::kFatal},
                                                                               {"FATAL", ApplicationLevel::kFatal}}};

/// "Lambda supports most common naming conventions used by the managed runtimes."
constexpr std::array kTimes{"timestamp", "time", "@timestamp"};

}  // namespace

ApplicationLevel application_level(std::string_view word) {
  std::string upper(word);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto& [known, level] : kWords) {
    if (upper == known) return level;
  }
  return ApplicationLevel::kInfo;
}

SystemLevel system_level(std::string_view word) {
  if (word == "DEBUG") return SystemLevel::kDebug;
  return word == "WARN" ? SystemLevel::kWarn : SystemLevel::kInfo;
}

ApplicationLevel level_of(std::string_view line) {
  // Most lines are none, and need not be read.
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos || line[begin] != '{' || line.find("\"level\"") == std::string_view::npos)
    return ApplicationLevel::kInfo;
  const auto record = nlohmann::json::parse(line, nullptr, false);
  if (!record.is_object()) return ApplicationLevel::kInfo;
  const auto level = record.find("level");
  if (level == record.end() || !level->is_string()) return ApplicationLevel::kInfo;
  for (const char* key : kTimes) {
    const auto time = record.find(key);
    if (time == record.end() || !time->is_string() || !parse_iso(time->get_ref<const std::string&>())) continue;
    return application_level(level->get_ref<const std::string&>());
  }
  return ApplicationLevel::kInfo;
}

bool LogLevels::wants(std::string_view line) const {
  return !filtered || level_of(line) >= application;
}

}  // namespace weir::emulator
