#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/connector.h"
#include "weir/event/invocation.h"
#include "weir/service.h"

#include "bridge/event_queue.h"
#include "config/config.h"
#include "http/server.h"

namespace weir::gateway {

/// What the gateway asks of the rest of weir; a bridge, or a fake in tests. All calls come on the server's executor.
class Functions {
 public:
  virtual ~Functions() = default;
  /// Whether there is a function of this name, and of this version or alias ("": unqualified).
  virtual bool knows(const std::string& function, const std::string& qualifier) const = 0;
  /// Whether there are no others: those that the Lambda API made are read at the start.
  virtual bool known_are_all() const = 0;
  virtual net::awaitable<Outcome> invoke(Invocation call) = 0;
  /// On disk when it returns. event.refused: the caller's mistake; any other error: nothing was kept.
  virtual net::awaitable<Result<std::string>> accept(bridge::NewEvent event) = 0;
  virtual net::awaitable<WebhookResponse> webhook(std::string type, std::string source, WebhookRequest request) = 0;
  virtual net::awaitable<ServiceAnswer> call(const ServiceEntry& service, ServiceCall call) = 0;
};

/// All references outlive the handler.
struct GatewayDeps {
  Functions& functions;
  /// Access key ids and their secrets, Config::access_keys. Some: calls of AWS's APIs have to be signed with one. None:
  /// nothing is checked, but a request that a web page made is refused.
  const std::map<std::string, std::string>& access_keys;
  std::span<const ServiceEntry> services;  ///< those that calls are taken for
  std::string address;                     ///< where it listens, as the configuration says
  Log& log;
  const Clock& clock;
};

/// Answers the gateway's address: Lambda's Invoke API (POST /2015-03-31/functions/NAME/invocations and
/// POST /2014-11-13/functions/NAME/invoke-async), the APIs of the services that weir stands in for, webhooks
/// (POST /TYPE/SOURCE) and a page that says so (GET /). Status,
/// headers and texts are AWS's (docs/gateway.md). A caller that hangs up ends nothing: the invocation goes on.
///
/// In `weir run`:
///   auto functions = gateway::functions_of(bridge);                                  // gateway/bridge_functions.h
///   auto server = http::Server::listen(executor, config.listen,
///                                      gateway::gateway_handler({*functions, config.access_keys, services(),
///                                                               config.listen, log, clock}),
///                                      gateway::gateway_options(config));
/// and at the end server->drain() once bridge.run() is over: callers get their answers, or a 500 ServiceException when
/// weir stops before there is one.
http::Handler gateway_handler(GatewayDeps deps);

/// Limits of the gateway's server, and what the server itself refuses in AWS's shape.
http::ServerOptions gateway_options(const config::Config& config);

}  // namespace weir::gateway
