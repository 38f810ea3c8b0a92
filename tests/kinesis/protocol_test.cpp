// Requests and answers of Kinesis, and the event that is made of them.
#include "connectors/kinesis/protocol.h"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/kinesis/connector.h"

using namespace weir;
using namespace kinesis;
using namespace std::chrono_literals;

namespace {

StreamName by_name() {
  StreamName stream;
  stream.name = "clicks";
  return stream;
}

KinesisStream event_stream() {
  return {"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", "arn:aws:iam::123456789012:role/weir", "eu-west-1",
          "shardId-000000000003"};
}

}  // namespace

TEST_CASE("requests") {
  StreamName both = by_name();
  both.arn = "arn:x";
  CHECK(list_shards_body(by_name(), "") == R"({"StreamName":"clicks","MaxResults":1000})");
  CHECK(list_shards_body(both, "") == R"({"StreamName":"clicks","StreamARN":"arn:x","MaxResults":1000})");
  CHECK(list_shards_body(both, "t") == R"({"NextToken":"t","MaxResults":1000})");
  CHECK(get_records_body(by_name(), "AAAA", 10) == R"({"ShardIterator":"AAAA","Limit":10})");
  const auto iterator = [&](const Resume& from) { return shard_iterator_body(by_name(), "s", from); };
  const std::string begin = R"({"StreamName":"clicks","ShardId":"s","ShardIteratorType":)";
  CHECK(iterator(Resume::trim_horizon()) == begin + R"("TRIM_HORIZON"})");
  CHECK(iterator(Resume::latest()) == begin + R"("LATEST"})");
  CHECK(iterator(Resume::after(*Position::parse("49590338271490256608559692538361571095921575989136588898"))) ==
        begin + R"("AFTER_SEQUENCE_NUMBER","StartingSequenceNumber":)" +
            R"("49590338271490256608559692538361571095921575989136588898"})");
  CHECK(iterator(Resume::at_timestamp(from_epoch_milliseconds(1'700'000'000'045))) ==
        begin + R"("AT_TIMESTAMP","Timestamp":1700000000.045})");
  // No record came before 1970.
  for (const char* early : {"1969-12-31T23:59:59.900Z", "1960-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}) {
    CHECK(iterator(*Resume::parse(std::string("AT_TIMESTAMP ") + early)) ==
          begin + R"("AT_TIMESTAMP","Timestamp":0.000})");
  }
}

TEST_CASE("a listing of shards with the parents of a split and a merge") {
  const auto page = read_shards(R"({"Shards":[
    {"ShardId":"a","SequenceNumberRange":{"StartingSequenceNumber":"1","EndingSequenceNumber":"9"}},
    {"ShardId":"b","ParentShardId":"a","SequenceNumberRange":{"StartingSequenceNumber":"10"}},
    {"ShardId":"c","ParentShardId":"a","AdjacentParentShardId":"b","HashKeyRange":{}}],"NextToken":"more"})");
  REQUIRE(page.has_value());
  REQUIRE(page->shards.size() == 3);
  CHECK(page->shards[0].closed);
  CHECK(page->shards[0].parents.empty());
  CHECK_FALSE(page->shards[1].closed);
  CHECK(page->shards[2].parents == std::vector<std::string>{"a", "b"});
  CHECK(page->next_token == "more");
}

TEST_CASE("a stream's ARN, and when it was made") {
  const auto read = [](const std::string& created) {
    const auto summary =
        read_stream_summary(R"({"StreamDescriptionSummary":{"StreamARN":"arn:x")" + created + "}}").value();
    CHECK(summary.arn == "arn:x");
    return summary.created ? iso_milliseconds(*summary.created) : "";
  };
  CHECK(read("") == "");
  CHECK(read(R"(,"StreamCreationTimestamp":1789200000.123)") == "2026-09-12T08:00:00.123Z");
  CHECK(read(R"(,"StreamCreationTimestamp":1.7892E9)") == "2026-09-12T08:00:00.000Z");
  CHECK(read(R"(,"StreamCreationTimestamp":"yesterday")") == "");
  CHECK(read(R"(,"StreamCreationTimestamp":1e300)") == "");
}

TEST_CASE("answers that are none of Kinesis") {
  RecordsReader reader;
  for (const char* wrong : {"", "[]", "<html>", "{}", R"({"Shards":{}})", R"({"Shards":[{}]})", R"({"Shards":[1]})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(read_shards(wrong).has_value());
    CHECK_FALSE(read_shard_iterator(wrong).has_value());
    CHECK_FALSE(read_stream_summary(wrong).has_value());
    CHECK_FALSE(reader.read_page(wrong, event_stream()).has_value());
  }
  for (const char* wrong :
       {R"({"Records":[{}]})", R"({"Records":[{"SequenceNumber":"x"}]})", R"({"Records":[{"SequenceNumber":7}]})",
        R"({"Records":[{"SequenceNumber":"7","Data":"?"}]})", R"({"Records":[{"SequenceNumber":"7"}])"}) {
    CAPTURE(wrong);
    const auto page = reader.read_page(wrong, event_stream());
    REQUIRE_FALSE(page.has_value());
    CHECK(page.error().code() == ErrorCode::kSourceFailed);
  }
}

TEST_CASE("what is wrong with an answer is said in words") {
  RecordsReader reader;
  const auto said = [&](const char* answer) { return reader.read_page(answer, event_stream()).error().message(); };
  const std::string none = "the answer is none of Kinesis: ";
  CHECK(said("<html>busy</html>") == none + "it is not JSON");
  CHECK(said(R"({"Records":[{}]})") == none + "a record without SequenceNumber");
  CHECK(said(R"({"Records":[{"SequenceNumber":"x"}]})") == none + "a record's SequenceNumber is no number");
  CHECK(said(R"({"Records":[{"SequenceNumber":"7","Data":"?"}]})") == none + "a record's Data is no base64");
  CHECK(said(R"({"Records":{}})") == none + "a member is of another kind than Kinesis's");
}

TEST_CASE("a page of records: positions, times, bytes") {
  RecordsReader reader;
  auto page = reader.read_page(R"({"MillisBehindLatest":1500,"NextShardIterator":"next","Records":[
    {"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","Data":"SGVsbG8AIQ==",
     "PartitionKey":"k\u00e9y\"1","ApproximateArrivalTimestamp":1691068717.172,"EncryptionType":"KMS"},
    {"SequenceNumber":"5","Data":"","PartitionKey":"2","ApproximateArrivalTimestamp":1.69106871717E9}]})",
                               event_stream());
  REQUIRE(page.has_value());
  CHECK(page->behind == Duration(1500ms));
  CHECK(page->next == "next");
  CHECK_FALSE(page->records.end_of_shard);
  REQUIRE(page->records.records.size() == 2);
  const Record& record = page->records.records[0];
  CHECK(record.position.text() == "49590338271490256608559692538361571095921575989136588898");
  CHECK(record.key == "k\xc3\xa9y\"1");
  CHECK(record.data == std::string_view("Hello\0!", 7));
  CHECK(epoch_milliseconds(record.arrival) == 1'691'068'717'172);
  CHECK(page->records.records[1].data.empty());
  CHECK(epoch_milliseconds(page->records.records[1].arrival) == 1'691'068'717'170);
}

TEST_CASE("whatever a record says when it came, and a shard how far behind it is read, it is held within bounds") {
  RecordsReader reader;
  struct Row {
    std::string time;
    int side;  ///< of 1970
  };
  const Row row = GENERATE(
      values<Row>({{"1e18", 1}, {"1e300", 1}, {"9223372036854775807", 1}, {"-1e18", -1}, {"-0.5", -1}, {"0", 0}}));
  const auto page =
      reader.read_page(R"({"NextShardIterator":"next","Records":[{"SequenceNumber":"7","PartitionKey":"k","Data":"",)"
                       R"("ApproximateArrivalTimestamp":)" +
                           row.time + "}]}",
                       event_stream());
  CAPTURE(row.time);
  REQUIRE(page.has_value());
  const Record& record = page->records.records.at(0);
  CHECK((record.arrival > WallTime()) == (row.side > 0));
  CHECK((record.arrival < WallTime()) == (row.side < 0));
  std::string out;
  append_kinesis_record(out, event_stream(), record, record.arrival);
  CHECK(out.size() == record.encoded_bytes);
  CHECK(nlohmann::json::accept(out));

  const auto behind = [&](const std::string& milliseconds) {
    return reader
        .read_page(R"({"NextShardIterator":"n","Records":[],"MillisBehindLatest":)" + milliseconds + "}",
                   event_stream())
        .value()
        .behind;
  };
  CHECK(behind("9223372036854775807") > Duration(24h * 365));
  CHECK(behind("-9223372036854775807") == Duration(0));
  CHECK(behind("31536000000") == Duration(24h * 365));
}

TEST_CASE("a shard's end is an answer without an iterator") {
  RecordsReader reader;
  for (const char* end : {R"({"Records":[],"ChildShards":[]})", R"({"NextShardIterator":null,"Records":[]})"}) {
    const auto page = reader.read_page(end, event_stream());
    REQUIRE(page.has_value());
    CHECK_FALSE(page->next.has_value());
    CHECK(page->records.end_of_shard);
  }
}

TEST_CASE("a record says exactly how many bytes it adds to the event") {
  RecordsReader reader;
  for (const char* key : {"", "1", "quote \\\" and \\u0001", "\\ud83d\\ude00", "é"}) {
    for (const char* data : {"", "QQ==", "QUI=", "QUJD", "QUJDRA=="}) {
      for (const char* time : {"0", "0.5", "1700000000", "1700000000.1", "1700000000.123"}) {
        const std::string answer = std::string(R"({"Records":[{"SequenceNumber":"77","PartitionKey":")") + key +
                                   R"(","Data":")" + data + R"(","ApproximateArrivalTimestamp":)" + time + "}]}";
        const auto page = reader.read_page(answer, event_stream());
        CAPTURE(answer);
        REQUIRE(page.has_value());
        std::string out;
        append_kinesis_record(out, event_stream(), page->records.records[0], page->records.records[0].arrival);
        CHECK(out.size() == page->records.records[0].encoded_bytes);
        CHECK(nlohmann::json::accept(out));
      }
    }
  }
}

TEST_CASE("the sample event is the one beside the connector, byte by byte") {
  std::ifstream file(WEIR_KINESIS_SAMPLE);
  std::stringstream text;
  text << file.rdbuf();
  CHECK(sample_event() + "\n" == text.str());
}
