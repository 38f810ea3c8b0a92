#include "connectors/sqs/envelope.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "weir/base/json_writer.h"

namespace weir::sqs {
namespace {

// Lambda's order. Those that are not named here follow as they came.
constexpr std::array<std::string_view, 9> kAttributeOrder{
    "ApproximateReceiveCount", "AWSTraceHeader", "SentTimestamp",          "SequenceNumber",
    "MessageGroupId",          "SenderId",       "MessageDeduplicationId", "ApproximateFirstReceiveTimestamp",
    "DeadLetterQueueSourceArn"};

/// What an element has beside its body and receipt, where it has no attributes of its own.
constexpr std::size_t kUsualRestBytes = 512;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view attribute(const ReceivedMessage& message, std::string_view name) {
  for (const auto& [key, value] : message.attributes) {
    if (key == name) return value;
  }
  return "";
}

std::int64_t number(std::string_view text, std::int64_t otherwise) {
  std::int64_t read = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), read);
  return problem == std::errc() && end == text.data() + text.size() ? read : otherwise;
}

void add_attribute(std::string& json, bool& first, std::string_view key, std::string_view value) {
  json += first ? "\"" : ",\"";
  append_json_escaped(json, key);
  json += "\":\"";
  append_json_escaped(json, value);
  json += '"';
  first = false;
}

void write_attributes(const ReceivedMessage& message, std::string& json) {
  bool first = true;
  json += '{';
  for (const std::string_view name : kAttributeOrder) {
    for (const auto& [key, value] : message.attributes) {
      if (key == name) add_attribute(json, first, key, value);
    }
  }
  for (const auto& [key, value] : message.attributes) {
    if (std::ranges::find(kAttributeOrder, key) == kAttributeOrder.end()) add_attribute(json, first, key, value);
  }
  json += '}';
}

/// The value that does not apply is absent; both lists are always there, and empty: SQS does not have them yet.
void write_message_attributes(const ReceivedMessage& message, std::string& json) {
  JsonWriter out(json);
  out.begin_object();
  for (const MessageAttribute& each : message.message_attributes) {
    out.key(each.name).begin_object();
    if (each.string_value) {
      const bool is_number = each.data_type == "Number" || each.data_type.starts_with("Number.");
      out.key("stringValue");
      if (is_number) {
        out.value(normal_number(*each.string_value));
      } else {
        out.value(*each.string_value);
      }
    }
    if (each.binary_value) out.member("binaryValue", *each.binary_value);
    out.key("stringListValues").begin_array().end_array();
    out.key("binaryListValues").begin_array().end_array();
    out.member("dataType", each.data_type).end_object();
  }
  out.end_object();
}

}  // namespace

std::string normal_number(std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string_view whole = digits.substr(0, point);
  std::string_view fraction = digits.substr(std::min(point + 1, digits.size()));
  if (whole.empty() && fraction.empty()) return std::string(text);
  if (!std::ranges::all_of(whole, is_digit) || !std::ranges::all_of(fraction, is_digit)) return std::string(text);
  while (whole.starts_with('0')) whole.remove_prefix(1);
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  if (whole.empty() && fraction.empty()) return "0";
  std::string out = negative ? "-" : "";
  out += whole.empty() ? "0" : whole;
  if (!fraction.empty()) out.append(".").append(fraction);
  return out;
}

QueueMessage make_message(const ReceivedMessage& received, const QueueArn& queue) {
  QueueMessage message;
  message.json.reserve(received.body.size() + received.receipt.size() + kUsualRestBytes);
  // The most frequent of all: its members, which are always the same, are no JsonWriter's keys.
  std::string& json = message.json;
  const auto add = [&json](std::string_view before, std::string_view value) {
    json += before;
    append_json_escaped(json, value);
  };
  add(R"({"messageId":")", received.id);
  add(R"(","receiptHandle":")", received.receipt);
  add(R"(","body":")", received.body);
  json += R"(","attributes":)";
  write_attributes(received, json);
  json += R"(,"messageAttributes":)";
  write_message_attributes(received, json);
  if (!received.message_attributes.empty() && !received.md5_of_attributes.empty()) {
    add(R"(,"md5OfMessageAttributes":")", received.md5_of_attributes);
    json += '"';
  }
  add(R"(,"md5OfBody":")", received.md5_of_body);
  add(R"(","eventSource":"aws:sqs","eventSourceARN":")", queue.arn);
  add(R"(","awsRegion":")", queue.region);
  json += R"("})";
  message.group = attribute(received, "MessageGroupId");
  message.sent = from_epoch_milliseconds(number(attribute(received, "SentTimestamp"), 0));
  message.receive_count = static_cast<int>(number(attribute(received, "ApproximateReceiveCount"), 1));
  message.id = received.id;
  message.receipt = received.receipt;
  message.body = received.body;
  return message;
}

void write_event(std::span<const QueueMessage* const> messages, std::string& out) {
  out += R"({"Records":[)";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) out += ',';
    out += messages[i]->json;
  }
  out += "]}";
}

std::string message_metadata(const QueueMessage& message) {
  constexpr std::string_view kBefore = R"({"messageId":"","receiptHandle":"",)";
  constexpr std::string_view kBody = R"("body":"",)";
  const std::size_t before = kBefore.size() + json_escaped_size(message.id) + json_escaped_size(message.receipt);
  const std::size_t after = before + kBody.size() + json_escaped_size(message.body);
  return message.json.substr(0, before) + message.json.substr(after);
}

}  // namespace weir::sqs
