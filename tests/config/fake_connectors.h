#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace weir::config {

/// What the fake connector `clock` reads: one setting of every kind.
struct ClockConfig : SourceConfig {
  std::string zone;
  std::optional<std::string> face;
  std::optional<std::string> start;
  std::optional<std::int64_t> hands;
  bool strikes = false;
  std::vector<std::string> alarms;
  std::vector<std::string> hours;
  std::map<std::string, std::string> extras;
  std::string user;
  std::string password;
  std::string file;
};

/// Two connectors that read settings and make no source: `clock` above, and `nothing`, which has no setting of its own.
std::span<const ConnectorEntry> fake_connectors();

/// What the variables of a test are.
EnvironmentLookup environment(std::map<std::string, std::string> variables);

/// The mistakes as `weir validate` prints them, without the folders of the files, each with a line end.
std::string lines(const ConfigReport& report);

/// Reads one file named weir.yaml with this text.
ConfigReport read(const std::string& text, std::map<std::string, std::string> variables = {});

/// Compares with a golden file, or rewrites it when WEIR_UPDATE_GOLDEN is 1.
void check_golden(const std::filesystem::path& golden, const std::string& text);

}  // namespace weir::config
