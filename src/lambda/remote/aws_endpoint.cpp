#include "lambda/remote/aws_endpoint.h"

namespace weir::remote {

Result<std::unique_ptr<LambdaEndpoint>> make_aws_endpoint(net::any_io_executor, net::any_io_executor,
                                                          AwsEndpointSettings settings, Log&, const Clock&) {
  return Error(ErrorCode::kEndpointFailed, "not yet: " + settings.name);
}

}  // namespace weir::remote
