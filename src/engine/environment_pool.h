#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/event/cold_start.h"

namespace weir::engine {

/// The times that one function's environments are held to. The numbers have passed the configuration's checks.
struct PoolSettings {
  Duration timeout = std::chrono::seconds(3);        ///< of one invocation, from delivery
  Duration init_timeout = std::chrono::seconds(10);  ///< of the init phase; fixed by Lambda, shorter in tests
  Duration idle_limit = std::chrono::minutes(5);     ///< an environment that nobody used for so long is taken down
  /// Of the init phase of a provisioned environment: Lambda's is 130 s, or the function's timeout when that is longer.
  Duration provisioned_init_timeout = std::chrono::seconds(130);
  /// How long a call waits for an environment that has answered and is about to ask for more, before another one is
  /// started.
  Duration return_grace = std::chrono::milliseconds(50);
};

/// The Shutdown phase: how long a runtime has after SIGTERM, and all of it together (lambda-runtime-environment,
/// runtimes-extensions-api). Without extensions there is none: the runtime is killed.
constexpr Duration kRuntimeShutdown = std::chrono::milliseconds(300);
constexpr Duration kInternalShutdown = std::chrono::milliseconds(500);
constexpr Duration kExternalShutdown = std::chrono::milliseconds(2000);

/// So many provisioned environments initialize at a time. Lambda starts up to 6,000 a minute on machines of its own.
constexpr int kProvisionedAtOnce = 10;
/// When one of them failed to initialize, the next try is after so long, doubled each time.
constexpr Duration kProvisionedRetryMin = std::chrono::seconds(1);
constexpr Duration kProvisionedRetryMax = std::chrono::minutes(1);

using EnvironmentId = std::uint64_t;
using CallId = std::uint64_t;

/// Where initialization happens: in its own phase, or (after a failure or a reset) inside the invocation, whose timeout
/// it then uses up and whose Duration it counts in.
enum class InitPhase { kInit, kInvoke };

/// Why initialization came to nothing.
enum class InitFailure {
  kReported,     ///< the runtime posted init/error
  kExited,       ///< the process ended before it asked for its first invocation
  kTimedOut,     ///< neither happened in time
  kExtension,    ///< an extension reported an error, exited, or could not be started
  kCannotStart,  ///< the command cannot be executed; trying again would not help
};

/// Start the function's process. Answered by on_gone(), once, when everything of it has ended; before that by
/// on_ready(), on_init_error() and on_exited() as it happens.
struct Start {
  EnvironmentId environment = 0;
  InitPhase phase = InitPhase::kInit;
  CallId call = 0;           ///< for whom; of a provisioned one nobody
  bool reset = false;        ///< the environment was there before: its /tmp is kept
  bool provisioned = false;  ///< it is kept ready for calls to come
  StartReason reason{};
};

/// Initialization came to its end, well or not; a second try of it is part of the same start.
struct Started {
  EnvironmentId environment = 0;
  ColdStart start;
};

/// Hand the call to the process, which has asked for an invocation.
struct Deliver {
  EnvironmentId environment = 0;
  CallId call = 0;
  Instant deadline{};    ///< when the function's time is over
  bool started = false;  ///< its run began with a Start in phase kInvoke
};

/// Initialization failed; the log says so.
struct InitFailed {
  EnvironmentId environment = 0;
  InitPhase phase = InitPhase::kInit;
  InitFailure failure{};
  Duration took{0};
};

/// End every process of the environment. Answered by on_gone(), as its Start.
struct Kill {
  enum class Reason { kInitFailed, kTimedOut, kExited, kExtensionFailed, kIdle, kCancelled, kStopping, kShutdownOver };
  EnvironmentId environment = 0;
  Reason reason{};
};

/// The Shutdown phase begins: SIGTERM to the runtime. Answered by on_exited().
struct StopRuntime {
  EnvironmentId environment = 0;
};

/// Kill the runtime, which did not stop in its time; external extensions go on. Answered by on_exited().
struct KillRuntime {
  EnvironmentId environment = 0;
};

/// Why an environment is shut down, as its extensions hear it.
enum class ShutdownReason { kSpindown, kTimeout, kFailure };

/// The runtime is gone: SHUTDOWN to the external extensions. A Kill follows when they are not gone by `deadline`.
struct TellExtensions {
  EnvironmentId environment = 0;
  ShutdownReason reason{};
  Instant deadline{};
};

/// The environment is no more: its folder can go. No answer.
struct Remove {
  EnvironmentId environment = 0;
};

/// How a call ended. The documents belong to the shell, which saw them.
enum class CallEnding {
  kAnswered,      ///< the function posted its response
  kFailed,        ///< the function posted an error
  kTimedOut,      ///< Sandbox.Timedout
  kExited,        ///< the process ended: Runtime.ExitError, or Runtime.OutOfMemory
  kInitReported,  ///< the second init failed; see InitFailure
  kInitExited,
  kExtensionFailed,  ///< Extension.Crash, or what the extension or its start reported before
  kCannotStart,      ///< Runtime.InvalidEntrypoint
  kCancelled,
};

/// Tell the caller. Exactly one for every on_call().
struct Finish {
  CallId call = 0;
  CallEnding how{};
  std::optional<EnvironmentId> environment;  ///< where it ran, or was to run
  bool ran = false;                          ///< the function's clock was started; `duration` counts
  Duration duration{0};
  std::optional<Duration> init_duration;  ///< of a cold start whose init phase succeeded
};

/// Every environment is gone and every call finished, after request_stop().
struct PoolDrained {};

using PoolAction = std::variant<Start, Started, Deliver, InitFailed, StopRuntime, KillRuntime, TellExtensions, Kill,
                                Remove, Finish, PoolDrained>;

/// How many environments there are, for status.
struct PoolCounts {
  int starting = 0;
  int idle = 0;
  int busy = 0;
  std::uint64_t cold_starts = 0;  ///< so far; a reset counts, a second try of init does not
};

/// The environments of a pool that are kept ready.
struct ProvisionedCounts {
  int requested = 0;
  int allocated = 0;     ///< initialized, though calls may have to wait for the others
  int available = 0;     ///< of these, calls get them; so many run provisioned calls at a time
  bool failing = false;  ///< the last one that was started did not get through its initialization
};

/// Which environments a call gets.
enum class CallPlace {
  kOnDemand,     ///< one that is started for calls
  kProvisioned,  ///< one that is kept ready; where none is any more, as kOnDemand
};

/// The execution environments of one function: started when a call finds none idle, used for one call at a time, the
/// most recently used one first, taken down after a while without calls. Pure: told what happened and when, answers
/// with what to do. One owner, not thread-safe. The contract is that of ShardProcessor. Concurrency is the ledger's
/// business: every call that comes gets an environment. Beside those that calls start, a number of environments can be
/// kept ready (provisioned concurrency): one that dies is replaced, and none is used before all of them are there, as
/// often as their number is raised. Source: lambda-runtime-environment (reference
/// invoke.md 1.6, 2.3): init has 10 s; a failed init is tried once more inside the invocation; a timeout or an exit
/// resets the environment, which starts again inside the next call; a handler's error keeps it.
class EnvironmentPool {
 public:
  explicit EnvironmentPool(PoolSettings settings);

  /// `call` is a number that is not in use.
  void on_call(Moment now, CallId call, CallPlace place = CallPlace::kOnDemand);
  /// So many environments are kept ready from now on; those that are too many end what they run.
  void provision(Moment now, int environments);
  /// The caller no longer waits. A call that already finished is ignored.
  void on_cancel(Moment now, CallId call);
  /// The environment has extensions of that kind: told when they are started, or register.
  void on_internal_extension(EnvironmentId environment);
  void on_external_extension(EnvironmentId environment);
  /// An extension's process ended outside the Shutdown phase, or could not be started.
  void on_extension_failed(Moment now, EnvironmentId environment);
  /// The runtime asks for an invocation, and every extension is done with the last one.
  void on_ready(Moment now, EnvironmentId environment);
  /// The runtime posted the answer to the call (`failed`: as an error). Only while call_of() names a call.
  void on_answer(Moment now, EnvironmentId environment, bool failed);
  /// The runtime posted init/error. Only while initializing().
  void on_init_error(Moment now, EnvironmentId environment);
  /// The function's process ended by itself, or (`cannot_start`) could not be executed. on_gone() follows.
  void on_exited(Moment now, EnvironmentId environment, bool cannot_start);
  void on_gone(Moment now, EnvironmentId environment);
  void on_tick(Moment now);
  /// Calls everything off: running calls end as cancelled, environments are killed; then PoolDrained.
  void request_stop(Moment now);

  std::optional<PoolAction> next();
  std::optional<Instant> wake_at() const;

  PoolCounts counts() const;
  ProvisionedCounts provisioned() const;
  /// The call that the environment's process was given and has not answered.
  std::optional<CallId> call_of(EnvironmentId environment) const;
  /// Whether the process runs and has not asked for its first invocation.
  bool initializing(EnvironmentId environment) const;
  /// Whether the process may ask for an invocation now: while it initializes, and when it has answered.
  bool may_ask(EnvironmentId environment) const;
  /// Whether it is being taken down, so that processes that end are no news.
  bool ending(EnvironmentId environment) const;

 private:
  enum class State {
    kInitializing,
    kIdle,
    kBusy,
    kReturning,  ///< has answered, has not asked again
    kEnding,     ///< killed or exited, not gone
    kReset,      ///< no process; starts again with the next call
  };
  /// What an environment that ends is waiting for.
  enum class Step {
    kGone,        ///< everything was killed, or ended by itself
    kRuntime,     ///< SIGTERM was sent
    kExtensions,  ///< SHUTDOWN was sent
  };
  struct Environment {
    State state = State::kInitializing;
    InitPhase phase = InitPhase::kInit;
    std::optional<CallId> call;
    Instant phase_since{};                  ///< start of initialization, or of the state
    Instant run_since{};                    ///< when the function's clock started
    Instant deadline{};                     ///< of initialization, or of the run
    std::optional<Duration> init_duration;  ///< not yet reported
    bool init_failed_before = false;        ///< the next start for this call is the second try
    bool remove_when_gone = false;
    bool provisioned = false;           ///< one of those that are kept ready
    bool held = false;                  ///< idle, and not used before the others are there
    StartReason reason{};               ///< of this start
    std::optional<StartReason> killed;  ///< of the next one, by how this one ended
    bool internal_extension = false;
    bool external_extension = false;
    bool runtime_gone = false;
    Step step = Step::kGone;
    ShutdownReason shutdown{};
    Instant runtime_until{};   ///< when its patience with the runtime ends
    Instant shutdown_until{};  ///< and with everything
  };

  struct Waiting {
    CallId call = 0;
    CallPlace place{};
  };

  Environment* find(EnvironmentId id);
  const Environment* find(EnvironmentId id) const;
  void assign(Moment now);
  void hand_out(Moment now);
  void start_for(Moment now, CallId call, std::vector<EnvironmentId>& resets);
  void start(Moment now, EnvironmentId id, Environment& environment, std::optional<CallId> call, InitPhase phase,
             bool reset);
  void become_idle(Moment now, EnvironmentId id, Environment& environment);
  /// Starts provisioned environments that are missing, and lets those be used that all others were waited for.
  void balance(Moment now);
  void trim(Moment now);
  void deliver(Moment now, EnvironmentId id, Environment& environment, CallId call);
  void fail_init(Moment now, EnvironmentId id, Environment& environment, InitFailure failure);
  void kill(Moment now, EnvironmentId id, Environment& environment, Kill::Reason reason);
  /// The Shutdown phase, as far as the environment has one, then kill().
  void shut_down(Moment now, EnvironmentId id, Environment& environment, Kill::Reason reason);
  void tell_extensions(EnvironmentId id, Environment& environment);
  void on_ending_tick(Moment now, EnvironmentId id, Environment& environment);
  StartReason new_reason() const;
  void finish(Moment now, EnvironmentId id, Environment& environment, CallEnding how);
  /// Whether a call may soon be given to it, though not now.
  static bool comes_back(const Environment& environment);
  static void end(Moment now, Environment& environment);
  void drain();
  void forget_idle(EnvironmentId id);

  PoolSettings settings_;
  std::map<EnvironmentId, Environment> environments_;
  std::deque<Waiting> waiting_;      ///< calls without an environment, oldest first
  std::deque<EnvironmentId> idle_;   ///< most recently used last
  std::deque<EnvironmentId> ready_;  ///< likewise, of those that are provisioned
  std::deque<PoolAction> actions_;
  EnvironmentId last_environment_ = 0;
  std::uint64_t cold_starts_ = 0;
  int provisioned_ = 0;      ///< how many there are to be
  bool allocating_ = false;  ///< until they are all there for the first time
  int failed_inits_ = 0;     ///< of provisioned environments, since one succeeded
  Instant retry_at_{};       ///< after such a failure
  bool stopping_ = false;
  bool drained_ = false;
};

}  // namespace weir::engine
