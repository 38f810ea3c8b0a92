#include "control/plan.h"

#include <chrono>

namespace weir::control {
namespace {

using nlohmann::json;

config::CommandFunction command_of(const std::string& name, const json& version, const CodeFolder& code) {
  config::CommandFunction function;
  function.runtime = version.value("Runtime", "");
  function.handler = version.value("Handler", "");
  function.command = version.value("Command", std::vector<std::string>());
  function.directory = code.folder(name, version.at("CodeSha256").get<std::string>());
  function.timeout = std::chrono::seconds(version.at("Timeout").get<int>());
  function.memory_size = version.at("MemorySize").get<int>();
  function.ephemeral_storage = version.at("EphemeralStorage").at("Size").get<int>();
  const json& logging = version.at("LoggingConfig");
  function.log_format = logging.at("LogFormat").get<std::string>();
  function.application_log_level = logging.value("ApplicationLogLevel", function.application_log_level);
  function.system_log_level = logging.value("SystemLogLevel", function.system_log_level);
  if (const auto variables = version.find("Environment"); variables != version.end()) {
    function.environment = variables->at("Variables").get<std::map<std::string, std::string>>();
  }
  if (const auto layers = version.find("LayerCode"); layers != version.end()) {
    for (const json& layer : *layers) {
      function.layers.push_back(
          code.folder(layer.at("Owner").get<std::string>(), layer.at("CodeSha256").get<std::string>()));
    }
  }
  return function;
}

config::AliasRoute route_of(const json& alias) {
  config::AliasRoute route;
  route.version = alias.at("FunctionVersion").get<std::string>();
  if (const auto routing = alias.find("RoutingConfig"); routing != alias.end()) {
    const auto other = routing->at("AdditionalVersionWeights").begin();
    route.other = other.key();
    route.weight = other.value().get<double>();
  }
  return route;
}

/// `events`: the event-invoke configuration; null when there is none. `version`: whose dead-letter queue it is.
config::AsyncConfig async_of(const json* events, const json& version,
                             const std::function<std::string(std::string_view)>& destination) {
  config::AsyncConfig async;
  if (const auto dead = version.find("DeadLetterConfig"); dead != version.end()) {
    async.dead_letter = destination(dead->at("TargetArn").get<std::string>());
  }
  if (events == nullptr) return async;
  async.maximum_retry_attempts = events->value("MaximumRetryAttempts", async.maximum_retry_attempts);
  if (const auto age = events->find("MaximumEventAgeInSeconds"); age != events->end()) {
    async.maximum_event_age = std::chrono::seconds(age->get<int>());
  }
  const json& destinations = events->at("DestinationConfig");
  const auto arn = [&](const char* which) {
    return destinations.value(which, json::object()).value("Destination", std::string());
  };
  async.on_success = destination(arn("OnSuccess"));
  async.on_failure = destination(arn("OnFailure"));
  return async;
}

}  // namespace

config::FunctionPlan plan_of(const Function& function, const CodeFolder& code,
                             const std::function<std::string(std::string_view arn)>& target_of) {
  constexpr std::string_view kBucket = "arn:aws:s3:::";
  const auto destination = [&](std::string_view arn) -> std::string {
    if (arn.empty()) return "";
    return arn.starts_with(kBucket) ? "s3:" + std::string(arn.substr(kBucket.size())) : target_of(arn);
  };
  config::FunctionPlan plan;
  plan.name = function.name;
  const auto add_async = [&](const std::string& qualifier, const json& version) {
    config::AsyncConfig async = async_of(find(function.async, qualifier), version, destination);
    if (!(async == config::AsyncConfig())) plan.async.emplace(qualifier, std::move(async));
  };
  for (const auto& [version, document] : function.versions) {
    plan.versions.emplace(version, command_of(function.name, document, code));
    add_async(version, document);
  }
  for (const auto& [name, alias] : function.aliases) {
    config::AliasRoute route = route_of(alias);
    if (const json* version = find(function.versions, route.version)) add_async(name, *version);
    plan.aliases.emplace(name, std::move(route));
  }
  if (const json* reserved = find(function.settings, "reserved")) {
    plan.reserved_concurrent_executions = reserved->at("ReservedConcurrentExecutions").get<int>();
  }
  for (const auto& [qualifier, config] : function.provisioned) {
    plan.provisioned.emplace(qualifier, config.at("RequestedProvisionedConcurrentExecutions").get<int>());
  }
  return plan;
}

}  // namespace weir::control
