#pragma once

#include <string>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "http/message.h"

namespace weir::http {

/// Sends one request and waits for the answer; for the command line, which has nothing else to do. Whatever status
/// comes back is a value; http.failed says that no answer came and why. No proxy is used and no redirect followed.
/// `url`: "http://127.0.0.1:4581/status". `timeout`: for the whole exchange.
Result<Response> request(const std::string& method, const std::string& url, const std::string& body, Duration timeout,
                         const Headers& headers = {});

}  // namespace weir::http
