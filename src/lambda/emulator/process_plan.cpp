#include "lambda/emulator/process_plan.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string_view>

namespace weir::emulator {

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

}  // namespace

ProcessPlan plan_runtime(const EmulatorSettings& settings, const ProcessPlace& place) {
  std::map<std::string, std::string> variables;
  const char* path = std::getenv("PATH");
  variables["PATH"] = path != nullptr && *path != '\0' ? path : std::string(kDefaultPath);
  variables["LANG"] = "en_US.UTF-8";
  variables["TZ"] = ":UTC";
  variables["AWS_XRAY_CONTEXT_MISSING"] = "LOG_ERROR";
  variables["AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1:2000";
  // Not secrets: SDKs want some, and the emulators of other services take any.
  variables["AWS_ACCESS_KEY_ID"] = "weir";
  variables["AWS_SECRET_ACCESS_KEY"] = "weir";
  variables["AWS_SESSION_TOKEN"] = "weir";
  if (!private_tmp_available()) variables["TMPDIR"] = place.tmp;
  for (const auto& [name, value] : settings.environment) variables[name] = value;
  variables["_HANDLER"] = settings.handler;
  variables["AWS_REGION"] = settings.region;
  variables["AWS_DEFAULT_REGION"] = settings.region;
  variables["AWS_LAMBDA_FUNCTION_NAME"] = settings.name;
  variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(settings.memory_size);
  variables["AWS_LAMBDA_FUNCTION_VERSION"] = settings.version;
  variables["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand";
  variables["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + settings.name;
  variables["AWS_LAMBDA_LOG_STREAM_NAME"] = place.log_stream;
  variables["AWS_LAMBDA_LOG_FORMAT"] = settings.log_format == LogFormat::kJson ? "JSON" : "Text";
  variables["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:" + std::to_string(place.api_port);
  variables["LAMBDA_TASK_ROOT"] = settings.directory;
  variables["LAMBDA_RUNTIME_DIR"] = "/var/runtime";

  ProcessPlan plan;
  plan.command = settings.command;
  for (const auto& [name, value] : variables) plan.environment.push_back(name + "=" + value);
  plan.directory = settings.directory;
  plan.title = "lambda-environment " + settings.name;
  plan.search_path = variables["PATH"];
  if (private_tmp_available()) plan.tmp = place.tmp;
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
