#include "gateway/dead_letters_json.h"

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

namespace weir::gateway {
namespace {

using nlohmann::json;

void write_row(JsonWriter& out, const DeadLetterRow& row) {
  out.member("id", row.id).member("at", row.at).member("function", row.function).member("qualifier", row.qualifier);
  out.member("source", row.source).member("shard", row.shard).member("condition", row.condition);
  out.member("request_id", row.request_id).member("bytes", static_cast<std::uint64_t>(row.bytes));
}

/// A payload that is no JSON (a record that could not be made an event) can only be a string.
void write_json(JsonWriter& out, std::string_view name, std::string_view text) {
  out.key(name);
  if (is_json(text)) {
    out.raw(text);
  } else {
    out.value(text);
  }
}

}  // namespace

DeadLetterRow dead_letter_row(const store::DeadLetter& letter) {
  DeadLetterRow row;
  row.id = letter.id;
  row.at = iso_milliseconds(letter.at);
  row.function = letter.function;
  row.qualifier = letter.qualifier;
  row.source = letter.source;
  row.shard = letter.shard;
  row.bytes = letter.payload.size();
  // The record holds the payloads too, which are as large as events get: only its context is kept. A delivery's has
  // none, its condition stands by itself.
  const auto context_only = [](int depth, json::parse_event_t event, json& parsed) {
    return depth != 1 || event != json::parse_event_t::key || parsed == "requestContext" || parsed == "condition";
  };
  const json record = json::parse(letter.record, context_only, false);
  json context = json::object();
  if (record.is_object()) context = record.contains("requestContext") ? record["requestContext"] : record;
  const auto text = [&](const char* name) {
    const auto found = context.find(name);
    return found != context.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  row.condition = text("condition");
  row.request_id = text("requestId");
  return row;
}

std::string dead_letters_json(const std::vector<DeadLetterRow>& rows) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const DeadLetterRow& row : rows) {
    out.begin_object();
    write_row(out, row);
    out.end_object();
  }
  out.end_array();
  return text;
}

std::string dead_letter_json(const store::DeadLetter& letter) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  write_row(out, dead_letter_row(letter));
  write_json(out, "record", letter.record);
  write_json(out, "payload", letter.payload);
  out.end_object();
  return text;
}

}  // namespace weir::gateway
