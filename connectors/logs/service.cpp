#include "connectors/logs/service.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"

#include "connectors/logs/config.h"
#include "connectors/logs/connector.h"
#include "connectors/logs/request.h"
#include "service/answers.h"
#include "service/arn.h"
#include "service/json_text.h"

namespace weir::logs {
namespace {

using service::ApiError;

constexpr auto kTidyEvery = std::chrono::minutes(1);
constexpr std::string_view kScheme = "logs:";
/// Of a group that is a rule's target. AWS's have names of no meaning.
const std::string kTargetStream = "events";
constexpr std::string_view kAlreadyExists = "ResourceAlreadyExistsException";
constexpr std::string_view kNoSuchResource = "ResourceNotFoundException";
constexpr std::int64_t kDay = 24 * 60 * 60 * 1000;

/// What becomes of an event that a rule sends.
struct Line {
  std::int64_t timestamp = 0;
  std::string message;
};

/// The whole of it, at `now`; unless the target's input says it in AWS's way, {"timestamp": .., "message": ".."}, the
/// only template that CloudWatch Logs takes there, with the time as `$.time` has it. Beyond that ours: milliseconds, no
/// time, and a message that is any JSON. An event has other members and is never taken for that.
Line line_of(std::string payload, std::int64_t now) {
  Line whole{now, std::move(payload)};
  if (!is_json(whole.message)) return whole;
  std::optional<std::string_view> message;
  std::optional<std::string_view> time;
  bool others = false;
  service::each_member(whole.message, [&](std::string_view name, std::string_view value) {
    if (name == "message") {
      message = value;
    } else if (name == "timestamp") {
      time = value;
    } else {
      others = true;
    }
  });
  if (!message || others) return whole;
  Line line{now, message->starts_with('"') ? service::decoded(*message) : std::string(*message)};
  if (time) {
    const char* const end = time->data() + time->size();
    const auto read = std::from_chars(time->data(), end, line.timestamp);
    if (const auto iso = parse_iso(service::decoded(*time))) {
      line.timestamp = epoch_milliseconds(*iso);
    } else if (read.ec != std::errc() || read.ptr != end) {
      return whole;
    }
    if (line.timestamp < 0) return whole;
  }
  return line;
}

}  // namespace

std::string note_key(std::string_view kind, const std::string& group, const std::string& name) {
  return std::string(kind) + group + "\n" + name;
}

std::string group_arn(const std::string& name) {
  return service::local_arn("logs", "log-group:" + name);
}

LogsService::LogsService(ServiceContext context)
    : context_(std::move(context)), turns_(context_.executor), tidy_at_(context_.executor) {}

net::awaitable<Result<void>> LogsService::run(ServiceHost& host) {
  ready_ = false;
  if (auto loaded = co_await load(host); !loaded) co_return loaded;
  declare();
  ready_ = true;
  for (;;) {
    co_await tidy(host);
    tidy_at_.expires_after(kTidyEvery);
    boost::system::error_code woken;
    co_await tidy_at_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

/// Forgets what is older than its group's retention, and the events of groups that are gone.
net::awaitable<void> LogsService::tidy(ServiceHost& host) {
  std::vector<std::pair<std::string, WallTime>> due;
  for (const auto& [name, group] : groups_) {
    if (group.retention) due.emplace_back(group.log, from_epoch_milliseconds(now() - *group.retention * kDay));
  }
  for (const std::string& log : gone_) due.emplace_back(log, WallTime::max());
  for (const auto& [log, before] : due) {
    auto forgotten = co_await host.forget(log, before);
    if (forgotten && before == WallTime::max()) {
      ServiceCommit what;
      what.notes.push_back({std::string(kGoneNote) + log, std::nullopt});
      forgotten = co_await host.commit(std::move(what));
      if (forgotten) gone_.erase(log);
    }
    if (!forgotten && forgotten.error().code() != ErrorCode::kCancelled)
      context_.log.warn("retention.failed", {{"log", log}, {"error", forgotten.error().describe()}});
  }
}

net::awaitable<Result<void>> LogsService::load(ServiceHost& host) {
  groups_.clear();
  gone_.clear();
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
      const std::string name = rest(kGroupNote);
      Group& group = groups_[name];
      // A weir of before gave all groups of a name one log.
      group.log = value.value("log", "group/" + name);
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
    } else if (key.starts_with(kGoneNote)) {
      gone_.insert(rest(kGoneNote));
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
    if (group.log.empty()) group.log = new_log(config.group());
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

bool LogsService::owns(std::string_view target) const {
  if (!target.starts_with(kScheme)) return false;
  const auto name = group_of_arn(target.substr(kScheme.size()));
  return name && groups_.contains(*name);
}

/// An event of a rule becomes one of the group, in a stream that is made when there is none.
net::awaitable<Result<void>> LogsService::take(ServiceHost& host, std::string target, DestinationRecord message) {
  const auto name = group_of_arn(std::string_view(target).substr(kScheme.size()));
  const auto group = name ? groups_.find(*name) : groups_.end();
  if (group == groups_.end()) co_return Error(ErrorCode::kDestinationGone, "there is no " + target);
  const bool made = group->second.streams.contains(kTargetStream);
  Json body{{"logGroupName", *name}, {"logStreamName", kTargetStream}};
  const Asked asked{host, body, message.trace_header};
  ApiError error;
  try {
    if (!made) co_await create_stream(asked);
  } catch (const ApiError& refused) {
    error = refused;
  }
  try {
    // Another one may have made it meanwhile.
    if (error.code.empty() || error.code == kAlreadyExists) {
      error = ApiError();
      Line line = line_of(std::move(message.record), now());
      Json event{{"timestamp", line.timestamp}, {"message", std::move(line.message)}};
      body["logEvents"].push_back(std::move(event));
      const std::string put = co_await put_events(asked);
      if (service::member_of(put, "rejectedLogEventsInfo")) {
        error.code = "InvalidParameterException";
        error.message = "the event is of a time that the group does not take";
      }
    }
  } catch (const ApiError& refused) {
    error = refused;
  }
  if (error.code.empty()) co_return Result<void>();
  const ErrorCode code = error.status >= 500             ? ErrorCode::kDestinationFailed
                         : error.code == kNoSuchResource ? ErrorCode::kDestinationGone
                                                         : ErrorCode::kEventRefused;
  co_return Error(code, target + ": " + error.message);
}

net::awaitable<ServiceAnswer> LogsService::call(ServiceHost& host, ServiceCall call) {
  ApiError error;
  try {
    // Which also says how deep it goes.
    if (!is_json(call.body)) refuse("SerializationException", "the body is not JSON");
    const Json body = Json::parse(call.body, nullptr, false);
    if (!body.is_object()) refuse("SerializationException", "the body is not a JSON object");
    call.body = std::string();  // there is one copy of a call that waits for its turn
    const Asked asked{host, body, call.trace_header};
    co_return service::json_answer(co_await answer(call.operation, asked));
  } catch (const ApiError& refused) {
    error = refused;
  }
  co_return service::json_error(error);
}

net::awaitable<std::string> LogsService::answer(const std::string& operation, const Asked& asked) {
  constexpr std::pair<std::string_view, Operation> kOperations[] = {
      {"CreateLogGroup", &LogsService::create_group},
      {"CreateLogStream", &LogsService::create_stream},
      {"DeleteLogGroup", &LogsService::delete_group},
      {"DeleteLogStream", &LogsService::delete_stream},
      {"DeleteRetentionPolicy", &LogsService::delete_retention},
      {"DeleteSubscriptionFilter", &LogsService::delete_filter},
      {"DescribeLogGroups", &LogsService::describe_groups},
      {"DescribeLogStreams", &LogsService::describe_streams},
      {"DescribeSubscriptionFilters", &LogsService::describe_filters},
      {"FilterLogEvents", &LogsService::filter_events},
      {"GetLogEvents", &LogsService::get_events},
      {"PutLogEvents", &LogsService::put_events},
      {"PutRetentionPolicy", &LogsService::put_retention},
      {"PutSubscriptionFilter", &LogsService::put_filter},
      {"TestMetricFilter", &LogsService::test_filter}};
  for (const auto& [name, run] : kOperations) {
    if (name == operation) co_return co_await (this->*run)(asked);
  }
  refuse("UnknownOperationException", "weir does not have the operation " + operation + " of CloudWatch Logs");
}

net::awaitable<void> LogsService::commit(ServiceHost& host, ServiceCommit what) {
  const auto kept = co_await host.commit(std::move(what));
  if (!kept) throw service::not_kept(kept.error(), "ServiceUnavailableException");
}

net::awaitable<service::Turns::Turn> LogsService::group_alone(const std::string& name) {
  return turns_.take(name, service::Way::kAlone);
}

LogsService::Group& LogsService::group(const std::string& name) {
  const auto found = groups_.find(name);
  if (found == groups_.end()) not_found("log group");
  return found->second;
}

/// No name of a group has a colon.
std::string LogsService::new_log(const std::string& group) {
  return "group/" + group + ":" + std::to_string(next_number());
}

SourceNote LogsService::group_note(const std::string& name, const Group& group) {
  Json value{{"created", group.created}, {"log", group.log}};
  if (group.retention) value["retention"] = *group.retention;
  return {std::string(kGroupNote) + name, value.dump()};
}

SourceNote LogsService::stream_note(const std::string& group, const std::string& name, const Stream& stream) {
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

std::unique_ptr<Service> make_service(ServiceContext context) {
  return std::make_unique<LogsService>(std::move(context));
}

}  // namespace weir::logs
