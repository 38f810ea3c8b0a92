#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/connector.h"
#include "weir/event/batch_response.h"

namespace weir::bridge {

/// What an answer says in batchItemFailures and `state`, before anybody looks whether there are such records.
struct ReportedFailures {
  ReportedFailures() = default;

  bool understood = true;                ///< false: the whole batch counts as failed
  std::vector<std::string> identifiers;  ///< the JSON text of each itemIdentifier
  std::optional<std::string> state;      ///< the JSON text of `state`
};

/// Reads the answer of a function whose mapping has ReportBatchItemFailures. An answer that is empty or no JSON object,
/// or has no (or a null) batchItemFailures, reports nothing; one that is no JSON, a list that is none, an entry
/// without itemIdentifier, and a null or empty identifier are not understood (reference stream-sources.md 5.2, 5.3).
ReportedFailures read_reported_failures(std::string_view payload);

/// The same for the records of a shard. `items`: whether failures are asked for, or `state` alone.
BatchResponse read_batch_response(std::string_view payload, bool items, const PollSource& source, const ShardId& shard);

}  // namespace weir::bridge
