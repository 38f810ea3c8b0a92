#include <array>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fake_connectors.h"
#include "pattern/filter_criteria.h"
#include "support/temporary_folder.h"

// What an event source mapping may be set to, by what it reads. Ranges, defaults and AWS's texts: reference
// stream-sources.md, 1.2 and 1.5.

namespace weir::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

template <MappingKind kind>
std::unique_ptr<SourceConfig> read_mapping(ConfigNode& node) {
  auto config = std::make_unique<SourceConfig>();
  config->mapping = read_mapping_settings(node, kind);
  node.refuse_other_keys();
  return config;
}

constexpr std::array kMappings{
    ConnectorEntry{.type = "fifo",
                   .delivery = Delivery::kQueue,
                   .about = "A FIFO queue.",
                   .read_config = &read_mapping<MappingKind::kSqsFifo>},
    ConnectorEntry{.type = "queue",
                   .delivery = Delivery::kQueue,
                   .about = "A queue.",
                   .read_config = &read_mapping<MappingKind::kSqs>},
    ConnectorEntry{.type = "stream",
                   .delivery = Delivery::kPoll,
                   .about = "A stream.",
                   .read_config = &read_mapping<MappingKind::kKinesis>},
    ConnectorEntry{.type = "table",
                   .delivery = Delivery::kPoll,
                   .about = "A table's stream.",
                   .read_config = &read_mapping<MappingKind::kDynamodb>},
    ConnectorEntry{.type = "topic",
                   .delivery = Delivery::kPoll,
                   .about = "A topic.",
                   .read_config = &read_mapping<MappingKind::kKafka>},
};

std::string check_bell(std::string_view target, std::string_view source_type) {
  if (source_type == "topic") return "a topic rings no bell";
  return target == "broken" ? "this bell is broken" : "";
}
std::string check_queue(std::string_view, std::string_view) {
  return "";
}
constexpr std::array kDestinations{DestinationEntry{"bell", "a bell", &check_bell, nullptr},
                                   DestinationEntry{"sqs", "a queue's NAME", &check_queue, nullptr}};

std::string source_of(const std::string& type, const std::string& settings) {
  return "functions: {f: {command: run}}\nsources:\n  s: {type: " + type + ", function: f" +
         (settings.empty() ? "" : ", ") + settings + "}\n";
}

ConfigReport read_source(const std::string& type, const std::string& settings) {
  const test::TemporaryFolder folder;
  const std::vector<std::string> files{folder.write("weir.yaml", source_of(type, settings))};
  return read_config(files, kMappings, environment({}), kDestinations);
}

/// The mistakes without the file and the place.
std::string mistakes_of(const std::string& type, const std::string& settings) {
  std::string out;
  for (const Mistake& mistake : read_source(type, settings).mistakes) {
    out += (out.empty() ? "" : "\n") + mistake.path + ": " + mistake.sentence;
  }
  return out;
}

MappingSettings settings_of(const std::string& type, const std::string& settings) {
  const ConfigReport report = read_source(type, settings);
  REQUIRE(lines(report) == "");
  return report.config.sources.front().settings->mapping;
}

}  // namespace

TEST_CASE("what a mapping is not told has AWS's default") {
  struct Row {
    std::string type;
    MappingKind kind;
    std::size_t batch_size;
    Duration window;
  };
  const auto row = GENERATE(values<Row>({
      {"stream", MappingKind::kKinesis, 100, seconds(0)},
      {"table", MappingKind::kDynamodb, 100, seconds(0)},
      {"topic", MappingKind::kKafka, 100, milliseconds(500)},
      {"queue", MappingKind::kSqs, 10, seconds(0)},
      {"fifo", MappingKind::kSqsFifo, 10, seconds(0)},
  }));
  DYNAMIC_SECTION(row.type) {
    const MappingSettings mapping = settings_of(row.type, "");
    CHECK(mapping.kind == row.kind);
    CHECK(mapping.batch_size == row.batch_size);
    CHECK(mapping.maximum_batching_window == row.window);
    CHECK(mapping.parallelization_factor == 1);
    CHECK(mapping.maximum_retry_attempts == -1);
    CHECK_FALSE(mapping.maximum_record_age.has_value());
    CHECK_FALSE(mapping.bisect_batch_on_function_error);
    CHECK_FALSE(mapping.report_batch_item_failures);
    CHECK(mapping.tumbling_window == Duration(0));
    CHECK(mapping.filter == nullptr);
    CHECK_FALSE(mapping.maximum_concurrency.has_value());
    CHECK(mapping.destination_on_failure.empty());
  }
}

TEST_CASE("each kind of mapping takes its own settings, up to their limits") {
  struct Row {
    std::string type, settings, mistake;
  };
  const auto row = GENERATE(values<Row>({
      {"stream", "batch_size: 10000, maximum_batching_window_in_seconds: 300", ""},
      {"stream", "batch_size: 0", "sources.s.batch_size: 0 is out of range, allowed is 1 to 10000"},
      {"stream", "maximum_batching_window_in_seconds: 301",
       "sources.s.maximum_batching_window_in_seconds: 301 is out of range, allowed is 0 to 300"},
      {"stream", "parallelization_factor: 10", ""},
      {"stream", "parallelization_factor: 11",
       "sources.s.parallelization_factor: 11 is out of range, allowed is 1 to 10"},
      {"stream", "tumbling_window_in_seconds: 900", ""},
      {"stream", "tumbling_window_in_seconds: 901",
       "sources.s.tumbling_window_in_seconds: 901 is out of range, allowed is 0 to 900"},
      {"stream", "maximum_retry_attempts: 10000, maximum_record_age_in_seconds: 604800", ""},
      {"stream", "bisect_batch_on_function_error: true, function_response_types: [ReportBatchItemFailures]", ""},
      {"stream", "function_response_types: [ReportBatchItemFailures, ReportBatchItemFailures]",
       "sources.s.function_response_types: 1 validation error detected: Value '[ReportBatchItemFailures, "
       "ReportBatchItemFailures]' at 'functionResponseTypes' failed to satisfy constraint: Member must have length "
       "less "
       "than or equal to 1"},
      {"stream", "function_response_types: [Report]",
       "sources.s.function_response_types[0]: \"Report\" is not allowed, allowed is ReportBatchItemFailures"},
      {"stream", "maximum_concurrency: 5",
       "sources.s.maximum_concurrency: Unsupported 'scalingConfig' parameter for given event source mapping type."},
      {"table", "parallelization_factor: 2, tumbling_window_in_seconds: 0", ""},
      {"topic", "bisect_batch_on_function_error: true, function_response_types: ReportBatchItemFailures", ""},
      {"topic", "parallelization_factor: 2",
       "sources.s.parallelization_factor: Unsupported 'parallelizationFactor' parameter for given event source mapping "
       "type."},
      {"topic", "tumbling_window_in_seconds: 5",
       "sources.s.tumbling_window_in_seconds: Unsupported 'tumblingWindowInSeconds' parameter for given event source "
       "mapping type."},
      {"queue", "maximum_concurrency: 2, function_response_types: [ReportBatchItemFailures]", ""},
      {"queue", "maximum_concurrency: 1000", ""},
      {"queue", "maximum_concurrency: 1", "sources.s.maximum_concurrency: 1 is out of range, allowed is 2 to 1000"},
      {"queue", "maximum_concurrency: 1001",
       "sources.s.maximum_concurrency: 1001 is out of range, allowed is 2 to 1000"},
      {"queue", "batch_size: 10", ""},
      {"queue", "batch_size: 11, maximum_batching_window_in_seconds: 1", ""},
      {"queue", "batch_size: 10000, maximum_batching_window_in_seconds: 300", ""},
      {"queue", "maximum_retry_attempts: 2",
       "sources.s.maximum_retry_attempts: Unsupported 'maximumRetryAttempts' parameter for given event source mapping "
       "type."},
      {"queue", "bisect_batch_on_function_error: true",
       "sources.s.bisect_batch_on_function_error: Unsupported 'bisectBatchOnFunctionError' parameter for given event "
       "source mapping type."},
      {"fifo", "maximum_concurrency: 2, batch_size: 10, maximum_batching_window_in_seconds: 0", ""},
  }));
  DYNAMIC_SECTION(row.type << ": " << row.settings) {
    CHECK(mistakes_of(row.type, row.settings) == row.mistake);
  }
}

TEST_CASE("what AWS refuses is refused in its words") {
  struct Row {
    std::string type, settings, mistake;
  };
  const auto row = GENERATE(values<Row>({
      {"queue", "batch_size: 11",
       "sources.s.batch_size: Maximum batch window in seconds must be greater than 0 if maximum batch size is greater "
       "than 10"},
      {"queue", "destination_on_failure: 'sqs:lost'",
       "sources.s.destination_on_failure: Unsupported DestinationConfig parameter for given event source mapping "
       "type."},
      {"fifo", "destination_on_failure: 'sqs:lost'",
       "sources.s.destination_on_failure: Unsupported DestinationConfig parameter for given event source mapping "
       "type."},
      {"fifo", "batch_size: 11", "sources.s.batch_size: Batch size must not exceed 10 for FIFO queues"},
      {"fifo", "maximum_batching_window_in_seconds: 1",
       "sources.s.maximum_batching_window_in_seconds: Batching window is not supported for FIFO queues"},
      // AWS refuses these two together; its words are not known.
      {"stream", "tumbling_window_in_seconds: 60, parallelization_factor: 2",
       "sources.s.tumbling_window_in_seconds: a tumbling window and a parallelization_factor of more than 1 do not go "
       "together"},
      {"table", "tumbling_window_in_seconds: 60, filter_criteria: [{eventName: [INSERT]}]",
       "sources.s.tumbling_window_in_seconds: a tumbling window and filter_criteria do not go together"},
      // Documented for streams, too, but not enforced there.
      {"stream", "batch_size: 11", ""},
  }));
  DYNAMIC_SECTION(row.type << ": " << row.settings) {
    CHECK(mistakes_of(row.type, row.settings) == row.mistake);
  }
}

TEST_CASE("a window of a topic that is given is the one given") {
  CHECK(settings_of("topic", "maximum_batching_window_in_seconds: 0").maximum_batching_window == seconds(0));
  CHECK(settings_of("topic", "maximum_batching_window_in_seconds: 2").maximum_batching_window == seconds(2));
}

TEST_CASE("a topic's mapping with a destination tries 10 times, if nobody says otherwise") {
  CHECK(settings_of("topic", "destination_on_failure: 'sqs:lost'").maximum_retry_attempts == 10);
  CHECK(settings_of("topic", "destination_on_failure: 'sqs:lost', maximum_retry_attempts: -1").maximum_retry_attempts ==
        10);
  CHECK(settings_of("topic", "destination_on_failure: 'sqs:lost', maximum_retry_attempts: 11").maximum_retry_attempts ==
        11);
  CHECK(settings_of("stream", "destination_on_failure: 'sqs:lost'").maximum_retry_attempts == -1);
}

TEST_CASE("a destination is one that the program has, with a target it can have") {
  const auto mistake = [](const std::string& type, const std::string& written) {
    const ConfigReport report = read_source(type, "destination_on_failure: '" + written + "'");
    return report.mistakes.empty() ? "" : report.mistakes.front().sentence;
  };
  CHECK(mistake("stream", "bell:door") == "");
  CHECK(mistake("stream", "bell:broken") == "this bell is broken");
  CHECK(mistake("topic", "bell:door") == "a topic rings no bell");
  CHECK(mistake("stream", "bell:") == "needs a bell behind bell:");
  for (const char* other : {"pigeon:home", "bell", "lambda:f", "file:"}) {
    CHECK(mistake("stream", other) ==
          "\"" + std::string(other) + "\" is no destination; they begin with file:, bell:, sqs:");
  }
}

TEST_CASE("a function's destinations are those of its program, too; a bucket takes failures only") {
  const auto mistakes = [](const std::string& settings) {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files{folder.write("weir.yaml", "functions: {f: {command: run, " + settings + "}}")};
    constexpr std::array kWithBuckets{kDestinations[0], DestinationEntry{"s3", "BUCKET", &check_queue, nullptr}};
    std::string all;
    for (const Mistake& each : read_config(files, kMappings, environment({}), kWithBuckets).mistakes)
      all += each.path + ": " + each.sentence;
    return all;
  };
  CHECK(mistakes("on_failure: 'bell:door', on_success: 'bell:door'") == "");
  CHECK(mistakes("on_failure: 'bell:broken'") == "functions.f.on_failure: this bell is broken");
  CHECK(mistakes("on_failure: 's3:lost'") == "");
  CHECK(mistakes("on_success: 's3:lost'") == "functions.f.on_success: a bucket takes records of failures only");
  CHECK(mistakes("dead_letter: 's3:lost'") ==
        "functions.f.dead_letter: is a queue or a topic: sqs:QUEUE, sns:TOPIC or an ARN of one");
}

TEST_CASE("the path of a destination is relative to the file; other destinations stay as they are") {
  const test::TemporaryFolder folder;
  const auto destination = [&](const std::string& written) {
    const std::vector<std::string> files{
        folder.write("weir.yaml", source_of("stream", "destination_on_failure: '" + written + "'"))};
    const ConfigReport report = read_config(files, kMappings, environment({}), kDestinations);
    return report.config.sources.front().settings->mapping.destination_on_failure;
  };
  CHECK(destination("file:lost.jsonl") == "file:" + (folder / "lost.jsonl"));
  CHECK(destination("file:/lost.jsonl") == "file:/lost.jsonl");
  CHECK(destination("sqs:lost") == "sqs:lost");
}

TEST_CASE("AWS's own setting, an ARN, is a destination, too") {
  CHECK(destination_of("arn:aws:sqs:eu-west-1:123456789012:lost") == "sqs:arn:aws:sqs:eu-west-1:123456789012:lost");
  CHECK(destination_of("arn:aws:sns:eu-west-1:123456789012:lost") == "sns:arn:aws:sns:eu-west-1:123456789012:lost");
  CHECK(destination_of("arn:aws-cn:s3:::lost") == "s3:lost");
  CHECK(destination_of("arn:aws:s3:::lost/kept") == "s3:lost/kept");
  CHECK(destination_of("arn:aws:lambda:eu-west-1:123456789012:function:audit") == "lambda:audit");
  CHECK(destination_of("arn:aws:lambda:eu-west-1:123456789012:function:audit:live") == "lambda:audit");
  for (const char* other :
       {"sqs:lost", "file:arn", "arn:aws:sqs", "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/a", "xarn:aws:sqs:a:b:c", "arn:aws:sqs:a:b:"}) {
    CHECK(destination_of(other) == other);
  }
  CHECK(settings_of("stream", "destination_on_failure: 'arn:aws:sqs:eu-west-1:123456789012:lost'")
            .destination_on_failure == "sqs:arn:aws:sqs:eu-west-1:123456789012:lost");
  const test::TemporaryFolder folder;
  const std::vector<std::string> files{
      folder.write("weir.yaml",
                   "functions:\n"
                   "  f: {command: run, on_failure: 'arn:aws:sqs:eu-west-1:123456789012:lost',\n"
                   "      on_success: 'arn:aws:lambda:eu-west-1:123456789012:function:g'}\n"
                   "  g: {command: run}\n")};
  const ConfigReport report = read_config(files, kMappings, environment({}), kDestinations);
  REQUIRE(lines(report) == "");
  CHECK(report.config.functions.at("f").async.on_failure == "sqs:arn:aws:sqs:eu-west-1:123456789012:lost");
  CHECK(report.config.functions.at("f").async.on_success == "lambda:g");
}

TEST_CASE("the folder of a destination's file is there") {
  const test::TemporaryFolder folder;
  const auto mistakes = [&](const std::string& written) {
    const std::vector<std::string> files{folder.write(
        "weir.yaml", "functions: {f: {command: run, on_failure: 'file:" + written +
                         "'}}\nsources: {s: {type: stream, function: f, destination_on_failure: 'file:" + written +
                         "'}}\n")};
    std::string all;
    for (const Mistake& each : read_config(files, kMappings, environment({}), kDestinations).mistakes)
      all += each.path + ": " + each.sentence + "\n";
    return all;
  };
  CHECK(mistakes("lost.jsonl").empty());
  CHECK(mistakes("missing/lost.jsonl") == "functions.f.on_failure: there is no folder \"" + (folder / "missing") +
                                              "\"\nsources.s.destination_on_failure: there is no folder \"" +
                                              (folder / "missing") + "\"\n");
  CHECK(mistakes(folder.path()) ==
        "functions.f.on_failure: \"" + folder.path() +
            "\" is a folder; the path of a file is needed\nsources.s.destination_on_failure: \"" + folder.path() +
            "\" is a folder; the path of a file is needed\n");
}

TEST_CASE("what stands beside a filter's pattern in AWS's own form is named") {
  CHECK(mistakes_of("stream", "filter_criteria: {Filters: [{Pattern: '{\"data\":{\"a\":[1]}}', Extra: 1}]}") ==
        "sources.s.filter_criteria[0].Extra: unknown key; a filter has Pattern only");
  // Without the list around it, it is a pattern for records that have such keys.
  CHECK(mistakes_of("stream", "filter_criteria: [{data: {Pattern: [a], Extra: [b]}}]").empty());
}

TEST_CASE("the addresses of servers that weir may call") {
  for (const char* right : {"http://127.0.0.1", "http://127.0.0.1:1", "http://127.0.0.1:65535", "https://example.com/",
                            "HTTPS://example.com", "Http://[::1]:80/path", "http://[::1]"}) {
    INFO(right);
    CHECK(is_server_url(right));
  }
  for (const char* wrong : {"", "http://", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:99999",
                            "http://127.0.0.1:", "http://127.0.0.1:8o", "http://:80", "http://[::1", "http://[]:80",
                            "http://[::1]80", "http://me@example.com", "http://example.com?a", "http://example.com#a",
                            "http://exam ple.com", "ftp://example.com", "example.com"}) {
    INFO(wrong);
    CHECK_FALSE(is_server_url(wrong));
  }
  CHECK(lines(read("aws: {endpoint_url: \"http://127.0.0.1:99999\"}\n")).find("aws.endpoint_url: is no address") !=
        std::string::npos);
  CHECK(is_account("000000000000"));
  for (const char* wrong : {"", "12345678901", "1234567890123", "12345678901a"}) CHECK_FALSE(is_account(wrong));
}

TEST_CASE("filters keep a record that one of their patterns wants") {
  const MappingSettings mapping =
      settings_of("stream", R"(filter_criteria: [{data: {kind: [click]}}, '{"partitionKey":["a"]}'])");
  REQUIRE(mapping.filter != nullptr);
  CHECK(mapping.filter->needs_metadata());
  const auto keeps = [&](std::string_view body, const std::string& key) {
    FilterView view;
    view.body = body;
    view.metadata = R"({"partitionKey":")" + key + "\"}";
    return mapping.filter->keeps(view);
  };
  CHECK(keeps(R"({"kind":"click"})", "b"));
  CHECK(keeps(R"({"kind":"scroll"})", "a"));
  CHECK_FALSE(keeps(R"({"kind":"scroll"})", "b"));
}

TEST_CASE("no filters at all keep everything") {
  for (const char* none : {"filter_criteria: []", "filter_criteria: {}", "filter_criteria: {Filters: []}"}) {
    INFO(none);
    CHECK(settings_of("stream", none).filter == nullptr);
  }
}

TEST_CASE("a pattern that AWS refuses is refused in its words") {
  const std::string invalid = "sources.s.filter_criteria: Invalid filter pattern definition.";
  for (const char* bad : {"filter_criteria: [{data: {kind: click}}]", "filter_criteria: ['{']",
                          "filter_criteria: [{data: {kind: []}}]", "filter_criteria: ['[1]']"}) {
    INFO(bad);
    const std::string said = mistakes_of("stream", bad);
    CHECK(said.substr(0, invalid.size()) == invalid);
  }
  const std::string said = mistakes_of("stream", "filter_criteria: [{data: {kind: [click]}}, {data: {kind: click}}]");
  CHECK(said.substr(0, invalid.size()) == invalid);
  CHECK(said.find("(pattern 2)") != std::string::npos);
}

TEST_CASE("AWS allows 10 patterns of 4096 characters") {
  const auto patterns = [](int count) {
    std::string list;
    for (int i = 0; i < count; ++i) list += (i == 0 ? "" : ", ") + std::string("{data: {a: [x]}}");
    return "filter_criteria: [" + list + "]";
  };
  CHECK(settings_of("stream", patterns(10)).filter != nullptr);
  CHECK(mistakes_of("stream", patterns(11)) == "sources.s.filter_criteria: has 11 entries, allowed is at most 10");
  const auto long_one = [](std::size_t characters) {
    return R"(filter_criteria: ['{"data":{"a":[")" + std::string(characters - 19, 'x') + R"("]}}'])";
  };
  CHECK(settings_of("stream", long_one(4096)).filter != nullptr);
  CHECK(mistakes_of("stream", long_one(4097)) ==
        "sources.s.filter_criteria[0]: its JSON has 4097 characters, allowed are at most 4096");
}

TEST_CASE("the schema and the page say which settings a kind has") {
  const auto schema = nlohmann::json::parse(json_schema(kMappings));
  const auto has = [&](const std::string& type, const std::string& key) {
    return schema["$defs"]["sources." + type]["properties"].contains(key);
  };
  for (const char* type : {"stream", "table", "topic", "queue", "fifo"}) {
    INFO(type);
    const bool queue = type == std::string_view("queue") || type == std::string_view("fifo");
    CHECK(has(type, "batch_size"));
    CHECK(has(type, "filter_criteria"));
    CHECK(has(type, "maximum_concurrency") == queue);
    CHECK(has(type, "destination_on_failure") != queue);
    CHECK(has(type, "parallelization_factor") == (!queue && type != std::string_view("topic")));
  }
  CHECK(schema["$defs"]["sources.queue"]["properties"]["batch_size"]["default"] == 10);
  CHECK(schema["$defs"]["sources.stream"]["properties"]["batch_size"]["default"] == 100);
  CHECK(reference_page(kMappings).find("| `filter_criteria` | list of mappings, or of texts that hold JSON, each at "
                                       "most 4096 characters, at most 10; or AWS's own form") != std::string::npos);
}

namespace {

/// What documents() gave, a line each.
struct Papers : SourceConfig {
  std::string all;
};

std::unique_ptr<SourceConfig> read_papers(ConfigNode& node) {
  auto config = std::make_unique<Papers>();
  for (const std::string& paper : node.documents("papers", {.about = "What is written.",
                                                           .max_items = 3,
                                                           .max_length = 100,
                                                           .list_key = "Filters",
                                                           .item_key = "Pattern"})) {
    config->all += paper + "\n";
  }
  node.refuse_other_keys();
  return config;
}

constexpr std::array kOffice{ConnectorEntry{
    .type = "office", .delivery = Delivery::kPoll, .about = "Reads papers.", .read_config = &read_papers}};

ConfigReport read_office(const std::string& papers) {
  const test::TemporaryFolder folder;
  const std::vector<std::string> files{folder.write(
      "weir.yaml", "functions: {f: {command: run}}\nsources:\n  s:\n    type: office\n    function: f\n" + papers)};
  return read_config(files, kOffice, environment({{"WORD", "hello"}, {"NUMBER", "5"}, {"JSON", R"({"a":[1]})"}}));
}

}  // namespace

TEST_CASE("a document may be written as YAML or as a text of JSON") {
  struct Row {
    std::string_view sentence;
    std::string papers, documents;
  };
  const auto row = GENERATE(values<Row>({
      {"a text is given as it is written", R"(    papers: ['{ "a" : [1.0] }'])", "{ \"a\" : [1.0] }\n"},
      {"a single text is a list of one", R"(    papers: '{"a":[1]}')", "{\"a\":[1]}\n"},
      {"a single mapping is a list of one", "    papers: {a: [x]}", "{\"a\":[\"x\"]}\n"},
      {"several, each in its own way", "    papers:\n      - a: [x]\n        b: {c: [y, z]}\n      - '{\"d\":[1]}'",
       "{\"a\":[\"x\"],\"b\":{\"c\":[\"y\",\"z\"]}}\n{\"d\":[1]}\n"},
      {"what is quoted is a text", R"(    papers: [{a: ["1", 'true', "null"]}])",
       "{\"a\":[\"1\",\"true\",\"null\"]}\n"},
      {"numbers keep their spelling", "    papers: [{a: [1, 1.50, -3e2, 100000000000000000000]}]",
       "{\"a\":[1,1.50,-3e2,100000000000000000000]}\n"},
      {"words of JSON", "    papers: [{a: [true, False, null, ~]}]", "{\"a\":[true,false,null,null]}\n"},
      {"what YAML 1.2 calls a text is one", "    papers: [{a: [yes, 2026-09-12, 1:30]}]",
       "{\"a\":[\"yes\",\"2026-09-12\",\"1:30\"]}\n"},
      {"keys and texts are escaped", R"(    papers: [{"a\"b": ["\n\\"]}])", "{\"a\\\"b\":[\"\\n\\\\\"]}\n"},
      {"AWS's own form", R"(    papers: {Filters: [{Pattern: '{"a":[1]}'}, {Pattern: '{"b":[2]}'}]})",
       "{\"a\":[1]}\n{\"b\":[2]}\n"},
      {"AWS's own form in the spelling of this file", R"(    papers: {filters: [{pattern: '{"a":[1]}'}]})",
       "{\"a\":[1]}\n"},
      {"the entries of AWS's own form", R"(    papers: [{Pattern: '{"a":[1]}'}])", "{\"a\":[1]}\n"},
      {"a pattern on a member of that name is one", "    papers: [{Pattern: [x]}]", "{\"Pattern\":[\"x\"]}\n"},
      {"variables", "    papers: [{a: [\"${WORD}\", \"${NUMBER}\"]}, \"${JSON}\"]",
       "{\"a\":[\"hello\",\"5\"]}\n{\"a\":[1]}\n"},
      {"an unquoted variable is what it holds", "    papers:\n      - a:\n          - ${NUMBER}", "{\"a\":[5]}\n"},
      {"an alias", "    papers: [{a: &x [y], b: *x}]", "{\"a\":[\"y\"],\"b\":[\"y\"]}\n"},
      {"none", "    papers: []", ""},
      {"none, as AWS has it", "    papers: {}", ""},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const ConfigReport report = read_office(row.papers + "\n");
    REQUIRE(lines(report) == "");
    CHECK(dynamic_cast<const Papers&>(*report.config.sources.front().settings).all == row.documents);
  }
}

TEST_CASE("what is no document is told with its place") {
  struct Row {
    std::string papers, mistakes;
  };
  const auto row = GENERATE(values<Row>({
      {"    papers: 5",
       "weir.yaml:6:13: sources.s.papers: expected a mapping, or a text that holds JSON, found the number 5\n"},
      {"    papers: [{a: [x]}, [y]]",
       "weir.yaml:6:24: sources.s.papers[1]: expected a mapping, or a text that holds JSON, found a list\n"},
      {"    papers: [{a: [x]}, ~]",
       "weir.yaml:6:24: sources.s.papers[1]: expected a mapping, or a text that holds JSON, found nothing\n"},
      {"    papers: [{a: [0x1F]}]",
       "weir.yaml:6:19: sources.s.papers[0]: 0x1F is no number as JSON writes it; in quotes it is a text\n"},
      {"    papers: [{a: [007]}]",
       "weir.yaml:6:19: sources.s.papers[0]: 007 is no number as JSON writes it; in quotes it is a text\n"},
      {"    papers: [{a: [.5]}]",
       "weir.yaml:6:19: sources.s.papers[0]: .5 is no number as JSON writes it; in quotes it is a text\n"},
      {"    papers: [{a: 1, a: 2}]", "weir.yaml:6:21: sources.s.papers[0].a: given twice, first on line 6\n"},
      {"    papers: ['{}', '{}', '{}', '{}']",
       "weir.yaml:6:13: sources.s.papers: has 4 entries, allowed is at most 3\n"},
      {"    papers: [{a: [" + std::string(90, 'x') + "]}]", ""},
      {"    papers: [{a: [" + std::string(91, 'x') + "]}]",
       "weir.yaml:6:14: sources.s.papers[0]: its JSON has 101 characters, allowed are at most 100\n"},
      {"    papers: [&me {a: [*me]}]",
       "weir.yaml:6:22: sources.s.papers[0]: this is nested too deeply, or names itself, or is too long\n"},
  }));
  DYNAMIC_SECTION(row.papers) {
    CHECK(lines(read_office(row.papers + "\n")) == row.mistakes);
  }
}

TEST_CASE("the aws section is the default of everything that speaks to AWS") {
  const ConfigReport report =
      read("aws: {region: eu-west-1, endpoint_url: \"http://127.0.0.1:4566\", profile: work}\n");
  CHECK(lines(report) == "");
  CHECK(report.config.aws.region == "eu-west-1");
  CHECK(report.config.aws.endpoint_url == "http://127.0.0.1:4566");
  CHECK(report.config.aws.profile == "work");
  const AwsAccess none = read("concurrency: 7\n").config.aws;
  CHECK((none.region + none.endpoint_url + none.profile).empty());
  CHECK(lines(read("aws: {regoin: eu-west-1}\n")) == "weir.yaml:1:7: aws.regoin: unknown key; did you mean region?\n");
}

}  // namespace weir::config
