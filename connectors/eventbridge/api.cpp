#include "connectors/eventbridge/api.h"

#include <algorithm>

#include "connectors/eventbridge/api_call.h"

namespace weir::eventbridge {

using nlohmann::json;

std::optional<Reply> Api::handle(std::string_view operation, std::string_view body) const {
  for (const auto operations : {bus_operations(), rule_operations(), archive_operations()}) {
    const auto found = std::find_if(operations.begin(), operations.end(),
                                    [&](const Operation& each) { return each.name == operation; });
    if (found == operations.end()) continue;
    Call call{model_, host_, now_, Arguments(body)};
    if (call.wrong()) return call.refuse();
    return found->handle(call);
  }
  return std::nullopt;
}

PutRequest read_put_events(std::string_view body) {
  PutRequest request;
  Arguments arguments(body);
  if (!arguments.has("Entries")) arguments.refuse(constraint("null", "entries", "not be null"));
  std::vector<json> entries = arguments.objects("Entries");
  if (!arguments.error() && entries.empty()) {
    arguments.refuse(constraint("'[]'", "entries", "have length greater than or equal to 1"));
  }
  if (entries.size() > kMaxEntries) {
    arguments.refuse(constraint("'[PutEventsRequestEntry]'", "entries", "have length less than or equal to 10"));
  }
  std::size_t size = 0;
  for (json& each : entries) {
    if (arguments.error()) break;
    Arguments fields(std::move(each));
    PutEntry entry;
    entry.source = fields.text("Source");
    entry.detail_type = fields.text("DetailType");
    entry.detail = fields.text("Detail");
    entry.resources = fields.texts("Resources");
    entry.time = fields.time("Time");
    entry.bus = fields.text("EventBusName");
    entry.trace_header = fields.text("TraceHeader");
    arguments.take(fields);
    size += entry_size(entry);
    request.entries.push_back(std::move(entry));
  }
  if (size > kMaxEntriesBytes) arguments.refuse(invalid("Total size of the entries in the request is over the limit."));
  request.error = arguments.error();
  return request;
}

service::ApiError unknown_operation() {
  return refusal("UnknownOperationException", "");
}

}  // namespace weir::eventbridge
