#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "weir/base/log.h"
#include "weir/service.h"

#include "bridge/delivery_runner.h"
#include "bridge/event_queue.h"
#include "config/config.h"
#include "runtime/task_scope.h"
#include "store/event_store.h"

namespace weir::bridge {

/// What a service looks like from outside.
struct ServiceStatus {
  std::string name;
  bool ready = false;
  std::string error;  ///< why it does not run, or ""
  std::uint64_t calls = 0;
  std::map<std::string, std::uint64_t> accepted;  ///< deliveries by the source that they are of, "" of none
};

/// The services that weir stands in for, and what they may ask of the bridge. One executor, one thread.
class Services {
 public:
  /// Everything outlives the services.
  struct Deps {
    net::any_io_executor executor;
    net::any_io_executor blocking;  ///< a pool's
    EventQueue& queue;
    DeliveryRunner& deliveries;
    store::EventStore& events;
    /// Whether there is a function of this name, and of this version or alias ("": unqualified).
    std::function<bool(std::string_view function, std::string_view qualifier)> knows;
    /// The function that has this ARN in the configuration; "" when none has.
    std::function<std::string(std::string_view arn)> with_arn;
    Log& log;
    const Clock& clock;
  };
  Services(Deps deps, const config::Config& config, std::span<const ServiceEntry> table);
  ~Services();
  /// One that the table does not make; before run(). `entry` outlives the services.
  void add(const ServiceEntry& entry, std::unique_ptr<Service> service);

  /// Runs every service until end(); one that fails is run again with backoff.
  net::awaitable<void> run();
  /// Returns when each service runs, or has failed once, or has had its time to begin; or weir stops.
  /// `only`: of that service alone, where there is one; "" of all.
  net::awaitable<void> begun(std::string only = "");
  /// No call of an API is taken any more. The services go on, for what is on its way may end at one of them.
  void request_stop();
  /// The end of patience: what takes a message is called off, and the services are ended.
  void cancel();
  /// Nothing is on its way any more.
  void end();

  /// A call of a service's API. 503 while the service does not run, and while weir stops.
  net::awaitable<ServiceAnswer> call(const ServiceEntry& service, ServiceCall call);

  /// Whether a target is in this process: a function ("lambda:NAME"), a resource that a service has, or any that one
  /// would have by its ARN: nothing of weir's own account is looked for elsewhere. Waits until that is known; while a
  /// service does not run, all that may be its own is.
  net::awaitable<bool> owns(std::string target);
  /// Takes a message for such a target. destination.gone when it is not there; event.refused when it is too large, or
  /// one of too many in a row; destination.failed while its service does not run.
  net::awaitable<Result<void>> take(std::string target, DestinationRecord message);

  std::vector<ServiceStatus> status() const;

 private:
  class Host;
  struct Running;

  struct Taking;
  class TakingEnds;

  Running* of_scheme(std::string_view target) const;
  net::awaitable<void> live(Running& running);
  net::awaitable<void> take_into(Running& running, std::string target, DestinationRecord message, TakingEnds taking);
  net::awaitable<Result<void>> commit(Running& running, ServiceCommit what);
  bool exists(std::string_view target) const;

  Deps deps_;
  std::vector<std::unique_ptr<Running>> services_;
  runtime::TaskScope running_;
  runtime::TaskScope takes_;  ///< so that a message under way can be called off, whoever waits for it
  bool stand_in_;             ///< whether the configuration says where AWS is, so that it is not AWS itself
  net::steady_timer ended_;
  std::optional<Instant> begin_by_;
  bool stopping_ = false;
  bool ending_ = false;
};

/// What a delivery's target is called, by an ARN; "" of anything that weir cannot deliver to. A function of weir's own
/// account and region is known by its name; so is one whose ARN a function of the configuration has (`with_arn`).
std::string target_of(std::string_view arn, const std::function<std::string(std::string_view arn)>& with_arn);

}  // namespace weir::bridge
