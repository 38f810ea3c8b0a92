#pragma once

#include "weir/connector.h"
#include "weir/service.h"

namespace weir::sns {

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);
std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context);
std::string sample_event();
std::span<const SampleEvent> samples();

std::unique_ptr<Service> make_service(ServiceContext context);
inline constexpr std::string_view kPaths[] = {"/SimpleNotificationService-"};
/// Whoever has the link of a message may follow it, and fetch the certificate.
inline constexpr std::string_view kUnsigned[] = {"ConfirmSubscription", "Unsubscribe", ""};

}  // namespace weir::sns
