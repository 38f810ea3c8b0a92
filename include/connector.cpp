#include "weir/connector.h"

#include <algorithm>

namespace weir {

net::awaitable<Result<void>> PollSource::commit(ShardId shard, Position) {
  co_return Error(ErrorCode::kInternal, shard.text() + " keeps no checkpoints of its own");
}

std::optional<std::int64_t> PollSource::backlog(const ShardId&, std::optional<Position>) const {
  return std::nullopt;
}

void PollSource::write_filter_view(const ShardId& shard, const Record&, bool, pattern::FilterView&) const {
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

MappingSettings read_mapping_settings(ConfigNode& node, Duration default_window) {
  MappingSettings settings;
  settings.batch_size = static_cast<std::size_t>(*node.integer(
      "batch_size", {.about = "The most records of one invocation.", .min = 1, .max = 10'000, .fallback = 100}));
  settings.maximum_batching_window =
      node.seconds("maximum_batching_window_in_seconds",
                   {.about = "How long a batch that is not full waits for more records, from its first one on.",
                    .min = 0,
                    .max = 300})
          .value_or(default_window);
  settings.maximum_retry_attempts = static_cast<int>(*node.integer(
      "maximum_retry_attempts",
      {.about = "How often a failed batch is tried again before its records are given up on; -1 is for ever.",
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
  settings.destination_on_failure = *node.text(
      "destination_on_failure",
      {.about =
           "Where AWS's record of records that were given up on goes: file:PATH (a line of JSON each). Without it, "
           "and when it cannot be written, they are kept as dead letters (`weir deadletter`).",
       .fallback = ""});
  constexpr std::string_view kFile = "file:";
  std::string& destination = settings.destination_on_failure;
  if (destination.starts_with(kFile) && destination.size() > kFile.size()) {
    destination = std::string(kFile) + node.resolve_path(destination.substr(kFile.size()));
  } else if (!destination.empty()) {
    node.mistake("destination_on_failure",
                 "\"" + destination + "\" is no destination; this version has file:PATH here");
  }
  return settings;
}

}  // namespace weir
