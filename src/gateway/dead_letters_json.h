#pragma once

#include <string>
#include <vector>

#include "store/event_store.h"

namespace weir::gateway {

/// A dead letter as lists show it.
struct DeadLetterRow {
  std::uint64_t id = 0;
  std::string at;  ///< ISO 8601
  std::string function;
  std::string qualifier;
  std::string source;  ///< "" for a call of the Invoke API
  std::string shard;
  std::string condition;   ///< of AWS's record: "RetriesExhausted"
  std::string request_id;  ///< of AWS's record
  std::size_t bytes = 0;   ///< of the payload
};

/// `letter`: whole, with its record and payload.
DeadLetterRow dead_letter_row(const store::DeadLetter& letter);

/// [{"id", "at", "function", "qualifier", "source", "shard", "condition", "request_id", "bytes"}]
std::string dead_letters_json(const std::vector<DeadLetterRow>& rows);

/// The same of one, with "record" (AWS's own) and "payload" (the event) as JSON.
std::string dead_letter_json(const store::DeadLetter& letter);

}  // namespace weir::gateway
