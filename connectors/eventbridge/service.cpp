#include "connectors/eventbridge/service.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "connectors/eventbridge/config.h"
#include "connectors/eventbridge/connector.h"
#include "connectors/eventbridge/json_text.h"
#include "schedule/schedule.h"
#include "service/answers.h"

namespace weir::eventbridge {
namespace {

constexpr Duration kTidyEvery = std::chrono::hours(1);
constexpr Duration kPause = std::chrono::seconds(1);      // between tries, while the store refuses
constexpr Duration kLookAgain = std::chrono::minutes(1);  // at schedules: the wall clock may jump
constexpr std::size_t kReplayEvents = 100;                // of one transaction
constexpr std::size_t kCountedEvents = 1000;              // of one look at an archive
constexpr std::string_view kInternal = "InternalException";
constexpr std::string_view kScheme = "eventbridge:";
constexpr std::size_t kLoggedMax = 1000;

/// The event that a record of an invocation becomes, as Lambda itself puts it, or that a service's message is.
/// Source: reference invoke.md, 3, a recording of AWS.
std::optional<Event> event_of(const DestinationRecord& message, std::string_view bus, std::string id, WallTime now) {
  const std::string_view record = message.record;
  Event event = new_event(std::move(id), now);
  if (message.function.empty()) return read_envelope(record, std::move(event));
  const std::string_view context = member_of(record, "requestContext").value_or("{}");
  event.source = "lambda";
  event.detail_type = "Lambda Function Invocation Result - ";
  event.detail_type += text_of(context, "condition") == "Success" ? "Success" : "Failure";
  event.resources.push_back(bus_arn(bus));
  if (std::string function = text_of(context, "functionArn"); !function.empty()) {
    event.resources.push_back(std::move(function));
  }
  event.detail = record;
  return event;
}

/// A trace that came with an entry goes on, unless it would hide how many functions have called each other so far.
std::string trace_of(const PutEntry& entry, const std::string& call) {
  const bool counted = call.find("Lineage=") != std::string::npos;
  return entry.trace_header.empty() || counted ? call : entry.trace_header;
}

Rule rule_of(const ServiceSource& source) {
  const auto& config = static_cast<const EventBridgeConfig&>(*source.config);
  Rule rule;
  rule.name = source.name;
  rule.bus = config.bus;
  rule.pattern = config.pattern;
  rule.source = source.name;
  rule.function = source.function;
  Target target;
  target.id = source.function;
  target.input = config.input;
  target.document = "{\"Id\":\"function\"}";
  rule.targets.push_back(std::move(target));
  return rule;
}

}  // namespace

/// Changes of the model are made one after the other: what one was checked against is what it changes.
class EventsService::Turn {
 public:
  explicit Turn(EventsService& service) : service_(service) { service_.changing_ = true; }
  ~Turn() {
    service_.changing_ = false;
    service_.turns_.cancel();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  static net::awaitable<void> wait(EventsService& service) {
    for (bool mine = !service.changing_; !mine; mine = !service.changing_) {
      boost::system::error_code woken;
      co_await service.turns_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
  }

 private:
  EventsService& service_;
};

EventsService::EventsService(ServiceContext context)
    : context_(std::move(context)),
      model_(context_.clock.now().wall),
      random_(seed_from_system()),
      wake_(context_.executor),
      turns_(context_.executor, net::steady_timer::time_point::max()),
      utc_(std::make_shared<const schedule::TimeZone>(schedule::TimeZone::utc())) {
  for (const ServiceSource& source : context_.sources) model_.declare(rule_of(source));
}

Delivering::TargetOf EventsService::target_of(const ServiceHost& host) const {
  return [&host](std::string_view arn) { return host.target_of(arn); };
}

bool EventsService::owns(std::string_view target) const {
  if (!target.starts_with(kScheme)) return false;
  return model_.bus(bus_name(target.substr(kScheme.size()))) != nullptr;
}

net::awaitable<Result<void>> EventsService::load(ServiceHost& host) {
  auto notes = co_await host.notes();
  if (!notes) co_return std::move(notes.error());
  for (auto& [key, value] : *notes) {
    const SourceNote note{key, std::move(value)};
    if (auto applied = model_.apply(note); !applied) co_return applied;
  }
  co_return Result<void>();
}

net::awaitable<Result<void>> EventsService::run(ServiceHost& host) {
  struct Away {
    bool& ready;
    ~Away() { ready = false; }
  };
  const Away away{ready_};
  if (auto loaded = co_await load(host); !loaded) co_return loaded;
  ready_ = true;
  Instant tidy_at = context_.clock.now().instant;
  for (;;) {
    Duration pause = kTidyEvery;
    changed_ = false;
    if (context_.clock.now().instant >= tidy_at) {
      if (auto tidied = co_await tidy(host); !tidied) co_return tidied;
      tidy_at = context_.clock.now().instant + kTidyEvery;
    }
    auto next = co_await run_schedules(host);
    auto more = co_await replay_some(host);
    if (!next || !more) {
      const Error& error = next ? more.error() : next.error();
      if (error.code() == ErrorCode::kCancelled || !is_transient(error.code())) co_return error;
      pause = kPause;
    } else if (*more) {
      continue;
    } else if (*next) {
      const Duration until = **next - context_.clock.now().wall;
      pause = std::clamp<Duration>(until, Duration::zero(), kLookAgain);
    }
    if (changed_ && next && more) continue;
    wake_.expires_after(pause);
    boost::system::error_code woken;
    co_await wake_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

/// Forgets what archives keep no longer, and counts what they have.
net::awaitable<Result<void>> EventsService::tidy(ServiceHost& host) {
  const WallTime now = context_.clock.now().wall;
  std::vector<Archive> archives;
  for (const auto& [name, archive] : model_.archives()) archives.push_back(archive);
  for (const Archive& archive : archives) {
    if (archive.retention_days > 0) {
      // A hundred years are for ever, and times do not go much further.
      const auto days = std::min(archive.retention_days, 36'500);
      auto forgotten = co_await host.forget(archive.log(), now - std::chrono::hours(24) * days);
      if (!forgotten) co_return forgotten;
    }
    ArchiveSize size;
    WallTime from = WallTime::min();
    std::uint64_t after = 0;
    for (;;) {
      auto events = co_await host.kept(archive.log(), from, after, WallTime::max(), kCountedEvents);
      if (!events) co_return std::move(events.error());
      for (const KeptEvent& event : *events) size.bytes += event.event.size();
      size.events += events->size();
      if (events->size() < kCountedEvents) break;
      from = events->back().at;
      after = events->back().id;
    }
    sizes_[archive.name] = size;
  }
  co_return Result<void>();
}

/// Runs the rules whose time has come. When the next one's comes.
net::awaitable<Result<std::optional<WallTime>>> EventsService::run_schedules(ServiceHost& host) {
  std::vector<std::string> names;
  for (const auto& [name, rule] : model_.bus(kDefaultBus)->rules) {
    if (rule.enabled && !rule.schedule.empty()) names.push_back(name);
  }
  std::optional<WallTime> earliest;
  for (const std::string& name : names) {
    co_await Turn::wait(*this);
    const Turn turn(*this);
    const Rule* const rule = model_.rule(kDefaultBus, name);
    if (rule == nullptr || !rule->enabled || rule->schedule.empty()) continue;
    auto expression = schedule::Expression::parse(rule->schedule, schedule::Grammar::kRule);
    if (!expression) continue;  // it was one when it was put
    schedule::Schedule when{std::move(*expression), utc_, std::nullopt, std::nullopt};
    const WallTime now = context_.clock.now().wall;
    const schedule::UtcSeconds seconds = schedule::to_seconds(now);
    schedule::RunPlan plan(std::move(when), schedule::PlanRules(), model_.schedule_of(name), seconds);
    const auto run = plan.next(seconds);
    if (!run) continue;
    WallTime next = schedule::wall_time(run->due);
    if (run->due <= seconds) {
      Event event = new_event(random_.uuid(), schedule::wall_time(run->scheduled));
      event.source = "aws.events";
      event.detail_type = "Scheduled Event";
      event.resources.push_back(rule->arn());
      event.detail = "{}";
      Delivering delivering(model_, target_of(host), now);
      delivering.fire(*rule, event);
      const SourceNote note = note_of_schedule(name, plan.after(*run));
      delivering.commit().notes.push_back(note);
      if (auto kept = co_await keep(host, delivering); !kept) co_return std::move(kept.error());
      if (auto applied = model_.apply(note); !applied) co_return std::move(applied.error());
      next = now;  // there may be another
    }
    earliest = earliest ? std::min(*earliest, next) : next;
  }
  co_return earliest;
}

/// A step of each replay under way. Whether there is more to do.
net::awaitable<Result<bool>> EventsService::replay_some(ServiceHost& host) {
  std::vector<std::string> names;
  for (const auto& [name, replay] : model_.replays()) {
    if (replay.under_way()) names.push_back(name);
  }
  bool more = false;
  for (const std::string& name : names) {
    co_await Turn::wait(*this);
    const Turn turn(*this);
    const auto found = model_.replays().find(name);
    if (found == model_.replays().end()) continue;
    Replay replay = found->second;
    auto went_on = co_await replay_some(host, std::move(replay));
    if (!went_on) co_return std::move(went_on.error());
    more = more || *went_on;
  }
  co_return more;
}

/// The next events of one replay, and how far it is with them: both are on disk or neither is, so a restart repeats
/// and skips nothing.
net::awaitable<Result<bool>> EventsService::replay_some(ServiceHost& host, Replay replay) {
  const WallTime now = context_.clock.now().wall;
  Delivering delivering(model_, target_of(host), now);
  const auto archive = model_.archives().find(replay.archive);
  if (replay.state == ReplayState::kCancelling || archive == model_.archives().end()) {
    replay.state = ReplayState::kCancelled;
    replay.ended = now;
  } else {
    replay.state = ReplayState::kRunning;
    auto events = co_await host.kept(archive->second.log(), replay.last.value_or(replay.from), replay.last_id,
                                     replay.to, kReplayEvents);
    if (!events) co_return std::move(events.error());
    for (const KeptEvent& kept : *events) {
      replay.last = kept.at;
      replay.last_id = kept.id;
      auto event = read_envelope(kept.event, new_event("", kept.at));
      if (!event) continue;  // no one but put() writes there
      event->id = random_.uuid();
      event->replay_name = replay.name;
      delivering.put(replay.bus, *event, replay.filter_arns);
    }
    if (events->size() < kReplayEvents) {
      replay.state = ReplayState::kCompleted;
      replay.ended = now;
    }
  }
  SourceNote note = note_of(replay);
  delivering.commit().notes.push_back(note);
  if (auto kept = co_await keep(host, delivering); !kept) co_return std::move(kept.error());
  if (auto applied = model_.apply(note); !applied) co_return std::move(applied.error());
  co_return replay.under_way();
}

void EventsService::log_dropped(const Delivering& delivering) {
  for (const Delivering::Dropped& dropped : delivering.dropped()) {
    if (logged_.size() >= kLoggedMax || !logged_.insert(dropped.rule_arn + " " + dropped.target).second) continue;
    context_.log.warn("event.left_out", {{"rule", dropped.rule_arn},
                                         {"target", dropped.target},
                                         {"reason", "what its input comes to is no valid JSON, or nothing"}});
  }
}

net::awaitable<Result<void>> EventsService::keep(ServiceHost& host, Delivering& delivering) {
  log_dropped(delivering);
  ServiceCommit& what = delivering.commit();
  if (what.deliveries.empty() && what.kept.empty() && what.notes.empty()) co_return Result<void>();
  auto kept = co_await host.commit(std::move(what));
  if (!kept) co_return kept;
  for (const auto& [archive, bytes] : delivering.archived()) {
    ++sizes_[archive].events;
    sizes_[archive].bytes += bytes;
  }
  co_return Result<void>();
}

net::awaitable<Result<void>> EventsService::remember(ServiceHost& host, std::vector<SourceNote> notes) {
  ServiceCommit what;
  what.notes = notes;
  auto kept = co_await host.commit(std::move(what));
  if (!kept) co_return kept;
  for (const SourceNote& note : notes) {
    if (auto applied = model_.apply(note); !applied) co_return applied;
  }
  co_return Result<void>();
}

net::awaitable<ServiceAnswer> EventsService::call(ServiceHost& host, ServiceCall call) {
  if (call.operation == "PutEvents") co_return co_await put_events(host, std::move(call));
  co_await Turn::wait(*this);
  const Turn turn(*this);
  const Api api(model_, host, sizes_, context_.clock.now().wall);
  auto reply = api.handle(call.operation, call.body);
  if (!reply) co_return service::json_error(unknown_operation());
  if (reply->error) co_return service::json_error(*reply->error);
  if (!reply->notes.empty()) {
    auto kept = co_await remember(host, std::move(reply->notes));
    if (!kept) co_return service::json_error(service::not_kept(kept.error(), kInternal));
    changed_ = true;
    wake_.cancel();
  }
  if (!reply->forget.empty()) {
    auto forgotten = co_await host.forget(reply->forget, WallTime::max());
    if (!forgotten) co_return service::json_error(service::not_kept(forgotten.error(), kInternal));
    constexpr std::string_view kArchive = "archive/";
    sizes_.erase(reply->forget.substr(kArchive.size()));
  }
  co_return service::json_answer(std::move(reply->body));
}

net::awaitable<ServiceAnswer> EventsService::put_events(ServiceHost& host, ServiceCall call) {
  PutRequest request = read_put_events(call.body);
  if (request.error) co_return service::json_error(*request.error);
  const WallTime now = context_.clock.now().wall;
  Delivering delivering(model_, target_of(host), now);
  std::string entries;
  JsonWriter out(entries);
  out.begin_array();
  int failed = 0;
  for (PutEntry& entry : request.entries) {
    auto error = check_entry(entry);
    Event event = new_event(random_.uuid(), entry.time.value_or(now));
    if (!error) {
      const std::string bus = entry.bus.empty() ? std::string(kDefaultBus) : bus_name(entry.bus);
      event.trace_header = trace_of(entry, call.trace_header);
      event.source = std::move(entry.source);
      event.detail_type = std::move(entry.detail_type);
      event.resources = std::move(entry.resources);
      event.detail = std::move(entry.detail);
      if (!delivering.put(bus, event)) error = kMalformedDetail;
    }
    out.begin_object();
    if (error) {
      ++failed;
      out.member("ErrorCode", error->code).member("ErrorMessage", error->message);
    } else {
      out.member("EventId", event.id);
    }
    out.end_object();
  }
  out.end_array();
  if (auto kept = co_await keep(host, delivering); !kept) {
    co_return service::json_error(service::not_kept(kept.error(), kInternal));
  }
  std::string body;
  JsonWriter(body).begin_object().member("FailedEntryCount", failed).key("Entries").raw(entries).end_object();
  co_return service::json_answer(std::move(body));
}

net::awaitable<Result<void>> EventsService::take(ServiceHost& host, std::string target, DestinationRecord message) {
  const std::string bus = bus_name(std::string_view(target).substr(kScheme.size()));
  if (model_.bus(bus) == nullptr) co_return Error(ErrorCode::kDestinationGone, "there is no event bus " + bus);
  const WallTime now = context_.clock.now().wall;
  const Error refused(ErrorCode::kEventRefused, "the message to the event bus " + bus + " is no event");
  if (!is_json(message.record)) co_return refused;
  auto event = event_of(message, bus, random_.uuid(), now);
  if (!event) co_return refused;
  event->trace_header = message.trace_header;
  Delivering delivering(model_, target_of(host), now);
  if (!event->detail.starts_with('{') || !delivering.put(bus, *event)) co_return refused;
  co_return co_await keep(host, delivering);
}

std::unique_ptr<Service> make_service(ServiceContext context) {
  return std::make_unique<EventsService>(std::move(context));
}

}  // namespace weir::eventbridge
