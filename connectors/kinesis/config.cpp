#include "connectors/kinesis/config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "weir/service.h"

namespace weir::kinesis {
namespace {

constexpr std::size_t kNameMax = 128;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

AwsPlace place_of(const KinesisConfig& config, const AwsAccess& aws) {
  const auto arn = parse_stream_arn(config.stream_arn);
  return {config.access.or_else(aws), arn ? arn->account : ""};
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
  const auto position = node.required_text(
      "starting_position", {.about = "Where the stream is read from when the source has no checkpoint yet.",
                            .one_of = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"},
                            .refusal = kNoStartingPosition,
                            .missing = kStartingPositionMissing});
  if (position == "LATEST") config.starting_position = Resume::latest();
  if (const auto time = read_starting_timestamp(node, position == "AT_TIMESTAMP")) {
    config.starting_position = Resume::at_timestamp(*time);
  }
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
      !is_account(parts[4])) {
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

EventSourceView KinesisConfig::event_source(const AwsAccess& aws) const {
  EventSourceView view;
  view.arn = consumer_arn.empty() ? stream_arn : consumer_arn;
  if (view.arn.empty()) {
    const std::string region = access.or_else(aws).region;
    view.arn = "arn:aws:kinesis:" + (region.empty() ? std::string(kLocalRegion) : region) + ":" +
               std::string(kLocalAccount) + ":stream/" + stream_name;
  }
  view.starting_position = starting_position.text();
  if (starting_position.kind() == Resume::Kind::kAtTimestamp) {
    view.starting_position = "AT_TIMESTAMP";
    view.starting_timestamp = starting_position.time();
  }
  return view;
}

std::string KinesisConfig::same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const {
  const auto& first = static_cast<const KinesisConfig&>(other);
  // A consumer is an event source of its own, beside its stream.
  if (stream_name.empty() || stream_name != first.stream_name || consumer_arn != first.consumer_arn) return "";
  if (!same_place(place_of(*this, aws), place_of(first, aws))) return "";
  const std::string& shown = !consumer_arn.empty() ? consumer_arn : !stream_arn.empty() ? stream_arn : stream_name;
  return "The event source arn (\" " + shown + " \") and function (\" " + std::string(function) +
         " \") provided mapping already exists.";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<KinesisConfig>();
  read_stream(node, *config);
  config->access = read_aws_access(node);
  if (const auto arn = parse_stream_arn(config->stream_arn)) settle_region(node, config->access, arn->region);
  read_start(node, *config);
  config->mapping = read_mapping_settings(node, MappingKind::kKinesis);
  return config;
}

}  // namespace weir::kinesis
