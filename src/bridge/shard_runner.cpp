#include "bridge/shard_runner.h"

#include <algorithm>
#include <array>
#include <utility>

#include "weir/base/overloaded.h"

#include "bridge/discard_record.h"
#include "pattern/filter_criteria.h"

namespace weir::bridge {
namespace {

/// How long to wait before the end of a shard is tried to be remembered again.
constexpr Duration kStorePauseMin = std::chrono::milliseconds(200);
constexpr Duration kStorePauseMax = std::chrono::seconds(10);

constexpr int kContentTooLarge = 413;

}  // namespace

ShardRunner::ShardRunner(ShardDeps& deps, ShardId shard, engine::ShardSettings settings)
    : deps_(deps),
      shard_(std::move(shard)),
      engine_(settings),
      inbox_(deps.executor),
      calls_(deps.executor),
      fetches_(deps.executor) {}

net::awaitable<void> ShardRunner::run() {
  try {
    co_await drive();
  } catch (const std::exception&) {
    // Not let out before the calls have ended: they refer to this runner.
    failure_ = std::current_exception();
  }
  fetches_.cancel();
  calls_.cancel();
  co_await fetches_.join();
  co_await calls_.join();
  if (failure_) std::rethrow_exception(failure_);
}

net::awaitable<void> ShardRunner::drive() {
  while (!drained_ && !cancelled_ && !failure_) {
    const Moment now = deps_.clock.now();
    if (stop_requested_) {
      engine_.request_stop(now);
    } else {
      engine_.on_tick(now);
    }
    while (auto action = engine_.next()) perform(std::move(*action));
    note_oversized();
    if (drained_) break;
    auto message = co_await inbox_.next_until(engine_.wake_at());
    if (message) tell(std::move(*message));
  }
  if (drained_ && end_of_shard_ && !failure_) co_await remember_end();
}

/// Tried until it is kept: a stream's children are read only when their parent is known to be done. Whoever stops weir
/// meanwhile finds the shard read to its end, and not yet ended, at the next start.
net::awaitable<void> ShardRunner::remember_end() {
  if (!deps_.source.remembers_ends()) {
    ended_ = true;
    co_return;
  }
  Duration pause = kStorePauseMin;
  while (!stop_requested_) {
    const Result<void> kept = co_await deps_.checkpoints.save(shard_, Resume::shard_end());
    note_store(kept);
    if (kept) {
      ended_ = true;
      co_return;
    }
    co_await inbox_.next_until(deps_.clock.now().instant + pause);
    pause = std::min(pause * 2, kStorePauseMax);
  }
}

void ShardRunner::write_payload(std::span<const Record> records, const std::optional<WindowCall>& window,
                                std::string& out) const {
  deps_.source.write_event(shard_, records, out);
  if (!window) return;
  out.pop_back();
  out += window_members(shard_.name, deps_.source.event_source_arn(), *window);
  out += '}';
}

std::string ShardRunner::function_arn() const {
  return deps_.qualifier.empty() ? deps_.invoker.configured_arn(deps_.function)
                                 : deps_.invoker.qualified_arn(deps_.function, deps_.qualifier);
}

/// Marks what the mapping's filters do not want.
void ShardRunner::filter(RecordBatch& read) {
  const pattern::FilterCriteria* criteria = deps_.config->mapping.filter.get();
  if (criteria == nullptr) return;
  const bool with_metadata = criteria->needs_metadata();
  for (Record& record : read.records) {
    view_.metadata.clear();
    deps_.source.write_filter_view(shard_, record, with_metadata, view_);
    record.filtered = !criteria->keeps(view_);
  }
}

void ShardRunner::request_stop() {
  stop_requested_ = true;
  fetches_.cancel();
  inbox_.wake();
}

void ShardRunner::request_stop_lost() {
  lost_ = true;
  request_stop();
}

void ShardRunner::cancel() {
  cancelled_ = true;
  request_stop();
}

Duration ShardRunner::iterator_age() const {
  const auto oldest = engine_.oldest_unsettled();
  return oldest ? std::max(Duration(0), deps_.clock.now().wall - *oldest) : Duration(0);
}

void ShardRunner::perform(engine::Action action) {
  std::visit(
      Overloaded{
          [this](const engine::Fetch& order) {
            fetches_.spawn(answer(fetch({order.max_records, order.max_bytes}), Fetched()));
          },
          [this](engine::Invoke& order) {
            Invocation call;
            call.function = deps_.function;
            call.qualifier = deps_.qualifier;
            call.request_id = std::move(order.request_id);
            call.payload.reserve(order.payload_bytes);
            write_payload(order.records, order.window, call.payload);
            WEIR_ASSERT(call.payload.size() == order.payload_bytes);
            calls_.spawn(answer(invoke(order.batch, order.records, std::move(call)),
                                Answered{order.batch, Outcome(), BatchResponse()}));
          },
          [this](const engine::Checkpoint& order) { calls_.spawn(answer(checkpoint(order.upto), Checkpointed())); },
          [this](const engine::Discard& order) {
            store::DeadLetter letter;
            letter.source = shard_.source;
            letter.shard = shard_.name;
            letter.function = deps_.function;
            letter.at = deps_.clock.now().wall;
            write_payload(order.records, order.window, letter.payload);
            letter.record =
                discard_record(order, function_arn(), letter.at, deps_.source, shard_, letter.payload.size());
            note_discard(order);
            calls_.spawn(answer(keep(order.batch, std::move(letter)), Discarded{order.batch, engine::Kept::kNowhere}));
          },
          [this](const engine::Drained& order) {
            drained_ = true;
            end_of_shard_ = order.end_of_shard;
          },
      },
      action);
}

void ShardRunner::tell(Message message) {
  const Moment now = deps_.clock.now();
  std::visit(Overloaded{
                 [&](Fetched& fetched) { engine_.on_records(now, std::move(fetched.records)); },
                 [&](const Answered& answered) {
                   engine_.on_outcome(now, answered.batch, answered.outcome, answered.response);
                 },
                 [&](const Checkpointed& done) { engine_.on_checkpoint(now, done.kept); },
                 [&](const Discarded& done) { engine_.on_discarded(now, done.batch, done.kept); },
             },
             message);
}

net::awaitable<void> ShardRunner::answer(net::awaitable<Message> work, Message otherwise) {
  return runtime::answer(std::move(work), runtime::Answer<Message>(inbox_, std::move(otherwise)), failure_);
}

net::awaitable<ShardRunner::Message> ShardRunner::fetch(FetchLimits limits) {
  Fetched fetched;
  fetched.records = co_await deps_.source.fetch(shard_, limits);
  filter(fetched.records);
  co_return Message(std::move(fetched));
}

net::awaitable<ShardRunner::Message> ShardRunner::invoke(engine::BatchId batch, std::span<const Record> records,
                                                         Invocation call) {
  Answered answered;
  answered.batch = batch;
  answered.outcome = co_await deps_.invoker.invoke(std::move(call), Instant::max(), engine::CallKind::kSynchronous);
  std::string_view refusal;
  if (const auto* service = std::get_if<ServiceFailed>(&answered.outcome.what);
      service != nullptr && service->status == kContentTooLarge) {
    // What stands before the function takes less than Lambda does. It never will: as with a batch that is too large for
    // Lambda an attempt is used, or the batch halved (reference stream-sources.md, 3).
    answered.outcome.what = FunctionFailed{"RequestTooLargeException", "{}"};
  }
  if (const auto* done = std::get_if<Succeeded>(&answered.outcome.what)) {
    const MappingSettings& settings = deps_.config->mapping;
    if (settings.report_batch_item_failures || settings.tumbling_window > Duration(0)) {
      answered.response = read_batch_response(done->payload, settings.report_batch_item_failures, deps_.source, shard_);
      refusal = refusal_in(answered.response, records);
    }
  }
  std::optional<Position> first;
  if (!records.empty()) first = records.front().position;
  note(answered.outcome, refusal, first);
  co_return Message(std::move(answered));
}

net::awaitable<ShardRunner::Message> ShardRunner::checkpoint(Position upto) {
  Checkpointed done;
  done.kept = lost_;
  if (!lost_) {
    // Not `? co_await a : co_await b`: g++ 12 destroys that expression's temporary twice, which an error's text does
    // not survive.
    Result<void> kept;
    if (deps_.source.keeps_checkpoints()) {
      kept = co_await deps_.source.commit(shard_, std::move(upto));
    } else {
      kept = co_await deps_.checkpoints.save(shard_, Resume::after(std::move(upto)));
    }
    done.kept = kept.has_value() || lost_;
    if (!lost_) note_store(kept);
  }
  co_return Message(done);
}

net::awaitable<ShardRunner::Message> ShardRunner::keep(engine::BatchId batch, store::DeadLetter letter) {
  Discarded done;
  done.batch = batch;
  const std::string& destination = deps_.config->mapping.destination_on_failure;
  if (!destination.empty()) {
    DestinationRecord record;
    record.record = letter.record;
    record.payload = letter.payload;
    record.mapping = deps_.mapping;
    record.shard = shard_.name;
    record.at = letter.at;
    const Instant left_alone = deps_.destinations.left_alone_until(destination, deps_.config);
    if (left_alone > deps_.clock.now().instant) {
      // It is asked once, so not now.
      net::steady_timer rest(deps_.executor, net::steady_timer::time_point(left_alone.time_since_epoch()));
      boost::system::error_code called_off;
      co_await rest.async_wait(net::redirect_error(net::use_awaitable, called_off));
      if (called_off) co_return Message(done);
    }
    const Result<void> delivered = co_await deps_.destinations.deliver(destination, std::move(record), deps_.config);
    // Called off is no refusal: it is kept nowhere yet, and is given up on again by the next start.
    if (!delivered && delivered.error().code() == ErrorCode::kCancelled) co_return Message(done);
    note_destination(delivered);
    if (delivered) {
      done.kept = engine::Kept::kDestination;
      co_return Message(done);
    }
  }
  const Result<void> kept = co_await deps_.dead_letters.keep(std::move(letter));
  if (kept) {
    done.kept = !destination.empty() ? engine::Kept::kDeadLetterInstead : engine::Kept::kDeadLetter;
  }
  note_store(kept);
  co_return Message(done);
}

/// Why an answer leaves the batch where it is, without any record done; "" when it does not.
std::string_view ShardRunner::refusal_in(const BatchResponse& response, std::span<const Record> records) const {
  if (deps_.config->mapping.tumbling_window > Duration(0) && !response.state) return "the answer has no state";
  if (response.items == BatchResponse::Items::kAllFailed) return "the answer's batchItemFailures cannot be read";
  if (response.items != BatchResponse::Items::kSomeFailed) return "";
  const auto is_of_batch = [&](const Position& at) {
    const auto found =
        std::lower_bound(records.begin(), records.end(), at,
                         [](const Record& record, const Position& sought) { return record.position < sought; });
    return found != records.end() && found->position == at;
  };
  if (!std::all_of(response.failed.begin(), response.failed.end(), is_of_batch))
    return "batchItemFailures names a record that is not in the batch";
  const bool reported = std::any_of(response.failed.begin(), response.failed.end(),
                                    [&](const Position& at) { return at == records.front().position; });
  return reported ? "the batch's first record was reported as failed" : "";
}

/// Nothing is invoked with a record that is too large, so no outcome says that it stands in the way.
void ShardRunner::note_oversized() {
  if (std::exchange(oversized_tries_, engine_.oversized_tries()) == engine_.oversized_tries()) return;
  note(Outcome(FunctionFailed()), "a record is larger than an invocation takes", std::nullopt);
}

/// One line when invocations begin to fail, for each way in which they do, and one when all work again; repeats are
/// counted. `refusal`: why nothing was done though the function did not fail; "" when that is not so. `first`: of the
/// batch; a success of another one, in another lane, does not mean that this one goes on.
void ShardRunner::note(const Outcome& outcome, std::string_view refusal, const std::optional<Position>& first) {
  if (std::holds_alternative<Cancelled>(outcome.what)) return;
  const bool fine = std::holds_alternative<Succeeded>(outcome.what) && refusal.empty();
  if (fine) {
    discarding_.reset();
    stuck_.erase(first);
    if (!stuck_.empty() || trouble_count_ == 0) return;
    troubles_.clear();
  } else {
    stuck_.insert(first);
    ++trouble_count_;
    if (!troubles_.insert(std::string(refusal.empty() ? kind(outcome) : refusal)).second) return;
  }
  if (fine) {
    deps_.log.info("invocation.recovered", {{"source", shard_.source},
                                            {"shard", shard_.name},
                                            {"function", deps_.function},
                                            {"failures", std::exchange(trouble_count_, 0)}});
  } else if (!refusal.empty()) {
    deps_.log.warn(
        "invocation.failed",
        {{"source", shard_.source}, {"shard", shard_.name}, {"function", deps_.function}, {"reason", refusal}});
  } else if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what)) {
    deps_.log.warn("invocation.failed", {{"source", shard_.source},
                                         {"shard", shard_.name},
                                         {"function", deps_.function},
                                         {"error_type", failed->error_type}});
  } else if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
    deps_.log.warn("invocation.throttled", {{"source", shard_.source},
                                            {"shard", shard_.name},
                                            {"function", deps_.function},
                                            {"reason", text(throttled->reason)}});
  } else if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) {
    deps_.log.warn("invocation.not_delivered", {{"source", shard_.source},
                                                {"shard", shard_.name},
                                                {"function", deps_.function},
                                                {"status", service->status},
                                                {"message", service->message}});
  }
}

/// One line when records begin to be given up on, or for another reason; each of them is kept in the store anyway.
void ShardRunner::note_discard(const engine::Discard& order) {
  const LogLevel level = discarding_ == order.condition ? LogLevel::kDebug : LogLevel::kWarn;
  discarding_ = order.condition;
  stuck_.erase(std::nullopt);
  if (!order.records.empty()) stuck_.erase(order.records.front().position);
  if (order.records.empty()) {
    // A window's final call.
    WEIR_ASSERT(order.window.has_value());
    const std::string start = iso_milliseconds(order.window->start);
    const std::string end = iso_milliseconds(order.window->end);
    const std::array<LogField, 7> fields{
        LogField("source", shard_.source),       LogField("shard", shard_.name),
        LogField("function", deps_.function),    LogField("condition", text(order.condition)),
        LogField("window_start", start),         LogField("window_end", end),
        LogField("request_id", order.request_id)};
    deps_.log.write(level, "records.discarded", fields);
    return;
  }
  const std::string first = order.records.front().position.text();
  const std::string last = order.records.back().position.text();
  const std::array<LogField, 8> fields{LogField("source", shard_.source),
                                       LogField("shard", shard_.name),
                                       LogField("function", deps_.function),
                                       LogField("condition", text(order.condition)),
                                       LogField("records", order.records.size()),
                                       LogField("first", first),
                                       LogField("last", last),
                                       LogField("request_id", order.request_id)};
  deps_.log.write(level, "records.discarded", fields);
}

/// One line when the destination begins to refuse, and when it takes records again; `weir status` counts the others.
void ShardRunner::note_destination(const Result<void>& delivered) {
  if (delivered.has_value() != destination_trouble_) return;
  destination_trouble_ = !delivered;
  if (delivered) {
    deps_.log.info("destination.recovered", {{"source", shard_.source}, {"shard", shard_.name}});
    return;
  }
  const Error error = delivered.error();
  deps_.log.error(
      "destination.refused",
      {{"source", shard_.source}, {"shard", shard_.name}, {"code", text(error.code())}, {"message", error.describe()}});
}

void ShardRunner::note_store(const Result<void>& kept) {
  if (kept.has_value() != store_trouble_) return;
  store_trouble_ = !kept;
  if (kept) {
    deps_.log.info("store.recovered", {{"source", shard_.source}, {"shard", shard_.name}});
    return;
  }
  const Error error = kept.error();
  deps_.log.error(
      "store.refused",
      {{"source", shard_.source}, {"shard", shard_.name}, {"code", text(error.code())}, {"message", error.describe()}});
}

}  // namespace weir::bridge
