#include "connectors/file/parser.h"

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "event/kinesis_event.h"
#include "support/print.h"

using namespace weir;
using namespace weir::file;

namespace {

FileConfig recording(std::optional<std::int64_t> speed = std::nullopt) {
  FileConfig config;
  config.format = Format::kRecording;
  config.speed = speed;
  return config;
}

/// "shard key data", or the error's sentence.
std::string parsed(const FileConfig& config, std::string_view line) {
  std::deque<std::string> arena;
  const auto result = LineParser(config, 4).parse(line, 100, 100 + line.size() + 1, arena);
  if (!result) return result.error().message();
  if (!*result) return "nothing";
  const ParsedLine& got = **result;
  return std::to_string(got.shard) + " " + std::string(got.record.key) + " " + std::string(got.record.data);
}

}  // namespace

TEST_CASE("a line is a record") {
  FileConfig config;
  CHECK(parsed(config, "hello").ends_with(" 100 hello"));
  CHECK(parsed(config, "hello\r").ends_with(" 100 hello"));
  CHECK(parsed(config, "") == "nothing");
  CHECK(parsed(config, "\xff\xfe").ends_with(" 100 \xff\xfe"));
  config.partition_key = "/user/id";
  CHECK(parsed(config, R"({"user":{"id":"ann"}})").ends_with(R"( ann {"user":{"id":"ann"}})"));
  CHECK(parsed(config, R"({"user":{"id":7}})").find(" 7 {") != std::string::npos);
  CHECK(parsed(config, R"({"user":{}})").find(" 100 {") != std::string::npos);
  CHECK(parsed(config, "not json").ends_with(" 100 not json"));
}

TEST_CASE("one key always goes to one shard, and keys spread") {
  std::array<int, 8> counts{};
  for (int i = 0; i < 8000; ++i) ++counts[shard_of_key("key-" + std::to_string(i), 8)];
  for (int count : counts) CHECK((count > 800 && count < 1200));
  CHECK(shard_of_key("ann", 8) == shard_of_key("ann", 8));
}

TEST_CASE("a recording says what each record was") {
  struct Row {
    std::string_view line, is;
  };
  auto row = GENERATE(values<Row>({
      {R"({"data":"aGk=","partitionKey":"k","shardId":"shardId-000000000003"})", "3 k hi"},
      {R"({"json":{"b":1,"a":[2]},"partitionKey":"k","shardId":"2"})", R"(2 k {"a":[2],"b":1})"},
      {R"({"data":"","partitionKey":"","shardId":"shardId-000000000000"})", "0  "},
      {R"({"data":"aGk","shardId":"0"})", "the line at byte 100 has data that is not base64"},
      {R"({"data":7})", "the line at byte 100 has data that is not base64"},
      {R"({"partitionKey":"k"})", "the line at byte 100 has neither data nor json"},
      {R"({"data":"aGk=","shardId":"first"})",
       "the line at byte 100 has a shardId that is none, like shardId-000000000000"},
      {R"({"data":"aGk=","shardId":"4"})", "the line at byte 100 is of a shard that `shards` leaves out"},
      {R"({"data":"aGk=","approximateArrivalTimestamp":"soon"})",
       "the line at byte 100 has an approximateArrivalTimestamp that is no time"},
      {R"({"data":"aGk=","approximateArrivalTimestamp":1e300})",
       "the line at byte 100 has an approximateArrivalTimestamp that is no time"},
      {R"({"data":"aG)", "the line at byte 100 is not JSON; the recording is damaged or was cut off"},
      {R"([1])", "the line at byte 100 is not a JSON object"},
  }));
  CHECK(parsed(recording(), row.line) == row.is);
}

TEST_CASE("a line of brackets takes no more stack than any other") {
  const std::string brackets = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const std::string line = R"({"json":)" + brackets + R"(,"partitionKey":"k"})";
  CHECK(parsed(recording(), line) == "the line at byte 100 has json that is nested too deeply");
  const std::string keyed = R"({"data":"aGk=","partitionKey":)" + brackets + "}";
  CHECK(parsed(recording(), keyed) == "the line at byte 100 has a partitionKey that is nested too deeply");
  CHECK(parsed(recording(), R"({"json":[["[[","\"]"]],"shardId":"1","partitionKey":"k"})") == R"(1 k [["[[","\"]"]])");
  FileConfig lines;
  lines.partition_key = "/id";
  CHECK(parsed(lines, R"({"id":)" + brackets + "}").substr(2, 4) == "100 ");
}

TEST_CASE("a recording that is paced needs times") {
  CHECK(parsed(recording(1), R"({"data":"aGk=","shardId":"0"})") ==
        "the line at byte 100 has no approximateArrivalTimestamp, which `speed` goes by");
  std::deque<std::string> arena;
  for (const char* time : {"1691068717.171", "\"2023-08-03T13:18:37.171Z\""}) {
    const std::string line = R"({"data":"aGk=","approximateArrivalTimestamp":)" + std::string(time) + "}";
    const auto got = LineParser(recording(1), 1).parse(line, 0, 9, arena);
    REQUIRE(got.has_value());
    CHECK(epoch_milliseconds(*(*got)->recorded) == 1'691'068'717'171);
  }
}

TEST_CASE("times are printed as Java prints a double") {
  // Source: the captured events of reference stream-sources.md, 2.1.
  CHECK(java_seconds(from_epoch_milliseconds(1'691'068'717'170)) == "1.69106871717E9");
  CHECK(java_seconds(from_epoch_milliseconds(1'691'068'717'172)) == "1.691068717172E9");
  CHECK(java_seconds(from_epoch_milliseconds(1'500'000'000'000)) == "1.5E9");
  CHECK(java_seconds(from_epoch_milliseconds(2'000'000'000'000)) == "2.0E9");
  CHECK(java_seconds(from_epoch_milliseconds(9'999'999'999)) == "9999999.999");
  CHECK(java_seconds(from_epoch_milliseconds(10'000'000'000)) == "1.0E7");
  CHECK(java_seconds(from_epoch_milliseconds(1'500)) == "1.5");
  CHECK(java_seconds(from_epoch_milliseconds(0)) == "0.0");
}

TEST_CASE("the size of a record in an event is known beforehand") {
  Random random(7);
  const KinesisStream stream{"arn:aws:kinesis:us-east-1:000000000000:stream/s", "arn:aws:iam::000000000000:role/weir",
                             "us-east-1", "shardId-000000000000"};
  for (int i = 0; i < 2000; ++i) {
    std::string key;
    std::string data;
    for (auto n = random.below(20); n > 0; --n) key.push_back(static_cast<char>(random.below(256)));
    for (auto n = random.below(200); n > 0; --n) data.push_back(static_cast<char>(random.below(256)));
    Record record;
    record.position = Position(random.next() >> random.below(64));
    record.key = key;
    record.data = data;
    const WallTime arrived = from_epoch_milliseconds(static_cast<std::int64_t>(random.below(4'000'000'000'000)));
    std::string out;
    append_kinesis_record(out, stream, record, arrived);
    REQUIRE(out.size() == kinesis_record_size(stream, record, arrived));
  }
}
