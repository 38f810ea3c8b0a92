#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weir/base/time.h"

#include "lambda/emulator/control_groups.h"
#include "lambda/emulator/log_settings.h"

namespace weir::emulator {

/// How a function's log is written: Lambda's LoggingConfig.LogFormat.
enum class LogFormat { kText, kJson };

/// How a response may be streamed. Source: Lambda quotas; configuration-response-streaming, "Bandwidth limits".
struct StreamLimits {
  std::size_t bytes_max = 200U << 20U;
  std::size_t burst_bytes = 6U << 20U;  ///< as fast as it comes; what was streamed slowly is made good again
  std::size_t bytes_per_second = 2U << 20U;
};

/// A function that weir runs itself. The numbers have passed the configuration's checks.
struct EmulatorSettings {
  std::string name;
  std::string version = "$LATEST";   ///< of which these settings are; several may have environments at a time
  std::vector<std::string> command;  ///< program and arguments; at least the program, unless there is a `runtime`
  std::string runtime;               ///< "nodejs20.x": what is executed is looked for at each start; "": `command`
  std::string directory;             ///< absolute; the code, where it starts
  std::string handler;               ///< _HANDLER; "" for none
  Duration timeout = std::chrono::seconds(3);
  int memory_size = 128;                           ///< MB of resident memory, the function's descendants included
  int ephemeral_storage = 512;                     ///< MB of /tmp; enforced where mounts are permitted
  std::vector<std::string> layers;                 ///< absolute; folders and .zip files that make up /opt
  std::string layer_cache;                         ///< absolute; where zips are unpacked, by their content
  std::vector<std::string> extensions;             ///< programs of external extensions, as the function sees them
  std::map<std::string, std::string> environment;  ///< a reserved name is Lambda's, except the AWS credentials
  std::string region = "us-east-1";
  std::string account = "000000000000";
  std::shared_ptr<SharedControlGroups> control_groups;  ///< shared by all functions; null: there are none
  std::string folder;                                   ///< absolute; the environments' /tmp folders are made in it
  std::string log_file;  ///< absolute; what the function prints, with START, END, REPORT; "": none
  LogLimits log_limits;
  LogFormat log_format = LogFormat::kText;
  std::string application_log_level = "INFO";  ///< of the JSON format; AWS's word, as the function is told it
  std::string system_log_level = "INFO";       ///< of the JSON format
  StreamLimits streaming;
  Duration init_timeout = std::chrono::seconds(10);  ///< Lambda's; shorter in tests
  Duration idle_limit = std::chrono::minutes(5);     ///< an unused environment is taken down after it
};

}  // namespace weir::emulator
