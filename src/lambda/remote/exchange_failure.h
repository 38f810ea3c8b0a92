#pragma once

#include <string>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/invocation.h"

namespace weir::remote {

/// Why an exchange came to no answer, as far as callers care.
enum class ExchangeFailure {
  kUnreachable,    ///< no connection was made: the function certainly did not run, and another server may be asked
  kTimedOut,       ///< connected, but no whole answer in time
  kTooLarge,       ///< the result, an answer of status 200, is larger than the client takes
  kErrorTooLarge,  ///< so is an answer of another status
  kCutOff,         ///< the connection ended before the answer did
  kNotHttp,        ///< what came is not HTTP
  kOther,          ///< TLS, a request that cannot be sent, anything else
};

/// The kind of an error that http::Client gave (but `cancelled`). The client has one code for all of them, and a
/// sentence of its own or of libcurl's; a test asks for each through the real client, so that a change of those words
/// is found.
ExchangeFailure kind_of(const Error& error);

/// As sentences say it: "900 s", "0.2 s".
std::string in_seconds(Duration duration);

/// What the caller of the function is told. `url`: as a person may see it. `waited`: the exchange's time limit.
Outcome no_answer(const Error& error, const std::string& url, Duration waited);

}  // namespace weir::remote
