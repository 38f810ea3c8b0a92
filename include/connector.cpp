#include "weir/connector.h"

namespace weir {

net::awaitable<Result<void>> PollSource::commit(ShardId shard, Position) {
  co_return Error(ErrorCode::kInternal, shard.text() + " keeps no checkpoints of its own");
}

std::optional<std::int64_t> PollSource::backlog(const ShardId&, std::optional<Position>) const {
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
  return settings;
}

}  // namespace weir
