#include "bridge/bridge.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/offload.h"

namespace weir::bridge {

Bridge::Bridge(net::any_io_executor executor, net::any_io_executor blocking, const config::Config& config,
               store::StateFolder& store, Endpoints endpoints, Log& log, const Clock& clock)
    : executor_(std::move(executor)),
      blocking_(std::move(blocking)),
      config_(config),
      store_(store),
      log_(log),
      clock_(clock),
      started_(clock.now().wall),
      endpoints_(std::move(endpoints)),
      invoker_(config.concurrency),
      stop_(executor_, net::steady_timer::time_point::max()) {
  for (const auto& [name, function] : config.functions) {
    // The configuration's own check has refused reservations that leave too little.
    const Result<void> added = invoker_.add(name, *endpoints_.at(name), function.reserved_concurrent_executions);
    WEIR_ASSERT(added.has_value());
  }
  for (const config::SourceEntry& entry : config.sources) {
    Supervisor::Deps deps{executor_, blocking_, invoker_, store, store, log, clock};
    supervisors_.push_back(std::make_unique<Supervisor>(std::move(deps), entry, seed_from_system()));
  }
}

Bridge::~Bridge() = default;

net::awaitable<void> Bridge::run() {
  runtime::TaskScope sources(executor_);
  for (auto& supervisor : supervisors_) sources.spawn(supervisor->run());
  ready_ = true;
  log_.info("bridge.started",
            {{"sources", supervisors_.size()}, {"functions", endpoints_.size()}, {"state", store_.folder()}});
  while (stop_requests_ == 0) {
    boost::system::error_code woken;
    co_await stop_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  log_.info("bridge.stopping", {{"grace_s", as_seconds(config_.shutdown_grace)}});
  for (auto& supervisor : supervisors_) supervisor->request_stop();
  runtime::TaskScope patience(executor_);
  patience.spawn(end_within(config_.shutdown_grace));
  co_await sources.join();
  patience.cancel();
  co_await patience.join();
  for (auto& [name, endpoint] : endpoints_) co_await endpoint->close();
  log_.info("bridge.stopped");
}

/// Waits for the grace or a further request_stop(), then calls off what is in flight.
net::awaitable<void> Bridge::end_within(Duration grace) {
  stop_.expires_after(grace);
  while (stop_requests_ < 2 && stop_.expiry() > net::steady_timer::clock_type::now()) {
    boost::system::error_code woken;
    co_await stop_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  log_.warn("bridge.cancelled", {{"reason", stop_requests_ < 2 ? "shutdown_grace is over" : "stopped again"}});
  for (auto& supervisor : supervisors_) supervisor->cancel();
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
  status.ready = ready_ && stop_requests_ == 0;
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
  for (const auto& supervisor : supervisors_) status.sources.push_back(supervisor->status());
  return status;
}

bool Bridge::knows(const std::string& function, const std::string& qualifier) const {
  return invoker_.knows(function) && (qualifier.empty() || qualifier == "$LATEST");
}

net::awaitable<Outcome> Bridge::invoke(Invocation call) {
  co_return co_await invoker_.invoke(std::move(call), Instant::max());
}

net::awaitable<Result<std::string>> Bridge::accept(NewEvent) {
  co_return Error(ErrorCode::kStoreFailed, "not yet");
}

net::awaitable<WebhookResponse> Bridge::webhook(std::string, std::string, WebhookRequest) {
  co_return WebhookResponse(404, "not yet");
}

net::awaitable<Result<std::vector<store::DeadLetter>>> Bridge::dead_letters(store::DeadLetterFilter which,
                                                                            std::size_t limit, bool whole) {
  co_return co_await store_.list(std::move(which), limit, whole);
}

net::awaitable<Result<std::size_t>> Bridge::redrive(store::DeadLetterFilter) {
  co_return Error(ErrorCode::kStoreFailed, "not yet");
}

net::awaitable<Result<std::vector<CheckpointRow>>> Bridge::checkpoints() {
  std::function<Result<std::vector<CheckpointRow>>()> list = [this] { return list_checkpoints(store_, config_); };
  co_return co_await runtime::offload(blocking_, std::move(list));
}

net::awaitable<Result<void>> Bridge::move_checkpoint(std::string source, std::string shard,
                                                     std::optional<Position> upto) {
  const auto entry = find_source(config_, source);
  if (!entry) co_return entry.error();
  const auto found = std::find_if(supervisors_.begin(), supervisors_.end(),
                                  [&](const auto& each) { return &each->entry() == *entry; });
  std::function<Result<void>()> move = [this, entry = *entry, shard, upto] {
    return bridge::move_checkpoint(store_, *entry, shard, upto);
  };
  std::function<net::awaitable<Result<void>>()> interlude = [this, move] { return runtime::offload(blocking_, move); };
  co_return co_await (*found)->while_stopped(std::move(interlude));
}

}  // namespace weir::bridge
