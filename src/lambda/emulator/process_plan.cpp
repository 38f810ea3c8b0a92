#include "lambda/emulator/process_plan.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>

#include "lambda/emulator/platform_lines.h"
#include "package/runtimes.h"

namespace weir::emulator {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// A folder as weir sees it, and as the function does.
struct Shown {
  std::string really;
  std::string as;
};

Shown show(const std::string& folder, const char* as, bool possible) {
  return {folder, possible && !folder.empty() && is_folder(folder) ? as : folder};
}

/// Replaces the folder where it begins a path, alone or in a list of paths.
void replace_folder(std::string& text, const Shown& folder) {
  if (folder.really.empty() || folder.really == folder.as) return;
  for (std::size_t at = text.find(folder.really); at != std::string::npos; at = text.find(folder.really, at)) {
    const std::size_t end = at + folder.really.size();
    const bool begins = at == 0 || text[at - 1] == ':';
    const bool ends = end == text.size() || text[end] == '/' || text[end] == ':';
    if (begins && ends) text.replace(at, folder.really.size(), folder.as);
    at += begins && ends ? folder.as.size() : 1;
  }
}

/// From /var/task no path leads to what is beside the code; it is where it always was.
void keep_paths_beside(std::vector<std::string>& command, const Shown& task) {
  if (task.really == task.as) return;
  for (std::string& argument : command) {
    if (!argument.starts_with("../")) continue;
    const fs::path path = (fs::path(task.really) / argument).lexically_normal();
    std::error_code error;
    if (fs::exists(path, error)) argument = path.string();
  }
}

Shown show_layers(const std::string& opt) {
  return show(opt, "/opt", private_mounts_available() && is_folder("/opt"));
}

}  // namespace

std::string path_of_layers(const std::string& opt) {
  return show_layers(opt).as;
}

ProcessPlan plan_runtime(const EmulatorSettings& settings, const ProcessPlace& place) {
  const bool mounts = private_mounts_available();
  // A function whose code is the whole machine has no code of its own.
  const Shown task = show(settings.directory, "/var/task", mounts && settings.directory != "/");
  const Shown opt = show_layers(place.opt);
  const std::string opt_root = opt.as.empty() ? "/opt" : opt.as;

  std::map<std::string, std::string> variables = package::runtime_variables(settings.runtime, task.as, opt_root);
  const char* path = std::getenv("PATH");
  variables["PATH"] = (path != nullptr && *path != '\0' ? path : std::string(kDefaultPath)) + ":" + opt_root + "/bin";
  variables["LD_LIBRARY_PATH"] = task.as + ":" + task.as + "/lib:" + opt_root + "/lib";
  variables["LANG"] = "en_US.UTF-8";
  variables["TZ"] = ":UTC";
  variables["AWS_XRAY_CONTEXT_MISSING"] = "LOG_ERROR";
  variables["AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1:2000";
  // Not secrets: SDKs want some, and the emulators of other services take any.
  variables["AWS_ACCESS_KEY_ID"] = "weir";
  variables["AWS_SECRET_ACCESS_KEY"] = "weir";
  variables["AWS_SESSION_TOKEN"] = "weir";
  if (!mounts) variables["TMPDIR"] = place.tmp;
  for (const auto& [name, value] : settings.environment) variables[name] = value;
  variables["_HANDLER"] = settings.handler;
  variables["AWS_REGION"] = settings.region;
  variables["AWS_DEFAULT_REGION"] = settings.region;
  variables["AWS_LAMBDA_FUNCTION_NAME"] = settings.name;
  variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(settings.memory_size);
  variables["AWS_LAMBDA_FUNCTION_VERSION"] = settings.version;
  variables["AWS_LAMBDA_INITIALIZATION_TYPE"] =
      place.provisioned ? kProvisionedInitialization : kOnDemandInitialization;
  variables["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + settings.name;
  variables["AWS_LAMBDA_LOG_STREAM_NAME"] = place.log_stream;
  const bool json = settings.log_format == LogFormat::kJson;
  variables["AWS_LAMBDA_LOG_FORMAT"] = json ? "JSON" : "Text";
  if (json) variables["AWS_LAMBDA_LOG_LEVEL"] = settings.application_log_level;
  variables["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:" + std::to_string(place.api_port);
  variables["LAMBDA_TASK_ROOT"] = task.as;
  variables["LAMBDA_RUNTIME_DIR"] = "/var/runtime";

  ProcessPlan plan;
  if (settings.runtime.empty()) {
    plan.command = settings.command;
    keep_paths_beside(plan.command, task);
  } else {
    package::RuntimePlace wanted;
    wanted.runtime = settings.runtime;
    wanted.handler = settings.handler;
    wanted.directory = settings.directory;
    wanted.opt = place.opt;
    wanted.memory_size = settings.memory_size;
    wanted.environment = settings.environment;
    package::RuntimeStart start = package::find_runtime(wanted);
    plan.command = std::move(start.command);
    plan.missing = std::move(start.missing);
    for (std::string& argument : plan.command) {
      replace_folder(argument, task);
      replace_folder(argument, opt);
    }
  }
  for (const auto& [name, value] : variables) plan.environment.push_back(name + "=" + value);
  plan.directory = task.as;
  plan.program_folder = settings.directory;
  plan.title = "lambda-environment " + settings.name;
  plan.search_path = variables["PATH"];
  if (mounts) {
    plan.mounts.tmp_megabytes = settings.ephemeral_storage;
    if (task.as != task.really) plan.mounts.task = task.really;
    if (opt.as != opt.really) plan.mounts.opt = opt.really;
    plan.shared_mounts = place.mounts;
  }
  return plan;
}

ProcessPlan plan_extension(const ProcessPlan& runtime, const std::string& path) {
  constexpr std::string_view kRuntimeOnly[]{"AWS_EXECUTION_ENV",          "AWS_LAMBDA_LOG_GROUP_NAME",
                                            "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
                                            "AWS_XRAY_DAEMON_ADDRESS",    "LAMBDA_RUNTIME_DIR",
                                            "LAMBDA_TASK_ROOT",           "_AWS_XRAY_DAEMON_ADDRESS",
                                            "_AWS_XRAY_DAEMON_PORT",      "_HANDLER"};
  ProcessPlan plan = runtime;
  plan.command = {path};
  plan.missing.clear();
  plan.directory = "/";
  plan.title = "lambda-extension " + path;
  std::erase_if(plan.environment, [&](const std::string& variable) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
    return std::find(std::begin(kRuntimeOnly), std::end(kRuntimeOnly), name) != std::end(kRuntimeOnly);
  });
  return plan;
}

std::string log_stream_name(WallTime now, const std::string& version, Random& random) {
  const std::time_t seconds = epoch_milliseconds(now) / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char day[16];
  std::strftime(day, sizeof(day), "%Y/%m/%d", &utc);
  return std::string(day) + "/[" + version + "]" + hex(random.next(), 16) + hex(random.next(), 16);
}

std::string hex(std::uint64_t number, int digits) {
  char text[24];
  std::snprintf(text, sizeof(text), "%0*llx", digits, static_cast<unsigned long long>(number));
  return std::string(text).substr(0, static_cast<std::size_t>(digits));
}

}  // namespace weir::emulator
