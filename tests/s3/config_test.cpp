#include "connectors/s3/config.h"

#include <array>
#include <fstream>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/s3/connector.h"
#include "connectors/sqs/config.h"
#include "connectors/sqs/connector.h"
#include "support/temporary_folder.h"

using namespace weir;
using s3::S3Config;
using s3::StartingPosition;

namespace {

/// With the queues that it has in weir.
std::unique_ptr<SourceConfig> read_s3(ConfigNode& node) {
  return s3::read_config(node, {&sqs::read_queue, &sqs::make_source});
}

constexpr std::array kTable{ConnectorEntry{"s3", Delivery::kPush, "A bucket.", &read_s3, nullptr, &s3::sample_event,
                                           nullptr, nullptr, &s3::make_source}};

/// The sentences about a second source, beside one of bucket `uploads` that wants in/ and all that is created.
std::string mistakes_beside(const std::string& second, const std::string& first = "filter: {prefix: in/}") {
  const test::TemporaryFolder folder;
  const std::string file = folder.write("weir.yaml",
                                        "functions: {f: {command: run}, g: {command: run}}\nsources:\n"
                                        "  one: {type: s3, function: f, bucket: uploads, " +
                                            first + "}\n" + "  two: {type: s3, function: g, " + second + "}\n");
  const auto report =
      config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  std::string lines;
  for (const config::Mistake& mistake : report.mistakes) lines += mistake.path + ": " + mistake.sentence + "\n";
  return lines;
}

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.write(
        "weir.yaml", "functions: {f: {command: run}}\nsources: {up: {type: s3, function: f, " + settings + "}}\n");
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const S3Config& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const S3Config&>(*report.config.sources.at(0).settings);
  }
  /// "path: sentence", a line each, without "sources.up.".
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.up.")) path.erase(0, 11);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

}  // namespace

TEST_CASE("only the bucket has to be said") {
  const Reading reading("bucket: uploads");
  const S3Config& config = reading.right();
  CHECK(config.bucket == "uploads");
  CHECK(config.rules.wants("s3:ObjectCreated:Put"));
  CHECK_FALSE(config.rules.wants("s3:ObjectRemoved:Delete"));
  CHECK(config.rules.wants_key("anything"));
  CHECK(config.folder.empty());
  CHECK(config.authorization.empty());
  CHECK(config.region == "us-east-1");
  CHECK(config.configuration_id() == "up");
  CHECK(config.starting_position == StartingPosition::kTrimHorizon);
  CHECK(config.queue == nullptr);
}

TEST_CASE("a queue is reached where its URL or its ARN says") {
  const auto queue_of = [](const Reading& reading) {
    return dynamic_cast<const sqs::SqsConfig&>(*reading.right().queue);
  };
  const Reading arn("bucket: abc, queue: 'arn:aws:sqs:eu-west-1:111122223333:news', region: us-east-2");
  CHECK(queue_of(arn).queue.name == "news");
  CHECK(queue_of(arn).access.region == "eu-west-1");
  CHECK(arn.right().region == "us-east-2");  // of events
  const Reading url("bucket: abc, queue: 'http://127.0.0.1:9324/000000000000/news'");
  CHECK(queue_of(url).queue.origin() == "http://127.0.0.1:9324");
}

TEST_CASE("what is said of a bucket") {
  const Reading reading(
      "bucket: uploads, events: ['s3:ObjectRemoved:*', 's3:ObjectTagging:Put'], filter: {prefix: 'in+2024/', suffix: "
      "'%2Bx.jpg'}, folder: drop, auth_token: secret, region: eu-west-1, configuration_id: images, starting_position: "
      "LATEST");
  const S3Config& config = reading.right();
  CHECK(config.rules.wants("s3:ObjectRemoved:DeleteMarkerCreated"));
  CHECK_FALSE(config.rules.wants("s3:ObjectCreated:Put"));
  CHECK(config.rules.wants_key("in 2024/a+x.jpg"));
  CHECK_FALSE(config.rules.wants_key("in+2024/a+x.jpg"));
  CHECK(config.folder == reading.folder / "drop");
  CHECK(config.authorization == "Bearer secret");
  CHECK(config.region == "eu-west-1");
  CHECK(config.configuration_id() == "images");
  CHECK(config.starting_position == StartingPosition::kLatest);
}

TEST_CASE("a token of two words is the header as it is") {
  CHECK(Reading("bucket: uploads, auth_token: Basic dXNlcg==").right().authorization == "Basic dXNlcg==");
}

TEST_CASE("what is wrong about a bucket is said with its place") {
  struct Row {
    std::string settings, mistake;
  };
  const auto row = GENERATE(values<Row>({
      {"region: eu-west-1", "bucket: "},
      {"bucket: Uploads", "bucket: a bucket's name consists of lower-case letters, digits, dots and hyphens"},
      {"bucket: ab", "bucket: a bucket's name has 3 to 63 characters"},
      {"bucket: abc, events: []", "events: "},
      {"bucket: abc, events: ['ObjectCreated:*']", "events"},
      {"bucket: abc, events: ['s3:ObjectCreated:PutTagging']", "events"},
      {"bucket: abc, filter: {prefix: '100%'}", "filter.prefix: has a % that begins no escape"},
      {"bucket: abc, filter: {sufix: a}", "filter.sufix: unknown key"},
      {"bucket: abc, folder: ''", "folder: is empty"},
      {"bucket: abc, queue: ''", "queue: is empty"},
      {"bucket: abc, queue: 'a b'", "queue: is no queue's URL, ARN or name"},
      {"bucket: abc, queue: 'arn:aws:sns:eu-west-1:111122223333:t'", "queue: Unrecognized event source."},
      {"bucket: abc, queue: q, folder: x", "queue: does not go together with `folder`"},
      {"bucket: abc, auth_token: ''", "auth_token: is empty"},
      {"bucket: abc, auth_token: 'a b c'", "auth_token: is one word"},
      {"bucket: abc, auth_token: ' a'", "auth_token: is one word"},
      {"bucket: abc, region: EU", "region: is no region's name"},
      {"bucket: abc, starting_position: AT_TIMESTAMP", "starting_position: "},
      {"bucket: abc, format: cloudevents", "format: "},
      {"bucket: abc, format: eventbridge, events: ['s3:Replication:*']",
       "format: S3 sends no \"s3:Replication:*\" to EventBridge"},
      {"bucket: abc, format: eventbridge, events: ['s3:ObjectAccessed:Get']", "format: S3 sends no"},
      {"bucket: abc, unwrap: true", "unwrap: needs auth_token"},
      {"bucket: abc, batch_size: 1", "batch_size: unknown key"},
  }));
  const Reading reading(row.settings);
  INFO(row.settings);
  CHECK_THAT(reading.mistakes(), Catch::StartsWith(row.mistake));
}

TEST_CASE("a bucket's notifications may not overlap, whatever their functions, in AWS's words") {
  CHECK(mistakes_beside("bucket: uploads") ==
        "sources.two: Configurations overlap. Configurations on the same bucket cannot share a common event type. The "
        "other one is sources.one\n");
  CHECK(mistakes_beside("bucket: uploads, filter: {suffix: .jpg}") ==
        "sources.two: Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
        "prefixes are overlapping for the same event type. The other one is sources.one\n");
  CHECK(mistakes_beside("bucket: uploads, filter: {prefix: out/}").empty());
  CHECK(mistakes_beside("bucket: uploads, events: ['s3:ObjectRemoved:*']").empty());
  CHECK(mistakes_beside("bucket: downloads").empty());
}

TEST_CASE("what does not come from the bucket itself may overlap, and so may what is turned off") {
  CHECK(mistakes_beside("bucket: uploads, format: eventbridge").empty());
  CHECK(mistakes_beside("bucket: uploads, unwrap: true, auth_token: t").empty());
  CHECK(mistakes_beside("bucket: uploads, queue: q").empty());
  CHECK(mistakes_beside("bucket: uploads, queue: q", "queue: p").empty());
  CHECK(mistakes_beside("bucket: downloads, queue: q", "queue: q") ==
        "sources.two: Both poll the queue q: each of its messages would come to one of them only. The other one is "
        "sources.one\n");
  CHECK(mistakes_beside("bucket: uploads, enabled: false").empty());
  CHECK(mistakes_beside("bucket: uploads", "enabled: false").empty());
}

TEST_CASE("limits of lengths hold on both sides") {
  CHECK(Reading("bucket: abc, filter: {prefix: " + std::string(1024, 'a') + "}").report.mistakes.empty());
  CHECK_FALSE(Reading("bucket: abc, filter: {prefix: " + std::string(1025, 'a') + "}").report.mistakes.empty());
  CHECK(Reading("bucket: abc, configuration_id: " + std::string(255, 'a')).report.mistakes.empty());
  CHECK_FALSE(Reading("bucket: abc, configuration_id: " + std::string(256, 'a')).report.mistakes.empty());
}

TEST_CASE("a token is in no message") {
  CHECK_THAT(Reading("bucket: abc, auth_token: 'swordfish one two'").mistakes(), !Catch::Contains("swordfish"));
}
