// Messages a second through a whole mapping (source, engine, event, an endpoint in the process that only counts)
// against a bare librdkafka consumer loop over the same topic. Prints one line of JSON a message size.
//
// weir-bench-kafka [RUNS]: alternating runs of each, 9 unless said; the medians count.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <librdkafka/rdkafka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/invoker.h"
#include "bridge/shard_runner.h"
#include "connectors/kafka/config.h"
#include "connectors/kafka/connector.h"
#include "support/mock_kafka.h"

using namespace weir;

namespace {

constexpr std::int32_t kPartitions = 8;
constexpr std::size_t kBatchSize = 500;
/// The mock keeps 5 MB a partition.
constexpr std::size_t kPartitionBytes = 4'200'000;
/// The mock answers a waiting fetch only when its time is over; the same for both sides.
const char* const kFetchWait = "5";

struct Topic {
  std::string name;
  std::size_t message_bytes = 0;
  std::size_t messages() const { return kPartitions * per_partition(); }
  /// Whole batches: the bare loop waits for full ones.
  std::size_t per_partition() const { return kPartitionBytes / (message_bytes + 12) / kBatchSize * kBatchSize; }
};

using Clock = std::chrono::steady_clock;

/// Rate behind the first batch, so that connecting and finding offsets are not part of it.
class Stopwatch {
 public:
  void count(std::size_t messages) {
    if (seen_ == 0) {
      first_ = messages;
      begin_ = Clock::now();
    }
    seen_ += messages;
    end_ = Clock::now();
  }
  std::size_t seen() const { return seen_; }
  double per_second() const {
    return static_cast<double>(seen_ - first_) / std::chrono::duration<double>(end_ - begin_).count();
  }

 private:
  std::size_t seen_ = 0;
  std::size_t first_ = 0;
  Clock::time_point begin_;
  Clock::time_point end_;
};

void must(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "weir-bench-kafka: %s\n", what);
  std::exit(1);
}

// The bare loop.

double run_bare(const std::string& servers, const Topic& topic) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char reason[512];
  const std::pair<const char*, const char*> properties[] = {{"bootstrap.servers", servers.c_str()},
                                                            {"group.id", "bare"},
                                                            {"enable.auto.commit", "false"},
                                                            {"auto.offset.reset", "earliest"},
                                                            {"fetch.wait.max.ms", kFetchWait},
                                                            // So that reading ahead never pauses, for a second
                                                            // each time: the topic fits.
                                                            {"queued.max.messages.kbytes", "1000000"},
                                                            {"queued.min.messages", "10000000"}};
  for (const auto& [property, value] : properties)
    must(rd_kafka_conf_set(conf, property, value, reason, sizeof reason) == RD_KAFKA_CONF_OK, reason);
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
  must(consumer != nullptr, reason);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(kPartitions);
  for (std::int32_t partition = 0; partition < kPartitions; ++partition)
    rd_kafka_topic_partition_list_add(list, topic.name.c_str(), partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
  must(rd_kafka_assign(consumer, list) == RD_KAFKA_RESP_ERR_NO_ERROR, "no assignment");
  rd_kafka_topic_partition_list_destroy(list);

  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  std::array<rd_kafka_message_t*, kBatchSize> messages;
  Stopwatch watch;
  while (watch.seen() < topic.messages()) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, messages.data(), messages.size());
    must(count >= 0, "consuming failed");
    for (ssize_t i = 0; i < count; ++i) {
      must(messages[static_cast<std::size_t>(i)]->err == RD_KAFKA_RESP_ERR_NO_ERROR, "a message with an error");
      rd_kafka_message_destroy(messages[static_cast<std::size_t>(i)]);
    }
    if (count > 0) watch.count(static_cast<std::size_t>(count));
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(consumer);
  return watch.per_second();
}

// The whole mapping.

class CountingEndpoint final : public LambdaEndpoint {
 public:
  net::awaitable<Outcome> invoke(Invocation invocation, Instant) override {
    bytes += invocation.payload.size();
    co_return Outcome(Succeeded{"null"});
  }
  net::awaitable<void> close() override { co_return; }
  std::size_t bytes = 0;
};

/// Kafka keeps its own checkpoints, and nothing is given up on here.
class NoStore final : public store::CheckpointStore, public store::DeadLetters {
 public:
  net::awaitable<Result<store::SourceCheckpoints>> load_all(std::string) override {
    co_return store::SourceCheckpoints();
  }
  net::awaitable<Result<void>> save(ShardId, Resume) override { co_return Result<void>(); }
  net::awaitable<Result<void>> save_starts(std::string, store::SourceStarts) override { co_return Result<void>(); }
  net::awaitable<Result<void>> keep(store::DeadLetter) override { co_return Result<void>(); }
};

class Mapping final : public ShardListener {
 public:
  Mapping(const std::string& servers, const Topic& topic) : topic_(topic) {
    auto config = std::make_shared<kafka::KafkaConfig>();
    config->name = "bench";
    config->bootstrap_servers = servers;
    config->topic = topic.name;
    // A group of its own each time: it begins at the oldest record.
    static int runs = 0;
    config->consumer_group_id = "weir-" + topic.name + "-" + std::to_string(++runs);
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) config->partitions.push_back(partition);
    config->librdkafka = {{"fetch.wait.max.ms", kFetchWait}};
    source_ = kafka::make_source(
        config, {.name = "bench", .executor = context_.get_executor(), .log = null_log(), .clock = clock_});
    must(invoker_.add("count", endpoint_, std::nullopt).has_value(), "the invoker refused the function");
    deps_ = std::make_unique<bridge::ShardDeps>(bridge::ShardDeps{context_.get_executor(), *source_, invoker_, store_,
                                                                  store_, null_log(), clock_, destinations_, "count",
                                                                  config, ""});
  }

  void shard_opened(ShardId shard) override {
    source_->start(shard, std::nullopt, true);
    engine::ShardSettings settings;
    settings.batch.batch_size = kBatchSize;
    settings.batch.envelope_bytes = source_->envelope_bytes(shard);
    auto& runner = runners_.emplace_back(std::make_unique<bridge::ShardRunner>(*deps_, std::move(shard), settings));
    ++running_;
    net::co_spawn(context_, runner->run(), [this](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
      --running_;
    });
  }
  void shard_revoked(const ShardId&, bool) override { must(false, "a partition was revoked"); }

  double run() {
    bool ended = false;
    net::cancellation_signal stop;
    net::co_spawn(context_, source_->run(*this),
                  net::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr, Result<void>) { ended = true; }));
    Stopwatch watch;
    while (watch.seen() < topic_.messages()) {
      context_.run_one();
      must(!ended, "the source ended");
      std::size_t settled = 0;
      for (const auto& runner : runners_) settled += runner->engine().counters().settled_events;
      if (settled > watch.seen()) watch.count(settled - watch.seen());
    }
    must(endpoint_.bytes > topic_.messages() * topic_.message_bytes, "events are too small");
    // On the context's own thread of handlers, where a cancellation acts at once.
    net::post(context_, [&] {
      for (auto& runner : runners_) runner->cancel();
    });
    while (running_ > 0) context_.run_one();
    stop.emit(net::cancellation_type::all);
    while (!ended) context_.run_one();
    return watch.per_second();
  }

 private:
  Topic topic_;
  SystemClock clock_;
  net::io_context context_{1};
  CountingEndpoint endpoint_;
  NoStore store_;
  // The pace of weir is measured, not the account's limit of ten calls a second per execution.
  bridge::Invoker invoker_{100'000, clock_, 1};
  std::unique_ptr<PollSource> source_;
  bridge::Destinations destinations_{
      bridge::Destinations::Deps{context_.get_executor(), context_.get_executor(), {}, {}, null_log(), clock_},
      nullptr};  ///< never asked for
  std::unique_ptr<bridge::ShardDeps> deps_;
  std::vector<std::unique_ptr<bridge::ShardRunner>> runners_;
  int running_ = 0;
};

double run_weir(const std::string& servers, const Topic& topic) {
  return Mapping(servers, topic).run();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The broker in a process of its own, so that its work is not taken for the consumer's. Ends when our end of the pipe
/// is closed.
class BrokerProcess {
 public:
  explicit BrokerProcess(const std::vector<Topic>& topics) {
    int answer[2];
    int life[2];
    must(::pipe(answer) == 0 && ::pipe(life) == 0, "no pipe");
    child_ = ::fork();
    must(child_ >= 0, "no process");
    if (child_ == 0) {
      ::close(life[1]);
      serve(topics, answer[1], life[0]);
      std::_Exit(0);
    }
    ::close(answer[1]);
    ::close(life[0]);
    life_ = life[1];
    std::array<char, 256> text;
    const ssize_t size = ::read(answer[0], text.data(), text.size());
    must(size > 0, "the broker did not start");
    ::close(answer[0]);
    servers_.assign(text.data(), static_cast<std::size_t>(size));
  }
  ~BrokerProcess() {
    ::close(life_);
    ::waitpid(child_, nullptr, 0);
  }
  const std::string& servers() const { return servers_; }

 private:
  static void serve(const std::vector<Topic>& topics, int answer, int life) {
    test::MockKafka broker;
    for (const Topic& topic : topics) {
      broker.create_topic(topic.name, kPartitions);
      std::vector<test::KafkaMessage> messages(topic.per_partition());
      for (test::KafkaMessage& message : messages) message.value = std::string(topic.message_bytes, 'x');
      for (std::int32_t partition = 0; partition < kPartitions; ++partition)
        broker.produce(topic.name, partition, messages);
    }
    const std::string& servers = broker.bootstrap_servers();
    must(::write(answer, servers.data(), servers.size()) > 0, "nobody asks");
    char nothing;
    while (::read(life, &nothing, 1) > 0) {
    }
  }

  pid_t child_ = -1;
  int life_ = -1;
  std::string servers_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Topic> topics{{"small", 100}, {"large", 1000}};
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 9;
  // WEIR_BENCH_ONLY=weir or bare: one side alone, for a profile.
  const char* only = std::getenv("WEIR_BENCH_ONLY");
  const std::string side = only != nullptr ? only : "";
  const BrokerProcess broker(topics);  // before librdkafka starts threads in this process
  for (const Topic& topic : topics) {
    std::vector<double> bare;
    std::vector<double> weir;
    for (int i = 0; i < runs; ++i) {
      if (side != "weir") bare.push_back(run_bare(broker.servers(), topic));
      if (side != "bare") weir.push_back(run_weir(broker.servers(), topic));
    }
    const double bare_rate = bare.empty() ? 0 : median(bare);
    const double weir_rate = weir.empty() ? 0 : median(weir);
    std::printf(
        "{\"bench\":\"kafka_throughput\",\"message_bytes\":%zu,\"partitions\":%d,\"messages\":%zu,\"batch_size\":%zu,"
        "\"runs\":%d,"
        "\"bare_per_second\":%.0f,\"weir_per_second\":%.0f,\"ratio\":%.3f}\n",
        topic.message_bytes, kPartitions, topic.messages(), kBatchSize, runs, bare_rate, weir_rate,
        bare_rate > 0 ? weir_rate / bare_rate : 0.0);
    std::fflush(stdout);
  }
  return 0;
}
