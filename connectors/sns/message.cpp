#include "connectors/sns/message.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"

namespace weir::sns {
namespace {

constexpr std::size_t kSubjectMax = 100;
constexpr std::size_t kNameMax = 256;
constexpr std::size_t kGroupMax = 128;

service::ApiError invalid_value(std::string sentence) {
  return {400, "ParameterValueInvalid", std::move(sentence)};
}

bool is_attribute_name(std::string_view name) {
  const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  return letters && !name.empty() && name.size() <= kNameMax && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string_view::npos;
}

bool is_number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error != std::errc::invalid_argument && end == text.data() + text.size();
}

/// Texts: printable ASCII (groups, deduplication ids).
bool is_id(std::string_view text) {
  return text.size() <= kGroupMax && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Answered<MessageAttribute> read_attribute(const service::Form& form, const std::string& at, std::string_view name) {
  MessageAttribute attribute;
  attribute.type = form.text(at + ".Value.DataType");
  const std::string quoted = "The message attribute '" + std::string(name) + "' ";
  const std::string_view base = std::string_view(attribute.type).substr(0, attribute.type.find('.'));
  if (base != "String" && base != "Number" && base != "Binary") {
    return invalid_value(quoted +
                         "has an invalid message attribute type, the set of supported type prefixes is Binary, "
                         "Number, and String.");
  }
  attribute.value = form.text(at + (base == "Binary" ? ".Value.BinaryValue" : ".Value.StringValue"));
  if (attribute.value.empty()) {
    return invalid_value(quoted + "must contain non-empty message attribute value for message attribute type '" +
                         std::string(base) + "'.");
  }
  if (base == "Number" && !is_number(attribute.value)) {
    return invalid_value("Could not cast message attribute '" + std::string(name) + "' value to number.");
  }
  if (base == "Binary" ? !decode_base64(attribute.value) : !is_utf8(attribute.value)) {
    return invalid_value(quoted + "has an invalid value.");
  }
  return attribute;
}

}  // namespace

service::ApiError invalid_parameter(std::string_view sentence) {
  return {400, "InvalidParameter", "Invalid parameter: " + std::string(sentence)};
}

const std::string& Message::text_for(const std::string& protocol) const {
  if (by_protocol.empty()) return text;
  const auto found = by_protocol.find(protocol);
  return found == by_protocol.end() ? by_protocol.at("default") : found->second;
}

std::size_t Message::bytes() const {
  std::size_t sum = text.size();
  for (const auto& [name, attribute] : attributes) sum += name.size() + attribute.type.size() + attribute.value.size();
  return sum;
}

Answered<Message> read_message(const service::Form& form, const std::string& prefix) {
  Message message;
  message.text = form.text(prefix + "Message");
  if (const auto subject = form.get(prefix + "Subject")) message.subject = std::string(*subject);
  message.structure = form.text(prefix + "MessageStructure");
  message.group = form.text(prefix + "MessageGroupId");
  message.deduplication = form.text(prefix + "MessageDeduplicationId");
  for (const std::string& at : form.items(prefix + "MessageAttributes.entry")) {
    const std::string name(form.text(at + ".Name"));
    if (!is_attribute_name(name)) return invalid_value("The message attribute name '" + name + "' is invalid.");
    auto attribute = read_attribute(form, at, name);
    if (!attribute) return attribute.error();
    if (!message.attributes.emplace(name, std::move(*attribute)).second)
      return invalid_value("The message attribute '" + name + "' comes twice.");
  }
  return message;
}

Answered<void> check_message(Message& message) {
  if (message.text.empty()) return invalid_parameter("Empty message");
  if (!is_utf8(message.text)) return invalid_parameter("Message Reason: it is not UTF-8");
  if (message.subject) {
    const std::string& subject = *message.subject;
    const bool control =
        std::any_of(subject.begin(), subject.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
    if (subject.empty() || subject.size() >= kSubjectMax || control || !is_utf8(subject))
      return invalid_parameter("Subject");
  }
  message.by_protocol.clear();
  if (message.structure.empty()) return {};
  if (message.structure != "json") return invalid_parameter("MessageStructure Reason: it can only be json");
  const auto read = is_json(message.text) ? nlohmann::json::parse(message.text, nullptr, false) : nlohmann::json();
  if (!read.is_object()) return invalid_parameter("Message Structure - JSON message body failed to parse");
  for (const auto& [protocol, text] : read.items()) {
    if (text.is_string()) message.by_protocol[protocol] = text.get<std::string>();
  }
  if (!message.by_protocol.contains("default")) {
    message.by_protocol.clear();
    return invalid_parameter("Message Structure - No default entry in JSON message body");
  }
  return {};
}

Answered<void> check_ordering(const Message& message, bool fifo, bool content_based) {
  if (!is_id(message.group)) return invalid_parameter("MessageGroupId Reason: it has at most 128 printable characters");
  if (!is_id(message.deduplication))
    return invalid_parameter("MessageDeduplicationId Reason: it has at most 128 printable characters");
  if (!fifo) {
    if (message.deduplication.empty()) return {};
    return invalid_parameter(
        "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for "
        "this topic type");
  }
  if (message.group.empty()) return invalid_parameter("The MessageGroupId parameter is required for FIFO topics");
  if (message.deduplication.empty() && !content_based) {
    return invalid_parameter(
        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly");
  }
  return {};
}

}  // namespace weir::sns
