#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "config/config.h"
#include "weir/base/log.h"
#include "weir/lambda_endpoint.h"

namespace weir::cli {

/// The endpoint that a function's configuration asks for. `folder`: where its environments' /tmp folders and its log go.
Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(net::any_io_executor executor, const config::FunctionConfig& function,
                                                      const std::string& folder, Log& log, const Clock& clock);

}  // namespace weir::cli
