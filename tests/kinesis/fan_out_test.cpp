// Enhanced fan-out: AWS's event stream encoding, aggregates of KPL, what subscriptions say.
#include "connectors/kinesis/fan_out.h"

#include <array>

#include <catch2/catch.hpp>
#include <openssl/evp.h>

#include "kinesis/stream_message.h"

using namespace weir;
using namespace kinesis;
using test::message;

namespace {

std::string varint(std::size_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>((value & 0x7FU) | 0x80U);
  return bytes + static_cast<char>(value);
}

std::string text_field(int field, const std::string& text) {
  return static_cast<char>(field << 3 | 2) + varint(text.size()) + text;
}

std::string number_field(int field, std::size_t value) {
  return static_cast<char>(field << 3) + varint(value);
}

std::string entry(std::size_t key, const std::string& data, std::optional<std::size_t> hash = {}) {
  std::string record = number_field(1, key);
  if (hash) record += number_field(2, *hash);
  return text_field(3, record + text_field(3, data));
}

std::string aggregate(const std::string& protobuf) {
  std::array<unsigned char, 16> digest{};
  EVP_Digest(protobuf.data(), protobuf.size(), digest.data(), nullptr, EVP_md5(), nullptr);
  return "\xF3\x89\x9A\xC2" + protobuf + std::string(digest.begin(), digest.end());
}

/// "k=data k=data"; "ordinary" when it is none.
std::string split(const std::string& data, const HashRange& range = HashRange()) {
  const auto parts = split_aggregate(data, range);
  if (!parts) return "ordinary";
  std::string text;
  for (const SubRecord& part : *parts) {
    text += (text.empty() ? "" : " ") + std::string(part.key) + "=" + std::string(part.data);
  }
  return text;
}

}  // namespace

TEST_CASE("what a subscription says") {
  const auto read = [](const std::vector<std::pair<std::string, std::string>>& headers, const std::string& payload) {
    aws::StreamMessages messages;
    messages.add(message(headers, payload));
    return read_subscription_message(std::move(**messages.next()));
  };
  CHECK(read({{":message-type", "event"}, {":event-type", "SubscribeToShardEvent"}}, "{\"Records\":[]}").records ==
        "{\"Records\":[]}");
  const auto initial = read({{":message-type", "event"}, {":event-type", "initial-response"}}, "{}");
  CHECK(initial.records.empty());
  CHECK_FALSE(initial.error.has_value());
  const auto failure = [&](const char* type) {
    const auto event = read({{":message-type", "exception"}, {":exception-type", type}}, "{\"message\":\"why\"}");
    REQUIRE(event.error.has_value());
    CHECK(event.error->message == "why");
    return read_error(*event.error, "reading").failure;
  };
  CHECK(failure("ResourceInUseException") == streams::ReadFailure::kThrottled);
  CHECK(failure("ResourceNotFoundException") == streams::ReadFailure::kGone);
  CHECK(failure("InternalFailureException") == streams::ReadFailure::kUnreachable);
  CHECK(failure("KMSThrottlingException") == streams::ReadFailure::kThrottled);
  const auto error = read({{":message-type", "error"}, {":error-code", "InternalError"}}, "");
  REQUIRE(error.error.has_value());
  CHECK(read_error(*error.error, "reading").failure == streams::ReadFailure::kUnreachable);
}

TEST_CASE("a position that is none of its shard is told from a stream that is not there, and from other mistakes") {
  const auto failure = [](const char* code, const char* message, const Resume& from) {
    aws::ServiceError error;
    error.status = 400;
    error.code = code;
    error.message = message;
    return position_error(error, from, "reading").failure;
  };
  using streams::ReadFailure;
  const Resume after = Resume::after(Position(7));
  const char* kinesalites = "StartingSequenceNumber 7 used in GetShardIterator ... did not come from this stream.";
  CHECK(failure("InvalidArgumentException", kinesalites, after) == ReadFailure::kWrongPosition);
  CHECK(failure("InvalidArgumentException", "Timestamp", Resume::latest()) == ReadFailure::kOther);
  CHECK(failure("ResourceNotFoundException", "Unable to find record with provided SequenceNumber 7", after) ==
        ReadFailure::kWrongPosition);
  CHECK(failure("ResourceNotFoundException", "Stream clicks under account 0 not found.", after) == ReadFailure::kGone);
  CHECK(failure("KMSAccessDeniedException", "the key", after) == ReadFailure::kRefused);
}

TEST_CASE("a subscription begins where it is told") {
  CHECK(
      subscribe_body("arn", "s", Resume::after(Position(7))) ==
      R"({"ConsumerARN":"arn","ShardId":"s","StartingPosition":{"Type":"AFTER_SEQUENCE_NUMBER","SequenceNumber":"7"}})");
  CHECK(subscribe_body("arn", "s", Resume::latest()) ==
        R"({"ConsumerARN":"arn","ShardId":"s","StartingPosition":{"Type":"LATEST"}})");
}

TEST_CASE("an aggregate is taken apart") {
  const std::string keys = text_field(1, "k1") + text_field(1, "k2");
  CHECK(split(aggregate(keys + entry(0, "a") + entry(1, "b") + entry(0, ""))) == "k1=a k2=b k1=");
  CHECK(split(aggregate("")) == "");
}

TEST_CASE("what is no aggregate is an ordinary record") {
  const std::string right = aggregate(text_field(1, "k") + entry(0, "a"));
  CHECK(split(right) == "k=a");
  CHECK(split("") == "ordinary");
  CHECK(split(right.substr(0, 19)) == "ordinary");
  CHECK(split("x" + right.substr(1)) == "ordinary");
  std::string digest = right;
  digest.back() = static_cast<char>(digest.back() ^ 1);
  CHECK(split(digest) == "ordinary");
  CHECK(split(aggregate(text_field(1, "k") + entry(1, "a"))) == "ordinary");                      // no such key
  CHECK(split(aggregate(text_field(1, "k") + entry(0, "a", 0))) == "ordinary");                   // no such hash key
  CHECK(split(aggregate(text_field(1, "k") + text_field(3, number_field(1, 0)))) == "ordinary");  // no data
  CHECK(split(aggregate("\x0A\x7Fshort")) == "ordinary");
}

TEST_CASE("an aggregate of which a part belongs to another shard is dropped") {
  // MD5 of "a" is 0cc175b9..., of "b" 92eb5ffe...: decimal 16955237001963240173058271559858726497 and
  // 195289424170611159128911017612795795343.
  HashRange low;
  low.to = "170141183460469231731687303715884105727";
  HashRange high;
  high.from = "170141183460469231731687303715884105728";
  const std::string keys = text_field(1, "a") + text_field(1, "b");
  CHECK(split(aggregate(keys + entry(0, "1")), low) == "a=1");
  CHECK(split(aggregate(keys + entry(0, "1")), high) == "");
  CHECK(split(aggregate(keys + entry(1, "1")), high) == "b=1");
  CHECK(split(aggregate(keys + entry(0, "1") + entry(1, "2")), low) == "");
  // An explicit hash key goes before the key's own, both ends of the range included.
  const auto explicitly = [&](const std::string& hash) {
    return aggregate(keys + text_field(2, hash) + entry(1, "1", 0));
  };
  CHECK(split(explicitly("0"), low) == "b=1");
  CHECK(split(explicitly(low.to), low) == "b=1");
  CHECK(split(explicitly(high.from), low) == "");
  CHECK(split(explicitly(high.from), high) == "b=1");
  CHECK(split(explicitly("340282366920938463463374607431768211456"), high) == "ordinary");
}

TEST_CASE("an event's page goes on at its continuation; parts of an aggregate have one sequence number") {
  const KinesisStream stream{"arn", "role", "eu-west-1", "shardId-000000000000"};
  RecordsReader reader;
  const std::string data = aggregate(text_field(1, "k") + entry(0, "a") + entry(0, "b") + entry(0, "c"));
  std::string base64((data.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()), reinterpret_cast<const unsigned char*>(data.data()),
                  static_cast<int>(data.size()));
  const std::string event =
      R"({"ContinuationSequenceNumber":"9","MillisBehindLatest":0,"Records":[{"SequenceNumber":"8",)"
      R"("PartitionKey":"outer","ApproximateArrivalTimestamp":1.5,"Data":")" +
      base64 + R"("}]})";
  const HashRange range;
  const auto page = reader.read_page(event, stream, &range);
  REQUIRE(page.has_value());
  CHECK(page->next == "9");
  std::string seen;
  for (const Record& record : page->records.records) {
    seen +=
        record.position.text() + std::string(record.key) + std::string(record.data) + (record.continues ? "+ " : ".");
    std::string written;
    append_kinesis_record(written, stream, record, record.arrival);
    CHECK(written.size() == record.encoded_bytes);
  }
  CHECK(seen == "8ka+ 8kb+ 8kc.");
  // On a stream's ARN it stays as it is.
  const auto opaque = reader.read_page(event, stream);
  REQUIRE(opaque.has_value());
  REQUIRE(opaque->records.records.size() == 1);
  CHECK(opaque->records.records[0].data == data);
  CHECK(reader.read_page(R"({"ContinuationSequenceNumber":null,"Records":[],"ChildShards":[{}]})", stream, &range)
            ->records.end_of_shard);
}
