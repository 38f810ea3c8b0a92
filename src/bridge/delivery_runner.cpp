#include "bridge/delivery_runner.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "weir/base/json_writer.h"

#include "base/utf8.h"
#include "bridge/delivery_document.h"
#include "bridge/lineage.h"
#include "http/client.h"
#include "http/uri.h"

namespace weir::bridge {
namespace {

/// What deliveries may hold in memory between their acceptance and their first attempt.
constexpr std::size_t kBytesAtHand = 16U << 20U;
/// How long an HTTP endpoint may take. Source: sns-http-https-endpoint-as-subscriber.
constexpr Duration kHttpPatience = std::chrono::seconds(15);
/// What is kept of what a target says of its refusal.
constexpr std::size_t kSaidMax = 300;
/// Targets without deliveries that are still known: their figures, and what they failed with.
constexpr std::size_t kIdleTargetsMax = 1000;

constexpr std::string_view kHttp = "http:";

net::steady_timer::time_point timer_time(Instant instant) {
  return net::steady_timer::time_point(instant.time_since_epoch());
}

std::size_t memory_bytes(const ServiceDelivery& delivery) {
  constexpr std::size_t kBesides = 1024;
  return delivery.payload.size() + delivery.dead_letter_body.size() + kBesides;
}

/// A target as it may be shown: a URL may hold a password.
std::string shown(const std::string& target) {
  if (!target.starts_with(kHttp)) return target;
  return std::string(kHttp) + http::without_secrets(std::string_view(target).substr(kHttp.size()));
}

std::string_view condition(const engine::EndDelivery& order) {
  const std::string_view exhausted = engine::exhausted_retry_condition(order.condition);
  return exhausted.empty() ? std::string_view("Refused") : exhausted;
}

std::optional<Duration> retry_after(const http::Headers& headers) {
  const auto text = headers.get("Retry-After");
  if (!text) return std::nullopt;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace

/// Tells what became of an attempt when it goes: each has its one outcome, also when it was called off or never began.
class DeliveryRunner::Answer {
 public:
  Answer(DeliveryRunner& runner, const engine::AttemptDelivery& order) : runner_(runner), order_(order) {
    attempted_.result = engine::DeliveryResult::kCancelled;
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() { runner_.answered(order_, std::move(attempted_)); }
  void is(Attempted attempted) { attempted_ = std::move(attempted); }

 private:
  DeliveryRunner& runner_;
  engine::AttemptDelivery order_;
  Attempted attempted_;
};

DeliveryRunner::DeliveryRunner(Deps deps, Destinations::Here here, std::uint64_t seed)
    : deps_(std::move(deps)),
      here_(std::move(here)),
      courier_(deps_.executor),
      engine_(engine::DeliveryLimits(), seed),
      pace_(deps_.executor, deps_.clock),
      ticker_(deps_.executor),
      drained_signal_(deps_.executor, net::steady_timer::time_point::max()),
      ticks_(deps_.executor),
      attempts_(deps_.executor),
      writes_(deps_.executor) {}

DeliveryRunner::~DeliveryRunner() = default;

DeliveryRunner::Target& DeliveryRunner::target(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) {
    Target& known = *found->second;
    if (known.idle) idle_.erase(*known.idle);
    known.idle.reset();
    return known;
  }
  const engine::TargetId id = engine_.add_target();
  if (id == targets_.size()) targets_.emplace_back();
  targets_[id] = std::make_unique<Target>();
  targets_[id]->id = id;
  targets_[id]->name = name;
  by_name_[name] = targets_[id].get();
  return *targets_[id];
}

// ---- In ----

void DeliveryRunner::restore(const store::WaitingEvent& kept) {
  tell_of(kept, true);
}

void DeliveryRunner::accepted(const store::WaitingEvent& kept) {
  tell_of(kept, false);
}

void DeliveryRunner::tell_of(const store::WaitingEvent& kept, bool restored) {
  // Of terms that cannot be read nothing is known: one attempt, and the end says why.
  DeliveryTerms terms;
  if (auto read = read_terms(kept.qualifier)) terms = std::move(*read);
  engine::QueuedDelivery queued;
  queued.id = kept.id;
  queued.target = target(kept.function).id;
  queued.accepted = kept.accepted;
  queued.group = terms.group;
  queued.attempts = kept.attempts;
  queued.due = kept.due;
  if (restored) {
    engine_.on_restored(deps_.clock.now(), queued, terms.rules);
  } else {
    tell([&](Moment now) { engine_.on_accepted(now, queued, terms.rules); });
  }
}

void DeliveryRunner::accepted(std::uint64_t id, ServiceDelivery delivery, WallTime accepted) {
  engine::QueuedDelivery queued;
  queued.id = id;
  queued.target = target(delivery.target).id;
  queued.accepted = accepted;
  const std::string group = delivery.details.group;
  queued.group = group;
  const DeliveryRules rules = delivery.rules;
  if (bytes_at_hand_ + memory_bytes(delivery) <= kBytesAtHand) {
    bytes_at_hand_ += memory_bytes(delivery);
    at_hand_.emplace(id, std::move(delivery));
  }
  tell([&](Moment now) { engine_.on_accepted(now, queued, rules); });
}

net::awaitable<void> DeliveryRunner::run() {
  ticks_.spawn(tick());
  tell([&](Moment now) { engine_.start(now); });
  while (!drained_ && !parked_) {
    boost::system::error_code woken;
    co_await drained_signal_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  ticks_.cancel();
  if (parked_) attempts_.cancel();
  co_await ticks_.join();
  co_await attempts_.join();
  co_await writes_.join();
  co_await courier_.close();
  // Parked deliveries stay to be looked at until weir stops.
  while (!stopping_) {
    boost::system::error_code woken;
    co_await drained_signal_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

void DeliveryRunner::request_stop() {
  stopping_ = true;
  pace_.request_stop();
  if (!parked_) tell([&](Moment now) { engine_.request_stop(now); });
  drained_signal_.cancel();
}

void DeliveryRunner::cancel() {
  attempts_.cancel();
}

// ---- The engine ----

template <typename Tell>
void DeliveryRunner::tell(Tell tell) {
  if (parked_) return;
  try {
    tell(deps_.clock.now());
    pump();
  } catch (const BrokenBelief& broken) {
    park(broken);
  }
}

void DeliveryRunner::pump() {
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

net::awaitable<void> DeliveryRunner::tick() {
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

void DeliveryRunner::park(const BrokenBelief& broken) {
  parked_ = true;
  pumping_ = false;
  deps_.log.error("deliveries.parked", {{"code", text(ErrorCode::kInternal)}, {"message", broken.what()}});
  drained_signal_.cancel();
}

void DeliveryRunner::perform(const engine::AttemptDelivery& order) {
  attempts_.spawn(attempt(order, std::make_shared<Answer>(*this, order)));
}

void DeliveryRunner::perform(const engine::RememberDeliveryRetry& order) {
  failures_.erase(order.delivery.id);  // the next attempt has its own; a million may wait for theirs
  writes_.spawn(remember(order));
}

void DeliveryRunner::perform(const engine::EndDelivery& order) {
  writes_.spawn(end(order));
}

void DeliveryRunner::perform(const engine::DeliveriesDrained&) {
  drained_ = true;
  drained_signal_.cancel();
}

// ---- Out ----

net::awaitable<Result<ServiceDelivery>> DeliveryRunner::load(std::uint64_t id) {
  if (auto found = at_hand_.extract(id)) {
    bytes_at_hand_ -= memory_bytes(found.mapped());
    co_return std::move(found.mapped());
  }
  auto stored = co_await deps_.events.load(id);
  if (!stored) co_return std::move(stored.error());
  co_return read_delivery(*stored);
}

net::awaitable<void> DeliveryRunner::attempt(engine::AttemptDelivery order, std::shared_ptr<Answer> answer) {
  Attempted attempted;
  try {
    auto delivery = co_await load(order.delivery.id);
    if (delivery) {
      attempted = co_await deliver(std::move(*delivery));
    } else {
      const ErrorCode code = delivery.error().code();
      const bool lost = code == ErrorCode::kStoreCorrupt || code == ErrorCode::kStoreNotFound;
      attempted.result = lost ? engine::DeliveryResult::kRefused : engine::DeliveryResult::kHindered;
      attempted.message = delivery.error().describe();
    }
  } catch (const boost::system::system_error& error) {
    if (error.code() == net::error::operation_aborted) co_return;
    attempted.result = engine::DeliveryResult::kFailed;
    attempted.message = error.what();
  } catch (const BrokenBelief& broken) {
    park(broken);
    co_return;
  } catch (const std::exception& error) {
    attempted.result = engine::DeliveryResult::kFailed;
    attempted.message = error.what();
  }
  answer->is(std::move(attempted));
}

net::awaitable<DeliveryRunner::Attempted> DeliveryRunner::deliver(ServiceDelivery delivery) {
  if (delivery.target.starts_with(kHttp)) co_return co_await post(std::move(delivery));
  Attempted attempted;
  const std::string target = delivery.target;
  DestinationRecord message;
  message.record = std::move(delivery.payload);
  message.details = std::move(delivery.details);
  message.trace_header = std::move(delivery.trace_header);
  message.at = deps_.clock.now().wall;
  Result<void> delivered;
  const bool left_alone = deps_.destinations.left_alone_until(target, nullptr) > deps_.clock.now().instant;
  const bool here = co_await here_.owns(target);
  if (here) {
    delivered = co_await here_.take(target, std::move(message));
  } else {
    delivered = co_await deps_.destinations.deliver(target, std::move(message), nullptr);
  }
  if (delivered) co_return attempted;
  const Error& error = delivered.error();
  attempted.message = error.describe();
  switch (error.code()) {
    case ErrorCode::kDestinationGone:
      attempted.result = engine::DeliveryResult::kRefused;
      attempted.code = "NO_RESOURCE";
      break;
    case ErrorCode::kDestinationForbidden:
      attempted.result = engine::DeliveryResult::kRefused;
      attempted.code = "NO_PERMISSIONS";
      break;
    case ErrorCode::kEventRefused:
      attempted.result = engine::DeliveryResult::kRefused;
      break;
    case ErrorCode::kCancelled:
      attempted.result = engine::DeliveryResult::kCancelled;
      break;
    default:
      // What is weir's own takes everything that it does not refuse, but for weir's own trouble: a full disk, a service
      // that does not run. Who is left alone was not asked.
      attempted.result = here || left_alone ? engine::DeliveryResult::kHindered : engine::DeliveryResult::kFailed;
  }
  co_return attempted;
}

/// Sources: sns-message-delivery-retries: what a client did wrong is not tried again, but for 429.
net::awaitable<DeliveryRunner::Attempted> DeliveryRunner::post(ServiceDelivery delivery) {
  Attempted attempted;
  http::ClientRequest request;
  request.method = "POST";
  request.url = delivery.target.substr(kHttp.size());
  for (const auto& [name, value] : delivery.details.headers) request.headers.add(name, value);
  request.body = std::move(delivery.payload);
  request.timeout = kHttpPatience;
  request.response_max_bytes = 1U << 20U;
  auto response = co_await courier_.send(std::move(request));
  if (!response) {
    const bool cancelled = response.error().code() == ErrorCode::kCancelled;
    attempted.result = cancelled ? engine::DeliveryResult::kCancelled : engine::DeliveryResult::kFailed;
    attempted.code = "TIMEOUT";
    attempted.message = response.error().message();
    co_return attempted;
  }
  const int status = response->status;
  if (status >= 200 && status < 400) co_return attempted;
  attempted.retry_after = retry_after(response->headers);
  attempted.result = status >= 400 && status < 500 && status != 429 ? engine::DeliveryResult::kRefused
                                                                    : engine::DeliveryResult::kFailed;
  if (status == 429) attempted.code = "THROTTLING";
  attempted.message = "status " + std::to_string(status);
  if (!response->body.empty()) attempted.message += ": " + first_bytes(std::move(response->body), kSaidMax);
  co_return attempted;
}

void DeliveryRunner::answered(const engine::AttemptDelivery& order, Attempted attempted) {
  attempted.message = first_bytes(std::move(attempted.message), kSaidMax);
  // Called off though weir does not stop: at once again would be for ever.
  if (attempted.result == engine::DeliveryResult::kCancelled && !stopping_) {
    attempted.result = engine::DeliveryResult::kHindered;
  }
  note(*targets_[order.target], attempted);
  const engine::DeliveryResult result = attempted.result;
  const std::optional<Duration> asked = attempted.retry_after;
  failures_.erase(order.delivery.id);
  if (result == engine::DeliveryResult::kFailed || result == engine::DeliveryResult::kRefused) {
    failures_.emplace(order.delivery.id, std::move(attempted));
  }
  tell([&](Moment now) { engine_.on_outcome(now, order.delivery, result, asked); });
}

net::awaitable<void> DeliveryRunner::remember(engine::RememberDeliveryRetry order) {
  const auto kept = co_await deps_.events.remember_retry(order.delivery.id, order.attempts, order.due);
  // When it is lost, a restart tries once more than it should.
  if (!kept) deps_.log.debug("delivery.retry_not_kept", {{"message", kept.error().describe()}});
}

net::awaitable<void> DeliveryRunner::end(engine::EndDelivery order) {
  Result<void> kept;
  try {
    kept = co_await conclude(order);
  } catch (const std::exception& error) {
    kept = Error(ErrorCode::kInternal, error.what());
  }
  if (kept) {
    failures_.erase(order.delivery.id);
    given_.erase(order.delivery.id);
  } else if (kept.error().code() != ErrorCode::kCancelled) {
    deps_.log.error(
        "store.refused",
        {{"part", "deliveries"}, {"code", text(kept.error().code())}, {"message", kept.error().describe()}});
  }
  tell([&](Moment now) { engine_.on_ended(now, order.delivery, kept.has_value()); });
  if (kept) note_idle(order.target);
}

/// A dead-letter destination that fails for now is tried again, which holds up no ending that another destination is
/// told.
net::awaitable<Result<void>> DeliveryRunner::conclude(engine::EndDelivery order) {
  const std::uint64_t id = order.delivery.id;
  if (auto found = at_hand_.extract(id)) bytes_at_hand_ -= memory_bytes(found.mapped());
  if (order.condition == engine::DeliveryCondition::kDelivered || (given_.contains(id) && given_.at(id))) {
    co_return co_await deps_.events.settle(id);
  }
  const std::string line = co_await line_of_end(id);
  for (std::size_t tries = 0;; ++tries) {
    co_await pace_.rest(deps_.destinations.left_alone_until(line, nullptr));
    const auto concluded = co_await give_up(order, line, tries);
    if (!concluded) co_return concluded.error();
    if (*concluded == Concluded::kOver) co_return Result<void>();
    co_await pace_.wait(tries);
  }
}

/// Where an ending waits for its turn. What says so is read twice rather than held until then.
net::awaitable<std::string> DeliveryRunner::line_of_end(std::uint64_t id) {
  const EndingPace::Turn turn = co_await pace_.turn("");
  const auto stored = co_await deps_.events.load(id);
  if (!stored) co_return std::string();
  const auto delivery = read_delivery(*stored);
  co_return delivery ? line_of(delivery->dead_letter) : std::string();
}

/// Its dead-letter destination gets it, or it becomes one of weir's dead letters.
net::awaitable<Result<DeliveryRunner::Concluded>> DeliveryRunner::give_up(engine::EndDelivery order, std::string line,
                                                                          std::size_t tries) {
  const EndingPace::Turn turn = co_await pace_.turn(std::move(line));
  const bool last = pace_.last(tries);
  Target& target = *targets_[order.target];
  auto stored = co_await deps_.events.load(order.delivery.id);
  if (!stored) {
    // Forgotten already, by an ending whose answer was lost.
    if (stored.error().code() == ErrorCode::kStoreNotFound) co_return Concluded::kOver;
    co_return std::move(stored.error());
  }
  const Attempted reason = why(order);
  auto delivery = read_delivery(*stored);
  const std::string destination = delivery ? delivery->dead_letter : std::string();
  // Asked for again when the store could not keep it: that is said elsewhere.
  if (given_.try_emplace(order.delivery.id, false).second) note_end(order, *stored, reason, destination);
  Result<void> kept;
  if (!destination.empty()) {
    const std::string_view exhausted = engine::exhausted_retry_condition(order.condition);
    DestinationRecord message;
    message.record = delivery->dead_letter_body.empty() ? delivery->payload : delivery->dead_letter_body;
    message.at = deps_.clock.now().wall;
    message.trace_header = delivery->trace_header;
    message.details.attributes = delivery->dead_letter_attributes;
    if (delivery->dead_letter_tells_why) {
      auto& attributes = message.details.attributes;
      attributes["ERROR_CODE"] = {"String", reason.code.empty() ? "SDK_CLIENT_ERROR" : reason.code};
      attributes["ERROR_MESSAGE"] = {"String", reason.message.empty() ? "not attempted" : reason.message};
      if (!exhausted.empty()) attributes["EXHAUSTED_RETRY_CONDITION"] = {"String", std::string(exhausted)};
      attributes["RETRY_ATTEMPTS"] = {"Number", std::to_string(std::max(0, order.attempts - 1))};
    }
    const auto given = co_await deps_.destinations.deliver(destination, std::move(message), nullptr);
    if (given) {
      given_[order.delivery.id] = true;
      kept = co_await deps_.events.settle(order.delivery.id);
      if (!kept) co_return kept.error();
      co_return Concluded::kOver;
    }
    // The store behind the destination, a service's or a function's, cannot take anything now; or weir stops.
    if (!is_refusal(given.error().code())) co_return given.error();
    if (!last && may_pass(destination, given.error().code())) co_return Concluded::kAgain;
    ++target.dead_letter_errors;
    deps_.log.error("destination.refused", {{"target", shown(target.name)},
                                            {"source", stored->source},
                                            {"code", text(given.error().code())},
                                            {"message", given.error().describe()}});
  }
  kept = co_await bury(order, std::move(*stored), reason);
  if (!kept) co_return kept.error();
  co_return Concluded::kOver;
}

net::awaitable<Result<void>> DeliveryRunner::bury(engine::EndDelivery order, store::StoredEvent stored, Attempted why) {
  store::DeadLetter letter;
  letter.source = stored.source;
  letter.function = stored.function;
  letter.qualifier = stored.qualifier;
  letter.at = deps_.clock.now().wall;
  JsonWriter(letter.record)
      .begin_object()
      .member("target", targets_[order.target]->name)
      .member("condition", condition(order))
      .member("attempts", order.attempts)
      .member("errorCode", why.code)
      .member("errorMessage", why.message)
      .end_object();
  letter.payload = std::move(stored.payload);
  co_return co_await deps_.events.bury(order.delivery.id, std::move(letter));
}

/// What its last attempt came to; of one that became too old while it waited, what its target's did.
DeliveryRunner::Attempted DeliveryRunner::why(const engine::EndDelivery& order) const {
  if (const auto found = failures_.find(order.delivery.id); found != failures_.end()) return found->second;
  Attempted why;
  why.code = targets_[order.target]->trouble_code;
  why.message = targets_[order.target]->trouble;
  return why;
}

/// Targets that are not used any more are forgotten, with their figures, when there are many.
void DeliveryRunner::note_idle(engine::TargetId id) {
  Target& target = *targets_[id];
  const engine::DeliveryFigures& figures = engine_.figures(id);
  if (target.idle || figures.waiting + figures.in_flight + figures.ending > 0) return;
  target.idle = idle_.insert(idle_.end(), &target);
  if (idle_.size() <= kIdleTargetsMax) return;
  const engine::TargetId oldest = idle_.front()->id;
  idle_.pop_front();
  by_name_.erase(targets_[oldest]->name);
  targets_[oldest].reset();
  engine_.drop_target(oldest);
}

// ---- What is told ----

void DeliveryRunner::note_end(const engine::EndDelivery& order, const store::StoredEvent& stored, const Attempted& why,
                              std::string_view destination) {
  deps_.log.warn("delivery.dropped",
                 {{"target", shown(targets_[order.target]->name)},
                  {"source", stored.source},
                  {"condition", condition(order)},
                  {"attempts", order.attempts},
                  {"message", why.message},
                  {"destination", destination.empty() ? std::string_view("dead letters") : destination}});
}

/// One line when a target begins to fail, in a new way, or works again.
void DeliveryRunner::note(Target& target, const Attempted& attempted) {
  if (attempted.result == engine::DeliveryResult::kCancelled) return;
  const std::string now = attempted.result == engine::DeliveryResult::kDelivered ? std::string() : attempted.message;
  if (now == target.trouble) {
    ++target.trouble_count;
    return;
  }
  if (now.empty()) {
    deps_.log.info("delivery.recovered", {{"target", shown(target.name)}, {"failures", target.trouble_count}});
  } else {
    deps_.log.warn("delivery.failed", {{"target", shown(target.name)}, {"message", now}});
  }
  target.trouble = now;
  target.trouble_code = attempted.code;
  target.trouble_count = 1;
}

std::vector<DeliveryStatus> DeliveryRunner::status() const {
  const Moment now = deps_.clock.now();
  std::vector<DeliveryStatus> all;
  all.reserve(targets_.size());
  for (const auto& each : targets_) {
    if (!each) continue;
    DeliveryStatus status;
    status.target = shown(each->name);
    status.figures = engine_.figures(each->id);
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
