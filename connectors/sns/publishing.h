#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/sns/certificate.h"
#include "connectors/sns/notification.h"
#include "connectors/sns/topics.h"

namespace weir::sns {

/// What notifications are made with.
struct Sender {
  const SigningKey& key;
  std::string address;  ///< how the gateway is reached, for the links: "http://127.0.0.1:4580"
  /// What a function's or queue's ARN is called as a target; "" of anything that cannot be delivered to.
  std::function<std::string(std::string_view arn)> target_of;
};

/// The deliveries of a message to those subscriptions of a topic that want it.
std::vector<ServiceDelivery> fan_out(const Topic& topic, const Message& message, const Sender& sender);

/// What a new HTTP endpoint is sent, or one that was unsubscribed. `type`: "SubscriptionConfirmation" or
/// "UnsubscribeConfirmation". `id`: of the message.
ServiceDelivery confirmation(std::string_view type, const Topic& topic, const Subscription& subscription,
                             const Sender& sender, std::string id, WallTime now);

}  // namespace weir::sns
