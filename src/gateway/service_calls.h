#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "weir/service.h"

#include "http/message.h"

namespace weir::gateway {

/// Whose API a request is a call of.
struct ServiceRoute {
  const ServiceEntry* service = nullptr;  ///< null: of one that weir does not stand in for
  std::string operation;                  ///< "PutEvents"; "" of a service whose operations are paths
};

/// Tells AWS's protocols apart: X-Amz-Target ("AWSEvents.PutEvents") of the JSON ones; a service's own paths, and all
/// of Lambda's but Invoke, where weir has its service ("lambda"); Action and Version of the query protocol, in the body
/// or, with GET, in the query; where a Version says nothing, the service in the signature's scope. Nothing when the
/// request is none of these.
std::optional<ServiceRoute> find_service(const http::Request& request, std::span<const ServiceEntry> services);

/// Whether a request brings a function's code, which may be larger than what a function takes.
bool brings_code(std::string_view method, std::string_view path);

/// Whether a call needs no signature where others do.
bool goes_unsigned(const ServiceRoute& route);

/// The call of a route. `address`: where the gateway listens, for callers that name no host.
ServiceCall service_call(http::Request request, const ServiceRoute& route, const std::string& request_id,
                         std::string trace_header, const std::string& address);

}  // namespace weir::gateway
