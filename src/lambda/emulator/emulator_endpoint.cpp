#include "lambda/emulator/emulator_endpoint.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <signal.h>

#include "engine/environment_pool.h"
#include "http/server.h"
#include "lambda/emulator/environment.h"
#include "lambda/emulator/environment_folder.h"
#include "lambda/emulator/error_documents.h"
#include "lambda/emulator/extensions_api.h"
#include "lambda/emulator/function_log.h"
#include "lambda/emulator/platform_lines.h"
#include "lambda/emulator/process_plan.h"
#include "lambda/emulator/runtime_api.h"
#include "package/layers.h"
#include "runtime/offload.h"
#include "runtime/task_scope.h"

namespace weir::emulator {

using engine::CallEnding;
using engine::CallId;
using engine::EnvironmentId;
using engine::InitFailure;
using engine::InitPhase;
using runtime::TaskScope;

namespace {

/// How often the memory of running functions is looked at, and their log written out.
constexpr auto kSamplePeriod = std::chrono::milliseconds(50);
/// What is idle for so long is frozen when it is next looked at. Not at once: in a stream of invocations each would
/// have to wake up all threads of the runtime again.
constexpr auto kFreezeAfter = std::chrono::milliseconds(10);
/// How long what a function streamed before its end may take to be read.
constexpr auto kStreamGrace = std::chrono::seconds(1);
/// A REPORT line reads the memory itself when the last look is older.
constexpr auto kSampleAge = std::chrono::milliseconds(100);

/// The bounds of a provisioned environment's init phase, which has the function's timeout between them.
constexpr Duration kProvisionedInitMin = std::chrono::seconds(130);
constexpr Duration kProvisionedInitMax = std::chrono::seconds(900);

/// One invocation, on the frame of invoke().
struct Call {
  Call(Invocation what, net::any_io_executor executor) : invocation(std::move(what)), done(std::move(executor)) {}

  Invocation invocation;
  net::steady_timer done;
  std::optional<Outcome> outcome;
  std::optional<Outcome> held;  ///< the outcome, waiting for the log's tail
  bool start_logged = false;
};

bool called_off(const net::cancellation_state& state) {
  return state.cancelled() != net::cancellation_type::none;
}

engine::PoolSettings pool_settings(const EmulatorSettings& settings) {
  engine::PoolSettings pool;
  pool.timeout = settings.timeout;
  pool.init_timeout = settings.init_timeout;
  pool.idle_limit = settings.idle_limit;
  pool.provisioned_init_timeout = std::clamp<Duration>(settings.timeout, kProvisionedInitMin, kProvisionedInitMax);
  return pool;
}

/// The initialization has a whole processor at least, as in Lambda.
constexpr double kInitProcessors = 1;

GroupLimits group_limits(const EmulatorSettings& settings) {
  GroupLimits limits;
  // A /tmp in memory is the group's, too. What processes alone come to is looked at besides.
  const int megabytes = settings.memory_size + (private_mounts_available() ? settings.ephemeral_storage : 0);
  limits.memory_bytes = static_cast<std::uint64_t>(megabytes) << 20U;
  limits.processors = std::max(kInitProcessors, processors_of(settings.memory_size));
  return limits;
}

LogLevels log_levels(const EmulatorSettings& settings) {
  LogLevels levels;
  levels.filtered = settings.log_format == LogFormat::kJson;
  levels.application = application_level(settings.application_log_level);
  levels.system = system_level(settings.system_log_level);
  return levels;
}

net::steady_timer::time_point timer_time(Instant instant) {
  return net::steady_timer::time_point(instant.time_since_epoch());
}

}  // namespace

struct EmulatorEndpoint::State final : EnvironmentOwner, RuntimeEvents, ExtensionEvents {
  State(net::any_io_executor where, EmulatorSettings what, Log& bridge_log, const Clock& time, EnvironmentFolder own,
        FunctionLog lines)
      : executor(where),
        settings(std::move(what)),
        log(bridge_log),
        clock(time),
        folder(std::move(own)),
        prepared(where, net::steady_timer::time_point::max()),
        function_log(std::move(lines)),
        pool(pool_settings(settings)),
        random(seed_from_system()),
        api(where, settings, time, pool, *this),
        extensions_api(where, settings, *this),
        ticker(where),
        sampler(where),
        drained_signal(where),
        scope(where) {
    drained_signal.expires_at(net::steady_timer::time_point::max());
  }

  // The pool's shell.
  /// Before the pool is told anything.
  void begin();
  void pump();
  void perform(const engine::Start& action);
  void perform(const engine::Started& action);
  void perform(const engine::Deliver& action);
  void perform(const engine::InitFailed& action);
  void perform(const engine::StopRuntime& action);
  void perform(const engine::KillRuntime& action);
  void perform(const engine::TellExtensions& action);
  void perform(const engine::Kill& action);
  void perform(const engine::Remove& action);
  void perform(const engine::Finish& action);
  void perform(const engine::PoolDrained&);
  net::awaitable<void> prepare();
  net::awaitable<void> tick();
  net::awaitable<void> sample();

  // What processes do, and what runtimes say.
  net::awaitable<void> run_process(std::shared_ptr<Environment> environment);
  net::awaitable<void> run_with_extensions(std::shared_ptr<Environment> environment, ProcessPlan plan);
  /// Until the runtime has ended, and what it streamed before is read.
  net::awaitable<void> run_runtime(std::shared_ptr<Environment> environment, ProcessPlan plan);
  net::awaitable<void> extensions_change(std::shared_ptr<Environment> environment);
  /// An environment whose runtime and extensions all wait for what is next has nothing more to do.
  void check_ready(Environment& environment);
  void on_logged() override { write_log_soon(); }
  void on_exited(Environment& environment, bool cannot_start) override;
  void on_ready(Environment& environment) override;
  std::shared_ptr<ResponseSink> sink_of(const Environment& environment) override;
  void on_answer(Environment& environment, bool failed) override;
  void on_init_error(Environment& environment) override;
  void on_extension_started(Environment& environment) override { environment.extensions_changed.cancel(); }
  void on_extension_ended(Environment& environment, std::string type, std::string why) override;
  void on_extension_registered(Environment& environment, bool external) override;
  void on_extension_ready(Environment& environment) override { check_ready(environment); }

  // Logs and memory.
  bool json_log() const { return settings.log_format == LogFormat::kJson; }
  void log_start(Environment& environment, Call& call);
  void write_report(Environment& environment);
  /// The invocation is over for the extensions, too. `status`: of a report that came to no good end meanwhile.
  void release_report(Environment& environment, const std::string& status);
  void log_extensions(Environment& environment);
  void look_at_memory(Environment& environment);
  std::uint64_t memory_limit() const { return static_cast<std::uint64_t>(settings.memory_size) << 20U; }
  void out_of_memory(Environment& environment);
  /// When the kernel was before us.
  void note_memory_kill(Environment& environment);
  void watch(Environment& environment);
  void write_log_soon();

  std::shared_ptr<Environment> find(EnvironmentId id) const;
  FunctionFailed failure_of(const Environment& environment, std::string_view request_id, CallEnding how) const;

  net::any_io_executor executor;
  EmulatorSettings settings;
  Log& log;
  const Clock& clock;
  EnvironmentFolder folder;
  package::PreparedLayers layers;
  net::any_io_executor blocking;
  bool preparing = false;     ///< the layers, which calls wait for
  std::string layer_trouble;  ///< why there are none of them
  int kept_ready = 0;         ///< environments, as soon as there are layers
  net::steady_timer prepared;
  FunctionLog function_log;
  engine::EnvironmentPool pool;
  Random random;
  RuntimeApi api;
  ExtensionsApi extensions_api;
  std::vector<ColdStart> cold_starts;                                  ///< not yet taken
  std::map<EnvironmentId, std::shared_ptr<Environment>> environments;  ///< shared with their coroutines
  std::map<CallId, Call*> calls;                                       ///< on the frames of invoke()
  CallId last_call = 0;
  std::string init_trouble;  ///< the error type of the init that failed last, until one succeeds
  bool pumping = false;
  net::steady_timer ticker;
  std::optional<Instant> tick_at;  ///< what the ticker waits for
  net::steady_timer sampler;
  bool sampling = false;
  net::steady_timer drained_signal;
  bool drained = false;
  bool started = false;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  ///< shared with nobody; what is posted sees it go
  TaskScope scope;                                             ///< last, so that it goes first
};

EmulatorEndpoint::EmulatorEndpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
EmulatorEndpoint::~EmulatorEndpoint() = default;

Result<std::unique_ptr<EmulatorEndpoint>> EmulatorEndpoint::make(net::any_io_executor executor,
                                                                 EmulatorSettings settings, Log& log,
                                                                 const Clock& clock,
                                                                 std::optional<net::any_io_executor> blocking) {
  WEIR_ASSERT(!settings.command.empty() || !settings.runtime.empty());
  Result<EnvironmentFolder> folder = EnvironmentFolder::make(settings.folder, settings.name);
  if (!folder) return std::move(folder.error()).during("preparing function " + settings.name);
  if (auto right = package::check_layers(settings.layers); !right) {
    return std::move(right.error()).during("preparing the layers of function " + settings.name);
  }
  Result<FunctionLog> lines = FunctionLog::open(settings.log_file, clock, settings.log_limits, log_levels(settings));
  if (!lines) return std::move(lines.error()).during("preparing function " + settings.name);
  auto state = std::make_unique<State>(executor, std::move(settings), log, clock, std::move(folder.value()),
                                       std::move(lines.value()));
  state->blocking = blocking.value_or(executor);
  state->preparing = !state->settings.layers.empty();
  if (state->preparing) state->scope.spawn(state->prepare());
  return std::unique_ptr<EmulatorEndpoint>(new EmulatorEndpoint(std::move(state)));
}

EnvironmentCounts EmulatorEndpoint::counts() const {
  const engine::PoolCounts pool = state_->pool.counts();
  EnvironmentCounts counts;
  counts.starting = pool.starting;
  counts.idle = pool.idle;
  counts.busy = pool.busy;
  counts.cold_starts = pool.cold_starts;
  return counts;
}

std::vector<ColdStart> EmulatorEndpoint::take_cold_starts() {
  return std::exchange(state_->cold_starts, {});
}

void EmulatorEndpoint::State::begin() {
  if (started) return;
  started = true;
  if (!private_mounts_available()) {
    log.warn("function.tmp_shared",
             {{"function", settings.name},
              {"reason",
               "no mount namespace is permitted here: TMPDIR is set instead, of no limited size, and the code can be "
               "written to"}});
  }
  scope.spawn(tick());
  scope.spawn(sample());
}

void EmulatorEndpoint::provision(int environments) {
  if (environments == state_->kept_ready && !state_->pool.provisioned().failing) return;
  state_->begin();
  state_->kept_ready = environments;
  if (state_->preparing || !state_->layer_trouble.empty()) return;
  state_->pool.provision(state_->clock.now(), environments);
  state_->pump();
}

ProvisionedEnvironments EmulatorEndpoint::provisioned() const {
  const engine::ProvisionedCounts counts = state_->pool.provisioned();
  return {counts.allocated, counts.available, counts.failing || !state_->layer_trouble.empty()};
}

net::awaitable<Outcome> EmulatorEndpoint::invoke(Invocation invocation, Instant deadline) {
  State& state = *state_;
  state.begin();
  // Being cancelled is an outcome here, so it must not throw while the call is on its way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);

  for (bool off = false; state.preparing && !off;) {
    boost::system::error_code woken;
    co_await state.prepared.async_wait(net::redirect_error(net::use_awaitable, woken));
    off = called_off(co_await net::this_coro::cancellation_state);
  }
  if (!state.layer_trouble.empty()) {
    co_await net::this_coro::throw_if_cancelled(throws);
    co_return Outcome(ServiceFailed{500, state.layer_trouble});
  }

  Call call(std::move(invocation), state.executor);
  call.done.expires_at(timer_time(deadline));
  const CallId id = ++state.last_call;
  state.calls.emplace(id, &call);
  // Also when this frame is destroyed with its context.
  struct Forget {
    State& state;
    CallId id;
    ~Forget() { state.calls.erase(id); }
  } forget{state, id};

  state.pool.on_call(state.clock.now(), id,
                     call.invocation.provisioned ? engine::CallPlace::kProvisioned : engine::CallPlace::kOnDemand);
  state.pump();
  bool late = false;
  while (!call.outcome) {
    boost::system::error_code error;
    if (!late && !called_off(co_await net::this_coro::cancellation_state)) {
      co_await call.done.async_wait(net::redirect_error(net::use_awaitable, error));
      late = !error;
      continue;
    }
    state.pool.on_cancel(state.clock.now(), id);
    state.pump();
    if (!call.outcome) call.outcome = std::move(call.held);
    WEIR_ASSERT(call.outcome.has_value());
    if (late) {
      ServiceFailed failed;
      failed.status = 504;
      failed.message = "function " + state.settings.name + " did not answer before its caller's deadline";
      call.outcome->what = std::move(failed);
    }
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  co_return std::move(*call.outcome);
}

net::awaitable<void> EmulatorEndpoint::close() {
  State& state = *state_;
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  state.pool.request_stop(state.clock.now());
  state.pump();
  while (!state.drained) {
    boost::system::error_code ignored;
    // Killing takes milliseconds, a Shutdown phase two seconds; being asked to hurry changes nothing.
    if (called_off(co_await net::this_coro::cancellation_state)) {
      co_await net::this_coro::reset_cancellation_state(net::disable_cancellation(), net::disable_cancellation());
    }
    co_await state.drained_signal.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  state.scope.cancel();
  co_await state.scope.join();
  state.function_log.flush();
  co_await net::this_coro::throw_if_cancelled(throws);
}

// ---- The pool's shell ----

void EmulatorEndpoint::State::pump() {
  if (pumping) return;
  pumping = true;
  while (auto action = pool.next()) {
    std::visit([this](const auto& what) { perform(what); }, *action);
  }
  pumping = false;
  const std::optional<Instant> wake = pool.wake_at();
  // Later than the ticker thinks: it ticks once for nothing, which is cheaper than setting it at every call.
  if (wake && (!tick_at || *wake < *tick_at)) {
    tick_at = wake;
    ticker.cancel();
  }
}

net::awaitable<void> EmulatorEndpoint::State::prepare() {
  using Prepared = Result<package::PreparedLayers>;
  std::function<Prepared()> work = [cache = package::LayerCache::of(settings.layer_cache), from = settings.layers,
                                    merged = folder.path() + "/opt"] { return cache->prepare(from, merged); };
  Prepared done = co_await runtime::offload<Prepared>(blocking, std::move(work));
  if (done) {
    layers = std::move(*done);
    for (const std::string& extension : package::extensions_in(layers.opt)) {
      settings.extensions.push_back(path_of_layers(layers.opt) + "/extensions/" + extension);
    }
  } else {
    layer_trouble = std::move(done.error()).during("preparing the layers of function " + settings.name).describe();
    log.error("function.unusable", {{"function", settings.name}, {"message", layer_trouble}});
  }
  preparing = false;
  prepared.cancel();
  if (done && kept_ready > 0) {
    pool.provision(clock.now(), kept_ready);
    pump();
  }
}

net::awaitable<void> EmulatorEndpoint::State::tick() {
  for (;;) {
    ticker.expires_at(tick_at ? timer_time(*tick_at) : net::steady_timer::time_point::max());
    boost::system::error_code error;
    co_await ticker.async_wait(net::redirect_error(net::use_awaitable, error));
    if (called_off(co_await net::this_coro::cancellation_state)) co_return;
    const Moment now = clock.now();
    if (error || (tick_at && now.instant < *tick_at)) continue;
    tick_at.reset();
    pool.on_tick(now);
    pump();
    if (!tick_at) tick_at = pool.wake_at();
  }
}

void EmulatorEndpoint::State::perform(const engine::Start& action) {
  std::shared_ptr<Environment>& environment = environments[action.environment];
  if (!environment) {
    std::string stream = log_stream_name(clock.now().wall, settings.version, random);
    environment = std::make_shared<Environment>(action.environment, executor, function_log, std::move(stream), *this);
  }
  environment->begin_start();
  environment->provisioned = action.provisioned;
  if (action.phase == InitPhase::kInvoke) {
    const auto call = calls.find(action.call);
    if (call != calls.end()) log_start(*environment, *call->second);
  }
  watch(*environment);
  scope.spawn(run_process(environment));
}

void EmulatorEndpoint::State::perform(const engine::Started& action) {
  cold_starts.push_back(action.start);
  const auto environment = find(action.environment);
  if (!environment->provisioned) return;
  // It waits for a call, which may be long in coming.
  environment->active = false;
  if (!action.start.initialized) return;
  environment->log.add_platform_line(json_log() ? init_report_record(clock.now().wall, action.start.init, "init",
                                                                     "success", kProvisionedInitialization)
                                                : init_report_line(action.start.init, "init", "success"));
}

void EmulatorEndpoint::State::perform(const engine::Deliver& action) {
  const auto environment = find(action.environment);
  const auto call = calls.find(action.call);
  if (call == calls.end()) return;
  write_report(*environment);
  environment->request_id = call->second->invocation.request_id;
  environment->answer.reset();
  if (!action.started) log_start(*environment, *call->second);
  watch(*environment);
  environment->thaw();
  environment->runtime_asked = false;
  http::Response next = api.next_response(call->second->invocation, action.deadline);
  for (const Extension* extension : environment->extensions.begin_invocation()) {
    environment->tell(*extension, ExtensionsApi::invoke_event(next));
  }
  // A runtime whose connection broke at this moment has no waiter; its time runs out, as it would in Lambda.
  if (environment->waiter != nullptr) {
    environment->waiter->answer(std::move(next));
    environment->waiter = nullptr;
  }
}

void EmulatorEndpoint::State::perform(const engine::InitFailed& action) {
  const auto environment = find(action.environment);
  environment->process.drain_output();
  log_extensions(*environment);
  std::string status = "timeout";
  std::string error_type = "Sandbox.Timedout";
  if (action.failure != InitFailure::kTimedOut) {
    const CallEnding how = action.failure == InitFailure::kReported    ? CallEnding::kInitReported
                           : action.failure == InitFailure::kExited    ? CallEnding::kInitExited
                           : action.failure == InitFailure::kExtension ? CallEnding::kExtensionFailed
                                                                       : CallEnding::kCannotStart;
    error_type = failure_of(*environment, "", how).error_type;
    status = "error\tError Type: " + error_type;
  }
  const char* phase = action.phase == InitPhase::kInit ? "init" : "invoke";
  const std::string_view type = environment->provisioned ? kProvisionedInitialization : kOnDemandInitialization;
  environment->log.add_platform_line(json_log() ? init_report_record(clock.now().wall, action.took, phase, status, type)
                                                : init_report_line(action.took, phase, status),
                                     SystemLevel::kWarn);
  // The same failure again is no news: the source's retries may go on for days.
  if (error_type == init_trouble) return;
  init_trouble = error_type;
  log.warn("function.init_failed",
           {{"function", settings.name}, {"error_type", error_type}, {"reason", environment->cannot_start_why}});
}

void EmulatorEndpoint::State::perform(const engine::Kill& action) {
  const auto environment = find(action.environment);
  environment->idle_since.reset();
  release_report(*environment, action.reason == engine::Kill::Reason::kTimedOut ? "timeout" : "");
  environment->stopping = true;
  environment->process.end();
  for (const auto& extension : environment->extension_processes) extension->process.end();
  environment->extensions_changed.cancel();
}

void EmulatorEndpoint::State::perform(const engine::StopRuntime& action) {
  const auto environment = find(action.environment);
  environment->thaw();
  environment->stopping = true;
  environment->extensions_changed.cancel();
  // One that is about to be executed gets no signal; its time is short.
  if (environment->process.supervisor() != 0) {
    environment->process.terminate();
  } else {
    pool.on_exited(clock.now(), action.environment, false);
  }
}

void EmulatorEndpoint::State::perform(const engine::KillRuntime& action) {
  find(action.environment)->process.end();
}

void EmulatorEndpoint::State::perform(const engine::TellExtensions& action) {
  const auto environment = find(action.environment);
  environment->thaw();
  environment->stopping = true;
  environment->extensions_changed.cancel();
  release_report(*environment, action.reason == engine::ShutdownReason::kTimeout   ? "timeout"
                               : action.reason == engine::ShutdownReason::kFailure ? "error"
                                                                                   : "");
  const Moment now = clock.now();
  const std::string event = ExtensionsApi::shutdown_event(action.reason, now.wall + (action.deadline - now.instant));
  for (const auto& process : environment->extension_processes) {
    const Extension* extension = environment->extensions.find(process->name);
    if (extension != nullptr && extension->shutdown) {
      environment->tell(*extension, event);
    } else {
      process->process.end();
    }
  }
}

void EmulatorEndpoint::State::perform(const engine::Remove& action) {
  const auto environment = find(action.environment);
  if (!environment) return;
  folder.remove_subfolder(environment->folder);
  environments.erase(action.environment);
}

FunctionFailed EmulatorEndpoint::State::failure_of(const Environment& environment, std::string_view request_id,
                                                   CallEnding how) const {
  switch (how) {
    case CallEnding::kTimedOut:
      return timed_out(request_id, settings.timeout);
    case CallEnding::kExited:
    case CallEnding::kInitExited:
      return exited(request_id, environment.exit_status.value_or(0), environment.out_of_memory);
    case CallEnding::kInitReported:
      return environment.init_error.value_or(FunctionFailed());
    case CallEnding::kExtensionFailed:
      if (environment.out_of_memory) return exited(request_id, SIGKILL, true);
      return emulator::cannot_start(request_id, environment.extension_error_type, environment.extension_error_why);
    case CallEnding::kCannotStart:
      return emulator::cannot_start(request_id, environment.cannot_start_type, environment.cannot_start_why);
    case CallEnding::kAnswered:
    case CallEnding::kFailed:
    case CallEnding::kCancelled:
      break;
  }
  return {};
}

void EmulatorEndpoint::State::perform(const engine::Finish& action) {
  const auto environment = action.environment ? find(*action.environment) : nullptr;
  const auto found = calls.find(action.call);
  if (environment) environment->active = false;
  if (found == calls.end()) return;
  Call& call = *found->second;
  Outcome outcome;
  outcome.executed_version = settings.version;
  std::string status;
  switch (action.how) {
    case CallEnding::kAnswered:
    case CallEnding::kFailed:
      outcome.what = std::move(*environment->answer);
      break;
    case CallEnding::kCancelled:
      break;
    case CallEnding::kTimedOut:
    case CallEnding::kExited:
    case CallEnding::kInitReported:
    case CallEnding::kInitExited:
    case CallEnding::kExtensionFailed:
    case CallEnding::kCannotStart: {
      FunctionFailed failed = failure_of(*environment, call.invocation.request_id, action.how);
      status = action.how == CallEnding::kTimedOut ? "timeout" : "error\tError Type: " + failed.error_type;
      outcome.what = std::move(failed);
      break;
    }
  }
  if (action.ran) outcome.duration = std::min(action.duration, settings.timeout);
  outcome.init_duration = action.init_duration;
  if (environment && (action.ran || action.how != CallEnding::kCancelled)) {
    if (!call.start_logged) log_start(*environment, call);
    Report report;
    report.request_id = call.invocation.request_id;
    report.duration = outcome.duration.value_or(Duration(0));
    report.init_duration = action.init_duration;
    report.status = std::move(status);
    environment->report = std::move(report);
    const bool answered = action.how == CallEnding::kAnswered || action.how == CallEnding::kFailed;
    if (answered && !environment->extensions.all_ready()) {
      // The caller has the answer at once, unless it wants the log, in which the extensions' share stands.
      environment->report_waits_since = clock.now().instant;
      if (call.invocation.log_tail) {
        environment->report_call = action.call;
        call.held = std::move(outcome);
        return;
      }
    }
    if (call.invocation.log_tail) {
      write_report(*environment);
      outcome.log_tail = environment->log.tail();
    }
  }
  call.outcome = std::move(outcome);
  call.done.cancel();
  if (!environment || !environment->report) return;
  // Behind the caller and the answer to the runtime, neither of which need wait for the log.
  net::post(executor, [this, environment, living = std::weak_ptr<bool>(alive)] {
    if (living.lock()) write_report(*environment);
  });
}

void EmulatorEndpoint::State::perform(const engine::PoolDrained&) {
  drained = true;
  drained_signal.cancel();
}

std::shared_ptr<Environment> EmulatorEndpoint::State::find(EnvironmentId id) const {
  const auto found = environments.find(id);
  return found == environments.end() ? nullptr : found->second;
}

// ---- What processes do, and what runtimes say ----

/// Every Start gets its on_gone() here, whatever happened to the process.
net::awaitable<void> EmulatorEndpoint::State::run_process(std::shared_ptr<Environment> environment) {
  http::ServerOptions options;
  options.body_max_bytes = kMaxResponseBytes;
  options.streamed_by = {"Lambda-Runtime-Function-Response-Mode", "streaming"};
  options.connections_max = 64;
  auto server = http::Server::listen(
      executor, "127.0.0.1:0",
      [this, environment](http::Request request) {
        if (ExtensionsApi::wants(request)) return extensions_api.handle(environment, std::move(request));
        return api.handle(environment, std::move(request));
      },
      options);
  if (server) {
    environment->server = std::move(server.value());
    ProcessPlace place;
    place.tmp = folder.make_subfolder(environment->folder);
    place.opt = layers.opt;
    place.mounts = folder.mounts_of(environment->folder);
    place.provisioned = environment->provisioned;
    place.api_port = environment->server->port();
    place.log_stream = environment->log.name();
    ProcessPlan plan = plan_runtime(settings, place);
    if (settings.control_groups) environment->group = settings.control_groups->make(group_limits(settings));
    plan.group = environment->group;
    if (settings.extensions.empty()) {
      co_await run_runtime(environment, std::move(plan));
    } else {
      co_await run_with_extensions(environment, std::move(plan));
    }
    co_await environment->server->close();
    environment->server.reset();
  } else {
    environment->cannot_start_type = "Sandbox.Failure";
    environment->cannot_start_why = server.error().message();
    on_exited(*environment, true);
  }
  environment->group.reset();
  environment->active = false;
  release_report(*environment, "");
  write_report(*environment);
  environment->log.end_line();
  function_log.flush();
  pool.on_gone(clock.now(), environment->id);
  pump();
}

/// The external extensions first, then the runtime; all of them end before this does.
net::awaitable<void> EmulatorEndpoint::State::run_with_extensions(std::shared_ptr<Environment> environment,
                                                                  ProcessPlan plan) {
  TaskScope running(executor);
  environment->extension_processes.clear();
  pool.on_external_extension(environment->id);
  for (const std::string& path : settings.extensions) {
    auto process = std::make_unique<ExtensionProcess>(*environment, path, executor, function_log, *this);
    if (!environment->extensions.add_external(process->name)) {
      on_extension_ended(*environment, "Extension.LaunchError", "too many extensions");
      break;
    }
    ExtensionProcess& extension = *process;
    environment->extension_processes.push_back(std::move(process));
    running.spawn(extension.process.run(plan_extension(plan, path)));
    // One after the other: the first one makes the mounts that the others take part in.
    while (!extension.started && !extension.ended && !environment->stopping) co_await extensions_change(environment);
    if (environment->stopping) break;
  }
  while (!environment->stopping && !environment->extensions.external_registered()) {
    co_await extensions_change(environment);
  }
  if (!environment->stopping) co_await run_runtime(environment, std::move(plan));
  co_await running.join();
  environment->extension_processes.clear();
}

net::awaitable<void> EmulatorEndpoint::State::run_runtime(std::shared_ptr<Environment> environment, ProcessPlan plan) {
  co_await environment->process.run(std::move(plan));
  if (!environment->exit_waits) co_return;
  // It is the caller who may take long; what he has not taken then is lost with the function.
  environment->stream_read.expires_after(kStreamGrace);
  boost::system::error_code ignored;
  if (environment->responding) {
    co_await environment->stream_read.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  environment->exit_waits = false;
  pool.on_exited(clock.now(), environment->id, false);
  pump();
}

net::awaitable<void> EmulatorEndpoint::State::extensions_change(std::shared_ptr<Environment> environment) {
  boost::system::error_code ignored;
  co_await environment->extensions_changed.async_wait(net::redirect_error(net::use_awaitable, ignored));
}

void EmulatorEndpoint::State::on_exited(Environment& environment, bool cannot_start) {
  if (environment.responding && environment.responding == pool.call_of(environment.id) && !cannot_start) {
    // The last it streamed is still on its way.
    environment.exit_waits = true;
    return;
  }
  note_memory_kill(environment);
  pool.on_exited(clock.now(), environment.id, cannot_start);
  pump();
}

void EmulatorEndpoint::State::on_extension_ended(Environment& environment, std::string type, std::string why) {
  note_memory_kill(environment);
  environment.extensions_changed.cancel();
  if (pool.ending(environment.id)) return;
  environment.extension_error_type = std::move(type);
  environment.extension_error_why = std::move(why);
  pool.on_extension_failed(clock.now(), environment.id);
  pump();
}

void EmulatorEndpoint::State::on_extension_registered(Environment& environment, bool external) {
  if (external) {
    environment.extensions_changed.cancel();
  } else {
    pool.on_internal_extension(environment.id);
  }
}

void EmulatorEndpoint::State::on_ready(Environment& environment) {
  environment.runtime_asked = true;
  environment.extensions.close_registration();
  check_ready(environment);
}

void EmulatorEndpoint::State::check_ready(Environment& environment) {
  if (!environment.runtime_asked || !environment.extensions.all_ready() || !pool.may_ask(environment.id)) return;
  release_report(environment, "");
  write_report(environment);
  if (pool.initializing(environment.id)) {
    log_extensions(environment);
    if (environment.group) environment.group->limit_processors(processors_of(settings.memory_size));
  }
  environment.log.end_line();
  if (!init_trouble.empty()) {
    init_trouble.clear();
    log.info("function.init_recovered", {{"function", settings.name}});
  }
  const Moment now = clock.now();
  environment.idle_since = now.instant;
  write_log_soon();
  pool.on_ready(now, environment.id);
  pump();
}

std::shared_ptr<ResponseSink> EmulatorEndpoint::State::sink_of(const Environment& environment) {
  const auto call = calls.find(pool.call_of(environment.id).value_or(0));
  return call == calls.end() ? nullptr : call->second->invocation.response_sink;
}

void EmulatorEndpoint::State::on_answer(Environment& environment, bool failed) {
  pool.on_answer(clock.now(), environment.id, failed);
  pump();
}

void EmulatorEndpoint::State::on_init_error(Environment& environment) {
  pool.on_init_error(clock.now(), environment.id);
  pump();
}

// ---- Logs and memory ----

void EmulatorEndpoint::State::log_start(Environment& environment, Call& call) {
  write_report(environment);
  environment.process.drain_output();
  environment.log.end_line();
  environment.log.begin_tail();
  const std::string& id = call.invocation.request_id;
  environment.log.add_platform_line(json_log() ? start_record(clock.now().wall, id, settings.version)
                                               : start_line(id, settings.version));
  call.start_logged = true;
}

void EmulatorEndpoint::State::release_report(Environment& environment, const std::string& status) {
  if (!environment.report_waits_since) return;
  environment.report->duration += clock.now().instant - *environment.report_waits_since;
  environment.report_waits_since.reset();
  if (environment.report->status.empty() && !status.empty()) {
    environment.report->status = status == "error" ? "error\tError Type: " + environment.extension_error_type : status;
  }
  write_report(environment);
  const auto call = environment.report_call ? calls.find(*environment.report_call) : calls.end();
  environment.report_call.reset();
  if (call == calls.end() || !call->second->held) return;
  call->second->held->log_tail = environment.log.tail();
  call->second->outcome = std::move(call->second->held);
  call->second->done.cancel();
}

/// What became of them in the initialization that has just ended.
void EmulatorEndpoint::State::log_extensions(Environment& environment) {
  for (const Extension& extension : environment.extensions.all()) {
    std::string events = extension.invoke ? "INVOKE" : "";
    if (extension.shutdown) events += events.empty() ? "SHUTDOWN" : ", SHUTDOWN";
    environment.log.add_platform_line(
        json_log() ? extension_record(clock.now().wall, extension.name, text(extension.state), extension.invoke,
                                      extension.shutdown, extension.error_type)
                   : extension_line(extension.name, text(extension.state), events, extension.error_type),
        extension.error_type.empty() ? SystemLevel::kInfo : SystemLevel::kWarn);
  }
}

void EmulatorEndpoint::State::write_report(Environment& environment) {
  if (!environment.report || environment.report_waits_since) return;
  Report report = std::move(*environment.report);
  environment.report.reset();
  environment.process.drain_output();
  if (environment.process.supervisor() != 0 && clock.now().instant - environment.sampled_at >= kSampleAge) {
    look_at_memory(environment);
  }
  report.memory_size = settings.memory_size;
  report.memory_peak = environment.memory_peak;
  if (!json_log()) environment.log.add_platform_line(end_line(report.request_id));
  environment.log.add_platform_line(json_log() ? report_record(clock.now().wall, report) : report_line(report),
                                    report.status.empty() ? SystemLevel::kInfo : SystemLevel::kWarn);
  write_log_soon();
}

void EmulatorEndpoint::State::look_at_memory(Environment& environment) {
  if (environment.process.supervisor() == 0) return;
  environment.look_at_memory(clock.now().instant);
  if (environment.memory_peak <= memory_limit() || environment.out_of_memory) return;
  out_of_memory(environment);
  environment.process.end();
}

void EmulatorEndpoint::State::out_of_memory(Environment& environment) {
  // Lambda's own kernel would not have let it have more.
  environment.memory_peak = memory_limit();
  environment.out_of_memory = true;
  log.warn("function.out_of_memory", {{"function", settings.name}, {"memory_size_mb", settings.memory_size}});
}

void EmulatorEndpoint::State::note_memory_kill(Environment& environment) {
  if (!environment.group || environment.out_of_memory || environment.group->memory_kills() == 0) return;
  out_of_memory(environment);
}

void EmulatorEndpoint::State::watch(Environment& environment) {
  environment.active = true;
  write_log_soon();
}

/// What is in the log's buffer is written at the sampler's next round.
void EmulatorEndpoint::State::write_log_soon() {
  if (sampling) return;
  sampling = true;
  sampler.cancel();
}

net::awaitable<void> EmulatorEndpoint::State::sample() {
  for (;;) {
    sampler.expires_at(sampling ? net::steady_timer::clock_type::now() + kSamplePeriod
                                : net::steady_timer::time_point::max());
    boost::system::error_code error;
    co_await sampler.async_wait(net::redirect_error(net::use_awaitable, error));
    if (called_off(co_await net::this_coro::cancellation_state)) co_return;
    if (error) continue;
    bool any = false;
    for (const auto& [id, environment] : environments) {
      write_report(*environment);
      if (environment->idle_since) {
        if (clock.now().instant - *environment->idle_since >= kFreezeAfter) {
          environment->freeze();
        } else {
          any = true;
        }
      }
      if (!environment->active) continue;
      any = true;
      look_at_memory(*environment);
    }
    function_log.flush();
    sampling = any;
  }
}

}  // namespace weir::emulator
