#include "connectors/eventbridge/event.h"

#include <algorithm>
#include <chrono>

#include "weir/base/json_writer.h"
#include "weir/service.h"

#include "service/characters.h"

namespace weir::eventbridge {
namespace {

constexpr std::size_t kTimeBytes = 14;
constexpr std::size_t kMaxDetailType = 128;

enum class Detail { kLeftOut, kWritten };

void append_member(std::string& text, std::string_view before, std::string_view value) {
  text += before;
  append_json_escaped(text, value);
}

void fit_frame(EnvelopeFrame& frame, const Event& event) {
  const auto second = std::chrono::floor<std::chrono::seconds>(event.time);
  if (frame.second == second && frame.account == event.account && frame.region == event.region) return;
  frame.second = second;
  frame.account = event.account;
  frame.region = event.region;
  frame.text.clear();
  append_member(frame.text, R"(","account":")", event.account);
  append_member(frame.text, R"(","time":")", iso_seconds(event.time));
  append_member(frame.text, R"(","region":")", event.region);
}

std::string write(const Event& event, std::string_view type_key, Detail detail, EnvelopeFrame& frame) {
  constexpr std::size_t kKeys = 192;
  std::size_t size = kKeys + event.id.size() + event.detail_type.size() + event.source.size() + event.detail.size();
  for (const std::string& resource : event.resources) size += resource.size() + 3;
  std::string text;
  text.reserve(size);
  const auto member = [&](std::string_view before, std::string_view value) { append_member(text, before, value); };
  member(R"({"version":"0","id":")", event.id);
  member(R"(",")", type_key);
  member(R"(":")", event.detail_type);
  member(R"(","source":")", event.source);
  fit_frame(frame, event);
  text += frame.text;
  if (!event.replay_name.empty()) member(R"(","replay-name":")", event.replay_name);
  text += R"(","resources":)";
  if (event.resources.empty()) {
    text += "[]";
  } else {
    JsonWriter resources(text);
    resources.begin_array();
    for (const std::string& resource : event.resources) resources.value(resource);
    resources.end_array();
  }
  if (detail == Detail::kWritten) text.append(R"(,"detail":)").append(event.detail);
  text += '}';
  return text;
}

}  // namespace

std::string iso_seconds(WallTime time) {
  constexpr std::size_t kUpToSeconds = 19;
  std::string text = iso_milliseconds(time);
  text.resize(kUpToSeconds);
  text += 'Z';
  return text;
}

Event new_event(std::string id, WallTime now) {
  Event event;
  event.id = std::move(id);
  event.account = kLocalAccount;
  event.region = kLocalRegion;
  event.time = now;
  return event;
}

std::string envelope(const Event& event) {
  EnvelopeFrame frame;
  return envelope(event, frame);
}

std::string envelope(const Event& event, EnvelopeFrame& frame) {
  return write(event, "detail-type", Detail::kWritten, frame);
}

std::string envelope_without_detail(const Event& event) {
  EnvelopeFrame frame;
  return write(event, "detailType", Detail::kLeftOut, frame);
}

Event event_of(service::BusEntry entry, Event unsaid) {
  Event event = std::move(unsaid);
  event.source = std::move(entry.source);
  event.detail_type = std::move(entry.detail_type);
  event.detail = std::move(entry.detail);
  event.resources = std::move(entry.resources);
  if (!entry.id.empty()) event.id = std::move(entry.id);
  if (!entry.account.empty()) event.account = std::move(entry.account);
  if (!entry.region.empty()) event.region = std::move(entry.region);
  event.time = parse_iso(entry.time).value_or(event.time);
  return event;
}

std::optional<Event> read_envelope(std::string_view json, Event unsaid) {
  auto entry = service::read_bus_event(json);
  if (!entry) return std::nullopt;
  return event_of(std::move(*entry), std::move(unsaid));
}

std::size_t entry_size(const PutEntry& entry) {
  std::size_t size = entry.source.size() + entry.detail_type.size() + entry.detail.size();
  if (entry.time) size += kTimeBytes;
  for (const std::string& resource : entry.resources) size += resource.size();
  return size;
}

std::string put_answer(const std::vector<PutResult>& results) {
  constexpr std::size_t kResultBytes = 64;
  std::string body;
  body.reserve((results.size() + 1) * kResultBytes);
  const auto failed = std::count_if(results.begin(), results.end(), [](const PutResult& each) { return !!each.error; });
  body += R"({"FailedEntryCount":)";
  append_number(body, failed);
  body += R"(,"Entries":[)";
  for (const PutResult& each : results) {
    if (&each != &results.front()) body += ',';
    if (each.error) {
      JsonWriter out(body);
      out.begin_object().member("ErrorCode", each.error->code).member("ErrorMessage", each.error->message).end_object();
    } else {
      body.append(R"({"EventId":")").append(each.id).append(R"("})");  // a uuid needs no escapes
    }
  }
  body += "]}";
  return body;
}

std::optional<EntryError> check_entry(const PutEntry& entry) {
  constexpr std::string_view kInvalid = "InvalidArgument";
  if (entry.source.empty()) {
    return EntryError{kInvalid, "Parameter Source is not valid. Reason: Source is a required argument."};
  }
  if (entry.source.starts_with("aws.")) {
    return EntryError{"NotAuthorizedForSourceException", "Not authorized for the source."};
  }
  if (entry.detail_type.empty()) {
    return EntryError{kInvalid, "Parameter DetailType is not valid. Reason: DetailType is a required argument."};
  }
  if (service::characters(entry.detail_type) > kMaxDetailType) {
    return EntryError{kInvalid, "Parameter DetailType is not valid. Reason: DetailType has more than 128 characters."};
  }
  if (entry.detail.empty()) {
    return EntryError{kInvalid, "Parameter Detail is not valid. Reason: Detail is a required argument."};
  }
  const std::size_t first = entry.detail.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || entry.detail[first] != '{') return kMalformedDetail;
  return std::nullopt;
}

}  // namespace weir::eventbridge
