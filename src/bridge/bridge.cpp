#include "bridge/bridge.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "bridge/source_probe.h"
#include "runtime/offload.h"

namespace weir::bridge {
namespace {

/// The ARN of a function of real Lambda; "" of others.
std::string arn_of(const config::FunctionConfig& function) {
  const auto* target = std::get_if<config::ArnFunction>(&function.target);
  return target == nullptr ? "" : target->arn;
}

/// What the configuration has no more to say of than a function's newest version.
config::FunctionPlan plan_of(const config::FunctionConfig& function) {
  config::FunctionPlan plan;
  plan.name = function.name;
  plan.versions.emplace("$LATEST", std::get<config::CommandFunction>(function.target));
  plan.reserved_concurrent_executions = function.reserved_concurrent_executions;
  plan.async.emplace("$LATEST", function.async);
  return plan;
}

int reserved_by(const config::Config& config, const std::string& function) {
  const auto found = config.functions.find(function);
  return found == config.functions.end() ? 0 : found->second.reserved_concurrent_executions.value_or(0);
}

/// The functions of `next`, those first that reserve less than before: what they give back others may take.
std::vector<const config::FunctionConfig*> in_order(const config::Config& next, const config::Config& before) {
  std::vector<const config::FunctionConfig*> all;
  for (const auto& [name, function] : next.functions) all.push_back(&function);
  const auto more = [&](const config::FunctionConfig* function) {
    return function->reserved_concurrent_executions.value_or(0) - reserved_by(before, function->name);
  };
  std::stable_sort(all.begin(), all.end(), [&](const auto* a, const auto* b) { return more(a) < more(b); });
  return all;
}

}  // namespace

Bridge::Bridge(net::any_io_executor executor, net::any_io_executor blocking, config::Config config,
               store::StateFolder& store, EndpointFactory make_endpoint, Log& log, const Clock& clock,
               std::span<const ServiceEntry> services)
    : executor_(std::move(executor)),
      blocking_(std::move(blocking)),
      config_(std::make_shared<const config::Config>(std::move(config))),
      store_(store),
      log_(log),
      clock_(clock),
      started_(clock.now().wall),
      make_endpoint_(std::move(make_endpoint)),
      table_(services),
      closing_(executor_),
      invoker_(config_->concurrency, clock, seed_from_system()),
      queue_(EventQueue::Deps{executor_, blocking_, invoker_, store, log, clock}, *config_, seed_from_system()),
      deliveries_(DeliveryRunner::Deps{executor_, queue_.destinations(), store, log, clock}, here(),
                  seed_from_system()),
      services_(Services::Deps{executor_, blocking_, queue_, deliveries_, store,
                               [this](std::string_view function, std::string_view qualifier) {
                                 return knows(std::string(function), std::string(qualifier));
                               },
                               [this](std::string_view arn) { return invoker_.with_arn(arn); }, log, clock},
                *config_, services),
      parts_(executor_),
      stop_(executor_, net::steady_timer::time_point::max()),
      call_ended_(executor_, net::steady_timer::time_point::max()) {
  queue_.destinations().set_here(here());
  invoker_.set_retire([this](std::unique_ptr<LambdaEndpoint> endpoint) { retire(std::move(endpoint)); });
  for (const auto& [name, function] : config_->functions) {
    auto installed = install(function);
    if (!installed && prepared_) prepared_ = std::move(installed);
  }
  for (const config::SourceEntry& entry : config_->sources) {
    auto source = std::make_shared<Source>();
    source->supervisor = make_supervisor(entry);
    sources_.push_back(std::move(source));
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
  Result<void> begun = prepared_;
  if (begun) begun = co_await queue_.restore(std::move(restore));
  if (!begun) {
    co_await invoker_.close();
    co_return begun;
  }
  runtime::TaskScope serving(executor_);
  serving.spawn(services_.run());
  // What waits may be for functions that the Lambda API has made.
  co_await services_.begun("lambda");
  parts_.spawn(queue_.run());
  parts_.spawn(deliver());
  for (const auto& source : sources_) parts_.spawn(run_source(source));
  ready_ = true;
  log_.info("bridge.started",
            {{"sources", sources_.size()}, {"functions", invoker_.functions().size()}, {"state", store_.folder()}});
  while (stop_requests_ == 0) {
    boost::system::error_code woken;
    co_await stop_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  log_.info("bridge.stopping", {{"grace_s", as_seconds(config_->shutdown_grace)}});
  for (const auto& source : sources_) source->supervisor->request_stop();
  services_.request_stop();
  deliveries_.request_stop();
  queue_.request_stop();
  runtime::TaskScope patience(executor_);
  patience.spawn(end_within(config_->shutdown_grace));
  co_await parts_.join();
  co_await calls_ended();
  // Not before: what was in flight may have ended at a service.
  services_.end();
  co_await serving.join();
  patience.cancel();
  co_await patience.join();
  co_await queue_.destinations().close();
  co_await invoker_.close();
  co_await closing_.join();
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
  for (const auto& source : sources_) source->supervisor->cancel();
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
  return std::all_of(sources_.begin(), sources_.end(), [](const auto& source) {
    const SourceState state = source->supervisor->state();
    return !source->next && (state == SourceState::kFinished || state == SourceState::kFailed ||
                             state == SourceState::kParked || state == SourceState::kDisabled);
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
  status.claimed = ledger.claimed();
  for (const std::string& name : invoker_.functions()) {
    FunctionStatus function;
    function.name = name;
    function.meter = invoker_.meter(name);
    function.resources = invoker_.resources(name).all();
    if (const auto use = ledger.functions().find(name); use != ledger.functions().end()) {
      function.reserved = use->second.reserved;
      function.executing = use->second.executing;
      function.executing_max = use->second.executing_max;
      function.throttles = use->second.throttles;
      function.provisioned = use->second.provisioned;
    }
    status.functions.push_back(std::move(function));
  }
  status.queue_parked = queue_.parked();
  status.queue = queue_.status();
  status.services = services_.status();
  status.deliveries_parked = deliveries_.parked();
  status.deliveries = deliveries_.status();
  for (const auto& each : sources_) {
    SourceStatus source = each->supervisor->status();
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
  return invoker_.knows(function, qualifier);
}

net::awaitable<Outcome> Bridge::invoke(Invocation call) {
  if (stop_requests_ > 0) co_return Outcome(Cancelled{});
  const Call counted(*this);
  co_return co_await invoker_.invoke(std::move(call), Instant::max(), engine::CallKind::kSynchronous);
}

net::awaitable<Result<std::string>> Bridge::accept(NewEvent event) {
  if (stop_requests_ > 0) co_return Error(ErrorCode::kCancelled, "weir stops");
  const Call counted(*this);
  co_return co_await queue_.accept(std::move(event), std::nullopt);
}

net::awaitable<WebhookResponse> Bridge::webhook(std::string type, std::string source, WebhookRequest request) {
  if (const auto found = find(source); found && found->supervisor->entry().connector->type == type) {
    const std::shared_ptr<Supervisor> supervisor = found->supervisor;
    co_return co_await supervisor->receive(std::move(request));
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
  std::function<Result<std::vector<CheckpointRow>>()> list = [this, config = with_mappings()] {
    return list_checkpoints(store_, *config);
  };
  co_return co_await runtime::offload(blocking_, std::move(list));
}

net::awaitable<Result<void>> Bridge::move_checkpoint(std::string source, std::string shard, std::optional<Resume> to) {
  const std::shared_ptr<const config::Config> config = with_mappings();
  const auto entry = find_source(*config, source);
  if (!entry) co_return entry.error();
  if (auto right = check_move(**entry, shard, to); !right) co_return right;
  const auto found = find(source);
  if (!found || found->ending) co_return Error(ErrorCode::kSourceFailed, source + " is being changed; try again");
  const std::shared_ptr<Supervisor> supervisor = found->supervisor;
  if (to) {
    std::string refusal = supervisor->refuses_checkpoint(shard);
    if (!refusal.empty()) co_return Error(ErrorCode::kConfigInvalid, std::move(refusal));
  }
  std::function<Result<void>()> move = [this, config, entry = *entry, shard, to] {
    return bridge::move_checkpoint(store_, *entry, shard, to);
  };
  std::function<net::awaitable<Result<void>>()> interlude = [this, move] { return runtime::offload(blocking_, move); };
  co_return co_await supervisor->while_stopped(std::move(interlude));
}

// ---- Functions that change ----

Invoker::MakeVersion Bridge::maker(const std::string& function) const {
  return [this, function](const std::string& version, const config::CommandFunction& settings) {
    config::FunctionConfig one;
    one.name = function;
    one.target = settings;
    return make_endpoint_(one, version);
  };
}

/// Nobody calls it any more.
void Bridge::retire(std::unique_ptr<LambdaEndpoint> endpoint) {
  closing_.spawn(close(std::move(endpoint)));
}

net::awaitable<void> Bridge::close(std::unique_ptr<LambdaEndpoint> endpoint) {
  co_await endpoint->close();
}

void Bridge::note(const std::string& function, const Result<void>& installed) {
  if (installed) return;
  const Error error = installed.error();
  log_.error("function.unusable",
             {{"function", function}, {"code", text(error.code())}, {"message", error.describe()}});
}

Result<void> Bridge::install(const config::FunctionPlan& plan) {
  const auto timeout = invoker_.timeout(plan.name);
  auto installed = invoker_.put(plan, maker(plan.name));
  note(plan.name, installed);
  EventQueue::FunctionSettings settings;
  settings.async = plan.async;
  settings.zero_reserved = plan.reserved_concurrent_executions == 0;
  queue_.put(plan.name, std::move(settings));
  if (timeout == invoker_.timeout(plan.name)) return installed;
  // The receives of a queue and their visibility timeout go by it.
  for (const auto& source : sources_) {
    const config::SourceEntry& entry = source->supervisor->entry();
    if (entry.function == plan.name && entry.connector->delivery == Delivery::kQueue && !source->ending) {
      change_source(entry.name, entry);
    }
  }
  return installed;
}

Result<void> Bridge::install(const config::FunctionConfig& function) {
  if (std::holds_alternative<config::CommandFunction>(function.target)) {
    config::FunctionPlan plan = plan_of(function);
    if (const auto added = additions_.find(function.name); added != additions_.end()) {
      plan.versions.insert(added->second.versions.begin(), added->second.versions.end());
      plan.async.insert(added->second.async.begin(), added->second.async.end());
      plan.aliases = added->second.aliases;
      plan.provisioned = added->second.provisioned;
    }
    return install(plan);
  }
  auto endpoint = make_endpoint_(function, "");
  std::unique_ptr<LambdaEndpoint> made;
  if (endpoint) made = std::move(*endpoint);
  Result<void> installed = invoker_.put(function.name, std::move(made), function.reserved_concurrent_executions,
                                        arn_of(function), endpoint ? std::string() : endpoint.error().describe());
  if (!endpoint) installed = std::move(endpoint.error());
  note(function.name, installed);
  EventQueue::FunctionSettings settings;
  settings.async.emplace("$LATEST", function.async);
  settings.versions = false;
  settings.zero_reserved = function.reserved_concurrent_executions == 0;
  queue_.put(function.name, std::move(settings));
  return installed;
}

Result<void> Bridge::check(const config::FunctionPlan& plan) const {
  return invoker_.check(plan);
}

void Bridge::put(config::FunctionPlan plan) {
  static_cast<void>(install(plan));  // it was noted
}

void Bridge::extend(config::FunctionPlan plan) {
  const std::string name = plan.name;
  additions_.insert_or_assign(name, std::move(plan));
  const auto configured = config_->functions.find(name);
  if (configured == config_->functions.end()) return;
  static_cast<void>(install(configured->second));  // it was noted
}

void Bridge::remove(const std::string& name) {
  invoker_.remove(name);
}

std::optional<config::ProvisionedState> Bridge::provisioned(const std::string& name,
                                                            const std::string& qualifier) const {
  return invoker_.provisioned(name, qualifier);
}

void Bridge::renew(const std::string& function) {
  note(function, invoker_.renew(function, maker(function)));
}

// ---- Sources that change ----

std::shared_ptr<Supervisor> Bridge::make_supervisor(config::SourceEntry entry) {
  Supervisor::Deps deps{executor_, blocking_, invoker_, queue_, store_, store_, store_, log_, clock_, config_->aws};
  return std::make_shared<Supervisor>(std::move(deps), std::move(entry), seed_from_system());
}

std::shared_ptr<Bridge::Source> Bridge::find(const std::string& source) const {
  const auto found = std::find_if(sources_.begin(), sources_.end(),
                                  [&](const auto& each) { return each->supervisor->entry().name == source; });
  return found == sources_.end() ? nullptr : *found;
}

net::awaitable<void> Bridge::run_source(std::shared_ptr<Source> source) {
  for (;;) {
    co_await source->supervisor->run();
    if (stop_requests_ > 0) co_return;
    source->ending = false;
    if (!source->next) break;
    source->supervisor = make_supervisor(*std::exchange(source->next, std::nullopt));
  }
  if (source->gone) co_await forget(source->supervisor->entry().name, std::move(source->gone));
  std::erase(sources_, source);
}

/// `next`: what it is from now on, if anything.
void Bridge::change_source(const std::string& name, std::optional<config::SourceEntry> next) {
  if (const auto found = find(name)) {
    found->next = std::move(next);
    found->ending = true;
    found->supervisor->request_stop();
    return;
  }
  if (!next) return;
  auto source = std::make_shared<Source>();
  source->supervisor = make_supervisor(std::move(*next));
  sources_.push_back(source);
  if (ready_) parts_.spawn(run_source(std::move(source)));
}

// ---- Event source mappings of the Lambda API ----

net::awaitable<Result<void>> Bridge::probe(config::SourceEntry source) {
  const auto timeout = invoker_.timeout(source.function, source.qualifier);
  // What goes wrong here is no news: the source itself says so when it is read.
  SourceContext context{source.name, executor_, blocking_, null_log(), clock_, config_->aws};
  return probe_source(std::move(source), std::move(context), timeout);
}

void Bridge::put_mapping(config::SourceEntry source) {
  if (stop_requests_ > 0) return;  // it is remembered, and begins in the next life
  const std::string name = source.name;
  change_source(name, std::move(source));
}

void Bridge::remove_mapping(const std::string& uuid, std::function<void()> gone) {
  if (const auto found = find(uuid)) {
    found->gone = std::move(gone);
    change_source(uuid, std::nullopt);
  } else {
    parts_.spawn(forget(uuid, std::move(gone)));
  }
}

/// Forgets where a mapping was that is no more.
net::awaitable<void> Bridge::forget(std::string source, std::function<void()> gone) {
  std::function<Result<int>()> reset = [this, source] { return store_.reset_checkpoints(source, ""); };
  const Result<int> forgotten = co_await runtime::offload(blocking_, std::move(reset));
  if (forgotten) {
    gone();
  } else {
    log_.error("mapping.not_forgotten", {{"source", source}, {"message", forgotten.error().describe()}});
  }
}

std::optional<config::MappingState> Bridge::mapping(const std::string& name) const {
  const auto found = find(name);
  if (!found) return std::nullopt;
  config::MappingState state;
  state.settled = !found->ending && found->supervisor->settled();
  state.result = processing_result(found->supervisor->status());
  return state;
}

/// The configuration with the mappings that the Lambda API has made among its sources.
std::shared_ptr<const config::Config> Bridge::with_mappings() const {
  auto all = std::make_shared<config::Config>(*config_);
  for (const auto& source : sources_) {
    if (source->supervisor->entry().by_api) all->sources.push_back(source->supervisor->entry());
  }
  return all;
}

// ---- A changed configuration ----

bool Bridge::fixed_type(std::string_view type) const {
  return std::any_of(table_.begin(), table_.end(),
                     [&](const ServiceEntry& each) { return !each.source_type.empty() && each.source_type == type; });
}

Result<void> Bridge::check_functions(const config::Config& next) const {
  for (const auto& [name, function] : next.functions) {
    if (!config_->functions.contains(name) && invoker_.knows(name)) {
      return Error(ErrorCode::kConfigInvalid,
                   "functions." + name + ": there is a function of that name, made through the Lambda API");
    }
  }
  engine::ConcurrencyLedger ledger = invoker_.ledger();
  for (const auto& [name, function] : config_->functions) {
    if (!next.functions.contains(name)) ledger.forget(name);
  }
  ledger.set_account(next.concurrency);
  for (const config::FunctionConfig* function : in_order(next, *config_)) {
    auto reserved = ledger.reserve(function->name, function->reserved_concurrent_executions);
    if (!reserved) {
      return Error(ErrorCode::kConfigInvalid,
                   "functions." + function->name + ".reserved_concurrent_executions: " + reserved.error().message());
    }
  }
  if (ledger.unreserved() < std::min(next.concurrency, engine::ConcurrencyLedger::kUnreservedMinimum)) {
    return Error(ErrorCode::kConfigInvalid, "concurrency: what functions have reserved leaves less than " +
                                                std::to_string(engine::ConcurrencyLedger::kUnreservedMinimum));
  }
  return {};
}

Result<void> Bridge::reload(config::Config next, const std::set<std::string>& sources) {
  if (stop_requests_ > 0) return Error(ErrorCode::kCancelled, "weir stops");
  if (auto right = check_functions(next); !right) return right;
  for (const config::SourceEntry& entry : next.sources) {
    const auto found = find(entry.name);
    if (!found || !found->supervisor->entry().by_api) continue;
    return Error(
        ErrorCode::kConfigInvalid,
        "sources." + entry.name + ": there is an event source mapping of that name, made through the Lambda API");
  }
  const std::shared_ptr<const config::Config> before = config_;
  auto now = std::make_shared<config::Config>(*before);
  now->functions = std::move(next.functions);
  now->concurrency = next.concurrency;
  now->shutdown_grace = next.shutdown_grace;
  const auto stays = [&](const config::SourceEntry& entry) {
    return !sources.contains(entry.name) || fixed_type(entry.connector->type);
  };
  std::vector<config::SourceEntry> entries;
  for (const config::SourceEntry& entry : before->sources) {
    if (stays(entry)) entries.push_back(entry);
  }
  for (config::SourceEntry& entry : next.sources) {
    const bool there = std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.name == entry.name; });
    if (!there && !stays(entry)) entries.push_back(std::move(entry));
  }
  now->sources = std::move(entries);
  config_ = now;

  for (const auto& [name, function] : before->functions) {
    if (!now->functions.contains(name)) invoker_.remove(name);
  }
  invoker_.set_account(now->concurrency);
  for (const config::FunctionConfig* function : in_order(*now, *before)) {
    const auto former = before->functions.find(function->name);
    if (former != before->functions.end() && former->second == *function) continue;
    static_cast<void>(install(*function));  // it was noted
  }
  for (const std::string& name : sources) {
    const auto is = [&](const config::SourceEntry& entry) { return entry.name == name; };
    const auto former = std::find_if(before->sources.begin(), before->sources.end(), is);
    const auto entry = std::find_if(now->sources.begin(), now->sources.end(), is);
    if (former != before->sources.end() && stays(*former)) continue;
    change_source(name, entry == now->sources.end() ? std::nullopt : std::optional<config::SourceEntry>(*entry));
  }
  return {};
}

}  // namespace weir::bridge
