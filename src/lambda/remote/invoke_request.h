#pragma once

#include <string>
#include <string_view>

#include "weir/event/invocation.h"

#include "http/client.h"

namespace weir::remote {

/// Invoke (RequestResponse) as the API wants it: POST BASE/2015-03-31/functions/NAME/invocations?Qualifier=...
/// `base`: scheme, host and perhaps a path, with or without a slash at the end. `function`: a name or an ARN without a
/// qualifier. The payload stays where it is; timeouts are the caller's. Unsigned.
http::ClientRequest invoke_request(std::string_view base, std::string_view function, std::string_view qualifier,
                                   const Invocation& invocation);

}  // namespace weir::remote
