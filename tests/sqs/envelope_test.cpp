#include "connectors/sqs/envelope.h"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/random.h"

#include "connectors/sqs/connector.h"
#include "connectors/sqs/protocol.h"
#include "support/print.h"

using namespace weir;
using namespace weir::sqs;

namespace {

QueueArn orders() {
  QueueArn queue;
  queue.arn = "arn:aws:sqs:us-east-1:000000000000:orders";
  queue.region = "us-east-1";
  return queue;
}

QueueMessage only(const std::string& answer) {
  MessagesReader reader;
  auto received = reader.read(answer);
  REQUIRE(received.has_value());
  REQUIRE(received->size() == 1);
  return make_message(received->front(), orders());
}

}  // namespace

TEST_CASE("a message of a standard queue, byte for byte") {
  // Source: reference stream-sources.md, 2.4; the answer is as ElasticMQ gave it, its members in another order.
  const QueueMessage message = only(
      R"({"Messages":[{"Attributes":{"SentTimestamp":"1691046046134","ApproximateReceiveCount":"1",)"
      R"("ApproximateFirstReceiveTimestamp":"1691046046146","SenderId":"AROA:me"},"Body":"a \"b\" \u00e9\n<x>","MD5OfBody":"4ee2",)"
      R"("MD5OfMessageAttributes":"c2dc","MessageAttributes":{"b":{"BinaryValue":"AAEC","DataType":"Binary"},)"
      R"("n":{"DataType":"Number","StringValue":"0012.3400"},"s":{"DataType":"String","StringValue":"x"}},)"
      R"("MessageId":"3b5c","ReceiptHandle":"3b5c#a9"}]})");
  CHECK(
      message.json ==
      R"({"messageId":"3b5c","receiptHandle":"3b5c#a9","body":"a \"b\" é\n<x>",)"
      R"("attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1691046046134","SenderId":"AROA:me",)"
      R"("ApproximateFirstReceiveTimestamp":"1691046046146"},)"
      R"("messageAttributes":{"b":{"binaryValue":"AAEC","stringListValues":[],"binaryListValues":[],"dataType":"Binary"},)"
      R"("n":{"stringValue":"12.34","stringListValues":[],"binaryListValues":[],"dataType":"Number"},)"
      R"("s":{"stringValue":"x","stringListValues":[],"binaryListValues":[],"dataType":"String"}},)"
      R"("md5OfMessageAttributes":"c2dc","md5OfBody":"4ee2","eventSource":"aws:sqs",)"
      R"("eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:orders","awsRegion":"us-east-1"})");
  CHECK(message.id == "3b5c");
  CHECK(message.receipt == "3b5c#a9");
  CHECK(message.group.empty());
  CHECK(message.receive_count == 1);
  CHECK(epoch_milliseconds(message.sent) == 1'691'046'046'134);
  CHECK(message_metadata(message) == R"({"messageId":"3b5c","receiptHandle":"3b5c#a9",)" +
                                         message.json.substr(message.json.find(R"("attributes")")));
}

TEST_CASE("a message of a FIFO queue, with all that the system may add, and no attributes of its own") {
  const QueueMessage message = only(
      R"({"Messages":[{"MessageId":"1","ReceiptHandle":"2","Body":"","MD5OfBody":"d41d","Attributes":{)"
      R"("New":"9","DeadLetterQueueSourceArn":"8","ApproximateFirstReceiveTimestamp":"7","MessageDeduplicationId":"6",)"
      R"("SenderId":"5","MessageGroupId":"group","SequenceNumber":"3","SentTimestamp":"2","AWSTraceHeader":"1",)"
      R"("ApproximateReceiveCount":"4"},"MD5OfMessageAttributes":"of nothing"}]})");
  CHECK(
      message.json ==
      R"({"messageId":"1","receiptHandle":"2","body":"","attributes":{"ApproximateReceiveCount":"4","AWSTraceHeader":"1",)"
      R"("SentTimestamp":"2","SequenceNumber":"3","MessageGroupId":"group","SenderId":"5","MessageDeduplicationId":"6",)"
      R"("ApproximateFirstReceiveTimestamp":"7","DeadLetterQueueSourceArn":"8","New":"9"},"messageAttributes":{},)"
      R"("md5OfBody":"d41d","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:orders",)"
      R"("awsRegion":"us-east-1"})");
  CHECK(message.group == "group");
  CHECK(message.receive_count == 4);
}

TEST_CASE("an event is its messages and fourteen bytes, and a comma between each two") {
  QueueMessage first;
  first.json = "{1}";
  QueueMessage second;
  second.json = "{2}";
  std::string out = "before";
  const std::vector<const QueueMessage*> both{&first, &second};
  write_event(both, out);
  CHECK(out == R"(before{"Records":[{1},{2}]})");
  out.clear();
  write_event({}, out);
  CHECK(out.size() == 14);
}

TEST_CASE("numbers are handed out in their normal form") {
  struct Row {
    std::string_view sent, handed_out;
  };
  const auto row = GENERATE(values<Row>({
      {"0012.3400", "12.34"},
      {"12", "12"},
      {"0", "0"},
      {"000", "0"},
      {"-0", "0"},
      {"-0012.50", "-12.5"},
      {"+7", "7"},
      {".5", "0.5"},
      {"5.", "5"},
      {"100", "100"},
      {"0.0", "0"},
      {"-.250", "-0.25"},
      {"1e3", "1e3"},
      {"abc", "abc"},
      {"", ""},
      {"-", "-"},
      {".", "."},
      {"1.2.3", "1.2.3"},
      {"12345678901234567890123456789012345678.50", "12345678901234567890123456789012345678.5"},
  }));
  INFO(row.sent);
  CHECK(normal_number(row.sent) == row.handed_out);
}

TEST_CASE("whatever the texts are, the event says them, and filters see all but the body") {
  Random random(7);
  for (int i = 0; i < 500; ++i) {
    const auto text = [&] {
      std::string made;
      for (std::uint64_t left = random.below(12); left > 0; --left) {
        constexpr std::array<std::string_view, 8> kParts{
            "a", "\"", "\\", "\n", "\t", "é", "\xF0\x9F\x90\x8B", "\",\"body\":\""};
        made += kParts[random.below(kParts.size())];
      }
      return made;
    };
    const std::string id = text(), receipt = text(), body = text(), sent = text();
    ReceivedMessage received;
    received.id = id;
    received.receipt = receipt;
    received.body = body;
    received.attributes = {{"SentTimestamp", sent}};
    const QueueMessage message = make_message(received, orders());
    auto whole = nlohmann::json::parse(message.json);
    CHECK(whole.at("body") == body);
    CHECK(whole.at("receiptHandle") == receipt);
    whole.erase("body");
    CHECK(nlohmann::json::parse(message_metadata(message)) == whole);
  }
}

TEST_CASE("answers that SQS would not give are no messages") {
  MessagesReader reader;
  CHECK(reader.read("{}").value().empty());  // SQS's way to say that there are none
  CHECK(reader.read(R"({"Messages":[]})").value().empty());
  for (const char* answer :
       {"", "[]", "<html>", R"({"Messages":[1]})", R"({"Messages":[{"MessageId":"1","Body":"2"}]})",
        R"({"Messages":[{"MessageId":"1","Body":"2","ReceiptHandle":"3","MessageAttributes":{"a":1}}]})"}) {
    INFO(answer);
    const auto read = reader.read(answer);
    REQUIRE(read.has_error());
    CHECK(read.error().code() == ErrorCode::kSourceFailed);
  }
}

TEST_CASE("what was done of a batch is what the answer calls successful") {
  CHECK(read_batch(R"({"Successful":[{"Id":"2"},{"Id":"0"}],"Failed":[{"Id":"1","Code":"ReceiptHandleIsInvalid"}]})", 3)
            .value() == std::vector<bool>{true, false, true});
  CHECK(read_batch(R"({"Failed":[{"Id":"0"}]})", 1).value() == std::vector<bool>{false});
  CHECK(read_batch(R"({"Successful":[{"Id":"1"}]})", 1).has_error());
  CHECK(read_batch(R"({"Successful":[{"Id":7}]})", 8).has_error());
  CHECK(read_batch(R"({"Successful":[0]})", 1).has_error());
  CHECK(read_batch("[]", 1).has_error());
  CHECK(read_batch("", 1).has_error());
  CHECK(read_batch("no", 1).has_error());
}

TEST_CASE("the sample is what the code that makes real events makes") {
  std::ifstream file(WEIR_SQS_SAMPLE);
  std::stringstream text;
  text << file.rdbuf();
  CHECK(sample_event() + "\n" == text.str());
}
