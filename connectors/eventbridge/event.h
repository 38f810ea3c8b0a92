#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"

namespace weir::eventbridge {

/// AWS's limits of one PutEvents.
inline constexpr std::size_t kMaxEntries = 10;
inline constexpr std::size_t kMaxEntriesBytes = 1'048'576;

/// An event on a bus.
struct Event {
  std::string id;
  std::string detail_type;
  std::string source;
  std::string account;
  WallTime time;
  std::string region;
  std::string replay_name;  ///< "" of one that was not replayed
  std::vector<std::string> resources;
  std::string detail;  ///< a JSON object, as it was put

  std::string trace_header;  ///< is passed on, and no part of the envelope
};

/// "2026-03-04T05:06:07Z", as events have their time.
std::string iso_seconds(WallTime time);

/// Where the event's time and the account come from that events of weir's own have.
Event new_event(std::string id, WallTime now);

/// What targets get: version, id, detail-type, source, account, time, region, resources, detail.
/// Source: recorded from AWS, reference push-sources.md 4.2; the place of replay-name is from LocalStack's recordings.
std::string envelope(const Event& event);
/// The envelope without its detail and with the key detailType: what <aws.events.event> stands for.
std::string envelope_without_detail(const Event& event);
/// Reads what envelope() wrote, or somebody else. Nothing when there is no source, detail-type or detail. The rest is
/// that of `unsaid` where it is not there.
std::optional<Event> read_envelope(std::string_view json, Event unsaid);

/// One entry of PutEvents, as it was sent; a member that was not sent is "".
struct PutEntry {
  std::string source;
  std::string detail_type;
  std::string detail;
  std::vector<std::string> resources;
  std::optional<WallTime> time;
  std::string bus;  ///< a name or an ARN; "" is the default one
  std::string trace_header;
};

/// What AWS counts of an entry: 14 for a time, and the bytes of source, detail type, detail and resources.
std::size_t entry_size(const PutEntry& entry);

/// Why an entry was not taken, in AWS's words.
struct EntryError {
  std::string_view code;
  std::string_view message;
};
/// What can be said of an entry before its detail was read; that is the matching's business.
std::optional<EntryError> check_entry(const PutEntry& entry);
inline constexpr EntryError kMalformedDetail{"MalformedDetail", "Detail is malformed."};

}  // namespace weir::eventbridge
