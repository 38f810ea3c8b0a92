#include "connectors/sqs/config.h"

#include <array>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/sqs/connector.h"
#include "support/temporary_folder.h"

using namespace weir;
using sqs::parse_queue;
using sqs::SqsConfig;

namespace {

constexpr std::array kTable{ConnectorEntry{"sqs", Delivery::kQueue, "A queue.", &sqs::read_config, nullptr,
                                           &sqs::sample_event, nullptr, nullptr, nullptr, &sqs::make_source}};

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.write(
        "weir.yaml", "functions: {f: {command: run}}\nsources: {up: {type: sqs, function: f, " + settings + "}}\n");
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const SqsConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const SqsConfig&>(*report.config.sources.at(0).settings);
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

TEST_CASE("a queue is named by its URL, its ARN or its name") {
  SECTION("name") {
    const auto queue = parse_queue("orders");
    REQUIRE(queue);
    CHECK(queue->name == "orders");
    CHECK(queue->url.empty());
    CHECK(queue->region.empty());
    CHECK_FALSE(queue->fifo());
    CHECK(parse_queue("orders.fifo")->fifo());
    CHECK(parse_queue(std::string(80, 'a')));
  }
  SECTION("ARN") {
    const auto queue = parse_queue("arn:aws:sqs:eu-west-1:123456789012:orders.fifo");
    REQUIRE(queue);
    CHECK(queue->name == "orders.fifo");
    CHECK(queue->account == "123456789012");
    CHECK(queue->region == "eu-west-1");
    CHECK(queue->fifo());
    CHECK(parse_queue("arn:aws-cn:sqs:cn-north-1:123456789012:orders")->region == "cn-north-1");
  }
  SECTION("URL") {
    const auto queue = parse_queue("http://127.0.0.1:9324/000000000000/orders");
    REQUIRE(queue);
    CHECK(queue->name == "orders");
    CHECK(queue->url == "http://127.0.0.1:9324/000000000000/orders");
    CHECK(queue->origin() == "http://127.0.0.1:9324");
    CHECK(queue->region.empty());
    CHECK(parse_queue("https://sqs.eu-west-1.amazonaws.com/123456789012/orders")->region == "eu-west-1");
    CHECK(parse_queue("https://eu-west-1.queue.amazonaws.com/123456789012/orders")->region == "eu-west-1");
  }
  SECTION("anything else is none") {
    for (const char* text :
         {"", ".fifo", "or ders", "orders.standard", "arn:aws:sns:eu-west-1:123456789012:orders",
          "arn:aws:sqs:eu-west-1:123456789012", "arn:aws:sqs::123456789012:orders",
          "arn:aws:sqs:eu-west-1:123456789012:a:b", "http://127.0.0.1:9324", "http:///orders",
          "https://sqs.eu-west-1.amazonaws.com/123456789012/", "http://127.0.0.1:0/0/q", "http://127.0.0.1:65536/0/q",
          "http://127.0.0.1:99999/0/q", "http://127.0.0.1:/0/q", "http://127.0.0.1:80a/0/q"}) {
      INFO(text);
      CHECK_FALSE(parse_queue(text));
    }
    CHECK_FALSE(parse_queue(std::string(81, 'a')));
    CHECK(parse_queue("http://127.0.0.1:65535/0/q"));
  }
}

TEST_CASE("only the queue has to be said") {
  const Reading reading("queue: orders");
  const SqsConfig& config = reading.right();
  CHECK(config.queue.name == "orders");
  CHECK(config.mapping.kind == MappingKind::kSqs);
  CHECK(config.mapping.batch_size == 10);
  CHECK(config.mapping.maximum_batching_window == Duration(0));
  CHECK_FALSE(config.mapping.maximum_concurrency);
  CHECK_FALSE(config.mapping.report_batch_item_failures);
}

TEST_CASE("settings that a queue can have") {
  const Reading reading(
      "queue: orders, batch_size: 10000, maximum_batching_window_in_seconds: 1, maximum_concurrency: 2, "
      "function_response_types: [ReportBatchItemFailures], region: eu-west-1, endpoint_url: 'http://127.0.0.1:9324'");
  const SqsConfig& config = reading.right();
  CHECK(config.mapping.batch_size == 10'000);
  CHECK(config.mapping.maximum_concurrency == 2);
  CHECK(config.mapping.report_batch_item_failures);
  CHECK(config.access.region == "eu-west-1");
  CHECK(config.access.endpoint_url == "http://127.0.0.1:9324");
}

TEST_CASE("settings that it cannot have are refused, in AWS's words where there are any") {
  struct Row {
    std::string_view settings, mistake;
  };
  const auto row = GENERATE(values<Row>({
      {"queue: 'arn:aws:sns:eu-west-1:123456789012:orders'", "queue: Unrecognized event source.\n"},
      {"queue: orders, batch_size: 11",
       "batch_size: Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10\n"},
      {"queue: orders.fifo, batch_size: 11", "batch_size: Batch size must not exceed 10 for FIFO queues\n"},
      {"queue: orders.fifo, maximum_batching_window_in_seconds: 1",
       "maximum_batching_window_in_seconds: Batching window is not supported for FIFO queues\n"},
      {"queue: orders, destination_on_failure: 'file:x'",
       "destination_on_failure: Unsupported DestinationConfig parameter for given event source mapping type.\n"},
      {"queue: orders, maximum_concurrency: 1", "maximum_concurrency: 1 is out of range, allowed is 2 to 1000\n"},
      {"queue: orders, maximum_concurrency: 1001", "maximum_concurrency: 1001 is out of range, allowed is 2 to 1000\n"},
  }));
  INFO(row.settings);
  CHECK(Reading(std::string(row.settings)).mistakes() == row.mistake);
}

TEST_CASE("what is no queue is refused with a sentence") {
  CHECK(Reading("queue: 'a b'").mistakes().starts_with("queue: is no queue's URL, ARN or name"));
}

TEST_CASE("a queue says its region itself") {
  const std::string arn = "queue: 'arn:aws:sqs:eu-west-1:123456789012:orders'";
  CHECK(Reading(arn).right().access.region == "eu-west-1");
  CHECK(Reading(arn + ", region: eu-west-1").mistakes().empty());
  CHECK(Reading(arn + ", region: us-east-1").mistakes() ==
        "region: \"us-east-1\" is another region than the source's own, eu-west-1\n");
  CHECK_FALSE(Reading("queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders', region: us-east-1")
                  .mistakes()
                  .empty());
  CHECK(Reading("queue: 'http://127.0.0.1:9324/000000000000/orders', region: us-east-1").mistakes().empty());
  CHECK(Reading("queue: 'HTTPS://SQS.example.com/123456789012/orders'").right().queue.name == "orders");
  CHECK(Reading("queue: 'arn:aws:sqs:eu-west-1:12345678901:orders'").mistakes() ==
        "queue: Unrecognized event source.\n");
}

TEST_CASE("a queue is read once for a function, however it is written") {
  const auto mistakes = [](const std::string& first, const std::string& second, const std::string& aws = "{}") {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{folder.write("weir.yaml", "functions: {f: {command: run}}\naws: " + aws +
                                                                       "\nsources:\n"
                                                                       "  a: {type: sqs, function: f, " +
                                                                       first +
                                                                       "}\n"
                                                                       "  b: {type: sqs, function: f, " +
                                                                       second + "}\n")};
    std::string all;
    for (const config::Mistake& each :
         config::read_config(files, kTable, [](std::string_view) { return std::nullopt; }).mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  const std::string arn = "queue: 'arn:aws:sqs:eu-west-1:123456789012:orders'";
  const std::string url = "queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders'";
  CHECK(
      mistakes(arn, arn) ==
      "sources.b: An event source mapping with SQS arn (\" arn:aws:sqs:eu-west-1:123456789012:orders \") and function "
      "(\" f \") already exists. Please update or delete the existing mapping, sources.a\n");
  CHECK_FALSE(mistakes(arn, url).empty());
  CHECK_FALSE(mistakes("queue: orders", "queue: orders").empty());
  CHECK_FALSE(mistakes("queue: orders", "queue: 'http://127.0.0.1:9324/000000000000/orders'",
                       "{endpoint_url: 'http://127.0.0.1:9324'}")
                  .empty());
  CHECK(mistakes(arn, "queue: orders").empty());
  CHECK_FALSE(mistakes(arn, "queue: orders", "{region: eu-west-1}").empty());
  CHECK(mistakes("queue: orders", "queue: payments").empty());
  CHECK(mistakes("queue: 'http://127.0.0.1:1/000000000000/orders'", "queue: 'http://127.0.0.1:2/000000000000/orders'")
            .empty());
}
