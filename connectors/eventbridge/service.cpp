#include "connectors/eventbridge/service.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/json_writer.h"

#include "connectors/eventbridge/config.h"
#include "connectors/eventbridge/connector.h"
#include "schedule/schedule.h"
#include "service/answers.h"
#include "service/bus_entry.h"

namespace weir::eventbridge {
namespace {

constexpr Duration kTidyEvery = std::chrono::hours(1);
constexpr Duration kPause = std::chrono::seconds(1);      // between tries, while the store refuses
constexpr Duration kLookAgain = std::chrono::minutes(1);  // at schedules: the wall clock may jump
constexpr std::size_t kPageEvents = 1000;                 // of an archive, read at once
constexpr std::size_t kPageBytes = std::size_t{4} << 20U;
constexpr Duration kForgottenAtOnce = std::chrono::hours(1);  // of a deleted archive's time
constexpr std::string_view kInternal = "InternalException";
constexpr std::string_view kScheme = "eventbridge:";
constexpr std::size_t kLoggedMax = 1000;

/// A trace that came with an entry goes on, unless it would hide how many functions have called each other so far.
const std::string& trace_of(const PutEntry& entry, const std::string& call) {
  if (entry.trace_header.empty()) return call;
  const bool counted = call.find("Lineage=") != std::string::npos;
  return counted ? call : entry.trace_header;
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

bool only_reads(std::string_view operation) {
  return operation.starts_with("Describe") || operation.starts_with("List") || operation.starts_with("Test");
}

ServiceAnswer answer(std::optional<Reply> reply) {
  if (!reply) return service::json_error(unknown_operation());
  if (reply->error) return service::json_error(*reply->error);
  return service::json_answer(std::move(reply->body));
}

KeptRange page_of(std::string log) {
  KeptRange range(std::move(log), kPageEvents);
  range.bytes_max = kPageBytes;
  return range;
}

}  // namespace

EventsService::EventsService(ServiceContext context)
    : context_(std::move(context)),
      model_(declared()),
      random_(seed_from_system()),
      wake_(context_.executor),
      turns_(context_.executor),
      held_([this] { freed_.cancel(); }),
      freed_(context_.executor, net::steady_timer::time_point::max()),
      for_room_(context_.executor),
      utc_(std::make_shared<const schedule::TimeZone>(schedule::TimeZone::utc())) {}

/// Changes of the model are made one after the other: what one was checked against is what it changes. Who only reads
/// waits for none of them: the model changes at once, when it is on disk.
net::awaitable<service::Turns::Turn> EventsService::change() {
  return turns_.take();
}

/// Waits until another event may be put. Who waits holds nothing, so that what is held is given back.
net::awaitable<void> EventsService::room() {
  if (!held_.full() && for_room_.size() == 0) co_return;
  const auto turn = co_await for_room_.take();
  while (held_.full()) {
    boost::system::error_code woken;
    co_await freed_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

/// What the configuration says, and nothing of what is remembered.
Model EventsService::declared() const {
  Model model(context_.clock.now().wall);
  for (const ServiceSource& source : context_.sources) model.declare(rule_of(source));
  return model;
}

Delivering::TargetOf EventsService::target_of(const ServiceHost& host) const {
  return [&host](std::string_view arn) { return host.target_of(arn); };
}

bool EventsService::owns(std::string_view target) const {
  if (!target.starts_with(kScheme)) return false;
  return model_.bus(bus_name(target.substr(kScheme.size()))) != nullptr;
}

/// Reads what is remembered. Calls of an earlier run() may still be under way: it has its turn as they have.
net::awaitable<Result<void>> EventsService::load(ServiceHost& host) {
  const auto turn = co_await change();
  auto notes = co_await host.notes();
  if (!notes) co_return std::move(notes.error());
  Model model = declared();
  for (auto& [key, value] : *notes) {
    const SourceNote note{key, std::move(value)};
    if (auto applied = model.apply(note); !applied) co_return applied;
  }
  model_ = std::move(model);
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
      for (const auto& [name, archive] : model_.archives()) untidied_.insert(name);
      tidy_at = context_.clock.now().instant + kTidyEvery;
    }
    // A step of each, so that nothing waits for an archive of millions.
    auto next = co_await run_schedules(host);
    auto replaying = co_await replay_some(host);
    auto tidying = co_await tidy_some(host);
    if (!next || !replaying || !tidying) {
      const Error& error = !next ? next.error() : !replaying ? replaying.error() : tidying.error();
      if (error.code() == ErrorCode::kCancelled || !is_transient(error.code())) co_return error;
      pause = kPause;
    } else if (*replaying || *tidying || changed_) {
      continue;
    } else if (*next) {
      const Duration until = **next - context_.clock.now().wall;
      pause = std::clamp<Duration>(until, Duration::zero(), kLookAgain);
    }
    wake_.expires_after(pause);
    boost::system::error_code woken;
    co_await wake_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

/// A step of forgetting what archives keep no longer. Whether there is more to do.
net::awaitable<Result<bool>> EventsService::tidy_some(ServiceHost& host) {
  if (!model_.left_over().empty()) {
    auto done = co_await forget_left_over(host, *model_.left_over().begin());
    if (!done) co_return std::move(done.error());
    co_return true;
  }
  if (untidied_.empty()) co_return false;
  const std::string name = *untidied_.begin();
  const auto archive = model_.archives().find(name);
  bool more = false;
  if (archive != model_.archives().end() && archive->second.retention_days > 0) {
    // A hundred years are for ever, and times do not go much further.
    const auto days = std::min(archive->second.retention_days, 36'500);
    auto forgot = co_await forget_old(host, archive->second, context_.clock.now().wall - std::chrono::hours(24) * days);
    if (!forgot) co_return forgot;
    more = *forgot;
  }
  if (!more) untidied_.erase(name);
  co_return !untidied_.empty();
}

/// Forgets the oldest events of an archive, if they are older, and counts them off: those of a page, and those of the
/// same millisecond as its last, which go together. A crash between the two leaves them in the count. Whether there may
/// be more.
net::awaitable<Result<bool>> EventsService::forget_old(ServiceHost& host, Archive archive, WallTime older) {
  ArchiveSize old;
  KeptRange range = page_of(archive.log());
  range.to = older;
  bool paged = false;
  for (bool more = true; more;) {
    auto page = co_await host.kept(range);
    if (!page) co_return std::move(page.error());
    for (const KeptEvent& event : page->events) {
      ++old.events;
      old.bytes += static_cast<std::int64_t>(event.event.size());
    }
    more = page->more;
    if (!more) break;
    paged = true;
    range.from = page->events.back().at;
    range.after = page->events.back().id;
    range.to = std::min(older, range.from + std::chrono::milliseconds(1));
  }
  if (old.events == 0) co_return false;
  auto forgotten = co_await host.forget(archive.log(), range.to);
  if (!forgotten) co_return std::move(forgotten.error());
  ServiceCommit what;
  const ArchiveSize less{-old.events, -old.bytes};
  what.notes.push_back(model_.count(archive.log(), less));
  auto kept = co_await host.commit(std::move(what));
  if (!kept) co_return std::move(kept.error());
  co_return paged;
}

/// Forgets the oldest hour of what a deleted archive has left, or that there was something.
net::awaitable<Result<void>> EventsService::forget_left_over(ServiceHost& host, std::string log) {
  auto oldest = co_await host.kept(KeptRange(log, 1));
  if (!oldest) co_return std::move(oldest.error());
  if (!oldest->events.empty()) co_return co_await host.forget(log, oldest->events.front().at + kForgottenAtOnce);
  const auto turn = co_await change();
  co_return co_await remember(host, end_of_left_over(log));
}

/// Runs the rules whose time has come. When the next one's comes.
net::awaitable<Result<std::optional<WallTime>>> EventsService::run_schedules(ServiceHost& host) {
  std::vector<std::string> names;
  for (const auto& [name, rule] : model_.bus(kDefaultBus)->rules) {
    if (rule.enabled && !rule.schedule.empty()) names.push_back(name);
  }
  std::optional<WallTime> earliest;
  for (const std::string& name : names) {
    const auto turn = co_await change();
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
      Delivering delivering(model_, target_of(host), now, held_);
      if (delivering.fire(*rule, event) != Delivering::Put::kDone) log_too_large(event);
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
    const auto turn = co_await change();
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
  Delivering delivering(model_, target_of(host), now, held_);
  const auto archive = model_.archives().find(replay.archive);
  if (replay.state == ReplayState::kCancelling) {
    replay.state = ReplayState::kCancelled;
  } else if (archive == model_.archives().end() || archive->second.created > replay.started) {
    replay.fail("Archive " + replay.archive + " does not exist.");
  } else if (model_.bus(replay.bus) == nullptr) {
    replay.fail("Event bus " + replay.bus + " does not exist.");
  } else {
    replay.state = ReplayState::kRunning;
    KeptRange range = page_of(archive->second.log());
    range.from = replay.last.value_or(replay.from);
    range.after = replay.last_id;
    range.to = replay.to;
    auto page = co_await host.kept(std::move(range));
    if (!page) co_return std::move(page.error());
    replay_page(delivering, replay, *page);
  }
  if (replay.state != ReplayState::kRunning) replay.ended = now;
  SourceNote note = note_of(replay);
  delivering.commit().notes.push_back(note);
  if (auto kept = co_await keep(host, delivering); !kept) co_return std::move(kept.error());
  if (auto applied = model_.apply(note); !applied) co_return std::move(applied.error());
  co_return replay.under_way();
}

/// Puts the events of a page on the bus again, until there is enough for one commit.
void EventsService::replay_page(Delivering& delivering, Replay& replay, const KeptPage& page) {
  for (const KeptEvent& kept : page.events) {
    if (delivering.full()) return;
    // No one but Delivering writes there, so that it is an event.
    if (auto event = read_envelope(kept.event, new_event("", kept.at))) {
      event->id = random_.uuid();
      event->replay_name = replay.name;
      if (delivering.put(replay.bus, *event, replay.filter_arns) == Delivering::Put::kTooLarge) {
        replay.fail("The deliveries of the event of " + iso_milliseconds(kept.at) + " are more than weir takes.");
        return;
      }
    }
    replay.last = kept.at;
    replay.last_id = kept.id;
  }
  if (!page.more) replay.state = ReplayState::kCompleted;
}

void EventsService::log_too_large(const Event& event) {
  context_.log.error(
      "event.refused",
      {{"source", event.source}, {"detail_type", event.detail_type}, {"reason", kEventTooLarge.message}});
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
  std::map<std::string, ArchiveSize> more;
  for (const auto& [log, bytes] : delivering.archived()) {
    ++more[log].events;
    more[log].bytes += static_cast<std::int64_t>(bytes);
  }
  // Counted before it is on disk: the notes of calls that come together are written in the order of the calls.
  for (const auto& [log, size] : more) {
    what.notes.push_back(model_.count(log, size));
  }
  auto kept = co_await host.commit(std::move(what));
  if (kept) co_return kept;
  for (const auto& [log, size] : more) model_.count(log, {-size.events, -size.bytes});
  co_return kept;
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
  return call.operation == "PutEvents" ? put_events(host, std::move(call)) : manage(host, std::move(call));
}

net::awaitable<ServiceAnswer> EventsService::manage(ServiceHost& host, ServiceCall call) {
  const auto asked = [&] { return Api(model_, host, context_.clock.now().wall).handle(call.operation, call.body); };
  if (only_reads(call.operation)) co_return answer(asked());
  const auto turn = co_await change();
  auto reply = asked();
  if (reply && !reply->error && !reply->notes.empty()) {
    auto kept = co_await remember(host, std::move(reply->notes));
    if (!kept) co_return service::json_error(service::not_kept(kept.error(), kInternal));
    changed_ = true;
    wake_.cancel();
  }
  co_return answer(std::move(reply));
}

/// An entry is kept with all its deliveries or not at all. So is the whole call, unless it comes to more than one
/// commit takes: then entries may be refused behind others that are kept, as AWS's answer says it of each.
net::awaitable<ServiceAnswer> EventsService::put_events(ServiceHost& host, ServiceCall call) {
  PutRequest request = read_put_events(call.body);
  if (request.error) co_return service::json_error(*request.error);
  const WallTime now = context_.clock.now().wall;
  std::vector<PutResult> results(request.entries.size());
  Event event = new_event("", now);  // one for all entries, which keeps its memory
  std::optional<Delivering> delivering;
  std::size_t kept_entries = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!delivering) {
      if (held_.full() || for_room_.size() > 0) co_await room();
      delivering.emplace(model_, target_of(host), now, held_);
      delivering->commit().deliveries.reserve(results.size());
    }
    results[i] = put_entry(*delivering, request.entries[i], call.trace_header, now, event);
    const bool last = i + 1 == results.size();
    if (!last && !delivering->full()) continue;
    if (last && kept_entries == 0) {
      // Nothing of the call is needed behind its only commit but the answer. With 64 calls that wait for the disk it
      // matters what each has allocated meanwhile.
      std::string body = put_answer(results);
      results = {};
      request = PutRequest();
      call = ServiceCall();
      event = Event();
      auto kept = co_await keep(host, *delivering);
      if (!kept) co_return service::json_error(service::not_kept(kept.error(), kInternal));
      co_return service::json_answer(std::move(body));
    }
    if (auto kept = co_await keep(host, *delivering); !kept) {
      const auto refused = service::not_kept(kept.error(), kInternal);
      if (kept_entries == 0) co_return service::json_error(refused);
      for (std::size_t lost = kept_entries; lost < results.size(); ++lost) {
        if (!results[lost].error) results[lost].error = EntryError{"InternalFailure", "Nothing of the entry was kept."};
      }
      break;
    }
    kept_entries = i + 1;
    delivering.reset();
  }
  co_return service::json_answer(put_answer(results));
}

PutResult EventsService::put_entry(Delivering& delivering, PutEntry& entry, const std::string& trace_header,
                                   WallTime now, Event& event) {
  PutResult result;
  result.error = check_entry(entry);
  if (result.error) return result;
  event.id = random_.uuid();
  event.time = entry.time.value_or(now);
  const std::string bus = entry.bus.empty() ? std::string(kDefaultBus) : bus_name(entry.bus);
  event.trace_header = trace_of(entry, trace_header);
  event.source = std::move(entry.source);
  event.detail_type = std::move(entry.detail_type);
  event.resources = std::move(entry.resources);
  event.detail = std::move(entry.detail);
  const auto put = delivering.put(bus, event);
  if (put == Delivering::Put::kMalformed) result.error = kMalformedDetail;
  if (put == Delivering::Put::kTooLarge) result.error = kEventTooLarge;
  result.id = std::move(event.id);
  return result;
}

net::awaitable<Result<void>> EventsService::take(ServiceHost& host, std::string target, DestinationRecord message) {
  const std::string bus = bus_name(std::string_view(target).substr(kScheme.size()));
  if (model_.bus(bus) == nullptr) co_return Error(ErrorCode::kDestinationGone, "there is no event bus " + bus);
  const WallTime now = context_.clock.now().wall;
  auto entry = service::bus_entry(message, bus_arn(bus));
  if (!entry) co_return Error(ErrorCode::kEventRefused, "the message to the event bus " + bus + " is no event");
  Event event = event_of(std::move(*entry), new_event(random_.uuid(), now));
  event.trace_header = message.trace_header;
  co_await room();
  Delivering delivering(model_, target_of(host), now, held_);
  const auto put = delivering.put(bus, event);
  if (put != Delivering::Put::kDone) {
    const auto& why = put == Delivering::Put::kTooLarge ? kEventTooLarge : kMalformedDetail;
    co_return Error(ErrorCode::kEventRefused, std::string(why.message)).during("putting an event on the bus " + bus);
  }
  co_return co_await keep(host, delivering);
}

std::unique_ptr<Service> make_service(ServiceContext context) {
  return std::make_unique<EventsService>(std::move(context));
}

}  // namespace weir::eventbridge
