#include "lambda/emulator/environment.h"

#include <algorithm>
#include <utility>

#include "lambda/emulator/error_documents.h"
#include "lambda/emulator/memory_use.h"

namespace weir::emulator {

ExtensionProcess::ExtensionProcess(Environment& whose, const std::string& file, net::any_io_executor executor,
                                   FunctionLog& function_log, EnvironmentOwner& owner)
    : path(file),
      name(file.substr(file.rfind('/') + 1)),
      process(std::move(executor), *this),
      log(function_log, whose.log.name()),
      environment_(whose),
      owner_(owner) {}

void ExtensionProcess::on_output(std::string_view bytes) {
  log.add_output(bytes);
  owner_.on_logged();
}

void ExtensionProcess::on_started() {
  started = true;
  owner_.on_extension_started(environment_);
}

void ExtensionProcess::on_cannot_start(std::string, std::string why) {
  const bool forbidden = why.ends_with("permission denied");
  environment_.extensions.launch_failed(name, forbidden ? "PermissionDenied" : "UnknownError");
  end("Extension.LaunchError", std::move(why));
}

void ExtensionProcess::on_exited(int status) {
  log.end_line();
  environment_.extensions.exited(name);
  const Extension* extension = environment_.extensions.find(name);
  const Extension::State state = extension == nullptr ? Extension::State::kExited : extension->state;
  end(state == Extension::State::kInitError   ? "Extension.InitError"
      : state == Extension::State::kExitError ? "Extension.ExitError"
                                              : "Extension.Crash",
      describe_extension_exit(status));
}

void ExtensionProcess::end(std::string type, std::string why) {
  if (std::exchange(ended, true)) return;
  owner_.on_extension_ended(environment_, std::move(type), std::move(why));
}

Environment::Environment(engine::EnvironmentId number, net::any_io_executor executor, FunctionLog& function_log,
                         std::string log_stream, EnvironmentOwner& owner)
    : id(number),
      log(function_log, std::move(log_stream)),
      process(executor, *this),
      folder("tmp-" + std::to_string(number)),
      stream_read(executor),
      extensions_changed(std::move(executor)),
      owner_(owner) {
  extensions_changed.expires_at(net::steady_timer::time_point::max());
}

void Environment::begin_start() {
  process.begin();
  init_error.reset();
  exit_status.reset();
  cannot_start_type.clear();
  cannot_start_why.clear();
  out_of_memory = false;
  memory_peak = 0;
  sampled_at = {};
  extensions = ExtensionSet();
  undelivered.clear();
  extension_error_type.clear();
  extension_error_why.clear();
  exit_waits = false;
  idle_since.reset();
  runtime_asked = false;
  stopping = false;
}

void Environment::look_at_memory(Instant now) {
  std::uint64_t peak = process.supervisor() == 0 ? 0 : memory_below(process.supervisor()).peak;
  for (const auto& extension : extension_processes) {
    if (extension->process.supervisor() != 0) peak += memory_below(extension->process.supervisor()).peak;
  }
  if (peak == 0) return;
  sampled_at = now;
  memory_peak = std::max(memory_peak, peak);
}

void Environment::freeze() {
  idle_since.reset();
  process.freeze();
  for (const auto& extension : extension_processes) extension->process.freeze();
}

void Environment::thaw() {
  idle_since.reset();
  for (const auto& extension : extension_processes) extension->process.thaw();
  process.thaw();
}

void Environment::tell(const Extension& extension, std::string event) {
  const auto waiting = extension_waiters.find(extension.id);
  if (waiting == extension_waiters.end()) {
    undelivered[extension.id] = std::move(event);
    return;
  }
  waiting->second->answer({200, "application/json", std::move(event)});
  extension_waiters.erase(waiting);
}

void Environment::on_output(std::string_view bytes) {
  log.add_output(bytes);
  owner_.on_logged();
}

void Environment::on_cannot_start(std::string type, std::string why) {
  cannot_start_type = std::move(type);
  cannot_start_why = std::move(why);
  owner_.on_exited(*this, true);
}

void Environment::on_exited(int status) {
  if (!exit_status) exit_status = status;
  owner_.on_exited(*this, false);
}

}  // namespace weir::emulator
