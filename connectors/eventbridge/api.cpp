#include "connectors/eventbridge/api.h"

#include <algorithm>

#include "weir/base/json_check.h"

#include "connectors/eventbridge/api_call.h"
#include "service/json_text.h"

namespace weir::eventbridge {

namespace {

/// Reads the entries of a PutEvents in one pass, with no tree: of all calls it is the one that comes often. The first
/// mistake counts.
class PutReader {
 public:
  const std::optional<service::ApiError>& error() const { return error_; }

  std::vector<PutEntry> entries(std::string_view body) {
    std::vector<PutEntry> all;
    const std::string_view list = list_of(body);
    std::size_t size = 0;
    std::size_t count = 0;
    service::each_element(list, [&](std::string_view value) {
      if (!value.starts_with('{')) return wrong("Entries");
      if (++count > kMaxEntries) return;
      all.push_back(entry(value));
      size += entry_size(all.back());
    });
    if (!error_ && count == 0) refuse(constraint("'[]'", "entries", "have length greater than or equal to 1"));
    if (count > kMaxEntries) {
      refuse(constraint("'[PutEventsRequestEntry]'", "entries", "have length less than or equal to 10"));
    }
    if (size > kMaxEntriesBytes) refuse(invalid("Total size of the entries in the request is over the limit."));
    return all;
  }

 private:
  std::string_view list_of(std::string_view body) {
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    if (!body.empty() && (!is_json(body) || body[first] != '{')) {
      refuse(refusal("SerializationException", "The request's body is no JSON object."));
      return "";
    }
    const std::string_view list = service::member_of(body, "Entries").value_or("null");
    if (list == "null") {
      refuse(constraint("null", "entries", "not be null"));
    } else if (!list.starts_with('[')) {
      wrong("Entries");
    }
    return list;
  }

  PutEntry entry(std::string_view json) {
    PutEntry entry;
    service::each_member(json, [&](std::string_view name, std::string_view value) {
      if (value == "null") return;
      if (name == "Source") entry.source = text(name, value);
      if (name == "DetailType") entry.detail_type = text(name, value);
      if (name == "Detail") entry.detail = text(name, value);
      if (name == "EventBusName") entry.bus = text(name, value);
      if (name == "TraceHeader") entry.trace_header = text(name, value);
      if (name == "Time") entry.time = time(name, value);
      if (name == "Resources") entry.resources = texts(name, value);
    });
    return entry;
  }

  std::string text(std::string_view name, std::string_view value) {
    if (!value.starts_with('"')) wrong(name);
    return service::decoded(value);
  }
  std::vector<std::string> texts(std::string_view name, std::string_view value) {
    std::vector<std::string> all;
    if (!value.starts_with('[')) wrong(name);
    service::each_element(value, [&](std::string_view each) { all.push_back(text(name, each)); });
    return all;
  }
  std::optional<WallTime> time(std::string_view name, std::string_view value) {
    auto read = read_time(nlohmann::json::parse(value, nullptr, false));
    if (!read) wrong(name);
    return read;
  }

  void wrong(std::string_view name) {
    refuse(refusal("SerializationException", "The argument " + std::string(name) + " has the wrong type."));
  }
  void refuse(service::ApiError error) {
    if (!error_) error_ = std::move(error);
  }

  std::optional<service::ApiError> error_;
};

}  // namespace

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
  PutReader reader;
  PutRequest request;
  request.entries = reader.entries(body);
  request.error = reader.error();
  return request;
}

service::ApiError unknown_operation() {
  return refusal("UnknownOperationException", "");
}

}  // namespace weir::eventbridge
