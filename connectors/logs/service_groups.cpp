// Groups and streams: they are made, described, given a retention and deleted.
#include <array>

#include <nlohmann/json.hpp>

#include "connectors/logs/request.h"
#include "connectors/logs/service.h"

namespace weir::logs {
namespace {

constexpr std::size_t kDescribed = 50;
constexpr std::size_t kPatternMax = 512;

std::string text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

net::awaitable<std::string> LogsService::create_group(const Asked& asked) {
  const std::string name = group_name(asked.body);
  const auto turn = co_await group_alone(name);
  if (groups_.contains(name)) refuse("ResourceAlreadyExistsException", "The specified log group already exists");
  Group made;
  made.log = new_log(name);
  made.created = now();
  ServiceCommit what;
  what.notes.push_back(group_note(name, made));
  co_await commit(asked.host, std::move(what));
  groups_.emplace(name, std::move(made));
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_group(const Asked& asked) {
  const std::string name = group_name(asked.body);
  const auto turn = co_await group_alone(name);
  const Group& old = group(name);
  if (old.declared) invalid("The log group " + name + " is declared in weir's configuration; remove it there.");
  ServiceCommit what;
  what.notes.push_back({std::string(kGroupNote) + name, std::nullopt});
  for (const auto& [stream, each] : old.streams)
    what.notes.push_back({note_key(kStreamNote, name, stream), std::nullopt});
  for (const Filter& filter : old.filters)
    what.notes.push_back({note_key(kFilterNote, name, filter.name), std::nullopt});
  // There may be millions of events, for which nobody has to wait.
  what.notes.push_back({std::string(kGoneNote) + old.log, "{}"});
  co_await commit(asked.host, std::move(what));
  gone_.insert(old.log);
  groups_.erase(name);
  tidy_at_.cancel();
  co_return "{}";
}

net::awaitable<std::string> LogsService::put_retention(const Asked& asked) {
  constexpr std::array<std::int64_t, 22> kDays{1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                               365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
  const auto days = number_of(asked.body, "retentionInDays");
  if (!days) required(asked.body, "retentionInDays");
  if (std::ranges::find(kDays, *days) == kDays.end()) {
    std::string allowed;
    for (const std::int64_t each : kDays) allowed += (allowed.empty() ? "" : ", ") + std::to_string(each);
    unfit(std::to_string(*days), "retentionInDays", "Member must satisfy enum value set: [" + allowed + "]");
  }
  return set_retention(asked, days);
}

net::awaitable<std::string> LogsService::delete_retention(const Asked& asked) {
  return set_retention(asked, std::nullopt);
}

net::awaitable<std::string> LogsService::set_retention(const Asked& asked, std::optional<std::int64_t> days) {
  const std::string name = group_name(asked.body);
  const auto turn = co_await group_alone(name);
  Group& changed = group(name);
  Group noted;
  noted.log = changed.log;
  noted.created = changed.created;
  noted.retention = days;
  ServiceCommit what;
  what.notes.push_back(group_note(name, noted));
  co_await commit(asked.host, std::move(what));
  changed.retention = days;
  co_return "{}";
}

net::awaitable<std::string> LogsService::describe_groups(const Asked& asked) {
  const std::string prefix = group_prefix(asked.body, "logGroupNamePrefix");
  const std::string part = text_of(asked.body, "logGroupNamePattern").value_or("");
  if (part.size() > kPatternMax)
    unfit(part, "logGroupNamePattern", "Member must have length less than or equal to 512");
  if (!prefix.empty() && !part.empty())
    invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  std::vector<std::pair<ListKey, const void*>> chosen;
  for (const auto& [name, each] : groups_) {
    if (name.starts_with(prefix) && name.find(part) != std::string::npos) chosen.emplace_back(ListKey(0, name), &each);
  }
  const std::string more = take_page(asked.body, kDescribed, false, chosen);
  Json out{{"logGroups", Json::array()}};
  if (!more.empty()) out["nextToken"] = more;
  for (const auto& [key, item] : chosen) {
    const auto& each = *static_cast<const Group*>(item);
    Json one{{"logGroupName", key.second},
             {"creationTime", each.created},
             {"metricFilterCount", 0},
             {"arn", group_arn(key.second) + ":*"},
             {"storedBytes", 0},
             {"logGroupClass", "STANDARD"},
             {"logGroupArn", group_arn(key.second)}};
    if (each.retention) one["retentionInDays"] = *each.retention;
    out["logGroups"].push_back(std::move(one));
  }
  co_return text(out);
}

net::awaitable<std::string> LogsService::create_stream(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  const std::string name = plain_name(asked.body, "logStreamName");
  const auto turn = co_await group_alone(owner);
  Group& changed = group(owner);
  if (changed.streams.contains(name))
    refuse("ResourceAlreadyExistsException", "The specified log stream already exists");
  Stream stream;
  stream.number = next_number();
  stream.created = now();
  ServiceCommit what;
  // A declared group is noted with its first stream, so that its creation and its log stay what they were.
  what.notes.push_back(group_note(owner, changed));
  what.notes.push_back(stream_note(owner, name, stream));
  co_await commit(asked.host, std::move(what));
  changed.streams.emplace(name, stream);
  co_return "{}";
}

net::awaitable<std::string> LogsService::delete_stream(const Asked& asked) {
  const std::string owner = group_name(asked.body);
  const std::string name = plain_name(asked.body, "logStreamName");
  const auto turn = co_await group_alone(owner);
  Group& changed = group(owner);
  if (!changed.streams.contains(name)) not_found("log stream");
  ServiceCommit what;
  what.notes.push_back({note_key(kStreamNote, owner, name), std::nullopt});
  co_await commit(asked.host, std::move(what));
  changed.streams.erase(name);
  co_return "{}";
}

net::awaitable<std::string> LogsService::describe_streams(const Asked& asked) {
  const std::string owner = group_or_identifier(asked.body);
  const std::string prefix = plain_prefix(asked.body, "logStreamNamePrefix");
  const std::string order = text_of(asked.body, "orderBy").value_or("LogStreamName");
  const bool by_time = order == "LastEventTime";
  if (!by_time && order != "LogStreamName")
    unfit(order, "orderBy", "Member must satisfy enum value set: [LogStreamName, LastEventTime]");
  if (by_time && !prefix.empty()) invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
  std::vector<std::pair<ListKey, const void*>> chosen;
  for (const auto& [name, stream] : group(owner).streams) {
    if (name.starts_with(prefix))
      chosen.emplace_back(ListKey(by_time ? stream.last_event.value_or(0) : 0, name), &stream);
  }
  const std::string more = take_page(asked.body, kDescribed, flag_of(asked.body, "descending", false), chosen);
  Json out{{"logStreams", Json::array()}};
  if (!more.empty()) out["nextToken"] = more;
  for (const auto& [key, item] : chosen) {
    const auto& stream = *static_cast<const Stream*>(item);
    Json one{{"logStreamName", key.second},
             {"creationTime", stream.created},
             {"arn", group_arn(owner) + ":log-stream:" + key.second},
             {"storedBytes", 0}};
    if (stream.first_event) one["firstEventTimestamp"] = *stream.first_event;
    if (stream.last_event) one["lastEventTimestamp"] = *stream.last_event;
    if (stream.last_put) one["lastIngestionTime"] = *stream.last_put;
    out["logStreams"].push_back(std::move(one));
  }
  co_return text(out);
}

}  // namespace weir::logs
