#include "connectors/sns/topics.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "pattern/pattern.h"
#include "service/arn.h"

namespace weir::sns {
namespace {

using nlohmann::json;

void write_map(JsonWriter& out, std::string_view name, const Attributes& map) {
  out.key(name).begin_object();
  for (const auto& [key, value] : map) out.member(key, value);
  out.end_object();
}

Attributes read_map(const json& from) {
  Attributes map;
  for (const auto& [key, value] : from.items()) map[key] = value.get<std::string>();
  return map;
}

bool is_truth(std::string_view value) {
  return value == "true" || value == "false";
}

bool is_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && is_json(text);
}

service::ApiError unsuitable(std::string_view attribute, std::string_view why) {
  return invalid_parameter("Attributes Reason: " + std::string(attribute) + ": " + std::string(why));
}

Answered<void> check_redrive(const std::string& value) {
  if (!is_object(value)) return invalid_parameter("RedrivePolicy: failed to parse JSON.");
  const json read = json::parse(value, nullptr, false);
  if (!read.is_object()) return invalid_parameter("RedrivePolicy: failed to parse JSON.");
  const json target = read.value("deadLetterTargetArn", json());
  const auto arn = service::parse_arn(target.is_string() ? target.get<std::string>() : std::string());
  if (!arn || arn->service != "sqs") return invalid_parameter("RedrivePolicy: deadLetterTargetArn is an invalid arn");
  return {};
}

}  // namespace

std::string Subscription::arn() const {
  return service::local_arn("sns", topic) + ":" + id;
}

bool Subscription::has(const std::string& attribute, std::string_view value) const {
  const auto found = attributes.find(attribute);
  return found != attributes.end() && found->second == value;
}

std::string Topic::arn() const {
  return service::local_arn("sns", name);
}

std::string Topic::text(const std::string& attribute, std::string_view fallback) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? std::string(fallback) : found->second;
}

DeliveryPolicy Topic::delivery_policy() const {
  const auto found = attributes.find("DeliveryPolicy");
  if (found == attributes.end()) return {};
  auto read = read_topic_policy(found->second);
  return read ? std::move(*read) : DeliveryPolicy();
}

DeliveryPolicy delivery_policy(const Topic& topic, const Subscription& subscription) {
  DeliveryPolicy policy = topic.delivery_policy();
  const auto own = subscription.attributes.find("DeliveryPolicy");
  if (own == subscription.attributes.end() || !policy.subscriptions_may_differ) return policy;
  auto read = read_subscription_policy(own->second, policy);
  return read ? std::move(*read) : policy;
}

std::string write_topic(const Topic& topic) {
  std::string note;
  JsonWriter out(note);
  out.begin_object();
  write_map(out, "attributes", topic.attributes);
  write_map(out, "tags", topic.tags);
  out.end_object();
  return note;
}

std::optional<Topic> read_topic(std::string_view name, std::string_view note) {
  try {
    const json read = json::parse(note);
    Topic topic;
    topic.name = name;
    topic.attributes = read_map(read.at("attributes"));
    topic.tags = read_map(read.at("tags"));
    return topic;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string write_subscription(const Subscription& subscription) {
  std::string note;
  JsonWriter out(note);
  out.begin_object().member("topic", subscription.topic).member("protocol", subscription.protocol);
  out.member("endpoint", subscription.endpoint).member("confirmed", subscription.confirmed);
  out.member("ended", subscription.ended).member("token", subscription.token);
  out.member("token_at", epoch_milliseconds(subscription.token_at));
  write_map(out, "attributes", subscription.attributes);
  out.end_object();
  return note;
}

std::optional<Subscription> read_subscription(std::string_view id, std::string_view note) {
  try {
    const json read = json::parse(note);
    Subscription subscription;
    subscription.id = id;
    subscription.topic = read.at("topic").get<std::string>();
    subscription.protocol = read.at("protocol").get<std::string>();
    subscription.endpoint = read.at("endpoint").get<std::string>();
    subscription.confirmed = read.at("confirmed").get<bool>();
    subscription.ended = read.at("ended").get<bool>();
    subscription.token = read.at("token").get<std::string>();
    subscription.token_at = from_epoch_milliseconds(read.at("token_at").get<std::int64_t>());
    subscription.attributes = read_map(read.at("attributes"));
    return subscription;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::optional<std::string> topic_of(std::string_view arn) {
  auto name = service::local_resource(arn, "sns");
  if (!name || name->find(':') != std::string::npos) return std::nullopt;
  return name;
}

std::optional<SubscriptionName> subscription_of(std::string_view arn) {
  const auto resource = service::local_resource(arn, "sns");
  if (!resource) return std::nullopt;
  const std::size_t colon = resource->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return SubscriptionName{resource->substr(0, colon), resource->substr(colon + 1)};
}

Answered<void> check_topic_attribute(std::string_view name, const std::string& value, bool fifo, bool creating) {
  constexpr std::array<std::string_view, 4> kTexts{"DisplayName", "KmsMasterKeyId", "TracingConfig",
                                                   "DataProtectionPolicy"};
  constexpr std::int64_t kSizeMin = 1024;
  constexpr std::int64_t kSizeMax = 1'048'576;
  if (name == "FifoTopic" && creating) {
    if (is_truth(value)) return {};
    return unsuitable(name, "it can only be true or false");
  }
  if (name == "ContentBasedDeduplication" || name == "FifoThroughputScope") {
    if (!fifo) return invalid_parameter("Attributes Reason: " + std::string(name) + " is only for FIFO topics");
    const bool right = name == "FifoThroughputScope" ? value == "Topic" || value == "MessageGroup" : is_truth(value);
    if (right) return {};
    return unsuitable(name, "it cannot be " + value);
  }
  if (name == "SignatureVersion") {
    if (value == "1" || value == "2") return {};
    return unsuitable(name, "it can only be 1 or 2");
  }
  if (name == "MaximumMessageSize") {
    std::int64_t bytes = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
    if (error == std::errc() && end == value.data() + value.size() && bytes >= kSizeMin && bytes <= kSizeMax) return {};
    return unsuitable(name, "it can only be 1024 to 1048576");
  }
  if (name == "Policy") {
    if (is_object(value)) return {};
    return invalid_parameter("Policy failed to parse JSON");
  }
  if (name == "DeliveryPolicy") {
    if (value.empty()) return {};
    const auto read = read_topic_policy(value);
    if (read) return {};
    return invalid_parameter("DeliveryPolicy: " + read.error().message());
  }
  const bool feedback = name.find("FeedbackRoleArn") != name.npos || name.find("FeedbackSampleRate") != name.npos;
  if (feedback || std::find(kTexts.begin(), kTexts.end(), name) != kTexts.end()) return {};
  return invalid_parameter("AttributeName");
}

Answered<void> check_subscription_attributes(const Attributes& attributes, std::string_view protocol) {
  const auto scope = attributes.find("FilterPolicyScope");
  const bool body = scope != attributes.end() && scope->second == "MessageBody";
  for (const auto& [name, value] : attributes) {
    if (name == "RawMessageDelivery") {
      if (!is_truth(value)) return unsuitable(name, "it can only be true or false");
      if (value == "true" && protocol == "lambda") {
        return invalid_parameter("Attributes Reason: RawMessageDelivery is not for protocol lambda");
      }
    } else if (name == "FilterPolicy") {
      const auto compiled =
          pattern::Pattern::compile(value, body ? pattern::Dialect::kSnsBody : pattern::Dialect::kSnsAttributes);
      if (!compiled) return service::ApiError(400, "InvalidParameter", compiled.error().message());
    } else if (name == "FilterPolicyScope") {
      if (value != "MessageAttributes" && value != "MessageBody")
        return invalid_parameter("FilterPolicyScope: Invalid value [" + value +
                                 "]. Please use either MessageBody or MessageAttributes");
    } else if (name == "RedrivePolicy") {
      if (const auto right = check_redrive(value); !right) return right;
    } else if (name == "DeliveryPolicy") {
      if (protocol != "http" && protocol != "https")
        return invalid_parameter("DeliveryPolicy: only HTTP and HTTPS endpoints have one");
      const auto read = read_subscription_policy(value, DeliveryPolicy());
      if (!read) return invalid_parameter("DeliveryPolicy: " + read.error().message());
    } else {
      return invalid_parameter("AttributeName");
    }
  }
  return {};
}

}  // namespace weir::sns
