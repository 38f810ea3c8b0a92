#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weir/connector.h"

#include "pattern/log_pattern.h"

namespace weir::logs {

enum class StartingPosition { kTrimHorizon, kLatest };

struct LogsConfig final : SourceConfig {
  std::string function_log() const override { return log_of; }
  void function_log_is(const std::string& path) override;

  std::vector<std::string> files;  ///< patterns of paths; none: the group is fed by its API
  std::string log_of;              ///< the function whose own log is the only one of `files`; "": none
  std::string log_group;           ///< "": the source's name
  std::string filter_name;         ///< "": the source's name
  std::string filter_text;
  std::optional<pattern::LogPattern> filter;           ///< none only where the configuration is wrong
  std::optional<pattern::LogPattern> multiline_start;  ///< what an event's first line has; none: every line is one
  StartingPosition starting_position = StartingPosition::kLatest;

  const std::string& group() const { return log_group.empty() ? name : log_group; }
  const std::string& subscription() const { return filter_name.empty() ? name : filter_name; }
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

/// Whether it can be a log group's, a log stream's or a filter's name.
bool is_group_name(std::string_view name);
bool is_stream_name(std::string_view name);

}  // namespace weir::logs
