#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/connector.h"
#include "weir/destination.h"
#include "weir/event/delivery.h"
#include "weir/event/kept.h"

namespace weir {

/// Where everything lives that weir stands in for: functions, topics, buses, log groups.
inline constexpr std::string_view kLocalRegion = "us-east-1";
inline constexpr std::string_view kLocalAccount = "000000000000";

/// A call of an AWS API at the gateway. Its signature is checked already, where keys are configured.
struct ServiceCall : WebhookRequest {
  ServiceCall() = default;

  /// What X-Amz-Target names behind its dot, or the form's Action; "" of a service whose operations are paths.
  std::string operation;
  std::string path;   ///< as it was sent
  std::string query;  ///< as it was sent, without the question mark
  std::string request_id;
  std::string trace_header;  ///< to be passed on with what the call leads to
  std::string address;       ///< how the caller reached the gateway: "http://127.0.0.1:4580"
};

struct ServiceAnswer {
  ServiceAnswer() = default;
  ServiceAnswer(int status_code, std::string type, std::string text)
      : status(status_code), content_type(std::move(type)), body(std::move(text)) {}

  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;  ///< beside Content-Type and x-amzn-RequestId
  std::string body;
};

/// What is to be done all together or not at all.
struct ServiceCommit {
  ServiceCommit() = default;

  std::vector<ServiceDelivery> deliveries;
  std::vector<SourceNote> notes;  ///< of the service, which every source of it shares
  std::vector<KeptEvent> kept;    ///< without ids
};

/// What a service may ask of the bridge. Calls come on the executor; every one waits for the disk.
class ServiceHost {
 public:
  virtual ~ServiceHost() = default;

  /// When it returns, all of it is on disk, fsynced, in one transaction, and each delivery is under way: to a function
  /// as an asynchronous invocation, to anything else with its own rules. Errors, of which none kept anything:
  ///   event.refused   a delivery is larger than its target takes, or one of too many in a row (a loop)
  ///   cancelled, store.*, internal   as EventSink::accept()
  virtual net::awaitable<Result<void>> commit(ServiceCommit what) = 0;
  /// What the service remembers, by key.
  virtual net::awaitable<Result<std::map<std::string, std::string>>> notes() = 0;
  /// The first of the events of a log that are wanted.
  virtual net::awaitable<Result<KeptPage>> kept(KeptRange range) = 0;
  /// Forgets the events of a log that are older; all of them with WallTime::max().
  virtual net::awaitable<Result<void>> forget(std::string log, WallTime before) = 0;
  /// What a delivery's target is called, by the ARN of a function, queue, topic, bus, log group or stream:
  /// "lambda:NAME", "sqs:ARN" ...; "" of anything that weir cannot deliver to. Whether it is there is not asked.
  virtual std::string target_of(std::string_view arn) const = 0;
  /// Whether a target is there, as far as weir knows: its functions, and its services' own resources; true of what is
  /// elsewhere.
  virtual bool exists(std::string_view target) const = 0;
};

/// An AWS service that weir stands in for: its API at the gateway, and what its sources in the configuration are fed
/// from. One per bridge. All calls come on the executor of its context.
class Service {
 public:
  virtual ~Service() = default;

  /// Reads what it remembers, and does what it has to do by the clock (schedules, replays, retention) until it is
  /// cancelled or fails for good. `host` outlives the call.
  virtual net::awaitable<Result<void>> run(ServiceHost& host) = 0;

  /// Answers a call of its API; what it changes is on disk before. Only called while run() runs and has read what the
  /// service remembers (ready()). Never throws for what a caller sent.
  virtual net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) = 0;
  virtual bool ready() const = 0;

  /// Whether one of its resources is meant by a destination: "sns:orders", "eventbridge:default", or an ARN behind the
  /// scheme.
  virtual bool owns(std::string_view target) const = 0;
  /// Takes a message for such a resource, as if its API were called: it is on disk when it returns. Errors: those of
  /// ServiceHost::commit().
  virtual net::awaitable<Result<void>> take(ServiceHost& host, std::string target, DestinationRecord message) = 0;
};

/// A source of the configuration that a service feeds.
struct ServiceSource {
  std::string name;
  std::string function;
  std::shared_ptr<const SourceConfig> config;
};

/// What a service is made with. All references outlive it.
struct ServiceContext {
  net::any_io_executor executor;
  net::any_io_executor blocking;  ///< a pool's
  Log& log;
  const Clock& clock;
  AwsAccess aws;                       ///< the configuration's `aws` section
  std::vector<ServiceSource> sources;  ///< those of its type that are enabled, in the order of the file
};

/// One line of the table of services (connectors/table.cpp). A call is a service's by its X-Amz-Target ("AWSEvents."),
/// by its path, by the Version of its form, or else by the credential scope of its signature.
struct ServiceEntry {
  std::string_view name;           ///< "events": the scope of signatures
  std::string_view scheme;         ///< of destinations that are its resources: "eventbridge"; "" when there are none
  std::string_view source_type;    ///< of the sources that it feeds; "" when there are none
  std::string_view target_prefix;  ///< "AWSEvents"; "" when its protocol has none
  std::string_view form_version;   ///< "2010-03-31"; "" when it is no query protocol
  /// The beginnings of paths that are its own: "/schedules", "/SimpleNotificationService-". Only of services that have
  /// some.
  std::span<const std::string_view> paths;
  /// Operations that nobody signs: whoever has the link may confirm a subscription.
  std::span<const std::string_view> unsigned_operations;
  std::string_view about;
  std::unique_ptr<Service> (*make)(ServiceContext context);
};

}  // namespace weir
