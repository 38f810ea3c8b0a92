#include "lambda/emulator/error_documents.h"

#include <cstdio>

#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/wait.h>

#include "weir/base/json_writer.h"

namespace weir::emulator {

namespace {

/// The names of Go's syscall package on Linux.
std::string signal_name(int number) {
  switch (number) {
    case SIGHUP:
      return "hangup";
    case SIGINT:
      return "interrupt";
    case SIGQUIT:
      return "quit";
    case SIGILL:
      return "illegal instruction";
    case SIGTRAP:
      return "trace/breakpoint trap";
    case SIGABRT:
      return "aborted";
    case SIGBUS:
      return "bus error";
    case SIGFPE:
      return "floating point exception";
    case SIGKILL:
      return "killed";
    case SIGUSR1:
      return "user defined signal 1";
    case SIGSEGV:
      return "segmentation fault";
    case SIGUSR2:
      return "user defined signal 2";
    case SIGPIPE:
      return "broken pipe";
    case SIGALRM:
      return "alarm clock";
    case SIGTERM:
      return "terminated";
    default:
      return "signal " + std::to_string(number);
  }
}

FunctionFailed failed(std::string_view type, std::string_view message) {
  FunctionFailed result;
  result.error_type = type;
  JsonWriter(result.payload).begin_object().member("errorType", type).member("errorMessage", message).end_object();
  return result;
}

std::string of_request(std::string_view request_id, std::string_view message) {
  return "RequestId: " + std::string(request_id) + " Error: " + std::string(message);
}

}  // namespace

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return "with error: signal: " + signal_name(WTERMSIG(status));
  if (WEXITSTATUS(status) == 0) return "without providing a reason";
  return "with error: exit status " + std::to_string(WEXITSTATUS(status));
}

std::string describe_extension_exit(int status) {
  if (WIFSIGNALED(status)) return "signal: " + signal_name(WTERMSIG(status));
  return (WEXITSTATUS(status) == 0 ? "exit code " : "exit status ") + std::to_string(WEXITSTATUS(status));
}

FunctionFailed timed_out(std::string_view request_id, Duration timeout) {
  char seconds[64];
  std::snprintf(seconds, sizeof(seconds), "Task timed out after %.2f seconds", as_seconds(timeout));
  return failed("Sandbox.Timedout", of_request(request_id, seconds));
}

FunctionFailed exited(std::string_view request_id, int status, bool out_of_memory) {
  return failed(out_of_memory ? "Runtime.OutOfMemory" : "Runtime.ExitError",
                of_request(request_id, "Runtime exited " + describe_exit(out_of_memory ? SIGKILL : status)));
}

FunctionFailed cannot_start(std::string_view request_id, std::string_view type, std::string_view why) {
  return failed(type, of_request(request_id, why));
}

FunctionFailed truncated(std::string_view request_id) {
  return failed("Runtime.TruncatedResponse", of_request(request_id, "Runtime ended its response before it was whole"));
}

FunctionFailed response_too_large(std::size_t limit) {
  FunctionFailed result;
  result.error_type = "Function.ResponseSizeTooLarge";
  result.payload = error_document(result.error_type, "Response payload size exceeded maximum allowed payload size (" +
                                                         std::to_string(limit) + " bytes).");
  return result;
}

FunctionFailed posted_error(std::string body, std::string_view header) {
  FunctionFailed result;
  result.error_type = header;
  const nlohmann::json document = nlohmann::json::parse(body, nullptr, false);
  if (document.is_object()) {
    const auto type = document.find("errorType");
    if (type != document.end() && type->is_string()) result.error_type = type->get<std::string>();
    result.payload = std::move(body);
  }
  if (result.error_type.empty()) result.error_type = "Function.Unknown";
  if (result.payload.empty()) result.payload = error_document(result.error_type, body);
  return result;
}

std::string error_document(std::string_view type, std::string_view message) {
  std::string text;
  JsonWriter(text).begin_object().member("errorMessage", message).member("errorType", type).end_object();
  return text;
}

}  // namespace weir::emulator
