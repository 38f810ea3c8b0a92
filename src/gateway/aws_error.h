#pragma once

#include "control/lambda_error.h"
#include "http/message.h"

namespace weir::gateway {

/// What one of AWS's APIs answers instead of doing what was asked.
using AwsError = control::LambdaError;

/// Status, x-amzn-ErrorType and the JSON body in Lambda's form.
http::Response error_response(const AwsError& error);

}  // namespace weir::gateway
