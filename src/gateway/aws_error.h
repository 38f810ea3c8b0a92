#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace weir::gateway {

/// What one of AWS's APIs answers instead of doing what was asked.
struct AwsError {
  AwsError() = default;
  AwsError(int http_status, std::string_view exception, std::string text)
      : status(http_status), type(exception), message(std::move(text)) {}

  int status = 400;
  std::string type;     ///< "ResourceNotFoundException"
  std::string message;  ///< AWS's text
  std::string reason;   ///< of a throttle: "ConcurrentInvocationLimitExceeded"; else ""
};

/// Status, x-amzn-ErrorType and the JSON body in Lambda's form: `Message` or `message` as the exception's model has it,
/// and whose fault it is in `Type`, unless the exception is the front door's.
http::Response error_response(const AwsError& error);

}  // namespace weir::gateway
