#include <array>
#include <span>

#include "connectors/sqs/connector.h"
#include "connectors/sqs/envelope.h"

namespace weir::sqs {
namespace {

/// Source: Lambda developer guide, with-sqs, the example events.
ReceivedMessage message() {
  ReceivedMessage received;
  received.id = "059f36b4-87a3-44ab-83d2-661975830a7d";
  received.receipt = "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...";
  received.body = "Test message.";
  received.md5_of_body = "e4e68fb7bd0e697a0ae8f1bb342846b3";
  received.attributes = {{"ApproximateReceiveCount", "1"},
                         {"SentTimestamp", "1545082649183"},
                         {"SenderId", "AIDAIENQZJOLO23YVJ4VO"},
                         {"ApproximateFirstReceiveTimestamp", "1545082649185"}};
  return received;
}

ReceivedMessage second_message() {
  ReceivedMessage received = message();
  received.id = "2e1424d4-f796-459a-8184-9c92662be6da";
  received.receipt = "AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq...";
  received.attributes[1].second = "1545082650636";
  received.attributes[3].second = "1545082650649";
  return received;
}

std::string event_of(std::span<const ReceivedMessage> received, const std::string& name) {
  QueueArn queue;
  queue.arn = "arn:aws:sqs:us-east-1:123456789012:" + name;
  queue.region = "us-east-1";
  std::vector<QueueMessage> made;
  made.reserve(received.size());
  std::vector<const QueueMessage*> messages;
  for (const ReceivedMessage& each : received) messages.push_back(&made.emplace_back(make_message(each, queue)));
  std::string out;
  write_event(messages, out);
  return out;
}

std::string batch() {
  const std::array received{message(), second_message()};
  return event_of(received, "my-queue");
}

std::string attributes() {
  ReceivedMessage received = message();
  received.md5_of_attributes = "7c0ce6358e063c1ed17ed00520448716";
  MessageAttribute text;
  text.name = "myText";
  text.data_type = "String";
  text.string_value = "myValue";
  MessageAttribute number;
  number.name = "myNumber";
  number.data_type = "Number";
  number.string_value = "12.5";
  MessageAttribute bytes;
  bytes.name = "myBytes";
  bytes.data_type = "Binary";
  bytes.binary_value = "3q2+7w==";
  received.message_attributes = {text, number, bytes};
  return event_of(std::span(&received, 1), "my-queue");
}

std::string fifo() {
  ReceivedMessage received = message();
  received.id = "11d6ee51-4cc7-4302-9e22-7cd8afdaadf5";
  received.receipt = "AQEBBX8nesZEXmkhsmZeyIE8iQAMig7qw...";
  received.attributes = {{"ApproximateReceiveCount", "1"},
                         {"SentTimestamp", "1573251510774"},
                         {"SequenceNumber", "18849496460467696128"},
                         {"MessageGroupId", "1"},
                         {"SenderId", "AIDAIO23YVJENQZJOL4VO"},
                         {"MessageDeduplicationId", "1"},
                         {"ApproximateFirstReceiveTimestamp", "1573251510774"}};
  return event_of(std::span(&received, 1), "fifo.fifo");
}

std::string redriven() {
  ReceivedMessage received = message();
  received.attributes[0].second = "4";
  received.attributes.emplace_back("DeadLetterQueueSourceArn", "arn:aws:sqs:us-east-1:123456789012:my-queue");
  return event_of(std::span(&received, 1), "my-dead-letters");
}

std::string traced() {
  ReceivedMessage received = message();
  received.attributes.emplace_back("AWSTraceHeader", "Root=1-5759e988-bd862e3fe1be46a994272793");
  return event_of(std::span(&received, 1), "my-queue");
}

}  // namespace

std::string sample_event() {
  ReceivedMessage received = message();
  received.md5_of_attributes = "7c0ce6358e063c1ed17ed00520448716";
  MessageAttribute attribute;
  attribute.name = "myAttribute";
  attribute.data_type = "String";
  attribute.string_value = "myValue";
  received.message_attributes.push_back(attribute);
  return event_of(std::span(&received, 1), "my-queue");
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"attributes", "A message with attributes of every type.", &attributes},
      SampleEvent{"batch", "Two messages of a standard queue.", &batch},
      SampleEvent{"fifo", "A message of a FIFO queue.", &fifo},
      SampleEvent{"redriven", "One of a dead-letter queue.", &redriven},
      SampleEvent{"traced", "One whose sender was traced.", &traced},
  };
  return kSamples;
}

}  // namespace weir::sqs
