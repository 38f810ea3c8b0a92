#include "bridge/batch_response.h"

#include <nlohmann/json.hpp>

namespace weir::bridge {
namespace {

using Json = nlohmann::json;

/// Calls `take` with each itemIdentifier; false when the report, or take(), makes no sense of it. `pass_empty`: an
/// entry without any member is no mistake.
template <typename Take>
bool each_identifier(const Json& answer, bool pass_empty, Take take) {
  if (answer.is_discarded()) return false;
  if (!answer.is_object()) return true;
  const auto items = answer.find("batchItemFailures");
  if (items == answer.end() || items->is_null()) return true;
  if (!items->is_array()) return false;
  for (const Json& item : *items) {
    if (!item.is_object()) return false;
    if (pass_empty && item.empty()) continue;
    const auto identifier = item.find("itemIdentifier");
    if (identifier == item.end() || !take(*identifier)) return false;
  }
  return true;
}

/// Whether lists and objects stand in each other deeper than anybody means them to: writing such a value again goes as
/// deep, on the stack.
bool is_too_deep(std::string_view json) {
  constexpr int kMost = 1000;
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\') ++i;
      in_text = c != '"';
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMost) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

/// No payload at all is as good as null; one that is too deep as good as no JSON.
Json parse(std::string_view payload) {
  if (payload.empty()) return Json();
  return is_too_deep(payload) ? Json(Json::value_t::discarded) : Json::parse(payload, nullptr, false);
}

}  // namespace

BatchResponse read_batch_response(std::string_view payload, bool items, const PollSource& source,
                                  const ShardId& shard) {
  const Json answer = parse(payload);
  BatchResponse response;
  if (const auto state = answer.find("state"); answer.is_object() && state != answer.end()) {
    response.state = state->dump();
  }
  if (!items) return response;
  const bool understood = each_identifier(answer, false, [&](const Json& identifier) {
    auto position = source.identified(shard, identifier.dump());
    if (!position) return false;
    response.items = BatchResponse::Items::kSomeFailed;
    response.failed.push_back(std::move(*position));
    return true;
  });
  if (!understood) response.items = BatchResponse::Items::kAllFailed;
  return response;
}

engine::ItemFailures read_item_failures(std::string_view payload) {
  engine::ItemFailures failures;
  const bool understood = each_identifier(parse(payload), true, [&](const Json& identifier) {
    if (!identifier.is_string() || identifier == "") return false;
    failures.kind = engine::ItemFailures::Kind::kSome;
    failures.ids.push_back(identifier.get<std::string>());
    return true;
  });
  if (!understood) failures.kind = engine::ItemFailures::Kind::kAll;
  return failures;
}

}  // namespace weir::bridge
