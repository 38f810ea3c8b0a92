#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include "connectors/kafka/asking.h"
#include "connectors/kafka/client.h"
#include "connectors/kafka/connector.h"
#include "connectors/kafka/envelope.h"

namespace weir::kafka {
namespace {

/// What librdkafka writes to the pipe when a queue is no longer empty: the partition, or this for everything else.
constexpr std::int32_t kEvents = -1;
/// Written by the helper thread when it knows where the partitions begin.
constexpr std::int32_t kStartsFound = -2;

/// A member of a group is thrown out when it asks for nothing for max.poll.interval.ms (5 minutes); an idle topic gives
/// no cause to ask, so it is done this often.
constexpr Duration kSignOfLife = std::chrono::seconds(60);
/// How often it is looked whether revoked partitions take too long.
constexpr Duration kDrainCheck = std::chrono::seconds(5);
/// How long revoked partitions may drain. Within max.poll.interval.ms, by which the group would go on without us.
constexpr Duration kDrainPatience = std::chrono::seconds(240);
/// How long leaving the group may take at the end; after that the group notices by itself.
constexpr Duration kClosePatience = std::chrono::seconds(3);
/// Of one blocking question of the helper thread, which is what its end may take.
constexpr int kQuestionMs = 1'000;
constexpr int kProbeMs = 300'000;

/// Messages taken from a queue at once; what is above the limit of bytes waits in the shard.
constexpr std::size_t kMaxSlice = 512;
/// What a message is taken for before the first was seen.
constexpr std::size_t kFirstGuessBytes = 16'384;

struct Destroy {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_ListConsumerGroupOffsets_t* request) const {
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
  }
  void operator()(rd_kafka_AdminOptions_t* options) const { rd_kafka_AdminOptions_destroy(options); }
};
template <typename T>
using Owned = std::unique_ptr<T, Destroy>;
using PartitionList = Owned<rd_kafka_topic_partition_list_t>;

Error error_of(rd_kafka_resp_err_t problem) {
  return Error(code_of(problem), rd_kafka_err2str(problem));
}

/// The messages that one batch refers to.
struct ReadMessages {
  explicit ReadMessages(std::shared_ptr<Client> of) : client(std::move(of)) {}
  ~ReadMessages() {
    for (rd_kafka_message_t* message : messages) rd_kafka_message_destroy(message);
  }
  ReadMessages(const ReadMessages&) = delete;
  ReadMessages& operator=(const ReadMessages&) = delete;

  std::shared_ptr<Client> client;  ///< outlives its messages
  std::vector<rd_kafka_message_t*> messages;
  std::vector<RecordExtras> extras;
  std::vector<Header> headers;
};

/// One partition that is ours to read.
struct Shard {
  Shard(ShardId shard, std::int32_t number, const EventOrigin& origin, const net::any_io_executor& executor)
      : id(std::move(shard)), partition(number), envelope(origin, number), readable(executor) {}

  ShardId id;
  std::int32_t partition;
  Envelope envelope;
  Owned<rd_kafka_queue_t> queue;
  net::steady_timer readable;  ///< cancelled to wake the fetch that waits
  bool revoked = false;
  std::deque<Owned<rd_kafka_message_t>> ahead;   ///< taken from the queue beyond the limit of bytes; at most kMaxSlice
  std::size_t message_bytes = kFirstGuessBytes;  ///< of the last read, on average
  std::optional<std::int64_t> first;             ///< offset of the first record given
  std::optional<std::int64_t> last;              ///< offset of the last record given
};

/// A pipe that tells which queues have something. Non-blocking at both ends. When it is full, a wake-up is lost; the
/// reader sees that it was full and then looks at every queue.
class WakeupPipe {
 public:
  Result<void> open() {
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
      return Error(ErrorCode::kSourceFailed, std::string("no pipe: ") + std::strerror(errno));
    read_end_ = ends[0];
    write_end_ = ends[1];
    const int size = ::fcntl(read_end_, F_GETPIPE_SZ);
    capacity_ = size > 0 ? static_cast<std::size_t>(size) : 4096;
    return {};
  }
  ~WakeupPipe() {
    if (write_end_ >= 0) ::close(write_end_);
    if (read_end_ >= 0) ::close(read_end_);
  }
  WakeupPipe() = default;
  WakeupPipe(const WakeupPipe&) = delete;
  WakeupPipe& operator=(const WakeupPipe&) = delete;

  int read_end() const { return read_end_; }
  int write_end() const { return write_end_; }

  /// Calls `told` with everything in the pipe; returns whether some may have been lost.
  template <typename Told>
  bool read(Told told) {
    std::array<std::int32_t, 1024> words;
    std::size_t total = 0;
    for (;;) {
      const ssize_t count = ::read(read_end_, words.data(), sizeof words);
      if (count <= 0) break;
      total += static_cast<std::size_t>(count);
      for (std::size_t i = 0; i < static_cast<std::size_t>(count) / sizeof(std::int32_t); ++i) told(words[i]);
    }
    return total >= capacity_ / 2;
  }

 private:
  int read_end_ = -1;
  int write_end_ = -1;
  std::size_t capacity_ = 0;
};

/// Finds where partitions begin at a time or at their end, in a thread of its own, since librdkafka has no other way
/// than to block, and commits it: else a bridge that is stopped before its first checkpoint would begin at a later end
/// the next time, and what came between would be lost. Asks again until there is an answer.
class StartFinder {
 public:
  /// `time`: none for the end.
  StartFinder(std::shared_ptr<Client> client, PartitionList partitions, std::optional<WallTime> time, int told)
      : client_(std::move(client)),
        list_(std::move(partitions)),
        when_(time ? epoch_milliseconds(*time) : RD_KAFKA_OFFSET_END),
        asking_([this] { return ask(*list_); },
                [told] { [[maybe_unused]] const auto written = ::write(told, &kStartsFound, sizeof kStartsFound); },
                Asking::Pauses()) {}
  StartFinder(const StartFinder&) = delete;
  StartFinder& operator=(const StartFinder&) = delete;

  bool ready() const { return asking_.is_over() && !given_up_; }
  PartitionList take() { return std::move(list_); }
  /// Nothing more is asked; when it is over, destroying it waits for nothing.
  void give_up() {
    given_up_ = true;
    asking_.give_up();
  }
  bool is_over() const { return asking_.is_over(); }

 private:
  /// Committed offsets stand; the others are asked for.
  bool ask(rd_kafka_topic_partition_list_t& list) const {
    if (rd_kafka_committed(client_->get(), &list, kQuestionMs)) return false;
    const PartitionList unknown(rd_kafka_topic_partition_list_new(list.cnt));
    for (int i = 0; i < list.cnt; ++i) {
      if (list.elems[i].err) return false;
      if (list.elems[i].offset < 0)
        rd_kafka_topic_partition_list_add(unknown.get(), list.elems[i].topic, list.elems[i].partition)->offset = when_;
    }
    if (unknown->cnt == 0) return true;
    if (rd_kafka_offsets_for_times(client_->get(), unknown.get(), kQuestionMs)) return false;
    const PartitionList begins(rd_kafka_topic_partition_list_new(unknown->cnt));
    for (int i = 0; i < unknown->cnt; ++i) {
      const rd_kafka_topic_partition_t& found = unknown->elems[i];
      if (found.err) return false;
      // The end of the partition when nothing is as young as that.
      rd_kafka_topic_partition_list_set_offset(&list, found.topic, found.partition, found.offset);
      if (found.offset >= 0)
        rd_kafka_topic_partition_list_add(begins.get(), found.topic, found.partition)->offset = found.offset;
    }
    if (begins->cnt > 0) commit(*begins);
    return true;
  }

  /// A commit that is refused, because the group is being rebalanced again, or not answered in time, is made up for by
  /// the next finder or checkpoint.
  void commit(const rd_kafka_topic_partition_list_t& begins) const {
    const Owned<rd_kafka_queue_t> answer(rd_kafka_queue_new(client_->get()));
    if (rd_kafka_commit_queue(client_->get(), &begins, answer.get(), nullptr, nullptr)) return;
    const Owned<rd_kafka_event_t> done(rd_kafka_queue_poll(answer.get(), kQuestionMs));
  }

  std::shared_ptr<Client> client_;
  PartitionList list_;       ///< the thread's until it is over
  const std::int64_t when_;  ///< milliseconds, or RD_KAFKA_OFFSET_END, which the protocol takes too
  bool given_up_ = false;
  Asking asking_;  ///< last: it uses the others
};

/// Adds a message's headers, which have room, and returns where they are.
std::span<const Header> add_headers(const rd_kafka_message_t* message, std::vector<Header>& headers) {
  rd_kafka_headers_t* parsed = nullptr;
  if (rd_kafka_message_headers(message, &parsed) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  const std::size_t before = headers.size();
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(parsed, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    headers.push_back({.name = name, .value = {static_cast<const char*>(value), value != nullptr ? size : 0}});
  return std::span(headers).subspan(before);
}

/// Reads the partitions of one topic through librdkafka, whose queues wake the executor's thread through a pipe.
class KafkaSource final : public PollSource {
 public:
  KafkaSource(std::shared_ptr<const KafkaConfig> config, SourceContext context)
      : config_(std::move(config)),
        context_(std::move(context)),
        origin_{config_->bootstrap_servers, config_->event_source_arn, config_->topic},
        wakeups_(context_.executor),
        pause_(context_.executor) {}

  ~KafkaSource() override {
    starts_.reset();
    // Batches may keep the client alive; it must not write to the pipe any more.
    for (auto& shard : shards_)
      if (shard) forget(*shard);
    if (events_) rd_kafka_queue_io_event_enable(events_.get(), -1, nullptr, 0);
    if (wakeups_.is_open()) wakeups_.release();  // the pipe closes it
  }

  net::awaitable<Result<void>> run(ShardListener& listener) override;
  std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run) override;
  net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits) override;
  bool keeps_checkpoints() const override { return true; }
  net::awaitable<Result<void>> commit(ShardId shard, Position upto) override;
  void release(const ShardId& shard, bool ended) override;
  std::optional<std::int64_t> backlog(const ShardId& shard, std::optional<Position> settled) const override;
  std::size_t envelope_bytes(const ShardId& shard) const override { return at(shard).envelope.event_bytes(); }
  void write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const override {
    at(shard).envelope.write_event(records, out);
  }
  void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t payload_bytes,
                        JsonWriter& out) const override {
    at(shard).envelope.write_batch_info(records, payload_bytes, out);
  }
  void write_filter_view(const ShardId& shard, const Record& record, bool with_metadata,
                         FilterView& out) const override {
    at(shard).envelope.write_filter_view(record, with_metadata, out);
  }
  std::optional<Position> identified(const ShardId& shard, std::string_view identifier) const override {
    return identified_offset(shard.name, identifier);
  }
  std::string trouble() const override {
    if (reachable_) return "";
    return Error(ErrorCode::kSourceUnreachable, unreachable_because_).describe();
  }

 private:
  /// A change of what is ours, as the group decided it. They are carried out in order, each when the shards it concerns
  /// allow.
  struct Rebalance {
    bool assign = false;
    bool lost = false;     ///< a revocation that cannot be drained: another member has them already
    bool told = false;     ///< the listener knows
    bool located = false;  ///< each partition's start is settled
    PartitionList partitions;
  };

  /// A commit() that waits.
  struct Waiter {
    std::int32_t partition;
    std::int64_t offset;
    std::optional<Result<void>> result;
    net::steady_timer done;
  };

  Result<void> open();
  net::awaitable<void> close();
  void await_wakeups();
  void serve_wakeups();
  void serve_events();
  void handle(rd_kafka_event_t* event);
  void handle_log(rd_kafka_event_t* event);
  void handle_error(rd_kafka_resp_err_t problem, const std::string& sentence);
  void fail(Error error);
  void unreachable(const std::string& reason);
  void reachable();
  void probe();

  void advance_rebalances();
  bool advance(Rebalance& rebalance);
  void assign(Rebalance& rebalance);
  void revoke_now(Rebalance& rebalance);
  bool any_open(const rd_kafka_topic_partition_list_t& list) const;
  void lose_overdue();

  RecordBatch take(Shard& shard, FetchLimits limits);
  bool next_messages(Shard& shard, std::size_t wanted);
  RecordBatch describe(const Shard& shard, std::shared_ptr<ReadMessages> read) const;
  void send_commits();
  void finish_commits(rd_kafka_resp_err_t problem, const rd_kafka_topic_partition_list_t* list);
  void end_commits(const Error& error);

  Shard* find(std::int32_t partition) const {
    return partition >= 0 && static_cast<std::size_t>(partition) < shards_.size()
               ? shards_[static_cast<std::size_t>(partition)].get()
               : nullptr;
  }
  Shard& at(const ShardId& id) const {
    const auto partition = partition_of(config_->topic, id.name);
    Shard* shard = partition ? find(*partition) : nullptr;
    WEIR_ASSERT(shard != nullptr);
    return *shard;
  }
  static void wake(Shard& shard) { shard.readable.cancel(); }
  static void forget(Shard& shard) {
    rd_kafka_queue_io_event_enable(shard.queue.get(), -1, nullptr, 0);
    shard.ahead.clear();
    shard.queue.reset();
  }
  bool cooperative() const {
    const char* protocol = rd_kafka_rebalance_protocol(client_->get());
    return protocol != nullptr && std::strcmp(protocol, "COOPERATIVE") == 0;
  }

  std::shared_ptr<const KafkaConfig> config_;
  SourceContext context_;
  EventOrigin origin_;
  WakeupPipe pipe_;
  std::shared_ptr<Client> client_;  ///< shared with the batches, whose bytes it owns
  Owned<rd_kafka_queue_t> events_;
  net::posix::stream_descriptor wakeups_;  ///< the pipe's end
  std::shared_ptr<const bool> alive_ =
      std::make_shared<bool>(true);  ///< tells a handler that comes late not to touch the source
  net::steady_timer pause_;          ///< of run(); cancelled when there is a failure
  ShardListener* listener_ = nullptr;

  std::vector<std::unique_ptr<Shard>> shards_;  ///< by partition; null where it is not ours
  std::deque<Rebalance> rebalances_;            ///< oldest first; librdkafka has at most a few of them under way
  bool advancing_ = false;
  std::optional<Instant> drained_by_;  ///< when revoked partitions are given up on
  std::unique_ptr<StartFinder> starts_;
  std::optional<Error> failure_;
  bool ended_ = false;         ///< nothing is served any more
  std::exception_ptr thrown_;  ///< out of a handler, for run() to throw
  bool reachable_ = true;
  std::string unreachable_because_;
  std::string trouble_;  ///< what librdkafka said last of a connection that failed
  bool probing_ = false;

  std::vector<Waiter*> committing_;  ///< part of the commit that is in flight
  std::vector<Waiter*> to_commit_;   ///< of the next one
  bool commit_in_flight_ = false;

  std::vector<rd_kafka_message_t*> slice_;  ///< what was taken from a queue last; kept for its room
};

Result<void> KafkaSource::open() {
  if (auto opened = pipe_.open(); !opened) return opened;
  wakeups_.assign(pipe_.read_end());
  auto client = Client::make(*config_);
  if (!client) return std::move(client.error());
  client_ = std::move(client.value());
  events_.reset(rd_kafka_queue_get_consumer(client_->get()));
  rd_kafka_queue_io_event_enable(events_.get(), pipe_.write_end(), &kEvents, sizeof kEvents);

  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  if (config_->partitions.empty()) {
    rd_kafka_topic_partition_list_add(list.get(), config_->topic.c_str(), RD_KAFKA_PARTITION_UA);
    if (const auto problem = rd_kafka_subscribe(client_->get(), list.get()))
      return error_of(problem).during("subscribing");
  } else {
    Rebalance rebalance;
    rebalance.assign = true;
    rebalance.partitions.reset(rd_kafka_topic_partition_list_new(static_cast<int>(config_->partitions.size())));
    for (const std::int32_t partition : config_->partitions)
      rd_kafka_topic_partition_list_add(rebalance.partitions.get(), config_->topic.c_str(), partition);
    rebalances_.push_back(std::move(rebalance));
  }
  return {};
}

net::awaitable<Result<void>> KafkaSource::run(ShardListener& listener) {
  // Being cancelled is no reason to leave without a word: run() ends by close(), which waits.
  co_await net::this_coro::throw_if_cancelled(false);
  listener_ = &listener;
  if (auto opened = open(); !opened) {
    fail(std::move(opened.error()));
  } else {
    await_wakeups();
    // What came before the pipe was there woke nobody, and a queue that is not empty wakes nobody either.
    serve_events();
    advance_rebalances();
  }
  while (!failure_ && !thrown_) {
    pause_.expires_after(drained_by_ ? kDrainCheck : kSignOfLife);
    boost::system::error_code ignored;
    co_await pause_.async_wait(net::redirect_error(net::use_awaitable, ignored));
    const auto cancelled = (co_await net::this_coro::cancellation_state).cancelled();
    if (cancelled != net::cancellation_type::none) break;
    serve_events();
    lose_overdue();
  }
  ended_ = true;
  Error end = failure_ ? *failure_ : Error(ErrorCode::kCancelled, "the source was stopped");
  end_commits(end);
  co_await close();
  co_await net::this_coro::throw_if_cancelled(true);
  if (thrown_) std::rethrow_exception(thrown_);
  co_return end;
}

void KafkaSource::await_wakeups() {
  wakeups_.async_wait(net::posix::stream_descriptor::wait_read,
                      [this, alive = std::weak_ptr<const bool>(alive_)](const boost::system::error_code& problem) {
                        if (problem || alive.expired() || ended_ || thrown_) return;
                        try {
                          serve_wakeups();
                          await_wakeups();
                        } catch (const std::exception&) {
                          // A handler's exception would end the io_context, and with it every other source.
                          thrown_ = std::current_exception();
                          pause_.cancel();
                        }
                      });
}

void KafkaSource::serve_wakeups() {
  bool events = false;
  const bool lost = pipe_.read([&](std::int32_t word) {
    if (Shard* shard = find(word)) wake(*shard);
    if (word < 0) events = true;
  });
  if (lost) {
    for (auto& shard : shards_)
      if (shard) wake(*shard);
  }
  if (!events && !lost) return;
  serve_events();
  advance_rebalances();
}

/// Leaves the group and lets librdkafka end what it has under way, without blocking this thread.
net::awaitable<void> KafkaSource::close() {
  if (!client_) co_return;
  net::steady_timer timer(context_.executor);
  if (starts_) {
    // Its question under way blocks a thread, and not this one.
    starts_->give_up();
    while (!starts_->is_over()) {
      timer.expires_after(std::chrono::milliseconds(5));
      boost::system::error_code ignored;
      co_await timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
    }
    starts_.reset();
  }
  rebalances_.clear();
  for (auto& shard : shards_)
    if (shard) rd_kafka_queue_io_event_enable(shard->queue.get(), -1, nullptr, 0);
  const Owned<rd_kafka_error_t> refused(rd_kafka_consumer_close_queue(client_->get(), events_.get()));
  if (refused) co_return;
  const Instant until = context_.clock.now().instant + kClosePatience;
  while (!rd_kafka_consumer_closed(client_->get()) && context_.clock.now().instant < until) {
    while (Owned<rd_kafka_event_t> event{rd_kafka_queue_poll(events_.get(), 0)})
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE) rd_kafka_assign(client_->get(), nullptr);
    timer.expires_after(std::chrono::milliseconds(5));
    boost::system::error_code ignored;
    co_await timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
}

void KafkaSource::serve_events() {
  while (!ended_) {
    const Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(events_.get(), 0));
    if (!event) return;
    handle(event.get());
  }
}

void KafkaSource::handle(rd_kafka_event_t* event) {
  const rd_kafka_resp_err_t problem = rd_kafka_event_error(event);
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE: {
      Rebalance rebalance;
      rebalance.assign = problem == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
      if (rebalance.assign) reachable();  // what is lost is told without a broker
      rebalance.lost = !rebalance.assign && rd_kafka_assignment_lost(client_->get()) != 0;
      rebalance.partitions.reset(rd_kafka_topic_partition_list_copy(rd_kafka_event_topic_partition_list(event)));
      rebalances_.push_back(std::move(rebalance));
      advance_rebalances();
      return;
    }
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
      finish_commits(problem, rd_kafka_event_topic_partition_list(event));
      return;
    case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
      probing_ = false;
      if (problem == RD_KAFKA_RESP_ERR_NO_ERROR)
        reachable();
      else if (code_of(problem) == ErrorCode::kSourceRefused)
        handle_error(problem, rd_kafka_event_error_string(event));
      else if (!reachable_)
        probe();
      return;
    case RD_KAFKA_EVENT_LOG:
      handle_log(event);
      return;
    case RD_KAFKA_EVENT_ERROR: {
      if (problem == RD_KAFKA_RESP_ERR__FATAL) {
        char reason[512];
        const auto fatal = rd_kafka_fatal_error(client_->get(), reason, sizeof reason);
        fail(Error(code_of(fatal), reason));
        return;
      }
      handle_error(problem, rd_kafka_event_error_string(event));
      return;
    }
    default:
      return;
  }
}

/// librdkafka reports each failed connection on its own, at each try: whether the cluster can be reached is reported by
/// unreachable() and reachable() instead, and its words go to the debug log.
void KafkaSource::handle_log(rd_kafka_event_t* event) {
  const char* facility = nullptr;
  const char* words = nullptr;
  int severity = 7;
  if (rd_kafka_event_log(event, &facility, &words, &severity) != 0) return;
  constexpr int kErrorSeverity = 3;  // of syslog
  constexpr int kWarningSeverity = 4;
  const std::string_view kind = facility != nullptr ? facility : "";
  const bool about_connections = kind == "FAIL" || kind == "ERROR";
  const LogLevel level = about_connections || severity > kWarningSeverity ? LogLevel::kDebug
                         : severity < kErrorSeverity                      ? LogLevel::kError
                                                                          : LogLevel::kWarn;
  const LogField fields[] = {{"source", context_.name}, {"facility", kind}, {"message", words != nullptr ? words : ""}};
  context_.log.write(level, "kafka.logged", fields);
}

void KafkaSource::handle_error(rd_kafka_resp_err_t problem, const std::string& sentence) {
  if (failure_) return;  // a connection that is refused is also one that is lost
  if (problem == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    unreachable(trouble_.empty() ? sentence : sentence + "; " + trouble_);
    return;
  }
  Error error = connection_error(problem, sentence);
  switch (error.code()) {
    case ErrorCode::kSourceNotFound:
      fail(Error(ErrorCode::kSourceNotFound,
                 "topic " + config_->topic + " does not exist, or not all of its partitions: " + sentence));
      return;
    case ErrorCode::kSourceRefused:
    case ErrorCode::kSourceData:
      fail(std::move(error));
      return;
    default:
      // librdkafka tries again by itself.
      trouble_ = error.message();
      context_.log.debug("kafka.failed",
                         {{"source", context_.name}, {"code", rd_kafka_err2name(problem)}, {"message", sentence}});
  }
}

void KafkaSource::fail(Error error) {
  if (failure_) return;
  failure_ = std::move(error);
  pause_.cancel();
}

void KafkaSource::unreachable(const std::string& reason) {
  if (reachable_) {
    reachable_ = false;
    unreachable_because_ = reason;
    context_.log.warn("source.unreachable", {{"source", context_.name}, {"reason", reason}});
  }
  probe();
}

void KafkaSource::reachable() {
  if (reachable_) return;
  reachable_ = true;
  trouble_.clear();
  context_.log.info("source.reachable", {{"source", context_.name}});
}

/// A question that librdkafka keeps until somebody answers: the cluster is back when it is answered. Nothing else says
/// so on an idle topic.
void KafkaSource::probe() {
  if (probing_) return;
  probing_ = true;
  const Owned<rd_kafka_AdminOptions_t> options(
      rd_kafka_AdminOptions_new(client_->get(), RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS));
  char ignored[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kProbeMs, ignored, sizeof ignored);
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), config_->topic.c_str(), 0);
  const Owned<rd_kafka_ListConsumerGroupOffsets_t> request(
      rd_kafka_ListConsumerGroupOffsets_new(config_->group().c_str(), list.get()));
  rd_kafka_ListConsumerGroupOffsets_t* requests[] = {request.get()};
  rd_kafka_ListConsumerGroupOffsets(client_->get(), requests, 1, options.get(), events_.get());
}

bool KafkaSource::any_open(const rd_kafka_topic_partition_list_t& list) const {
  for (int i = 0; i < list.cnt; ++i)
    if (find(list.elems[i].partition) != nullptr) return true;
  return false;
}

void KafkaSource::advance_rebalances() {
  // The listener may release shards while it is told, which comes back here.
  if (advancing_ || ended_) return;
  advancing_ = true;
  while (!rebalances_.empty() && !failure_ && advance(rebalances_.front())) rebalances_.pop_front();
  advancing_ = false;
}

/// Whether it is done.
bool KafkaSource::advance(Rebalance& rebalance) {
  if (rebalance.assign) {
    // A partition that was lost may come back before its last batch has ended.
    if (any_open(*rebalance.partitions)) return false;
    if (config_->starting_position != StartingPosition::kTrimHorizon && !rebalance.located &&
        rebalance.partitions->cnt > 0) {
      if (!starts_) {
        starts_ = std::make_unique<StartFinder>(
            client_, PartitionList(rd_kafka_topic_partition_list_copy(rebalance.partitions.get())),
            config_->starting_timestamp, pipe_.write_end());
        return false;
      }
      if (!starts_->ready()) return false;
      rebalance.partitions = starts_->take();
      rebalance.located = true;
      starts_.reset();
    }
    assign(rebalance);
    return true;
  }

  if (!rebalance.told) {
    rebalance.told = true;
    for (int i = 0; i < rebalance.partitions->cnt; ++i) {
      Shard* shard = find(rebalance.partitions->elems[i].partition);
      if (shard == nullptr) continue;
      shard->revoked = true;
      wake(*shard);
      const ShardId id = shard->id;
      listener_->shard_revoked(id, rebalance.lost);
    }
    if (!rebalance.lost) {
      drained_by_ = context_.clock.now().instant + kDrainPatience;
      pause_.cancel();  // run() now looks more often
    }
  }
  if (!rebalance.lost && any_open(*rebalance.partitions)) return false;
  revoke_now(rebalance);
  return true;
}

void KafkaSource::assign(Rebalance& rebalance) {
  rd_kafka_topic_partition_list_t& list = *rebalance.partitions;
  std::vector<ShardId> opened;
  for (int i = 0; i < list.cnt; ++i) {
    const std::int32_t partition = list.elems[i].partition;
    if (!rebalance.located) list.elems[i].offset = RD_KAFKA_OFFSET_STORED;
    ShardId id{.source = context_.name, .name = shard_name(config_->topic, partition)};
    auto shard = std::make_unique<Shard>(id, partition, origin_, context_.executor);
    // A queue of its own, before reading begins: so each partition is read at its own pace, and wakes only its own
    // fetch.
    shard->queue.reset(rd_kafka_queue_get_partition(client_->get(), config_->topic.c_str(), partition));
    if (!shard->queue) {
      fail(Error(ErrorCode::kSourceFailed, "librdkafka has no queue for " + id.name));
      return;
    }
    rd_kafka_queue_forward(shard->queue.get(), nullptr);
    rd_kafka_queue_io_event_enable(shard->queue.get(), pipe_.write_end(), &partition, sizeof partition);
    if (shards_.size() <= static_cast<std::size_t>(partition)) shards_.resize(static_cast<std::size_t>(partition) + 1);
    shards_[static_cast<std::size_t>(partition)] = std::move(shard);
    opened.push_back(std::move(id));
  }
  if (cooperative()) {
    const Owned<rd_kafka_error_t> refused(rd_kafka_incremental_assign(client_->get(), &list));
    if (refused) fail(Error(code_of(rd_kafka_error_code(refused.get())), rd_kafka_error_string(refused.get())));
  } else if (const auto problem = rd_kafka_assign(client_->get(), &list)) {
    fail(error_of(problem).during("taking over partitions"));
  }
  for (ShardId& id : opened) listener_->shard_opened(std::move(id));
}

void KafkaSource::revoke_now(Rebalance& rebalance) {
  drained_by_.reset();
  if (cooperative()) {
    const Owned<rd_kafka_error_t> refused(rd_kafka_incremental_unassign(client_->get(), rebalance.partitions.get()));
    if (refused) fail(Error(code_of(rd_kafka_error_code(refused.get())), rd_kafka_error_string(refused.get())));
  } else if (const auto problem = rd_kafka_assign(client_->get(), nullptr)) {
    fail(error_of(problem).during("giving partitions back"));
  }
}

/// Gives revoked partitions back that did not drain in time: the group waits no longer.
void KafkaSource::lose_overdue() {
  if (!drained_by_ || rebalances_.empty() || context_.clock.now().instant < *drained_by_) return;
  Rebalance& rebalance = rebalances_.front();
  if (rebalance.assign || rebalance.lost) return;
  rebalance.lost = true;
  for (int i = 0; i < rebalance.partitions->cnt; ++i) {
    Shard* shard = find(rebalance.partitions->elems[i].partition);
    if (shard == nullptr) continue;
    const ShardId id = shard->id;
    listener_->shard_revoked(id, true);
  }
  advance_rebalances();
}

std::optional<Resume> KafkaSource::start(const ShardId&, std::optional<Resume>, bool) {
  // The group's committed offset, or the starting position, was found when the partition was assigned. What the mapping
  // remembers of an earlier life of the shard may be behind it: another member had the partition meanwhile.
  return std::nullopt;
}

net::awaitable<RecordBatch> KafkaSource::fetch(ShardId id, FetchLimits limits) {
  Shard& shard = at(id);
  for (;;) {
    const auto cancelled = (co_await net::this_coro::cancellation_state).cancelled();
    if (shard.revoked || cancelled != net::cancellation_type::none) co_return RecordBatch{};
    // Once run() has ended there is nothing to wait for but being cancelled.
    if (!ended_ && !failure_) {
      RecordBatch batch = take(shard, limits);
      if (!batch.records.empty()) co_return batch;
    }
    shard.readable.expires_at(net::steady_timer::time_point::max());
    boost::system::error_code ignored;
    co_await shard.readable.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
}

/// Fills `slice_` with up to `wanted` messages; whether there are any.
bool KafkaSource::next_messages(Shard& shard, std::size_t wanted) {
  slice_.clear();
  while (!shard.ahead.empty() && slice_.size() < wanted) {
    slice_.push_back(shard.ahead.front().release());
    shard.ahead.pop_front();
  }
  if (!slice_.empty()) return true;
  slice_.resize(wanted);
  const ssize_t count = rd_kafka_consume_batch_queue(shard.queue.get(), 0, slice_.data(), wanted);
  slice_.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return !slice_.empty();
}

RecordBatch KafkaSource::take(Shard& shard, FetchLimits limits) {
  std::shared_ptr<ReadMessages> read;
  std::size_t bytes = 0;
  const auto count = [&] { return read ? read->messages.size() : 0; };
  while (!failure_ && count() < limits.max_records && bytes < limits.max_bytes) {
    const std::size_t fitting = (limits.max_bytes - bytes) / shard.message_bytes + 1;
    const std::size_t wanted = std::min({limits.max_records - count(), fitting, kMaxSlice});
    const bool any = next_messages(shard, wanted);
    for (const Client::Problem& problem : client_->take_problems())
      handle_error(static_cast<rd_kafka_resp_err_t>(problem.code), problem.sentence);
    if (!any) break;
    if (!read) {
      read = std::make_shared<ReadMessages>(client_);
      // A full slice is likely to be followed by more.
      read->messages.reserve(slice_.size() == wanted ? limits.max_records : slice_.size());
    }
    for (rd_kafka_message_t* taken : slice_) {
      Owned<rd_kafka_message_t> message(taken);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        handle_error(message->err, rd_kafka_message_errstr(message.get()));
      } else if (bytes >= limits.max_bytes) {
        shard.ahead.push_back(std::move(message));
      } else if (shard.last && message->offset <= *shard.last) {
        // A topic that was deleted and made anew begins at 0 again; what is settled of the old one says nothing about
        // it.
        fail(Error(ErrorCode::kSourceFailed, shard.id.name + " went back from offset " + std::to_string(*shard.last) +
                                                 " to " + std::to_string(message->offset) +
                                                 ": the topic was made anew"));
      } else {
        shard.last = message->offset;
        if (!shard.first) shard.first = message->offset;
        bytes += message->key_len + message->len + sizeof(Record);
        read->messages.push_back(message.release());
      }
    }
  }
  if (count() == 0) return {};
  // Says nothing of the broker: they may have been read ahead.
  shard.message_bytes = bytes / count() + 1;
  return describe(shard, std::move(read));
}

/// The records of the messages, which become their owner.
RecordBatch KafkaSource::describe(const Shard& shard, std::shared_ptr<ReadMessages> read) const {
  std::size_t header_count = 0;
  for (rd_kafka_message_t* message : read->messages) {
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
      header_count += rd_kafka_header_cnt(headers);
  }
  // Records point into both, so they must not grow.
  read->headers.reserve(header_count);
  read->extras.reserve(read->messages.size());

  RecordBatch batch;
  batch.records.reserve(read->messages.size());
  for (rd_kafka_message_t* message : read->messages) {
    RecordExtras& more = read->extras.emplace_back();
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const std::int64_t timestamp = rd_kafka_message_timestamp(message, &type);
    if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0) {
      more.timestamp_ms = timestamp;
      more.timestamp_type =
          type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? TimestampType::kCreateTime : TimestampType::kLogAppendTime;
    }
    if (header_count > 0) more.headers = add_headers(message, read->headers);

    Record& record = batch.records.emplace_back();
    record.position = Position(static_cast<std::uint64_t>(message->offset));
    record.arrival = more.timestamp_ms >= 0 ? from_epoch_milliseconds(more.timestamp_ms) : context_.clock.now().wall;
    record.has_key = message->key != nullptr;
    record.key = {static_cast<const char*>(message->key), record.has_key ? message->key_len : 0};
    record.has_data = message->payload != nullptr;
    record.data = {static_cast<const char*>(message->payload), record.has_data ? message->len : 0};
    record.origin = &more;
    record.encoded_bytes = shard.envelope.record_bytes(record);
  }
  batch.owner = std::move(read);
  return batch;
}

net::awaitable<Result<void>> KafkaSource::commit(ShardId id, Position upto) {
  const auto partition = partition_of(config_->topic, id.name);
  const auto number = upto.number();
  WEIR_ASSERT(partition && number);
  if (ended_) co_return Error(ErrorCode::kCancelled, "the source was stopped");
  Waiter waiter{.partition = *partition,
                .offset = static_cast<std::int64_t>(*number) + 1,
                .result = std::nullopt,
                .done = net::steady_timer(context_.executor, net::steady_timer::time_point::max())};
  // Whoever goes away without an answer, because it is cancelled, is not told later.
  struct Leave {
    KafkaSource& source;
    Waiter& waiter;
    ~Leave() {
      std::erase(source.committing_, &waiter);
      std::erase(source.to_commit_, &waiter);
    }
  };
  to_commit_.push_back(&waiter);
  const Leave leave{*this, waiter};
  send_commits();
  while (!waiter.result) {
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none)
      co_return Error(ErrorCode::kCancelled, "the commit was called off");
    boost::system::error_code ignored;
    co_await waiter.done.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  co_return std::move(*waiter.result);
}

/// One commit is in flight for all partitions; what comes meanwhile shares the next.
void KafkaSource::send_commits() {
  if (commit_in_flight_ || to_commit_.empty()) return;
  std::swap(committing_, to_commit_);
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(committing_.size())));
  for (const Waiter* waiter : committing_)
    rd_kafka_topic_partition_list_add(list.get(), config_->topic.c_str(), waiter->partition)->offset = waiter->offset;
  commit_in_flight_ = true;
  if (const auto problem = rd_kafka_commit_queue(client_->get(), list.get(), events_.get(), nullptr, nullptr))
    finish_commits(problem, nullptr);
}

void KafkaSource::finish_commits(rd_kafka_resp_err_t problem, const rd_kafka_topic_partition_list_t* list) {
  commit_in_flight_ = false;
  if (problem == RD_KAFKA_RESP_ERR_NO_ERROR) reachable();
  for (Waiter* waiter : std::exchange(committing_, {})) {
    rd_kafka_resp_err_t own = problem;
    for (int i = 0; list != nullptr && i < list->cnt; ++i)
      if (list->elems[i].partition == waiter->partition && list->elems[i].err) own = list->elems[i].err;
    waiter->result =
        own ? Result<void>(error_of(own).during("committing " + shard_name(config_->topic, waiter->partition)))
            : Result<void>();
    waiter->done.cancel();
  }
  send_commits();
}

/// Nobody will answer any more.
void KafkaSource::end_commits(const Error& error) {
  for (std::vector<Waiter*>* waiters : {&committing_, &to_commit_}) {
    for (Waiter* waiter : std::exchange(*waiters, {})) {
      waiter->result = Result<void>(error);
      waiter->done.cancel();
    }
  }
}

void KafkaSource::release(const ShardId& id, bool) {
  Shard& shard = at(id);
  forget(shard);
  shards_[static_cast<std::size_t>(shard.partition)].reset();
  advance_rebalances();
}

std::optional<std::int64_t> KafkaSource::backlog(const ShardId& id, std::optional<Position> settled) const {
  const Shard& shard = at(id);
  std::int64_t low = 0;
  std::int64_t high = RD_KAFKA_OFFSET_INVALID;
  // As of the last answer to a fetch: asks nobody.
  if (!client_ ||
      rd_kafka_get_watermark_offsets(client_->get(), config_->topic.c_str(), shard.partition, &low, &high) || high < 0)
    return std::nullopt;
  std::optional<std::int64_t> next = shard.first;
  if (settled && settled->number()) next = static_cast<std::int64_t>(*settled->number()) + 1;
  if (!next) return std::nullopt;
  return std::max<std::int64_t>(high - *next, 0);
}

}  // namespace

std::unique_ptr<PollSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<KafkaSource>(std::dynamic_pointer_cast<const KafkaConfig>(std::move(config)),
                                       std::move(context));
}

}  // namespace weir::kafka
