#include "weir/event/window.h"

#include "weir/base/json_writer.h"

namespace weir {
namespace {

/// "2026-09-12T07:00:00Z": whole seconds, as recorded.
std::string iso_seconds(WallTime time) {
  std::string text = iso_milliseconds(time);
  text.replace(text.size() - 5, 5, "Z");
  return text;
}

}  // namespace

std::string window_members(std::string_view shard_id, std::string_view source_arn, const WindowCall& window) {
  std::string out = ",\"shardId\":\"";
  append_json_escaped(out, shard_id);
  out += "\",\"eventSourceARN\":\"";
  append_json_escaped(out, source_arn);
  out += "\",\"window\":{\"start\":\"" + iso_seconds(window.start) + "\",\"end\":\"" + iso_seconds(window.end) + "\"}";
  out += ",\"state\":" + window.state;
  out += std::string(",\"isFinalInvokeForWindow\":") + (window.is_final ? "true" : "false");
  out += std::string(",\"isWindowTerminatedEarly\":") + (window.terminated_early ? "true" : "false");
  return out;
}

}  // namespace weir
