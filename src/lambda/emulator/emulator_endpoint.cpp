#include "lambda/emulator/emulator_endpoint.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "weir/base/random.h"

#include "engine/environment_pool.h"
#include "http/server.h"
#include "lambda/emulator/environment_folder.h"
#include "lambda/emulator/error_documents.h"
#include "lambda/emulator/function_log.h"
#include "lambda/emulator/memory_use.h"
#include "lambda/emulator/supervised_process.h"
#include "runtime/task_scope.h"

namespace weir::emulator {

using engine::CallEnding;
using engine::CallId;
using engine::EnvironmentId;
using engine::InitFailure;
using engine::InitPhase;
using http::Request;
using http::Response;
using runtime::TaskScope;

namespace {

/// How often the memory of running functions is looked at, and their log written out.
constexpr auto kSamplePeriod = std::chrono::milliseconds(50);
/// A REPORT line reads the memory itself when the last look is older.
constexpr auto kSampleAge = std::chrono::milliseconds(100);
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

/// A request of the Runtime API, taken apart.
struct RuntimeCall {
  enum class What { kNext, kResponse, kError, kInitError, kUnknown };
  What what = What::kUnknown;
  std::string_view request_id;
};

RuntimeCall read_call(const Request& request) {
  constexpr std::string_view kRoot = "/2018-06-01/runtime/";
  constexpr std::string_view kInvocation = "invocation/";
  RuntimeCall call;
  std::string_view path = request.path();
  if (!path.starts_with(kRoot)) return call;
  path.remove_prefix(kRoot.size());
  const bool post = request.method == "POST";
  if (path == "init/error" && post) call.what = RuntimeCall::What::kInitError;
  if (!path.starts_with(kInvocation)) return call;
  path.remove_prefix(kInvocation.size());
  if (path == "next") {
    if (request.method == "GET") call.what = RuntimeCall::What::kNext;
    return call;
  }
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || !post) return call;
  call.request_id = path.substr(0, slash);
  const std::string_view verb = path.substr(slash + 1);
  if (verb == "response") call.what = RuntimeCall::What::kResponse;
  if (verb == "error") call.what = RuntimeCall::What::kError;
  return call;
}

Response refusal(int status, std::string_view type, std::string_view message) {
  return {status, "application/json", error_document(type, message)};
}

Response invalid_transition(std::string_view from, std::string_view to) {
  return refusal(403, "InvalidStateTransition",
                 "State transition from " + std::string(from) + " to " + std::string(to) +
                     " failed for runtime. Error: State transition is not allowed");
}

Response accepted() {
  return {202, "application/json", "{\"status\":\"OK\"}\n"};
}

std::string milliseconds(Duration duration) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.2f ms", std::max(0.0, as_seconds(duration) * 1000));
  return text;
}

std::string hex(std::uint64_t number, int digits) {
  char text[24];
  std::snprintf(text, sizeof(text), "%0*llx", digits, static_cast<unsigned long long>(number));
  return std::string(text).substr(0, static_cast<std::size_t>(digits));
}

/// What an invocation's END and REPORT lines say.
struct Report {
  std::string request_id;
  Duration duration{0};
  std::optional<Duration> init_duration;
  std::string status;  ///< "timeout", "error\tError Type: Runtime.ExitError", or "" for success
};

/// A runtime that waits for an invocation.
struct Waiter {
  explicit Waiter(net::any_io_executor executor) : woken(std::move(executor)) {
    woken.expires_at(net::steady_timer::time_point::max());
  }
  void answer(Response with) {
    response = std::move(with);
    woken.cancel();
  }
  net::steady_timer woken;
  std::optional<Response> response;
};

/// One execution environment, and what the engine does not need to know of it.
struct Environment {
  Environment(EnvironmentId number, FunctionLog& function_log) : id(number), log(function_log) {}

  EnvironmentId id;
  LogStream log;
  std::string folder;                               ///< the name of its own /tmp in the function's folder
  std::unique_ptr<http::Server> server;             ///< of the process that runs
  SupervisedProcess* process = nullptr;             ///< owned by run_process()
  net::posix::stream_descriptor* output = nullptr;  ///< what the process prints; owned by run_process()
  Waiter* waiter = nullptr;                         ///< owned by the handler of `next`
  bool kill_asked = false;
  std::string request_id;                    ///< of the invocation that the process was given last
  std::optional<Outcome::What> answer;       ///< what it posted
  std::optional<FunctionFailed> init_error;  ///< what it posted to init/error
  std::optional<int> exit_status;            ///< what waitpid gave
  std::string cannot_start_type;
  std::string cannot_start_why;
  bool out_of_memory = false;
  bool active = false;  ///< initializing or busy: its memory is watched
  std::uint64_t memory_peak = 0;
  Instant sampled_at{};
  std::optional<Report> report;  ///< not yet written
};

/// One invocation, on the frame of invoke().
struct Call {
  Call(Invocation what, net::any_io_executor executor) : invocation(std::move(what)), done(std::move(executor)) {}

  Invocation invocation;
  net::steady_timer done;
  std::optional<Outcome> outcome;
  bool start_logged = false;
};

/// Closes a descriptor that nobody took over.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (number_ >= 0) ::close(release());
  }

 private:
  int number_;
};

bool called_off(const net::cancellation_state& state) {
  return state.cancelled() != net::cancellation_type::none;
}

engine::PoolSettings pool_settings(const EmulatorSettings& settings) {
  engine::PoolSettings pool;
  pool.timeout = settings.timeout;
  pool.init_timeout = settings.init_timeout;
  pool.idle_limit = settings.idle_limit;
  return pool;
}

net::steady_timer::time_point timer_time(Instant instant) {
  return net::steady_timer::time_point(instant.time_since_epoch());
}

}  // namespace

struct EmulatorEndpoint::State {
  State(net::any_io_executor where, EmulatorSettings what, Log& bridge_log, const Clock& time, EnvironmentFolder own,
        FunctionLog lines)
      : executor(where),
        settings(std::move(what)),
        log(bridge_log),
        clock(time),
        folder(std::move(own)),
        function_log(std::move(lines)),
        pool(pool_settings(settings)),
        random(seed_from_system()),
        ticker(where),
        sampler(where),
        drained_signal(where),
        scope(where) {
    drained_signal.expires_at(net::steady_timer::time_point::max());
  }

  // The pool's shell.
  void pump();
  void perform(const engine::Start& action);
  void perform(const engine::Deliver& action);
  void perform(const engine::InitFailed& action);
  void perform(const engine::Kill& action);
  void perform(const engine::Remove& action);
  void perform(const engine::Finish& action);
  void perform(const engine::PoolDrained&);
  net::awaitable<void> tick();
  net::awaitable<void> sample();

  // A process.
  net::awaitable<void> run_process(std::shared_ptr<Environment> environment);
  net::awaitable<void> supervise(std::shared_ptr<Environment> environment);
  net::awaitable<void> read_output(std::shared_ptr<Environment> environment);
  void take_news(Environment& environment, const ProcessNews& news);
  void cannot_start(Environment& environment, std::string type, std::string why);
  ProcessPlan plan_for(const Environment& environment, std::uint16_t port);

  // The Runtime API.
  net::awaitable<Response> handle(std::shared_ptr<Environment> environment, Request request);
  net::awaitable<Response> next_invocation(std::shared_ptr<Environment> environment);
  Response take_answer(Environment& environment, RuntimeCall call, Request& request);
  Response take_init_error(Environment& environment, Request& request);
  Response invocation_response(Call& call, const engine::Deliver& action);

  // Logs and memory.
  void drain_output(Environment& environment);
  void log_start(Environment& environment, Call& call);
  void write_report(Environment& environment);
  void look_at_memory(Environment& environment);
  void watch(Environment& environment);
  void write_log_soon();

  std::string arn(const Invocation& invocation) const;
  std::string trace_id();
  std::shared_ptr<Environment> find(EnvironmentId id) const;
  FunctionFailed failure_of(const Environment& environment, std::string_view request_id, CallEnding how) const;

  net::any_io_executor executor;
  EmulatorSettings settings;
  Log& log;
  const Clock& clock;
  EnvironmentFolder folder;
  FunctionLog function_log;
  engine::EnvironmentPool pool;
  Random random;
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
                                                                 const Clock& clock) {
  WEIR_ASSERT(!settings.command.empty());
  Result<EnvironmentFolder> folder = EnvironmentFolder::make(settings.folder, settings.name);
  if (!folder) return std::move(folder.error()).during("preparing function " + settings.name);
  Result<FunctionLog> lines = FunctionLog::open(settings.log_file);
  if (!lines) return std::move(lines.error()).during("preparing function " + settings.name);
  auto state = std::make_unique<State>(executor, std::move(settings), log, clock, std::move(folder.value()),
                                       std::move(lines.value()));
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

net::awaitable<Outcome> EmulatorEndpoint::invoke(Invocation invocation, Instant deadline) {
  State& state = *state_;
  if (!state.started) {
    state.started = true;
    if (!private_tmp_available()) {
      state.log.warn("function.tmp_shared",
                     {{"function", state.settings.name},
                      {"reason", "no mount namespace is permitted here; TMPDIR is set instead"}});
    }
    state.scope.spawn(state.tick());
    state.scope.spawn(state.sample());
  }
  // Being cancelled is an outcome here, so it must not throw while the call is on its way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);

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

  state.pool.on_call(state.clock.now(), id);
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
    // Killing takes milliseconds; being asked to hurry changes nothing.
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
    environment = std::make_shared<Environment>(action.environment, function_log);
    environment->folder = "tmp-" + std::to_string(action.environment);
  }
  environment->kill_asked = false;
  environment->init_error.reset();
  environment->exit_status.reset();
  environment->cannot_start_type.clear();
  environment->out_of_memory = false;
  environment->memory_peak = 0;
  environment->sampled_at = {};
  if (action.phase == InitPhase::kInvoke) {
    const auto call = calls.find(action.call);
    if (call != calls.end()) log_start(*environment, *call->second);
  }
  watch(*environment);
  scope.spawn(run_process(environment));
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
  // A runtime whose connection broke at this moment has no waiter; its time runs out, as it would in Lambda.
  if (environment->waiter != nullptr) {
    environment->waiter->answer(invocation_response(*call->second, action));
    environment->waiter = nullptr;
  }
}

void EmulatorEndpoint::State::perform(const engine::InitFailed& action) {
  const auto environment = find(action.environment);
  drain_output(*environment);
  std::string status = "timeout";
  std::string error_type = "Sandbox.Timedout";
  if (action.failure != InitFailure::kTimedOut) {
    const CallEnding how = action.failure == InitFailure::kReported ? CallEnding::kInitReported
                           : action.failure == InitFailure::kExited ? CallEnding::kInitExited
                                                                    : CallEnding::kCannotStart;
    error_type = failure_of(*environment, "", how).error_type;
    status = "error\tError Type: " + error_type;
  }
  environment->log.add_platform_line("INIT_REPORT Init Duration: " + milliseconds(action.took) + "\tPhase: " +
                                     (action.phase == InitPhase::kInit ? "init" : "invoke") + "\tStatus: " + status);
  // The same failure again is no news: the source's retries may go on for days.
  if (error_type == init_trouble) return;
  init_trouble = error_type;
  log.warn("function.init_failed",
           {{"function", settings.name}, {"error_type", error_type}, {"reason", environment->cannot_start_why}});
}

void EmulatorEndpoint::State::perform(const engine::Kill& action) {
  const auto environment = find(action.environment);
  environment->kill_asked = true;
  if (environment->process != nullptr) environment->process->end();
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

// ---- A process ----

ProcessPlan EmulatorEndpoint::State::plan_for(const Environment& environment, std::uint16_t port) {
  const std::string tmp = folder.make_subfolder(environment.folder);
  std::map<std::string, std::string> variables;
  const char* path = std::getenv("PATH");
  variables["PATH"] = path != nullptr && *path != '\0' ? path : std::string(kDefaultPath);
  variables["LANG"] = "en_US.UTF-8";
  variables["TZ"] = ":UTC";
  variables["AWS_XRAY_CONTEXT_MISSING"] = "LOG_ERROR";
  variables["AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1:2000";
  // Not secrets: SDKs want some, and the emulators of other services take any.
  variables["AWS_ACCESS_KEY_ID"] = "weir";
  variables["AWS_SECRET_ACCESS_KEY"] = "weir";
  variables["AWS_SESSION_TOKEN"] = "weir";
  if (!private_tmp_available()) variables["TMPDIR"] = tmp;
  for (const auto& [name, value] : settings.environment) variables[name] = value;
  const std::time_t seconds = epoch_milliseconds(clock.now().wall) / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char day[16];
  std::strftime(day, sizeof(day), "%Y/%m/%d", &utc);
  variables["_HANDLER"] = settings.handler;
  variables["AWS_REGION"] = settings.region;
  variables["AWS_DEFAULT_REGION"] = settings.region;
  variables["AWS_LAMBDA_FUNCTION_NAME"] = settings.name;
  variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(settings.memory_size);
  variables["AWS_LAMBDA_FUNCTION_VERSION"] = "$LATEST";
  variables["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand";
  variables["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + settings.name;
  variables["AWS_LAMBDA_LOG_STREAM_NAME"] =
      std::string(day) + "/[$LATEST]" + hex(random.next(), 16) + hex(random.next(), 16);
  variables["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:" + std::to_string(port);
  variables["LAMBDA_TASK_ROOT"] = settings.directory;
  variables["LAMBDA_RUNTIME_DIR"] = "/var/runtime";

  ProcessPlan plan;
  plan.command = settings.command;
  for (const auto& [name, value] : variables) plan.environment.push_back(name + "=" + value);
  plan.directory = settings.directory;
  plan.title = "lambda-environment " + settings.name;
  plan.search_path = variables["PATH"];
  if (private_tmp_available()) plan.tmp = tmp;
  return plan;
}

void EmulatorEndpoint::State::cannot_start(Environment& environment, std::string type, std::string why) {
  environment.cannot_start_type = std::move(type);
  environment.cannot_start_why = std::move(why);
  pool.on_exited(clock.now(), environment.id, true);
  pump();
}

/// Every Start gets its on_gone() here, whatever happened to the process.
net::awaitable<void> EmulatorEndpoint::State::run_process(std::shared_ptr<Environment> environment) {
  co_await supervise(environment);
  if (environment->server) {
    co_await environment->server->close();
    environment->server.reset();
  }
  environment->active = false;
  write_report(*environment);
  environment->log.end_line();
  function_log.flush();
  pool.on_gone(clock.now(), environment->id);
  pump();
}

net::awaitable<void> EmulatorEndpoint::State::supervise(std::shared_ptr<Environment> environment) {
  http::ServerOptions options;
  options.body_max_bytes = kMaxResponseBytes;
  options.connections_max = 64;
  auto server = http::Server::listen(
      executor, "127.0.0.1:0", [this, environment](Request request) { return handle(environment, std::move(request)); },
      options);
  if (!server) {
    cannot_start(*environment, "Sandbox.Failure", server.error().message());
    co_return;
  }
  environment->server = std::move(server.value());
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    cannot_start(*environment, "Sandbox.Failure", "no pipe: " + std::generic_category().message(errno));
    co_return;
  }
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const ProcessPlan plan = plan_for(*environment, environment->server->port());
  if (!find_program(plan.command.front(), plan.directory, plan.search_path)) {
    cannot_start(*environment, "Runtime.InvalidEntrypoint",
                 "exec: \"" + plan.command.front() + "\": executable file not found in $PATH");
    co_return;
  }
  auto made = SupervisedProcess::start(plan, write_end.get());
  if (!made) {
    cannot_start(*environment, "Sandbox.Failure", made.error().message());
    co_return;
  }
  write_end.close();
  SupervisedProcess process = std::move(made.value());
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  net::posix::stream_descriptor output(executor, read_end.release());
  net::posix::stream_descriptor news(executor, ::fcntl(process.descriptor(), F_DUPFD_CLOEXEC, 0));
  environment->process = &process;
  environment->output = &output;
  // Also when this coroutine is cancelled: nobody refers to what lies on its frame any more.
  struct Detach {
    Environment& environment;
    ~Detach() {
      environment.process = nullptr;
      environment.output = nullptr;
    }
  } detach{*environment};
  if (environment->kill_asked) process.end();

  TaskScope reading(executor);
  reading.spawn(read_output(environment));
  while (!process.gone()) {
    boost::system::error_code error;
    co_await news.async_wait(net::posix::stream_descriptor::wait_read, net::redirect_error(net::use_awaitable, error));
    if (error) break;
    while (const auto heard = process.news()) take_news(*environment, *heard);
    pump();
  }
  drain_output(*environment);
  reading.cancel();
  co_await reading.join();
}

void EmulatorEndpoint::State::take_news(Environment& environment, const ProcessNews& news) {
  const auto say = [&](const char* doing, const std::string& path) {
    // The words of Go's os package, which Lambda's messages are made of.
    const std::string reason = std::generic_category().message(news.value);
    std::string lower = reason;
    if (!lower.empty()) lower[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(lower[0])));
    return std::string(doing) + " " + path + ": " + lower;
  };
  switch (news.kind) {
    case ProcessNews::Kind::kStarted:
      break;
    case ProcessNews::Kind::kChdirFailed:
      cannot_start(environment, "Runtime.InvalidWorkingDir", say("chdir", settings.directory));
      break;
    case ProcessNews::Kind::kExecFailed:
      cannot_start(environment, "Runtime.InvalidEntrypoint", say("fork/exec", settings.command.front()));
      break;
    case ProcessNews::Kind::kExited:
      if (!environment.exit_status) environment.exit_status = news.value;
      drain_output(environment);
      pool.on_exited(clock.now(), environment.id, false);
      break;
  }
}

net::awaitable<void> EmulatorEndpoint::State::read_output(std::shared_ptr<Environment> environment) {
  while (environment->output != nullptr) {
    boost::system::error_code error;
    co_await environment->output->async_wait(net::posix::stream_descriptor::wait_read,
                                             net::redirect_error(net::use_awaitable, error));
    if (error || environment->output == nullptr) co_return;
    char bytes[16384];
    const ssize_t size = ::read(environment->output->native_handle(), bytes, sizeof(bytes));
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) co_return;
    if (size <= 0) continue;
    environment->log.add_output(std::string_view(bytes, static_cast<std::size_t>(size)));
    write_log_soon();
  }
}

/// Takes what the process has printed so far; as much as a pipe holds, so that one who never stops printing is left in
/// time.
void EmulatorEndpoint::State::drain_output(Environment& environment) {
  if (environment.output == nullptr) return;
  char bytes[16384];
  for (int rounds = 0; rounds < 8; ++rounds) {
    const ssize_t size = ::read(environment.output->native_handle(), bytes, sizeof(bytes));
    if (size <= 0) return;
    environment.log.add_output(std::string_view(bytes, static_cast<std::size_t>(size)));
  }
}

// ---- The Runtime API ----

/// One environment's listener: its requests are about this environment and no other.
net::awaitable<Response> EmulatorEndpoint::State::handle(std::shared_ptr<Environment> environment, Request request) {
  const RuntimeCall call = read_call(request);
  switch (call.what) {
    case RuntimeCall::What::kNext:
      co_return co_await next_invocation(environment);
    case RuntimeCall::What::kResponse:
    case RuntimeCall::What::kError:
      co_return take_answer(*environment, call, request);
    case RuntimeCall::What::kInitError:
      co_return take_init_error(*environment, request);
    case RuntimeCall::What::kUnknown:
      break;
  }
  co_return Response(404, "text/plain; charset=utf-8", "404 page not found\n");
}

net::awaitable<Response> EmulatorEndpoint::State::next_invocation(std::shared_ptr<Environment> environment) {
  if (!pool.may_ask(environment->id)) co_return invalid_transition("Running", "Ready");
  // A client that lost patience and asks again on another connection takes the place of its earlier request.
  if (environment->waiter != nullptr) environment->waiter->answer(invalid_transition("Ready", "Ready"));
  Waiter waiter(executor);
  environment->waiter = &waiter;
  struct Forget {
    Environment& environment;
    Waiter* waiter;
    ~Forget() {
      if (environment.waiter == waiter) environment.waiter = nullptr;
    }
  } forget{*environment, &waiter};
  write_report(*environment);
  environment->log.end_line();
  if (!init_trouble.empty()) {
    init_trouble.clear();
    log.info("function.init_recovered", {{"function", settings.name}});
  }
  pool.on_ready(clock.now(), environment->id);
  pump();
  while (!waiter.response) {
    boost::system::error_code ignored;
    co_await waiter.woken.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  co_return std::move(*waiter.response);
}

Response EmulatorEndpoint::State::invocation_response(Call& call, const engine::Deliver& action) {
  const Moment now = clock.now();
  const WallTime deadline = now.wall + (action.deadline - now.instant);
  // Consumed: the call was delivered, and is never delivered again.
  Response response(200, "application/json", std::move(call.invocation.payload));
  response.headers.add("Lambda-Runtime-Aws-Request-Id", call.invocation.request_id);
  response.headers.add("Lambda-Runtime-Deadline-Ms", std::to_string(epoch_milliseconds(deadline)));
  response.headers.add("Lambda-Runtime-Invoked-Function-Arn", arn(call.invocation));
  std::string trace = call.invocation.trace_header;
  if (trace.find("Root=") == std::string::npos) trace = trace_id() + (trace.empty() ? "" : ";") + trace;
  response.headers.add("Lambda-Runtime-Trace-Id", trace);
  if (!call.invocation.client_context.empty()) {
    response.headers.add("Lambda-Runtime-Client-Context", call.invocation.client_context);
  }
  return response;
}

Response EmulatorEndpoint::State::take_answer(Environment& environment, RuntimeCall call, Request& request) {
  const bool error = call.what == RuntimeCall::What::kError;
  if (call.request_id != environment.request_id) return refusal(400, "InvalidRequestID", "Invalid request ID");
  if (!pool.call_of(environment.id)) {
    return invalid_transition("Ready", error ? "InvocationErrorResponse" : "InvocationResponse");
  }
  const auto mode = request.headers.get("Lambda-Runtime-Function-Response-Mode");
  if (!error && mode && !http::same_word(*mode, "streaming") && !http::same_word(*mode, "buffered")) {
    return refusal(400, "InvalidFunctionResponseMode", "Invalid response mode " + std::string(*mode));
  }
  if (request.body_too_large) {
    environment.answer = response_too_large();
  } else if (error) {
    environment.answer =
        posted_error(std::move(request.body), request.headers.get("Lambda-Runtime-Function-Error-Type").value_or(""));
  } else {
    // Passed through as it is, also when it is not JSON: so does Lambda.
    Succeeded succeeded;
    succeeded.payload = std::move(request.body);
    environment.answer = std::move(succeeded);
  }
  pool.on_answer(clock.now(), environment.id, error || request.body_too_large);
  pump();
  if (!request.body_too_large) return accepted();
  return refusal(413, "RequestEntityTooLarge",
                 "Exceeded maximum allowed payload size (" + std::to_string(kMaxResponseBytes) + " bytes).");
}

Response EmulatorEndpoint::State::take_init_error(Environment& environment, Request& request) {
  if (!pool.initializing(environment.id)) return invalid_transition("Ready", "InitError");
  if (environment.init_error) return invalid_transition("InitError", "InitError");
  environment.init_error =
      posted_error(std::move(request.body), request.headers.get("Lambda-Runtime-Function-Error-Type").value_or(""));
  pool.on_init_error(clock.now(), environment.id);
  pump();
  return accepted();
}

std::string EmulatorEndpoint::State::arn(const Invocation& invocation) const {
  std::string text = "arn:aws:lambda:" + settings.region + ":" + settings.account + ":function:" + settings.name;
  if (!invocation.qualifier.empty()) text += ":" + invocation.qualifier;
  return text;
}

std::string EmulatorEndpoint::State::trace_id() {
  const auto seconds = static_cast<std::uint64_t>(epoch_milliseconds(clock.now().wall) / 1000);
  return "Root=1-" + hex(seconds, 8) + "-" + hex(random.next(), 16) + hex(random.next() >> 32U, 8) +
         ";Parent=" + hex(random.next(), 16) + ";Sampled=0";
}

// ---- Logs and memory ----

void EmulatorEndpoint::State::log_start(Environment& environment, Call& call) {
  write_report(environment);
  drain_output(environment);
  environment.log.end_line();
  environment.log.begin_tail();
  environment.log.add_platform_line("START RequestId: " + call.invocation.request_id + " Version: $LATEST");
  call.start_logged = true;
}

void EmulatorEndpoint::State::write_report(Environment& environment) {
  if (!environment.report) return;
  const Report report = std::move(*environment.report);
  environment.report.reset();
  drain_output(environment);
  const Instant now = clock.now().instant;
  if (environment.process != nullptr && now - environment.sampled_at >= kSampleAge) look_at_memory(environment);
  environment.log.add_platform_line("END RequestId: " + report.request_id);
  const Duration billed = report.duration + report.init_duration.value_or(Duration(0));
  std::string line =
      "REPORT RequestId: " + report.request_id + "\tDuration: " + milliseconds(report.duration) +
      "\tBilled Duration: " + std::to_string(std::chrono::ceil<std::chrono::milliseconds>(billed).count()) +
      " ms\tMemory Size: " + std::to_string(settings.memory_size) +
      " MB\tMax Memory Used: " + std::to_string((environment.memory_peak + (1U << 20U) - 1) >> 20U) + " MB\t";
  if (report.init_duration) line += "Init Duration: " + milliseconds(*report.init_duration) + "\t";
  if (!report.status.empty()) line += "Status: " + report.status;
  environment.log.add_platform_line(line);
  write_log_soon();
}

void EmulatorEndpoint::State::look_at_memory(Environment& environment) {
  if (environment.process == nullptr || environment.process->gone()) return;
  environment.sampled_at = clock.now().instant;
  const MemoryUse use = memory_below(environment.process->supervisor());
  environment.memory_peak = std::max(environment.memory_peak, use.peak);
  const std::uint64_t limit = static_cast<std::uint64_t>(settings.memory_size) << 20U;
  if (use.peak <= limit || environment.out_of_memory) return;
  // Lambda's own kernel would not have let it have more.
  environment.memory_peak = limit;
  environment.out_of_memory = true;
  log.warn("function.out_of_memory", {{"function", settings.name}, {"memory_size_mb", settings.memory_size}});
  environment.process->end();
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
      if (!environment->active) continue;
      any = true;
      look_at_memory(*environment);
    }
    function_log.flush();
    sampling = any;
  }
}

}  // namespace weir::emulator
