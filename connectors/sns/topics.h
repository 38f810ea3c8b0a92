#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/time.h"

#include "connectors/sns/delivery_policy.h"
#include "connectors/sns/message.h"

namespace weir::sns {

using Attributes = std::map<std::string, std::string>;

/// Who gets a topic's messages.
struct Subscription {
  Subscription() = default;

  std::string id;  ///< a UUID, the last part of its ARN
  std::string topic;
  std::string protocol;  ///< "lambda", "sqs", "http", "https"
  std::string endpoint;
  Attributes attributes;
  bool confirmed = true;
  bool ended = false;  ///< unsubscribed; its UnsubscribeConfirmation may bring it back for a while
  std::string token;   ///< of its confirmation
  WallTime token_at;
  std::string source;    ///< of the configuration, which declares it; "": made by the API
  std::string function;  ///< of such a source

  std::string arn() const;
  bool is_http() const { return protocol == "http" || protocol == "https"; }
  bool has(const std::string& attribute, std::string_view value) const;
};

struct Topic {
  Topic() = default;

  std::string name;
  Attributes attributes;
  Attributes tags;
  bool declared = false;                              ///< by a source of the configuration
  std::map<std::string, Subscription> subscriptions;  ///< by id

  std::string arn() const;
  bool is_fifo() const { return name.ends_with(".fifo"); }
  std::string text(const std::string& attribute, std::string_view fallback) const;
  DeliveryPolicy delivery_policy() const;
};

/// How an endpoint of this subscription is tried: its own policy, or the topic's.
DeliveryPolicy delivery_policy(const Topic& topic, const Subscription& subscription);

/// As notes keep them; what cannot be read is nothing.
std::string write_topic(const Topic& topic);
std::optional<Topic> read_topic(std::string_view name, std::string_view note);
std::string write_subscription(const Subscription& subscription);
std::optional<Subscription> read_subscription(std::string_view id, std::string_view note);

/// The name of a local topic, or the name and the subscription's id, in an ARN.
std::optional<std::string> topic_of(std::string_view arn);
struct SubscriptionName {
  std::string topic;
  std::string id;
};
std::optional<SubscriptionName> subscription_of(std::string_view arn);

/// Whether AWS takes such a value. Nothing stored is touched.
Answered<void> check_topic_attribute(std::string_view name, const std::string& value, bool fifo, bool creating);
Answered<void> check_subscription_attributes(const Attributes& attributes, std::string_view protocol);

}  // namespace weir::sns
