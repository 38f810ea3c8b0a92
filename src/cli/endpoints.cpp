#include "cli/endpoints.h"

#include <utility>
#include <variant>

#include "lambda/emulator/emulator_endpoint.h"
#include "lambda/remote/aws_endpoint.h"
#include "lambda/remote/http_endpoint.h"

namespace weir::cli {
namespace {

Result<std::unique_ptr<LambdaEndpoint>> make_emulator(net::any_io_executor executor, net::any_io_executor blocking,
                                                      const std::string& name, const std::string& version,
                                                      const config::CommandFunction& function, const FunctionHome& home,
                                                      Log& log, const Clock& clock) {
  emulator::EmulatorSettings settings;
  settings.name = name;
  settings.command = function.command;
  settings.directory = function.directory;
  settings.handler = function.handler;
  settings.timeout = function.timeout;
  settings.memory_size = function.memory_size;
  settings.ephemeral_storage = function.ephemeral_storage;
  settings.environment = function.environment;
  settings.version = version;
  settings.runtime = function.runtime;
  settings.layers = function.layers;
  settings.layer_cache = home.folder + "/layers";
  settings.log_format = function.log_format == "JSON" ? emulator::LogFormat::kJson : emulator::LogFormat::kText;
  settings.application_log_level = function.application_log_level;
  settings.system_log_level = function.system_log_level;
  settings.log_limits.file_bytes = static_cast<std::uint64_t>(home.logs.file_size) << 20U;
  settings.log_limits.files = home.logs.files;
  settings.control_groups = home.control_groups;
  settings.folder = home.folder + "/environments/" + name;
  settings.log_file = config::function_log_path(home.folder, name);
  auto made =
      emulator::EmulatorEndpoint::make(std::move(executor), std::move(settings), log, clock, std::move(blocking));
  if (!made) return std::move(made.error());
  return std::unique_ptr<LambdaEndpoint>(std::move(*made));
}

}  // namespace

Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                      const config::FunctionConfig& function,
                                                      const std::string& version, const AwsAccess& aws,
                                                      const FunctionHome& home, Log& log, const Clock& clock) {
  const auto make = [&]() -> Result<std::unique_ptr<LambdaEndpoint>> {
    if (const auto* url = std::get_if<config::UrlFunction>(&function.target)) {
      remote::HttpEndpointSettings settings;
      settings.name = function.name;
      settings.urls = url->urls;
      settings.function_name = url->function_name;
      settings.requests_per_url = url->requests_per_url;
      settings.timeout = url->timeout;
      return remote::make_http_endpoint(executor, std::move(settings), log, clock);
    }
    if (const auto* arn = std::get_if<config::ArnFunction>(&function.target)) {
      remote::AwsEndpointSettings settings;
      settings.name = function.name;
      settings.arn = arn->arn;
      // Without a region of its own a function is where its ARN says, wherever the others are.
      settings.region = arn->region;
      settings.endpoint_url = arn->endpoint_url.empty() ? aws.endpoint_url : arn->endpoint_url;
      settings.profile = arn->profile.empty() ? aws.profile : arn->profile;
      return remote::make_aws_endpoint(executor, blocking, std::move(settings), log, clock);
    }
    return make_emulator(executor, blocking, function.name, version, std::get<config::CommandFunction>(function.target),
                         home, log, clock);
  };
  auto made = make();
  if (!made) return std::move(made.error()).during("preparing the function " + function.name);
  return made;
}

}  // namespace weir::cli
