#include "connectors/logs/service.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <limits>
#include <set>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "connectors/logs/config.h"
#include "connectors/logs/connector.h"
#include "service/answers.h"
#include "service/arn.h"

namespace weir::logs {
namespace {

using service::ApiError;
using Json = nlohmann::json;

constexpr std::size_t kPutEvents = 10'000;
constexpr std::size_t kPutBytes = 1'048'576;
constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kAheadMax = 2 * kHour;
constexpr std::int64_t kBehindMax = 14 * kDay;
constexpr std::size_t kFiltersMax = 2;
constexpr std::size_t kRegexFiltersMax = 5;
constexpr std::size_t kPageBytes = 1'048'576;
/// A page is given up as it is after so many events that nobody wanted, with a token to go on from.
constexpr std::size_t kLookedAtMax = 100'000;
constexpr std::size_t kReadAtOnce = 1000;
constexpr auto kRetentionEvery = std::chrono::minutes(1);

[[noreturn]] void refuse(std::string_view code, std::string message) {
  throw ApiError(400, code, std::move(message));
}
[[noreturn]] void invalid(std::string message) {
  refuse("InvalidParameterException", std::move(message));
}
[[noreturn]] void not_found(std::string_view what) {
  refuse("ResourceNotFoundException", "The specified " + std::string(what) + " does not exist.");
}

std::string constraint(std::string_view key, std::string_view says) {
  return "1 validation error detected: Value at '" + std::string(key) +
         "' failed to satisfy constraint: " + std::string(says);
}

std::optional<std::string> text_of(const Json& asked, const char* key) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) refuse("SerializationException", std::string(key) + " has to be a string");
  return found->get<std::string>();
}
std::string required(const Json& asked, const char* key) {
  auto text = text_of(asked, key);
  if (!text)
    invalid("1 validation error detected: Value null at '" + std::string(key) +
            "' failed to satisfy constraint: Member must not be null");
  return std::move(*text);
}
std::optional<std::int64_t> number_of(const Json& asked, const char* key) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return std::nullopt;
  if (!found->is_number_integer()) refuse("SerializationException", std::string(key) + " has to be a whole number");
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    refuse("SerializationException", std::string(key) + " is too large a number");
  return found->get<std::int64_t>();
}
bool flag_of(const Json& asked, const char* key) {
  const auto found = asked.find(key);
  if (found == asked.end() || found->is_null()) return false;
  if (!found->is_boolean()) refuse("SerializationException", std::string(key) + " has to be true or false");
  return found->get<bool>();
}
std::size_t limit_of(const Json& asked, std::size_t most) {
  const auto limit = number_of(asked, "limit");
  if (!limit) return most;
  if (*limit < 1) invalid(constraint("limit", "Member must have value greater than or equal to 1"));
  if (*limit > static_cast<std::int64_t>(most))
    invalid(constraint("limit", "Member must have value less than or equal to " + std::to_string(most)));
  return static_cast<std::size_t>(*limit);
}

std::string log_of(const std::string& group) {
  return "group/" + group;
}
std::string group_arn(const std::string& name) {
  return service::local_arn("logs", "log-group:" + name);
}
/// A log group's name has no line's end.
std::string note_key(std::string_view kind, const std::string& group, const std::string& name) {
  return std::string(kind) + group + "\n" + name;
}
constexpr std::string_view kGroupNote = "group/";
constexpr std::string_view kStreamNote = "stream/";
constexpr std::string_view kFilterNote = "filter/";

/// A page of things in a row, behind what the token says.
template <typename Items, typename Name>
std::string paged(const char* key, const Json& asked, std::size_t most, Items items, const Name& name_of) {
  const std::size_t limit = limit_of(asked, most);
  const std::string token = text_of(asked, "nextToken").value_or("");
  if (!token.empty()) {
    const auto last = std::ranges::find(items, token, name_of);
    if (last == items.end()) invalid("The specified nextToken is invalid.");
    items.erase(items.begin(), last + 1);
  }
  const bool more = items.size() > limit;
  if (more) items.resize(limit);
  Json out{{key, Json::array()}};
  if (more) out["nextToken"] = name_of(items.back());
  for (auto& item : items) out[key].push_back(std::move(item));
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// "f/MILLISECONDS/ID": behind that event; "b/...": in front of it.
struct Place {
  char direction = 'f';
  std::int64_t at = 0;
  std::uint64_t id = 0;
};
std::string token_of(const Place& place) {
  return std::string(1, place.direction) + "/" + std::to_string(place.at) + "/" + std::to_string(place.id);
}
Place place_of(std::string_view token) {
  Place place;
  const std::size_t slash = token.find('/', 2);
  bool good =
      token.size() > 2 && (token[0] == 'f' || token[0] == 'b') && token[1] == '/' && slash != std::string_view::npos;
  if (good) {
    place.direction = token[0];
    const char* const end = token.data() + token.size();
    const auto at = std::from_chars(token.data() + 2, end, place.at);
    good = at.ec == std::errc() && at.ptr == token.data() + slash;
    const auto id = std::from_chars(token.data() + slash + 1, end, place.id);
    good = good && id.ec == std::errc() && id.ptr == end;
  }
  if (!good) invalid("The specified nextToken is invalid.");
  return place;
}

WallTime time_of(std::int64_t milliseconds) {
  // What no clock says is as far away as any clock goes.
  constexpr std::int64_t kFar = 9'000'000'000'000;
  return from_epoch_milliseconds(std::clamp<std::int64_t>(milliseconds, 0, kFar));
}

}  // namespace

LogsService::LogsService(ServiceContext context) : context_(std::move(context)) {}

net::awaitable<Result<void>> LogsService::run(ServiceHost& host) {
  ready_ = false;
  if (auto loaded = co_await load(host); !loaded) co_return loaded;
  declare();
  ready_ = true;
  for (;;) {
    std::vector<std::pair<std::string, std::int64_t>> due;
    for (const auto& [name, group] : groups_) {
      if (group.retention) due.emplace_back(name, now() - *group.retention * kDay);
    }
    for (const auto& [name, before] : due) {
      const auto forgotten = co_await host.forget(log_of(name), time_of(before));
      if (!forgotten && forgotten.error().code() != ErrorCode::kCancelled)
        context_.log.warn("retention.failed", {{"group", name}, {"error", forgotten.error().describe()}});
    }
    net::steady_timer timer(context_.executor, kRetentionEvery);
    co_await timer.async_wait(net::use_awaitable);
  }
}

net::awaitable<Result<void>> LogsService::load(ServiceHost& host) {
  groups_.clear();
  auto notes = co_await host.notes();
  if (!notes) co_return std::move(notes.error());
  // In the order of their keys filters come before groups and these before streams; a group is made by whoever is
  // first.
  for (const auto& [key, text] : *notes) {
    const Json value = Json::parse(text, nullptr, false);
    if (!value.is_object()) co_return Error(ErrorCode::kStoreCorrupt, "a note of the log groups is not readable");
    const auto rest = [&](std::string_view kind) { return key.substr(kind.size()); };
    const auto names = [&](std::string_view kind) {
      const std::string both = rest(kind);
      const std::size_t end = both.find('\n');
      return std::pair(both.substr(0, end), both.substr(std::min(end, both.size() - 1) + 1));
    };
    const auto optional = [&](const char* name) -> std::optional<std::int64_t> {
      if (!value.contains(name)) return std::nullopt;
      return value.value(name, std::int64_t{0});
    };
    if (key.starts_with(kGroupNote)) {
      Group& group = groups_[rest(kGroupNote)];
      group.created = value.value("created", std::int64_t{0});
      group.retention = optional("retention");
    } else if (key.starts_with(kStreamNote)) {
      const auto [group, name] = names(kStreamNote);
      Stream& stream = groups_[group].streams[name];
      stream.number = value.value("number", std::uint64_t{0});
      last_number_ = std::max(last_number_, stream.number);  // wherever the clock has gone
      stream.created = value.value("created", std::int64_t{0});
      stream.first_event = optional("first");
      stream.last_event = optional("last");
      stream.last_put = optional("put");
    } else if (key.starts_with(kFilterNote)) {
      const auto [group, name] = names(kFilterNote);
      Filter filter;
      filter.name = name;
      filter.text = value.value("pattern", "");
      filter.destination = value.value("destination", "");
      filter.target = host.target_of(filter.destination);
      filter.distribution = value.value("distribution", "ByLogStream");
      filter.created = value.value("created", std::int64_t{0});
      auto pattern = pattern::LogPattern::compile(filter.text);
      if (!pattern) co_return std::move(pattern.error());
      filter.pattern = std::move(*pattern);
      groups_[group].filters.push_back(std::move(filter));
    }
  }
  co_return Result<void>();
}

/// What the configuration has is there from the start, and is not noted.
void LogsService::declare() {
  for (const ServiceSource& source : context_.sources) {
    const auto& config = static_cast<const LogsConfig&>(*source.config);
    if (!config.files.empty()) continue;
    Group& group = groups_[config.group()];
    if (group.created == 0) group.created = now();
    group.declared = true;
    Filter filter;
    filter.name = config.subscription();
    filter.text = config.filter_text;
    filter.pattern = config.filter;
    filter.destination = service::local_arn("lambda", "function:" + source.function);
    filter.target = "lambda:" + source.function;
    filter.created = group.created;
    filter.source = source.name;
    // The configuration's has the name, whatever the API once made under it.
    std::erase_if(group.filters, [&](const Filter& each) { return each.source.empty() && each.name == filter.name; });
    group.filters.push_back(std::move(filter));
  }
  for (auto& [name, group] : groups_) std::ranges::stable_sort(group.filters, {}, &Filter::name);
}

net::awaitable<Result<void>> LogsService::take(ServiceHost&, std::string target, DestinationRecord) {
  co_return Error(ErrorCode::kDestinationGone, target + ": log groups take no messages");
}

// ---- calls

net::awaitable<ServiceAnswer> LogsService::call(ServiceHost& host, ServiceCall call) {
  ApiError error;
  try {
    // Which also says how deep it goes.
    if (!is_json(call.body)) refuse("SerializationException", "the body is not JSON");
    const Json asked = Json::parse(call.body, nullptr, false);
    if (!asked.is_object()) refuse("SerializationException", "the body is not a JSON object");
    co_return service::json_answer(co_await answer(host, call.operation, asked));
  } catch (const ApiError& refused) {
    error = refused;
  }
  co_return service::json_error(error);
}

net::awaitable<std::string> LogsService::answer(ServiceHost& host, std::string operation, const Json& asked) {
  using Coroutine = net::awaitable<std::string> (LogsService::*)(ServiceHost&, const Json&);
  constexpr std::pair<std::string_view, Coroutine> kOperations[] = {
      {"CreateLogGroup", &LogsService::create_group},
      {"DeleteLogGroup", &LogsService::delete_group},
      {"CreateLogStream", &LogsService::create_stream},
      {"DeleteLogStream", &LogsService::delete_stream},
      {"PutLogEvents", &LogsService::put_events},
      {"GetLogEvents", &LogsService::get_events},
      {"FilterLogEvents", &LogsService::filter_events},
      {"PutSubscriptionFilter", &LogsService::put_filter},
      {"DeleteSubscriptionFilter", &LogsService::delete_filter}};
  for (const auto& [name, run] : kOperations) {
    if (name == operation) co_return co_await (this->*run)(host, asked);
  }
  if (operation == "PutRetentionPolicy") co_return co_await set_retention(host, asked, true);
  if (operation == "DeleteRetentionPolicy") co_return co_await set_retention(host, asked, false);
  if (operation == "DescribeLogGroups") co_return describe_groups(asked);
  if (operation == "DescribeLogStreams") co_return describe_streams(asked);
  if (operation == "DescribeSubscriptionFilters") co_return describe_filters(asked);
  refuse("UnknownOperationException", "weir does not have the operation " + operation + " of CloudWatch Logs");
}

net::awaitable<void> LogsService::commit(ServiceHost& host, ServiceCommit what) {
  const auto kept = co_await host.commit(std::move(what));
  if (!kept) throw service::not_kept(kept.error(), "ServiceUnavailableException");
}

/// The group that a call names, or whose ARN it has.
std::pair<const std::string, LogsService::Group>& LogsService::group_of(const Json& asked) {
  std::string name = text_of(asked, "logGroupName").value_or("");
  if (name.empty()) name = text_of(asked, "logGroupIdentifier").value_or("");
  if (const auto resource = service::local_resource(name, "logs"); resource && resource->starts_with("log-group:")) {
    name = resource->substr(std::string_view("log-group:").size());
    if (name.ends_with(":*")) name.resize(name.size() - 2);
  }
  if (name.empty()) name = required(asked, "logGroupName");
  if (!is_group_name(name)) {
    invalid(constraint("logGroupName", "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"));
  }
  const auto found = groups_.find(name);
  if (found == groups_.end()) not_found("log group");
  return *found;
}

SourceNote LogsService::group_note(const std::string& name, const Group& group) const {
  Json value{{"created", group.created}};
  if (group.retention) value["retention"] = *group.retention;
  return {std::string(kGroupNote) + name, value.dump()};
}

SourceNote LogsService::stream_note(const std::string& group, const std::string& name, const Stream& stream) const {
  Json value{{"number", stream.number}, {"created", stream.created}};
  if (stream.first_event) value["first"] = *stream.first_event;
  if (stream.last_event) value["last"] = *stream.last_event;
  if (stream.last_put) value["put"] = *stream.last_put;
  return {note_key(kStreamNote, group, name), value.dump()};
}

/// Grows over restarts, too: it is the time where the clock goes on.
std::uint64_t LogsService::next_number() {
  const auto clock = static_cast<std::uint64_t>(context_.clock.now().wall.time_since_epoch().count());
  last_number_ = std::max(last_number_ + 1, clock);
  return last_number_;
}

net::awaitable<std::string> LogsService::create_group(ServiceHost& host, const Json& asked) {
  const std::string name = required(asked, "logGroupName");
  if (!is_group_name(name))
    invalid(constraint("logGroupName", "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"));
  if (groups_.contains(name)) refuse("ResourceAlreadyExistsException", "The specified log group already exists");
  Group group;
  group.created = now();
  ServiceCommit what;
  what.notes.push_back(group_note(name, group));
  co_await commit(host, std::move(what));
  groups_.try_emplace(name, std::move(group));
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_group(ServiceHost& host, const Json& asked) {
  const auto& [name, group] = group_of(asked);
  if (group.declared) invalid("The log group " + name + " is declared in weir's configuration; remove it there.");
  const std::string gone = name;
  ServiceCommit what;
  what.notes.push_back({std::string(kGroupNote) + gone, std::nullopt});
  for (const auto& [stream, each] : group.streams)
    what.notes.push_back({note_key(kStreamNote, gone, stream), std::nullopt});
  for (const Filter& filter : group.filters)
    what.notes.push_back({note_key(kFilterNote, gone, filter.name), std::nullopt});
  co_await commit(host, std::move(what));
  groups_.erase(gone);
  // Nobody reads them any more, as their streams are gone; this only makes room.
  const auto forgotten = co_await host.forget(log_of(gone), WallTime::max());
  if (!forgotten) context_.log.warn("retention.failed", {{"group", gone}, {"error", forgotten.error().describe()}});
  co_return "{}";
}

net::awaitable<std::string> LogsService::set_retention(ServiceHost& host, const Json& asked, bool set) {
  const std::string name = group_of(asked).first;
  Group changed;
  changed.created = groups_.at(name).created;
  if (set) {
    constexpr std::array<std::int64_t, 22> kDays{1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                                 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
    changed.retention = number_of(asked, "retentionInDays");
    if (!changed.retention || std::ranges::find(kDays, *changed.retention) == kDays.end()) {
      invalid(
          "1 validation error detected: Value at 'retentionInDays' failed to satisfy constraint: Member must satisfy "
          "enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, "
          "2922, 3288, 3653]");
    }
  }
  ServiceCommit what;
  what.notes.push_back(group_note(name, changed));
  co_await commit(host, std::move(what));
  if (const auto group = groups_.find(name); group != groups_.end()) group->second.retention = changed.retention;
  co_return "{}";
}

net::awaitable<std::string> LogsService::create_stream(ServiceHost& host, const Json& asked) {
  const auto& [group_name, group] = group_of(asked);
  const std::string owner = group_name;
  const std::string name = required(asked, "logStreamName");
  if (!is_stream_name(name))
    invalid(constraint("logStreamName", "Member must satisfy regular expression pattern: [^:*]*"));
  if (group.streams.contains(name)) refuse("ResourceAlreadyExistsException", "The specified log stream already exists");
  Stream stream;
  stream.number = next_number();
  stream.created = now();
  ServiceCommit what;
  // A declared group is noted with its first stream, so that its creation stays what it was.
  what.notes.push_back(group_note(owner, group));
  what.notes.push_back(stream_note(owner, name, stream));
  co_await commit(host, std::move(what));
  if (const auto found = groups_.find(owner); found != groups_.end()) found->second.streams.try_emplace(name, stream);
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_stream(ServiceHost& host, const Json& asked) {
  const std::string owner = group_of(asked).first;
  const std::string name = required(asked, "logStreamName");
  if (!groups_.at(owner).streams.contains(name)) not_found("log stream");
  ServiceCommit what;
  what.notes.push_back({note_key(kStreamNote, owner, name), std::nullopt});
  co_await commit(host, std::move(what));
  if (const auto found = groups_.find(owner); found != groups_.end()) found->second.streams.erase(name);
  co_return "{}";
}

// ---- events

net::awaitable<std::string> LogsService::put_events(ServiceHost& host, const Json& asked) {
  const auto& [group_name, group] = group_of(asked);
  const std::string owner = group_name;
  const std::string name = required(asked, "logStreamName");
  const auto found = group.streams.find(name);
  if (found == group.streams.end()) not_found("log stream");
  const auto list = asked.find("logEvents");
  if (list == asked.end() || !list->is_array()) required(asked, "logEvents");
  if (list->empty()) invalid(constraint("logEvents", "Member must have length greater than or equal to 1"));
  if (list->size() > kPutEvents)
    invalid(constraint("logEvents", "Member must have length less than or equal to 10000"));
  std::vector<LogEvent> events;
  std::size_t bytes = 0;
  for (const Json& each : *list) {
    if (!each.is_object()) refuse("SerializationException", "a log event has to be an object");
    LogEvent event;
    const auto timestamp = number_of(each, "timestamp");
    if (!timestamp) required(each, "timestamp");
    if (*timestamp < 0) invalid(constraint("timestamp", "Member must have value greater than or equal to 0"));
    event.timestamp = *timestamp;
    event.message = required(each, "message");
    if (event.message.empty()) invalid(constraint("message", "Member must have length greater than or equal to 1"));
    bytes += event.message.size() + kEventOverhead;
    if (!events.empty() && event.timestamp < events.back().timestamp)
      invalid("Log events in a single PutLogEvents request must be in chronological order.");
    events.push_back(std::move(event));
  }
  if (bytes > kPutBytes)
    invalid("Upload too large: " + std::to_string(bytes) + " bytes exceeds limit of " + std::to_string(kPutBytes));
  if (events.back().timestamp - events.front().timestamp > kDay)
    invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");

  const std::int64_t time = now();
  const auto behind = [&](std::int64_t oldest) {
    return static_cast<std::size_t>(std::ranges::lower_bound(events, oldest, {}, &LogEvent::timestamp) -
                                    events.begin());
  };
  const std::size_t too_old = behind(time - kBehindMax);
  const std::size_t expired = group.retention ? behind(time - *group.retention * kDay) : 0;
  const std::size_t too_new = behind(time + kAheadMax + 1);
  Json rejected = Json::object();
  if (too_new < events.size()) rejected["tooNewLogEventStartIndex"] = too_new;
  if (too_old > 0) rejected["tooOldLogEventEndIndex"] = too_old;
  if (expired > 0) rejected["expiredLogEventEndIndex"] = expired;
  events.erase(events.begin() + static_cast<std::ptrdiff_t>(too_new), events.end());
  events.erase(events.begin(),
               events.begin() + static_cast<std::ptrdiff_t>(std::min(std::max(too_old, expired), events.size())));

  if (!events.empty()) {
    Stream& stream = groups_.at(owner).streams.at(name);
    ServiceCommit what;
    const std::uint64_t hash = stable_hash(name);
    for (LogEvent& event : events) {
      const std::uint64_t number = next_number();
      event.id = event_id(event.timestamp, hash, number);
      KeptEvent kept;
      kept.log = log_of(owner);
      kept.at = time_of(event.timestamp);
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
    add_deliveries(owner, name, events, what);
    ServiceCommit without;
    without.notes = what.notes;
    without.kept = what.kept;
    const bool delivers = !what.deliveries.empty();
    auto kept = co_await host.commit(std::move(what));
    if (!kept && kept.error().code() == ErrorCode::kEventRefused && delivers) {
      // No function would ever take it, or it would go round for ever: as at AWS, that is not the writer's matter.
      context_.log.error("delivery.refused", {{"group", owner}, {"error", kept.error().describe()}});
      kept = co_await host.commit(std::move(without));
    }
    if (!kept) throw service::not_kept(kept.error(), "ServiceUnavailableException");
  }
  Json out{{"nextSequenceToken", event_id(time, 0, next_number())}};
  if (!rejected.empty()) out["rejectedLogEventsInfo"] = std::move(rejected);
  co_return out.dump();
}

void LogsService::add_deliveries(const std::string& group, const std::string& stream,
                                 const std::vector<LogEvent>& events, ServiceCommit& what) {
  for (const Filter& filter : groups_.at(group).filters) {
    std::vector<LogEvent> batch;
    std::size_t bytes = 0;
    const auto send = [&] {
      if (batch.empty()) return;
      ServiceDelivery delivery;
      delivery.target = filter.target;
      delivery.source = filter.source;
      delivery.payload = lambda_event({group, stream, filter.name}, batch);
      what.deliveries.push_back(std::move(delivery));
      batch.clear();
      bytes = 0;
    };
    for (const LogEvent& event : events) {
      if (!filter.pattern->matches(event.message)) continue;
      LogEvent wanted = event;
      if (filter.pattern->has_fields()) wanted.fields = filter.pattern->fields_of(event.message);
      const std::size_t size = json_bytes(wanted);
      if (bytes + size > kBatchBytes) send();
      bytes += size;
      batch.push_back(std::move(wanted));
    }
    send();
  }
}

/// Reads on from (`from`, `after`), which go along, until there are `limit` events, a page is full, or so many were
/// looked at. `end`: there are no more.
net::awaitable<std::vector<LogsService::Found>> LogsService::read(ServiceHost& host, const Wanted& wanted,
                                                                  WallTime& from, std::uint64_t& after,
                                                                  std::size_t limit, std::size_t looked_at_max,
                                                                  bool& end) {
  std::vector<Found> found;
  std::size_t bytes = 0;
  std::size_t looked_at = 0;
  end = false;
  while (looked_at < looked_at_max) {
    const auto kept = co_await host.kept(log_of(wanted.group), from, after, time_of(wanted.to), kReadAtOnce);
    if (!kept) throw service::not_kept(kept.error(), "ServiceUnavailableException");
    for (const KeptEvent& each : *kept) {
      ++looked_at;
      const Json inside = Json::parse(each.event, nullptr, false);
      if (inside.is_object()) {
        const auto stream = wanted.streams.find(inside.value("stream", std::uint64_t{0}));
        std::string message = inside.value("message", "");
        if (stream != wanted.streams.end() && (!wanted.pattern || wanted.pattern->matches(message))) {
          if (found.size() == limit || (!found.empty() && bytes + message.size() > kPageBytes)) co_return found;
          bytes += message.size();
          Found one;
          one.at = each.at;
          one.id = each.id;
          one.stream = stream->second;
          one.timestamp = epoch_milliseconds(each.at);
          one.put = inside.value("put", std::int64_t{0});
          one.event_id = event_id(one.timestamp, stable_hash(one.stream), inside.value("number", std::uint64_t{0}));
          one.message = std::move(message);
          found.push_back(std::move(one));
        }
      }
      from = each.at;
      after = each.id;
    }
    if (kept->size() < kReadAtOnce) {
      end = true;
      break;
    }
  }
  co_return found;
}

net::awaitable<std::string> LogsService::get_events(ServiceHost& host, const Json& asked) {
  const auto& [owner, group] = group_of(asked);
  const std::string name = required(asked, "logStreamName");
  const auto stream = group.streams.find(name);
  if (stream == group.streams.end()) not_found("log stream");
  Wanted wanted;
  wanted.group = owner;
  wanted.streams.emplace(stream->second.number, name);
  wanted.from = number_of(asked, "startTime").value_or(0);
  wanted.to = number_of(asked, "endTime").value_or(std::numeric_limits<std::int64_t>::max());
  const std::size_t limit = limit_of(asked, kPutEvents);
  Place place;
  place.direction = flag_of(asked, "startFromHead") ? 'f' : 'b';
  place.at = place.direction == 'f' ? wanted.from : std::numeric_limits<std::int64_t>::max();
  const std::string token = text_of(asked, "nextToken").value_or("");
  if (!token.empty()) place = place_of(token);

  WallTime from = time_of(place.direction == 'f' ? std::max(place.at, wanted.from) : wanted.from);
  std::uint64_t after = place.direction == 'f' && !token.empty() ? place.id : 0;
  std::deque<Found> page;
  bool end = false;
  if (place.direction == 'f') {
    for (Found& each : co_await read(host, wanted, from, after, limit, kLookedAtMax, end))
      page.push_back(std::move(each));
  } else {
    // The store reads forward: the last ones in front of the place are what remains.
    std::size_t bytes = 0;
    bool past = false;
    while (!end && !past) {
      for (Found& each : co_await read(host, wanted, from, after, kReadAtOnce, kLookedAtMax, end)) {
        past = each.timestamp > place.at || (each.timestamp == place.at && each.id >= place.id);
        if (past) break;
        bytes += each.message.size();
        page.push_back(std::move(each));
        while (page.size() > limit || (page.size() > 1 && bytes > kPageBytes)) {
          bytes -= page.front().message.size();
          page.pop_front();
        }
      }
    }
  }
  Place forward{'f', epoch_milliseconds(from), after};
  Place backward{'b', place.at, place.id};
  if (!page.empty()) {
    forward = {'f', page.back().timestamp, page.back().id};
    backward = {'b', page.front().timestamp, page.front().id};
  } else if (place.direction == 'b' && !token.empty()) {
    forward = {'f', wanted.from, 0};
  }
  Json out{
      {"events", Json::array()}, {"nextForwardToken", token_of(forward)}, {"nextBackwardToken", token_of(backward)}};
  for (Found& each : page) {
    out["events"].push_back(
        {{"timestamp", each.timestamp}, {"message", std::move(each.message)}, {"ingestionTime", each.put}});
  }
  co_return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

net::awaitable<std::string> LogsService::filter_events(ServiceHost& host, const Json& asked) {
  const auto& [owner, group] = group_of(asked);
  Wanted wanted;
  wanted.group = owner;
  wanted.from = number_of(asked, "startTime").value_or(0);
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max() - 1;
  wanted.to = std::min(number_of(asked, "endTime").value_or(kLast), kLast) + 1;
  const std::string prefix = text_of(asked, "logStreamNamePrefix").value_or("");
  const auto names = asked.find("logStreamNames");
  const bool named = names != asked.end() && names->is_array() && !names->empty();
  if (named && !prefix.empty()) invalid("A request cannot have both logStreamNames and logStreamNamePrefix.");
  for (const auto& [name, stream] : group.streams) {
    const bool in_names = named && std::ranges::find(*names, Json(name)) != names->end();
    if (named ? in_names : name.starts_with(prefix)) wanted.streams.emplace(stream.number, name);
  }
  if (named && wanted.streams.size() < std::set<Json>(names->begin(), names->end()).size()) not_found("log stream");
  auto pattern = pattern::LogPattern::compile(text_of(asked, "filterPattern").value_or(""));
  if (!pattern) invalid(pattern.error().message());
  wanted.pattern = std::move(*pattern);
  const std::size_t limit = limit_of(asked, kPutEvents);
  WallTime from = time_of(wanted.from);
  std::uint64_t after = 0;
  if (const auto token = text_of(asked, "nextToken")) {
    const Place place = place_of(*token);
    from = time_of(place.at);
    after = place.id;
  }
  bool end = false;
  auto found = co_await read(host, wanted, from, after, limit, kLookedAtMax, end);
  Json out{{"events", Json::array()}, {"searchedLogStreams", Json::array()}};
  for (Found& each : found) {
    out["events"].push_back({{"logStreamName", std::move(each.stream)},
                             {"timestamp", each.timestamp},
                             {"message", std::move(each.message)},
                             {"ingestionTime", each.put},
                             {"eventId", std::move(each.event_id)}});
  }
  if (!end) out["nextToken"] = token_of({'f', epoch_milliseconds(from), after});
  co_return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// ---- subscription filters

net::awaitable<std::string> LogsService::put_filter(ServiceHost& host, const Json& asked) {
  const auto& [group_name, group] = group_of(asked);
  const std::string owner = group_name;
  Filter filter;
  filter.name = required(asked, "filterName");
  if (!is_stream_name(filter.name))
    invalid(constraint("filterName", "Member must satisfy regular expression pattern: [^:*]*"));
  filter.text = required(asked, "filterPattern");
  auto pattern = pattern::LogPattern::compile(filter.text);
  if (!pattern) invalid(pattern.error().message());
  filter.pattern = std::move(*pattern);
  filter.destination = required(asked, "destinationArn");
  filter.distribution = text_of(asked, "distribution").value_or("ByLogStream");
  if (filter.distribution != "ByLogStream" && filter.distribution != "Random")
    invalid(constraint("distribution", "Member must satisfy enum value set: [Random, ByLogStream]"));
  filter.target = host.target_of(filter.destination);
  if (!filter.target.starts_with("lambda:"))
    invalid("weir delivers log events to Lambda functions only: destinationArn has to be a function's.");
  if (!host.exists(filter.target)) {
    invalid(
        "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
        "function.");
  }
  filter.created = now();
  std::size_t others = 0;
  std::size_t with_regex = filter.pattern->regexes() > 0 ? 1 : 0;
  for (const Filter& each : group.filters) {
    if (each.name != filter.name) {
      ++others;
      if (each.pattern->regexes() > 0) ++with_regex;
      continue;
    }
    if (!each.source.empty()) {
      invalid("The subscription filter " + each.name + " is declared in weir's configuration, as source " +
              each.source + "; change it there.");
    }
    filter.created = each.created;
  }
  if (others >= kFiltersMax || with_regex > kRegexFiltersMax)
    refuse("LimitExceededException", "Resource limit exceeded.");
  ServiceCommit what;
  Json value{{"pattern", filter.text},
             {"destination", filter.destination},
             {"distribution", filter.distribution},
             {"created", filter.created}};
  what.notes.push_back(group_note(owner, group));
  what.notes.push_back({note_key(kFilterNote, owner, filter.name), value.dump()});
  co_await commit(host, std::move(what));
  if (const auto found = groups_.find(owner); found != groups_.end()) {
    std::erase_if(found->second.filters, [&](const Filter& each) { return each.name == filter.name; });
    found->second.filters.push_back(std::move(filter));
    std::ranges::stable_sort(found->second.filters, {}, &Filter::name);
  }
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_filter(ServiceHost& host, const Json& asked) {
  const auto& [group_name, group] = group_of(asked);
  const std::string owner = group_name;
  const std::string name = required(asked, "filterName");
  const auto filter = std::ranges::find(group.filters, name, &Filter::name);
  if (filter == group.filters.end()) not_found("subscription filter");
  if (!filter->source.empty()) {
    invalid("The subscription filter " + name + " is declared in weir's configuration, as source " + filter->source +
            "; remove it there.");
  }
  ServiceCommit what;
  what.notes.push_back({note_key(kFilterNote, owner, name), std::nullopt});
  co_await commit(host, std::move(what));
  if (const auto found = groups_.find(owner); found != groups_.end())
    std::erase_if(found->second.filters, [&](const Filter& each) { return each.name == name; });
  co_return "{}";
}

// ---- descriptions

std::string LogsService::describe_groups(const Json& asked) const {
  constexpr std::size_t kMost = 50;
  const std::string prefix = text_of(asked, "logGroupNamePrefix").value_or("");
  const std::string part = text_of(asked, "logGroupNamePattern").value_or("");
  if (!prefix.empty() && !part.empty())
    invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  std::vector<Json> all;
  for (const auto& [name, group] : groups_) {
    if (!name.starts_with(prefix) || name.find(part) == std::string::npos) continue;
    Json one{{"logGroupName", name},
             {"creationTime", group.created},
             {"metricFilterCount", 0},
             {"arn", group_arn(name) + ":*"},
             {"storedBytes", 0},
             {"logGroupClass", "STANDARD"},
             {"logGroupArn", group_arn(name)}};
    if (group.retention) one["retentionInDays"] = *group.retention;
    all.push_back(std::move(one));
  }
  return paged("logGroups", asked, kMost, std::move(all),
               [](const Json& one) { return one.at("logGroupName").get<std::string>(); });
}

std::string LogsService::describe_streams(const Json& asked) {
  constexpr std::size_t kMost = 50;
  const auto& [owner, group] = group_of(asked);
  const std::string prefix = text_of(asked, "logStreamNamePrefix").value_or("");
  const std::string order = text_of(asked, "orderBy").value_or("LogStreamName");
  if (order != "LogStreamName" && order != "LastEventTime")
    invalid(constraint("orderBy", "Member must satisfy enum value set: [LogStreamName, LastEventTime]"));
  if (order == "LastEventTime" && !prefix.empty()) invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
  std::vector<std::pair<std::string, const Stream*>> chosen;
  for (const auto& [name, stream] : group.streams) {
    if (name.starts_with(prefix)) chosen.emplace_back(name, &stream);
  }
  if (order == "LastEventTime") {
    std::ranges::stable_sort(chosen, {}, [](const auto& one) { return one.second->last_event.value_or(0); });
  }
  if (flag_of(asked, "descending")) std::ranges::reverse(chosen);
  std::vector<Json> all;
  for (const auto& [name, stream] : chosen) {
    Json one{{"logStreamName", name},
             {"creationTime", stream->created},
             {"arn", group_arn(owner) + ":log-stream:" + name},
             {"storedBytes", 0}};
    if (stream->first_event) one["firstEventTimestamp"] = *stream->first_event;
    if (stream->last_event) one["lastEventTimestamp"] = *stream->last_event;
    if (stream->last_put) one["lastIngestionTime"] = *stream->last_put;
    all.push_back(std::move(one));
  }
  return paged("logStreams", asked, kMost, std::move(all),
               [](const Json& one) { return one.at("logStreamName").get<std::string>(); });
}

std::string LogsService::describe_filters(const Json& asked) {
  constexpr std::size_t kMost = 50;
  const auto& [owner, group] = group_of(asked);
  const std::string prefix = text_of(asked, "filterNamePrefix").value_or("");
  std::vector<Json> all;
  for (const Filter& filter : group.filters) {
    if (!filter.name.starts_with(prefix)) continue;
    all.push_back({{"filterName", filter.name},
                   {"logGroupName", owner},
                   {"filterPattern", filter.text},
                   {"destinationArn", filter.destination},
                   {"distribution", filter.distribution},
                   {"creationTime", filter.created}});
  }
  return paged("subscriptionFilters", asked, kMost, std::move(all),
               [](const Json& one) { return one.at("filterName").get<std::string>(); });
}

std::unique_ptr<Service> make_service(ServiceContext context) {
  return std::make_unique<LogsService>(std::move(context));
}

}  // namespace weir::logs
