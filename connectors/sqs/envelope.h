#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/queue_source.h"

namespace weir::sqs {

/// A message attribute, as a receive gives it. Its texts are of the answer.
struct MessageAttribute {
  MessageAttribute() = default;

  std::string_view name;
  std::string_view data_type;
  std::optional<std::string_view> string_value;
  std::optional<std::string_view> binary_value;  ///< base64
};

/// A message, as a receive gives it. Its texts are of the answer: a message is written at once, and what it keeps is
/// copied once.
struct ReceivedMessage {
  ReceivedMessage() = default;

  std::string_view id;
  std::string_view receipt;
  std::string_view body;
  std::string_view md5_of_body;
  std::string_view md5_of_attributes;                                     ///< "" when there is none
  std::vector<std::pair<std::string_view, std::string_view>> attributes;  ///< the system's
  std::vector<MessageAttribute> message_attributes;
};

/// The queue, as events have it.
struct QueueArn {
  QueueArn() = default;

  std::string arn;
  std::string region;
};

/// The message with its element of the event's `Records` (reference stream-sources.md, 2.4).
QueueMessage make_message(const ReceivedMessage& received, const QueueArn& queue);

void write_event(std::span<const QueueMessage* const> messages, std::string& out);

/// The message without its body, for filters.
std::string message_metadata(const QueueMessage& message);

/// A number as SQS hands it out: "0012.3400" is "12.34". What is no plain decimal number stays as it is.
std::string normal_number(std::string_view text);

}  // namespace weir::sqs
