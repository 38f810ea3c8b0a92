#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/model_node.h"

namespace weir::config {

/// A configuration while its files are read, and what the reading has to know.
struct Draft {
  Config config;
  std::span<const ConnectorEntry> connectors;
  /// The names of all files' functions; none when a file could not be read, because then nobody knows them.
  std::optional<std::vector<std::string>> function_names;
  std::map<std::string, Duration> timeouts;  ///< of functions whose timeout was written down
  int reserved = 0;                          ///< of the account's concurrency, by the functions read so far
};

constexpr std::string_view kDefaultState = "./weir-state";

// The three parts of the root of a file, to be read in this order, each of all files: functions need `concurrency`.

/// `state`, `admin`, `concurrency`, `shutdown_grace`.
void read_settings(ModelNode& root, Draft& draft);
void read_functions(ModelNode& root, Draft& draft);
void read_sources(ModelNode& root, Draft& draft);

/// One source, whose name is known; it is not added to the draft. `function_timeout`: where the draft does not know it.
SourceEntry read_source(const std::string& name, ModelNode& node, const Draft& draft,
                        std::optional<Duration> function_timeout = std::nullopt);

}  // namespace weir::config
