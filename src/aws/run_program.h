#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"

namespace weir::aws {

/// Runs a program to its end and gives what it printed on its standard output; nothing goes into it, and what it prints
/// on stderr is dropped, since that may hold secrets. Blocks. It gets this process's environment, none of its other
/// descriptors and a process group of its own, which is killed when `timeout` is over, `stop` is set or it prints more
/// than `output_max` bytes. endpoint.failed: it cannot be started, does not exit with 0, or was ended; nothing of its
/// output is in the sentence.
Result<std::string> run_program(const std::vector<std::string>& arguments, Duration timeout,
                                const std::atomic<bool>& stop, std::size_t output_max = 64U << 10U);

}  // namespace weir::aws
