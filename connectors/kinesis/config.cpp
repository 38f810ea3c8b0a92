#include "connectors/kinesis/config.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::kinesis {
namespace {

constexpr std::size_t kNameMax = 128;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void read_stream(ConfigNode& node, KinesisConfig& config) {
  const auto name = node.text("stream", {.about = "The stream's name; either this or `stream_arn`."});
  const auto arn = node.text("stream_arn", {.about = "The stream's ARN, or that of one of its consumers: then it is "
                                                     "read with enhanced fan-out."});
  if (arn) {
    if (const auto parsed = parse_stream_arn(*arn)) {
      config.stream_name = parsed->stream_name;
      config.stream_arn = parsed->stream_arn;
      config.consumer_arn = parsed->consumer_arn;
    } else {
      node.mistake("stream_arn", "Unrecognized event source.");
    }
    if (name) node.mistake("stream", "stands beside stream_arn; one of them says which stream it is");
  } else if (name) {
    if (!is_name(*name)) {
      node.mistake("stream", "is no stream's name: 1 to 128 letters, digits, dots, dashes and underscores");
    }
    config.stream_name = *name;
  } else if (!node.has("stream") && !node.has("stream_arn")) {
    node.mistake("stream", "give the stream's name, or its ARN as stream_arn");
  }
}

void read_start(ConfigNode& node, KinesisConfig& config) {
  const auto position = node.text(
      "starting_position", {.about = "Where the stream is read from when the source has no checkpoint yet; required.",
                            .one_of = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"},
                            .refusal = kNoStartingPosition});
  // AWS's own words, here and below.
  if (!position && !node.has("starting_position")) {
    node.mistake("starting_position",
                 "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member "
                 "must not be null.");
  }
  if (position == "LATEST") config.starting_position = Resume::latest();

  constexpr std::string_view kKey = "starting_position_timestamp";
  const auto text =
      node.text(kKey, {.about = "The first record at or after this time: epoch seconds or ISO 8601, not in the future.",
                       .or_number = true});
  if (!text) {
    if (position == "AT_TIMESTAMP" && !node.has(kKey)) {
      node.mistake("starting_position",
                   "When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be provided.");
    }
    return;
  }
  const auto time = Resume::parse("AT_TIMESTAMP " + *text);
  if (!time) {
    node.mistake(kKey,
                 "\"" + *text + "\" is no time; allowed are epoch seconds and ISO 8601 such as 2026-09-12T07:00:00Z");
  } else if (time->time() > SystemClock().now().wall) {
    node.mistake(kKey, *text + " is in the future");
  } else if (position == "AT_TIMESTAMP") {
    config.starting_position = *time;
  }
  if (position != "AT_TIMESTAMP") node.mistake(kKey, "only goes with starting_position AT_TIMESTAMP");
}

}  // namespace

std::optional<StreamArn> parse_stream_arn(std::string_view text) {
  std::array<std::string_view, 5> parts;
  std::string_view rest = text;
  for (std::string_view& part : parts) {
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    part = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  if (parts[0] != "arn" || !parts[1].starts_with("aws") || parts[2] != "kinesis" || parts[3].empty() ||
      !is_number(parts[4])) {
    return std::nullopt;
  }
  constexpr std::string_view kStream = "stream/";
  constexpr std::string_view kConsumer = "/consumer/";
  if (!rest.starts_with(kStream)) return std::nullopt;
  const std::size_t name_begin = kStream.size();
  const std::size_t slash = std::min(rest.find('/', name_begin), rest.size());
  StreamArn arn;
  arn.partition = parts[1];
  arn.region = parts[3];
  arn.account = parts[4];
  arn.stream_name = rest.substr(name_begin, slash - name_begin);
  arn.stream_arn = text.substr(0, text.size() - (rest.size() - slash));
  if (!is_name(arn.stream_name)) return std::nullopt;
  const std::string_view consumer = rest.substr(slash);
  if (consumer.empty()) return arn;
  if (!consumer.starts_with(kConsumer)) return std::nullopt;
  const std::size_t colon = consumer.rfind(':');
  if (colon == std::string_view::npos || !is_number(consumer.substr(colon + 1)) ||
      !is_name(consumer.substr(kConsumer.size(), colon - kConsumer.size()))) {
    return std::nullopt;
  }
  arn.consumer_arn = text;
  return arn;
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<KinesisConfig>();
  read_stream(node, *config);
  config->access = read_aws_access(node);
  read_start(node, *config);
  config->mapping = read_mapping_settings(node, MappingKind::kKinesis);
  return config;
}

}  // namespace weir::kinesis
