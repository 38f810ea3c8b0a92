#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/log.h"
#include "weir/lambda_endpoint.h"

#include "config/config.h"

namespace weir::cli {

/// The endpoint that a function's configuration asks for. `version`: which one of a function that weir runs itself; ""
/// of others. `blocking`: a pool's executor. `folder`: where its environments' /tmp folders and its log go. `aws`: the
/// configuration's, for what a function of real Lambda leaves open.
Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                      const config::FunctionConfig& function,
                                                      const std::string& version, const AwsAccess& aws,
                                                      const std::string& folder, Log& log, const Clock& clock);

}  // namespace weir::cli
