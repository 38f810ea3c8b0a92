// Events: they are put, and read in pages.
#include <charconv>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "connectors/logs/request.h"
#include "connectors/logs/service.h"

namespace weir::logs {
namespace {

constexpr std::size_t kEventsMax = 10'000;
constexpr std::size_t kPutBytes = 1'048'576;
constexpr std::int64_t kHour = 60 * 60 * 1000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kAheadMax = 2 * kHour;
constexpr std::int64_t kBehindMax = 14 * kDay;
constexpr std::size_t kStreamNames = 100;
/// FilterLogEvents goes backward through what began on or after 2024-01-01 alone.
constexpr std::int64_t kBackwardSince = 1'704'067'200'000;
/// What an answer holds of events, each counted with its 26 bytes as PutLogEvents does: one call's fit into one page.
constexpr std::size_t kPageBytes = 1'048'576;
/// An answer is given as it is after so much of the group that was not wanted, with a token to go on from.
constexpr std::size_t kLookedAtMax = 100'000;
constexpr std::size_t kLookedAtBytes = 64 * 1'048'576;
/// Of one look into the store, which also ends at a megabyte.
constexpr std::size_t kReadAtOnce = 1000;
/// What no clock says is as far away as any clock goes.
constexpr std::int64_t kFar = 9'000'000'000'000;

WallTime wall(std::int64_t milliseconds) {
  return from_epoch_milliseconds(std::clamp<std::int64_t>(milliseconds, 0, kFar));
}

std::vector<LogEvent> events_of(const Json& asked) {
  const Json* const list = list_of(asked, "logEvents", kEventsMax);
  if (list == nullptr) required(asked, "logEvents");
  std::vector<LogEvent> events;
  events.reserve(list->size());
  std::size_t bytes = 0;
  for (const Json& each : *list) {
    const std::string at = "logEvents." + std::to_string(events.size() + 1) + ".member";
    if (!each.is_object()) refuse("SerializationException", at + " has to be an object");
    LogEvent event;
    const auto timestamp = number_of(each, "timestamp", at + ".timestamp");
    if (!timestamp) required(each, "timestamp", at + ".timestamp");
    if (*timestamp < 0)
      unfit(std::to_string(*timestamp), at + ".timestamp", "Member must have value greater than or equal to 0");
    event.timestamp = *timestamp;
    event.message = required(each, "message", at + ".message");
    if (event.message.empty()) unfit("", at + ".message", "Member must have length greater than or equal to 1");
    bytes += event.message.size() + kEventOverhead;
    if (!events.empty() && event.timestamp < events.back().timestamp)
      invalid("Log events in a single PutLogEvents request must be in chronological order.");
    events.push_back(std::move(event));
  }
  if (bytes > kPutBytes)
    invalid("Upload too large: " + std::to_string(bytes) + " bytes exceeds limit of " + std::to_string(kPutBytes));
  return events;
}

/// Takes out what is too new, too old or expired by a group's retention, and says so.
Json reject(std::vector<LogEvent>& events, std::int64_t now, std::optional<std::int64_t> retention) {
  const auto behind = [&](std::int64_t oldest) {
    return static_cast<std::size_t>(std::ranges::lower_bound(events, oldest, {}, &LogEvent::timestamp) -
                                    events.begin());
  };
  const std::size_t too_old = behind(now - kBehindMax);
  const std::size_t expired = retention ? behind(now - *retention * kDay) : 0;
  const std::size_t too_new = behind(now + kAheadMax + 1);
  Json rejected = Json::object();
  if (too_new < events.size()) rejected["tooNewLogEventStartIndex"] = too_new;
  if (too_old > 0) rejected["tooOldLogEventEndIndex"] = too_old;
  if (expired > 0) rejected["expiredLogEventEndIndex"] = expired;
  events.erase(events.begin() + static_cast<std::ptrdiff_t>(too_new), events.end());
  events.erase(events.begin(),
               events.begin() + static_cast<std::ptrdiff_t>(std::min(std::max(too_old, expired), events.size())));
  return rejected;
}

}  // namespace

net::awaitable<std::string> LogsService::put_events(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  const std::string name = plain_name(asked.body, "logStreamName");
  std::vector<LogEvent> events = events_of(asked.body);

  const auto beside = co_await turns_.take(owner, service::Way::kBeside);
  const auto alone = co_await turns_.take(owner + "\n" + name, service::Way::kAlone);
  Group& written = group(owner);
  const auto found = written.streams.find(name);
  if (found == written.streams.end()) not_found("log stream");
  const std::int64_t time = now();
  Json rejected = reject(events, time, written.retention);
  if (!events.empty()) {
    // Of those that are left only: the others may be from anywhere.
    if (events.back().timestamp - events.front().timestamp > kDay)
      invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
    Stream stream = found->second;
    ServiceCommit what;
    const std::uint64_t hash = stable_hash(name);
    for (LogEvent& event : events) {
      const std::uint64_t number = next_number();
      event.id = event_id(event.timestamp, hash, number);
      KeptEvent kept;
      kept.log = written.log;
      kept.at = wall(event.timestamp);
      JsonWriter(kept.event)
          .begin_object()
          .member("stream", stream.number)
          .member("put", time)
          .member("number", number)
          .member("message", event.message)
          .end_object();
      what.kept.push_back(std::move(kept));
    }
    stream.first_event = std::min(stream.first_event.value_or(events.front().timestamp), events.front().timestamp);
    stream.last_event = std::max(stream.last_event.value_or(events.back().timestamp), events.back().timestamp);
    stream.last_put = time;
    what.notes.push_back(stream_note(owner, name, stream));
    std::vector<Batch> batches;
    for (const Filter& filter : written.filters) add_batches(filter, owner, name, events, batches);
    if (!batches.empty()) what.deliveries = co_await deliveries_of(std::move(batches), asked.trace_header);
    co_await commit(asked.host, std::move(what));
    found->second = stream;
  }
  Json out{{"nextSequenceToken", event_id(time, 0, next_number())}};
  if (!rejected.empty()) out["rejectedLogEventsInfo"] = std::move(rejected);
  co_return out.dump();
}

/// "f/MILLISECONDS/ID" or "b/MILLISECONDS/ID".
std::string LogsService::token_of(const Place& place) {
  return (place.forward ? "f/" : "b/") + std::to_string(place.at) + "/" + std::to_string(place.id);
}

LogsService::Place LogsService::place_of(std::string_view token) {
  Place place;
  const std::size_t slash = token.find('/', 2);
  bool good = (token.starts_with("f/") || token.starts_with("b/")) && slash != std::string_view::npos;
  if (good) {
    place.forward = token.front() == 'f';
    const char* const end = token.data() + token.size();
    const auto at = std::from_chars(token.data() + 2, end, place.at);
    good = at.ec == std::errc() && at.ptr == token.data() + slash && place.at >= 0 && place.at <= kFar;
    const auto id = std::from_chars(token.data() + slash + 1, end, place.id);
    good = good && id.ec == std::errc() && id.ptr == end &&
           place.id < static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  }
  if (!good) invalid("The specified nextToken is invalid.");
  return place;
}

/// The same place, looked at the other way: what was in front is behind.
LogsService::Place LogsService::turned(Place place) {
  if (place.forward) {
    ++place.id;
  } else if (place.id > 0) {
    --place.id;
  }
  place.forward = !place.forward;
  return place;
}

/// Reads on until there are as many as wanted, the page is full, or so much was looked at.
net::awaitable<LogsService::Page> LogsService::read(ServiceHost& host, const Wanted& wanted, Place place) {
  Page page;
  page.on = place;
  KeptRange range(wanted.log, kReadAtOnce);
  range.newest_first = !place.forward;
  range.from = wall(wanted.from);
  range.to = wall(wanted.to);
  std::size_t bytes = 0;
  std::size_t looked_at = 0;
  std::size_t looked_at_bytes = 0;
  while (looked_at < kLookedAtMax && looked_at_bytes < kLookedAtBytes) {
    const WallTime here = wall(page.on.at);
    if (page.on.forward && here >= range.from) {
      range.from = here;
      range.after = page.on.id;
    } else if (!page.on.forward && here <= range.to) {
      range.to = here;
      range.before = page.on.id;
    }
    const auto kept = co_await host.kept(range);
    if (!kept) throw service::not_kept(kept.error(), "ServiceUnavailableException");
    for (const KeptEvent& each : kept->events) {
      ++looked_at;
      looked_at_bytes += each.event.size();
      const Json inside = Json::parse(each.event, nullptr, false);
      if (inside.is_object()) {
        const auto stream = wanted.streams.find(inside.value("stream", std::uint64_t{0}));
        std::string message = inside.value("message", "");
        if (stream != wanted.streams.end() && (!wanted.pattern || wanted.pattern->matches(message))) {
          bytes += message.size() + kEventOverhead;
          if (page.events.size() == wanted.limit || (!page.events.empty() && bytes > kPageBytes)) co_return page;
          Found one;
          one.id = each.id;
          one.stream = stream->second;
          one.timestamp = epoch_milliseconds(each.at);
          one.put = inside.value("put", std::int64_t{0});
          one.number = inside.value("number", std::uint64_t{0});
          one.message = std::move(message);
          page.events.push_back(std::move(one));
        }
      }
      page.on.at = epoch_milliseconds(each.at);
      page.on.id = each.id;
    }
    if (!kept->more) {
      page.end = true;
      break;
    }
  }
  co_return page;
}

net::awaitable<std::string> LogsService::get_events(const Asked& asked) {
  const std::string owner = group_or_identifier(asked.body);
  const std::string name = plain_name(asked.body, "logStreamName");
  Wanted wanted;
  wanted.from = time_of(asked.body, "startTime").value_or(0);
  wanted.to = time_of(asked.body, "endTime").value_or(kFar);
  wanted.limit = limit_of(asked.body, kEventsMax);
  const auto token = text_of(asked.body, "nextToken");
  Place start;
  start.forward = flag_of(asked.body, "startFromHead", false);
  start.at = std::min(start.forward ? wanted.from : wanted.to, kFar);
  if (token) start = place_of(*token);

  const Group& read_from = group(owner);
  const auto stream = read_from.streams.find(name);
  if (stream == read_from.streams.end()) not_found("log stream");
  wanted.log = read_from.log;
  wanted.streams.emplace(stream->second.number, name);
  // Where the stream has nothing, nobody has to look through the others' events.
  wanted.from = std::max(wanted.from, stream->second.first_event.value_or(0));
  wanted.to = std::min(wanted.to, stream->second.last_event.value_or(-1) + 1);

  Page page = co_await read(asked.host, wanted, start);
  // At the end the token is the one that was given, which is how a reader knows it, whatever is put beside the stream.
  Place on = start;
  if (!page.end) {
    on = page.on;
  } else if (!page.events.empty()) {
    on.at = page.events.back().timestamp;
    on.id = page.events.back().id;
  }
  Place back = turned(start);
  if (!page.events.empty()) {
    back.at = page.events.front().timestamp;
    back.id = page.events.front().id;
  } else if (!token && !start.forward) {
    back.at = wanted.from;  // what comes later is found, whatever time it is of
    back.id = 0;
  }
  if (!start.forward) {
    std::ranges::reverse(page.events);
    std::swap(on, back);
  }
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("events").begin_array();
  for (const Found& each : page.events) {
    json.begin_object()
        .member("timestamp", each.timestamp)
        .member("message", each.message)
        .member("ingestionTime", each.put)
        .end_object();
  }
  json.end_array().member("nextForwardToken", token_of(on)).member("nextBackwardToken", token_of(back)).end_object();
  co_return out;
}

net::awaitable<std::string> LogsService::filter_events(const Asked& asked) {
  const std::string owner = group_or_identifier(asked.body);
  Wanted wanted;
  wanted.from = time_of(asked.body, "startTime").value_or(0);
  wanted.to = std::min(time_of(asked.body, "endTime").value_or(kFar), kFar) + 1;
  wanted.limit = limit_of(asked.body, kEventsMax);
  const std::string prefix = plain_prefix(asked.body, "logStreamNamePrefix");
  const Json* const list = list_of(asked.body, "logStreamNames", kStreamNames);
  if (list != nullptr && !prefix.empty()) invalid("A request cannot have both logStreamNames and logStreamNamePrefix.");
  std::set<std::string> names;
  if (list != nullptr) {
    std::size_t number = 0;
    for (const Json& each : *list) {
      const std::string at = "logStreamNames." + std::to_string(++number) + ".member";
      if (!each.is_string()) refuse("SerializationException", at + " has to be a string");
      check_plain_name(each.get_ref<const std::string&>(), at);
      names.insert(each.get<std::string>());
    }
  }
  auto pattern = pattern::LogPattern::compile(text_of(asked.body, "filterPattern").value_or(""));
  if (!pattern) invalid(pattern.error().message());
  wanted.pattern = std::move(*pattern);
  Place start;
  start.forward = flag_of(asked.body, "startFromHead", true);
  start.at = start.forward ? wanted.from : wanted.to;
  if (const auto token = text_of(asked.body, "nextToken")) {
    start = place_of(*token);
  } else if (!start.forward && wanted.from < kBackwardSince) {
    invalid("startFromHead can be false only where startTime is on or after Jan 1, 2024 00:00:00 UTC.");
  }

  const Group& read_from = group(owner);
  wanted.log = read_from.log;
  if (list != nullptr) {
    for (const std::string& name : names) {
      const auto stream = read_from.streams.find(name);
      if (stream == read_from.streams.end()) not_found("log stream");
      wanted.streams.emplace(stream->second.number, name);
    }
  } else {
    for (auto stream = read_from.streams.lower_bound(prefix);
         stream != read_from.streams.end() && stream->first.starts_with(prefix); ++stream)
      wanted.streams.emplace(stream->second.number, stream->first);
  }

  // Where these streams have nothing, nobody has to look through the others' events.
  std::int64_t first = kFar;
  std::int64_t last = -1;
  for (const auto& [number, stream_name] : wanted.streams) {
    const Stream& stream = read_from.streams.find(stream_name)->second;
    first = std::min(first, stream.first_event.value_or(kFar));
    last = std::max(last, stream.last_event.value_or(-1));
  }
  wanted.from = std::max(wanted.from, first);
  wanted.to = std::min(wanted.to, last + 1);

  const Page page = co_await read(asked.host, wanted, start);
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("events").begin_array();
  for (const Found& each : page.events) {
    json.begin_object()
        .member("logStreamName", each.stream)
        .member("timestamp", each.timestamp)
        .member("message", each.message)
        .member("ingestionTime", each.put)
        .member("eventId", event_id(each.timestamp, stable_hash(each.stream), each.number))
        .end_object();
  }
  json.end_array().key("searchedLogStreams").begin_array().end_array();
  if (!page.end) json.member("nextToken", token_of(page.on));
  json.end_object();
  co_return out;
}

}  // namespace weir::logs
