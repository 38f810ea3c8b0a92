#include "connectors/sns/publishing.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "pattern/sns_policy.h"

namespace weir::sns {
namespace {

/// The gateway knows by it whose operation a link is of: nobody signs those.
constexpr std::string_view kVersion = "&Version=2010-03-31";
constexpr std::string_view kUserAgent = "Amazon Simple Notification Service Agent";
constexpr std::string_view kContentType = "text/plain; charset=UTF-8";

/// Whether the subscription's policy lets a message through. One that cannot be judged is not let through.
bool wants(const Subscription& subscription, const Message& message) {
  const auto policy = subscription.attributes.find("FilterPolicy");
  if (policy == subscription.attributes.end()) return true;
  const bool body = subscription.has("FilterPolicyScope", "MessageBody");
  const auto matched = body ? pattern::sns_policy_matches(policy->second, pattern::PolicyScope::kMessageBody,
                                                          message.text_for(subscription.protocol))
                            : pattern::sns_policy_matches(policy->second, pattern::PolicyScope::kMessageAttributes,
                                                          attributes_json(message.attributes));
  return matched && *matched;
}

std::string dead_letter_target(const Subscription& subscription) {
  const auto policy = subscription.attributes.find("RedrivePolicy");
  if (policy == subscription.attributes.end()) return "";
  return "sqs:" + nlohmann::json::parse(policy->second).at("deadLetterTargetArn").get<std::string>();
}

void add_headers(MessageDetails& details, const Notification& notification, const std::string& subscription_arn,
                 std::string_view content_type) {
  auto& headers = details.headers;
  headers.emplace_back("x-amz-sns-message-type", notification.type);
  headers.emplace_back("x-amz-sns-message-id", notification.id);
  headers.emplace_back("x-amz-sns-topic-arn", notification.topic_arn);
  if (notification.type != "SubscriptionConfirmation") {
    headers.emplace_back("x-amz-sns-subscription-arn", subscription_arn);
  }
  headers.emplace_back("Content-Type", content_type);
  headers.emplace_back("User-Agent", kUserAgent);
  headers.emplace_back("Accept-Encoding", "gzip,deflate");
}

/// Signs a message's texts, each once for all subscriptions that get the same one.
class Signatures {
 public:
  Signatures(const Sender& sender, bool fifo) : sender_(sender), fifo_(fifo) {}

  void sign(Notification& notification, const std::string& version) {
    notification.signature_version = version;
    notification.certificate_url = sender_.address + sender_.key.path();
    // Messages of FIFO topics carry no signature, as AWS's do.
    if (fifo_) return;
    std::string& signature = made_[{version, notification.message}];
    if (signature.empty()) signature = sender_.key.sign(string_to_sign(notification), version);
    notification.signature = signature;
  }

 private:
  const Sender& sender_;
  bool fifo_;
  std::map<std::pair<std::string, std::string>, std::string> made_;  ///< by version and text
};

Notification notification_of(const Topic& topic, const Subscription& subscription, const Message& message,
                             const Sender& sender) {
  Notification notification;
  notification.id = message.id;
  notification.sequence = message.sequence;
  notification.topic_arn = topic.arn();
  notification.subject = message.subject;
  notification.message = message.text_for(subscription.protocol);
  notification.timestamp = iso_milliseconds(message.at);
  notification.unsubscribe_url = sender.address + "/?Action=Unsubscribe&SubscriptionArn=" + subscription.arn();
  notification.unsubscribe_url += kVersion;
  notification.attributes = message.attributes;
  return notification;
}

}  // namespace

std::vector<ServiceDelivery> fan_out(const Topic& topic, const Message& message, const Sender& sender) {
  std::vector<ServiceDelivery> deliveries;
  Signatures signatures(sender, topic.is_fifo());
  const std::string version = topic.text("SignatureVersion", "1");
  for (const auto& [id, subscription] : topic.subscriptions) {
    if (!subscription.confirmed || subscription.ended || !wants(subscription, message)) continue;
    ServiceDelivery delivery;
    delivery.source = subscription.source;
    delivery.trace_header = message.trace_header;
    delivery.dead_letter = dead_letter_target(subscription);
    Notification notification = notification_of(topic, subscription, message, sender);
    const bool raw = subscription.has("RawMessageDelivery", "true");
    if (subscription.protocol == "lambda") {
      // Lambda's events have version 1 on every topic.
      signatures.sign(notification, "1");
      delivery.target =
          subscription.function.empty() ? sender.target_of(subscription.endpoint) : "lambda:" + subscription.function;
      delivery.payload = lambda_event(notification, subscription.arn());
      delivery.dead_letter_body = http_body(notification);
      delivery.rules = service_rules();
    } else if (subscription.protocol == "sqs") {
      delivery.target = sender.target_of(subscription.endpoint);
      delivery.details.group = message.group;
      delivery.details.deduplication = message.deduplication;
      delivery.rules = service_rules();
      if (raw) {
        delivery.payload = notification.message;
        delivery.details.attributes = message.attributes;
        delivery.dead_letter_attributes = message.attributes;
      } else {
        signatures.sign(notification, version);
        delivery.payload = http_body(notification);
      }
    } else {
      const DeliveryPolicy policy = delivery_policy(topic, subscription);
      delivery.target = "http:" + subscription.endpoint;
      delivery.rules = policy.rules;
      add_headers(delivery.details, notification, subscription.arn(),
                  policy.content_type.empty() ? kContentType : policy.content_type);
      if (raw) {
        delivery.details.headers.emplace_back("x-amz-sns-rawdelivery", "true");
        delivery.payload = notification.message;
      } else {
        signatures.sign(notification, version);
        delivery.payload = http_body(notification);
      }
    }
    deliveries.push_back(std::move(delivery));
  }
  return deliveries;
}

ServiceDelivery confirmation(std::string_view type, const Topic& topic, const Subscription& subscription,
                             const Sender& sender, std::string id, WallTime now) {
  Notification notification;
  notification.type = type;
  notification.id = std::move(id);
  notification.topic_arn = topic.arn();
  notification.token = subscription.token;
  notification.timestamp = iso_milliseconds(now);
  notification.message =
      type == "SubscriptionConfirmation"
          ? "You have chosen to subscribe to the topic " + topic.arn() +
                ".\nTo confirm the subscription, visit the SubscribeURL included in this message."
          : "You have chosen to deactivate subscription " + subscription.arn() +
                ".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this "
                "message.";
  notification.subscribe_url =
      sender.address + "/?Action=ConfirmSubscription&TopicArn=" + topic.arn() + "&Token=" + subscription.token;
  notification.subscribe_url += kVersion;
  Signatures(sender, false).sign(notification, topic.text("SignatureVersion", "1"));
  ServiceDelivery delivery;
  delivery.target = "http:" + subscription.endpoint;
  delivery.rules = delivery_policy(topic, subscription).rules;
  delivery.payload = http_body(notification);
  add_headers(delivery.details, notification, subscription.arn(), kContentType);
  return delivery;
}

}  // namespace weir::sns
