#include <algorithm>

#include "queue_world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

// What the engine wants.

void QueueWorld::perform(const engine::ReceiveMessages& order) {
  promise(!stopping_, "a receive is begun while draining");
  promise(order.max_messages >= 1 && order.max_messages <= 10, "a receive asks for less than 1 or more than 10");
  promise(order.wait >= 0s && order.wait <= 20s && order.wait % 1s == 0s,
          "a receive waits no whole seconds from 0 to 20");
  promise(receives_.size() < features_.settings.limits.max_receives, "more receives than max_receives are under way");
  const Duration visibility = order.visibility_timeout.value_or(features_.settings.visibility_timeout);
  promise(visibility == expected_visibility(),
          "a receive has another visibility timeout than window and function need");
  if (order.visibility_timeout) ++met_.longer_timeouts;
  receives_.emplace(order.call, Receive{.order = order, .until = now_.instant + order.wait, .visibility = visibility});
  later(latency(), of(Kind::kReceiveRuns, order.call));
}

/// With a window, a message has to stay invisible for the window, the function's time, and 30 s (with-sqs).
Duration QueueWorld::expected_visibility() const {
  const engine::QueueSettings& settings = features_.settings;
  const Duration needed = settings.window + settings.function_timeout.value_or(0s);
  const bool longer = settings.window > 0s && needed > settings.visibility_timeout;
  return longer ? needed + 30s : settings.visibility_timeout;
}

void QueueWorld::perform(const engine::InvokeMessages& order) {
  promise(!stopping_, "an invocation is begun while draining");
  // It may be lowered as soon as batches were begun.
  promise(static_cast<int>(calls_.size()) < std::max(concurrency_, engine_->concurrency()),
          "more batches are in flight than the concurrency");
  check_batch(order);
  if (features_.settings.fifo) check_groups(order);
  if (!broken_.empty()) return;

  Call call{.receipts = {}, .request_id = order.request_id, .shown = order.items};
  auto messages = std::make_shared<std::vector<std::size_t>>();
  for (const engine::QueueItem* item : order.items) {
    Receipt& receipt = receipts_.at(item->receipt);
    receipt.told = Told::kInFlight;
    receipt.invoked = true;
    call.receipts.push_back(item->receipt);
    messages->push_back(receipt.message);
  }
  again_.erase(order.request_id);
  ++met_.invocations;
  ++counters_.invocations;
  counters_.invoked_events += order.items.size();
  if (order.items.size() == features_.settings.batch_size) ++met_.full_batches;
  calls_.emplace(order.call, std::move(call));
  schedule_call(order.call, std::move(messages));
}

void QueueWorld::schedule_call(engine::QueueCall number, std::shared_ptr<const std::vector<std::size_t>> messages) {
  Call& call = calls_.at(number);
  Duration wait = upto(random_.chance(0.2) ? Duration(5s) : Duration(50ms));
  if (!permits_.take(kFunction)) {
    ++met_.throttled_by_ledger;
    call.outcome = Outcome(Throttled{});
    wait = Duration(0);
  } else {
    call.permit = true;
    if (random_.chance(features_.late)) wait += upto(features_.account < 10 ? Duration(20s) : Duration(300s));
    if (random_.chance(features_.throttled)) {
      ++met_.throttled;
      call.outcome = Outcome(Throttled{});
    } else if (random_.chance(features_.cancelled)) {
      call.outcome = Outcome(Cancelled{});
    } else {
      QueueHappening run = of(Kind::kFunctionRuns, number);
      run.messages = std::move(messages);
      run.well = !random_.chance(features_.fails);
      later(wait / 2, std::move(run));
      // function_runs() may say otherwise than success.
      call.outcome = random_.chance(features_.service_errors) ? Outcome(ServiceFailed{}) : Outcome(Succeeded{});
    }
    if (random_.chance(features_.never)) {
      ++met_.never_answered;
      later(upto(60s), of(random_.chance(0.5) ? Kind::kStop : Kind::kCrash));
      return;
    }
  }
  later(wait, of(Kind::kOutcome, number));
}

void QueueWorld::perform(const engine::RemoveMessages& order) {
  promise(!order.receipts.empty(), "a delete of nothing");
  for (const std::string& name : order.receipts) {
    const auto found = receipts_.find(name);
    promise(name, found != receipts_.end(), "is deleted and was never received");
    if (!broken_.empty()) return;
    promise(name, messages_[found->second.message].filtered || found->second.told == Told::kDone,
            "is deleted, and neither was it filtered nor did the function succeed on it");
  }
  removes_.emplace(order.call, Order{order.receipts});
  later(latency(), of(Kind::kRemoveRuns, order.call));
}

void QueueWorld::perform(const engine::ChangeVisibility& order) {
  promise(!order.receipts.empty(), "a change of nothing");
  promise(order.timeout >= 0s && order.timeout % 1s == 0s, "a visibility timeout of no whole seconds");
  promise(order.timeout > 0s || stopping_, "messages are made visible though nobody stops");
  for (const std::string& name : order.receipts) {
    const auto found = receipts_.find(name);
    promise(name, found != receipts_.end(), "has its visibility changed and was never received");
    if (!broken_.empty()) return;
    Receipt& receipt = found->second;
    if (order.timeout > 0s) {
      promise(name, receipt.told == Told::kHeld || receipt.told == Told::kInFlight,
              "is kept invisible though it is to come back");
      ++met_.extended;
      if (receipt.told == Told::kInFlight) ++met_.extended_in_flight;
    } else {
      promise(name, receipt.told == Told::kHeld || receipt.told == Told::kAgain, "is made visible though it was begun");
      receipt.told = Told::kLeft;
      ++met_.released;
    }
  }
  changes_.emplace(order.call, Order{order.receipts, order.timeout});
  later(latency(), of(Kind::kChangeRuns, order.call));
}

void QueueWorld::perform(const engine::QueueDrained&) {
  promise(stopping_, "drained though nobody asked");
  promise(receives_.empty() && calls_.empty() && removes_.empty() && changes_.empty(),
          "drained with something in flight");
  promise(!engine_->next(), "something is wanted behind QueueDrained");
  promise(engine_->held() == 0, "drained with messages held");
  // What was received and not begun is made visible. Of a group it may have been let go before, and so is what fits no
  // event: these are left to their time.
  for (const auto& [name, receipt] : receipts_) {
    if (features_.settings.fifo || features_.oversized || messages_[receipt.message].filtered) continue;
    promise(name, receipt.told != Told::kHeld || !leased(receipt), "was received, is not begun, and is not given back");
  }
  if (!broken_.empty()) return;
  end_life();
  finished_ = left_ == 0;
  if (!finished_) later(upto(5s), of(Kind::kRestart));
}

// What weir promises.

void QueueWorld::promise(const std::string& receipt, bool kept, const char* otherwise) {
  if (!kept && broken_.empty()) broken_ = receipt + " " + otherwise;
}

void QueueWorld::check_batch(const engine::InvokeMessages& order) {
  const engine::QueueSettings& settings = features_.settings;
  promise(!order.items.empty(), "an invocation without messages");
  promise(order.items.size() <= settings.batch_size, "a batch has more messages than batch_size");
  if (!broken_.empty()) return;
  std::size_t bytes = settings.envelope_bytes + order.items.size() - 1;
  std::vector<std::string> names;
  std::set<std::string> ids;
  for (const engine::QueueItem* item : order.items) {
    const auto found = receipts_.find(item->receipt);
    promise(item->receipt, found != receipts_.end(), "is handed over and was never received");
    if (!broken_.empty()) return;
    const Receipt& receipt = found->second;
    const Message& message = messages_[receipt.message];
    bytes += message.encoded_bytes;
    names.push_back(item->receipt);
    promise(item->receipt, ids.insert(item->id).second || !features_.keeps_leases(), "is in its batch twice");
    promise(item->receipt, !message.filtered, "is handed over and the filters do not want it");
    promise(item->receipt, receipt.told == Told::kHeld || receipt.told == Told::kAgain,
            "is handed over again without being received again");
    promise(item->receipt, !features_.keeps_leases() || down_until_ > Instant{} || leased(receipt),
            "is handed over though others may have it");
  }
  promise(order.payload_bytes == bytes, "payload_bytes is not the sum of its parts");
  promise(bytes <= settings.max_payload_bytes, "a payload passes the limit");
  const auto again = again_.find(order.request_id);
  if (again != again_.end()) {
    ++met_.tried_again;
    promise(again->second.receipts == names, "a batch that did not run is tried again with other messages");
    promise(now_.instant >= again->second.failed_at + settings.limits.backoff_min / 2,
            "a throttled batch did not wait");
  } else {
    promise(request_ids_.insert(order.request_id).second, "one request id stands for two batches");
    for (const std::string& name : names) {
      promise(name, receipts_.at(name).told == Told::kHeld, "was throttled and is tried again in another batch");
    }
  }
}

/// Nothing of a group is sent while another of it is in flight, or while one before it is in the queue and not with it.
void QueueWorld::check_groups(const engine::InvokeMessages& order) {
  if (!broken_.empty()) return;
  std::set<std::size_t> groups;
  std::set<std::size_t> sent;
  for (const engine::QueueItem* item : order.items) {
    const std::size_t index = receipts_.at(item->receipt).message;
    const std::size_t group = messages_[index].group;
    groups.insert(group);
    for (std::size_t before = 0; before < index; ++before) {
      const Message& other = messages_[before];
      const bool waits = !other.gone && !other.filtered && other.group == group;
      promise(item->receipt, !waits || sent.contains(before), "is sent before an earlier message of its group");
    }
    sent.insert(index);
  }
  if (groups.size() > 1) ++met_.mixed_groups;
  for (const auto& [number, call] : calls_) {
    for (const std::string& name : call.receipts) {
      promise(name, !groups.contains(message_of(name).group), "is in flight, and another batch of its group begins");
    }
  }
}

/// What is in flight stays invisible, however long it takes.
void QueueWorld::check_leases() {
  if (!features_.keeps_leases() || features_.troubles.outages) return;
  for (const auto& [number, call] : calls_) {
    for (const std::string& name : call.receipts) {
      promise(name, leased(receipts_.at(name)), "is in flight and has become visible to others");
    }
  }
}

void QueueWorld::check_counters() {
  const engine::QueueCounters& says = engine_->counters();
  promise(says.polled_events == counters_.polled_events, "polled_events is wrong");
  promise(says.filtered_out_events == counters_.filtered_out_events, "filtered_out_events is wrong");
  promise(says.invoked_events == counters_.invoked_events, "invoked_events is wrong");
  // What fits no event never leaves the engine, and counts as failed there.
  promise(says.failed_invoke_events == counters_.failed_invoke_events ||
              (features_.oversized && says.failed_invoke_events > counters_.failed_invoke_events),
          "failed_invoke_events is wrong");
  promise(says.deleted_events == counters_.deleted_events, "deleted_events is wrong");
  promise(says.delete_failures == counters_.delete_failures, "delete_failures is wrong");
  promise(says.invocations == counters_.invocations, "invocations is wrong");
  promise(says.function_errors == counters_.function_errors, "function_errors is wrong");
  promise(says.throttles == counters_.throttles, "throttles is wrong");
  promise(says.service_errors == counters_.service_errors, "service_errors is wrong");
  promise(says.receive_failures == counters_.receive_failures, "receive_failures is wrong");
  promise(engine_->in_flight() == static_cast<int>(calls_.size()), "in_flight() is wrong");
  const int concurrency = engine_->concurrency();
  promise(concurrency >= 1 && concurrency <= features_.settings.maximum_concurrency.value_or(1250),
          "the concurrency passes its limit");
  promise(engine_->in_flight() <= concurrency, "the concurrency is less than what is in flight");
  if (concurrency > 5) ++met_.grown;
  if (engine_->in_flight() == features_.settings.maximum_concurrency) ++met_.at_limit;

  std::size_t in_flight = 0;
  std::size_t may_be_held = 0;
  for (const auto& [name, receipt] : receipts_) {
    if (receipt.told == Told::kInFlight) ++in_flight;
    const bool waits = receipt.told == Told::kHeld || receipt.told == Told::kAgain;
    if (waits && !messages_[receipt.message].filtered) ++may_be_held;
  }
  promise(engine_->held() >= in_flight, "held() leaves out what is in flight");
  promise(engine_->held() <= in_flight + may_be_held, "held() has what is not held");
}

/// Whoever waits is woken: by an answer that is under way, or by the clock.
void QueueWorld::check_waiting() {
  if (!engine_ || engine_->drained()) return;
  const bool outstanding = !receives_.empty() || !calls_.empty() || !removes_.empty() || !changes_.empty();
  promise(outstanding || wake_, "a wake-up is lost: nothing is under way and nothing will happen");
  if (stopping_) {
    promise(now_.instant <= stop_by_, "draining takes too long");
    return;
  }
  const engine::QueueSettings& settings = features_.settings;
  promise(!receives_.empty() || engine_->held() > 0 || wake_, "nothing is received, and nothing will change that");
  // Without a window, groups and a payload's limit there is nothing to wait for but a place.
  const bool free = engine_->in_flight() < engine_->concurrency() && again_.empty();
  const bool plain = settings.window == Duration(0) && !settings.fifo && settings.max_payload_bytes == kMaxRequestBytes;
  if (!free || !plain) return;
  std::size_t in_flight = 0;
  for (const auto& [number, call] : calls_) in_flight += call.receipts.size();
  promise(engine_->held() == in_flight, "messages wait though there is nothing to wait for");
}

void QueueWorld::check_end() {
  for (const Message& message : messages_) {
    promise(message.id, message.gone, "is left in the queue");
    promise(message.id, message.dead || message.filtered || message.succeeded, "was deleted and never succeeded");
    promise(message.id, !message.filtered || !message.succeeded, "was handed over and the filters do not want it");
    promise(message.id, !message.dead || features_.redrive > 0, "is dead without a redrive policy");
  }
  permits_.check_end();
  if (permits_.broken() != nullptr) promise(false, permits_.broken());
}

}  // namespace weir::simulation
