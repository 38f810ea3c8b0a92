#include "bridge/event_queue.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "bridge/delivery_document.h"
#include "bridge/event_record.h"
#include "bridge/lineage.h"

namespace weir::bridge {
namespace {

/// What events may hold in memory between their 202 and their first attempt.
constexpr std::size_t kBytesAtHand = 32U << 20U;
/// How many events of a function may wait for one more to be kept at hand.
constexpr std::uint64_t kWaitingAtHand = 16'384;

/// How often an event that is over may be unreadable before it is a dead letter without its payload.
constexpr int kUnreadableMax = 3;
/// Source: invocation-async-retain-records.
constexpr std::size_t kErrorMessageMax = 1024;

/// Sources: reference invoke.md, 3.3 and 3.5, with the missing space of AWS's own sentence.
std::string error_message(const engine::EndEvent& order, std::string_view function_arn, const Outcome* outcome) {
  if (!order.status_code) return "Function not invoked. Function isconfigured with zero reserved concurrent executions";
  if (*order.status_code == 429) return "Rate Exceeded.";
  if (*order.status_code == 404) return "Function not found: " + std::string(function_arn);
  const auto* failed = outcome != nullptr ? std::get_if<FunctionFailed>(&outcome->what) : nullptr;
  if (failed == nullptr) return "";
  const auto document = nlohmann::json::parse(failed->payload, nullptr, false);
  const auto found = document.is_object() ? document.find("errorMessage") : document.end();
  return document.is_object() && found != document.end() && found->is_string()
             ? first_bytes(found->get<std::string>(), kErrorMessageMax)
             : "";
}

/// The event itself, as it was sent.
DestinationRecord for_dead_letter_queue(const engine::EndEvent& order, const store::StoredEvent& event,
                                        std::string message, WallTime now) {
  DestinationRecord letter;
  letter.record = event.payload;
  letter.at = now;
  letter.trace_header = event.trace_header;
  auto& attributes = letter.details.attributes;
  attributes["RequestID"] = {"String", event.request_id};
  if (order.status_code) attributes["ErrorCode"] = {"Number", std::to_string(*order.status_code)};
  // An attribute of a message has a value.
  if (!message.empty()) attributes["ErrorMessage"] = {"String", std::move(message)};
  return letter;
}

std::size_t memory_bytes(const store::StoredEvent& event) {
  constexpr std::size_t kBesides = 512;  // the strings beside the payload, and their node
  return event.payload.size() + kBesides;
}

store::StoredEvent to_store(NewEvent event) {
  store::StoredEvent stored;
  stored.function = std::move(event.function);
  stored.qualifier = std::move(event.qualifier);
  stored.request_id = std::move(event.request_id);
  stored.source = std::move(event.source);
  stored.trace_header = std::move(event.trace_header);
  stored.payload = std::move(event.payload);
  return stored;
}

net::steady_timer::time_point timer_time(Instant instant) {
  return net::steady_timer::time_point(instant.time_since_epoch());
}

constexpr const char* kLatest = "$LATEST";

engine::AsyncSettings engine_settings(const config::AsyncConfig& config, bool zero_reserved) {
  engine::AsyncSettings settings;
  settings.maximum_retry_attempts = config.maximum_retry_attempts;
  settings.maximum_event_age = config.maximum_event_age;
  settings.zero_reserved = zero_reserved;
  return settings;
}

}  // namespace

EventQueue::EventQueue(Deps deps, const config::Config& config, std::uint64_t seed)
    : deps_(std::move(deps)),
      random_(seed),
      engine_(engine::AsyncLimits(), random_.next()),
      destinations_(
          Destinations::Deps{deps_.executor, deps_.blocking, config.aws, config.destinations, deps_.log, deps_.clock},
          [this](std::string target, std::string record, std::string trace_header) {
            return accept_record(std::move(target), std::move(record), std::move(trace_header));
          }),
      pace_(deps_.executor, deps_.clock),
      ticker_(deps_.executor),
      drained_signal_(deps_.executor, net::steady_timer::time_point::max()),
      ticks_(deps_.executor),
      invocations_(deps_.executor),
      writes_(deps_.executor) {}

EventQueue::~EventQueue() = default;

/// Source: reference invoke.md, 3.6: no version or alias inherits what the function has. 3.5: but the dead-letter
/// queue.
config::AsyncConfig EventQueue::config_of(const FunctionSettings& settings, const std::string& qualifier) {
  const auto own = settings.async.find(qualifier.empty() ? kLatest : qualifier);
  if (own != settings.async.end()) return own->second;
  config::AsyncConfig config;
  const auto latest = settings.async.find(kLatest);
  if (latest != settings.async.end()) config.dead_letter = latest->second.dead_letter;
  return config;
}

void EventQueue::put(const std::string& name, FunctionSettings settings) {
  Named& named = by_name_[name];
  named.settings = std::move(settings);
  function(name, "");
  for (const auto& [qualifier, each] : named.by_qualifier) {
    each->config = config_of(named.settings, qualifier);
    const engine::AsyncSettings changed = engine_settings(each->config, named.settings.zero_reserved);
    tell([&](Moment now) { engine_.set_function(now, each->id, changed); });
  }
}

/// One that is not known is kept track of all the same: its events are told that it is gone.
EventQueue::Function& EventQueue::function(const std::string& name, const std::string& qualifier) {
  Named& named = by_name_[name];
  const bool itself = qualifier.empty() || qualifier == kLatest || !named.settings.versions;
  Function*& found = named.by_qualifier[itself ? "" : qualifier];
  if (found != nullptr) return *found;
  auto made = std::make_unique<Function>();
  made->name = name;
  if (!itself) made->qualifier = qualifier;
  made->config = config_of(named.settings, made->qualifier);
  made->id = engine_.add_function(engine_settings(made->config, named.settings.zero_reserved));
  found = made.get();
  functions_.push_back(std::move(made));
  return *found;
}

net::awaitable<Result<void>> EventQueue::restore(std::function<void(const store::WaitingEvent&)> delivery) {
  auto read = co_await deps_.events.each_waiting([&](std::vector<store::WaitingEvent> events) {
    for (const store::WaitingEvent& each : events) {
      if (is_delivery(each.function)) {
        delivery(each);
      } else {
        take(each);
      }
    }
  });
  if (!read) co_return std::move(read.error()).during("reading the events that wait");
  restored_ = true;
  if (const std::size_t events = engine_.events(); events > 0) deps_.log.info("queue.restored", {{"events", events}});
  co_return Result<void>();
}

void EventQueue::take(const store::WaitingEvent& event) {
  engine::QueuedEvent queued;
  queued.id = event.id;
  queued.function = function(event.function, event.qualifier).id;
  queued.accepted = event.accepted;
  queued.attempts = event.attempts;
  queued.due = event.due;
  engine_.on_restored(deps_.clock.now(), queued);
}

net::awaitable<void> EventQueue::run() {
  ticks_.spawn(tick());
  tell([&](Moment now) { engine_.on_tick(now); });
  while (!drained_ && !parked_) {
    boost::system::error_code woken;
    co_await drained_signal_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  ticks_.cancel();
  if (parked_) invocations_.cancel();
  co_await ticks_.join();
  co_await invocations_.join();
  co_await writes_.join();
  // A parked queue stays to be looked at until weir stops.
  while (!stopping_) {
    boost::system::error_code woken;
    co_await drained_signal_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

void EventQueue::request_stop() {
  stopping_ = true;
  pace_.request_stop();
  if (!parked_) tell([&](Moment now) { engine_.request_stop(now); });
  drained_signal_.cancel();
}

void EventQueue::cancel() {
  invocations_.cancel();
}

// ---- In ----

net::awaitable<Result<std::string>> EventQueue::accept(NewEvent event, std::optional<store::StoredNote> note) {
  if (stopping_) co_return Error(ErrorCode::kCancelled, "weir stops");
  if (event.request_id.empty()) event.request_id = random_.uuid();
  const std::string request_id = event.request_id;
  QueueCommit one;
  one.events.push_back(to_store(std::move(event)));
  if (note) one.notes.push_back(std::move(*note));
  auto kept = co_await commit(std::move(one));
  if (!kept) co_return std::move(kept.error());
  co_return request_id;
}

net::awaitable<Result<std::vector<std::uint64_t>>> EventQueue::commit(QueueCommit what) {
  if (!restored_) co_return Error(ErrorCode::kCancelled, "weir has not begun");
  if (parked_) co_return Error(ErrorCode::kInternal, "the queue is parked");
  if (engine_.full()) co_return Error(ErrorCode::kStoreFull, "too many events wait");
  const WallTime accepted = deps_.clock.now().wall;
  store::StoredBatch batch;
  const std::size_t events = what.events.size();
  for (store::StoredEvent& event : what.events) {
    if (event.payload.size() > kMaxAsyncRequestBytes) {
      co_return Error(ErrorCode::kEventRefused, std::to_string(event.payload.size()) +
                                                    " byte payload is too large for the Event invocation type (limit " +
                                                    std::to_string(kMaxAsyncRequestBytes) + " bytes)");
    }
    if (event.request_id.empty()) event.request_id = random_.uuid();
    event.accepted = accepted;
  }
  batch.events = std::move(what.events);
  std::move(what.deliveries.begin(), what.deliveries.end(), std::back_inserter(batch.events));
  batch.notes = std::move(what.notes);
  batch.kept = std::move(what.kept);
  what = QueueCommit();  // what is left of it is not held until the disk has answered
  const std::string whose = events == 0 ? "a service" : batch.events.front().function;
  auto kept = co_await deps_.events.append(std::move(batch));
  if (!kept) {
    note_store(kept.error());
    co_return std::move(kept.error()).during("keeping an event of " + whose);
  }
  note_store(Result<void>());
  std::vector<engine::QueuedEvent> queued;
  queued.reserve(events);
  const Function* target = nullptr;  // events that come together are mostly of one function
  std::string name;
  std::string qualifier;
  std::string trace_header;
  bool recursive = false;
  for (std::size_t i = 0; i < events; ++i) {
    store::StoredEvent& event = (*kept)[i];
    deps_.log.debug("event.accepted", {{"request_id", event.request_id}, {"function", event.function}});
    engine::QueuedEvent& told = queued.emplace_back();
    told.id = event.id;
    if (target == nullptr || event.function != name || event.qualifier != qualifier) {
      target = &function(event.function, event.qualifier);
      name = event.function;
      qualifier = event.qualifier;
    }
    told.function = target->id;
    told.accepted = accepted;
    if (event.trace_header != trace_header) {
      trace_header = event.trace_header;
      recursive = is_recursive(trace_header);
    }
    told.recursive = recursive;
    // Behind so many others its turn comes when newer ones have long taken its place.
    if (engine_.figures(told.function).waiting < kWaitingAtHand) keep_at_hand(std::move(event));
  }
  tell([&](Moment now) {
    for (const engine::QueuedEvent& each : queued) engine_.on_accepted(now, each);
  });
  std::vector<std::uint64_t> deliveries;
  deliveries.reserve(kept->size() - events);
  for (std::size_t i = events; i < kept->size(); ++i) deliveries.push_back((*kept)[i].id);
  co_return deliveries;
}

net::awaitable<Result<void>> EventQueue::accept_record(std::string function, std::string record,
                                                       std::string trace_header) {
  const std::optional<std::string> next = pass_on(trace_header);
  if (!next) co_return Error(ErrorCode::kEventRefused, too_many_passes());
  NewEvent event;
  event.trace_header = *next;
  // NAME, or NAME:QUALIFIER
  const std::size_t colon = std::min(function.find(':'), function.size());
  event.qualifier = function.substr(std::min(colon + 1, function.size()));
  function.resize(colon);
  event.function = std::move(function);
  event.payload = std::move(record);
  QueueCommit one;
  one.events.push_back(to_store(std::move(event)));
  auto kept = co_await commit(std::move(one));
  if (!kept) co_return std::move(kept.error());
  co_return Result<void>();
}

Result<void> EventQueue::may_redrive() const {
  if (stopping_ || !restored_) return Error(ErrorCode::kCancelled, "weir is not running");
  if (parked_) return Error(ErrorCode::kInternal, "the queue is parked");
  if (engine_.full()) return Error(ErrorCode::kStoreFull, "too many events wait");
  return {};
}

net::awaitable<Result<Redriven>> EventQueue::redrive(store::DeadLetterFilter which,
                                                     std::function<void(const store::WaitingEvent&)> delivery) {
  if (auto may = may_redrive(); !may) co_return std::move(may.error());
  // What fails again meanwhile is a new dead letter, and would be redriven for ever.
  auto newest = co_await deps_.events.list(which, 1, false);
  if (!newest) co_return std::move(newest.error()).during("sending dead letters again");
  Redriven redriven;
  if (newest->empty()) co_return redriven;
  which.upto = newest->front().id;
  for (bool more = true; more;) {
    if (auto may = may_redrive(); !may) {
      redriven.stopped = std::move(may.error());
      break;
    }
    auto piece = co_await deps_.events.redrive(which, deps_.clock.now().wall);
    if (!piece && redriven.count == 0) co_return std::move(piece.error()).during("sending dead letters again");
    if (!piece) {
      redriven.stopped = std::move(piece.error());
      break;
    }
    for (const store::WaitingEvent& each : piece->events) {
      if (is_delivery(each.function)) {
        delivery(each);
        continue;
      }
      engine::QueuedEvent queued;
      queued.id = each.id;
      queued.function = function(each.function, each.qualifier).id;
      queued.accepted = each.accepted;
      tell([&](Moment now) { engine_.on_accepted(now, queued); });
    }
    redriven.count += piece->events.size();
    which.after = piece->last;
    more = piece->more;
  }
  co_return redriven;
}

// ---- The engine ----

/// Tells the engine something and does what it wants then.
template <typename Tell>
void EventQueue::tell(Tell tell) {
  if (parked_) return;
  try {
    tell(deps_.clock.now());
    pump();
  } catch (const BrokenBelief& broken) {
    park(broken);
  }
}

void EventQueue::pump() {
  if (pumping_) return;
  pumping_ = true;
  while (const auto action = engine_.next()) {
    std::visit([this](const auto& order) { perform(order); }, *action);
  }
  pumping_ = false;
  const auto wake_at = engine_.wake_at();
  if (wake_at && (!tick_at_ || *wake_at < *tick_at_)) {
    tick_at_ = wake_at;
    ticker_.cancel();
  }
}

net::awaitable<void> EventQueue::tick() {
  for (;;) {
    ticker_.expires_at(tick_at_ ? timer_time(*tick_at_) : net::steady_timer::time_point::max());
    boost::system::error_code woken;
    co_await ticker_.async_wait(net::redirect_error(net::use_awaitable, woken));
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) co_return;
    if (!tick_at_ || deps_.clock.now().instant < *tick_at_) continue;
    tick_at_.reset();
    tell([&](Moment now) { engine_.on_tick(now); });
  }
}

void EventQueue::park(const BrokenBelief& broken) {
  parked_ = true;
  pumping_ = false;
  deps_.log.error("queue.parked", {{"code", text(ErrorCode::kInternal)}, {"message", broken.what()}});
  drained_signal_.cancel();
}

void EventQueue::perform(const engine::InvokeEvent& order) {
  invocations_.spawn(attempt(order, Answer(*this, order)));
}

void EventQueue::perform(const engine::RememberRetry& order) {
  answers_.erase(order.event.id);  // the next attempt has its own
  writes_.spawn(remember(order));
}

void EventQueue::perform(const engine::EndEvent& order) {
  writes_.spawn(end(order));
}

void EventQueue::perform(const engine::AsyncDrained&) {
  drained_ = true;
  drained_signal_.cancel();
}

// ---- Out ----

net::awaitable<void> EventQueue::attempt(engine::InvokeEvent order, Answer answer) {
  Outcome outcome;
  const Instant began = deps_.clock.now().instant;
  try {
    outcome = co_await invoke(order);
  } catch (const boost::system::system_error& error) {
    if (error.code() != net::error::operation_aborted) outcome = Outcome(ServiceFailed{500, error.what()});
  } catch (const BrokenBelief& broken) {
    park(broken);
  } catch (const std::exception& error) {
    outcome = Outcome(ServiceFailed{500, error.what()});
  }
  answer.is(std::move(outcome), deps_.clock.now().instant - began);
}

/// Tells the engine, and keeps what the record of the event's end may need.
void EventQueue::answered(const engine::InvokeEvent& order, Outcome outcome, std::optional<Duration> took) {
  const bool failed = std::holds_alternative<FunctionFailed>(outcome.what);
  const bool succeeded = std::holds_alternative<Succeeded>(outcome.what);
  const bool needed = failed || (succeeded && !functions_[order.function]->config.on_success.empty());
  answers_.erase(order.event.id);
  const Outcome* told = &outcome;
  if (needed) told = &answers_.emplace(order.event.id, std::move(outcome)).first->second;
  tell([&](Moment now) { engine_.on_outcome(now, order.event, *told, took); });
}

net::awaitable<Outcome> EventQueue::invoke(engine::InvokeEvent order) {
  Function& target = *functions_[order.function];
  auto stored = co_await event(order.event.id);
  if (!stored) {
    note_store(stored.error());
    co_return Outcome(ServiceFailed{500, stored.error().describe()});
  }
  Invocation call;
  call.function = target.name;
  call.qualifier = std::move(stored->qualifier);
  call.request_id = stored->request_id;
  call.trace_header = std::move(stored->trace_header);
  call.payload = std::move(stored->payload);
  Outcome outcome = co_await deps_.invoker.invoke(std::move(call), Instant::max(), engine::CallKind::kAsynchronous);
  note(target, stored->request_id, order, outcome);
  co_return outcome;
}

void EventQueue::keep_at_hand(store::StoredEvent event) {
  const std::uint64_t id = event.id;
  bytes_at_hand_ += memory_bytes(event);
  at_hand_.emplace_hint(at_hand_.end(), id, std::move(event));
  while (bytes_at_hand_ > kBytesAtHand) {
    const auto oldest = at_hand_.begin();
    bytes_at_hand_ -= memory_bytes(oldest->second);
    at_hand_.erase(oldest);
  }
}

/// The event with its payload: what is at hand goes with it.
net::awaitable<Result<store::StoredEvent>> EventQueue::event(std::uint64_t id) {
  if (auto found = at_hand_.extract(id)) {
    bytes_at_hand_ -= memory_bytes(found.mapped());
    co_return std::move(found.mapped());
  }
  co_return co_await deps_.events.load(id);
}

net::awaitable<void> EventQueue::remember(engine::RememberRetry order) {
  // When it is lost, a restart tries the event once more than it should.
  note_store(co_await deps_.events.remember_retry(order.event.id, order.attempts, order.due));
}

net::awaitable<void> EventQueue::end(engine::EndEvent order) {
  Result<void> kept;
  try {
    kept = co_await conclude(order);
  } catch (const std::exception& error) {
    kept = Error(ErrorCode::kInternal, error.what());
  }
  // What a stop has called off says nothing of the store.
  if (kept || kept.error().code() != ErrorCode::kCancelled) note_store(kept);
  if (kept) {
    answers_.erase(order.event.id);
    told_.erase(order.event.id);
  }
  tell([&](Moment now) { engine_.on_ended(now, order.event, kept.has_value()); });
}

/// Tells the destinations, then lets the store forget; what one of them did not take is a dead letter. One that fails
/// for now is tried again, which holds up no ending that others are told.
net::awaitable<Result<void>> EventQueue::conclude(engine::EndEvent order) {
  const config::AsyncConfig& config = functions_[order.function]->config;
  if (order.condition == engine::AsyncCondition::kSuccess && config.on_success.empty()) {
    co_return co_await deps_.events.settle(order.event.id);
  }
  for (std::size_t tries = 0;; ++tries) {
    co_await pace_.rest(left_alone_until(order));
    const auto concluded = co_await conclude_whole(order, tries);
    if (!concluded) co_return concluded.error();
    if (*concluded == Concluded::kOver) co_return Result<void>();
    co_await pace_.wait(tries);
  }
}

/// Until when one of the destinations is left alone that the ending has yet to tell: to try then says nothing of it.
Instant EventQueue::left_alone_until(const engine::EndEvent& order) const {
  const config::AsyncConfig& config = functions_[order.function]->config;
  if (order.condition == engine::AsyncCondition::kSuccess) {
    return destinations_.left_alone_until(config.on_success, nullptr);
  }
  const auto found = told_.find(order.event.id);
  const auto until = [&](const std::string& destination, Share share) {
    return share == Share::kOpen ? destinations_.left_alone_until(destination, nullptr) : Instant::min();
  };
  return std::max(until(config.on_failure, found == told_.end() ? Share::kOpen : found->second.record),
                  until(config.dead_letter, found == told_.end() ? Share::kOpen : found->second.dead_letter));
}

net::awaitable<Result<EventQueue::Concluded>> EventQueue::conclude_whole(engine::EndEvent order, std::size_t tries) {
  Function& target = *functions_[order.function];
  const std::uint64_t id = order.event.id;
  const bool success = order.condition == engine::AsyncCondition::kSuccess;
  const std::string destination = success ? target.config.on_success : target.config.on_failure;
  const std::string dead_letter = success ? "" : target.config.dead_letter;
  std::string line = line_of(dead_letter) + line_of(destination);
  const EndingPace::Turn turn = co_await pace_.turn(std::move(line));
  const bool last = pace_.last(tries);
  auto stored = co_await event(id);
  if (!stored) {
    // Forgotten already, by an ending whose answer was lost: there is nothing left to tell.
    if (stored.error().code() == ErrorCode::kStoreNotFound) co_return Concluded::kOver;
    if (++unreadable_[id] < kUnreadableMax) co_return std::move(stored.error());
    const auto buried = co_await bury_unreadable(order, stored.error());
    if (!buried) co_return buried.error();
    co_return Concluded::kOver;
  }
  unreadable_.erase(id);
  const auto found = answers_.find(id);
  const Outcome* answer = found == answers_.end() ? nullptr : &found->second;
  const WallTime now = deps_.clock.now().wall;
  const std::string arn = deps_.invoker.qualified_arn(target.name, stored->qualifier);
  std::string record = event_record(order, *stored, arn, answer, now);
  const auto [entry, first] = told_.try_emplace(id);
  Told& told = entry->second;
  if (!success && first) note_end(target, *stored, order);
  if (!dead_letter.empty() && told.dead_letter == Share::kOpen) {
    DestinationRecord letter = for_dead_letter_queue(order, *stored, error_message(order, arn, answer), now);
    const auto given = co_await give(order, stored->request_id, dead_letter, std::move(letter), last);
    if (!given) co_return given.error();
    told.dead_letter = *given;
    if (*given == Share::kRefused) ++target.dead_letter_errors;
  }
  if (!destination.empty() && told.record == Share::kOpen) {
    DestinationRecord about;
    about.record = record;
    about.payload = stored->payload;
    about.function = target.name;
    about.at = now;
    about.trace_header = stored->trace_header;
    const auto given = co_await give(order, stored->request_id, destination, std::move(about), last);
    if (!given) co_return given.error();
    told.record = *given;
    if (*given == Share::kRefused) ++target.destination_failures;
  }
  const auto is = [&](Share share) {
    return (!destination.empty() && told.record == share) || (!dead_letter.empty() && told.dead_letter == share);
  };
  if (is(Share::kOpen)) co_return Concluded::kAgain;
  Result<void> kept;
  // As in Lambda, a record of a success that cannot be delivered is lost, and counted.
  if (success || (is(Share::kTaken) && !is(Share::kRefused))) {
    kept = co_await deps_.events.settle(id);
  } else {
    store::DeadLetter letter;
    letter.source = std::move(stored->source);
    letter.function = target.name;
    letter.qualifier = std::move(stored->qualifier);
    letter.record = std::move(record);
    letter.payload = std::move(stored->payload);
    letter.at = now;
    kept = co_await deps_.events.bury(id, std::move(letter));
  }
  if (!kept) co_return kept.error();
  co_return Concluded::kOver;
}

/// kOpen: it failed for now. An error: the ending is to be asked for again, as the store behind the destination, a
/// function's or a service's, cannot take anything now.
net::awaitable<Result<EventQueue::Share>> EventQueue::give(engine::EndEvent order, std::string request_id,
                                                           std::string destination, DestinationRecord record,
                                                           bool last) {
  const Result<void> delivered = co_await destinations_.deliver(destination, std::move(record), nullptr);
  if (delivered) co_return Share::kTaken;
  const Error error = delivered.error();
  if (!is_refusal(error.code())) co_return error;
  if (!last && may_pass(destination, error.code())) co_return Share::kOpen;
  deps_.log.error("destination.refused", {{"request_id", request_id},
                                          {"function", functions_[order.function]->name},
                                          {"code", text(error.code())},
                                          {"message", error.describe()}});
  co_return Share::kRefused;
}

/// An event whose row is damaged must not hold up all others for ever. What is known of it is kept.
net::awaitable<Result<void>> EventQueue::bury_unreadable(engine::EndEvent order, const Error& error) {
  Function& target = *functions_[order.function];
  deps_.log.error("event.unreadable", {{"event", order.event.id},
                                       {"function", target.name},
                                       {"code", text(error.code())},
                                       {"message", error.describe()}});
  store::StoredEvent lost;
  lost.function = target.name;
  lost.payload = "null";
  store::DeadLetter letter;
  letter.function = target.name;
  letter.at = deps_.clock.now().wall;
  letter.record = event_record(order, lost, deps_.invoker.qualified_arn(target.name, ""), nullptr, letter.at);
  letter.payload = lost.payload;
  unreadable_.erase(order.event.id);
  co_return co_await deps_.events.bury(order.event.id, std::move(letter));
}

// ---- What is told ----

/// One line when a function's events begin to fail, in a new way, or work again; each attempt has one at debug level,
/// so that an event's way from its 202 to its end can be followed by its request id.
void EventQueue::note(Function& function, const std::string& request_id, const engine::InvokeEvent& order,
                      const Outcome& outcome) {
  if (std::holds_alternative<Cancelled>(outcome.what)) return;
  const bool fine = std::holds_alternative<Succeeded>(outcome.what);
  if (fine) function.dropping.reset();
  std::string why;
  if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what)) why = failed->error_type;
  if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) why = text(throttled->reason);
  if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) why = service->message;
  deps_.log.debug("event.attempted", {{"request_id", request_id},
                                      {"function", function.name},
                                      {"attempt", order.attempt},
                                      {"outcome", kind(outcome)},
                                      {"reason", why}});
  // One more than is admitted, while others are: how the queue finds out what it may have, and no trouble.
  if (std::holds_alternative<Throttled>(outcome.what) && engine_.figures(function.id).in_flight > 1) return;
  const std::string now = fine ? std::string() : std::string(kind(outcome));
  if (now == function.trouble) {
    ++function.trouble_count;
    return;
  }
  if (fine) {
    deps_.log.info("invocation.recovered", {{"function", function.name}, {"failures", function.trouble_count}});
  } else {
    deps_.log.warn("invocation.failed", {{"request_id", request_id},
                                         {"function", function.name},
                                         {"attempt", order.attempt},
                                         {"outcome", kind(outcome)},
                                         {"reason", why}});
  }
  function.trouble = now;
  function.trouble_count = 1;
}

/// One line when events of a function begin to be given up on, or for another reason; each has a line at debug level,
/// and a dead letter or a record at its destination.
void EventQueue::note_end(Function& function, const store::StoredEvent& event, const engine::EndEvent& order) {
  const LogLevel level = function.dropping == order.condition ? LogLevel::kDebug : LogLevel::kWarn;
  function.dropping = order.condition;
  std::string destination = function.config.on_failure;
  if (!function.config.dead_letter.empty())
    destination += (destination.empty() ? "" : ", ") + function.config.dead_letter;
  if (destination.empty()) destination = "dead letters";
  const std::array<LogField, 7> fields{LogField("request_id", event.request_id),
                                       LogField("function", function.name),
                                       LogField("source", event.source),
                                       LogField("condition", text(order.condition)),
                                       LogField("attempts", order.approximate_invoke_count),
                                       LogField("status", order.status_code.value_or(0)),
                                       LogField("destination", destination)};
  deps_.log.write(level, "event.dropped", fields);
}

void EventQueue::note_store(const Result<void>& kept) {
  if (kept.has_value() != store_trouble_) return;
  store_trouble_ = !kept;
  if (kept) {
    deps_.log.info("store.recovered", {{"part", "queue"}});
    return;
  }
  const Error error = kept.error();
  deps_.log.error("store.refused", {{"part", "queue"}, {"code", text(error.code())}, {"message", error.describe()}});
}

std::vector<AsyncStatus> EventQueue::status() const {
  const Moment now = deps_.clock.now();
  std::vector<AsyncStatus> all;
  for (const auto& each : functions_) {
    AsyncStatus status;
    status.function = each->name;
    status.qualifier = each->qualifier;
    status.figures = engine_.figures(each->id);
    status.destination_failures = each->destination_failures;
    status.dead_letter_errors = each->dead_letter_errors;
    if (const auto oldest = engine_.oldest(each->id)) status.oldest_age = std::max(Duration(0), now.wall - *oldest);
    if (const auto next = engine_.next_attempt(each->id)) {
      status.next_attempt = std::max(Duration(0), *next - now.instant);
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace weir::bridge
