#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/destination.h"

/// A topic of the source's own cluster as its mapping's destination.
namespace weir::kafka {

std::string check_destination(std::string_view target, std::string_view source_type);
/// The context's source is one of type kafka.
Result<std::unique_ptr<Destination>> make_destination(std::string target, DestinationContext context);

/// A message of the destination's topic.
struct FailedRecord {
  FailedRecord() = default;

  std::optional<std::string> key;  ///< the record's own
  std::string value;
};

/// One message for each record of the event: AWS's record, whose batch is that record alone, with an event of its own
/// as `payload`. Source: kafka-on-failure-destination. destination.failed when they are not what weir's source of Kafka
/// makes.
Result<std::vector<FailedRecord>> failed_records(const DestinationRecord& discard);

}  // namespace weir::kafka
