#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
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
#include "store/store.h"

namespace weir::bridge {

/// What a function looks like from outside.
struct FunctionStatus {
  std::string name;
  std::optional<int> reserved;
  int executing = 0;
  int executing_max = 0;
  std::uint64_t throttles = 0;
  engine::InvocationMeter meter;
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
  std::vector<FunctionStatus> functions;
  bool queue_parked = false;
  std::vector<AsyncStatus> queue;  ///< the asynchronous queue, by function
  std::vector<SourceStatus> sources;
  std::vector<ServiceStatus> services;
  bool deliveries_parked = false;
  std::vector<DeliveryStatus> deliveries;  ///< of services, to anything but functions
};

/// The endpoint of each configured function, by its name.
using Endpoints = std::map<std::string, std::unique_ptr<LambdaEndpoint>>;

/// The running whole: functions, sources, their supervisors, and the end of it. One executor, one thread.
class Bridge {
 public:
  /// `config` and `store` outlive the bridge. `blocking`: a pool's executor. `endpoints`: one for each function of the
  /// configuration. `services`: those that it stands in for.
  Bridge(net::any_io_executor executor, net::any_io_executor blocking, const config::Config& config,
         store::StateFolder& store, Endpoints endpoints, Log& log, const Clock& clock,
         std::span<const ServiceEntry> services = {});
  ~Bridge();

  /// Runs until request_stop(): then nothing new is taken, in-flight invocations finish within `shutdown_grace`,
  /// checkpoints are written, functions end. The error says why it could not begin: what waits in the queue could not
  /// be read.
  net::awaitable<Result<void>> run();

  /// The first call drains; a further one ends at once what is in flight, still losing nothing.
  void request_stop();

  /// Whether every source has ended by itself, so that nothing more will happen.
  bool finished() const;

  BridgeStatus status() const;

  /// Whether there is a function of this name, and of this version or alias.
  bool knows(const std::string& function, const std::string& qualifier) const;

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
  Destinations::Here here();
  net::awaitable<void> deliver();
  net::awaitable<void> end_within(Duration grace);
  net::awaitable<void> calls_ended();

  net::any_io_executor executor_;
  net::any_io_executor blocking_;
  const config::Config& config_;
  store::StateFolder& store_;
  Log& log_;
  const Clock& clock_;
  WallTime started_;
  Endpoints endpoints_;
  Invoker invoker_;
  EventQueue queue_;
  DeliveryRunner deliveries_;
  Services services_;
  std::vector<std::unique_ptr<Supervisor>> supervisors_;
  net::steady_timer stop_;
  net::steady_timer call_ended_;
  int calls_ = 0;  ///< requests under way
  int stop_requests_ = 0;
  bool out_of_patience_ = false;
  bool ready_ = false;
};

}  // namespace weir::bridge
