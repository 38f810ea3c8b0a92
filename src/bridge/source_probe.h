#pragma once

#include <optional>

#include "weir/connector.h"

#include "config/config.h"

namespace weir::bridge {

/// Asks a queue or a stream whether it is there, as Lambda does when a mapping is made. What does not answer within a
/// few seconds, or not in a way that says so, may be there; so may what is asked by joining it, as Kafka is.
/// Errors: source.not_found; source.failed, a queue whose visibility timeout is less than the function's timeout.
net::awaitable<Result<void>> probe_source(config::SourceEntry source, SourceContext context,
                                          std::optional<Duration> function_timeout);

}  // namespace weir::bridge
