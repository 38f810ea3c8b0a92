#include "bridge/queue_runner.h"

#include <algorithm>

#include "weir/base/overloaded.h"

#include "bridge/batch_response.h"
#include "pattern/filter_criteria.h"

namespace weir::bridge {
namespace {

/// How often the queue is asked what it is like, and how many messages it has.
constexpr Duration kDescribeEvery = std::chrono::seconds(60);
/// After a receive that tells that it has another number now.
constexpr Duration kDescribeAfterNews = std::chrono::seconds(5);
/// For so long receives may go without an answer before the source counts as failed: a server that is restarted comes
/// back meanwhile.
constexpr Duration kReceivePatience = std::chrono::seconds(30);
/// Receives work again when none failed for so long: where only some connections fail, successes come in between.
constexpr Duration kReceiveCalm = std::chrono::seconds(10);

/// A poll began later at the queue than here, and ends later.
constexpr Duration kPollOverrun = std::chrono::seconds(1);

std::string seconds_text(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

}  // namespace

Result<void> check_visibility(const QueueTraits& queue, std::optional<Duration> function_timeout) {
  if (!function_timeout || queue.visibility_timeout >= *function_timeout) return {};
  return Error(ErrorCode::kSourceFailed,
               "Queue visibility timeout: " + seconds_text(queue.visibility_timeout) +
                   " seconds is less than Function timeout: " + seconds_text(*function_timeout) + " seconds");
}

QueueRunner::QueueRunner(QueueDeps deps, std::string name, MappingSettings settings,
                         std::optional<Duration> function_timeout, std::uint64_t seed)
    : deps_(std::move(deps)),
      name_(std::move(name)),
      settings_(std::move(settings)),
      function_timeout_(function_timeout),
      seed_(seed),
      inbox_(deps_.executor),
      calls_(deps_.executor),
      receives_(deps_.executor) {}

net::awaitable<Result<void>> QueueRunner::run() {
  Result<void> result;
  try {
    result = co_await drive();
  } catch (const std::exception&) {
    // Not let out before the calls have ended: they refer to this runner.
    failure_ = std::current_exception();
  }
  receives_.cancel();
  calls_.cancel();
  co_await receives_.join();
  co_await calls_.join();
  co_await deps_.source.close();
  if (failure_) std::rethrow_exception(failure_);
  co_return result;
}

void QueueRunner::request_stop() {
  stop_requested_ = true;
  // What a poll is given that nobody waits for any more would be lost until its visibility timeout is over.
  if (!engine_) receives_.cancel();
  inbox_.wake();
}

void QueueRunner::cancel() {
  cancelled_ = true;
  request_stop();
  receives_.cancel();
}

QueueStatus QueueRunner::status() const {
  QueueStatus status;
  status.traits = traits_;
  status.backlog = deps_.source.backlog();
  if (!engine_) return status;
  status.in_flight = engine_->in_flight();
  status.concurrency = engine_->concurrency();
  status.held = engine_->held();
  status.counters = engine_->counters();
  status.problem = receive_trouble_.empty() ? removal_trouble_ : receive_trouble_;
  return status;
}

Result<engine::QueueSettings> QueueRunner::settings_for(const QueueTraits& traits) const {
  if (auto fits = check_visibility(traits, function_timeout_); !fits) return std::move(fits.error());
  engine::QueueSettings settings;
  settings.fifo = traits.fifo;
  settings.batch_size = settings_.batch_size;
  settings.window = settings_.maximum_batching_window;
  settings.maximum_concurrency = settings_.maximum_concurrency;
  settings.visibility_timeout = traits.visibility_timeout;
  settings.function_timeout = function_timeout_;
  std::string empty;
  deps_.source.write_event({}, empty);
  settings.envelope_bytes = empty.size();
  settings.seed = seed_;
  return settings;
}

net::awaitable<Result<void>> QueueRunner::drive() {
  // A leaf like the others, so that cancel() reaches it.
  describing_ = true;
  receives_.spawn(answer(describe(), Described{Error(ErrorCode::kCancelled, "called off")}));
  while (!engine_ && !failure_) {
    auto message = co_await inbox_.next_until(std::nullopt);
    if (!message) continue;
    auto& described = std::get<Described>(*message);
    describing_ = false;
    if (stop_requested_) co_return Result<void>();
    if (!described.traits) co_return std::move(described.traits.error());
    traits_ = *described.traits;
    auto settings = settings_for(traits_);
    if (!settings) co_return std::move(settings.error());
    envelope_bytes_ = settings->envelope_bytes;
    engine_.emplace(*settings);
    describe_due_ = deps_.clock.now().instant + kDescribeEvery;
  }
  while (!drained_ && !cancelled_ && !failure_) {
    const Moment now = deps_.clock.now();
    if (stop_requested_) {
      engine_->request_stop(now);
      if (now.instant >= polls_end()) receives_.cancel();
    } else {
      engine_->on_tick(now);
      if (!describing_ && now.instant >= describe_due_) {
        describing_ = true;
        receives_.spawn(answer(describe(), Described{Error(ErrorCode::kCancelled, "called off")}));
      }
    }
    while (auto action = engine_->next()) perform(std::move(*action));
    if (drained_) break;
    std::optional<Instant> until = engine_->wake_at();
    if (!describing_ && !stop_requested_) until = earlier(until, describe_due_);
    if (stop_requested_ && now.instant < polls_end()) until = earlier(until, polls_end());
    auto message = co_await inbox_.next_until(until);
    if (message) tell(std::move(*message));
  }
  co_return ended_;
}

void QueueRunner::perform(engine::QueueAction action) {
  std::visit(Overloaded{
                 [this](const engine::ReceiveMessages& order) {
                   ReceiveLimits limits;
                   limits.max_messages = order.max_messages;
                   limits.wait = order.wait;
                   limits.visibility_timeout = order.visibility_timeout;
                   polls_.emplace(order.call, deps_.clock.now().instant + order.wait);
                   receives_.spawn(answer(receive(order.call, limits),
                                          Received{order.call, Error(ErrorCode::kCancelled, "called off")}));
                 },
                 [this](engine::InvokeMessages& order) {
                   std::vector<const QueueMessage*> messages;
                   messages.reserve(order.items.size());
                   for (const engine::QueueItem* item : order.items) {
                     messages.push_back(static_cast<const QueueMessage*>(item->origin.get()));
                   }
                   Invocation call;
                   call.function = deps_.function;
                   call.qualifier = deps_.qualifier;
                   call.request_id = std::move(order.request_id);
                   call.payload.reserve(order.payload_bytes);
                   deps_.source.write_event(messages, call.payload);
                   WEIR_ASSERT(call.payload.size() == order.payload_bytes);
                   calls_.spawn(answer(invoke(order.call, std::move(call)),
                                       Answered{order.call, Outcome(), engine::ItemFailures()}));
                 },
                 [this](engine::RemoveMessages& order) {
                   calls_.spawn(answer(remove(order.call, std::move(order.receipts)), Removed{order.call, {}}));
                 },
                 [this](engine::ChangeVisibility& order) {
                   const Duration timeout = order.timeout > Duration(0) ? order.timeout : release_timeout();
                   calls_.spawn(answer(change_visibility(order.call, std::move(order.receipts), timeout),
                                       Changed{order.call, {}}));
                 },
                 [this](const engine::QueueDrained&) { drained_ = true; },
             },
             action);
}

/// When polls under way have ended, or never will.
Instant QueueRunner::polls_end() const {
  Instant end{};
  for (const auto& [call, until] : polls_) end = std::max(end, until + kPollOverrun);
  return end;
}

/// For how long messages that are given back stay invisible: what was visible before would be given to a poll that is
/// still under way, and count as received once more.
Duration QueueRunner::release_timeout() const {
  const Duration left = std::max(Duration(0), polls_end() - deps_.clock.now().instant);
  return std::min<Duration>(std::chrono::ceil<std::chrono::seconds>(left), traits_.visibility_timeout);
}

void QueueRunner::tell(Message message) {
  const Moment now = deps_.clock.now();
  std::visit(Overloaded{
                 [&](Received& received) { tell_received(now, std::move(received)); },
                 [&](const Answered& answered) {
                   engine_->on_outcome(now, answered.call, answered.outcome, answered.failures);
                 },
                 [&](const Removed& removed) { engine_->on_removed(now, removed.call, removed.gone); },
                 [&](const Changed& changed) { engine_->on_visibility(now, changed.call, changed.changed); },
                 [&](const Described& described) {
                   describing_ = false;
                   describe_due_ = now.instant + kDescribeEvery;
                   // Otherwise what was known stays: receives say what is wrong.
                   if (!described.traits) return;
                   traits_.visibility_timeout = described.traits->visibility_timeout;
                   engine_->on_visibility_timeout(now, traits_.visibility_timeout);
                 },
             },
             message);
}

void QueueRunner::tell_received(Moment now, Received received) {
  polls_.erase(received.call);
  if (received.items) {
    unanswered_since_.reset();
    if (!received.items->empty() || deps_.source.backlog().value_or(0) > 0) {
      describe_due_ = std::min(describe_due_, now.instant + kDescribeAfterNews);
    }
    if (!receive_trouble_.empty() && now.instant - receive_failed_ >= kReceiveCalm) {
      receive_trouble_.clear();
      deps_.log.info("receive.recovered", {{"source", name_}});
    }
    engine_->on_messages(now, received.call, std::move(*received.items));
    return;
  }
  const Error error = received.items.error();
  if (error.code() == ErrorCode::kCancelled) {
    engine_->on_messages(now, received.call, {});
    return;
  }
  note_receive(now.instant, error);
  bool over = error.code() == ErrorCode::kSourceNotFound || error.code() == ErrorCode::kSourceRefused;
  if (error.code() == ErrorCode::kSourceUnreachable) {
    if (!unanswered_since_) unanswered_since_ = now.instant;
    over = now.instant - *unanswered_since_ >= kReceivePatience;
  } else {
    // An answer, be it that there is too much in flight or that weir asks too often.
    unanswered_since_.reset();
  }
  if (ended_ && over) {
    ended_ = error;
    request_stop();
    receives_.cancel();
  }
  engine_->on_receive_failed(now, received.call);
}

/// One line when receives begin to fail, whatever the words of each.
void QueueRunner::note_receive(Instant now, const Error& error) {
  receive_failed_ = now;
  if (receive_trouble_.empty()) {
    deps_.log.warn("receive.failed", {{"source", name_}, {"code", text(error.code())}, {"message", error.describe()}});
  }
  receive_trouble_ = error.describe();
}

/// Lambda would refuse its event each time; the queue's redrive policy gets it in the end.
void QueueRunner::note_oversized(const engine::QueueItem& item) {
  if (item.filtered || envelope_bytes_ + item.encoded_bytes <= kMaxRequestBytes || item.id == oversized_) return;
  oversized_ = item.id;
  deps_.log.warn("message.too_large", {{"source", name_},
                                       {"message_id", item.id},
                                       {"event_bytes", envelope_bytes_ + item.encoded_bytes},
                                       {"event_bytes_max", kMaxRequestBytes}});
}

net::awaitable<void> QueueRunner::answer(net::awaitable<Message> work, Message otherwise) {
  return runtime::answer(std::move(work), runtime::Answer<Message>(inbox_, std::move(otherwise)), failure_);
}

net::awaitable<QueueRunner::Message> QueueRunner::receive(engine::QueueCall call, ReceiveLimits limits) {
  Received received;
  received.call = call;
  auto messages = co_await deps_.source.receive(limits);
  if (!messages) {
    received.items = std::move(messages.error());
    co_return Message(std::move(received));
  }
  const pattern::FilterCriteria* criteria = settings_.filter.get();
  const bool with_metadata = criteria != nullptr && criteria->needs_metadata();
  FilterView view;
  std::vector<engine::QueueItem> items;
  items.reserve(messages->size());
  for (QueueMessage& message : *messages) {
    engine::QueueItem item;
    if (criteria != nullptr) {
      view.metadata.clear();
      deps_.source.write_filter_view(message, with_metadata, view);
      item.filtered = !criteria->keeps(view);
    }
    // From here on the engine has them, and of the message itself the event's text is all that is asked for.
    item.id = std::move(message.id);
    item.receipt = std::move(message.receipt);
    item.group = std::move(message.group);
    message.body = std::string();
    item.encoded_bytes = message.json.size();
    note_oversized(item);
    item.origin = std::make_shared<const QueueMessage>(std::move(message));
    items.push_back(std::move(item));
  }
  received.items = std::move(items);
  co_return Message(std::move(received));
}

net::awaitable<QueueRunner::Message> QueueRunner::invoke(engine::QueueCall call, Invocation invocation) {
  Answered answered;
  answered.call = call;
  answered.outcome =
      co_await deps_.invoker.invoke(std::move(invocation), Instant::max(), engine::CallKind::kSynchronous);
  const auto* done = std::get_if<Succeeded>(&answered.outcome.what);
  if (done != nullptr && settings_.report_batch_item_failures) answered.failures = read_item_failures(done->payload);
  note(answered.outcome);
  co_return Message(std::move(answered));
}

net::awaitable<QueueRunner::Message> QueueRunner::remove(engine::QueueCall call, std::vector<std::string> receipts) {
  Removed removed;
  removed.call = call;
  const std::size_t asked = receipts.size();
  auto gone = co_await deps_.source.remove(std::move(receipts));
  if (gone) {
    removed.gone = std::move(*gone);
    note_removal(static_cast<std::size_t>(std::ranges::count(removed.gone, false)), "refused by the queue");
  } else if (gone.error().code() != ErrorCode::kCancelled) {
    note_removal(asked, gone.error().describe());
  }
  co_return Message(std::move(removed));
}

net::awaitable<QueueRunner::Message> QueueRunner::change_visibility(engine::QueueCall call,
                                                                    std::vector<std::string> receipts,
                                                                    Duration timeout) {
  Changed changed;
  changed.call = call;
  auto answer = co_await deps_.source.change_visibility(std::move(receipts), timeout);
  if (answer) {
    changed.changed = std::move(*answer);
  } else {
    // No harm to the messages: they come back by their own time. The engine tries again where it matters.
    deps_.log.debug("visibility.not_changed", {{"source", name_}, {"message", answer.error().describe()}});
  }
  co_return Message(std::move(changed));
}

net::awaitable<QueueRunner::Message> QueueRunner::describe() {
  auto traits = co_await deps_.source.describe();
  Described described{std::move(traits)};
  co_return Message(std::move(described));
}

/// One line when invocations begin to fail, in a new way, or work again; repeats are counted.
void QueueRunner::note(const Outcome& outcome) {
  if (std::holds_alternative<Cancelled>(outcome.what)) return;
  const bool fine = std::holds_alternative<Succeeded>(outcome.what);
  const std::string now = fine ? std::string() : std::string(kind(outcome));
  if (now == trouble_) {
    ++trouble_count_;
    return;
  }
  if (fine) {
    deps_.log.info("invocation.recovered",
                   {{"source", name_}, {"function", deps_.function}, {"failures", trouble_count_}});
  } else if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what)) {
    deps_.log.warn("invocation.failed",
                   {{"source", name_}, {"function", deps_.function}, {"error_type", failed->error_type}});
  } else if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
    deps_.log.warn("invocation.throttled",
                   {{"source", name_}, {"function", deps_.function}, {"reason", text(throttled->reason)}});
  } else if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) {
    deps_.log.warn(
        "invocation.not_delivered",
        {{"source", name_}, {"function", deps_.function}, {"status", service->status}, {"message", service->message}});
  }
  trouble_ = now;
  trouble_count_ = 1;
}

void QueueRunner::note_removal(std::size_t failed, const std::string& why) {
  if (failed == 0) {
    if (!removal_trouble_.empty()) deps_.log.info("delete.recovered", {{"source", name_}});
    removal_trouble_.clear();
    return;
  }
  if (removal_trouble_.empty()) {
    deps_.log.warn("delete.failed", {{"source", name_}, {"messages", failed}, {"message", why}});
  }
  removal_trouble_ = "messages are not deleted: " + why;
}

engine::QueueCounters& operator+=(engine::QueueCounters& sum, const engine::QueueCounters& more) {
  sum.polled_events += more.polled_events;
  sum.filtered_out_events += more.filtered_out_events;
  sum.invoked_events += more.invoked_events;
  sum.failed_invoke_events += more.failed_invoke_events;
  sum.deleted_events += more.deleted_events;
  sum.delete_failures += more.delete_failures;
  sum.invocations += more.invocations;
  sum.function_errors += more.function_errors;
  sum.throttles += more.throttles;
  sum.service_errors += more.service_errors;
  sum.receive_failures += more.receive_failures;
  return sum;
}

}  // namespace weir::bridge
