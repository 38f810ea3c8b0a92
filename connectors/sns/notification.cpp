#include "connectors/sns/notification.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

namespace weir::sns {
namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

using nlohmann::json;

Error refused(std::string sentence) {
  return {ErrorCode::kEventRefused, std::move(sentence)};
}

/// The text of a member; nothing when it is missing or null. `wrong` is set when it is something else.
std::optional<std::string> text_of(const json& from, const char* name, bool& wrong) {
  const auto found = from.find(name);
  if (found == from.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) {
    wrong = true;
    return std::nullopt;
  }
  return found->get<std::string>();
}

void write_attributes(JsonWriter& out, const std::map<std::string, MessageAttribute>& attributes) {
  out.begin_object();
  for (const auto& [name, attribute] : attributes) {
    out.key(name).begin_object().member("Type", attribute.type).member("Value", attribute.value).end_object();
  }
  out.end_object();
}

}  // namespace

Result<Notification> read_notification(std::string_view body) {
  // The parser's own recursion is not bounded.
  if (!is_json(body)) return refused("the body is no JSON");
  const json read = json::parse(body, nullptr, false);
  if (!read.is_object()) return refused("the body is no JSON object");
  bool wrong = false;
  Notification notification;
  notification.type = text_of(read, "Type", wrong).value_or("");
  const bool confirmation =
      notification.type == "SubscriptionConfirmation" || notification.type == "UnsubscribeConfirmation";
  if (!notification.is_notification() && !confirmation) return refused("Type is none of SNS's");
  notification.subject = text_of(read, "Subject", wrong);
  // The Lambda spelling is taken as well, as AWS's own validator does.
  const char* const certificate = read.contains("SigningCertURL") ? "SigningCertURL" : "SigningCertUrl";
  const char* const unsubscribe = read.contains("UnsubscribeURL") ? "UnsubscribeURL" : "UnsubscribeUrl";
  notification.sequence = text_of(read, "SequenceNumber", wrong).value_or("");
  notification.unsubscribe_url = text_of(read, unsubscribe, wrong).value_or("");
  struct Needed {
    const char* name;
    std::string& into;
    bool always;
  };
  const std::array<Needed, 9> needed{{{"MessageId", notification.id, true},
                                      {"TopicArn", notification.topic_arn, true},
                                      {"Message", notification.message, true},
                                      {"Timestamp", notification.timestamp, true},
                                      {"SignatureVersion", notification.signature_version, true},
                                      {"Signature", notification.signature, true},
                                      {certificate, notification.certificate_url, true},
                                      {"Token", notification.token, confirmation},
                                      {"SubscribeURL", notification.subscribe_url, confirmation}}};
  for (const Needed& each : needed) {
    auto text = text_of(read, each.name, wrong);
    if (!text && each.always) return refused(std::string(each.name) + " is missing or no text");
    if (text && each.always) each.into = std::move(*text);
  }
  const auto attributes = read.find("MessageAttributes");
  if (attributes != read.end() && !attributes->is_null()) {
    if (!attributes->is_object()) return refused("MessageAttributes is no object");
    for (const auto& [name, attribute] : attributes->items()) {
      if (!attribute.is_object()) return refused("an attribute is no object");
      const auto type = text_of(attribute, "Type", wrong);
      const auto value = text_of(attribute, "Value", wrong);
      if (!type || !value) return refused("an attribute has no Type or no Value");
      notification.attributes[name] = {*type, *value};
    }
  }
  if (wrong) return refused("a member is no text");
  // What is signed has a line for each member's name and one for its value: with a line feed in another member than
  // Message, one signature would fit two messages.
  for (const std::string* one_line : {&notification.type, &notification.id, &notification.topic_arn,
                                      &notification.timestamp, &notification.token, &notification.subscribe_url}) {
    if (has_control(*one_line)) return refused("a member has a control character");
  }
  if (notification.subject && has_control(*notification.subject)) {
    return refused("Subject has a control character");
  }
  return notification;
}

std::string string_to_sign(const Notification& notification) {
  std::string text;
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append(name).append("\n").append(value).append("\n");
  };
  add("Message", notification.message);
  add("MessageId", notification.id);
  if (notification.is_notification()) {
    if (notification.subject) add("Subject", *notification.subject);
  } else {
    add("SubscribeURL", notification.subscribe_url);
  }
  add("Timestamp", notification.timestamp);
  if (!notification.is_notification()) add("Token", notification.token);
  add("TopicArn", notification.topic_arn);
  add("Type", notification.type);
  return text;
}

std::string http_body(const Notification& notification) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("Type", notification.type).member("MessageId", notification.id);
  if (!notification.sequence.empty()) out.member("SequenceNumber", notification.sequence);
  if (!notification.token.empty()) out.member("Token", notification.token);
  out.member("TopicArn", notification.topic_arn);
  if (notification.subject) out.member("Subject", *notification.subject);
  out.member("Message", notification.message);
  if (!notification.subscribe_url.empty()) out.member("SubscribeURL", notification.subscribe_url);
  out.member("Timestamp", notification.timestamp);
  if (!notification.signature.empty()) {
    out.member("SignatureVersion", notification.signature_version).member("Signature", notification.signature);
    out.member("SigningCertURL", notification.certificate_url);
  }
  if (!notification.unsubscribe_url.empty()) out.member("UnsubscribeURL", notification.unsubscribe_url);
  if (!notification.attributes.empty()) write_attributes(out.key("MessageAttributes"), notification.attributes);
  out.end_object();
  return body;
}

std::string lambda_event(const Notification& notification, std::string_view subscription_arn) {
  std::string event;
  JsonWriter out(event);
  out.begin_object().key("Records").begin_array().begin_object();
  out.member("EventSource", "aws:sns").member("EventVersion", "1.0").member("EventSubscriptionArn", subscription_arn);
  out.key("Sns").begin_object().member("Type", notification.type).member("MessageId", notification.id);
  out.member("TopicArn", notification.topic_arn).key("Subject");
  notification.subject ? out.value(*notification.subject) : out.null();
  out.member("Message", notification.message).member("Timestamp", notification.timestamp);
  out.member("SignatureVersion", notification.signature_version).member("Signature", notification.signature);
  out.member("SigningCertUrl", notification.certificate_url).member("UnsubscribeUrl", notification.unsubscribe_url);
  write_attributes(out.key("MessageAttributes"), notification.attributes);
  out.end_object().end_object().end_array().end_object();
  return event;
}

std::string attributes_json(const std::map<std::string, MessageAttribute>& attributes) {
  std::string text;
  JsonWriter out(text);
  write_attributes(out, attributes);
  return text;
}

}  // namespace weir::sns
