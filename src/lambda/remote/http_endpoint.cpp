#include "lambda/remote/http_endpoint.h"

namespace weir::remote {

Result<std::unique_ptr<LambdaEndpoint>> make_http_endpoint(net::any_io_executor, HttpEndpointSettings settings, Log&,
                                                           const Clock&) {
  return Error(ErrorCode::kEndpointFailed, "not yet: " + settings.name);
}

}  // namespace weir::remote
