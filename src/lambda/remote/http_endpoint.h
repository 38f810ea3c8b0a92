#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/lambda_endpoint.h"

namespace weir::remote {

/// A function behind one or several servers that speak the Invoke API: RIE, SAM, LocalStack, another weir.
struct HttpEndpointSettings {
  std::string name;               ///< in the configuration; for errors and logs
  std::vector<std::string> urls;  ///< at least one; "http://127.0.0.1:9000", a path is put before the API's
  std::string function_name;      ///< what it is called there; RIE: "function"
  int requests_per_url = 1;       ///< at a time; RIE takes one. Further calls wait for their turn, oldest first
  Duration timeout = std::chrono::seconds(900);  ///< for one exchange, and for the wait for a turn
};

/// Invokes by POST /2015-03-31/functions/NAME/invocations. What RIE does otherwise than Lambda is understood: errors
/// without X-Amz-Function-Error, the plain text of a timeout, 400 while it is busy. A URL that cannot be reached is
/// passed over for a while when there are others. Down, hanging, HTML, a cut-off answer and a redirect are
/// ServiceFailed with a sentence that names the URL.
Result<std::unique_ptr<LambdaEndpoint>> make_http_endpoint(net::any_io_executor executor, HttpEndpointSettings settings,
                                                           Log& log, const Clock& clock);

}  // namespace weir::remote
