#include "gateway/aws_error.h"

namespace weir::gateway {

http::Response error_response(const AwsError& error) {
  http::Response response(error.status, "application/json", control::error_body(error));
  response.headers.add("x-amzn-ErrorType", error.type);
  return response;
}

}  // namespace weir::gateway
