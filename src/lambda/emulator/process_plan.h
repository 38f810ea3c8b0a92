#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "weir/base/random.h"
#include "weir/base/time.h"

#include "lambda/emulator/emulator_settings.h"
#include "lambda/emulator/supervised_process.h"

namespace weir::emulator {

/// What one start of an environment adds to its function's settings.
struct ProcessPlace {
  std::string tmp;                         ///< the folder that stands in for its /tmp where it cannot have one
  std::string opt;                         ///< what its layers hold together; "" without layers
  std::shared_ptr<MountNamespace> mounts;  ///< of its environment
  bool provisioned = false;                ///< it is kept ready, before any call comes
  std::uint16_t api_port = 0;              ///< where its Runtime API listens, on 127.0.0.1
  std::string log_stream;                  ///< AWS_LAMBDA_LOG_STREAM_NAME
};

/// What is executed of a function's runtime, what it sees of the machine, and the environment variables that Lambda
/// gives it (reference invoke.md 2.2).
///
/// Where mounts are permitted, the code is /var/task and the layers are /opt, both read-only, and /tmp is its own, of
/// the size that was set. Elsewhere the variables say where they really are.
ProcessPlan plan_runtime(const EmulatorSettings& settings, const ProcessPlace& place);

/// Where the function sees the layers, which really are in the folder `opt`.
std::string path_of_layers(const std::string& opt);

/// An external extension's process in the same environment. Extensions do not get the variables that are the runtime's
/// (runtimes-extensions-api).
ProcessPlan plan_extension(const ProcessPlan& runtime, const std::string& path);

/// "2026/11/23/[$LATEST]<32 hex>".
std::string log_stream_name(WallTime now, const std::string& version, Random& random);

/// A number in `digits` hexadecimal digits, at most 16, with zeros in front.
std::string hex(std::uint64_t number, int digits);

}  // namespace weir::emulator
