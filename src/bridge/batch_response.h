#pragma once

#include <string_view>

#include "weir/connector.h"
#include "weir/event/batch_response.h"

#include "engine/queue_processor.h"

namespace weir::bridge {

// What the answer of a function says whose mapping has ReportBatchItemFailures. An answer that is empty or no JSON
// object, or has no (or a null) batchItemFailures, reports nothing. What is no JSON, a list that is none, an entry
// without itemIdentifier, and an identifier that is null, empty or of another kind fail the whole batch (reference
// stream-sources.md, 5.2 to 5.4).

/// Of the records of a shard. `items`: whether failures are asked for, or a window's `state` alone.
BatchResponse read_batch_response(std::string_view payload, bool items, const PollSource& source, const ShardId& shard);

/// Of a queue's messages. Recorded there: an entry without any member is passed over, though the guide says otherwise
/// of a bad key.
engine::ItemFailures read_item_failures(std::string_view payload);

}  // namespace weir::bridge
