#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"
#include "weir/connector.h"

namespace weir::config {

/// A function that weir runs itself: a command that speaks the Runtime API.
struct FunctionConfig {
  std::string name;                  ///< 1 to 64 of [a-zA-Z0-9-_]
  std::vector<std::string> command;  ///< program and arguments; at least the program
  std::string directory;             ///< absolute; where the command starts, LAMBDA_TASK_ROOT
  std::string handler;               ///< _HANDLER; "" when the command says it itself
  Duration timeout = std::chrono::seconds(3);
  int memory_size = 128;        ///< MB
  int ephemeral_storage = 512;  ///< MB of /tmp
  std::map<std::string, std::string> environment;
  std::optional<int> reserved_concurrent_executions;
};

/// One entry of `sources`.
struct SourceEntry {
  std::string name;
  const ConnectorEntry* connector = nullptr;
  std::string function;
  bool enabled = true;
  std::shared_ptr<const SourceConfig> settings;
};

/// A configuration that is right in itself.
struct Config {
  std::string state;                     ///< absolute path of the state folder
  std::string admin = "127.0.0.1:4581";  ///< HOST:PORT; port 0 takes any
  int concurrency = 1000;                ///< the account's limit
  Duration shutdown_grace = std::chrono::seconds(30);
  std::map<std::string, FunctionConfig> functions;
  std::vector<SourceEntry> sources;  ///< in the order of the file
};

/// One thing that is wrong, and where.
struct Mistake {
  std::string file;
  int line = 0;          ///< from 1; 0 when the file as a whole is meant
  int column = 0;        ///< from 1
  std::string path;      ///< "sources.clicks.batch_size"
  std::string sentence;  ///< "0 is out of range, allowed is 1 to 10000"

  /// "weir.yaml:14:17: sources.clicks.batch_size: 0 is out of range, allowed is 1 to 10000"
  std::string describe() const;
};

struct ConfigReport {
  Config config;                  ///< only to be used when there is no mistake
  std::vector<Mistake> mistakes;  ///< in the order of the files' lines
};

/// Looks up a variable for ${NAME}; nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(std::string_view)>;

/// Reads and checks the files, which may each hold a part (functions and sources add up, other keys stand once).
ConfigReport read_config(std::span<const std::string> files, std::span<const ConnectorEntry> connectors,
                         const EnvironmentLookup& environment);

/// The JSON Schema (draft 2020-12) of a configuration file, made by the calls that read one.
std::string json_schema(std::span<const ConnectorEntry> connectors);

/// docs/configuration.md, made by the same calls.
std::string reference_page(std::span<const ConnectorEntry> connectors);

}  // namespace weir::config
