#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/destination.h"

namespace weir::service {

/// What a destination or a service puts on an event bus: an entry of PutEvents, and what an event that is one already
/// says of itself.
struct BusEntry {
  std::string source;
  std::string detail_type;
  std::string detail;  ///< a JSON object, as it was spelt
  std::vector<std::string> resources;
  std::string time;  ///< "2026-03-04T05:06:07Z"; "": now
  std::string id;    ///< "" of one that was none yet, as the two that follow
  std::string account;
  std::string region;
};

/// Reads an event in the form that targets get it in, with at least source, detail-type and detail. Nothing when it is
/// none. `json` is well-formed.
std::optional<BusEntry> read_bus_event(std::string_view json);

/// What is put on a bus for a record: AWS's own form of how an asynchronous invocation ended (`record.function` is
/// set), or of a service the event that its text is. Nothing when it is none. `bus_arn`: it is the first of an
/// invocation's resources.
std::optional<BusEntry> bus_entry(const DestinationRecord& record, std::string_view bus_arn);

/// The account of the function that an invocation's record is about; "" when it says none.
std::string account_of(const DestinationRecord& record);

}  // namespace weir::service
