#pragma once

#include <string>
#include <string_view>

#include "weir/service.h"

namespace weir::service {

/// Why a call of a service's API was refused, in AWS's words.
struct ApiError {
  ApiError() = default;
  ApiError(int http_status, std::string_view exception, std::string text)
      : status(http_status), code(exception), message(std::move(text)) {}

  int status = 400;
  std::string code;  ///< "ResourceNotFoundException"
  std::string message;
};

/// What a call is answered when what it asked for could not be kept: the caller's SDK repeats it. `code`: what the
/// service calls that ("InternalException"). A delivery that its target would never take (event.refused) is the
/// caller's mistake, and no matter for this.
ApiError not_kept(const Error& error, std::string_view code);

/// Of the JSON protocols. `version`: "1.0" or "1.1", "" of REST.
ServiceAnswer json_answer(std::string body, std::string_view version = "1.1");
/// {"__type": "...", "message": "..."} and x-amzn-ErrorType.
ServiceAnswer json_error(const ApiError& error, std::string_view version = "1.1");

/// Of the query protocol: OPERATIONResponse with OPERATIONResult, which holds `result` (XML; an operation that has none
/// gives ""), and ResponseMetadata. `name_space`: "http://sns.amazonaws.com/doc/2010-03-31/".
ServiceAnswer form_answer(std::string_view operation, std::string_view result, std::string_view name_space,
                          std::string_view request_id);
ServiceAnswer form_error(const ApiError& error, std::string_view name_space, std::string_view request_id);

}  // namespace weir::service
