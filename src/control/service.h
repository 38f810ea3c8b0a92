#pragma once

#include <memory>
#include <span>
#include <string>

#include "weir/service.h"

#include "config/function_plan.h"
#include "config/mapping_host.h"

namespace weir::control {

/// How the gateway knows Lambda's management API. It is not in the table of services: it is made with the bridge whose
/// functions it changes.
const ServiceEntry& service_entry();

/// Lambda's API but Invoke. `functions` and `mappings` outlive it. `connectors`: what event source mappings can read.
/// `state`: the state folder; the functions' code is kept in it.
std::unique_ptr<Service> make_service(ServiceContext context, config::FunctionHost& functions,
                                      config::MappingHost& mappings, std::span<const ConnectorEntry> connectors,
                                      const std::string& state);

}  // namespace weir::control
