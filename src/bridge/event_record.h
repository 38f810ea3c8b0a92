#pragma once

#include <string>
#include <string_view>

#include "weir/event/invocation.h"

#include "engine/async_queue.h"
#include "store/event_store.h"

namespace weir::bridge {

/// AWS's own record of how an asynchronous invocation ended, as destinations get it, JSON (reference invoke.md, section
/// 3.4). `function_arn`: qualified, as the function was called. `outcome`: of the last attempt, where
/// `end.has_response`; else null.
std::string event_record(const engine::EndEvent& end, const store::StoredEvent& event, std::string_view function_arn,
                         const Outcome* outcome, WallTime now);

}  // namespace weir::bridge
