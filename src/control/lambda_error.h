#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::control {

/// What Lambda's API answers instead of doing what was asked.
struct LambdaError {
  LambdaError() = default;
  LambdaError(int http_status, std::string_view exception, std::string text)
      : status(http_status), type(exception), message(std::move(text)) {}

  int status = 400;
  std::string type;     ///< "ResourceNotFoundException"
  std::string message;  ///< AWS's text
  std::string reason;   ///< of a throttle: "ConcurrentInvocationLimitExceeded"; else ""
};

/// The JSON body in Lambda's form: `Message` or `message` as the exception's model has it, and whose fault it is in
/// `Type`, unless the exception is the front door's.
std::string error_body(const LambdaError& error);

/// The mistakes that the API's model finds, all of them in one ValidationException.
class Validation {
 public:
  void mistake(std::string_view value, std::string_view where, std::string_view constraint);
  /// Of a member that is not there.
  void missing(std::string_view where);
  std::string sentence() const;
  std::optional<LambdaError> error() const;

 private:
  void add(const std::string& value, std::string_view where, std::string_view constraint);

  int count_ = 0;
  std::string list_;
};

}  // namespace weir::control
