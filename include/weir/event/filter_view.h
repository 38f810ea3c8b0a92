#pragma once

#include <string>
#include <string_view>

namespace weir {

/// A record as filters see it.
struct FilterView {
  FilterView() = default;

  /// A JSON object of the members that stand beside the body. Only filled where FilterCriteria::needs_metadata();
  /// of DynamoDB, whose body is a member like the others, the whole record.
  std::string metadata;
  std::string_view body;  ///< the body as it was sent, base64 undone: Kinesis `data`, Kafka `value`, SQS `body`
  bool has_body = true;   ///< false: a Kafka tombstone
};

}  // namespace weir
