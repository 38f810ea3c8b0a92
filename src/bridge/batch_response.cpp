#include "bridge/batch_response.h"

#include <nlohmann/json.hpp>

namespace weir::bridge {
namespace {

using Json = nlohmann::json;

void read_items(const Json& items, ReportedFailures& out) {
  if (items.is_null()) return;
  out.understood = items.is_array();
  if (!out.understood) return;
  for (const Json& item : items) {
    const auto identifier = item.is_object() ? item.find("itemIdentifier") : item.end();
    if (!item.is_object() || identifier == item.end() || identifier->is_null() || *identifier == "") {
      out.understood = false;
      return;
    }
    out.identifiers.push_back(identifier->dump());
  }
}

}  // namespace

ReportedFailures read_reported_failures(std::string_view payload) {
  ReportedFailures out;
  if (payload.empty()) return out;
  const Json answer = Json::parse(payload, nullptr, false);
  out.understood = !answer.is_discarded();
  if (!answer.is_object()) return out;
  if (const auto state = answer.find("state"); state != answer.end()) out.state = state->dump();
  if (const auto items = answer.find("batchItemFailures"); items != answer.end()) read_items(*items, out);
  return out;
}

BatchResponse read_batch_response(std::string_view payload, bool items, const PollSource& source,
                                  const ShardId& shard) {
  ReportedFailures reported = read_reported_failures(payload);
  BatchResponse response;
  response.state = std::move(reported.state);
  if (!items) return response;
  if (!reported.understood) {
    response.items = BatchResponse::Items::kAllFailed;
    return response;
  }
  for (const std::string& identifier : reported.identifiers) {
    auto position = source.identified(shard, identifier);
    if (!position) {
      response.items = BatchResponse::Items::kAllFailed;
      response.failed.clear();
      return response;
    }
    response.items = BatchResponse::Items::kSomeFailed;
    response.failed.push_back(std::move(*position));
  }
  return response;
}

}  // namespace weir::bridge
