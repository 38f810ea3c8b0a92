#pragma once

#include <string>
#include <string_view>

#include "weir/connector.h"

#include "engine/shard_processor.h"

namespace weir::bridge {

/// AWS's own record of what an event source mapping gave up on (reference stream-sources.md, section 6), as JSON.
/// `function_arn`: with the qualifier, where the mapping's function has one. The source writes the member that
/// describes the batch, for example "KinesisBatchInfo"; of a window's final call, which has no records, too.
std::string discard_record(const engine::Discard& discard, std::string_view function_arn, WallTime now,
                           const PollSource& source, const ShardId& shard, std::size_t payload_bytes);

}  // namespace weir::bridge
