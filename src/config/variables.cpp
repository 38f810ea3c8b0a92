#include "config/variables.h"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

constexpr std::array<std::string_view, 22> kReserved{"_HANDLER",
                                                     "_X_AMZN_TRACE_ID",
                                                     "AWS_DEFAULT_REGION",
                                                     "AWS_REGION",
                                                     "AWS_EXECUTION_ENV",
                                                     "AWS_LAMBDA_FUNCTION_NAME",
                                                     "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                                     "AWS_LAMBDA_FUNCTION_VERSION",
                                                     "AWS_LAMBDA_INITIALIZATION_TYPE",
                                                     "AWS_LAMBDA_LOG_GROUP_NAME",
                                                     "AWS_LAMBDA_LOG_STREAM_NAME",
                                                     "AWS_ACCESS_KEY",
                                                     "AWS_ACCESS_KEY_ID",
                                                     "AWS_SECRET_ACCESS_KEY",
                                                     "AWS_SECRET_KEY",
                                                     "AWS_SESSION_TOKEN",
                                                     "AWS_LAMBDA_RUNTIME_API",
                                                     "LAMBDA_TASK_ROOT",
                                                     "LAMBDA_RUNTIME_DIR",
                                                     "AWS_LAMBDA_MAX_CONCURRENCY",
                                                     "AWS_LAMBDA_METADATA_API",
                                                     "AWS_LAMBDA_METADATA_TOKEN"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

bool is_reserved_variable(std::string_view name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

bool is_variable_name(std::string_view name) {
  return name.size() >= 2 && is_letter(name.front()) && std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
         });
}

}  // namespace weir::config
