#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::kArn;
using test::Lambda;

namespace {

const std::string kMappings = "2015-03-31/event-source-mappings";
const std::string kStream = "arn:aws:kinesis:us-east-1:000000000000:stream/clicks";
const std::string kTable = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-09-12T07:00:00.000";
const std::string kJobs = "arn:aws:sqs:us-east-1:000000000000:jobs";
const std::string kOrdered = kJobs + ".fifo";
const std::string kCluster = "arn:aws:kafka:us-east-1:000000000000:cluster/c/1";
const std::string kInvalid = "400 InvalidParameterValueException: ";

json of_stream(const json& more = json::object()) {
  json all = {{"FunctionName", "hello"}, {"EventSourceArn", kStream}, {"StartingPosition", "LATEST"}};
  all.update(more);
  return all;
}
json of_queue(const json& more = json::object()) {
  json all = {{"FunctionName", "hello"}, {"EventSourceArn", kJobs}};
  all.update(more);
  return all;
}
json of_topic(const json& more = json::object()) {
  json all = {{"FunctionName", "hello"},
              {"Topics", {"orders"}},
              {"SelfManagedEventSource", {{"Endpoints", {{"KAFKA_BOOTSTRAP_SERVERS", {"kafka:1000", "kafka:2000"}}}}}},
              {"SourceAccessConfigurations", {{{"Type", "VPC_SUBNET"}, {"URI", "subnet:s"}}}}};
  all.update(more);
  return all;
}

/// Without what is another one each time.
json steady(json mapping) {
  for (const char* each : {"UUID", "EventSourceMappingArn"}) mapping.erase(each);
  return mapping;
}

struct Api : Lambda {
  Api() {
    create();
    mappings.settings().destinations = destinations();
  }

  json map(const json& asked) { return ask("POST", kMappings, asked); }
  /// And it is read.
  std::string mapped(const json& asked) {
    const std::string uuid = map(asked).at("UUID");
    mappings.settle();
    return uuid;
  }
  std::string refused(const json& asked) { return said("POST", kMappings, asked); }
  json get(const std::string& uuid) { return ask("GET", kMappings + "/" + uuid); }
  json update(const std::string& uuid, const json& asked) {
    json answer = ask("PUT", kMappings + "/" + uuid, asked);
    mappings.settle();
    return answer;
  }
  const MappingSettings& settings(const std::string& uuid) { return mappings.put.at(uuid).settings->mapping; }
};

}  // namespace

TEST_CASE("a stream's mapping shows what AWS's shows, and is read so") {
  // Source: reference stream-sources.md, 1.3.
  const std::string arn = GENERATE(as<std::string>(), kStream, kTable, kStream + "/consumer/c:1789200000");
  Api api;
  const json made = api.map(of_stream({{"EventSourceArn", arn}}));
  const std::string uuid = made.at("UUID");
  CHECK(made.at("EventSourceMappingArn") == "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + uuid);
  CHECK(made.at("LastModified").dump() == "1789200000.0");
  CHECK(steady(made) == json{{"BatchSize", 100},
                             {"BisectBatchOnFunctionError", false},
                             {"DestinationConfig", {{"OnFailure", json::object()}}},
                             {"EventSourceArn", arn},
                             {"FunctionArn", kArn + "hello"},
                             {"FunctionResponseTypes", json::array()},
                             {"LastModified", 1'789'200'000},
                             {"LastProcessingResult", "No records processed"},
                             {"MaximumBatchingWindowInSeconds", 0},
                             {"MaximumRecordAgeInSeconds", -1},
                             {"MaximumRetryAttempts", -1},
                             {"ParallelizationFactor", 1},
                             {"StartingPosition", "LATEST"},
                             {"State", "Creating"},
                             {"StateTransitionReason", "User action"},
                             {"TumblingWindowInSeconds", 0}});
  const config::SourceEntry& source = api.mappings.put.at(uuid);
  CHECK(source.connector->type == (arn == kTable ? "dynamodb" : "kinesis"));
  CHECK(source.function == "hello");
  CHECK(source.qualifier.empty());
  CHECK(source.enabled);
  CHECK(config::mapping_uuid(source) == uuid);
  const EventSourceView view = source.settings->event_source({});
  CHECK(view.arn == arn);
  CHECK(view.starting_position == "LATEST");
}

TEST_CASE("a queue's mapping shows what AWS's shows, and never a processing result") {
  const std::string arn = GENERATE(as<std::string>(), kJobs, kOrdered);
  Api api;
  const json made = api.map(of_queue({{"EventSourceArn", arn}}));
  CHECK(steady(made) == json{{"BatchSize", 10},
                             {"EventSourceArn", arn},
                             {"FunctionArn", kArn + "hello"},
                             {"FunctionResponseTypes", json::array()},
                             {"LastModified", 1'789'200'000},
                             {"MaximumBatchingWindowInSeconds", 0},
                             {"State", "Creating"},
                             {"StateTransitionReason", "USER_INITIATED"}});
  CHECK(api.settings(made.at("UUID")).kind == (arn == kJobs ? MappingKind::kSqs : MappingKind::kSqsFifo));
  CHECK(api.map(of_queue({{"EventSourceArn", kJobs + "2"}, {"Enabled", false}})).at("State") == "Disabled");
}

TEST_CASE("a self-managed cluster's mapping shows what AWS's shows") {
  Api api;
  const json made = api.map(of_topic());
  const std::string uuid = made.at("UUID");
  CHECK(steady(made) == json{{"BatchSize", 100},
                             {"FunctionArn", kArn + "hello"},
                             {"LastModified", 1'789'200'000},
                             {"LastProcessingResult", "No records processed"},
                             {"SelfManagedEventSource", of_topic().at("SelfManagedEventSource")},
                             {"SelfManagedKafkaEventSourceConfig", {{"ConsumerGroupId", uuid}}},
                             {"SourceAccessConfigurations", of_topic().at("SourceAccessConfigurations")},
                             {"StartingPosition", "TRIM_HORIZON"},
                             {"State", "Creating"},
                             {"StateTransitionReason", "USER_INITIATED"},
                             {"Topics", {"orders"}}});
  const EventSourceView view = api.mappings.put.at(uuid).settings->event_source({});
  CHECK(view.servers == std::vector<std::string>{"kafka:1000", "kafka:2000"});
  CHECK(view.topic == "orders");
  CHECK(view.consumer_group_id == uuid);
  CHECK(api.settings(uuid).maximum_batching_window == std::chrono::milliseconds(500));
  const json group = {{"SelfManagedKafkaEventSourceConfig", {{"ConsumerGroupId", "g"}}}, {"Topics", {"other"}}};
  CHECK(api.map(of_topic(group)).at("SelfManagedKafkaEventSourceConfig") == json{{"ConsumerGroupId", "g"}});
}

TEST_CASE("a cluster of MSK is read where the call says that its brokers are") {
  Api api;
  json asked = of_topic({{"EventSourceArn", kCluster}});
  asked.erase("SourceAccessConfigurations");
  const json made = api.map(asked);
  CHECK(made.at("EventSourceArn") == kCluster);
  CHECK(made.at("AmazonManagedKafkaEventSourceConfig").at("ConsumerGroupId") == made.at("UUID"));
  asked.erase("SelfManagedEventSource");
  CHECK(api.refused(asked).starts_with(
      kInvalid + "Cannot access cluster " + kCluster +
      ". Please ensure the role can perform the DescribeClusterV2 (recommended) or DescribeCluster and "
      "GetBootstrapBrokers actions on your cluster in IAM."));
}

TEST_CASE("every setting is kept, shown, and taken by the source") {
  Api api;
  const json settings = {{"BatchSize", 10'000},
                         {"MaximumBatchingWindowInSeconds", 300},
                         {"ParallelizationFactor", 10},
                         {"MaximumRetryAttempts", 10'000},
                         {"MaximumRecordAgeInSeconds", 60},
                         {"BisectBatchOnFunctionError", true},
                         {"FunctionResponseTypes", {"ReportBatchItemFailures"}},
                         {"FilterCriteria", {{"Filters", {{{"Pattern", R"({"data":{"a":["${HOME}"]}})"}}}}}},
                         {"DestinationConfig", {{"OnFailure", {{"Destination", kJobs}}}}},
                         {"StartingPosition", "AT_TIMESTAMP"},
                         {"StartingPositionTimestamp", 1'760'000'000.5},
                         {"MetricsConfig", {{"Metrics", {"EventCount"}}}}};
  const std::string uuid = api.mapped(of_stream(settings));
  const json shown = api.get(uuid);
  for (const auto& [name, value] : settings.items()) {
    INFO(name);
    CHECK(shown.at(name) == value);
  }
  const MappingSettings& mapping = api.settings(uuid);
  CHECK(mapping.batch_size == 10'000);
  CHECK(mapping.maximum_batching_window == std::chrono::seconds(300));
  CHECK(mapping.parallelization_factor == 10);
  CHECK(mapping.maximum_retry_attempts == 10'000);
  CHECK(mapping.maximum_record_age == Duration(std::chrono::seconds(60)));
  CHECK(mapping.bisect_batch_on_function_error);
  CHECK(mapping.report_batch_item_failures);
  CHECK(mapping.filter != nullptr);
  CHECK(mapping.destination_on_failure == "sqs:" + kJobs);
  CHECK(api.mappings.put.at(uuid).settings->event_source({}).starting_timestamp ==
        from_epoch_milliseconds(1'760'000'000'500));
  const std::string queue = api.mapped(of_queue({{"ScalingConfig", {{"MaximumConcurrency", 2}}}}));
  CHECK(api.settings(queue).maximum_concurrency == 2);
  CHECK(api.get(queue).at("ScalingConfig") == json{{"MaximumConcurrency", 2}});
  const std::string windowed = api.mapped(of_stream({{"EventSourceArn", kTable}, {"TumblingWindowInSeconds", 900}}));
  CHECK(api.settings(windowed).tumbling_window == std::chrono::seconds(900));
}

TEST_CASE("what no mapping can have is refused in AWS's words") {
  const std::string kMany(4097, 'x');
  struct Row {
    json asked;
    std::string said;
  };
  const auto range = [](const std::string& value, const std::string& name, const std::string& limit) {
    return "400 ValidationException: 1 validation error detected: Value '" + value + "' at '" + name +
           "' failed to satisfy constraint: Member must have value " + limit;
  };
  const std::string less = "less than or equal to ";
  const std::string greater = "greater than or equal to ";
  const auto row = GENERATE_COPY(values<Row>({
      {of_stream({{"BatchSize", 10'001}}), range("10001", "batchSize", less + "10000")},
      {of_stream({{"BatchSize", 0}}), range("0", "batchSize", greater + "1")},
      {of_stream({{"MaximumBatchingWindowInSeconds", 301}}),
       range("301", "maximumBatchingWindowInSeconds", less + "300")},
      {of_stream({{"ParallelizationFactor", 11}}), range("11", "parallelizationFactor", less + "10")},
      {of_stream({{"MaximumRetryAttempts", 10'001}}), range("10001", "maximumRetryAttempts", less + "10000")},
      {of_stream({{"MaximumRetryAttempts", -2}}), range("-2", "maximumRetryAttempts", greater + "-1")},
      {of_stream({{"MaximumRecordAgeInSeconds", 604'801}}),
       range("604801", "maximumRecordAgeInSeconds", less + "604800")},
      {of_stream({{"MaximumRecordAgeInSeconds", 59}}),
       kInvalid + "MaximumRecordAgeInSeconds must be -1, which is for ever, or between 60 and 604800."},
      {of_stream({{"TumblingWindowInSeconds", 901}}), range("901", "tumblingWindowInSeconds", less + "900")},
      {of_queue({{"ScalingConfig", {{"MaximumConcurrency", 1}}}}),
       range("1", "scalingConfig.maximumConcurrency", greater + "2")},
      {of_stream({{"StartingPosition", "invalid"}}),
       "400 ValidationException: 1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy "
       "constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"},
      {of_stream({{"StartingPosition", nullptr}}),
       kInvalid + "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member "
                  "must not be null."},
      {of_stream({{"StartingPosition", "AT_TIMESTAMP"}}),
       kInvalid + "When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be provided."},
      {of_stream({{"EventSourceArn", kTable}, {"StartingPosition", "AT_TIMESTAMP"}}),
       kInvalid + "Unsupported starting position for arn type: " + kTable},
      {of_stream({{"EventSourceArn", "arn:aws:sns:us-east-1:000000000000:t"}}),
       kInvalid + "Unrecognized event source."},
      {of_stream({{"EventSourceArn", "arn:aws:kinesis:us-east-1:000000000000:table/t"}}),
       kInvalid + "Unrecognized event source."},
      {of_stream({{"EventSourceArn", "arn:aws:dynamodb:us-east-1:000000000000:table/t"}}),
       kInvalid + "Unrecognized event source."},
      {of_stream({{"EventSourceArn", nullptr}}), kInvalid + "Unrecognized event source."},
      {of_stream({{"EventSourceArn", "arn:aws:mq:us-east-1:000000000000:broker:b:1"}}),
       kInvalid + "weir has no event source mappings of Amazon MQ."},
      {of_stream({{"EventSourceArn", "arn:aws:rds:us-east-1:000000000000:cluster:c"}}),
       kInvalid + "weir has no event source mappings of DocumentDB."},
      {of_stream({{"FunctionName", "gone"}}), kInvalid + "Function does not exist"},
      {of_stream({{"FunctionName", "hello:gone"}}), kInvalid + "Function does not exist"},
      {of_queue({{"FunctionName", "gone"}, {"DestinationConfig", {{"OnFailure", {{"Destination", kStream}}}}}}),
       kInvalid + "Unsupported DestinationConfig parameter for given event source mapping type."},
      {of_stream({{"FilterCriteria", {{"Filters", {{{"Pattern", "{"}}}}}}}),
       kInvalid + "Invalid filter pattern definition."},
      {of_queue({{"BatchSize", 11}}),
       kInvalid + "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"},
      {of_queue({{"EventSourceArn", kOrdered}, {"BatchSize", 11}}),
       kInvalid + "Batch size must not exceed 10 for FIFO queues"},
      {of_queue({{"EventSourceArn", kOrdered}, {"MaximumBatchingWindowInSeconds", 1}}),
       kInvalid + "Batching window is not supported for FIFO queues"},
      {of_queue({{"StartingPosition", "LATEST"}}),
       kInvalid + "Unsupported 'startingPosition' parameter for given event source mapping type."},
      {of_queue({{"Queues", {"q"}}}), kInvalid + "Unsupported 'queues' parameter for given event source mapping type."},
      {of_queue({{"ProvisionedPollerConfig", {{"MinimumPollers", 1}}}}),
       kInvalid + "MinimumPollers should be between [2, 200] and MaximumPollers should be between [MinimumPollers, "
                  "10000]"},
      {of_queue({{"ProvisionedPollerConfig", {{"MinimumPollers", 2}}}, {"ScalingConfig", {{"MaximumConcurrency", 2}}}}),
       kInvalid + "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as "
                  "the control mechanism and remove maximum concurrency."},
      {of_topic({{"SourceAccessConfigurations", nullptr}}),
       kInvalid + "Required 'sourceAccessConfigurations' parameter is missing."},
      {of_topic({{"Topics", nullptr}}), kInvalid + "Required 'topics' parameter is missing."},
      {of_topic({{"Topics", {"one", "two"}}}),
       "400 ValidationException: 1 validation error detected: Value '[one, two]' at 'topics' failed to satisfy "
       "constraint: Member must have length less than or equal to 1"},
      {of_topic({{"MetricsConfig", {{"Metrics", {"EventCount"}}}}}),
       kInvalid + "MetricsConfig is only available for Provisioned Mode. Enable Provisioned Mode by specifying "
                  "MinimumPollers in ProvisionedPollerConfig."},
      {of_topic({{"SourceAccessConfigurations", {{{"Type", "SASL_SCRAM_512_AUTH"}, {"URI", "arn:aws:secret"}}}}}),
       kInvalid + "weir asks no Secrets Manager, so it has no way to authenticate by SASL_SCRAM_512_AUTH: a source of "
                  "type kafka in weir's configuration file has settings for user, password and TLS."},
  }));
  INFO(row.asked.dump());
  Api api;
  const std::string said = api.refused(row.asked);
  // Behind AWS's sentence about a filter weir says what is wrong with it.
  CHECK(said.substr(0, row.said.size()) == row.said);
  CHECK(api.remembered.size() == 1);
}

TEST_CASE("the same pair of source and function is one mapping") {
  Api api;
  const std::string stream = api.mapped(of_stream());
  const std::string please = " Please update or delete the existing mapping with UUID ";
  CHECK(api.refused(of_stream()) == "409 ResourceConflictException: The event source arn (\" " + kStream +
                                        " \") and function (\" hello \") provided mapping already exists." + please +
                                        stream);
  const std::string queue = api.mapped(of_queue());
  CHECK(api.refused(of_queue()) == "409 ResourceConflictException: An event source mapping with SQS arn (\" " + kJobs +
                                       " \") and function (\" hello \") already exists." + please + queue);
  const std::string topic = api.mapped(of_topic());
  CHECK(api.refused(of_topic()) ==
        "409 ResourceConflictException: An event source mapping with event source (\"kafka:1000\"), function (\"" +
            kArn + "hello\"), topics (\"orders\") already exists." + please + topic);
  // Another version or alias of it is another function.
  const std::string live = api.mapped(of_queue({{"FunctionName", kArn + "hello:live"}}));
  CHECK(api.get(live).at("FunctionArn") == kArn + "hello:live");
  CHECK(api.mappings.put.at(live).qualifier == "live");
  CHECK(api.said("PUT", kMappings + "/" + live, {{"FunctionName", "hello"}})
            .starts_with("409 ResourceConflictException"));
  CHECK(api.ask("DELETE", kMappings + "/" + queue).at("State") == "Deleting");
  CHECK(api.update(live, {{"FunctionName", "hello"}}).at("FunctionArn") == kArn + "hello");
}

TEST_CASE("an update changes what it says, and nothing else") {
  Api api;
  const std::string uuid =
      api.mapped(of_stream({{"DestinationConfig", {{"OnFailure", {{"Destination", kJobs}}}}},
                            {"FilterCriteria", {{"Filters", {{{"Pattern", R"({"data":{"a":[1]}})"}}}}}}}));
  api.clock.advance(std::chrono::milliseconds(1500));
  const json changed = api.update(uuid, {{"BatchSize", 3}, {"Enabled", false}});
  CHECK(changed.at("State") == "Disabling");
  CHECK(changed.at("LastModified").dump() == "1789200001.5");
  json shown = api.get(uuid);
  CHECK(shown.at("State") == "Disabled");
  CHECK(shown.at("BatchSize") == 3);
  CHECK(shown.at("LastModified") == 1'789'200'001);
  CHECK(shown.at("DestinationConfig").at("OnFailure").at("Destination") == kJobs);
  CHECK_FALSE(api.mappings.put.at(uuid).enabled);
  CHECK(api.update(uuid, {{"Enabled", true}}).at("State") == "Enabling");
  CHECK(api.update(uuid,
                   {{"FilterCriteria", json::object()}, {"DestinationConfig", {{"OnFailure", {{"Destination", ""}}}}}})
            .at("State") == "Updating");
  shown = api.get(uuid);
  CHECK_FALSE(shown.contains("FilterCriteria"));
  CHECK(shown.at("DestinationConfig") == json{{"OnFailure", json::object()}});
  CHECK(api.settings(uuid).filter == nullptr);
  CHECK(api.said("PUT", kMappings + "/" + uuid, {{"FunctionName", "gone"}}) == kInvalid + "Function does not exist");
  const json before = api.get(uuid);
  api.restart();
  CHECK(api.get(uuid) == before);
}

TEST_CASE("a function that is gone leaves its mappings as they are") {
  Api api;
  const std::string uuid = api.mapped(of_stream());
  api.ask("DELETE", "2015-03-31/functions/hello");
  api.mappings.functions.erase("hello");
  CHECK(api.get(uuid).at("State") == "Enabled");
  CHECK(api.update(uuid, {{"BatchSize", 3}}).at("BatchSize") == 3);
}

TEST_CASE("mappings that are not there") {
  Api api;
  for (const char* method : {"GET", "PUT", "DELETE"}) {
    CHECK(api.said(method, kMappings + "/14e0db71-abcd-4eb5-b481-8945cf9d10c2", json::object()) ==
          "404 ResourceNotFoundException: The resource you requested does not exist.");
  }
}

TEST_CASE("mappings are listed by source and by function, a hundred at most at a time") {
  Api api;
  for (int i = 0; i < 101; ++i) api.mapped(of_queue({{"EventSourceArn", kJobs + std::to_string(i)}}));
  const std::string live = api.mapped(of_stream({{"FunctionName", "hello:live"}}));
  const auto list = [&](const Lambda::Query& query) { return api.ask("GET", kMappings, nullptr, query); };
  const auto count = [&](const Lambda::Query& query) { return list(query).at("EventSourceMappings").size(); };
  const json first = list({});
  CHECK(first.at("EventSourceMappings").size() == 100);
  const json rest = list({{"Marker", first.at("NextMarker").get<std::string>()}});
  CHECK(rest.at("EventSourceMappings").size() == 2);
  CHECK_FALSE(rest.contains("NextMarker"));
  CHECK(count({{"MaxItems", "7"}}) == 7);
  CHECK(count({{"EventSourceArn", kJobs + "7"}}) == 1);
  CHECK(count({{"EventSourceArn", kJobs}}) == 0);
  CHECK(count({{"FunctionName", "hello:live"}}) == 1);
  CHECK(list({{"FunctionName", kArn + "hello:live"}}).at("EventSourceMappings").at(0).at("UUID") == live);
  CHECK(count({{"FunctionName", "hello"}}) == 100);
  CHECK(count({{"FunctionName", "gone"}}) == 0);
}

TEST_CASE("sources of the configuration are shown, and are the configuration's") {
  Api api;
  api.mappings.configure(
      "jobs", json{{"type", "sqs"}, {"function", "fixed"}, {"queue", kJobs}, {"batch_size", 5}}.dump(), connectors());
  api.mappings.configure(
      "clicks",
      R"({"type":"kinesis","function":"fixed","stream":"clicks","starting_position":"LATEST","enabled":false})",
      connectors());
  api.mappings.configure("rates", R"j({"type":"schedule","function":"fixed","expression":"rate(1 minute)"})j",
                         connectors());
  const json all = api.ask("GET", kMappings, nullptr, {{"FunctionName", "fixed"}}).at("EventSourceMappings");
  REQUIRE(all.size() == 2);
  for (const json& each : all) {
    const std::string uuid = each.at("UUID");
    CHECK(api.get(uuid) == each);
    for (const char* method : {"PUT", "DELETE"}) {
      CHECK(api.said(method, kMappings + "/" + uuid, json::object())
                .starts_with("409 ResourceConflictException: The event source mapping is a source of weir's "
                             "configuration file, which alone can change it: sources."));
    }
    if (each.at("EventSourceArn") == kJobs) {
      CHECK(each.at("BatchSize") == 5);
      CHECK(each.at("State") == "Enabled");
    } else {
      CHECK(each.at("EventSourceArn") == kStream);
      CHECK(each.at("State") == "Disabled");
      CHECK(each.at("MaximumRetryAttempts") == -1);
    }
  }
  CHECK(api.refused(of_queue({{"FunctionName", "fixed"}}))
            .starts_with("409 ResourceConflictException: An event source mapping with SQS arn"));
}

TEST_CASE("a mapping's tags") {
  Api api;
  const std::string uuid = api.mapped(of_stream({{"Tags", {{"a", "1"}}}}));
  const std::string tags = "2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + uuid;
  CHECK(api.said("POST", tags, {{"Tags", {{"b", "2"}}}}) == "204");
  CHECK(api.said("DELETE", tags, nullptr, {{"tagKeys", "a"}}) == "204");
  CHECK(api.said("GET", tags) == R"(200 {"Tags":{"b":"2"}})");
  CHECK(api.said("GET", tags + "0") == "404 ResourceNotFoundException: The resource you requested does not exist.");
}

TEST_CASE("what a call gives does not reach the variables of weir's environment") {
  const config::Config config;
  const auto read = [&](const std::string& text) {
    return config::read_source("uuid", text, connectors(), config, std::nullopt);
  };
  const config::SourceReading reading = read(R"({"type":"sqs","function":"${HOME}","queue":"jobs"})");
  CHECK(reading.mistakes.empty());
  CHECK(reading.entry.function == "${HOME}");
  CHECK_FALSE(read(R"({"type":"sqs","function":"f","queue":"jobs","other":1})").mistakes.empty());
  CHECK(read("{\"type\":\"sqs\",\"function\":\"f\\u0000\",\"queue\":\"jobs\"}").mistakes ==
        std::vector<std::string>{"a text cannot hold the character NUL"});
}
