#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"

#include "service/bus_entry.h"

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
/// What many events that come together have in common in the middle of their envelopes: account, time and region.
struct EnvelopeFrame {
  std::string account;
  std::string region;
  WallTime second = WallTime::min();
  std::string text;  ///< as it stands in the envelope
};
/// The same. `frame`: the last event's, or one that was just made; it becomes this one's.
std::string envelope(const Event& event, EnvelopeFrame& frame);
/// The envelope without its detail and with the key detailType: what <aws.events.event> stands for.
std::string envelope_without_detail(const Event& event);
/// What the entry does not say is that of `unsaid`.
Event event_of(service::BusEntry entry, Event unsaid);
/// Reads what envelope() wrote of an event that was not replayed. Nothing when it is none. What it does not say is that
/// of `unsaid`.
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
/// A limit of weir's own: the deliveries of one event are kept together, and memory is not without end.
inline constexpr EntryError kEventTooLarge{"InvalidArgument", "The deliveries of the event are more than 64 MiB."};

/// What became of one entry.
struct PutResult {
  std::optional<EntryError> error;
  std::string id;  ///< of the event, when there is no error
};
/// The answer of a PutEvents.
std::string put_answer(const std::vector<PutResult>& results);

}  // namespace weir::eventbridge
