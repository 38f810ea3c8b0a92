#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/log.h"
#include "weir/lambda_endpoint.h"

#include "config/config.h"

namespace weir::emulator {
class SharedControlGroups;
}

namespace weir::cli {

/// What the functions that weir runs itself have in common.
struct FunctionHome {
  std::string folder;  ///< where their environments' /tmp folders and their logs go
  config::FunctionLogsConfig logs;
  std::shared_ptr<emulator::SharedControlGroups> control_groups;  ///< null: none are looked for
};

/// The endpoint that a function's configuration asks for. `version`: which one of a function that weir runs itself; ""
/// of others. `blocking`: a pool's executor. `aws`: the configuration's, for what a function of real Lambda leaves
/// open.
Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                      const config::FunctionConfig& function,
                                                      const std::string& version, const AwsAccess& aws,
                                                      const FunctionHome& home, Log& log, const Clock& clock);

}  // namespace weir::cli
