#include "lambda/emulator/environment.h"

#include <algorithm>
#include <utility>

#include "lambda/emulator/memory_use.h"

namespace weir::emulator {

Environment::Environment(engine::EnvironmentId number, net::any_io_executor executor, FunctionLog& function_log,
                         EnvironmentOwner& owner)
    : id(number),
      log(function_log),
      process(std::move(executor), *this),
      folder("tmp-" + std::to_string(number)),
      owner_(owner) {}

void Environment::begin_start() {
  init_error.reset();
  exit_status.reset();
  cannot_start_type.clear();
  cannot_start_why.clear();
  out_of_memory = false;
  memory_peak = 0;
  sampled_at = {};
}

void Environment::look_at_memory(Instant now) {
  if (process.supervisor() == 0) return;
  sampled_at = now;
  memory_peak = std::max(memory_peak, memory_below(process.supervisor()).peak);
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
