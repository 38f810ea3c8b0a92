#include "connectors/kinesis/config.h"

#include <array>
#include <fstream>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/kinesis/connector.h"
#include "support/temporary_folder.h"

using namespace weir;
using kinesis::KinesisConfig;

namespace {

constexpr std::array kTable{ConnectorEntry{"kinesis", Delivery::kPoll, "A stream.", &kinesis::read_config,
                                           &kinesis::make_source, &kinesis::sample_event, nullptr, nullptr}};

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.path() + "/weir.yaml";
    std::ofstream(file) << "functions: {f: {command: run}}\nsources: {clicks: {type: kinesis, function: f, " << settings
                        << "}}\n";
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const KinesisConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const KinesisConfig&>(*report.config.sources.at(0).settings);
  }
  /// "key: sentence", a line each.
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.clicks.")) path.erase(0, 15);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

constexpr const char* kArn = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";
constexpr const char* kConsumer = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/weir:1700000000";

}  // namespace

TEST_CASE("a stream by its name, with AWS's defaults") {
  const Reading reading("stream: clicks, starting_position: TRIM_HORIZON");
  const KinesisConfig& config = reading.right();
  CHECK(config.stream_name == "clicks");
  CHECK(config.stream_arn.empty());
  CHECK(config.consumer_arn.empty());
  CHECK(config.starting_position == Resume::trim_horizon());
  CHECK(config.mapping.batch_size == 100);
  CHECK(config.mapping.parallelization_factor == 1);
}

TEST_CASE("a stream by its ARN, and by a consumer's") {
  const Reading stream("stream_arn: \"" + std::string(kArn) + "\", starting_position: LATEST");
  CHECK(stream.right().stream_name == "clicks");
  CHECK(stream.right().stream_arn == kArn);
  CHECK(stream.right().consumer_arn.empty());
  CHECK(stream.right().starting_position == Resume::latest());
  const Reading consumer("stream_arn: \"" + std::string(kConsumer) + "\", starting_position: LATEST");
  CHECK(consumer.right().stream_arn == kArn);
  CHECK(consumer.right().consumer_arn == kConsumer);
}

TEST_CASE("an ARN is taken apart, and what is none is refused") {
  const auto arn = kinesis::parse_stream_arn(kConsumer);
  REQUIRE(arn.has_value());
  CHECK(arn->partition == "aws");
  CHECK(arn->region == "eu-west-1");
  CHECK(arn->account == "123456789012");
  CHECK(arn->stream_name == "clicks");
  CHECK(kinesis::parse_stream_arn("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a.b-c_d")->partition == "aws-cn");
  for (const char* wrong :
       {"", "clicks", "arn:aws:kinesis:eu-west-1:123456789012:stream/", "arn:aws:sqs:eu-west-1:123456789012:stream/a",
        "arn:aws:kinesis::123456789012:stream/a", "arn:aws:kinesis:eu-west-1:x:stream/a",
        "arn:aws:kinesis:eu-west-1:123456789012:table/a", "arn:aws:kinesis:eu-west-1:123456789012:stream/a/consumer/b",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/a/consumer/:1",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/a/other/b:1",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/a b"}) {
    CAPTURE(wrong);
    CHECK_FALSE(kinesis::parse_stream_arn(wrong).has_value());
  }
}

TEST_CASE("a time to begin at") {
  const Reading reading("stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: 1700000000.5");
  CHECK(reading.right().starting_position == Resume::at_timestamp(from_epoch_milliseconds(1'700'000'000'500)));
}

TEST_CASE("mistakes, in AWS's words where it has some") {
  struct Row {
    std::string settings, mistake;
  };
  const Row row = GENERATE(values<Row>({
      {"stream: clicks",
       "starting_position: 1 validation error detected: Value null at 'startingPosition' failed to satisfy "
       "constraint: Member must not be null.\n"},
      {"stream: clicks, starting_position: oldest",
       "starting_position: 1 validation error detected: Value 'oldest' at 'startingPosition' failed to satisfy "
       "constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP",
       "starting_position: When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be "
       "provided.\n"},
      {"stream: clicks, starting_position: LATEST, starting_position_timestamp: 1",
       "starting_position_timestamp: only goes with starting_position AT_TIMESTAMP\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: soon",
       "starting_position_timestamp: \"soon\" is no time; allowed are epoch seconds and ISO 8601 such as "
       "2026-09-12T07:00:00Z\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: 8000000000",
       "starting_position_timestamp: 8000000000 is in the future\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: 99999999999",
       "starting_position_timestamp: 99999999999 is in the future\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: 1690000000000",
       "starting_position_timestamp: 1690000000000 is a time in milliseconds, allowed are seconds: 1690000000\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: 9690000000000",
       "starting_position_timestamp: 9690000000000 is in the future\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: '3000-01-01T00:00:00Z'",
       "starting_position_timestamp: 3000-01-01T00:00:00Z is in the future\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: '1000-01-01T00:00:00Z'",
       "starting_position_timestamp: 1000-01-01T00:00:00Z is before 1970\n"},
      {"stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: -1",
       "starting_position_timestamp: -1 is before 1970\n"},
      {"stream_arn: \"arn:aws:sns:eu-west-1:123456789012:clicks\", starting_position: LATEST",
       "stream_arn: Unrecognized event source.\n"},
      {"stream_arn: \"arn:aws:kinesis:eu-west-1:12345678901:stream/clicks\", starting_position: LATEST",
       "stream_arn: Unrecognized event source.\n"},
      {"stream_arn: \"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks\", starting_position: LATEST, region: "
       "us-east-1",
       "region: \"us-east-1\" is another region than the source's own, eu-west-1\n"},
      {"stream_arn: \"arn:aws:sns:eu-west-1:1:clicks\", starting_position: LATEST",
       "stream_arn: Unrecognized event source.\n"},
      {"starting_position: LATEST", "stream: give the stream's name, or its ARN as stream_arn\n"},
      {"stream: \"a/b\", starting_position: LATEST",
       "stream: is no stream's name: 1 to 128 letters, digits, dots, dashes and underscores\n"},
      {"stream: clicks, starting_position: LATEST, endpoint_url: \"ftp://x\"",
       "endpoint_url: is no address of a server, such as http://127.0.0.1:4567; without user, query and fragment\n"},
      {"stream: clicks, starting_position: LATEST, region: \"EU west\"", "region: is no region, such as eu-west-1\n"},
  }));
  CHECK(Reading(row.settings).mistakes() == row.mistake);
}

TEST_CASE("a time may be 1970, and as late as now") {
  const std::string settings = "stream: clicks, starting_position: AT_TIMESTAMP, starting_position_timestamp: ";
  CHECK(Reading(settings + "0").right().starting_position == Resume::at_timestamp(from_epoch_milliseconds(0)));
  CHECK(Reading(settings + "'1970-01-01T00:00:00Z'").right().starting_position ==
        Resume::at_timestamp(from_epoch_milliseconds(0)));
}

TEST_CASE("an ARN's region goes before that of the section aws") {
  const Reading reading("stream_arn: \"" + std::string(kArn) + "\", starting_position: LATEST");
  AwsAccess section;
  section.region = "us-east-1";
  CHECK(reading.right().access.or_else(section).region == "eu-west-1");
}

TEST_CASE("a stream is read once for a function, a consumer of it is another event source") {
  const auto mistakes = [](const std::string& first, const std::string& second, const std::string& aws = "{}") {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{
        folder.write("weir.yaml", "functions: {f: {command: run}}\naws: " + aws +
                                      "\nsources:\n"
                                      "  a: {type: kinesis, function: f, starting_position: LATEST, " +
                                      first +
                                      "}\n"
                                      "  b: {type: kinesis, function: f, starting_position: LATEST, " +
                                      second + "}\n")};
    std::string all;
    for (const config::Mistake& each :
         config::read_config(files, kTable, [](std::string_view) { return std::nullopt; }).mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  const auto arn = [](const std::string& text) { return "stream_arn: \"" + text + "\""; };
  CHECK(
      mistakes(arn(kArn), arn(kArn)) ==
      "sources.b: The event source arn (\" " + std::string(kArn) +
          " \") and function (\" f \") provided mapping already exists. Please update or delete the existing mapping, "
          "sources.a\n");
  CHECK_FALSE(mistakes(arn(kConsumer), arn(kConsumer)).empty());
  CHECK(mistakes(arn(kArn), arn(kConsumer)).empty());
  CHECK_FALSE(mistakes("stream: clicks", "stream: clicks, batch_size: 5").empty());
  CHECK(mistakes("stream: clicks", "stream: orders").empty());
  CHECK(mistakes("stream: clicks, region: eu-west-1", "stream: clicks, region: us-east-1").empty());
  CHECK(mistakes("stream: clicks, endpoint_url: \"http://a\"", "stream: clicks, endpoint_url: \"http://b\"").empty());
  CHECK_FALSE(
      mistakes("stream: clicks, endpoint_url: \"http://a\"", "stream: clicks, endpoint_url: \"http://a/\"").empty());
  // Where a name's stream is may only be known from the environment, and then it is not known here.
  CHECK(mistakes(arn(kArn), "stream: clicks").empty());
  CHECK_FALSE(mistakes(arn(kArn), "stream: clicks", "{region: eu-west-1}").empty());
  CHECK(mistakes(arn(kArn), arn("arn:aws:kinesis:eu-west-1:999999999999:stream/clicks")).empty());
}
