#include "connectors/sqs/protocol.h"

#include <charconv>

#include <nlohmann/json.hpp>
#include <simdjson.h>

#include "weir/base/json_writer.h"

#include "connectors/sqs/config.h"

namespace weir::sqs {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

/// What an entry of a batch has beside its receipt.
constexpr std::size_t kEntryBytes = 64;

std::int64_t in_seconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

Error wrong(std::string_view what) {
  return {ErrorCode::kSourceFailed, "the answer is none of SQS: " + std::string(what)};
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t read = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return read;
}

/// A member that is a text; nothing when it is not there.
std::optional<std::string_view> member(const dom::object& object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

MessageAttribute read_attribute(std::string_view name, const dom::object& object) {
  MessageAttribute attribute;
  attribute.name = name;
  attribute.data_type = member(object, "DataType").value_or("String");
  // What stands in for SQS may send the other one as null, or empty.
  const bool is_binary = attribute.data_type.starts_with("Binary");
  if (is_binary) {
    attribute.binary_value = member(object, "BinaryValue").value_or("");
  } else {
    attribute.string_value = member(object, "StringValue").value_or("");
  }
  return attribute;
}

}  // namespace

std::string queue_url_body(const std::string& name, const std::string& account) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("QueueName", name);
  if (!account.empty()) out.member("QueueOwnerAWSAccountId", account);
  out.end_object();
  return body;
}

std::string queue_attributes_body(const std::string& url) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("QueueUrl", url).key("AttributeNames").begin_array();
  out.value("QueueArn").value("VisibilityTimeout").value("ApproximateNumberOfMessages");
  out.end_array().end_object();
  return body;
}

std::string receive_body(const std::string& url, const ReceiveLimits& limits) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("QueueUrl", url);
  out.member("MaxNumberOfMessages", static_cast<std::int64_t>(limits.max_messages));
  out.member("WaitTimeSeconds", in_seconds(limits.wait));
  if (limits.visibility_timeout) out.member("VisibilityTimeout", in_seconds(*limits.visibility_timeout));
  // The second is what the first was called until 2023; what stands in for SQS may know only that.
  for (const char* names : {"MessageSystemAttributeNames", "AttributeNames", "MessageAttributeNames"}) {
    out.key(names).begin_array().value("All").end_array();
  }
  out.end_object();
  return body;
}

std::string batch_body(const std::string& url, std::span<const std::string> receipts,
                       std::optional<Duration> visibility_timeout) {
  std::string body;
  std::size_t bytes = url.size() + kEntryBytes;
  for (const std::string& receipt : receipts) bytes += receipt.size() + kEntryBytes;
  body.reserve(bytes);
  JsonWriter out(body);
  out.begin_object().member("QueueUrl", url).key("Entries").begin_array();
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    out.begin_object().member("Id", std::to_string(i)).member("ReceiptHandle", receipts[i]);
    if (visibility_timeout) out.member("VisibilityTimeout", in_seconds(*visibility_timeout));
    out.end_object();
  }
  out.end_array().end_object();
  return body;
}

Result<std::string> read_queue_url(std::string_view answer) {
  const json document = json::parse(answer, nullptr, false);
  std::string url = document.is_object() ? text_of(document, "QueueUrl") : "";
  if (url.empty()) return wrong("it has no QueueUrl");
  return url;
}

Result<QueueAttributes> read_queue_attributes(std::string_view answer) {
  const json document = json::parse(answer, nullptr, false);
  const auto found = document.is_object() ? document.find("Attributes") : document.end();
  if (!document.is_object() || found == document.end() || !found->is_object()) return wrong("it has no Attributes");
  QueueAttributes attributes;
  attributes.arn.arn = text_of(*found, "QueueArn");
  const auto region = region_of_arn(attributes.arn.arn);
  if (!region) return wrong("\"" + attributes.arn.arn + "\" is no queue's ARN");
  attributes.arn.region = *region;
  const auto timeout = number(text_of(*found, "VisibilityTimeout"));
  if (!timeout || *timeout < 0) return wrong("it has no VisibilityTimeout");
  attributes.visibility_timeout = std::chrono::seconds(*timeout);
  attributes.messages = number(text_of(*found, "ApproximateNumberOfMessages"));
  return attributes;
}

Result<std::vector<bool>> read_batch(const std::string& answer, std::size_t count) {
  thread_local dom::parser parser;  // what it needs for an answer it has from the one before
  dom::object document;
  if (parser.parse(answer).get(document) != simdjson::SUCCESS) return wrong("it is no JSON object");
  std::vector<bool> done(count, false);
  dom::array successful;
  if (document["Successful"].get(successful) != simdjson::SUCCESS) return done;
  for (const dom::element entry : successful) {
    dom::object object;
    const bool is_object = entry.get(object) == simdjson::SUCCESS;
    const auto place = is_object ? number(member(object, "Id").value_or("")) : std::nullopt;
    if (!place || *place < 0 || static_cast<std::size_t>(*place) >= count) return wrong("it names an entry of others");
    done[static_cast<std::size_t>(*place)] = true;
  }
  return done;
}

struct MessagesReader::Impl {
  dom::parser parser;
};

MessagesReader::MessagesReader() : impl_(std::make_unique<Impl>()) {}
MessagesReader::~MessagesReader() = default;

Result<std::vector<ReceivedMessage>> MessagesReader::read(const std::string& answer) {
  dom::object document;
  if (impl_->parser.parse(answer).get(document) != simdjson::SUCCESS) return wrong("it is no JSON object");
  std::vector<ReceivedMessage> messages;
  dom::array list;
  if (document["Messages"].get(list) != simdjson::SUCCESS) return messages;  // absent when there are none
  messages.reserve(list.size());
  for (const dom::element element : list) {
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) return wrong("a message is no JSON object");
    ReceivedMessage message;
    bool has_id = false, has_receipt = false, has_body = false;
    for (const dom::key_value_pair pair : object) {
      const std::string_view key = pair.key;
      std::string_view text;
      dom::object members;
      if (pair.value.get(text) == simdjson::SUCCESS) {
        if (key == "MessageId") {
          message.id = text, has_id = true;
        } else if (key == "ReceiptHandle") {
          message.receipt = text, has_receipt = true;
        } else if (key == "Body") {
          message.body = text, has_body = true;
        } else if (key == "MD5OfBody") {
          message.md5_of_body = text;
        } else if (key == "MD5OfMessageAttributes") {
          message.md5_of_attributes = text;
        }
      } else if (pair.value.get(members) != simdjson::SUCCESS) {
        continue;  // null, where there are none
      } else if (key == "Attributes") {
        message.attributes.reserve(members.size());
        for (const dom::key_value_pair attribute : members) {
          if (attribute.value.get(text) == simdjson::SUCCESS) message.attributes.emplace_back(attribute.key, text);
        }
      } else if (key == "MessageAttributes") {
        for (const dom::key_value_pair attribute : members) {
          dom::object described;
          if (attribute.value.get(described) != simdjson::SUCCESS)
            return wrong("a message attribute is no JSON object");
          message.message_attributes.push_back(read_attribute(attribute.key, described));
        }
      }
    }
    if (!has_id || !has_receipt || !has_body) return wrong("a message lacks MessageId, ReceiptHandle or Body");
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace weir::sqs
