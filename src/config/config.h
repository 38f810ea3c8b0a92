#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weir/aws_access.h"
#include "weir/base/time.h"
#include "weir/connector.h"
#include "weir/destination.h"

#include "config/difference.h"

namespace weir::config {

/// A function that weir runs itself: a command that speaks the Runtime API, or what Lambda's runtime of a name would
/// run.
struct CommandFunction {
  std::vector<std::string> command;  ///< program and arguments; none when `runtime` says it
  std::string runtime;               ///< "nodejs20.x", "provided.al2023" ...; "" when `command` says it
  std::string directory;             ///< absolute; the function's code, where it starts
  std::string handler;               ///< _HANDLER; "" when the command says it itself
  Duration timeout = std::chrono::seconds(3);
  int memory_size = 128;            ///< MB
  int ephemeral_storage = 512;      ///< MB of /tmp
  std::vector<std::string> layers;  ///< absolute; folders and .zip files, merged under /opt, later ones win; at most 5
  std::string log_format = "Text";  ///< or "JSON"
  std::string application_log_level = "INFO";  ///< of the JSON format
  std::string system_log_level = "INFO";       ///< of the JSON format
  std::map<std::string, std::string> environment;

  bool operator==(const CommandFunction&) const = default;
};

/// A function behind servers that speak the Invoke API.
struct UrlFunction {
  std::vector<std::string> urls;                 ///< at least one
  std::string function_name;                     ///< what it is called there
  int requests_per_url = 1;                      ///< at a time
  Duration timeout = std::chrono::seconds(900);  ///< for one answer

  bool operator==(const UrlFunction&) const = default;
};

/// A function of real Lambda.
struct ArnFunction {
  std::string arn;
  std::string region;        ///< "": the ARN's
  std::string endpoint_url;  ///< "": that of `aws`, else AWS's own
  std::string profile;       ///< "": that of `aws`, else the environment's

  bool operator==(const ArnFunction&) const = default;
};

/// What happens to the function's asynchronous invocations (AWS's event-invoke configuration).
struct AsyncConfig {
  int maximum_retry_attempts = 2;                            ///< 0 to 2
  Duration maximum_event_age = std::chrono::seconds(21600);  ///< 60 s to 21600 s
  std::string on_failure;  ///< a destination: "file:PATH" (absolute), "lambda:FUNCTION"; "": none
  std::string on_success;
  std::string dead_letter;  ///< "sqs:QUEUE" or "sns:TOPIC": gets the event itself; "": none

  bool operator==(const AsyncConfig&) const = default;
};

struct FunctionConfig {
  std::string name;  ///< 1 to 64 of [a-zA-Z0-9-_]
  std::variant<CommandFunction, UrlFunction, ArnFunction> target;
  std::optional<int> reserved_concurrent_executions;
  AsyncConfig async;
  bool hot_reload = false;  ///< a change in its folder replaces its environments

  bool operator==(const FunctionConfig&) const = default;
};

/// The log files of the functions that weir runs.
struct FunctionLogsConfig {
  int file_size = 16;  ///< MB of one, then it is rotated; 0: never
  int files = 4;       ///< of one function, at least 2

  bool operator==(const FunctionLogsConfig&) const = default;
};

/// One entry of `sources`.
struct SourceEntry {
  std::string name;
  const ConnectorEntry* connector = nullptr;
  std::string function;
  std::string qualifier;  ///< the function's version or alias; "" for none
  bool enabled = true;
  bool by_api = false;  ///< an event source mapping of the Lambda API, which is called by its UUID; not in the file
  std::shared_ptr<const SourceConfig> settings;
};

/// A configuration that is right in itself.
struct Config {
  std::string state;                      ///< absolute path of the state folder
  std::string listen = "127.0.0.1:4580";  ///< the gateway, HOST:PORT; port 0 takes any; "": there is none
  std::string admin = "127.0.0.1:4581";   ///< HOST:PORT; port 0 takes any
  /// Access key ids and their secrets. When there are some, calls of the gateway's AWS APIs have to be signed with one.
  std::map<std::string, std::string> access_keys;
  AwsAccess aws;           ///< for whatever speaks to AWS and has no settings of its own
  int concurrency = 1000;  ///< the account's limit
  Duration shutdown_grace = std::chrono::seconds(30);
  FunctionLogsConfig function_logs;
  bool control_groups = true;  ///< environments are held to their limits by control groups, where that is permitted
  std::map<std::string, FunctionConfig> functions;
  std::vector<SourceEntry> sources;                ///< in the order of the file
  std::span<const DestinationEntry> destinations;  ///< those that the program has, beside files and functions
};

/// What a function of weir's own prints: a file of the state folder, and where it is rotated to (observe/).
std::string function_log_path(const std::string& state, const std::string& function);

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
  Written written;                ///< the same as it was written, where there is none
  std::vector<Mistake> mistakes;  ///< in the order of the files' lines
};

/// Looks up a variable for ${NAME}; nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(std::string_view)>;

/// Reads and checks the files, which may each hold a part (functions and sources add up, other keys stand once).
ConfigReport read_config(std::span<const std::string> files, std::span<const ConnectorEntry> connectors,
                         const EnvironmentLookup& environment, std::span<const DestinationEntry> destinations = {});

/// The JSON Schema (draft 2020-12) of a configuration file, made by the calls that read one.
std::string json_schema(std::span<const ConnectorEntry> connectors);

/// docs/configuration.md, made by the same calls.
std::string reference_page(std::span<const ConnectorEntry> connectors);

}  // namespace weir::config
