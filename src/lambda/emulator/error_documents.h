#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "weir/base/time.h"
#include "weir/event/invocation.h"

namespace weir::emulator {

/// How a process ended, in the words of Lambda's messages (which are Go's): "without providing a reason" for exit code
/// 0, else "exit status 3", "signal: killed", "signal: segmentation fault". `status`: what waitpid gave.
std::string describe_exit(int status);

/// The same of an extension: "exit code 0", "exit status 3", "signal: killed".
std::string describe_extension_exit(int status);

/// Lambda's own errors, as the caller sees them (reference invoke.md 1.6; recorded from AWS).
FunctionFailed timed_out(std::string_view request_id, Duration timeout);
/// Runtime.ExitError, or Runtime.OutOfMemory when the process was killed for its memory.
FunctionFailed exited(std::string_view request_id, int status, bool out_of_memory);
/// `type`: Runtime.InvalidEntrypoint, Runtime.InvalidWorkingDir, or one of Extension.
FunctionFailed cannot_start(std::string_view request_id, std::string_view type, std::string_view why);
FunctionFailed response_too_large(std::size_t limit);
/// A streamed response that ended before its end.
FunctionFailed truncated(std::string_view request_id);

/// What a runtime posted as its error. Its document is passed through; one that is not a JSON object's text is put into
/// `errorMessage` of a new one, since callers read JSON. `header`: Lambda-Runtime-Function-Error-Type, or "".
FunctionFailed posted_error(std::string body, std::string_view header);

/// {"errorMessage": ..., "errorType": ...}
std::string error_document(std::string_view type, std::string_view message);

}  // namespace weir::emulator
