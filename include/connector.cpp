#include "weir/connector.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "pattern/filter_criteria.h"

namespace weir {
namespace {

bool is_queue(MappingKind kind) {
  return kind == MappingKind::kSqs || kind == MappingKind::kSqsFifo;
}

bool is_stream(MappingKind kind) {
  return kind == MappingKind::kKinesis || kind == MappingKind::kDynamodb;
}

void read_batching(ConfigNode& node, MappingSettings& settings) {
  const MappingKind kind = settings.kind;
  const IntegerRule batch{.about = is_queue(kind) ? "The most messages of one invocation; more than 10 need "
                                                    "`maximum_batching_window_in_seconds`, a FIFO queue has at most 10."
                                                  : "The most records of one invocation.",
                          .min = 1,
                          .max = 10'000,
                          .fallback = is_queue(kind) ? 10 : 100};
  settings.batch_size = static_cast<std::size_t>(*node.integer("batch_size", batch));
  IntegerRule window{.about =
                         "How long a batch that is not full waits for more records, from the end of the "
                         "invocation before.",
                     .min = 0,
                     .max = 300,
                     .fallback = 0};
  if (kind == MappingKind::kKafka) {
    window.about =
        "How long a batch that is not full waits for more records, from its first one on; half a second when not "
        "given.";
    window.fallback = std::nullopt;
  } else if (is_queue(kind)) {
    window.about =
        "How long a batch that is not full waits for more messages, from the end of the invocation before; a FIFO "
        "queue has none.";
  }
  settings.maximum_batching_window =
      node.seconds("maximum_batching_window_in_seconds", window).value_or(std::chrono::milliseconds(500));
  // AWS's words, here and below: reference stream-sources.md, 1.5.
  if (kind == MappingKind::kSqsFifo) {
    if (settings.batch_size > 10) node.mistake("batch_size", "Batch size must not exceed 10 for FIFO queues");
    if (settings.maximum_batching_window > Duration(0)) {
      node.mistake("maximum_batching_window_in_seconds", "Batching window is not supported for FIFO queues");
    }
  } else if (kind == MappingKind::kSqs && settings.batch_size > 10 && settings.maximum_batching_window == Duration(0)) {
    node.mistake("batch_size",
                 "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10");
  }
}

void read_queue_settings(ConfigNode& node, MappingSettings& settings) {
  if (const auto most =
          node.integer("maximum_concurrency",
                       {.about = "How many invocations of this mapping may run at a time.", .min = 2, .max = 1000})) {
    settings.maximum_concurrency = static_cast<int>(*most);
  }
  if (node.has("destination_on_failure")) {
    node.mistake("destination_on_failure",
                 "Unsupported DestinationConfig parameter for given event source mapping type.");
  }
}

/// Its scheme is the business of who knows the destinations; a path is the configuration file's.
void read_destination(ConfigNode& node, MappingSettings& settings) {
  settings.destination_on_failure = destination_of(*node.text(
      "destination_on_failure",
      {.about = "Where AWS's record of records that were given up on goes, for example file:PATH (a line of JSON "
                "each), sqs:QUEUE or the ARN of a queue, a topic or a bucket. Without it, and when it cannot be "
                "delivered, they are kept as dead letters (`weir deadletter`).",
       .fallback = ""}));
  constexpr std::string_view kFile = "file:";
  std::string& destination = settings.destination_on_failure;
  if (destination.starts_with(kFile) && destination.size() > kFile.size()) {
    destination = std::string(kFile) + node.resolve_path(destination.substr(kFile.size()));
  }
}

void read_windows_and_lanes(ConfigNode& node, MappingSettings& settings) {
  settings.parallelization_factor = static_cast<int>(
      *node.integer("parallelization_factor",
                    {.about = "How many batches of one shard may be under way at a time; records with the same "
                              "partition key stay in order.",
                     .min = 1,
                     .max = 10,
                     .fallback = 1}));
  settings.tumbling_window =
      *node.seconds("tumbling_window_in_seconds",
                    {.about = "The length of windows over which the function aggregates: each call gets the state that "
                              "the one before returned; 0 is none.",
                     .min = 0,
                     .max = 900,
                     .fallback = 0});
  if (settings.tumbling_window > Duration(0) && settings.parallelization_factor > 1) {
    node.mistake("tumbling_window_in_seconds",
                 "a tumbling window and a parallelization_factor of more than 1 do not go together");
  }
}

/// With no limit of attempts and a destination, Kafka's mappings make 10 (kafka-retry-configurations).
constexpr int kKafkaAttemptsWithDestination = 10;

void read_stream_settings(ConfigNode& node, MappingSettings& settings) {
  const bool kafka = settings.kind == MappingKind::kKafka;
  if (is_stream(settings.kind)) read_windows_and_lanes(node, settings);
  settings.maximum_retry_attempts = static_cast<int>(*node.integer(
      "maximum_retry_attempts",
      {.about = kafka ? "How often a failed batch is tried again before its records are given up on; -1 is for ever, "
                        "with a `destination_on_failure` it is 10."
                      : "How often a failed batch is tried again before its records are given up on; -1 is for ever.",
       .min = 0,
       .max = 10'000,
       .fallback = -1,
       .also = -1}));
  const auto age =
      node.integer("maximum_record_age_in_seconds", {.about = "Records older than this are given up on; -1 is never.",
                                                     .min = 60,
                                                     .max = 604'800,
                                                     .fallback = -1,
                                                     .also = -1});
  if (*age >= 0) settings.maximum_record_age = std::chrono::seconds(*age);
  settings.bisect_batch_on_function_error =
      node.flag("bisect_batch_on_function_error",
                {.about = "Whether a failed batch is split in two halves, which are tried on their own."});
  read_destination(node, settings);
  if (kafka && settings.maximum_retry_attempts < 0 && !settings.destination_on_failure.empty()) {
    settings.maximum_retry_attempts = kKafkaAttemptsWithDestination;
  }
}

/// What AWS knows of other kinds of mappings.
void refuse_settings_of_others(ConfigNode& node, MappingKind kind) {
  struct Setting {
    std::string_view key;
    std::string_view parameter;  ///< AWS's name
    bool of_streams, of_kafka, of_queues;
  };
  constexpr std::array<Setting, 8> kSettings{{
      {"starting_position", "startingPosition", true, true, false},
      {"starting_position_timestamp", "startingPositionTimestamp", true, true, false},
      {"parallelization_factor", "parallelizationFactor", true, false, false},
      {"tumbling_window_in_seconds", "tumblingWindowInSeconds", true, false, false},
      {"maximum_retry_attempts", "maximumRetryAttempts", true, true, false},
      {"maximum_record_age_in_seconds", "maximumRecordAgeInSeconds", true, true, false},
      {"bisect_batch_on_function_error", "bisectBatchOnFunctionError", true, true, false},
      {"maximum_concurrency", "scalingConfig", false, false, true},
  }};
  for (const Setting& each : kSettings) {
    const bool fits = is_queue(kind) ? each.of_queues : is_stream(kind) ? each.of_streams : each.of_kafka;
    if (fits || !node.has(each.key)) continue;
    node.mistake(each.key,
                 "Unsupported '" + std::string(each.parameter) + "' parameter for given event source mapping type.");
  }
}

pattern::FilterSource filter_source(MappingKind kind) {
  switch (kind) {
    case MappingKind::kKinesis:
      return pattern::FilterSource::kKinesis;
    case MappingKind::kDynamodb:
      return pattern::FilterSource::kDynamodb;
    case MappingKind::kKafka:
      return pattern::FilterSource::kKafka;
    case MappingKind::kSqs:
    case MappingKind::kSqsFifo:
      return pattern::FilterSource::kSqs;
  }
  return pattern::FilterSource::kKinesis;
}

void read_filters(ConfigNode& node, MappingSettings& settings) {
  const std::vector<std::string> patterns =
      node.documents("filter_criteria",
                     {.about = "Event patterns: a record that matches none of them is not given to the function, and "
                               "is done. AWS allows 5 of them, on request 10.",
                      .max_items = 10,
                      .max_length = 4096,
                      .list_key = "Filters",
                      .item_key = "Pattern"});
  if (patterns.empty()) return;
  const pattern::FilterSource source = filter_source(settings.kind);
  auto compiled = pattern::FilterCriteria::compile(patterns, source);
  if (compiled) {
    settings.filter = std::move(*compiled);
    return;
  }
  std::string sentence = compiled.error().message();
  for (std::size_t i = 0; patterns.size() > 1 && i < patterns.size(); ++i) {
    auto alone = pattern::FilterCriteria::compile(std::span(patterns).subspan(i, 1), source);
    if (alone) continue;
    sentence = alone.error().message() + " (pattern " + std::to_string(i + 1) + ")";
    break;
  }
  node.mistake("filter_criteria", std::move(sentence));
}

/// Why the text is no time for a starting position; "" when it is one.
std::string timestamp_mistake(const std::string& text, const std::optional<Resume>& resume, WallTime now) {
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, seconds);
  if (problem == std::errc() && stop == end && std::isfinite(seconds)) {
    // As milliseconds this is 2001 or later; as seconds the year is beyond 33,000.
    constexpr double kSurelyMilliseconds = 1e12;
    const double now_seconds = static_cast<double>(epoch_milliseconds(now)) / 1000;
    if (seconds < 0) return text + " is before 1970";
    if (seconds >= kSurelyMilliseconds && seconds / 1000 <= now_seconds) {
      return text + " is a time in milliseconds, allowed are seconds: " + text.substr(0, text.find('.')).substr(0, 10);
    }
    return seconds > now_seconds ? text + " is in the future" : "";
  }
  if (!resume) {
    return "\"" + text + "\" is no time; allowed are epoch seconds and ISO 8601 such as 2026-09-12T07:00:00Z";
  }
  if (resume->time() > now) return text + " is in the future";
  return resume->time() < WallTime() ? text + " is before 1970" : "";
}

}  // namespace

std::optional<WallTime> read_starting_timestamp(ConfigNode& node, bool at_timestamp) {
  constexpr std::string_view kKey = "starting_position_timestamp";
  const auto text =
      node.text(kKey, {.about = "The first record at or after this time: epoch seconds or ISO 8601, not in the future.",
                       .or_number = true});
  if (!text) {
    // AWS's own words.
    if (at_timestamp && !node.has(kKey)) {
      node.mistake("starting_position",
                   "When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be provided.");
    }
    return std::nullopt;
  }
  const std::optional<Resume> resume = Resume::parse("AT_TIMESTAMP " + *text);
  std::string mistake = timestamp_mistake(*text, resume, SystemClock().now().wall);
  const bool right = mistake.empty();
  if (!right) node.mistake(kKey, std::move(mistake));
  if (!at_timestamp) node.mistake(kKey, "only goes with starting_position AT_TIMESTAMP");
  return right && at_timestamp && resume ? std::optional(resume->time()) : std::nullopt;
}

std::string destination_of(std::string_view written) {
  // arn : partition : service : region : account : resource
  constexpr std::size_t kFields = 6;
  std::array<std::string_view, kFields> fields;
  std::string_view rest = written;
  for (std::size_t i = 0; i + 1 < kFields; ++i) {
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return std::string(written);
    fields[i] = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  fields.back() = rest;
  const std::string_view service = fields[2];
  if (fields[0] != "arn" || !fields[1].starts_with("aws") || rest.empty()) return std::string(written);
  if (service == "sqs" || service == "sns") return std::string(service) + ":" + std::string(written);
  if (service == "events" && rest.starts_with("event-bus/")) return "eventbridge:" + std::string(written);
  if (service == "s3" && fields[3].empty() && fields[4].empty()) return "s3:" + std::string(rest);
  constexpr std::string_view kFunction = "function:";
  if (service == "lambda" && rest.starts_with(kFunction)) {
    // Its version or alias is the business of whoever runs it; here it is one of the configuration's functions.
    rest.remove_prefix(kFunction.size());
    return "lambda:" + std::string(rest.substr(0, rest.find(':')));
  }
  return std::string(written);
}

net::awaitable<Result<void>> PollSource::commit(ShardId shard, Position) {
  co_return Error(ErrorCode::kInternal, shard.text() + " keeps no checkpoints of its own");
}

std::optional<std::int64_t> PollSource::backlog(const ShardId&, std::optional<Position>) const {
  return std::nullopt;
}

void PollSource::write_filter_view(const ShardId& shard, const Record&, bool, FilterView&) const {
  throw BrokenBelief(shard.text() + " has no filters");
}

std::optional<Position> PollSource::identified(const ShardId&, std::string_view identifier) const {
  if (identifier.size() < 2 || identifier.front() != '"' || identifier.back() != '"') return std::nullopt;
  return Position::parse(identifier.substr(1, identifier.size() - 2));
}

net::awaitable<WebhookResponse> PushSource::receive(EventSink&, WebhookRequest) {
  co_return WebhookResponse(404, "{\"message\":\"this source has no webhook\"}\n");
}

std::optional<std::string_view> WebhookRequest::header(std::string_view name) const {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  for (const auto& [key, value] : headers) {
    if (std::equal(key.begin(), key.end(), name.begin(), name.end(),
                   [&](char a, char b) { return lower(a) == lower(b); })) {
      return value;
    }
  }
  return std::nullopt;
}

MappingSettings read_mapping_settings(ConfigNode& node, MappingKind kind) {
  MappingSettings settings;
  settings.kind = kind;
  read_batching(node, settings);
  if (is_queue(kind)) {
    read_queue_settings(node, settings);
  } else {
    read_stream_settings(node, settings);
  }
  refuse_settings_of_others(node, kind);
  settings.report_batch_item_failures =
      !node.texts("function_response_types",
                  {.about = "`ReportBatchItemFailures`: the function's answer says which records of a batch failed "
                            "(`batchItemFailures`); only those are tried again.",
                   .max_items = 1,
                   .one_of = {"ReportBatchItemFailures"},
                   .parameter = "functionResponseTypes"})
           .empty();
  read_filters(node, settings);
  if (settings.tumbling_window > Duration(0) && settings.filter) {
    node.mistake("tumbling_window_in_seconds", "a tumbling window and filter_criteria do not go together");
  }
  return settings;
}

}  // namespace weir
