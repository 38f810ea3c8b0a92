#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/event/position.h"

namespace weir {

/// What the answer of a function that did not fail says of its batch, as far as the mapping's settings ask: with
/// `function_response_types: [ReportBatchItemFailures]` which records failed, with a tumbling window its new state.
struct BatchResponse {
  BatchResponse() = default;

  enum class Items {
    kAllDone,     ///< nothing is reported, or nobody asked
    kSomeFailed,  ///< those in `failed`
    kAllFailed,   ///< the report cannot be understood: the whole batch counts as failed
  };
  Items items = Items::kAllDone;
  std::vector<Position> failed;      ///< of kSomeFailed; in any order, possibly of no record of the batch
  std::optional<std::string> state;  ///< the JSON of `state`; none when the answer has no such member
};

}  // namespace weir
