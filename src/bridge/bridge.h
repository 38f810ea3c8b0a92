#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "bridge/checkpoints.h"
#include "bridge/delivery_runner.h"
#include "bridge/event_queue.h"
#include "bridge/invoker.h"
#include "bridge/services.h"
#include "bridge/supervisor.h"
#include "config/config.h"
#include "config/function_plan.h"
#include "config/mapping_host.h"
#include "runtime/task_scope.h"
#include "store/store.h"

namespace weir::bridge {

/// What a function looks like from outside.
struct FunctionStatus {
  std::string name;
  std::optional<int> reserved;
  int executing = 0;
  int executing_max = 0;
  std::uint64_t throttles = 0;
  std::map<std::string, engine::ProvisionedUse, std::less<>> provisioned;  ///< by version
  engine::InvocationMeter meter;
  std::map<std::string, engine::ResourceFigures, std::less<>> resources;  ///< the same by what was called: a qualifier
};

struct BridgeStatus {
  WallTime started;
  bool ready = false;
  bool stopping = false;
  int concurrency = 0;
  int executing = 0;
  int executing_max = 0;
  int unreserved = 0;
  int executing_unreserved = 0;
  int claimed = 0;
  std::vector<FunctionStatus> functions;
  bool queue_parked = false;
  std::vector<AsyncStatus> queue;  ///< the asynchronous queue, by function
  std::vector<SourceStatus> sources;
  std::vector<ServiceStatus> services;
  bool deliveries_parked = false;
  std::vector<DeliveryStatus> deliveries;  ///< of services, to anything but functions
};

/// Makes what runs a function; of one that weir runs itself: what runs one version of it, whose settings are the
/// function's target. `version` is "" of all others. Several may live at a time: what is replaced ends its calls first.
using EndpointFactory = std::function<Result<std::unique_ptr<LambdaEndpoint>>(const config::FunctionConfig& function,
                                                                              const std::string& version)>;

/// The running whole: functions, sources, their supervisors, and the end of it. Functions and sources come, change and
/// go while it runs. One executor, one thread.
class Bridge final : public config::FunctionHost, public config::MappingHost {
 public:
  /// `store` outlives the bridge. `blocking`: a pool's executor. `services`: those that it stands in for.
  Bridge(net::any_io_executor executor, net::any_io_executor blocking, config::Config config, store::StateFolder& store,
         EndpointFactory make_endpoint, Log& log, const Clock& clock, std::span<const ServiceEntry> services = {});
  ~Bridge() override;

  /// A service that the table does not make, because it is made with the bridge; before run(). `entry` outlives it.
  void serve(const ServiceEntry& entry, std::unique_ptr<Service> service) { services_.add(entry, std::move(service)); }

  /// Runs until request_stop(): then nothing new is taken, in-flight invocations finish within `shutdown_grace`,
  /// checkpoints are written, functions end. The error says why it could not begin: a function of the configuration
  /// could not be prepared, or what waits in the queue could not be read.
  net::awaitable<Result<void>> run();

  /// The first call drains; a further one ends at once what is in flight, still losing nothing.
  void request_stop();

  /// Whether every source has ended by itself, so that nothing more will happen.
  bool finished() const;

  BridgeStatus status() const;

  // What the Lambda API asks for; before run() too.
  const std::map<std::string, config::FunctionConfig>& configured() const override { return config_->functions; }
  Result<void> check(const config::FunctionPlan& plan) const override;
  void put(config::FunctionPlan plan) override;
  void extend(config::FunctionPlan plan) override;
  void remove(const std::string& name) override;
  std::optional<config::ProvisionedState> provisioned(const std::string& name,
                                                      const std::string& qualifier) const override;
  int unreserved() const override { return invoker_.ledger().unreserved(); }
  int account() const override { return invoker_.ledger().account(); }

  // What it asks for of event source mappings; before run() too.
  const config::Config& configuration() const override { return *config_; }
  net::awaitable<Result<void>> probe(config::SourceEntry source) override;
  void put_mapping(config::SourceEntry source) override;
  void remove_mapping(const std::string& uuid, std::function<void()> gone) override;
  std::optional<config::MappingState> mapping(const std::string& name) const override;

  /// Whether the sources of that type belong to a service, so that they are what they were at the start.
  bool fixed_type(std::string_view type) const;
  /// From now on functions, sources, `concurrency` and `shutdown_grace` are those of `next`; nothing else of it is
  /// looked at. `sources`: the names of those that are not what they were, new and removed ones included; one that is
  /// of a fixed type stays. A function's environments are replaced after what they run; a source is drained, and goes
  /// on from its checkpoints. What the Lambda API has made stays. Errors, with which nothing has changed:
  /// config.invalid (a name that a function or mapping of the Lambda API has, reservations that leave too little with
  /// those of such functions), cancelled (weir stops).
  Result<void> reload(config::Config next, const std::set<std::string>& sources);
  /// The code of $LATEST is another: its environments are replaced after what they run.
  void renew(const std::string& function);

  /// Whether there is a function of this name, and of this version or alias.
  bool knows(const std::string& function, const std::string& qualifier) const override;
  /// Whether it knows all that there are: what the Lambda API has made is read as run() begins.
  bool began() const { return ready_; }

  /// One synchronous invocation. The caller chose the request id.
  net::awaitable<Outcome> invoke(Invocation call);

  /// One asynchronous invocation: on disk, fsynced, when it returns its request id. Errors: event.refused (too large),
  /// store.* and cancelled (weir stops): nothing was kept, which is a 500 ServiceException to the caller.
  net::awaitable<Result<std::string>> accept(NewEvent event);

  /// A request to the webhook of a source: POST /TYPE/SOURCE at the gateway. 404 without such a source, 503 while it
  /// does not run.
  net::awaitable<WebhookResponse> webhook(std::string type, std::string source, WebhookRequest request);

  /// A call of the API of a service that the bridge was made with; 503 while that does not run.
  net::awaitable<ServiceAnswer> call(const ServiceEntry& service, ServiceCall call);

  /// As EventStore's list() and list_piece().
  net::awaitable<Result<std::vector<store::DeadLetter>>> dead_letters(store::DeadLetterFilter which, std::size_t limit,
                                                                      bool whole);
  net::awaitable<Result<std::vector<store::DeadLetter>>> dead_letter_piece(store::DeadLetterFilter which,
                                                                           std::size_t limit);
  /// Sends dead letters again, each as an asynchronous invocation of its function with a new request id, or to the
  /// target that did not take it. Returns how many.
  net::awaitable<Result<Redriven>> redrive(store::DeadLetterFilter which);

  /// Moves checkpoints of a source while it is not reading. `to` none: forgets them. An empty shard: all of the
  /// source's. Errors: source.not_found, those of check_move(), before anything is stopped, and of who keeps them.
  net::awaitable<Result<void>> move_checkpoint(std::string source, std::string shard, std::optional<Resume> to);
  net::awaitable<Result<std::vector<CheckpointRow>>> checkpoints();

 private:
  /// A request under way: it is answered before run() ends, as long as there is patience.
  class Call {
   public:
    explicit Call(Bridge& bridge) : bridge_(bridge) { ++bridge_.calls_; }
    ~Call() {
      --bridge_.calls_;
      bridge_.call_ended_.cancel();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Bridge& bridge_;
  };
  /// A source and what keeps it running. Shared with its coroutine.
  struct Source {
    std::shared_ptr<Supervisor> supervisor;   ///< shared with who waits for it: it is replaced when it has ended
    std::optional<config::SourceEntry> next;  ///< what it will be
    bool ending = false;                      ///< it drains, to be `next` or nothing
    std::function<void()> gone;               ///< its checkpoints are forgotten behind it, and this is told
  };
  std::shared_ptr<Supervisor> make_supervisor(config::SourceEntry entry);
  net::awaitable<void> run_source(std::shared_ptr<Source> source);
  void change_source(const std::string& name, std::optional<config::SourceEntry> next);
  std::shared_ptr<Source> find(const std::string& source) const;
  net::awaitable<void> forget(std::string source, std::function<void()> gone);
  std::shared_ptr<const config::Config> with_mappings() const;

  Result<void> install(const config::FunctionConfig& function);
  Result<void> install(const config::FunctionPlan& plan);
  void note(const std::string& function, const Result<void>& installed);
  Invoker::MakeVersion maker(const std::string& function) const;
  void retire(std::unique_ptr<LambdaEndpoint> endpoint);
  net::awaitable<void> close(std::unique_ptr<LambdaEndpoint> endpoint);
  Result<void> check_functions(const config::Config& next) const;

  Destinations::Here here();
  net::awaitable<void> deliver();
  net::awaitable<void> end_within(Duration grace);
  net::awaitable<void> calls_ended();

  net::any_io_executor executor_;
  net::any_io_executor blocking_;
  std::shared_ptr<const config::Config> config_;  ///< shared with what reads it on another thread
  store::StateFolder& store_;
  Log& log_;
  const Clock& clock_;
  WallTime started_;
  EndpointFactory make_endpoint_;
  std::span<const ServiceEntry> table_;
  Result<void> prepared_;  ///< the configuration's functions, at the start
  runtime::TaskScope closing_;
  Invoker invoker_;
  EventQueue queue_;
  DeliveryRunner deliveries_;
  Services services_;
  runtime::TaskScope parts_;
  std::vector<std::shared_ptr<Source>> sources_;
  net::steady_timer stop_;
  net::steady_timer call_ended_;
  std::map<std::string, config::FunctionPlan> additions_;  ///< to functions of the configuration
  int calls_ = 0;                                          ///< requests under way
  int stop_requests_ = 0;
  bool out_of_patience_ = false;
  bool ready_ = false;
};

}  // namespace weir::bridge
