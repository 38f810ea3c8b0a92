#include "bridge/bridge.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/offload.h"

namespace weir::bridge {
namespace {

/// The ARN of a function of real Lambda; "" of others.
std::string arn_of(const config::FunctionConfig& function) {
  const auto* target = std::get_if<config::ArnFunction>(&function.target);
  return target == nullptr ? "" : target->arn;
}

/// How long an invocation may take, where weir decides it.
std::optional<Duration> timeout_of(const config::FunctionConfig& function) {
  const auto* target = std::get_if<config::CommandFunction>(&function.target);
  if (target == nullptr) return std::nullopt;
  return target->timeout;
}

}  // namespace

Bridge::Bridge(net::any_io_executor executor, net::any_io_executor blocking, const config::Config& config,
               store::StateFolder& store, Endpoints endpoints, Log& log, const Clock& clock,
               std::span<const ServiceEntry> services)
    : executor_(std::move(executor)),
      blocking_(std::move(blocking)),
      config_(config),
      store_(store),
      log_(log),
      clock_(clock),
      started_(clock.now().wall),
      endpoints_(std::move(endpoints)),
      invoker_(config.concurrency),
      queue_(EventQueue::Deps{executor_, blocking_, invoker_, store, log, clock}, config, seed_from_system()),
      deliveries_(DeliveryRunner::Deps{executor_, queue_.destinations(), store, log, clock}, here(),
                  seed_from_system()),
      services_(Services::Deps{executor_, blocking_, queue_, deliveries_, store,
                               [this](std::string_view function, std::string_view qualifier) {
                                 return knows(std::string(function), std::string(qualifier));
                               },
                               log, clock},
                config, services),
      stop_(executor_, net::steady_timer::time_point::max()),
      call_ended_(executor_, net::steady_timer::time_point::max()) {
  queue_.destinations().set_here(here());
  for (const auto& [name, function] : config.functions) {
    // The configuration's own check has refused reservations that leave too little.
    const Result<void> added =
        invoker_.add(name, *endpoints_.at(name), function.reserved_concurrent_executions, arn_of(function));
    WEIR_ASSERT(added.has_value());
  }
  for (const config::SourceEntry& entry : config.sources) {
    Supervisor::Deps deps{executor_,
                          blocking_,
                          invoker_,
                          queue_,
                          store,
                          store,
                          store,
                          log,
                          clock,
                          config.aws,
                          timeout_of(config.functions.at(entry.function))};
    supervisors_.push_back(std::make_unique<Supervisor>(std::move(deps), entry, seed_from_system()));
  }
}

Bridge::~Bridge() = default;

Destinations::Here Bridge::here() {
  Destinations::Here here;
  here.owns = [this](std::string target) { return services_.owns(std::move(target)); };
  here.take = [this](std::string target, DestinationRecord message) {
    return services_.take(std::move(target), std::move(message));
  };
  return here;
}

net::awaitable<Result<void>> Bridge::run() {
  std::function<void(const store::WaitingEvent&)> restore = [this](const store::WaitingEvent& kept) {
    deliveries_.restore(kept);
  };
  if (auto restored = co_await queue_.restore(std::move(restore)); !restored) {
    for (auto& [name, endpoint] : endpoints_) co_await endpoint->close();
    co_return restored;
  }
  runtime::TaskScope serving(executor_);
  serving.spawn(services_.run());
  runtime::TaskScope parts(executor_);
  parts.spawn(queue_.run());
  parts.spawn(deliver());
  for (auto& supervisor : supervisors_) parts.spawn(supervisor->run());
  ready_ = true;
  log_.info("bridge.started",
            {{"sources", supervisors_.size()}, {"functions", endpoints_.size()}, {"state", store_.folder()}});
  while (stop_requests_ == 0) {
    boost::system::error_code woken;
    co_await stop_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  log_.info("bridge.stopping", {{"grace_s", as_seconds(config_.shutdown_grace)}});
  for (auto& supervisor : supervisors_) supervisor->request_stop();
  services_.request_stop();
  deliveries_.request_stop();
  queue_.request_stop();
  runtime::TaskScope patience(executor_);
  patience.spawn(end_within(config_.shutdown_grace));
  co_await parts.join();
  co_await calls_ended();
  // Not before: what was in flight may have ended at a service.
  services_.end();
  co_await serving.join();
  patience.cancel();
  co_await patience.join();
  co_await queue_.destinations().close();
  for (auto& [name, endpoint] : endpoints_) co_await endpoint->close();
  log_.info("bridge.stopped");
  co_return Result<void>();
}

/// What an earlier life has left may be for services that have not read yet what they remember.
net::awaitable<void> Bridge::deliver() {
  co_await services_.begun();
  co_await deliveries_.run();
}

/// Waits for the requests under way, or for the end of patience.
net::awaitable<void> Bridge::calls_ended() {
  while (calls_ > 0 && !out_of_patience_) {
    boost::system::error_code woken;
    co_await call_ended_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

/// Waits for the grace or a further request_stop(), then calls off what is in flight.
net::awaitable<void> Bridge::end_within(Duration grace) {
  stop_.expires_after(grace);
  while (stop_requests_ < 2 && stop_.expiry() > net::steady_timer::clock_type::now()) {
    boost::system::error_code woken;
    co_await stop_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  log_.warn("bridge.cancelled", {{"reason", stop_requests_ < 2 ? "shutdown_grace is over" : "stopped again"}});
  out_of_patience_ = true;
  for (auto& supervisor : supervisors_) supervisor->cancel();
  deliveries_.cancel();
  queue_.cancel();
  services_.cancel();
  call_ended_.cancel();
  // What is told of an event's end: the event stays, and is told of again in the next life.
  co_await queue_.destinations().close();
}

void Bridge::request_stop() {
  ++stop_requests_;
  stop_.cancel();
}

bool Bridge::finished() const {
  return std::all_of(supervisors_.begin(), supervisors_.end(), [](const auto& supervisor) {
    const SourceState state = supervisor->state();
    return state == SourceState::kFinished || state == SourceState::kFailed || state == SourceState::kParked ||
           state == SourceState::kDisabled;
  });
}

BridgeStatus Bridge::status() const {
  BridgeStatus status;
  const auto& ledger = invoker_.ledger();
  status.started = started_;
  status.ready = ready_ && stop_requests_ == 0 && !queue_.parked() && !deliveries_.parked();
  status.stopping = stop_requests_ > 0;
  status.concurrency = ledger.account();
  status.executing = ledger.executing();
  status.executing_max = ledger.executing_max();
  status.unreserved = ledger.unreserved();
  status.executing_unreserved = ledger.executing_unreserved();
  for (const auto& [name, endpoint] : endpoints_) {
    FunctionStatus function;
    function.name = name;
    function.meter = invoker_.meter(name);
    if (const auto use = ledger.functions().find(name); use != ledger.functions().end()) {
      function.reserved = use->second.reserved;
      function.executing = use->second.executing;
      function.executing_max = use->second.executing_max;
      function.throttles = use->second.throttles;
    }
    status.functions.push_back(std::move(function));
  }
  status.queue_parked = queue_.parked();
  status.queue = queue_.status();
  status.services = services_.status();
  status.deliveries_parked = deliveries_.parked();
  status.deliveries = deliveries_.status();
  for (const auto& supervisor : supervisors_) {
    SourceStatus source = supervisor->status();
    // What a service fed it did not pass through it.
    for (const ServiceStatus& service : status.services) {
      const auto fed = service.accepted.find(source.name);
      if (fed != service.accepted.end() && source.pushed) source.pushed->accepted += fed->second;
    }
    status.sources.push_back(std::move(source));
  }
  return status;
}

bool Bridge::knows(const std::string& function, const std::string& qualifier) const {
  const auto found = config_.functions.find(function);
  if (found == config_.functions.end()) return false;
  // What versions and aliases a function has that weir does not run itself is its server's business.
  return qualifier.empty() || qualifier == "$LATEST" ||
         !std::holds_alternative<config::CommandFunction>(found->second.target);
}

net::awaitable<Outcome> Bridge::invoke(Invocation call) {
  if (stop_requests_ > 0) co_return Outcome(Cancelled{});
  const Call counted(*this);
  co_return co_await invoker_.invoke(std::move(call), Instant::max());
}

net::awaitable<Result<std::string>> Bridge::accept(NewEvent event) {
  if (stop_requests_ > 0) co_return Error(ErrorCode::kCancelled, "weir stops");
  const Call counted(*this);
  co_return co_await queue_.accept(std::move(event), std::nullopt);
}

net::awaitable<WebhookResponse> Bridge::webhook(std::string type, std::string source, WebhookRequest request) {
  for (auto& supervisor : supervisors_) {
    const config::SourceEntry& entry = supervisor->entry();
    if (entry.name == source && entry.connector->type == type) {
      co_return co_await supervisor->receive(std::move(request));
    }
  }
  co_return WebhookResponse(404, "{\"message\":\"there is no such source\"}\n");
}

net::awaitable<ServiceAnswer> Bridge::call(const ServiceEntry& service, ServiceCall call) {
  const Call counted(*this);
  co_return co_await services_.call(service, std::move(call));
}

net::awaitable<Result<std::vector<store::DeadLetter>>> Bridge::dead_letters(store::DeadLetterFilter which,
                                                                            std::size_t limit, bool whole) {
  co_return co_await store_.list(std::move(which), limit, whole);
}

net::awaitable<Result<std::vector<store::DeadLetter>>> Bridge::dead_letter_piece(store::DeadLetterFilter which,
                                                                                 std::size_t limit) {
  co_return co_await store_.list_piece(std::move(which), limit);
}

net::awaitable<Result<Redriven>> Bridge::redrive(store::DeadLetterFilter which) {
  std::function<void(const store::WaitingEvent&)> again = [this](const store::WaitingEvent& kept) {
    deliveries_.accepted(kept);
  };
  co_return co_await queue_.redrive(std::move(which), std::move(again));
}

net::awaitable<Result<std::vector<CheckpointRow>>> Bridge::checkpoints() {
  std::function<Result<std::vector<CheckpointRow>>()> list = [this] { return list_checkpoints(store_, config_); };
  co_return co_await runtime::offload(blocking_, std::move(list));
}

net::awaitable<Result<void>> Bridge::move_checkpoint(std::string source, std::string shard, std::optional<Resume> to) {
  const auto entry = find_source(config_, source);
  if (!entry) co_return entry.error();
  if (auto right = check_move(**entry, shard, to); !right) co_return right;
  const auto found = std::find_if(supervisors_.begin(), supervisors_.end(),
                                  [&](const auto& each) { return &each->entry() == *entry; });
  if (to) {
    std::string refusal = (*found)->refuses_checkpoint(shard);
    if (!refusal.empty()) co_return Error(ErrorCode::kConfigInvalid, std::move(refusal));
  }
  std::function<Result<void>()> move = [this, entry = *entry, shard, to] {
    return bridge::move_checkpoint(store_, *entry, shard, to);
  };
  std::function<net::awaitable<Result<void>>()> interlude = [this, move] { return runtime::offload(blocking_, move); };
  co_return co_await (*found)->while_stopped(std::move(interlude));
}

}  // namespace weir::bridge
