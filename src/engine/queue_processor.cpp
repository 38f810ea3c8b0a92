#include "engine/queue_processor.h"

#include <algorithm>
#include <iterator>

namespace weir::engine {
namespace {

using std::chrono::seconds;

// services-sqs-scaling: 5 concurrent batches to begin with, 300 more a minute, at most 1,250; idle, down to 5 with
// MaximumConcurrency and to 2 without.
constexpr int kConcurrencyFirst = 5;
constexpr int kConcurrencyMost = 1250;
constexpr int kConcurrencyLeast = 2;
constexpr Duration kGrowthStep = std::chrono::milliseconds(200);
/// How fast the concurrency falls is not documented: by half for each minute in which it was never used up.
constexpr Duration kCalm = std::chrono::minutes(1);
/// Neither is what an error does to it: each takes one away, and for so long none is added.
constexpr Duration kNoGrowthAfterTrouble = std::chrono::minutes(1);

constexpr std::size_t kReceiveMost = 10;  // of ReceiveMessage
/// SQS allows 20 s; but a stop has to wait for polls under way, since what comes to one that was left is lost to
/// everybody until its visibility timeout is over.
constexpr seconds kLongPoll{5};
/// Of one poller at once, while receives come back full; only for batches larger than one receive.
constexpr std::size_t kReceivesOfPoller = 4;
/// Something that answers "nothing" at once, in place of waiting, is not asked in a tight loop.
constexpr Duration kEmptyPause = std::chrono::milliseconds(200);
/// Of the time that a message may be invisible in all (services-sqs-configure: 12 hours for each receive).
constexpr Duration kVisibilityMost = std::chrono::hours(12);
/// With a visibility timeout of its own (with-sqs): the window, the function's timeout, and so much more.
constexpr Duration kVisibilityReserve = seconds(30);
constexpr Duration kMarginMost = seconds(5);
constexpr Duration kExtendAgain = seconds(1);
/// A delete is tried so often, even when the receipt's time is over: receipts of standard queues still work then.
constexpr int kRemoveTries = 3;

Duration whole_seconds(Duration time) {
  return std::chrono::floor<seconds>(time);
}

}  // namespace

QueueProcessor::QueueProcessor(QueueSettings settings)
    : settings_(settings),
      retry_({.maximum_record_age = std::nullopt,
              .backoff_min = settings.limits.backoff_min,
              .backoff_max = settings.limits.backoff_max},
             settings.seed),
      random_(settings.seed ^ 0xD1B54A32D192ED03U) {
  WEIR_ASSERT(settings_.batch_size >= 1);
  WEIR_ASSERT(!settings_.fifo || (settings_.batch_size <= kReceiveMost && settings_.window == Duration(0)));
  WEIR_ASSERT(settings_.batch_size <= kReceiveMost || settings_.window >= seconds(1));
  concurrency_max_ = settings_.maximum_concurrency.value_or(kConcurrencyMost);
  concurrency_ = std::min(kConcurrencyFirst, concurrency_max_);
  concurrency_idle_ = settings_.maximum_concurrency ? concurrency_ : kConcurrencyLeast;
}

void QueueProcessor::on_messages(Moment now, QueueCall call, std::vector<QueueItem> items) {
  const auto found = receives_.find(call);
  WEIR_ASSERT(found != receives_.end());
  const Receiving receiving = found->second;
  receives_.erase(found);
  Poller& poller = *receiving.poller;
  --poller.receives;
  poller.asked -= receiving.asked;
  poller.last_was_full = items.size() >= receiving.asked;
  receive_failures_ = 0;
  if (items.empty() && receiving.wait > Duration(0) && now.instant - receiving.since < receiving.wait / 2) {
    poller.receive_due = now.instant + kEmptyPause;
  }
  counters_.polled_events += items.size();
  largest_item_ -= largest_item_ / 16;
  if (poller.forming.empty() && settings_.window > Duration(0)) {
    // Windows in which nothing came are over; the one that is open now began where the last of them ended.
    poller.window_opened += (now.instant - poller.window_opened) / settings_.window * settings_.window;
  }
  Removing unwanted;
  unwanted.due = now.instant;
  poller.forming.reserve(poller.forming.size() + items.size());
  for (QueueItem& item : items) {
    Held held;
    held.ordinal = ++last_ordinal_;
    held.received = now.instant;
    held.visibility = receiving.visibility;
    held.until = now.instant + receiving.visibility;
    held.extend_at = held.until - margin(held.visibility);
    // Without any time there is nothing to extend: others may have the message already.
    if (held.visibility == Duration(0)) held.until = held.extend_at = Instant::max();
    if (item.filtered) {
      ++counters_.filtered_out_events;
      unwanted.entries.push_back(
          {std::move(item.receipt), "", held.ordinal, now.instant + receiving.visibility, false});
      continue;
    }
    ++held_messages_;
    held_bytes_ += item.encoded_bytes;
    largest_item_ = std::max(largest_item_, item.encoded_bytes);
    if (settings_.fifo) groups_[item.group].insert(held.ordinal);
    poller.forming_bytes += item.encoded_bytes;
    poller.lease_due = std::min(poller.lease_due, held.extend_at);
    held.item = std::move(item);
    poller.forming.push_back(std::move(held));
  }
  remove(std::move(unwanted));
  advance(now);
}

void QueueProcessor::on_receive_failed(Moment now, QueueCall call) {
  const auto found = receives_.find(call);
  WEIR_ASSERT(found != receives_.end());
  Poller& poller = *found->second.poller;
  --poller.receives;
  poller.asked -= found->second.asked;
  poller.last_was_full = false;
  receives_.erase(found);
  ++counters_.receive_failures;
  // Those that were under way together fail together, and count once.
  if (receive_due_ <= now.instant) receive_due_ = now.instant + retry_.backoff(++receive_failures_);
  advance(now);
}

void QueueProcessor::on_outcome(Moment now, QueueCall call, const Outcome& outcome, const ItemFailures& failures) {
  const auto found = invocations_.find(call);
  WEIR_ASSERT(found != invocations_.end());
  Poller& poller = *found->second;
  invocations_.erase(found);
  --in_flight_;
  WEIR_ASSERT(poller.batch && poller.batch->call == call);
  poller.batch->call = 0;

  struct Verdict {
    QueueProcessor& queue;
    Poller& poller;
    Moment now;
    const ItemFailures& failures;

    void operator()(const Succeeded&) {
      Batch batch = std::move(*poller.batch);
      queue.end_batch(now, poller);
      std::set<std::string> reported;
      bool all = failures.kind == ItemFailures::Kind::kAll;
      if (failures.kind == ItemFailures::Kind::kSome) {
        std::set<std::string> known;
        for (const Held& held : batch.items) known.insert(held.item.id);
        reported.insert(failures.ids.begin(), failures.ids.end());
        all = !std::ranges::includes(known, reported);
      }
      std::vector<Held> done;
      std::vector<Held> failed;
      (all ? failed : done).reserve(batch.items.size());
      for (Held& held : batch.items) {
        auto& side = all || reported.contains(held.item.id) ? failed : done;
        side.push_back(std::move(held));
      }
      // Of the whole batch, as AWS counts (monitoring-metrics-types; reference stream-sources.md, 11).
      if (!failed.empty()) queue.counters_.failed_invoke_events += done.size() + failed.size();
      queue.succeed(now, std::move(done));
      queue.leave(failed);
    }
    void operator()(const FunctionFailed&) {
      ++queue.counters_.function_errors;
      queue.counters_.failed_invoke_events += poller.batch->items.size();
      queue.fewer(now);
      std::vector<Held> items = std::move(poller.batch->items);
      queue.end_batch(now, poller);
      queue.leave(items);
    }
    // It did not run: the same receipts are tried again, without another receive, while they can be
    // ([stackd notes], section 5.3), so that a short throttle brings no message nearer to its dead-letter queue.
    void operator()(const Throttled&) {
      ++queue.counters_.throttles;
      wait();
    }
    // Not known to have run. A message may come twice anyway.
    void operator()(const ServiceFailed&) {
      ++queue.counters_.service_errors;
      wait();
    }
    // weir stops, and whether it ran is not known: the message comes back by its own time.
    void operator()(const Cancelled&) {
      std::vector<Held> items = std::move(poller.batch->items);
      queue.end_batch(now, poller);
      queue.leave(items);
    }

    void wait() {
      Batch& batch = *poller.batch;
      queue.counters_.failed_invoke_events += batch.items.size();
      queue.no_growth_before_ = now.instant + kNoGrowthAfterTrouble;
      batch.due = now.instant + queue.retry_.backoff(++batch.failures);
      if (batch.let_go) return;
      batch.let_go = Instant::max();
      for (const Held& held : batch.items) {
        const Instant end = held.until == Instant::max() ? now.instant : held.until - margin(held.visibility);
        batch.let_go = std::min(*batch.let_go, end);
      }
    }
  };
  std::visit(Verdict{*this, poller, now, failures}, outcome.what);
  advance(now);
}

void QueueProcessor::on_removed(Moment now, QueueCall call, const std::vector<bool>& gone) {
  const auto found = removals_.find(call);
  WEIR_ASSERT(found != removals_.end() && found->second.asked);
  Removing removing = std::move(found->second);
  removals_.erase(found);
  removing_messages_ -= removing.entries.size();
  WEIR_ASSERT(gone.empty() || gone.size() == removing.entries.size());
  ++removing.tries;
  removing.asked = false;
  removing.due = now.instant + retry_.backoff(removing.tries);
  Removing again;
  again.tries = removing.tries;
  again.due = removing.due;
  std::set<std::string> not_removed;
  for (std::size_t i = 0; i < removing.entries.size(); ++i) {
    Removing::Entry& entry = removing.entries[i];
    const bool is_gone = !gone.empty() && gone[i];
    const bool may_work = entry.until > removing.due || removing.tries < kRemoveTries;
    if (!is_gone) ++counters_.delete_failures;
    if (!is_gone && may_work) {
      again.entries.push_back(std::move(entry));
      continue;
    }
    if (is_gone && entry.invoked) ++counters_.deleted_events;
    if (!settings_.fifo || !entry.invoked) continue;
    const auto group = groups_.find(entry.group);
    WEIR_ASSERT(group != groups_.end());
    group->second.erase(entry.ordinal);
    if (group->second.empty()) groups_.erase(group);
    if (!is_gone) not_removed.insert(entry.group);
  }
  remove(std::move(again));
  let_go_of_groups(not_removed);
  advance(now);
}

void QueueProcessor::on_visibility(Moment now, QueueCall call, const std::vector<bool>& changed) {
  const auto found = changes_.find(call);
  WEIR_ASSERT(found != changes_.end());
  const Changing changing = std::move(found->second);
  changes_.erase(found);
  WEIR_ASSERT(changed.empty() || changed.size() == changing.receipts);
  if (changing.poller != nullptr) {
    Poller& poller = *changing.poller;
    poller.extending = false;
    poller.lease_due = now.instant;  // looked at again, below
    const auto note = [&](Held& held) {
      const auto at = changing.places.find(held.ordinal);
      if (at == changing.places.end()) return;
      if (changed.empty() || !changed[at->second]) {
        held.extend_at = now.instant + kExtendAgain;
        return;
      }
      held.until = changing.since + changing.timeout;
      held.extend_at = held.until - margin(held.visibility);
    };
    if (poller.batch) std::ranges::for_each(poller.batch->items, note);
    std::ranges::for_each(poller.forming, note);
  }
  advance(now);
}

void QueueProcessor::on_visibility_timeout(Moment now, Duration visibility_timeout) {
  settings_.visibility_timeout = visibility_timeout;
  advance(now);
}

void QueueProcessor::on_tick(Moment now) {
  advance(now);
}

void QueueProcessor::request_stop(Moment now) {
  if (state_ == State::kRunning) state_ = State::kStopping;
  advance(now);
}

std::optional<QueueAction> QueueProcessor::next() {
  if (actions_.empty()) return std::nullopt;
  std::optional<QueueAction> action(std::move(actions_.front()));
  actions_.pop_front();
  return action;
}

std::optional<Instant> QueueProcessor::wake_at() const {
  WEIR_ASSERT(actions_.empty());
  return wake_at_;
}

void QueueProcessor::advance(Moment now) {
  wake_at_.reset();
  if (state_ == State::kDrained) return;
  if (state_ == State::kStopping) drain(now);
  for (auto& poller : pollers_) keep_leases(now, *poller);
  if (running()) {
    for (auto& poller : pollers_) retry_or_let_go(now, *poller);
    start_batches(now);
    scale(now);
    start_receives(now);
  }
  ask_removals(now);
  if (state_ == State::kStopping && receives_.empty() && in_flight_ == 0 && removals_.empty() && changes_.empty()) {
    WEIR_ASSERT(held_messages_ == 0 && groups_.empty());
    state_ = State::kDrained;
    wake_at_.reset();
    actions_.emplace_back(QueueDrained{});
  }
}

/// Extends what is in flight or waits before its time is over; what waits and could not be kept is dropped, it comes
/// again. After a throttle nothing is extended: the message is to come back when its time is over.
void QueueProcessor::keep_leases(Moment now, Poller& poller) {
  if (now.instant < poller.lease_due) {
    if (poller.lease_due != Instant::max()) wake_at_ = earlier(wake_at_, poller.lease_due);
    return;
  }
  poller.lease_due = Instant::max();
  ChangeVisibility order;
  Changing changing{&poller, 0, {}, now.instant, Duration(0)};
  std::set<std::string> lost_groups;
  const auto look = [&](Held& held, bool waits) {
    if (held.until <= now.instant) {
      if (waits) {
        if (settings_.fifo) lost_groups.insert(held.item.group);
        return true;
      }
      held.extend_at = Instant::max();  // it runs, and there is nothing left to extend
    }
    if (!poller.extending && held.extend_at <= now.instant) {
      const Duration may_be = whole_seconds(held.received + kVisibilityMost - now.instant);
      const Duration timeout = std::min(held.visibility, may_be);
      // All of one order have one time: others follow with the next one.
      if (now.instant + timeout <= held.until) {
        held.extend_at = Instant::max();
      } else if (order.receipts.empty() || order.timeout == timeout) {
        order.timeout = timeout;
        changing.places.emplace(held.ordinal, order.receipts.size());
        order.receipts.push_back(held.item.receipt);
        held.extend_at = Instant::max();  // until it is answered
      }
    }
    poller.lease_due = std::min(poller.lease_due, held.extend_at);
    if (waits) poller.lease_due = std::min(poller.lease_due, held.until);
    return false;
  };
  if (poller.batch && poller.batch->call != 0) {
    for (Held& held : poller.batch->items) look(held, false);
  }
  std::vector<Held> kept;
  std::vector<Held> lost;
  kept.reserve(poller.forming.size());
  for (Held& held : poller.forming) (look(held, true) ? lost : kept).push_back(std::move(held));
  poller.forming = std::move(kept);
  for (const Held& held : lost) {
    poller.forming_bytes -= held.item.encoded_bytes;
    forget(held);
  }
  let_go_of_groups(lost_groups);
  if (!order.receipts.empty()) {
    poller.extending = true;
    order.call = ++last_call_;
    changing.timeout = order.timeout;
    changing.receipts = order.receipts.size();
    changes_.emplace(order.call, std::move(changing));
    actions_.emplace_back(std::move(order));
  }
  // While one is under way another cannot be; its answer looks again.
  if (poller.extending && poller.lease_due <= now.instant) poller.lease_due = Instant::max();
  if (poller.lease_due != Instant::max()) wake_at_ = earlier(wake_at_, poller.lease_due);
}

void QueueProcessor::retry_or_let_go(Moment now, Poller& poller) {
  if (!poller.batch || poller.batch->call != 0) return;
  if (now.instant >= *poller.batch->let_go) {
    std::vector<Held> items = std::move(poller.batch->items);
    end_batch(now, poller);
    leave(items);
    return;
  }
  if (now.instant >= poller.batch->due) {
    if (in_flight_ < concurrency_) {
      invoke(poller);
      keep_leases(now, poller);
      return;
    }
  } else {
    wake_at_ = earlier(wake_at_, poller.batch->due);
  }
  wake_at_ = earlier(wake_at_, *poller.batch->let_go);
}

bool QueueProcessor::complete(Moment now, const Poller& poller) const {
  if (poller.forming.empty()) return false;
  if (settings_.window == Duration(0) || poller.forming.size() >= settings_.batch_size) return true;
  const std::size_t payload = settings_.envelope_bytes + poller.forming_bytes + poller.forming.size() - 1;
  return payload >= settings_.max_payload_bytes || window_end(poller) <= now.instant ||
         held_bytes_ > settings_.limits.max_held_bytes / 2;  // no window is worth standing still for
}

/// Takes the next batch out of what is forming: what fits, and of a FIFO queue only what nothing of its group is
/// before. Nothing, when all of it has to wait.
std::optional<QueueProcessor::Batch> QueueProcessor::take_batch(Poller& poller) {
  Batch batch;
  std::vector<Held> rest;
  std::map<std::string, std::size_t> taken;  // of each group
  bool full = false;
  batch.items.reserve(std::min(poller.forming.size(), settings_.batch_size));
  for (Held& held : poller.forming) {
    bool fits = !full && batch.items.size() < settings_.batch_size;
    if (fits && settings_.fifo) {
      const auto& group = groups_.at(held.item.group);
      fits = *std::next(group.begin(), static_cast<std::ptrdiff_t>(taken[held.item.group])) == held.ordinal;
    }
    const std::size_t comma = batch.items.empty() ? 0 : 1;
    const std::size_t bytes = batch.item_bytes + comma + held.item.encoded_bytes;
    if (fits && comma == 1 && settings_.envelope_bytes + bytes > settings_.max_payload_bytes) {
      full = true;
      fits = false;
    }
    if (!fits) {
      rest.push_back(std::move(held));
      continue;
    }
    ++taken[held.item.group];
    batch.item_bytes = bytes;
    poller.forming_bytes -= held.item.encoded_bytes;
    batch.items.push_back(std::move(held));
  }
  poller.forming = std::move(rest);
  if (batch.items.empty()) return std::nullopt;
  batch.request_id = random_.uuid();
  return batch;
}

void QueueProcessor::start_batches(Moment now) {
  for (std::size_t i = 0; i < pollers_.size() && in_flight_ < concurrency_; ++i) {
    const std::size_t at = (turn_ + i) % pollers_.size();
    Poller& poller = *pollers_[at];
    while (!poller.batch && complete(now, poller)) {
      auto batch = take_batch(poller);
      if (!batch) break;
      if (settings_.envelope_bytes + batch->item_bytes > settings_.max_payload_bytes) {
        // One message that no event can hold. Lambda would refuse the event each time; the queue's redrive policy gets
        // it in the end.
        counters_.failed_invoke_events += 1;
        leave(batch->items);
        continue;
      }
      poller.batch = std::move(batch);
      invoke(poller);
      keep_leases(now, poller);
      // Whoever has not had a turn comes first when the next one may be started.
      if (in_flight_ == concurrency_) turn_ = at + 1;
    }
  }
  if (settings_.window == Duration(0)) return;
  for (const auto& poller : pollers_) {
    if (!poller->batch && !poller->forming.empty() && !complete(now, *poller)) {
      wake_at_ = earlier(wake_at_, window_end(*poller));
    }
  }
}

void QueueProcessor::invoke(Poller& poller) {
  Batch& batch = *poller.batch;
  batch.call = ++last_call_;
  InvokeMessages order;
  order.call = batch.call;
  order.request_id = batch.request_id;
  order.payload_bytes = settings_.envelope_bytes + batch.item_bytes;
  order.items.reserve(batch.items.size());
  for (const Held& held : batch.items) order.items.push_back(&held.item);
  invocations_.emplace(batch.call, &poller);
  ++in_flight_;
  ++counters_.invocations;
  counters_.invoked_events += batch.items.size();
  // Looked at while it runs: while it waited to be tried again it was not.
  poller.lease_due = Instant::min();
  actions_.emplace_back(std::move(order));
}

/// More pollers while all have work, fewer while they have none for long.
void QueueProcessor::scale(Moment now) {
  if (!calm_since_) calm_since_ = now.instant;
  const auto waiting = std::ranges::count_if(
      pollers_, [&](const auto& poller) { return !poller->batch && !settings_.fifo && complete(now, *poller); });
  if (in_flight_ + static_cast<int>(waiting) >= concurrency_) {
    calm_since_ = now.instant;
    if (concurrency_ == concurrency_max_) return;
    const Instant due = std::max(last_growth_ ? *last_growth_ + kGrowthStep : Instant::min(), no_growth_before_);
    if (due > now.instant) {
      wake_at_ = earlier(wake_at_, due);
      return;
    }
    ++concurrency_;
    last_growth_ = now.instant;
    start_batches(now);
    wake_at_ = earlier(wake_at_, now.instant + kGrowthStep);
  } else if (concurrency_ > concurrency_idle_) {
    if (now.instant >= *calm_since_ + kCalm) {
      concurrency_ = std::max({concurrency_idle_, (concurrency_ + 1) / 2, in_flight_});
      calm_since_ = now.instant;
    }
    if (concurrency_ > concurrency_idle_) wake_at_ = earlier(wake_at_, *calm_since_ + kCalm);
  }
}

void QueueProcessor::fewer(Moment now) {
  concurrency_ = std::max(std::min(kConcurrencyLeast, concurrency_max_), concurrency_ - 1);
  no_growth_before_ = now.instant + kNoGrowthAfterTrouble;
}

void QueueProcessor::start_receives(Moment now) {
  while (pollers_.size() > static_cast<std::size_t>(concurrency_) && !pollers_.back()->active() &&
         !pollers_.back()->extending) {
    pollers_.pop_back();
  }
  if (receive_due_ > now.instant) {
    wake_at_ = earlier(wake_at_, receive_due_);
    return;
  }
  auto active = std::ranges::count_if(pollers_, [](const auto& poller) { return poller->active(); });
  for (auto& poller : pollers_) {
    const bool was_active = poller->active();
    if (!was_active && active >= concurrency_) continue;
    receive(now, *poller);
    if (!was_active && poller->active()) ++active;
  }
  while (active < concurrency_ && pollers_.size() < static_cast<std::size_t>(concurrency_)) {
    auto poller = std::make_unique<Poller>();
    poller->window_opened = now.instant;
    receive(now, *poller);
    if (!poller->active()) break;  // no room for more receives
    ++active;
    pollers_.push_back(std::move(poller));
  }
}

/// Has a poller receive, if it lacks messages and may.
void QueueProcessor::receive(Moment now, Poller& poller) {
  if (poller.batch || complete(now, poller)) return;
  if (settings_.fifo && !poller.forming.empty()) return;
  if (poller.receive_due > now.instant) {
    wake_at_ = earlier(wake_at_, poller.receive_due);
    return;
  }
  seconds wait = kLongPoll;
  if (!poller.forming.empty()) {
    // With low traffic a batch may wait a little longer than its window, never less.
    wait = std::min(wait, std::chrono::floor<seconds>(window_end(poller) - now.instant));
    if (wait == seconds(0) && !poller.last_was_full) return;
  }
  const std::size_t parallel = poller.last_was_full && !settings_.fifo ? kReceivesOfPoller : 1;
  while (poller.receives < parallel && receives_.size() < settings_.limits.max_receives && !memory_full()) {
    const std::size_t coming = poller.forming.size() + poller.asked;
    if (coming >= settings_.batch_size) return;  // more than that, when a server gives more than it was asked for
    const std::size_t missing = settings_.batch_size - coming;
    receive_once(now, poller, missing, wait);
  }
}

void QueueProcessor::receive_once(Moment now, Poller& poller, std::size_t missing, Duration wait) {
  ReceiveMessages order;
  order.call = ++last_call_;
  order.max_messages = std::min(kReceiveMost, missing);
  order.wait = wait;
  const Duration visibility = receive_visibility();
  if (visibility != settings_.visibility_timeout) order.visibility_timeout = visibility;
  ++poller.receives;
  poller.asked += order.max_messages;
  receives_.emplace(order.call, Receiving{&poller, order.max_messages, order.wait, visibility, now.instant});
  actions_.emplace_back(order);
}

Duration QueueProcessor::receive_visibility() const {
  const Duration needed = settings_.window + settings_.function_timeout.value_or(Duration(0));
  if (settings_.window == Duration(0) || needed <= settings_.visibility_timeout) return settings_.visibility_timeout;
  return needed + kVisibilityReserve;
}

Duration QueueProcessor::margin(Duration visibility) {
  return std::min(visibility / 4, kMarginMost);
}

/// What receives under way may bring is reckoned by the largest message of late.
bool QueueProcessor::memory_full() const {
  if (removing_messages_ >= settings_.limits.max_removing) return true;
  if (held_messages_ == 0 && receives_.empty()) return false;
  return held_bytes_ + (receives_.size() + 1) * kReceiveMost * largest_item_ > settings_.limits.max_held_bytes;
}

/// Deletes what succeeded. In a FIFO queue it stands before the rest of its group until it is gone.
void QueueProcessor::succeed(Moment now, std::vector<Held> items) {
  Removing removing;
  removing.due = now.instant;
  for (Held& held : items) {
    --held_messages_;
    held_bytes_ -= held.item.encoded_bytes;
    const Instant until = held.until == Instant::max() ? now.instant : held.until;
    removing.entries.push_back({std::move(held.item.receipt), std::move(held.item.group), held.ordinal, until, true});
  }
  remove(std::move(removing));
}

/// Leaves messages to the queue: they come back when their time is over. Not at once (recorded: 59.99 s into 60 s).
void QueueProcessor::leave(const std::vector<Held>& items) {
  std::set<std::string> groups;
  for (const Held& held : items) {
    groups.insert(held.item.group);
    forget(held);
  }
  if (settings_.fifo) let_go_of_groups(groups);
}

/// What is held of these groups came after a message that was not done, so it is not to be sent before it.
void QueueProcessor::let_go_of_groups(const std::set<std::string>& groups) {
  if (groups.empty()) return;
  for (auto& poller : pollers_) {
    std::vector<Held> kept;
    for (Held& held : poller->forming) {
      if (groups.contains(held.item.group)) {
        poller->forming_bytes -= held.item.encoded_bytes;
        forget(held);
      } else {
        kept.push_back(std::move(held));
      }
    }
    poller->forming = std::move(kept);
  }
}

void QueueProcessor::forget(const Held& held) {
  --held_messages_;
  held_bytes_ -= held.item.encoded_bytes;
  if (!settings_.fifo) return;
  const auto group = groups_.find(held.item.group);
  WEIR_ASSERT(group != groups_.end());
  group->second.erase(held.ordinal);
  if (group->second.empty()) groups_.erase(group);
}

/// The next window opens when the invocation before ends (invocation-eventsourcemapping).
void QueueProcessor::end_batch(Moment now, Poller& poller) {
  poller.batch.reset();
  poller.window_opened = now.instant;
  if (poller.forming.empty()) poller.lease_due = Instant::max();
}

void QueueProcessor::remove(Removing removing) {
  if (removing.entries.empty()) return;
  removing_messages_ += removing.entries.size();
  removals_.emplace(++last_call_, std::move(removing));
}

void QueueProcessor::ask_removals(Moment now) {
  for (auto& [call, removing] : removals_) {
    if (removing.asked) continue;
    if (removing.due > now.instant) {
      wake_at_ = earlier(wake_at_, removing.due);
      continue;
    }
    removing.asked = true;
    RemoveMessages order;
    order.call = call;
    for (const Removing::Entry& entry : removing.entries) order.receipts.push_back(entry.receipt);
    actions_.emplace_back(std::move(order));
  }
}

/// Makes visible again what was received and not begun.
void QueueProcessor::drain(Moment now) {
  ChangeVisibility order;
  Changing changing{nullptr, 0, {}, now.instant, Duration(0)};
  const auto release = [&](std::vector<Held>& items) {
    for (const Held& held : items) {
      forget(held);
      if (held.visibility == Duration(0)) continue;  // it is visible
      order.receipts.push_back(held.item.receipt);
    }
    items.clear();
  };
  for (auto& poller : pollers_) {
    release(poller->forming);
    poller->forming_bytes = 0;
    if (poller->batch && poller->batch->call == 0) {
      release(poller->batch->items);
      poller->batch.reset();
    }
  }
  if (order.receipts.empty()) return;
  order.call = ++last_call_;
  changing.receipts = order.receipts.size();
  changes_.emplace(order.call, std::move(changing));
  actions_.emplace_back(std::move(order));
}

}  // namespace weir::engine
