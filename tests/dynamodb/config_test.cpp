#include "connectors/dynamodb/config.h"

#include <array>
#include <fstream>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/dynamodb/connector.h"
#include "support/print.h"
#include "support/temporary_folder.h"

using namespace weir;
using dynamodb::DynamodbConfig;

namespace {

constexpr std::array kTable{ConnectorEntry{"dynamodb", Delivery::kPoll, "A table's stream.", &dynamodb::read_config,
                                           &dynamodb::make_source, &dynamodb::sample_event, nullptr, nullptr}};

const std::string kArn = "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2026-09-17T07:00:00.000";

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.path() + "/weir.yaml";
    std::ofstream(file) << "functions: {f: {command: run}}\nsources: {orders: {type: dynamodb, function: f, "
                        << settings << "}}\n";
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const DynamodbConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const DynamodbConfig&>(*report.config.sources.at(0).settings);
  }
  /// "path: sentence", a line each, without "sources.orders.".
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.orders.")) path.erase(0, 15);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

}  // namespace

TEST_CASE("the least: a table and a position") {
  const Reading reading("table: Orders, starting_position: TRIM_HORIZON");
  const DynamodbConfig& config = reading.right();
  CHECK(config.table == "Orders");
  CHECK(config.stream_arn.empty());
  CHECK(config.starting_position == Resume::trim_horizon());
  CHECK(config.mapping.kind == MappingKind::kDynamodb);
  CHECK(config.mapping.batch_size == 100);
  CHECK(config.mapping.maximum_batching_window == Duration(0));
  CHECK(config.mapping.maximum_retry_attempts == -1);
  CHECK(config.access.region.empty());
}

TEST_CASE("what is said") {
  const Reading reading("stream_arn: '" + kArn +
                        "', starting_position: LATEST, region: eu-west-1, endpoint_url: 'http://127.0.0.1:8000', "
                        "profile: dev, parallelization_factor: 10, tumbling_window_in_seconds: 0, batch_size: 10000, "
                        "bisect_batch_on_function_error: true, function_response_types: [ReportBatchItemFailures]");
  const DynamodbConfig& config = reading.right();
  CHECK(config.stream_arn == kArn);
  CHECK(config.starting_position == Resume::latest());
  CHECK(config.access.region == "eu-west-1");
  CHECK(config.access.endpoint_url == "http://127.0.0.1:8000");
  CHECK(config.access.profile == "dev");
  CHECK(config.mapping.parallelization_factor == 10);
  CHECK(config.mapping.report_batch_item_failures);
}

TEST_CASE("the stream is named once") {
  CHECK(Reading("starting_position: LATEST").mistakes() ==
        "table: is missing; the table whose stream is read, or its stream_arn\n");
  CHECK(Reading("starting_position: LATEST, table: Orders, stream_arn: '" + kArn + "'").mistakes() ==
        "stream_arn: names the stream already; give it or table, not both\n");
}

TEST_CASE("names of tables have 3 to 255 characters of few kinds") {
  const auto mistakes = [](const std::string& name) {
    return Reading("starting_position: LATEST, table: '" + name + "'").mistakes();
  };
  CHECK(mistakes("a_b").empty());
  CHECK(mistakes(std::string(255, 'a')).empty());
  CHECK(mistakes("Az09_.-").empty());
  CHECK(mistakes("ab").starts_with("table: \"ab\" is no name of a table"));
  CHECK_FALSE(mistakes(std::string(256, 'a')).empty());
  CHECK_FALSE(mistakes("a/b").empty());
  CHECK_FALSE(mistakes("").empty());
}

TEST_CASE("a stream's ARN is whole, and of DynamoDB") {
  CHECK(dynamodb::region_of_stream(kArn) == "eu-west-1");
  CHECK(dynamodb::region_of_stream("arn:aws-cn:dynamodb:cn-north-1:123456789012:table/T/stream/L") == "cn-north-1");
  for (const std::string wrong :
       {"", "table", "arn:aws:dynamodb:eu-west-1:123456789012:table/T",
        "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/",
        "arn:aws:dynamodb:eu-west-1:123456789012:table//stream/L", "arn:aws:kinesis:eu-west-1:123456789012:stream/T",
        "arn:aws:dynamodb::123456789012:table/T/stream/L", "arn::dynamodb:r:123456789012:table/T/stream/L",
        "x:aws:dynamodb:r:123456789012:table/T/stream/L", "arn:aws:dynamodb:r:12345678901:table/T/stream/L",
        "arn:aws:dynamodb:r:1234567890123:table/T/stream/L", "arn:aws:dynamodb:r::table/T/stream/L",
        "arn:aws:dynamodb:r:12345678901a:table/T/stream/L"}) {
    INFO(wrong);
    CHECK_FALSE(dynamodb::region_of_stream(wrong).has_value());
    CHECK(Reading("starting_position: LATEST, stream_arn: '" + wrong + "'")
              .mistakes()
              .starts_with("stream_arn: Unrecognized event source."));
  }
}

TEST_CASE("the starting position is required, and no time") {
  CHECK(Reading("table: Orders").mistakes() ==
        "starting_position: 1 validation error detected: Value null at 'startingPosition' failed to satisfy "
        "constraint: Member must not be null.\n");
  CHECK(Reading("table: Orders, starting_position: LATEST, maximum_concurrency: 5").mistakes() ==
        "maximum_concurrency: Unsupported 'scalingConfig' parameter for given event source mapping type.\n");
  CHECK(Reading("table: Orders, starting_position: OLDEST").mistakes() ==
        "starting_position: 1 validation error detected: Value 'OLDEST' at 'startingPosition' failed to satisfy "
        "constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]\n");
  CHECK(Reading("stream_arn: '" + kArn + "', starting_position: AT_TIMESTAMP").mistakes() ==
        "starting_position: Unsupported starting position for arn type: " + kArn + "\n");
  CHECK(Reading("table: Orders, starting_position: AT_TIMESTAMP").mistakes() ==
        "starting_position: Unsupported starting position for arn type: table/Orders\n");
  CHECK_FALSE(Reading("table: Orders, starting_position: LATEST, starting_position_timestamp: 5").mistakes().empty());
}

TEST_CASE("the region is the stream's own, but for DynamoDB Local, whose ARNs do not know it") {
  const std::string position = "starting_position: LATEST, stream_arn: '";
  CHECK(Reading(position + kArn + "', region: us-east-1").mistakes() ==
        "region: \"us-east-1\" is another region than the source's own, eu-west-1\n");
  CHECK(Reading(position + kArn + "'").right().access.region == "eu-west-1");
  const std::string local = "arn:aws:dynamodb:ddblocal:000000000000:table/Orders/stream/2026-09-17T07:00:00.000";
  CHECK(Reading(position + local + "', region: us-east-1").right().access.region == "us-east-1");
  CHECK(Reading(position + local + "'").right().access.region.empty());
}

TEST_CASE("a stream is read once for a function") {
  const auto mistakes = [](const std::string& first, const std::string& second, const std::string& function = "f") {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{folder.write("weir.yaml",
                                                      "functions: {f: {command: run}, g: {command: run}}\nsources:\n"
                                                      "  a: {type: dynamodb, function: f, starting_position: LATEST, " +
                                                          first +
                                                          "}\n"
                                                          "  b: {type: dynamodb, function: " +
                                                          function + ", starting_position: LATEST, " + second + "}\n")};
    std::string all;
    for (const config::Mistake& each :
         config::read_config(files, kTable, [](std::string_view) { return std::nullopt; }).mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  const std::string arn = "stream_arn: '" + kArn + "'";
  CHECK(
      mistakes(arn, arn) ==
      "sources.b: The event source arn (\" " + kArn +
          " \") and function (\" f \") provided mapping already exists. Please update or delete the existing mapping, "
          "sources.a\n");
  CHECK(mistakes("table: Orders", "table: Orders").starts_with("sources.b: The event source arn (\" Orders \")"));
  CHECK(mistakes(arn, arn, "g").empty());
  CHECK(mistakes("table: Orders", "table: Invoices").empty());
  CHECK(mistakes("table: Orders, region: eu-west-1", "table: Orders, region: eu-west-2").empty());
  CHECK(mistakes("table: Orders, profile: work", "table: Orders, profile: home").empty());
}

TEST_CASE("what other mappings have is refused") {
  CHECK_FALSE(Reading("table: Orders, starting_position: LATEST, topics: [a]").mistakes().empty());
  CHECK_FALSE(Reading("table: Orders, starting_position: LATEST, parallelization_factor: 11").mistakes().empty());
}
