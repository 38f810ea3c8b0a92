#pragma once

#include <cstdint>
#include <string>

#include "weir/base/random.h"
#include "weir/base/time.h"

#include "lambda/emulator/emulator_settings.h"
#include "lambda/emulator/supervised_process.h"

namespace weir::emulator {

/// What one start of an environment adds to its function's settings.
struct ProcessPlace {
  std::string tmp;             ///< the folder that stands in for its /tmp
  std::uint16_t api_port = 0;  ///< where its Runtime API listens, on 127.0.0.1
  std::string log_stream;      ///< AWS_LAMBDA_LOG_STREAM_NAME
};

/// The command of a function's runtime and the environment variables that
/// Lambda gives it (reference invoke.md 2.2).
ProcessPlan plan_runtime(const EmulatorSettings& settings, const ProcessPlace& place);

/// An external extension's process in the same environment. Extensions do not get the variables that are the runtime's
/// (runtimes-extensions-api).
ProcessPlan plan_extension(const ProcessPlan& runtime, const std::string& path);

/// "2026/11/23/[$LATEST]<32 hex>".
std::string log_stream_name(WallTime now, const std::string& version, Random& random);

/// A number in `digits` hexadecimal digits, at most 16, with zeros in front.
std::string hex(std::uint64_t number, int digits);

}  // namespace weir::emulator
