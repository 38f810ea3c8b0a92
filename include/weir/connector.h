#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/aws_access.h"
#include "weir/base/error.h"
#include "weir/base/json_writer.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/config_node.h"
#include "weir/event/filter_view.h"
#include "weir/event/record.h"
#include "weir/event/resume.h"

namespace weir::pattern {
class FilterCriteria;
}

namespace weir {

namespace net = boost::asio;

/// How a source's events are delivered; fixed per connector (docs/architecture.md, section 1).
enum class Delivery {
  kPoll,   ///< event source mapping of shards: read, batched, invoked synchronously, checkpointed
  kQueue,  ///< event source mapping of a queue: received, batched, invoked synchronously, deleted
  kPush,   ///< asynchronous: taken with a 202 once it is on disk, then invoked with Lambda's retries
};

/// Which settings an event source mapping has, their ranges and defaults: by what it reads (reference
/// stream-sources.md, 1.2).
enum class MappingKind { kKinesis, kDynamodb, kKafka, kSqs, kSqsFifo };

/// The settings of event source mappings, under AWS's names.
struct MappingSettings {
  MappingKind kind = MappingKind::kKafka;
  std::size_t batch_size = 100;
  Duration maximum_batching_window{0};
  int parallelization_factor = 1;
  int maximum_retry_attempts = -1;             ///< -1: no limit
  std::optional<Duration> maximum_record_age;  ///< none: no limit
  bool bisect_batch_on_function_error = false;
  bool report_batch_item_failures = false;                ///< function_response_types: [ReportBatchItemFailures]
  Duration tumbling_window{0};                            ///< 0: none
  std::shared_ptr<const pattern::FilterCriteria> filter;  ///< null: every record is kept
  std::optional<int> maximum_concurrency;                 ///< of a queue: 2 to 1000
  std::string destination_on_failure;                     ///< "SCHEME:TARGET"; "": the dead letters
};

/// AWS's words for a starting position that is none, as TextRule::refusal.
inline constexpr std::string_view kNoStartingPosition =
    "1 validation error detected: Value '%' at 'startingPosition' failed to satisfy constraint: Member must satisfy "
    "enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
/// And for one that is not given, as TextRule::missing.
inline constexpr std::string_view kStartingPositionMissing =
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be "
    "null.";

/// Reads the settings that a mapping of that kind has, with AWS's ranges and defaults; what AWS refuses together is a
/// mistake in AWS's words.
MappingSettings read_mapping_settings(ConfigNode& node, MappingKind kind);

/// Reads `starting_position_timestamp`, which goes with AT_TIMESTAMP only. Nothing where there is none, or none that
/// will do.
std::optional<WallTime> read_starting_timestamp(ConfigNode& node, bool at_timestamp);

/// A destination as AWS's own settings have it, an ARN of a queue, a topic, an event bus, a bucket or a function, as
/// SCHEME:TARGET;
/// any other text as it is.
std::string destination_of(std::string_view written);

/// What a mapping reads, as AWS's description of it has it. What the settings do not say is empty.
struct EventSourceView {
  EventSourceView() = default;

  std::string arn;
  std::string starting_position;  ///< "LATEST"; "" of what has none
  std::optional<WallTime> starting_timestamp;
  std::vector<std::string> servers;  ///< of a self-managed Kafka cluster
  std::string topic;
  std::string consumer_group_id;
};

/// What a connector read of its part of the configuration; each has its own.
struct SourceConfig {
  virtual ~SourceConfig() = default;

  /// `aws`: the configuration's section.
  virtual EventSourceView event_source(const AwsAccess& aws) const {
    static_cast<void>(aws);
    return {};
  }

  /// Why AWS refuses it beside `other`, which is of the same connector and for the same function: both read the same,
  /// each event would come twice. One sentence, in AWS's words where they are known; "" when they may both be.
  /// `aws`: the configuration's section.
  virtual std::string same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const {
    static_cast<void>(other), static_cast<void>(function), static_cast<void>(aws);
    return "";
  }

  /// Why AWS refuses it beside `other`, which is of the same connector, whatever the functions of both. One sentence,
  /// in AWS's words where they are known; "" when they may both be.
  virtual std::string overlap_with(const SourceConfig& other) const {
    static_cast<void>(other);
    return "";
  }

  /// The function whose own log the source reads; "" of one that reads none. Whoever called read_config sees to it that
  /// weir runs such a function, and then says where that log is.
  virtual std::string function_log() const { return ""; }
  virtual void function_log_is(const std::string& path) { static_cast<void>(path); }

  std::string name;  ///< of the source; set by whoever called read_config, before anything is made of it
  MappingSettings mapping;
};

/// What a source is made with. All references outlive it.
struct SourceContext {
  std::string name;  ///< in the configuration
  net::any_io_executor executor;
  net::any_io_executor blocking;  ///< a pool's, for what can only be done by blocking (runtime::offload)
  Log& log;
  const Clock& clock;
  AwsAccess aws = AwsAccess();  ///< the configuration's `aws` section, for what the source's own settings leave open
};

/// How much one read should give.
struct FetchLimits {
  std::size_t max_records = 1;
  std::size_t max_bytes = 1;  ///< a single larger record may be given all the same
};

/// What a source tells the mapping that runs it, on the source's executor.
class ShardListener {
 public:
  virtual ~ShardListener() = default;
  /// A shard is this bridge's to read. start() will be called for it, then fetch().
  virtual void shard_opened(ShardId shard) = 0;
  /// A shard is to be given back: it is drained, then release() is called. `lost`: it belongs to somebody else already,
  /// its checkpoints would be refused.
  virtual void shard_revoked(const ShardId& shard, bool lost) = 0;
};

/// Reads the shards of one source. All calls come on the executor of its context. It decides nothing about batches,
/// retries or checkpoints; it settles how records are read and how they look in an event.
class PollSource {
 public:
  virtual ~PollSource() = default;

  /// Connects, announces shards to the listener (which outlives the call), and serves fetch() until it is cancelled or
  /// fails for good. The error says why; a supervisor makes a new source after a while.
  virtual net::awaitable<Result<void>> run(ShardListener& listener) = 0;

  /// Where reading of an opened shard begins: at its stored checkpoint `from` (never SHARD_END), else where the
  /// source's own settings say for a shard that is seen for the first time. Called once per opened shard, before its
  /// first fetch(). `first_run`: no shard of the source had a checkpoint when the mapping began, so its starting
  /// position applies; a shard that came later, or that is new to a mapping which has run before, is read from its
  /// beginning.
  ///
  /// Returns what is to be the checkpoint from now on, where reading begins at a place that moves: with LATEST, else
  /// what comes before the first batch is settled would be skipped by a restart.
  virtual std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run) = 0;
  /// In a first run, asked when the first shards were started: where shards begin that are known and are opened later,
  /// as a stream's children are, if their starting position is not their beginning. Remembered together with those
  /// starts, all or none: a restart would take a shard without a checkpoint for one that came after the mapping.
  virtual std::map<std::string, Resume> later_starts() const { return {}; }

  /// Waits for records and gives what is there, at least one unless the shard ended, was revoked, or the call was
  /// cancelled. At most one fetch per shard is under way.
  virtual net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits) = 0;

  /// Whether checkpoints live with the source itself (a Kafka consumer group) and go to commit(), or in weir's store.
  virtual bool keeps_checkpoints() const { return false; }
  /// Everything up to and including `upto` is settled. Only called where keeps_checkpoints().
  virtual net::awaitable<Result<void>> commit(ShardId shard, Position upto);

  /// The shard was drained after shard_revoked(), or ended: nothing of it is used any more. `ended`: every record of it
  /// is done, in this life or an earlier one; a stream's children may be opened now.
  virtual void release(const ShardId& shard, bool ended) = 0;

  /// Whether the end of a shard is for good, so that SHARD_END becomes its checkpoint: closed shards of a stream. Such
  /// a shard is released as soon as it is opened again.
  virtual bool remembers_ends() const { return false; }

  /// How many records of the shard are not yet read or settled, if the source knows: OffsetLag.
  virtual std::optional<std::int64_t> backlog(const ShardId& shard, std::optional<Position> settled) const;

  /// Bytes of the event's JSON beside the records and the commas between them; the same for every batch of the shard.
  virtual std::size_t envelope_bytes(const ShardId& shard) const = 0;
  /// Appends Lambda's event for these records (at least one) of one shard. Its size is envelope_bytes(), the records'
  /// encoded_bytes and a comma between each two of them: a test of every connector says so.
  virtual void write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const = 0;

  /// Writes the member that describes a batch in AWS's on-failure record, for example "KinesisBatchInfo": {...}.
  /// `payload_bytes`: what the event's JSON took or would have taken.
  virtual void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t payload_bytes,
                                JsonWriter& out) const = 0;

  /// How filters see a record. Without an implementation a mapping has none.
  virtual void write_filter_view(const ShardId& shard, const Record& record, bool with_metadata, FilterView& out) const;
  /// The record that an entry of batchItemFailures means, by the JSON text of its itemIdentifier; nothing when it means
  /// none of this shard. Streams: the sequence number as a text.
  virtual std::optional<Position> identified(const ShardId& shard, std::string_view identifier) const;
  /// What events of a tumbling window say in eventSourceARN; "" of a source that has no windows, whose write_event()
  /// need not take an empty batch.
  virtual std::string event_source_arn() const { return ""; }
  /// Which stream the checkpoints are positions of, asked when its first shard was opened. It is kept with them: shards
  /// of another stream, or of one that was deleted and made anew, may be called alike. When it changes, the checkpoints
  /// are forgotten and reading begins as in a first run. "": of nothing that could be taken for another.
  virtual std::string stream_identity() const { return ""; }
  /// What hinders a source that runs all the same, because it waits for it to pass or for somebody to mend it: what
  /// `weir status` says is its PROBLEM. "": nothing.
  virtual std::string trouble() const { return ""; }
  /// Whether there is a shard of this name; nothing while that is not known.
  virtual std::optional<bool> has_shard(std::string_view shard) const {
    static_cast<void>(shard);
    return std::nullopt;
  }
};

class QueueSource;

/// A fact that a push source remembers beyond a restart, by its own key.
struct SourceNote {
  std::string key;
  std::optional<std::string> value;  ///< none: forget it
};

/// Where a push source's events go: the asynchronous queue in front of its function.
class EventSink {
 public:
  virtual ~EventSink() = default;

  /// Takes an event (JSON) for the source's function. When it returns, the event is on disk, fsynced, together with the
  /// note: neither is there without the other. Gives the request id, which every attempt will have.
  ///
  /// Errors; nothing was kept with any of them:
  ///   event.refused   the event is too large or not JSON, and will be refused for ever: the only one to give up at
  ///   cancelled       weir stops, or has not begun: the source is stopped too, and finds the event at its next start
  ///   store.full, store.failed, store.locked, store.read_only, store.corrupt
  ///                   the store refuses for now, or until somebody mends it: try again later
  ///   internal        the queue is parked until weir is started again: as if the store refused
  virtual net::awaitable<Result<std::string>> accept(std::string payload, std::optional<SourceNote> note) = 0;
  /// The same for notes that go with no event, but for event.refused.
  virtual net::awaitable<Result<void>> remember(std::vector<SourceNote> notes) = 0;
  virtual net::awaitable<Result<std::map<std::string, std::string>>> notes() = 0;
};

/// A request to a source's webhook, POST /TYPE/SOURCE at the gateway.
struct WebhookRequest {
  WebhookRequest() = default;

  std::string method;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first value of a header, whose name is compared without case.
  std::optional<std::string_view> header(std::string_view name) const;
};
struct WebhookResponse {
  WebhookResponse() = default;
  WebhookResponse(int status_code, std::string text) : status(status_code), body(std::move(text)) {}

  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// Turns what happens at a service that invokes asynchronously into Lambda's events. All calls come on the executor of
/// its context. Retries, ages, destinations are the queue's business, not its own.
class PushSource {
 public:
  virtual ~PushSource() = default;

  /// Watches what has to be watched until it is cancelled or fails for good; a source that only has a webhook waits to
  /// be cancelled. The error says why; a supervisor makes a new source after a while. `sink` outlives the call.
  virtual net::awaitable<Result<void>> run(EventSink& sink) = 0;

  /// Answers a webhook request: 2xx only when every event of it was accepted. Only called while run() runs. Without an
  /// own implementation there is no webhook: 404.
  virtual net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request);
};

/// A checkpoint that lives with the source itself, as `weir checkpoint` shows and moves it.
struct SourceCheckpoint {
  std::string shard;
  std::optional<Resume> resume;  ///< none when there is no checkpoint
};

/// An event of a source that `weir event SOURCE NAME` prints.
struct SampleEvent {
  std::string_view name;   ///< "object-removed-delete": lower-case letters, digits and '-'
  std::string_view about;  ///< a few words: "an object was deleted"
  /// Made by the code that makes real ones.
  std::string (*make)();
};

/// One line of the table of connectors (connectors/table.cpp).
struct ConnectorEntry {
  std::string_view type;  ///< the word of `type:`, which is the folder's name
  Delivery delivery;
  std::string_view about;  ///< one sentence
  /// Reads the settings that are the connector's own; `type` and `function` are read already. Reports mistakes to the
  /// node.
  std::unique_ptr<SourceConfig> (*read_config)(ConfigNode& node);
  /// Of kPoll; null otherwise.
  std::unique_ptr<PollSource> (*make_source)(std::shared_ptr<const SourceConfig> config, SourceContext context);
  /// A sample event of the source, made by the code that makes real ones: what `weir event SOURCE` prints.
  std::string (*sample_event)();
  /// Where the source keeps checkpoints itself: lists them, or moves one (`to` none: forgets it). Blocking; null
  /// elsewhere.
  Result<std::vector<SourceCheckpoint>> (*list_checkpoints)(const SourceConfig& config);
  Result<void> (*move_checkpoint)(const SourceConfig& config, std::string_view shard, std::optional<Resume> to);
  /// Of kPush; null otherwise.
  std::unique_ptr<PushSource> (*make_push_source)(std::shared_ptr<const SourceConfig> config,
                                                  SourceContext context) = nullptr;
  /// Of kQueue; null otherwise.
  std::unique_ptr<QueueSource> (*make_queue_source)(std::shared_ptr<const SourceConfig> config,
                                                    SourceContext context) = nullptr;
  /// Why no checkpoint can be set there, or set so; "" when it can. Without it, any name of a shard will do.
  std::string (*check_checkpoint)(const SourceConfig& config, std::string_view shard, const Resume& to) = nullptr;
  /// Events by name, where a source has several kinds of them; sample_event()'s need not be among them. Null: none.
  std::span<const SampleEvent> (*samples)() = nullptr;
};

}  // namespace weir
