#include "connectors/kafka/client.h"

#include <librdkafka/rdkafka.h>

namespace weir::kafka {
namespace {

struct DestroyConf {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, DestroyConf>;

/// Collects properties; the first refusal stays, and names the property but not its value, which may be a secret.
class Properties {
 public:
  Properties() : conf_(rd_kafka_conf_new()) {}

  Properties& set(const std::string& property, const std::string& value) {
    char reason[512];
    if (problem_.empty() &&
        rd_kafka_conf_set(conf_.get(), property.c_str(), value.c_str(), reason, sizeof reason) != RD_KAFKA_CONF_OK)
      problem_ = property + " was refused by librdkafka";
    return *this;
  }
  Properties& set_if(const std::string& property, const std::string& value) {
    return value.empty() ? *this : set(property, value);
  }
  rd_kafka_conf_t* get() const { return conf_.get(); }
  rd_kafka_conf_t* release() { return conf_.release(); }
  const std::string& problem() const { return problem_; }

 private:
  Conf conf_;
  std::string problem_;
};

std::string security_protocol(const KafkaConfig& config) {
  if (config.sasl_mechanism.empty()) return config.tls ? "ssl" : "plaintext";
  return config.tls ? "sasl_ssl" : "sasl_plaintext";
}

/// Where the cluster is, and as whom it is asked.
void set_access(const KafkaConfig& config, Properties& properties) {
  properties.set("bootstrap.servers", config.bootstrap_servers)
      .set("client.id", "weir")
      .set("security.protocol", security_protocol(config))
      .set_if("sasl.mechanism", config.sasl_mechanism)
      .set_if("sasl.username", config.sasl_username)
      .set_if("sasl.password", config.sasl_password)
      .set_if("ssl.ca.location", config.ca_certificate)
      .set_if("ssl.certificate.location", config.client_certificate)
      .set_if("ssl.key.location", config.client_key)
      .set("log.queue", "true")
      // Else nothing is said of a broker that hangs up because it expects TLS or a password.
      .set("log.connection.close", "true")
      // A topic that is not there is reported after this time, not after half a minute.
      .set("topic.metadata.propagation.max.ms", "5000")
      .set("reconnect.backoff.max.ms", "2000");
}

Result<rd_kafka_t*> make_handle(rd_kafka_type_t type, Properties& properties) {
  if (!properties.problem().empty()) return Error(ErrorCode::kSourceFailed, properties.problem());
  char reason[512];
  rd_kafka_t* handle = rd_kafka_new(type, properties.get(), reason, sizeof reason);
  if (handle == nullptr) return Error(ErrorCode::kSourceFailed, std::string("librdkafka: ") + reason);
  properties.release();  // it belongs to the handle now
  return handle;
}

}  // namespace

std::optional<std::string> property_mistake(const std::string& property, const std::string& value) {
  const Conf conf(rd_kafka_conf_new());
  char reason[512];
  switch (rd_kafka_conf_set(conf.get(), property.c_str(), value.c_str(), reason, sizeof reason)) {
    case RD_KAFKA_CONF_OK:
      return std::nullopt;
    case RD_KAFKA_CONF_UNKNOWN:
      return "librdkafka has no such property";
    case RD_KAFKA_CONF_INVALID:
      break;
  }
  return "librdkafka refuses this value";
}

Result<std::shared_ptr<Client>> Client::make(const KafkaConfig& config) {
  Properties properties;
  set_access(config, properties);
  properties
      .set("group.id", config.group())
      // Where to go on when there is no committed offset, or it has expired.
      .set("auto.offset.reset", config.starting_position == StartingPosition::kLatest ? "latest" : "earliest")
      .set("enable.auto.commit", "false")
      .set("enable.auto.offset.store", "false")
      .set("allow.auto.create.topics", "false")
      .set("enable.partition.eof", "false")
      // A real broker answers a waiting fetch as soon as there is something, so this costs no latency; it bounds how
      // long other partitions wait that were not part of the fetch.
      .set("fetch.wait.max.ms", "100")
      // What librdkafka reads ahead, for each partition since each has its own queue. It looks again after a second
      // when a queue was full, so a smaller figure bounds throughput.
      .set("queued.max.messages.kbytes", "16384")
      // New partitions of the topic are seen within this time.
      .set("topic.metadata.refresh.interval.ms", "30000");
  for (const auto& [property, value] : config.librdkafka) properties.set(property, value);
  rd_kafka_conf_set_events(properties.get(), RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                                 RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
  auto client = std::shared_ptr<Client>(new Client());
  // Errors of the cluster are events, but a partition that does not exist is told to whoever reads its queue, and only
  // so.
  rd_kafka_conf_set_opaque(properties.get(), client.get());
  rd_kafka_conf_set_error_cb(properties.get(), [](rd_kafka_t*, int code, const char* sentence, void* to) {
    static_cast<Client*>(to)->problems_.push_back({code, sentence});
  });
  const auto handle = make_handle(RD_KAFKA_CONSUMER, properties);
  if (!handle) return handle.error();
  client->handle_ = *handle;
  rd_kafka_poll_set_consumer(*handle);
  rd_kafka_set_log_queue(*handle, nullptr);
  return client;
}

Result<std::shared_ptr<Client>> Client::make_producer(const KafkaConfig& config, Duration patience) {
  // A record of a discard holds one record of the source and what was said of it; the broker's own limit holds too.
  constexpr std::string_view kMaxMessageBytes = "67108864";
  Properties properties;
  set_access(config, properties);
  properties.set("acks", "all").set("linger.ms", "0").set("message.max.bytes", std::string(kMaxMessageBytes));
  for (const auto& [property, value] : config.librdkafka) properties.set(property, value);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  properties.set("message.timeout.ms", std::to_string(milliseconds));
  rd_kafka_conf_set_events(properties.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
  const auto handle = make_handle(RD_KAFKA_PRODUCER, properties);
  if (!handle) return handle.error();
  auto client = std::shared_ptr<Client>(new Client());
  client->handle_ = *handle;
  rd_kafka_set_log_queue(*handle, nullptr);
  return client;
}

// Leaving the group is done before, without blocking (KafkaSource::close).
Client::~Client() {
  if (handle_ != nullptr) rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

ErrorCode code_of(int problem) {
  switch (problem) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return ErrorCode::kSourceNotFound;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
      return ErrorCode::kSourceRefused;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return ErrorCode::kSourceUnreachable;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      return ErrorCode::kSourceData;
    default:
      return ErrorCode::kSourceFailed;
  }
}

Error connection_error(int problem, std::string_view sentence) {
  // With TLS 1.3 a broker refuses a client's certificate after the handshake. librdkafka takes that for a lost
  // connection; only its words tell.
  const bool alert = problem == RD_KAFKA_RESP_ERR__TRANSPORT && sentence.find("SSL alert number") != sentence.npos;
  const std::size_t circumstances = sentence.rfind(" (after ");
  if (circumstances != sentence.npos && sentence.find("ms in state ", circumstances) != sentence.npos)
    sentence = sentence.substr(0, circumstances);
  // The only other cause is an answer that is larger than the property allows, and fetches are kept below it.
  if (problem == RD_KAFKA_RESP_ERR__BAD_MSG && sentence.find("receive.message.max.bytes") != sentence.npos)
    return Error(ErrorCode::kSourceUnreachable, "what answers there does not speak Kafka: " + std::string(sentence));
  return Error(alert ? ErrorCode::kSourceRefused : code_of(problem), std::string(sentence));
}

}  // namespace weir::kafka
