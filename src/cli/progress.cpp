#include "cli/progress.h"

#include <algorithm>
#include <cstdio>

namespace weir::cli {
namespace {

/// Seconds as a person reads them: "0.4 s", "12 s", "3.2 min", "5.1 h".
std::string age(Duration duration) {
  const double seconds = as_seconds(duration);
  char buffer[32];
  if (seconds < 10) {
    std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
  } else if (seconds < 120) {
    std::snprintf(buffer, sizeof buffer, "%.0f s", seconds);
  } else if (seconds < 7200) {
    std::snprintf(buffer, sizeof buffer, "%.1f min", seconds / 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%.1f h", seconds / 3600);
  }
  return buffer;
}

}  // namespace

std::string Progress::draw(const bridge::BridgeStatus& status, Instant now) {
  std::string out;
  lines_ = 0;
  for (const bridge::SourceStatus& source : status.sources) {
    Seen& seen = seen_[source.name];
    const std::uint64_t done = source.pushed  ? source.pushed->accepted
                               : source.queue ? source.queue->counters.deleted_events
                                              : source.counters.settled_events;
    if (seen.at != Instant{} && now > seen.at) {
      seen.rate = static_cast<double>(done - seen.done) / as_seconds(now - seen.at);
    }
    seen.done = done;
    seen.at = now;
    Duration oldest{0};
    std::size_t in_flight = 0;
    for (const bridge::ShardStatus& shard : source.shards) {
      oldest = std::max(oldest, shard.iterator_age);
      in_flight += shard.in_flight ? 1 : 0;
    }
    char line[256];
    if (source.pushed) {
      const auto queue = std::find_if(status.queue.begin(), status.queue.end(),
                                      [&](const auto& each) { return each.function == source.function; });
      WEIR_ASSERT(queue != status.queue.end());
      const engine::AsyncFigures& figures = queue->figures;
      std::snprintf(
          line, sizeof line,
          "%-18s %-11s %9.0f events/s   %4lu in flight  %6lu waiting  oldest %8s  %6lu dropped  %9lu accepted",
          source.name.c_str(), std::string(bridge::text(source.state)).c_str(), seen.rate,
          static_cast<unsigned long>(figures.in_flight), static_cast<unsigned long>(figures.waiting),
          age(queue->oldest_age.value_or(Duration(0))).c_str(), static_cast<unsigned long>(figures.dropped),
          static_cast<unsigned long>(done));
    } else if (source.queue) {
      const bridge::QueueStatus& queue = *source.queue;
      const std::string waiting = queue.backlog ? std::to_string(*queue.backlog) : "?";
      std::snprintf(
          line, sizeof line, "%-18s %-11s %9.0f messages/s %4d in flight  %6s waiting  %6lu errors  %9lu deleted",
          source.name.c_str(), std::string(bridge::text(source.state)).c_str(), seen.rate, queue.in_flight,
          waiting.c_str(), static_cast<unsigned long>(queue.counters.function_errors + queue.counters.service_errors),
          static_cast<unsigned long>(done));
    } else {
      std::snprintf(line, sizeof line,
                    "%-18s %-11s %9.0f records/s  %4zu in flight  IteratorAge %8s  %6lu errors  %9lu done",
                    source.name.c_str(), std::string(bridge::text(source.state)).c_str(), seen.rate, in_flight,
                    age(oldest).c_str(),
                    static_cast<unsigned long>(source.counters.function_errors + source.counters.service_errors),
                    static_cast<unsigned long>(done));
    }
    out.append(std::string_view(line).substr(0, columns_ > 1 ? columns_ - 1 : 0)).append("\n");
    ++lines_;
  }
  return out;
}

std::string Progress::erase() {
  if (lines_ == 0) return {};
  // Up to the first of the lines, then everything below it away.
  std::string out = "\x1b[" + std::to_string(lines_) + "A\r\x1b[J";
  lines_ = 0;
  return out;
}

}  // namespace weir::cli
