#include "queue_world.h"

#include <algorithm>
#include <sstream>

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Duration kShutdownGrace = 30s;  // of the shell: then what is in flight is called off
constexpr Duration kDrainedWithin = 1h;

}  // namespace

QueueFeatures::QueueFeatures(Random& random) : troubles(Draw{random}) {
  const Draw draw{random};
  const auto sometimes = [&](double most) { return draw.sometimes(most); };

  settings.fifo = draw.chance(0.4);
  if (settings.fifo) {
    settings.batch_size = draw.one_of({1, 2, 5, 10});
  } else {
    if (draw.chance(0.5)) settings.window = draw.chance(0.5) ? Duration(1s) : draw.seconds_up_to(60);
    settings.batch_size = settings.window > Duration(0) ? draw.one_of({1, 10, 25, 10'000}) : draw.one_of({1, 3, 10});
  }
  if (draw.chance(0.5)) settings.maximum_concurrency = static_cast<int>(draw.one_of({2, 3, 10}));
  settings.visibility_timeout = std::chrono::seconds(draw.one_of({1, 2, 5, 30, 120}));
  if (draw.chance(0.5)) settings.function_timeout = draw.seconds_up_to(60);
  settings.envelope_bytes = random.below(30);
  if (draw.chance(0.4)) {
    settings.max_payload_bytes = 400 + random.below(1600);
    oversized = draw.chance(0.4);
  }
  if (draw.chance(0.3)) settings.limits.max_receives = 1 + random.below(3);
  if (draw.chance(0.3)) settings.limits.max_held_bytes = 500 + random.below(4000);
  settings.limits.backoff_min = std::chrono::milliseconds(draw.one_of({50, 200, 1000}));
  settings.limits.backoff_max = std::chrono::milliseconds(draw.one_of({1000, 10'000}));

  messages = 1 + random.below(80);
  groups = draw.one_of({1, 2, 5, 30});
  backlog = draw.chance(0.5);
  filtered = sometimes(0.8);
  redrive = draw.chance(0.5) ? static_cast<int>(1 + random.below(5)) : 0;
  oversized = oversized && redrive > 0;  // else they would come again for ever
  changes_timeout = draw.chance(0.2);

  receives_fail = sometimes(0.4);
  changes_fail = sometimes(0.5);

  poison = sometimes(0.2);
  fails = sometimes(0.4);
  reports = draw.chance(0.6) ? random.unit() : 0;
  careless = sometimes(0.5);
  malformed = sometimes(0.3);
  throttled = sometimes(0.5);
  service_errors = sometimes(0.4);
  cancelled = sometimes(0.1);
  late = sometimes(0.3);
  never = sometimes(0.03);
  if (draw.chance(0.3)) account = static_cast<int>(1 + random.below(6));
}

std::string QueueFeatures::describe() const {
  std::ostringstream out;
  out << messages << " messages, " << groups << " groups; batch_size " << settings.batch_size << ", window "
      << as_seconds(settings.window) << " s, maximum_concurrency " << settings.maximum_concurrency.value_or(-1)
      << ", visibility " << as_seconds(settings.visibility_timeout) << " s, function "
      << as_seconds(settings.function_timeout.value_or(Duration(0))) << " s, payload " << settings.max_payload_bytes
      << " with envelope " << settings.envelope_bytes << "; " << settings.limits.max_receives << " receives, "
      << settings.limits.max_held_bytes << " bytes; redrive " << redrive << ", account " << account;
  name_features(
      out,
      {{"filtered", filtered},
       {"receives_fail", receives_fail},
       {"changes_fail", changes_fail},
       {"poison", poison},
       {"fails", fails},
       {"reports", reports},
       {"careless", careless},
       {"malformed", malformed},
       {"throttled", throttled},
       {"service_errors", service_errors},
       {"cancelled", cancelled},
       {"late", late},
       {"never", never}},
      {{"fifo", settings.fifo}, {"backlog", backlog}, {"oversized", oversized}, {"changes_timeout", changes_timeout}});
  troubles.name(out);
  return out.str();
}

QueueWorld::QueueWorld(std::uint64_t seed, QueueFigures& met)
    : Stage(seed, 0xA0761D6478BD642FU),
      met_(met),
      features_(random_),
      crashes_left_(features_.troubles.crashes),
      stops_left_(features_.troubles.stops),
      wall_jumps_left_(features_.troubles.wall_jumps ? 3 : 0),
      permits_(features_.account) {
  ++met_.worlds;
  met_.messages += features_.messages;
  Duration after{0};
  for (std::size_t i = 0; i < features_.messages; ++i) {
    if (!features_.backlog && random_.chance(0.2)) after += upto(random_.chance(0.2) ? Duration(60s) : Duration(2s));
    Message message;
    message.id = "message-" + std::to_string(i);
    message.group = random_.below(features_.groups);
    message.encoded_bytes = 20 + random_.below(300);
    if (features_.oversized && random_.chance(0.05)) message.encoded_bytes = features_.settings.max_payload_bytes + 1;
    message.filtered = random_.chance(features_.filtered);
    message.available = message.visible_at = now_.instant + after;
    if (random_.chance(features_.poison)) {
      // Without a redrive policy only the function's recovery ends it.
      const bool for_ever = features_.redrive > 0 && random_.chance(0.7);
      message.failures_left = for_ever ? 1'000'000 : static_cast<int>(1 + random_.below(3));
    }
    messages_.push_back(message);
  }
  left_ = messages_.size();
  for (int i = 0; i < features_.troubles.stops; ++i) {
    QueueHappening at_some_time = of(Kind::kStop);
    at_some_time.life = UINT64_MAX;
    later(upto(120s), std::move(at_some_time));
  }
  if (features_.account < 1000) {
    for (int i = 0; i < 3; ++i) later(upto(60s), of(Kind::kCrowd));
  }
  if (features_.changes_timeout) later(upto(60s), of(Kind::kTimeoutChanges));
  if (features_.troubles.idle_ticks) later(upto(5s), of(Kind::kIdleTick));
  start();
}

std::string QueueWorld::summary() const {
  std::ostringstream out;
  out << "seed " << seed_ << ", step " << steps_ << ", " << seconds_since_start() << " s; " << features_.describe()
      << "\n  life " << life_
      << (stopping_ ? ", stopping"
          : engine_ ? ", running"
                    : ", away")
      << ", " << left_ << " left, " << receives_.size() << " receives, " << calls_.size() << " calls, "
      << removes_.size() << " removes, " << changes_.size() << " changes";
  if (engine_) out << ", concurrency " << engine_->concurrency() << ", held " << engine_->held();
  for (const auto& [name, receipt] : receipts_) {
    const Message& message = messages_[receipt.message];
    if (message.gone) continue;
    out << "\n  " << name << " of group " << message.group << ": " << static_cast<int>(receipt.told) << ", visible in "
        << as_seconds(message.visible_at - now_.instant) << " s, receives " << message.receives;
  }
  return out.str();
}

bool QueueWorld::step() {
  if (!broken_.empty()) return false;
  if (finished_) {
    check_end();
    return false;
  }
  ++met_.steps;
  return turn(wake_, [&](const QueueHappening* happening) {
    if (crashes_left_ > 0 && engine_ && random_.chance(0.004)) {
      crash();
      if (happening == nullptr) return;
    }
    if (wall_jumps_left_ > 0 && random_.chance(0.01)) {
      --wall_jumps_left_;
      jump(600s);
    }
    if (features_.troubles.outages && !down() && random_.chance(0.002)) down_until_ = now_.instant + upto(60s);
    if (happening == nullptr) {
      tick();
    } else {
      happen(*happening);
    }
    check_leases();
    if (permits_.broken() != nullptr) promise(false, permits_.broken());
  });
}

void QueueWorld::happen(const QueueHappening& happening) {
  const bool same_life = engine_ && happening.life == life_;
  const engine::QueueCall call = happening.call;
  switch (happening.kind) {
    case Kind::kRestart:
      if (happening.life == life_) start();
      return;
    case Kind::kReceiveRuns:
      if (const auto found = receives_.find(call); same_life && found != receives_.end()) {
        receive_runs(found->second, call);
      }
      return;
    case Kind::kReceiveTold:
      if (same_life && receives_.contains(call)) receive_told(call);
      return;
    case Kind::kFunctionRuns:
      if (!same_life) ++met_.ran_after_a_crash;
      function_runs(happening);
      return;
    case Kind::kOutcome:
      if (same_life && calls_.contains(call)) answer_call(call);
      return;
    case Kind::kRemoveRuns:
      if (same_life) remove_runs(call);
      return;
    case Kind::kRemoveTold:
      if (same_life) remove_told(call);
      return;
    case Kind::kChangeRuns:
      if (same_life) change_runs(call);
      return;
    case Kind::kChangeTold:
      if (!same_life) return;
      engine_->on_visibility(now_, call, changes_.extract(call).mapped().worked);
      drain();
      return;
    case Kind::kStop:
      if (!engine_ || stopping_ || (happening.life != life_ && (happening.life != UINT64_MAX || stops_left_ == 0)))
        return;
      if (happening.life == UINT64_MAX) --stops_left_;
      stop();
      return;
    case Kind::kCrash:
      if (same_life) crash();
      return;
    case Kind::kCrowd:
      if (permits_.crowd()) later(upto(20s), of(Kind::kCrowd));
      return;
    case Kind::kTimeoutChanges:
      features_.settings.visibility_timeout = std::chrono::seconds(1 + random_.below(60));
      if (!engine_) return;
      engine_->on_visibility_timeout(now_, features_.settings.visibility_timeout);
      drain();
      return;
    case Kind::kIdleTick:
      if (engine_) tick();
      if (!finished_) later(upto(20s), of(Kind::kIdleTick));
      return;
  }
}

void QueueWorld::start() {
  engine::QueueSettings settings = features_.settings;
  settings.seed = random_.next();
  engine_ = std::make_unique<engine::QueueProcessor>(settings);
  tick();
}

void QueueWorld::end_life() {
  engine_.reset();
  ++life_;
  stopping_ = false;
  receipts_.clear();
  receives_.clear();
  calls_.clear();
  removes_.clear();
  changes_.clear();
  again_.clear();
  counters_ = {};
  wake_.reset();
}

/// kill -9: what the queue was not yet told it never will be. Calls that left may still run.
void QueueWorld::crash() {
  if (crashes_left_ > 0) --crashes_left_;
  ++met_.crashes;
  permits_.forget();
  end_life();
  later(upto(5s), of(Kind::kRestart));
}

/// As the shell does: the engine is told, receives are called off, and calls get their time of grace.
void QueueWorld::stop() {
  ++met_.stops;
  stopping_ = true;
  stop_by_ = now_.instant + kDrainedWithin;
  engine_->request_stop(now_);
  for (auto& [call, receive] : receives_) {
    if (receive.ran) continue;
    // Messages may come all the same.
    receive.until = now_.instant;
    later(upto(10ms), of(random_.chance(0.3) ? Kind::kReceiveRuns : Kind::kReceiveTold, call));
  }
  for (const auto& [call, under_way] : calls_) later(kShutdownGrace, of(Kind::kOutcome, call));
  drain();
}

void QueueWorld::tick() {
  wake_.reset();
  engine_->on_tick(now_);
  drain();
}

/// The contract of every engine: after it was told something, all it wants is taken before anything else is waited for.
void QueueWorld::drain() {
  while (auto action = engine_->next()) {
    if (crashes_left_ > 0 && random_.chance(0.002)) {
      ++met_.crashes_between_actions;
      crash();
      return;
    }
    std::visit([&](const auto& wish) { perform(wish); }, *action);
    if (!broken_.empty() || !engine_) return;
  }
  wake_ = engine_->wake_at();
  concurrency_ = engine_->concurrency();
  check_counters();
  check_waiting();
  if (wake_ && features_.troubles.late_ticks) *wake_ += upto(20ms);
  if (left_ == 0 && !stopping_) later(Duration(0), of(Kind::kStop));
}

// What the queue does.

bool QueueWorld::leased(const Receipt& receipt) const {
  const Message& message = messages_[receipt.message];
  return !message.gone && message.receives == receipt.number && message.visible_at > now_.instant;
}

/// Of a group nothing is given while one of it is out, or one before it is left.
bool QueueWorld::can_be_received(const Message& message) const {
  if (message.gone || message.visible_at > now_.instant) return false;
  if (!features_.settings.fifo) return true;
  return std::none_of(messages_.begin(), messages_.end(), [&](const Message& other) {
    const bool out = other.receives > 0 && other.visible_at > now_.instant;
    return &other != &message && !other.gone && other.group == message.group && (&other < &message || out);
  });
}

void QueueWorld::receive_runs(Receive& receive, engine::QueueCall call) {
  if (receive.ran) return;
  if (down() || random_.chance(features_.receives_fail)) {
    receive.failed = receive.ran = true;
    later(latency(), of(Kind::kReceiveTold, call));
    return;
  }
  std::set<std::size_t> groups;  // of this receive: more of them may follow, in order
  const std::size_t begin = features_.settings.fifo ? 0 : random_.below(messages_.size());
  const std::size_t most =
      random_.chance(0.7) ? receive.order.max_messages : 1 + random_.below(receive.order.max_messages);
  Instant next = Instant::max();
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    Message& message = messages_[(begin + i) % messages_.size()];
    if (message.gone) continue;
    if (message.visible_at > now_.instant) next = std::min(next, message.visible_at);
    if (receive.items.size() == most) break;
    const bool follows = groups.contains(message.group) && message.visible_at <= now_.instant;
    if (!follows && !can_be_received(message)) continue;
    if (features_.redrive > 0 && message.receives >= features_.redrive) {
      message.gone = message.dead = true;
      --left_;
      ++met_.dead;
      continue;
    }
    if (features_.settings.fifo) groups.insert(message.group);
    receive.items.push_back(take(message, receive.visibility));
  }
  if (receive.items.empty() && now_.instant < receive.until && left_ > 0) {
    // A long poll: it looks again when something may have become visible.
    const Instant again = std::min(receive.until, std::max(next, now_.instant + 50ms));
    later(again - now_.instant, of(Kind::kReceiveRuns, call));
    return;
  }
  receive.ran = true;
  // A mock that does not know long polls answers at once; here nothing waits once all messages are gone.
  later(receive.items.empty() ? std::max(latency(), receive.until - now_.instant) : latency(),
        of(Kind::kReceiveTold, call));
}

engine::QueueItem QueueWorld::take(Message& message, Duration visibility) {
  ++met_.received;
  if (++message.receives > 1) ++met_.received_again;
  message.visible_at = now_.instant + visibility;
  engine::QueueItem item;
  item.id = message.id;
  item.receipt = message.id + "#" + std::to_string(message.receives);
  item.group = "group-" + std::to_string(message.group);
  item.encoded_bytes = message.encoded_bytes;
  item.filtered = message.filtered;
  return item;
}

void QueueWorld::receive_told(engine::QueueCall call) {
  Receive receive = receives_.extract(call).mapped();
  if (receive.failed && !stopping_) {
    ++met_.receives_failed;
    ++counters_.receive_failures;
    engine_->on_receive_failed(now_, call);
    drain();
    return;
  }
  if (stopping_ && !receive.items.empty()) ++met_.came_while_stopping;
  for (const engine::QueueItem& item : receive.items) {
    const std::size_t index = std::stoul(item.id.substr(item.id.find('-') + 1));
    const int number = std::stoi(item.receipt.substr(item.receipt.find('#') + 1));
    receipts_.emplace(item.receipt, Receipt{.message = index, .number = number});
    ++counters_.polled_events;
    if (!item.filtered) continue;
    ++met_.filtered;
    ++counters_.filtered_out_events;
  }
  engine_->on_messages(now_, call, std::move(receive.items));
  drain();
}

/// The function runs, awaited by somebody or not.
void QueueWorld::function_runs(const QueueHappening& run) {
  std::vector<std::size_t> failing;  // places in the batch
  for (std::size_t i = 0; i < run.messages->size(); ++i) {
    Message& message = messages_[(*run.messages)[i]];
    if (message.failures_left == 0) continue;
    --message.failures_left;
    failing.push_back(i);
  }
  if (!run.well && failing.empty()) failing.push_back(random_.below(run.messages->size()));
  Call nobody;
  const auto found = calls_.find(run.call);
  const bool awaited = engine_ && run.life == life_ && found != calls_.end();
  Call& call = awaited ? found->second : nobody;
  call.ran = true;
  const bool answers = std::holds_alternative<Succeeded>(call.outcome.what);  // else its answer is lost
  if (!failing.empty()) {
    if (random_.chance(features_.reports)) {
      report(call, *run.messages, failing);
    } else {
      if (answers) call.outcome = Outcome(FunctionFailed{"Unhandled", "{}"});
      return;
    }
  }
  if (call.failures.kind == engine::ItemFailures::Kind::kAll) return;
  for (std::size_t i = 0; i < run.messages->size(); ++i) {
    const bool failed = std::find(failing.begin(), failing.end(), i) != failing.end();
    if (!failed) messages_[(*run.messages)[i]].succeeded = true;
  }
}

/// The function answers with what failed of its batch; of a FIFO queue also with what came behind it in its group, if
/// it takes care. What it cannot be believed in has all failed.
void QueueWorld::report(Call& call, const std::vector<std::size_t>& messages, std::vector<std::size_t>& failing) {
  call.failures.kind = engine::ItemFailures::Kind::kSome;
  if (features_.settings.fifo && !random_.chance(features_.careless)) {
    std::set<std::size_t> groups;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const bool fails = std::find(failing.begin(), failing.end(), i) != failing.end();
      if (fails) groups.insert(messages_[messages[i]].group);
      if (!fails && groups.contains(messages_[messages[i]].group)) failing.push_back(i);
    }
  }
  for (const std::size_t i : failing) call.failures.ids.push_back(messages_[messages[i]].id);
  if (!random_.chance(features_.malformed)) return;
  if (random_.chance(0.5)) call.failures.kind = engine::ItemFailures::Kind::kAll;
  call.failures.ids.push_back("nobody");
  failing.clear();
  for (std::size_t i = 0; i < messages.size(); ++i) failing.push_back(i);
}

void QueueWorld::answer_call(engine::QueueCall number) {
  Call call = calls_.extract(number).mapped();
  for (std::size_t i = 0; i < call.shown.size(); ++i) {
    promise(call.receipts[i], call.shown[i]->receipt == call.receipts[i], "is no longer what was handed over");
  }
  if (call.permit) permits_.give_back(kFunction);
  const bool too_early = std::holds_alternative<Succeeded>(call.outcome.what) && !call.ran;
  if (too_early || (stopping_ && random_.chance(0.3))) call.outcome = Outcome(Cancelled{});
  judge(call);
  engine_->on_outcome(now_, number, call.outcome, call.failures);
  drain();
}

/// What has to come of an outcome.
void QueueWorld::judge(const Call& call) {
  const std::size_t count = call.receipts.size();
  if (std::holds_alternative<Succeeded>(call.outcome.what)) {
    ++met_.succeeded;
    std::set<std::string> failed(call.failures.ids.begin(), call.failures.ids.end());
    bool all = call.failures.kind == engine::ItemFailures::Kind::kAll || failed.contains("nobody");
    if (call.failures.kind == engine::ItemFailures::Kind::kNone) failed.clear();
    std::vector<std::string> left;
    for (const std::string& name : call.receipts) {
      if (all || failed.contains(message_of(name).id)) {
        left.push_back(name);
      } else {
        receipts_.at(name).told = Told::kDone;
      }
    }
    if (!left.empty()) ++(left.size() == count ? met_.whole_reports : met_.partial);
    if (!left.empty()) counters_.failed_invoke_events += count;
    leave(left);
  } else if (std::holds_alternative<FunctionFailed>(call.outcome.what)) {
    ++met_.failed;
    ++counters_.function_errors;
    counters_.failed_invoke_events += count;
    leave(call.receipts);
  } else if (std::holds_alternative<Cancelled>(call.outcome.what)) {
    ++met_.cancelled;
    leave(call.receipts);
  } else {
    const bool throttled = std::holds_alternative<Throttled>(call.outcome.what);
    ++(throttled ? counters_.throttles : counters_.service_errors);
    if (!throttled) ++met_.service_errors;
    counters_.failed_invoke_events += count;
    for (const std::string& name : call.receipts) receipts_.at(name).told = Told::kAgain;
    again_[call.request_id] = Again{call.receipts, now_.instant};
  }
}

/// These come back by their own time; so does, of a FIFO queue, what is held of their groups.
void QueueWorld::leave(const std::vector<std::string>& receipts) {
  std::set<std::size_t> groups;
  for (const std::string& name : receipts) {
    receipts_.at(name).told = Told::kLeft;
    groups.insert(message_of(name).group);
  }
  if (!features_.settings.fifo) return;
  for (auto& [name, receipt] : receipts_) {
    if (receipt.told != Told::kHeld || messages_[receipt.message].filtered) continue;
    if (!groups.contains(messages_[receipt.message].group)) continue;
    receipt.told = Told::kLeft;
    ++met_.groups_left;
  }
}

void QueueWorld::remove_runs(engine::QueueCall call) {
  Order& order = removes_.at(call);
  const bool whole_call_fails = down() || random_.chance(features_.troubles.refuses / 4);
  for (std::size_t i = 0; i < order.receipts.size() && !whole_call_fails; ++i) {
    const Receipt& receipt = receipts_.at(order.receipts[i]);
    Message& message = messages_[receipt.message];
    bool worked = !random_.chance(features_.troubles.refuses);
    const bool stale = message.receives != receipt.number || message.visible_at <= now_.instant;
    if (stale && !message.gone) {
      ++met_.stale_receipts;
      // A FIFO queue refuses it. A standard queue takes it, and may not delete what was received anew.
      worked = worked && !features_.settings.fifo;
    }
    const bool deletes = worked && !message.gone && message.receives == receipt.number;
    if (deletes) {
      promise(order.receipts[i], message.filtered || message.succeeded, "is deleted and never succeeded");
      message.gone = true;
      --left_;
      ++met_.deleted;
    }
    if (worked && random_.chance(features_.troubles.lies)) {
      ++met_.lies;
      worked = false;
    }
    if (!worked) ++met_.removes_failed;
    order.worked.push_back(worked);
  }
  later(latency(), of(Kind::kRemoveTold, call));
}

void QueueWorld::remove_told(engine::QueueCall call) {
  const Order order = removes_.extract(call).mapped();
  for (std::size_t i = 0; i < order.receipts.size(); ++i) {
    const bool worked = !order.worked.empty() && order.worked[i];
    const Receipt& receipt = receipts_.at(order.receipts[i]);
    if (!worked) {
      ++counters_.delete_failures;
    } else if (receipt.invoked) {
      ++counters_.deleted_events;
    }
  }
  engine_->on_removed(now_, call, order.worked);
  drain();
}

void QueueWorld::change_runs(engine::QueueCall call) {
  Order& order = changes_.at(call);
  const bool whole_call_fails = down() || random_.chance(features_.changes_fail / 4);
  for (std::size_t i = 0; i < order.receipts.size() && !whole_call_fails; ++i) {
    const Receipt& receipt = receipts_.at(order.receipts[i]);
    const bool worked = leased(receipt) && !random_.chance(features_.changes_fail);
    if (worked) messages_[receipt.message].visible_at = now_.instant + order.timeout;
    if (!worked) ++met_.changes_failed;
    order.worked.push_back(worked);
  }
  later(latency(), of(Kind::kChangeTold, call));
}

}  // namespace weir::simulation
