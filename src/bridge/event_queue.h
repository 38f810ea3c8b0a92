#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "weir/base/random.h"

#include "bridge/invoker.h"
#include "config/config.h"
#include "engine/async_queue.h"
#include "runtime/inbox.h"
#include "runtime/task_scope.h"
#include "store/event_store.h"

namespace weir::bridge {

/// An asynchronous invocation on its way into the queue.
struct NewEvent {
  NewEvent() = default;

  std::string function;
  std::string qualifier;
  std::string request_id;    ///< "": a new one
  std::string source;        ///< of the configuration, or "" for a call of the Invoke API
  std::string trace_header;  ///< X-Amzn-Trace-Id of the caller, or ""
  std::string payload;       ///< JSON, at most kMaxAsyncRequestBytes
};

}  // namespace weir::bridge
