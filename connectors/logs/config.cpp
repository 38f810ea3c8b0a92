#include "connectors/logs/config.h"

#include <algorithm>

#include "connectors/logs/files.h"

namespace weir::logs {
namespace {

constexpr std::size_t kNameMax = 512;
constexpr std::size_t kFilesMax = 100;
constexpr std::size_t kFunctionNameMax = 64;

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._-/#").find(c) != std::string_view::npos;
}

}  // namespace

bool is_group_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, name_character);
}

bool is_stream_name(std::string_view name) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
  const auto characters = name.size() - static_cast<std::size_t>(std::ranges::count_if(name, continues));
  return !name.empty() && characters <= kNameMax && name.find_first_of(":*") == std::string_view::npos;
}

void LogsConfig::function_log_is(const std::string& path) {
  // Those that are rotated away, too: several may be between two looks.
  const std::string pattern = pattern_of(path);
  files = {pattern, pattern + ".[0-9]", pattern + ".[0-9][0-9]"};
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<LogsConfig>();
  const std::vector<std::string> files = node.texts(
      "files", {.about = "Files that are tailed, each a path that may have `*`, `?` and `[...]`. Relative to "
                         "the configuration file's folder. Without it, and without `function_log`, the group is fed by "
                         "PutLogEvents.",
                .max_items = kFilesMax});
  if (node.has("files") && files.empty()) node.mistake("files", "names no file, so nothing would be delivered");
  for (const std::string& file : files) {
    if (file.empty()) {
      node.mistake("files", "has an empty path");
    } else {
      config->files.push_back(node.resolve_path(file));
    }
  }
  config->log_of =
      node.text("function_log", {.about = "A function that weir runs, of `functions`: what its environments print is "
                                          "tailed, with Lambda's START, END and REPORT lines. Instead of `files`, and "
                                          "not for that function itself.",
                                 .fallback = "",
                                 .max_length = kFunctionNameMax})
          .value_or("");
  if (node.has("function_log") && config->log_of.empty()) node.mistake("function_log", "names no function");
  if (node.has("function_log") && node.has("files"))
    node.mistake("function_log", "goes without `files`: it is the function's own file that is tailed");
  config->log_group = node.text("log_group", {.about = "The log group: `logGroup` of events, and the one that "
                                                       "PutLogEvents feeds where nothing is tailed. With "
                                                       "`function_log` `/aws/lambda/` and the function's name when not "
                                                       "given, else the source's name.",
                                              .fallback = "",
                                              .max_length = kNameMax})
                          .value_or("");
  if (!config->log_group.empty() && !is_group_name(config->log_group))
    node.mistake("log_group", "is no log group's name; it consists of letters, digits and . - _ / #");
  if (config->log_group.empty() && !config->log_of.empty()) config->log_group = "/aws/lambda/" + config->log_of;
  config->filter_name = node.text("filter_name", {.about = "The subscription filter's name in events; the source's "
                                                           "name when not given.",
                                                  .fallback = "",
                                                  .max_length = kNameMax})
                            .value_or("");
  if (!config->filter_name.empty() && !is_stream_name(config->filter_name))
    node.mistake("filter_name", "is no filter's name; it has neither : nor *");
  config->filter_text =
      node.text("filter_pattern", {.about = "Which events are delivered, as a filter pattern of CloudWatch Logs; all "
                                            "of them when not given.",
                                   .fallback = ""})
          .value_or("");
  if (auto filter = pattern::LogPattern::compile(config->filter_text)) {
    config->filter = std::move(*filter);
  } else {
    node.mistake("filter_pattern", filter.error().message());
  }
  const auto start = node.text(
      "multiline_start", {.about = "What the first line of an event has, as a regular expression of filter patterns "
                                   "(without its percent signs): lines without it belong to the event before. Of "
                                   "what is tailed only. Without it every line is an event.",
                          .max_length = pattern::kMaxLogPatternLength});
  if (start) {
    if (auto compiled = pattern::LogPattern::compile("%" + *start + "%")) {
      config->multiline_start = std::move(*compiled);
    } else {
      node.mistake("multiline_start", compiled.error().message());
    }
    if (node.has("multiline_start") && !node.has("files") && !node.has("function_log"))
      node.mistake("multiline_start", "goes with files or function_log only");
  }
  const auto position =
      node.text("starting_position", {.about = "Whether what is in the files at the very first start is delivered "
                                               "(TRIM_HORIZON) or only what is written later (LATEST). A file that "
                                               "comes later is read from its beginning.",
                                      .fallback = "LATEST",
                                      .one_of = {"TRIM_HORIZON", "LATEST"}});
  config->starting_position = position == "TRIM_HORIZON" ? StartingPosition::kTrimHorizon : StartingPosition::kLatest;
  return config;
}

}  // namespace weir::logs
