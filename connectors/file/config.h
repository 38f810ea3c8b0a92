#pragma once

#include <memory>
#include <optional>
#include <string>

#include "weir/connector.h"

namespace weir::file {

enum class Format { kLines, kRecording };
enum class StartingPosition { kTrimHorizon, kLatest };

/// More shards than this are a mistake, or a damaged recording.
inline constexpr std::size_t kMaxShards = 10'000;

/// The settings of a file that stands in for a stream.
struct FileConfig final : SourceConfig {
  std::string path;
  Format format = Format::kLines;
  std::optional<std::size_t> shards;  ///< none: as many as a recording names; 1 for lines
  std::string partition_key;          ///< JSON pointer into a line; "" for none
  StartingPosition starting_position = StartingPosition::kTrimHorizon;
  bool follow = false;
  std::optional<std::int64_t> speed;  ///< times real time, by the recording's timestamps; none: as fast as possible
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

}  // namespace weir::file
