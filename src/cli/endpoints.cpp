#include "cli/endpoints.h"

#include "lambda/emulator/emulator_endpoint.h"

namespace weir::cli {

Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(net::any_io_executor executor,
                                                      const config::FunctionConfig& function, const std::string& folder,
                                                      Log& log, const Clock& clock) {
  emulator::EmulatorSettings settings;
  settings.name = function.name;
  settings.command = function.command;
  settings.directory = function.directory;
  settings.handler = function.handler;
  settings.timeout = function.timeout;
  settings.memory_size = function.memory_size;
  settings.ephemeral_storage = function.ephemeral_storage;
  settings.environment = function.environment;
  settings.folder = folder + "/environments/" + function.name;
  settings.log_file = folder + "/logs/" + function.name + ".log";
  auto made = emulator::EmulatorEndpoint::make(std::move(executor), std::move(settings), log, clock);
  if (!made) return std::move(made.error()).during("preparing the function " + function.name);
  return std::unique_ptr<LambdaEndpoint>(std::move(*made));
}

}  // namespace weir::cli
