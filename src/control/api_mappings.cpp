#include <algorithm>
#include <array>
#include <cmath>

#include "weir/service.h"

#include "control/api_call.h"
#include "control/function_name.h"
#include "service/arn.h"

namespace weir::control {
namespace {

// Source: reference stream-sources.md, section 1, and botocore's model of the API.

constexpr std::string_view kNoSuchResource = "The resource you requested does not exist.";
constexpr std::string_view kDeleting = "Deleting";
constexpr std::string_view kUnsupportedDestination =
    "Unsupported DestinationConfig parameter for given event source mapping type.";
constexpr std::string_view kUnrecognized = "Unrecognized event source.";
constexpr std::size_t kPage = 100;
constexpr std::size_t kMaxArn = 10'000;
constexpr std::size_t kMaxFunctionName = 256;
constexpr std::size_t kMaxDestination = 350;
constexpr std::size_t kMaxPattern = 4096;
constexpr std::size_t kMaxUri = 200;
constexpr std::string_view kArnPattern =
    R"(arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*))";

/// What a mapping reads.
enum class EventSource { kKinesis, kDynamodb, kSqs, kMsk, kKafka };

bool is_stream(EventSource kind) {
  return kind == EventSource::kKinesis || kind == EventSource::kDynamodb;
}
bool is_kafka(EventSource kind) {
  return kind == EventSource::kMsk || kind == EventSource::kKafka;
}

std::string_view type_of(EventSource kind) {
  if (is_kafka(kind)) return "kafka";
  return kind == EventSource::kKinesis ? "kinesis" : kind == EventSource::kDynamodb ? "dynamodb" : "sqs";
}

/// Where the name of a consumer group is.
std::string_view group_member(EventSource kind) {
  return kind == EventSource::kMsk ? "AmazonManagedKafkaEventSourceConfig" : "SelfManagedKafkaEventSourceConfig";
}

/// Of what was made by a call, so it is one of them.
EventSource kind_of(const json& shown) {
  const auto arn = shown.find("EventSourceArn");
  if (arn == shown.end()) return EventSource::kKafka;
  const std::string service = service::parse_arn(arn->get<std::string>())->service;
  if (service == "kinesis") return EventSource::kKinesis;
  if (service == "dynamodb") return EventSource::kDynamodb;
  return service == "sqs" ? EventSource::kSqs : EventSource::kMsk;
}

double seconds_of(WallTime time) {
  return static_cast<double>(epoch_milliseconds(time)) / 1000;
}

std::string mapping_arn(std::string_view uuid) {
  return service::local_arn("lambda", "event-source-mapping:" + std::string(uuid));
}

LambdaError unsupported(std::string_view parameter) {
  return invalid("Unsupported '" + std::string(parameter) + "' parameter for given event source mapping type.");
}

std::string in_brackets(const std::vector<std::string>& all) {
  std::string text = "[";
  for (const std::string& each : all) text.append(text.size() == 1 ? "" : ", ").append(each);
  return text + "]";
}

// ---- What a call says ----

/// The list of texts, which has at most `most` of them, each one of `values` if there are any.
std::vector<std::string> read_list(Call& call, Arguments& settings, std::string_view name, std::size_t most,
                                   std::initializer_list<std::string_view> values) {
  auto all = settings.texts(name);
  if (all.size() > most) {
    call.validation.mistake(in_brackets(all), settings.place(name),
                            "Member must have length less than or equal to " + std::to_string(most));
  }
  const bool right = values.size() == 0 || std::all_of(all.begin(), all.end(), [&](const std::string& each) {
                       return std::find(values.begin(), values.end(), each) != values.end();
                     });
  if (!right) {
    std::string allowed;
    for (const std::string_view each : values) allowed.append(allowed.empty() ? "" : ", ").append(each);
    call.validation.mistake(in_brackets(all), settings.place(name),
                            "Member must satisfy constraint: [Member must satisfy enum value set: [" + allowed + "]]");
  }
  return all;
}

void read_filters(Call& call, Arguments& settings, json& into) {
  auto criteria = settings.object("FilterCriteria");
  if (!criteria) return;
  json filters = json::array();
  if (criteria->has("Filters")) {
    const json& given = criteria->raw().at("Filters");
    const bool right = given.is_array() && std::all_of(given.begin(), given.end(), [](const json& each) {
                         return each.is_object() && (!each.contains("Pattern") || each.at("Pattern").is_string());
                       });
    if (!right) return call.refuse({400, "SerializationException", "The argument Filters has the wrong type."});
    for (const json& each : given) {
      const auto pattern = each.value("Pattern", std::string());
      if (pattern.size() > kMaxPattern) {
        call.validation.mistake(pattern,
                                "filterCriteria.filters." + std::to_string(filters.size() + 1) + ".member.pattern",
                                "Member must have length less than or equal to 4096");
      }
      if (!pattern.empty()) filters.push_back({{"Pattern", pattern}});
    }
  }
  into.erase("FilterCriteria");
  if (!filters.empty()) into["FilterCriteria"] = {{"Filters", std::move(filters)}};
}

void read_destination(Call& call, Arguments& settings, EventSource kind, json& into) {
  auto config = settings.object("DestinationConfig");
  if (!config) return;
  std::string destination;
  if (auto success = config->object("OnSuccess"); success && !success->text("Destination", kMaxDestination).empty()) {
    return call.refuse(invalid(std::string(kUnsupportedDestination)));
  }
  if (auto failure = config->object("OnFailure")) destination = failure->text("Destination", kMaxDestination);
  into.erase("DestinationConfig");
  if (!destination.empty()) {
    if (kind == EventSource::kSqs) return call.refuse(invalid(std::string(kUnsupportedDestination)));
    into["DestinationConfig"] = {{"OnFailure", {{"Destination", destination}}}};
  } else if (is_stream(kind)) {
    into["DestinationConfig"] = {{"OnFailure", json::object()}};
  }
}

void read_pollers(Call& call, Arguments& settings, EventSource kind, json& into) {
  auto config = settings.object("ProvisionedPollerConfig");
  if (!config) return;
  const auto least = config->integer("MinimumPollers", {1, 200});
  const auto most = config->integer("MaximumPollers", {1, 10'000});
  const std::string group = config->text("PollerGroupName", 128);
  into.erase("ProvisionedPollerConfig");
  if (call.wrong() || (!least && !most && group.empty())) return;
  if (is_stream(kind)) return call.refuse(unsupported("provisionedPollerConfig"));
  const std::int64_t minimum = kind == EventSource::kSqs ? 2 : 1;
  const std::int64_t from = least.value_or(minimum);
  const std::int64_t to = most.value_or(200);
  if (from < minimum || to < from) {
    return call.refuse(invalid("MinimumPollers should be between [" + std::to_string(minimum) +
                               ", 200] and MaximumPollers should be between [MinimumPollers, 10000]"));
  }
  into["ProvisionedPollerConfig"] = {{"MinimumPollers", from}, {"MaximumPollers", to}};
  if (!group.empty()) into["ProvisionedPollerConfig"]["PollerGroupName"] = group;
}

void read_access(Call& call, Arguments& settings, EventSource kind, json& into) {
  if (!settings.has("SourceAccessConfigurations")) return;
  const json& given = settings.raw().at("SourceAccessConfigurations");
  const bool right = given.is_array() && std::all_of(given.begin(), given.end(), [](const json& each) {
                       return each.is_object() && each.contains("Type") && each.at("Type").is_string() &&
                              each.contains("URI") && each.at("URI").is_string();
                     });
  if (!right) {
    return call.refuse({400, "SerializationException", "The argument SourceAccessConfigurations has the wrong type."});
  }
  into.erase("SourceAccessConfigurations");
  if (given.empty()) return;
  if (!is_kafka(kind)) return call.refuse(unsupported("sourceAccessConfigurations"));
  for (const json& each : given) {
    // What network the brokers are in is nothing to weir, which asks them from where it runs.
    const std::string type = each.at("Type");
    if (type == "VPC_SUBNET" || type == "VPC_SECURITY_GROUP") continue;
    return call.refuse(
        invalid("weir asks no Secrets Manager, so it has no way to authenticate by " + type +
                ": a source of type kafka in weir's configuration file has settings for user, password and TLS."));
  }
  into["SourceAccessConfigurations"] = given;
}

void read_group(Call& call, Arguments& settings, EventSource kind, json& into) {
  for (const EventSource each : {EventSource::kMsk, EventSource::kKafka}) {
    auto config = settings.object(group_member(each));
    if (!config) continue;
    if (each != kind) {
      return call.refuse(unsupported(each == EventSource::kMsk ? "amazonManagedKafkaEventSourceConfig"
                                                               : "selfManagedKafkaEventSourceConfig"));
    }
    if (config->has("SchemaRegistryConfig")) {
      return call.refuse(invalid("weir asks no schema registry: leave SchemaRegistryConfig out."));
    }
    const std::string group = config->text("ConsumerGroupId", kMaxUri);
    if (!group.empty()) into[std::string(group_member(kind))] = {{"ConsumerGroupId", group}};
  }
}

/// What both CreateEventSourceMapping and UpdateEventSourceMapping take.
void read_settings(Call& call, Arguments& settings, EventSource kind, json& into) {
  struct Number {
    const char* name;
    Range range;
  };
  constexpr std::array<Number, 6> kNumbers{{{"BatchSize", {1, 10'000}},
                                            {"MaximumBatchingWindowInSeconds", {0, 300}},
                                            {"ParallelizationFactor", {1, 10}},
                                            {"MaximumRecordAgeInSeconds", {-1, 604'800}},
                                            {"MaximumRetryAttempts", {-1, 10'000}},
                                            {"TumblingWindowInSeconds", {0, 900}}}};
  for (const Number& each : kNumbers) {
    if (const auto value = settings.integer(each.name, each.range)) into[each.name] = *value;
  }
  const auto age = into.value("MaximumRecordAgeInSeconds", std::int64_t{-1});
  if (age >= 0 && age < 60) {
    call.refuse(invalid("MaximumRecordAgeInSeconds must be -1, which is for ever, or between 60 and 604800."));
  }
  if (settings.has("BisectBatchOnFunctionError")) {
    into["BisectBatchOnFunctionError"] = settings.flag("BisectBatchOnFunctionError");
  }
  if (settings.has("FunctionResponseTypes")) {
    into["FunctionResponseTypes"] = read_list(call, settings, "FunctionResponseTypes", 1, {"ReportBatchItemFailures"});
  }
  read_filters(call, settings, into);
  read_destination(call, settings, kind, into);
  if (auto scaling = settings.object("ScalingConfig")) {
    into.erase("ScalingConfig");
    if (const auto most = scaling->integer("MaximumConcurrency", {2, 1000})) {
      into["ScalingConfig"] = {{"MaximumConcurrency", *most}};
    }
  }
  read_pollers(call, settings, kind, into);
  if (into.contains("ScalingConfig") && into.contains("ProvisionedPollerConfig")) {
    call.refuse(
        invalid("Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as the "
                "control mechanism and remove maximum concurrency."));
  }
  read_access(call, settings, kind, into);
  read_group(call, settings, kind, into);
  if (auto metrics = settings.object("MetricsConfig")) {
    into["MetricsConfig"] = {
        {"Metrics", read_list(call, *metrics, "Metrics", 3, {"EventCount", "ErrorCount", "KafkaMetrics"})}};
    if (is_kafka(kind) && !into["MetricsConfig"]["Metrics"].empty() && !into.contains("ProvisionedPollerConfig")) {
      call.refuse(
          invalid("MetricsConfig is only available for Provisioned Mode. Enable Provisioned Mode by specifying "
                  "MinimumPollers in ProvisionedPollerConfig."));
    }
  }
  if (auto logging = settings.object("LoggingConfig")) {
    const std::string level = logging->choice("SystemLogLevel", {"DEBUG", "INFO", "WARN"});
    into.erase("LoggingConfig");
    if (!level.empty()) {
      if (!is_kafka(kind)) call.refuse(unsupported("loggingConfig"));
      into["LoggingConfig"] = {{"SystemLogLevel", level}};
    }
  }
  if (settings.has("KMSKeyArn")) {
    const std::string key = settings.text("KMSKeyArn", kMaxArn);
    into.erase("KMSKeyArn");
    if (!key.empty()) into["KMSKeyArn"] = key;
  }
  if (settings.has("DocumentDBEventSourceConfig")) call.refuse(unsupported("documentDBEventSourceConfig"));
}

/// The brokers of a self-managed cluster.
std::vector<std::string> read_servers(Call& call, Arguments& settings) {
  constexpr std::string_view kServers = "KAFKA_BOOTSTRAP_SERVERS";
  auto source = settings.object("SelfManagedEventSource");
  auto endpoints = source ? source->object("Endpoints") : std::nullopt;
  if (!endpoints) return {};
  for (const std::string& name : endpoints->names()) {
    if (name != kServers) {
      call.validation.mistake("{" + name + "=}", "selfManagedEventSource.endpoints",
                              "Map keys must satisfy constraint: [Member must satisfy enum value set: "
                              "[KAFKA_BOOTSTRAP_SERVERS]]");
    }
  }
  return endpoints->texts(kServers);
}

/// What the call means to read; nothing, and refused, when that is nothing.
std::optional<EventSource> read_kind(Call& call, Arguments& settings, json& into) {
  const std::string text = settings.text("EventSourceArn", kMaxArn);
  const std::vector<std::string> servers = read_servers(call, settings);
  if (call.wrong()) return std::nullopt;
  if (!servers.empty()) into["SelfManagedEventSource"]["Endpoints"]["KAFKA_BOOTSTRAP_SERVERS"] = servers;
  if (text.empty()) {
    if (!servers.empty()) return EventSource::kKafka;
    call.refuse(invalid(std::string(kUnrecognized)));
    return std::nullopt;
  }
  into["EventSourceArn"] = text;
  const auto arn = service::parse_arn(text);
  if (!arn) {
    call.validation.mistake(text, "eventSourceArn",
                            "Member must satisfy regular expression pattern: " + std::string(kArnPattern));
    return std::nullopt;
  }
  if (arn->service == "kafka") {
    if (!servers.empty()) return EventSource::kMsk;
    call.refuse(invalid("Cannot access cluster " + text +
                        ". Please ensure the role can perform the DescribeClusterV2 (recommended) or DescribeCluster "
                        "and GetBootstrapBrokers actions on your cluster in IAM. weir does not ask MSK for a cluster's "
                        "brokers: give them beside its ARN, as SelfManagedEventSource."));
    return std::nullopt;
  }
  if (arn->service == "mq" || arn->service == "rds") {
    call.refuse(invalid(arn->service == "mq" ? "weir has no event source mappings of Amazon MQ."
                                             : "weir has no event source mappings of DocumentDB."));
    return std::nullopt;
  }
  if (!servers.empty()) call.refuse(unsupported("selfManagedEventSource"));
  if (arn->service == "kinesis") return EventSource::kKinesis;
  if (arn->service == "dynamodb") return EventSource::kDynamodb;
  if (arn->service == "sqs") return EventSource::kSqs;
  call.refuse(invalid(std::string(kUnrecognized)));
  return std::nullopt;
}

/// What a mapping of that kind shows from its beginning on, whatever the call says.
json defaults(EventSource kind) {
  if (is_stream(kind)) {
    return {{"BatchSize", 100},
            {"BisectBatchOnFunctionError", false},
            {"DestinationConfig", {{"OnFailure", json::object()}}},
            {"FunctionResponseTypes", json::array()},
            {"MaximumBatchingWindowInSeconds", 0},
            {"MaximumRecordAgeInSeconds", -1},
            {"MaximumRetryAttempts", -1},
            {"ParallelizationFactor", 1},
            {"TumblingWindowInSeconds", 0}};
  }
  // Kafka's window is half a second, which AWS does not show.
  if (is_kafka(kind)) return {{"BatchSize", 100}, {"StartingPosition", "TRIM_HORIZON"}};
  return {{"BatchSize", 10}, {"FunctionResponseTypes", json::array()}, {"MaximumBatchingWindowInSeconds", 0}};
}

/// What only CreateEventSourceMapping takes.
void read_start(Call& call, Arguments& settings, EventSource kind, json& into) {
  const std::string position = settings.choice("StartingPosition", {"LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"});
  if (!position.empty()) into["StartingPosition"] = position;
  if (settings.has("StartingPositionTimestamp")) {
    const json& time = settings.raw().at("StartingPositionTimestamp");
    if (!time.is_number()) {
      return call.refuse({400, "SerializationException", "The argument StartingPositionTimestamp has the wrong type."});
    }
    into["StartingPositionTimestamp"] = time;
  }
  if (settings.has("Queues")) call.refuse(unsupported("queues"));
  const auto topics = read_list(call, settings, "Topics", 1, {});
  if (!is_kafka(kind)) {
    if (!topics.empty()) call.refuse(unsupported("topics"));
    return;
  }
  if (kind == EventSource::kKafka && !into.contains("SourceAccessConfigurations")) {
    call.refuse(invalid("Required 'sourceAccessConfigurations' parameter is missing."));
  }
  if (topics.empty()) call.refuse(invalid("Required 'topics' parameter is missing."));
  into["Topics"] = topics;
}

/// The function that a mapping is for; nothing, and refused, when there is none.
std::optional<Named> read_function(Call& call, Arguments& settings) {
  const std::string text = settings.required("FunctionName", kMaxFunctionName);
  if (!settings.has("FunctionName")) return std::nullopt;
  Named named = call.named(text, "");
  if (call.wrong()) return std::nullopt;
  return named;
}

bool function_exists(Call& call, const Named& named) {
  if (call.world.mappings.knows(named.name, named.qualifier)) return true;
  call.refuse(invalid("Function does not exist"));
  return false;
}

/// Where weir decides it.
std::optional<Duration> timeout_of(const Call& call, const Named& named) {
  const auto& configured = call.world.functions.configured();
  if (const auto found = configured.find(named.name); found != configured.end()) {
    const auto* command = std::get_if<config::CommandFunction>(&found->second.target);
    return command == nullptr ? std::nullopt : std::optional<Duration>(command->timeout);
  }
  const Function* const function = call.world.model.function(named.name);
  if (function == nullptr) return std::nullopt;
  std::string version = named.qualifier.empty() ? std::string(kLatest) : named.qualifier;
  if (const json* alias = find(function->aliases, version)) version = alias->at("FunctionVersion").get<std::string>();
  const json* const document = find(function->versions, version);
  if (document == nullptr) return std::nullopt;
  return std::chrono::seconds(document->at("Timeout").get<int>());
}

// ---- Mappings that there are ----

Named function_of(const json& mapping) {
  return {mapping.at("FunctionName").get<std::string>(), mapping.at("Qualifier").get<std::string>()};
}

bool is_deleting(const json& mapping) {
  return mapping.contains(kDeleting);
}

/// Whether sources of that entry are mappings in Lambda's sense.
bool is_mapping(const config::SourceEntry& entry) {
  return entry.connector->delivery != Delivery::kPush;
}

const config::SourceEntry* configured(const Call& call, std::string_view uuid) {
  for (const config::SourceEntry& entry : call.world.mappings.configuration().sources) {
    if (is_mapping(entry) && config::mapping_uuid(entry) == uuid) return &entry;
  }
  return nullptr;
}

LambdaError exists_already(std::string sentence, const std::string& uuid) {
  return conflict(sentence + " Please update or delete the existing mapping with UUID " + uuid);
}

/// Whether no other mapping gives what this one reads to the same function; refused when one does.
bool is_alone(Call& call, const config::SourceEntry& source) {
  const config::Config& config = call.world.mappings.configuration();
  const bool kafka = source.connector->type == "kafka";
  const std::string name = source.qualifier.empty() ? source.function : source.function + ":" + source.qualifier;
  const std::string shown = kafka ? function_arn(source.function, source.qualifier) : name;
  const auto conflicts = [&](const config::SourceEntry& other) {
    if (other.connector != source.connector || other.function != source.function ||
        other.qualifier != source.qualifier) {
      return false;
    }
    const std::string same = source.settings->same_as(*other.settings, shown, config.aws);
    if (!same.empty()) call.refuse(exists_already(same, config::mapping_uuid(other)));
    return !same.empty();
  };
  if (std::any_of(config.sources.begin(), config.sources.end(), conflicts)) return false;
  for (const auto& [uuid, mapping] : call.world.model.mappings()) {
    if (uuid == source.name || is_deleting(mapping) || mapping.at("FunctionName") != source.function) continue;
    const auto other = read_mapping(uuid, mapping, call.world.connectors, config);
    if (other.mistakes.empty() && conflicts(other.entry)) return false;
  }
  return true;
}

/// How it stands: "Creating" and the like until it is so.
std::string state_of(const Call& call, std::string_view uuid, const json& mapping) {
  if (is_deleting(mapping)) return std::string(kDeleting);
  const auto state = call.world.mappings.mapping(std::string(uuid));
  std::string phase = call.world.phase(uuid);
  if (!phase.empty() && (!state || !state->settled)) return phase;
  return mapping.at("Enabled").get<bool>() ? "Enabled" : "Disabled";
}

json shown(const Call& call, const std::string& uuid, const json& mapping, const std::string& state) {
  json out = mapping.at("Shown");
  const EventSource kind = kind_of(out);
  const Named function = function_of(mapping);
  out["UUID"] = uuid;
  out["EventSourceMappingArn"] = mapping_arn(uuid);
  out["FunctionArn"] = function_arn(function.name, function.qualifier);
  out["State"] = state;
  out["StateTransitionReason"] = is_stream(kind) ? "User action" : "USER_INITIATED";
  out["LastModified"] = static_cast<std::int64_t>(std::floor(mapping.at("LastModified").get<double>()));
  if (kind != EventSource::kSqs) {
    const auto now = call.world.mappings.mapping(uuid);
    out["LastProcessingResult"] = now ? now->result : "No records processed";
  }
  return out;
}

json shown(const Call& call, const std::string& uuid, const json& mapping) {
  return shown(call, uuid, mapping, state_of(call, uuid, mapping));
}

/// As AWS's own setting has it, where it can.
json destination_shown(const std::string& destination) {
  if (destination.empty()) return {{"OnFailure", json::object()}};
  constexpr std::string_view kBucket = "s3:";
  const std::size_t arn = destination.find(":arn:");
  std::string text = arn == std::string::npos ? destination : destination.substr(arn + 1);
  if (destination.starts_with(kBucket)) text = "arn:aws:s3:::" + destination.substr(kBucket.size());
  return {{"OnFailure", {{"Destination", text}}}};
}

/// A source of the configuration file as a mapping.
json shown(const Call& call, const config::SourceEntry& entry) {
  const config::Config& config = call.world.mappings.configuration();
  const MappingSettings& mapping = entry.settings->mapping;
  const EventSourceView view = entry.settings->event_source(config.aws);
  const auto seconds = [](Duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); };
  const bool queue = entry.connector->delivery == Delivery::kQueue;
  const bool kafka = !queue && mapping.kind == MappingKind::kKafka;
  const std::string uuid = config::mapping_uuid(entry);
  json out = {{"UUID", uuid},
              {"EventSourceMappingArn", mapping_arn(uuid)},
              {"FunctionArn", function_arn(entry.function, entry.qualifier)},
              {"State", entry.enabled ? "Enabled" : "Disabled"},
              {"StateTransitionReason", queue || kafka ? "USER_INITIATED" : "User action"},
              {"LastModified", epoch_milliseconds(call.world.started) / 1000},
              {"BatchSize", mapping.batch_size}};
  if (!view.arn.empty()) out["EventSourceArn"] = view.arn;
  if (!view.starting_position.empty()) out["StartingPosition"] = view.starting_position;
  if (view.starting_timestamp) out["StartingPositionTimestamp"] = seconds_of(*view.starting_timestamp);
  if (!kafka) out["MaximumBatchingWindowInSeconds"] = seconds(mapping.maximum_batching_window);
  if (!kafka || mapping.report_batch_item_failures) out["FunctionResponseTypes"] = json::array();
  if (mapping.report_batch_item_failures) out["FunctionResponseTypes"].push_back("ReportBatchItemFailures");
  if (mapping.maximum_concurrency) out["ScalingConfig"] = {{"MaximumConcurrency", *mapping.maximum_concurrency}};
  if (queue) return out;
  const auto now = call.world.mappings.mapping(entry.name);
  out["LastProcessingResult"] = now ? now->result : "No records processed";
  const std::int64_t age = mapping.maximum_record_age ? seconds(*mapping.maximum_record_age) : -1;
  if (!kafka || age >= 0) out["MaximumRecordAgeInSeconds"] = age;
  if (!kafka || mapping.maximum_retry_attempts >= 0) out["MaximumRetryAttempts"] = mapping.maximum_retry_attempts;
  if (!kafka || mapping.bisect_batch_on_function_error) {
    out["BisectBatchOnFunctionError"] = mapping.bisect_batch_on_function_error;
  }
  if (!kafka || !mapping.destination_on_failure.empty()) {
    out["DestinationConfig"] = destination_shown(mapping.destination_on_failure);
  }
  if (kafka) {
    out["Topics"] = {view.topic};
    out[std::string(group_member(view.arn.empty() ? EventSource::kKafka : EventSource::kMsk))] = {
        {"ConsumerGroupId", view.consumer_group_id}};
    if (view.arn.empty()) out["SelfManagedEventSource"]["Endpoints"]["KAFKA_BOOTSTRAP_SERVERS"] = view.servers;
  } else {
    out["ParallelizationFactor"] = mapping.parallelization_factor;
    out["TumblingWindowInSeconds"] = seconds(mapping.tumbling_window);
  }
  return out;
}

// ---- Operations ----

/// Reads the mapping as it will be; nothing, and refused, when it cannot be so.
std::optional<config::SourceEntry> possible(Call& call, const std::string& uuid, const json& mapping) {
  if (call.wrong()) return std::nullopt;
  auto reading = read_mapping(uuid, mapping, call.world.connectors, call.world.mappings.configuration(),
                              timeout_of(call, function_of(mapping)));
  if (!reading.mistakes.empty()) {
    const std::string& sentence = reading.mistakes.front();
    // What weir adds to it is for the file.
    call.refuse(invalid(sentence.starts_with(kUnrecognized) ? std::string(kUnrecognized) : sentence));
    return std::nullopt;
  }
  return std::move(reading.entry);
}

/// The answer of a call that changes a mapping; LastModified has its milliseconds only here.
Reply changed_to(const Call& call, const std::string& uuid, const json& mapping, const std::string& state) {
  json body = shown(call, uuid, mapping, state);
  body["LastModified"] = mapping.at("LastModified");
  Reply reply = answered(kAccepted, body);
  reply.notes.push_back(note_of_mapping(uuid, mapping));
  reply.mapping = uuid;
  if (state != "Disabled") reply.phase = state;
  return reply;
}

Reply create(Call& call) {
  Arguments settings = call.body();
  json values = json::object();
  const auto function = read_function(call, settings);
  const auto kind = read_kind(call, settings, values);
  if (!kind) return call.refused();
  json all = defaults(*kind);
  all.update(values);
  read_settings(call, settings, *kind, all);
  read_start(call, settings, *kind, all);
  const auto tags = settings.text_map("Tags");
  const bool enabled = !settings.has("Enabled") || settings.flag("Enabled");
  if (call.wrong()) return call.refused();
  if (tags.size() > kMaxTags) return call.refused(invalid("Number of tags exceeds resource tag limit."));
  const std::string uuid = call.new_revision();
  if (is_kafka(*kind) && !all.contains(group_member(*kind))) {
    all[std::string(group_member(*kind))] = {{"ConsumerGroupId", uuid}};
  }
  const json mapping = {{"Shown", all},
                        {"FunctionName", function->name},
                        {"Qualifier", function->qualifier},
                        {"Enabled", enabled},
                        {"LastModified", seconds_of(call.world.now)},
                        {"Tags", tags}};
  auto source = possible(call, uuid, mapping);
  if (!source || !function_exists(call, *function) || !is_alone(call, *source)) return call.refused();
  Reply reply = changed_to(call, uuid, mapping, !enabled && *kind == EventSource::kSqs ? "Disabled" : "Creating");
  reply.source = std::move(source);
  reply.probe = true;
  return reply;
}

/// The mapping that a call changes; null, and refused, when it cannot. `doing`: "update"
const json* find_changing(Call& call, const std::string& uuid, std::string_view doing) {
  const auto found = call.world.model.mappings().find(uuid);
  if (found != call.world.model.mappings().end()) {
    const std::string state = state_of(call, uuid, found->second);
    if (state == "Enabled" || state == "Disabled") return &found->second;
    call.refuse({400, "ResourceInUseException",
                 "Cannot " + std::string(doing) + " the event source mapping because it is in use."});
  } else if (const config::SourceEntry* const entry = configured(call, uuid)) {
    call.refuse(conflict(
        "The event source mapping is a source of weir's configuration file, which alone can change it: sources." +
        entry->name));
  } else {
    call.refuse(not_found(std::string(kNoSuchResource)));
  }
  return nullptr;
}

Reply update(Call& call) {
  const std::string& uuid = call.asked.path.at(2);
  Arguments settings = call.body();
  const json* const former = find_changing(call, uuid, "update");
  if (former == nullptr) return call.refused();
  json mapping = *former;
  json& all = mapping["Shown"];
  if (settings.has("FunctionName")) {
    const auto function = read_function(call, settings);
    if (!function) return call.refused();
    mapping["FunctionName"] = function->name;
    mapping["Qualifier"] = function->qualifier;
  }
  const bool was_enabled = mapping.at("Enabled").get<bool>();
  if (settings.has("Enabled")) mapping["Enabled"] = settings.flag("Enabled");
  read_settings(call, settings, kind_of(all), all);
  mapping["LastModified"] = seconds_of(call.world.now);
  auto source = possible(call, uuid, mapping);
  if (!source) return call.refused();
  if (settings.has("FunctionName") && (!function_exists(call, function_of(mapping)) || !is_alone(call, *source))) {
    return call.refused();
  }
  const bool enabled = mapping.at("Enabled").get<bool>();
  Reply reply = changed_to(call, uuid, mapping,
                           enabled == was_enabled ? "Updating"
                           : enabled              ? "Enabling"
                                                  : "Disabling");
  reply.source = std::move(source);
  reply.probe = settings.has("FunctionName");
  return reply;
}

Reply remove(Call& call) {
  const std::string& uuid = call.asked.path.at(2);
  const json* const former = find_changing(call, uuid, "delete");
  if (former == nullptr) return call.refused();
  json mapping = *former;
  mapping[std::string(kDeleting)] = true;
  mapping["LastModified"] = seconds_of(call.world.now);
  return changed_to(call, uuid, mapping, std::string(kDeleting));
}

Reply get(Call& call) {
  const std::string& uuid = call.asked.path.at(2);
  const auto found = call.world.model.mappings().find(uuid);
  if (found != call.world.model.mappings().end()) return answered(kOk, shown(call, uuid, found->second));
  if (const config::SourceEntry* const entry = configured(call, uuid)) return answered(kOk, shown(call, *entry));
  return Reply(not_found(std::string(kNoSuchResource)));
}

Reply list(Call& call) {
  const std::string arn = call.query("EventSourceArn");
  std::optional<Named> function;
  if (const std::string text = call.query("FunctionName"); !text.empty()) function = call.named(text, "");
  if (call.wrong()) return call.refused();
  std::map<std::string, json> wanted;
  const auto add = [&](const std::string& uuid, const Named& whose, json mapping) {
    const bool right = (arn.empty() || mapping.value("EventSourceArn", "") == arn) &&
                       (!function || (whose.name == function->name && whose.qualifier == function->qualifier));
    if (right) wanted.emplace(uuid, std::move(mapping));
  };
  for (const auto& [uuid, mapping] : call.world.model.mappings()) {
    add(uuid, function_of(mapping), shown(call, uuid, mapping));
  }
  for (const config::SourceEntry& entry : call.world.mappings.configuration().sources) {
    if (is_mapping(entry)) add(config::mapping_uuid(entry), {entry.function, entry.qualifier}, shown(call, entry));
  }
  std::vector<std::pair<std::string, json>> items(std::make_move_iterator(wanted.begin()),
                                                  std::make_move_iterator(wanted.end()));
  return list_reply(call, "EventSourceMappings", std::move(items), 10'000, kPage);
}

constexpr std::array kOperations{
    Operation{"CreateEventSourceMapping", "POST", "2015-03-31/event-source-mappings", &create},
    Operation{"ListEventSourceMappings", "GET", "2015-03-31/event-source-mappings", &list},
    Operation{"GetEventSourceMapping", "GET", "2015-03-31/event-source-mappings/*", &get},
    Operation{"UpdateEventSourceMapping", "PUT", "2015-03-31/event-source-mappings/*", &update},
    Operation{"DeleteEventSourceMapping", "DELETE", "2015-03-31/event-source-mappings/*", &remove},
};

}  // namespace

std::span<const Operation> mapping_operations() {
  return kOperations;
}

const json* tags_of_mapping(Call& call, std::string_view uuid) {
  if (call.wrong()) return nullptr;
  const auto found = call.world.model.mappings().find(uuid);
  if (found != call.world.model.mappings().end() && !is_deleting(found->second)) return &found->second.at("Tags");
  call.refuse(not_found(std::string(kNoSuchResource)));
  return nullptr;
}

Reply tag_mapping(Call& call, const std::string& uuid, json tags) {
  if (tags.size() > kMaxTags) return call.refused(invalid("Number of tags exceeds resource tag limit."));
  json mapping = call.world.model.mappings().find(uuid)->second;
  mapping["Tags"] = std::move(tags);
  Reply reply = answered(kNoContent, {});
  reply.notes.push_back(note_of_mapping(uuid, mapping));
  return reply;
}

config::SourceReading read_mapping(const std::string& uuid, const json& mapping,
                                   std::span<const ConnectorEntry> connectors, const config::Config& beside,
                                   std::optional<Duration> function_timeout) {
  // As the configuration calls them.
  constexpr std::array<std::pair<const char*, const char*>, 12> kKeys{{
      {"BatchSize", "batch_size"},
      {"MaximumBatchingWindowInSeconds", "maximum_batching_window_in_seconds"},
      {"ParallelizationFactor", "parallelization_factor"},
      {"MaximumRetryAttempts", "maximum_retry_attempts"},
      {"MaximumRecordAgeInSeconds", "maximum_record_age_in_seconds"},
      {"BisectBatchOnFunctionError", "bisect_batch_on_function_error"},
      {"TumblingWindowInSeconds", "tumbling_window_in_seconds"},
      {"FunctionResponseTypes", "function_response_types"},
      {"FilterCriteria", "filter_criteria"},
      {"StartingPosition", "starting_position"},
      {"StartingPositionTimestamp", "starting_position_timestamp"},
      {"Topics", "topics"},
  }};
  const json& all = mapping.at("Shown");
  const EventSource kind = kind_of(all);
  json settings = {
      {"type", type_of(kind)}, {"function", mapping.at("FunctionName")}, {"enabled", mapping.at("Enabled")}};
  for (const auto& [name, key] : kKeys) {
    if (const auto value = all.find(name); value != all.end()) settings[key] = *value;
  }
  if (const auto scaling = all.find("ScalingConfig"); scaling != all.end()) {
    settings["maximum_concurrency"] = scaling->at("MaximumConcurrency");
  }
  if (const auto config = all.find("DestinationConfig"); config != all.end()) {
    const json& failure = config->at("OnFailure");
    if (failure.contains("Destination")) settings["destination_on_failure"] = failure.at("Destination");
  }
  if (is_kafka(kind)) {
    settings["bootstrap_servers"] = all.at("SelfManagedEventSource").at("Endpoints").at("KAFKA_BOOTSTRAP_SERVERS");
    settings["consumer_group_id"] = all.at(std::string(group_member(kind))).at("ConsumerGroupId");
    if (kind == EventSource::kMsk) settings["event_source_arn"] = all.at("EventSourceArn");
  } else {
    settings[kind == EventSource::kSqs ? "queue" : "stream_arn"] = all.at("EventSourceArn");
  }
  auto reading = config::read_source(uuid, settings.dump(), connectors, beside, function_timeout);
  reading.entry.qualifier = mapping.at("Qualifier").get<std::string>();
  return reading;
}

LambdaError not_readable(const config::SourceEntry& source, const config::Config& beside, const Error& error) {
  if (error.code() != ErrorCode::kSourceNotFound) return invalid(error.message());
  if (source.connector->delivery == Delivery::kQueue) {
    return invalid(
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error "
        "Message: The specified queue does not exist.");
  }
  return invalid("Stream not found: " + source.settings->event_source(beside.aws).arn);
}

}  // namespace weir::control
