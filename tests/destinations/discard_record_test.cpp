#include "bridge/discard_record.h"

#include <catch2/catch.hpp>

#include "event/kinesis_event.h"

// Byte by byte as recorded from AWS: reference stream-sources.md, section 6 [LS kinesis].

using namespace weir;
using engine::DiscardCondition;
using engine::ResponseContext;

namespace {

/// A source that only describes batches of Kinesis.
class Stream final : public PollSource {
 public:
  net::awaitable<Result<void>> run(ShardListener&) override { co_return Result<void>(); }
  std::optional<Resume> start(const ShardId&, std::optional<Resume>, bool) override { return std::nullopt; }
  net::awaitable<RecordBatch> fetch(ShardId, FetchLimits) override { co_return RecordBatch(); }
  void release(const ShardId&, bool) override {}
  std::size_t envelope_bytes(const ShardId&) const override { return kKinesisEnvelopeBytes; }
  void write_event(const ShardId&, std::span<const Record>, std::string&) const override {}
  void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t,
                        JsonWriter& out) const override {
    KinesisStream stream;
    stream.stream_arn = "arn:aws:kinesis:us-east-1:111111111111:stream/clicks";
    stream.shard_id = shard.name;
    write_kinesis_batch_info(stream, records, out);
  }
};

const std::string kArn = "arn:aws:lambda:us-east-1:111111111111:function:f";
const std::string kBatch =
    R"("KinesisBatchInfo":{"shardId":"shardId-000000000000","startSequenceNumber":"4907","endSequenceNumber":"4909",)"
    R"("approximateArrivalOfFirstRecord":"2025-11-25T16:35:20.123Z","approximateArrivalOfLastRecord":)"
    R"("2025-11-25T16:35:21.456Z","batchSize":2,"streamArn":"arn:aws:kinesis:us-east-1:111111111111:stream/clicks"})";

struct Given {
  std::vector<Record> records;
  engine::Discard discard;
  std::string arn = kArn;

  Given() {
    Record& first = records.emplace_back();
    first.position = Position(4907);
    first.arrival = *parse_iso("2025-11-25T16:35:20.123Z");
    Record& last = records.emplace_back();
    last.position = Position(4909);
    last.arrival = *parse_iso("2025-11-25T16:35:21.456Z");
    discard.request_id = "8e7c";
    discard.condition = DiscardCondition::kRetryAttemptsExhausted;
    discard.approximate_invoke_count = 2;
    discard.records = records;
  }
  std::string record() const {
    return bridge::discard_record(discard, arn, *parse_iso("2025-11-25T16:35:32.123Z"), Stream(),
                                  ShardId{"clicks", "shardId-000000000000"}, 2048);
  }
};

std::string context(const std::string& arn, const std::string& condition) {
  return R"({"requestContext":{"requestId":"8e7c","functionArn":")" + arn + R"(","condition":")" + condition +
         R"(","approximateInvokeCount":2},)";
}
const std::string kVersion = R"("version":"1.0","timestamp":"2025-11-25T16:35:32.123Z",)";

}  // namespace

TEST_CASE("the function failed until its attempts were used up") {
  Given given;
  given.discard.response = ResponseContext::kUnhandled;
  CHECK(given.record() ==
        context(kArn, "RetryAttemptsExhausted") +
            R"("responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},)" +
            kVersion + kBatch + "}");
}

TEST_CASE("the function reported the records in batchItemFailures") {
  Given given;
  given.discard.response = ResponseContext::kReported;
  CHECK(given.record() ==
        context(kArn, "RetryAttemptsExhausted") +
            R"("responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null},)" + kVersion +
            kBatch + "}");
}

TEST_CASE("records that were too old have no responseContext") {
  Given given;
  given.discard.condition = DiscardCondition::kRecordAgeExceeded;
  CHECK(given.record() == context(kArn, "RecordAgeExceeded") + kVersion + kBatch + "}");
}

TEST_CASE("Kafka's records that are too large for an event have a responseContext of null") {
  Given given;
  given.discard.condition = DiscardCondition::kMaximumPayloadSizeExceeded;
  CHECK(given.record() ==
        context(kArn, "MaximumPayloadSizeExceeded") + R"("responseContext":null,)" + kVersion + kBatch + "}");
}

TEST_CASE("the function's qualifier is kept, and a version is the one that was executed") {
  Given given;
  given.discard.response = ResponseContext::kUnhandled;
  const auto expected = [](const std::string& arn, const std::string& version) {
    return context(arn, "RetryAttemptsExhausted") + R"("responseContext":{"statusCode":200,"executedVersion":")" +
           version + R"(","functionError":"Unhandled"},)" + kVersion + kBatch + "}";
  };
  given.arn = kArn + ":7";
  CHECK(given.record() == expected(kArn + ":7", "7"));
  given.arn = kArn + ":live";
  CHECK(given.record() == expected(kArn + ":live", "$LATEST"));
  // Of an alias only the endpoint knows it.
  given.discard.executed_version = "12";
  CHECK(given.record() == expected(kArn + ":live", "12"));
  // An endpoint that says nothing is taken to say $LATEST.
  given.discard.executed_version = "$LATEST";
  given.arn = kArn + ":7";
  CHECK(given.record() == expected(kArn + ":7", "7"));
}

TEST_CASE("a window's final call that was given up on has no records, only its shard and stream") {
  Given given;
  given.discard.response = ResponseContext::kUnhandled;
  given.discard.records = {};
  given.discard.window.emplace();
  given.discard.window->start = *parse_iso("2025-11-25T16:35:00Z");
  given.discard.window->end = *parse_iso("2025-11-25T16:35:30Z");
  given.discard.window->is_final = true;
  CHECK(given.record() ==
        context(kArn, "RetryAttemptsExhausted") +
            R"("responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},)" +
            kVersion +
            R"("KinesisBatchInfo":{"shardId":"shardId-000000000000",)"
            R"("streamArn":"arn:aws:kinesis:us-east-1:111111111111:stream/clicks"},)"
            R"("timeWindowInfo":{"window":{"start":"2025-11-25T16:35:00Z","end":"2025-11-25T16:35:30Z"},)"
            R"("isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}})");
}
