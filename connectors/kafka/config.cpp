#include "connectors/kafka/config.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "connectors/kafka/client.h"
#include "connectors/kafka/connector.h"

namespace weir::kafka {
namespace {

constexpr std::size_t kMaxTopicLength = 249;
constexpr std::size_t kMaxGroupLength = 200;

/// Properties that a key of weir sets, and that key.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kOwnKeys{{
    {"bootstrap.servers", "bootstrap_servers"},
    {"metadata.broker.list", "bootstrap_servers"},
    {"group.id", "consumer_group_id"},
    {"auto.offset.reset", "starting_position"},
    {"sasl.mechanism", "sasl_mechanism"},
    {"sasl.mechanisms", "sasl_mechanism"},
    {"sasl.username", "sasl_username"},
    {"sasl.password", "sasl_password"},
    {"security.protocol", "tls and sasl_mechanism"},
    {"ssl.ca.location", "ca_certificate"},
    {"ssl.certificate.location", "client_certificate"},
    {"ssl.key.location", "client_key"},
    {"statistics.interval.ms", ""},
}};

/// Properties that at-least-once delivery rests on.
constexpr std::array<std::string_view, 6> kFixed{"enable.auto.commit",   "enable.auto.offset.store",
                                                 "auto.commit.enable",   "allow.auto.create.topics",
                                                 "enable.partition.eof", "log.queue"};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Whether it is HOST:PORT, the host possibly an IPv6 address in brackets, possibly behind librdkafka's "SASL_SSL://".
bool is_server(std::string_view server) {
  const std::size_t colon = server.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  if (server.find_first_of(" \t") != std::string_view::npos) return false;
  const auto port = whole_number(server.substr(colon + 1));
  return port && *port >= 1 && *port <= 65'535;
}

void read_servers(ConfigNode& node, KafkaConfig& config) {
  const auto given =
      node.texts("bootstrap_servers",
                 {.about = "Where the cluster is first asked, each HOST:PORT; one text may hold several, with commas.",
                  .min_items = 1});
  for (const std::string& text : given) {
    std::string_view rest = text;
    do {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view server = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (!is_server(server)) {
        node.mistake("bootstrap_servers", "\"" + std::string(server) + "\" is not HOST:PORT");
        continue;
      }
      if (!config.bootstrap_servers.empty()) config.bootstrap_servers += ',';
      config.bootstrap_servers += server;
    } while (!rest.empty());
  }
}

void read_topic(ConfigNode& node, KafkaConfig& config) {
  const auto topics = node.texts(
      "topics", {.about = "The topic to read: a list of one, as an event source mapping has it, or its name.",
                 .min_items = 1,
                 .max_items = 1,
                 .max_length = kMaxTopicLength,
                 .parameter = "topics"});
  if (topics.empty()) return;
  config.topic = topics.front();
  // A name that begins with ^ would be a pattern to librdkafka, and subscribe to many topics.
  if (!is_topic_name(config.topic))
    node.mistake("topics", "\"" + config.topic + "\" is no name of a topic: letters, digits, '.', '_' and '-' only");
}

void read_partitions(ConfigNode& node, KafkaConfig& config) {
  const auto given =
      node.texts("partitions", {.about = "Read these partitions only, each a whole number, without joining the group; "
                                         "left out: the whole topic, shared with the group's other members.",
                                .or_number = true});
  for (const std::string& text : given) {
    const auto number = whole_number(text);
    if (!number || *number < 0 || *number > 99'999) {
      node.mistake("partitions", "\"" + text + "\" is no partition, allowed is 0 to 99999");
    } else if (std::find(config.partitions.begin(), config.partitions.end(), *number) != config.partitions.end()) {
      node.mistake("partitions", text + " stands there twice");
    } else {
      config.partitions.push_back(static_cast<std::int32_t>(*number));
    }
  }
}

void read_start(ConfigNode& node, KafkaConfig& config) {
  const auto position =
      node.text("starting_position", {.about = "Where a partition begins for which the group has no committed offset.",
                                      .fallback = "TRIM_HORIZON",
                                      .one_of = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"},
                                      .refusal = kNoStartingPosition});
  if (position == "LATEST") config.starting_position = StartingPosition::kLatest;
  if (position == "AT_TIMESTAMP") config.starting_position = StartingPosition::kAtTimestamp;

  config.starting_timestamp = read_starting_timestamp(node, config.starting_position == StartingPosition::kAtTimestamp);
}

void read_security(ConfigNode& node, KafkaConfig& config) {
  config.sasl_mechanism = node.text("sasl_mechanism", {.about = "How to authenticate with user name and password.",
                                                       .one_of = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}})
                              .value_or("");
  config.sasl_username = node.text("sasl_username", {.about = "The user; goes with sasl_mechanism."}).value_or("");
  config.sasl_password =
      node.text("sasl_password",
                {.about = "The password; goes with sasl_mechanism. Best given as ${VARIABLE}.", .secret = true})
          .value_or("");
  if (node.has("sasl_mechanism")) {
    for (const std::string_view key : {"sasl_username", "sasl_password"})
      if (!node.has(key)) node.mistake("sasl_mechanism", "needs " + std::string(key));
  } else {
    for (const std::string_view key : {"sasl_username", "sasl_password"})
      if (node.has(key)) node.mistake(key, "needs sasl_mechanism");
  }

  config.tls = node.flag("tls", {.about = "Whether connections are encrypted."});
  const auto path = [&](std::string_view key, std::string_view about) {
    const auto given = node.text(key, {.about = about});
    if (given && !config.tls) node.mistake(key, "needs tls: true");
    return given && !given->empty() ? node.resolve_path(*given) : std::string();
  };
  config.ca_certificate =
      path("ca_certificate", "PEM file of the authorities that may sign the brokers' certificates; else the system's.");
  config.client_certificate = path("client_certificate", "PEM file of the certificate to show; goes with client_key.");
  config.client_key = path("client_key", "PEM file of the private key of client_certificate.");
  if (node.has("client_certificate") != node.has("client_key"))
    node.mistake(node.has("client_key") ? "client_key" : "client_certificate",
                 "client_certificate and client_key go together");
}

void read_extra(ConfigNode& node, KafkaConfig& config) {
  config.librdkafka =
      node.text_map("librdkafka", "Further properties of librdkafka (its CONFIGURATION.md), as they are.");
  for (const auto& [property, value] : config.librdkafka) {
    const auto own =
        std::find_if(kOwnKeys.begin(), kOwnKeys.end(), [&](const auto& pair) { return pair.first == property; });
    if (own != kOwnKeys.end() && !own->second.empty()) {
      node.mistake("librdkafka", property + ": say it with " + std::string(own->second));
    } else if (own != kOwnKeys.end() || std::find(kFixed.begin(), kFixed.end(), property) != kFixed.end()) {
      node.mistake("librdkafka", property + ": is fixed by weir");
    } else if (auto problem = property_mistake(property, value)) {
      node.mistake("librdkafka", property + ": " + *problem);
    }
  }
}

/// AWS's own form of a topic as destination, kafka://TOPIC, is taken too.
void check_destination_topic(ConfigNode& node, KafkaConfig& config) {
  constexpr std::string_view kOwn = "kafka:";
  constexpr std::string_view kAws = "kafka://";
  std::string& destination = config.mapping.destination_on_failure;
  if (destination.starts_with(kAws)) destination = std::string(kOwn) + destination.substr(kAws.size());
  // Else what was given up on would be read again, for ever.
  if (!config.topic.empty() && destination == std::string(kOwn) + config.topic)
    node.mistake("destination_on_failure", "the source's own topic cannot be its destination");
}

/// A server that is asked first for both clusters; "" when there is none.
std::string_view shared_server(std::string_view servers, std::string_view others) {
  const auto next = [](std::string_view& list) {
    const std::string_view first = list.substr(0, list.find(','));
    list.remove_prefix(std::min(first.size() + 1, list.size()));
    return first;
  };
  while (!servers.empty()) {
    const std::string_view server = next(servers);
    for (std::string_view rest = others; !rest.empty();) {
      if (next(rest) == server) return server;
    }
  }
  return "";
}

/// Whether some partition is read by both. No partitions: all of them.
bool share_partitions(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  return a.empty() || b.empty() || std::find_first_of(a.begin(), a.end(), b.begin(), b.end()) != a.end();
}

}  // namespace

EventSourceView KafkaConfig::event_source(const AwsAccess&) const {
  EventSourceView view;
  view.arn = event_source_arn;
  view.starting_position = starting_position == StartingPosition::kTrimHorizon ? "TRIM_HORIZON"
                           : starting_position == StartingPosition::kLatest    ? "LATEST"
                                                                               : "AT_TIMESTAMP";
  view.starting_timestamp = starting_timestamp;
  for (std::string_view rest = bootstrap_servers; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    view.servers.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  view.topic = topic;
  view.consumer_group_id = group();
  return view;
}

std::string KafkaConfig::same_as(const SourceConfig& other, std::string_view function, const AwsAccess&) const {
  const auto& first = static_cast<const KafkaConfig&>(other);
  if (topic.empty() || topic != first.topic || !share_partitions(partitions, first.partitions)) return "";
  const bool same_arn = !event_source_arn.empty() && event_source_arn == first.event_source_arn;
  const std::string_view server = shared_server(bootstrap_servers, first.bootstrap_servers);
  if (server.empty() && !same_arn) return "";
  return "An event source mapping with event source (\"" + (same_arn ? event_source_arn : std::string(server)) +
         "\"), function (\"" + std::string(function) + "\"), topics (\"" + topic + "\") already exists.";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<KafkaConfig>();
  read_servers(node, *config);
  read_topic(node, *config);
  read_partitions(node, *config);
  config->consumer_group_id =
      node.text("consumer_group_id",
                {.about = "The consumer group whose committed offsets are the checkpoints; left out: weir-NAME, with "
                          "the source's name.",
                 .max_length = kMaxGroupLength})
          .value_or("");
  if (node.has("consumer_group_id") && config->consumer_group_id.empty())
    node.mistake("consumer_group_id", "must not be empty");
  read_start(node, *config);
  config->mapping = read_mapping_settings(node, MappingKind::kKafka);
  check_destination_topic(node, *config);
  config->event_source_arn =
      node.text("event_source_arn",
                {.about = "The ARN of an Amazon MSK cluster: events then say aws:kafka and carry it; left out: they "
                          "say SelfManagedKafka."})
          .value_or("");
  if (!config->event_source_arn.empty() && !config->event_source_arn.starts_with("arn:"))
    node.mistake("event_source_arn", "\"" + config->event_source_arn + "\" is no ARN");
  read_security(node, *config);
  read_extra(node, *config);
  node.refuse_other_keys();
  return config;
}

bool is_topic_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTopicLength && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::string shard_name(std::string_view topic, std::int32_t partition) {
  return std::string(topic) + "-" + std::to_string(partition);
}

std::optional<std::int32_t> partition_of(std::string_view topic, std::string_view shard) {
  if (shard.size() < topic.size() + 2 || !shard.starts_with(topic) || shard[topic.size()] != '-') return std::nullopt;
  const auto number = whole_number(shard.substr(topic.size() + 1));
  if (!number || *number < 0 || *number > 99'999 || shard_name(topic, static_cast<std::int32_t>(*number)) != shard)
    return std::nullopt;
  return static_cast<std::int32_t>(*number);
}

}  // namespace weir::kafka
