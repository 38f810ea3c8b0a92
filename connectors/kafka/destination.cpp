#include "connectors/kafka/destination.h"

#include <cerrno>
#include <cstring>
#include <list>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <librdkafka/rdkafka.h>
#include <nlohmann/json.hpp>
#include <sys/eventfd.h>

#include "weir/base/bytes.h"

#include "connectors/kafka/client.h"
#include "connectors/kafka/config.h"

namespace weir::kafka {
namespace {

using Json = nlohmann::ordered_json;

/// How long a message may take to be written, connecting included.
constexpr Duration kPatience = std::chrono::seconds(30);
/// By then librdkafka has said what became of it; a mapping is not to wait for ever should it not.
constexpr Duration kReportPatience = kPatience + std::chrono::seconds(5);

struct Destroy {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
template <typename T>
using Owned = std::unique_ptr<T, Destroy>;

/// Writes through librdkafka's producer, whose queue wakes the executor's thread.
class KafkaDestination final : public Destination {
 public:
  KafkaDestination(std::string topic, std::shared_ptr<Client> client, int wakeups, const DestinationContext& context)
      : topic_(std::move(topic)),
        source_(context.source->name),
        executor_(context.executor),
        log_(context.log),
        client_(std::move(client)),
        events_(rd_kafka_queue_get_main(client_->get())),
        wakeups_(executor_, wakeups) {
    constexpr std::uint64_t kOne = 1;
    rd_kafka_queue_io_event_enable(events_.get(), wakeups, &kOne, sizeof kOne);
    // What came before woke nobody, and a queue that is not empty wakes nobody either.
    serve_events();
    await_wakeups();
  }
  ~KafkaDestination() override { end(); }

  net::awaitable<Result<void>> deliver(DestinationRecord record) override;
  net::awaitable<void> close() override {
    end();
    co_return;
  }

 private:
  /// The messages of one call of deliver(). It stays until each is reported, also when the caller has gone.
  struct Delivery {
    explicit Delivery(const net::any_io_executor& executor) : done(executor, kReportPatience) {}
    std::size_t pending = 0;
    std::optional<Error> failure;
    net::steady_timer done;
  };

  void await_wakeups();
  void serve_events();
  void finish(Delivery& delivery, rd_kafka_resp_err_t problem);
  void end();

  std::string topic_;
  std::string source_;
  net::any_io_executor executor_;
  Log& log_;
  std::shared_ptr<Client> client_;  ///< null when it was closed
  Owned<rd_kafka_queue_t> events_;
  net::posix::stream_descriptor wakeups_;
  std::list<std::shared_ptr<Delivery>> deliveries_;  ///< with messages under way
  std::shared_ptr<const bool> alive_ = std::make_shared<bool>(true);
};

net::awaitable<Result<void>> KafkaDestination::deliver(DestinationRecord record) {
  if (!client_) co_return Error(ErrorCode::kCancelled, "the destination was closed");
  const auto messages = failed_records(record);
  if (!messages) co_return messages.error();
  const auto delivery = std::make_shared<Delivery>(executor_);
  for (const FailedRecord& message : *messages) {
    const char* key = message.key ? message.key->data() : nullptr;
    const std::size_t key_size = message.key ? message.key->size() : 0;
    const auto problem =
        rd_kafka_producev(client_->get(), RD_KAFKA_V_TOPIC(topic_.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(const_cast<char*>(message.value.data()), message.value.size()),
                          RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_OPAQUE(delivery.get()), RD_KAFKA_V_END);
    if (problem) {
      delivery->failure = Error(ErrorCode::kDestinationFailed, rd_kafka_err2str(problem));
      break;
    }
    ++delivery->pending;
  }
  if (delivery->pending > 0) deliveries_.push_back(delivery);
  while (delivery->pending > 0) {
    boost::system::error_code ignored;
    co_await delivery->done.async_wait(net::redirect_error(net::use_awaitable, ignored));
    const auto cancelled = (co_await net::this_coro::cancellation_state).cancelled();
    if (cancelled != net::cancellation_type::none)
      co_return Error(ErrorCode::kCancelled, "the delivery was called off");
    if (delivery->pending > 0 && delivery->done.expiry() <= net::steady_timer::clock_type::now())
      co_return Error(ErrorCode::kDestinationFailed, "the broker did not take what was written to topic " + topic_);
  }
  if (delivery->failure) co_return std::move(*delivery->failure).during("writing to topic " + topic_);
  co_return Result<void>();
}

void KafkaDestination::await_wakeups() {
  wakeups_.async_wait(net::posix::stream_descriptor::wait_read,
                      [this, alive = std::weak_ptr<const bool>(alive_)](const boost::system::error_code& problem) {
                        if (problem || alive.expired() || !client_) return;
                        std::uint64_t times = 0;
                        boost::system::error_code ignored;
                        wakeups_.read_some(net::buffer(&times, sizeof times), ignored);
                        serve_events();
                        await_wakeups();
                      });
}

void KafkaDestination::serve_events() {
  while (const Owned<rd_kafka_event_t> event{rd_kafka_queue_poll(events_.get(), 0)}) {
    switch (rd_kafka_event_type(event.get())) {
      case RD_KAFKA_EVENT_DR:
        while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get()))
          finish(*static_cast<Delivery*>(message->_private), message->err);
        break;
      case RD_KAFKA_EVENT_ERROR:
        log_.debug("kafka.failed", {{"source", source_},
                                    {"topic", topic_},
                                    {"code", rd_kafka_err2name(rd_kafka_event_error(event.get()))},
                                    {"message", rd_kafka_event_error_string(event.get())}});
        break;
      case RD_KAFKA_EVENT_LOG: {
        const char* facility = nullptr;
        const char* words = nullptr;
        int severity = 0;
        if (rd_kafka_event_log(event.get(), &facility, &words, &severity) == 0)
          log_.debug("kafka.logged", {{"source", source_}, {"facility", facility}, {"message", words}});
        break;
      }
      default:
        break;
    }
  }
}

void KafkaDestination::finish(Delivery& delivery, rd_kafka_resp_err_t problem) {
  if (problem && !delivery.failure)
    delivery.failure = Error(problem == RD_KAFKA_RESP_ERR__PURGE_QUEUE || problem == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
                                 ? ErrorCode::kCancelled
                                 : ErrorCode::kDestinationFailed,
                             rd_kafka_err2str(problem));
  if (--delivery.pending > 0) return;
  delivery.done.cancel();
  deliveries_.remove_if([&](const auto& each) { return each.get() == &delivery; });
}

void KafkaDestination::end() {
  if (!client_) return;
  rd_kafka_queue_io_event_enable(events_.get(), -1, nullptr, 0);
  wakeups_.close();
  rd_kafka_purge(client_->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  // Reports what was purged; whatever is not reported now ends with librdkafka itself.
  serve_events();
  for (const auto& delivery : std::exchange(deliveries_, {})) {
    delivery->pending = 0;
    if (!delivery->failure) delivery->failure = Error(ErrorCode::kCancelled, "the destination was closed");
    delivery->done.cancel();
  }
  events_.reset();
  client_.reset();
}

}  // namespace

Result<std::vector<FailedRecord>> failed_records(const DestinationRecord& discard) {
  const Error not_ours(ErrorCode::kDestinationFailed, "what was given up on is no event of Kafka");
  Json record = Json::parse(discard.record, nullptr, false);
  Json event = Json::parse(discard.payload, nullptr, false);
  if (!record.is_object() || !event.is_object() || !record.contains("KafkaBatchInfo") || !event.contains("records") ||
      !event["records"].is_object())
    return not_ours;
  const Json partitions = std::exchange(event["records"], Json::object());
  Json& info = record["KafkaBatchInfo"];
  info["batchSize"] = 1;
  info.erase("recordsInfo");
  std::vector<FailedRecord> messages;
  for (const auto& [partition, records] : partitions.items()) {
    for (const Json& each : records) {
      FailedRecord& message = messages.emplace_back();
      if (const auto key = each.find("key"); key != each.end()) {
        message.key = decode_base64(key->get<std::string>());
        if (!message.key) return not_ours;
      }
      event["records"] = Json::object();
      event["records"][partition] = Json::array({each});
      const std::string payload = event.dump();
      info["payloadSize"] = payload.size();
      info["recordInfo"] = Json::object();
      info["recordInfo"]["offset"] = std::to_string(each.at("offset").get<std::int64_t>());
      const auto timestamp = each.at("timestamp").get<std::int64_t>();
      if (timestamp >= 0) info["recordInfo"]["timestamp"] = iso_milliseconds(from_epoch_milliseconds(timestamp));
      message.value = record.dump();
      message.value.back() = ',';
      message.value += "\"payload\":" + payload + "}";
    }
  }
  return messages;
}

std::string check_destination(std::string_view target, std::string_view source_type) {
  if (source_type != "kafka") return "a topic is a destination of a source of type kafka only, of the same cluster";
  if (!is_topic_name(target))
    return "\"" + std::string(target) + "\" is no name of a topic: letters, digits, '.', '_' and '-' only";
  return "";
}

Result<std::unique_ptr<Destination>> make_destination(std::string target, DestinationContext context) {
  const auto* config = dynamic_cast<const KafkaConfig*>(context.source.get());
  if (config == nullptr)
    return Error(ErrorCode::kDestinationFailed, "a topic is a destination of a source of type kafka only");
  auto client = Client::make_producer(*config, kPatience);
  if (!client) return Error(ErrorCode::kDestinationFailed, client.error().message());
  const int wakeups = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wakeups < 0) return Error(ErrorCode::kDestinationFailed, std::string("no eventfd: ") + std::strerror(errno));
  return std::make_unique<KafkaDestination>(std::move(target), std::move(*client), wakeups, context);
}

}  // namespace weir::kafka
