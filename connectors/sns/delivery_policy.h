#pragma once

#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/event/delivery.h"

namespace weir::sns {

/// How an HTTP endpoint is tried. Source: sns-message-delivery-retries.
struct DeliveryPolicy {
  DeliveryPolicy();

  DeliveryRules rules;
  std::string content_type;              ///< of notifications; "": SNS's own
  bool subscriptions_may_differ = true;  ///< of a topic's
};

/// Reads a subscription's DeliveryPolicy, or the part `http` of a topic's; what is not said is as in `defaults`.
/// event.refused says why it cannot be.
Result<DeliveryPolicy> read_subscription_policy(std::string_view text, const DeliveryPolicy& defaults);
Result<DeliveryPolicy> read_topic_policy(std::string_view text);

/// As EffectiveDeliveryPolicy: a subscription's, or a topic's under http with its names.
std::string subscription_policy_json(const DeliveryPolicy& policy);
std::string topic_policy_json(const DeliveryPolicy& policy);

/// How functions and queues are tried: 100,015 times over 23 days.
DeliveryRules service_rules();

}  // namespace weir::sns
