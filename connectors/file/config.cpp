#include "connectors/file/config.h"

namespace weir::file {
namespace {

/// RFC 6901: every part begins with a slash, and a tilde only stands before 0 or 1.
bool is_json_pointer(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() != '/') return false;
  for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<FileConfig>();
  config->path = node.resolve_path(
      node.required_text("path", {.about = "The file to read; relative to the configuration file's folder."}));
  const auto format = node.text(
      "format", {.about = "`lines`: each line is the data of a record. `recording`: each line is a JSON object with "
                          "`data` (base64) or `json`, and `partitionKey`, `shardId`, `approximateArrivalTimestamp`.",
                 .fallback = "lines",
                 .one_of = {"lines", "recording"}});
  config->format = format == "recording" ? Format::kRecording : Format::kLines;
  if (const auto shards = node.integer(
          "shards", {.about = "How many shards the records are spread over, by their partition key. A recording's "
                              "own shards when not given, one for lines.",
                     .min = 1,
                     .max = static_cast<std::int64_t>(kMaxShards)})) {
    config->shards = static_cast<std::size_t>(*shards);
  }
  config->partition_key =
      node.text("partition_key",
                {.about = "JSON pointer to the partition key within a line, for example `/user/id`. Without it "
                          "a line's key is its place in the file.",
                 .fallback = ""})
          .value_or("");
  if (!config->partition_key.empty() && config->format == Format::kRecording) {
    node.mistake("partition_key",
                 "a recording says the partition key of each record itself; only format: lines takes one");
  } else if (!is_json_pointer(config->partition_key)) {
    node.mistake("partition_key", "is no JSON pointer; it begins with a slash, as in /user/id, and ~ is written ~0");
  }
  const auto start = node.text("starting_position", {.about = "Where reading begins without a checkpoint.",
                                                     .fallback = "TRIM_HORIZON",
                                                     .one_of = {"TRIM_HORIZON", "LATEST"}});
  config->starting_position = start == "LATEST" ? StartingPosition::kLatest : StartingPosition::kTrimHorizon;
  config->follow = node.flag(
      "follow",
      {.about = "Wait for more lines at the end, as `tail -f` does. Otherwise the shards end with the file."});
  config->speed = node.integer(
      "speed",
      {.about = "Hand out a recording by its timestamps, this many times as fast as they went: 1 is real time. As "
                "fast as possible when not given.",
       .min = 1,
       .max = 1'000'000});
  if (config->speed && config->format == Format::kLines) {
    node.mistake("speed", "lines have no timestamps to go by; only format: recording takes a speed");
  }
  config->mapping = read_mapping_settings(node, MappingKind::kKinesis);
  return config;
}

}  // namespace weir::file
