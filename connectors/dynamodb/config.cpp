#include "connectors/dynamodb/config.h"

#include <algorithm>
#include <array>

#include "connectors/dynamodb/connector.h"

namespace weir::dynamodb {
namespace {

bool is_table_name(std::string_view text) {
  return text.size() >= 3 && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                  c == '-';
         });
}

void read_stream(ConfigNode& node, DynamodbConfig& config) {
  config.table =
      node.text("table", {.about = "The table whose newest stream is read; or give `stream_arn`."}).value_or("");
  config.stream_arn =
      node.text("stream_arn", {.about = "The stream to read, where it is not the newest one of a `table`."})
          .value_or("");
  const bool by_table = node.has("table");
  const bool by_arn = node.has("stream_arn");
  if (by_table && by_arn) {
    node.mistake("stream_arn", "names the stream already; give it or table, not both");
  } else if (by_arn && !region_of_stream(config.stream_arn)) {
    // AWS's own words, and what it does not say.
    node.mistake("stream_arn",
                 "Unrecognized event source. A stream is arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL");
  } else if (by_table && !is_table_name(config.table)) {
    node.mistake("table", "\"" + config.table +
                              "\" is no name of a table: 3 to 255 letters, digits, '_', '-' and '.'; a stream's ARN "
                              "goes to stream_arn");
  } else if (!by_table && !by_arn) {
    node.mistake("table", "is missing; the table whose stream is read, or its stream_arn");
  }
}

}  // namespace

std::optional<std::string> region_of_stream(std::string_view arn) {
  std::array<std::string_view, 5> fields;  // arn, partition, service, region, account
  for (std::string_view& field : fields) {
    const std::size_t colon = arn.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    field = arn.substr(0, colon);
    arn.remove_prefix(colon + 1);
  }
  constexpr std::string_view kTable = "table/";
  constexpr std::string_view kStream = "/stream/";
  if (fields[0] != "arn" || fields[1].empty() || fields[2] != "dynamodb" || fields[3].empty() || !is_account(fields[4]))
    return std::nullopt;
  const std::size_t stream = arn.find(kStream);
  const bool whole = arn.starts_with(kTable) && stream != std::string_view::npos && stream > kTable.size() &&
                     stream + kStream.size() < arn.size();
  if (!whole) return std::nullopt;
  return std::string(fields[3]);
}

EventSourceView DynamodbConfig::event_source(const AwsAccess&) const {
  // What a table's newest stream is called is known when it is read.
  EventSourceView view;
  view.arn = stream_arn;
  view.starting_position = starting_position.text();
  return view;
}

std::string DynamodbConfig::same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const {
  const auto& first = static_cast<const DynamodbConfig&>(other);
  // A table's newest stream may be another one than that of an ARN.
  if ((table.empty() && stream_arn.empty()) || table != first.table || stream_arn != first.stream_arn) return "";
  if (!same_place({access.or_else(aws), ""}, {first.access.or_else(aws), ""})) return "";
  return "The event source arn (\" " + (table.empty() ? stream_arn : table) + " \") and function (\" " +
         std::string(function) + " \") provided mapping already exists.";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<DynamodbConfig>();
  read_stream(node, *config);
  // AT_TIMESTAMP is among the words, as it is among AWS's, which refuses it in words of its own.
  const auto position = node.required_text(
      "starting_position", {.about = "Where reading begins when the mapping runs for the first time: TRIM_HORIZON or "
                                     "LATEST; streams of DynamoDB have no AT_TIMESTAMP.",
                            .one_of = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"},
                            .refusal = kNoStartingPosition,
                            .missing = kStartingPositionMissing});
  if (position == "LATEST") config->starting_position = Resume::latest();
  if (position == "AT_TIMESTAMP") {
    node.mistake("starting_position", "Unsupported starting position for arn type: " +
                                          (config->stream_arn.empty() ? "table/" + config->table : config->stream_arn));
  }
  config->access = read_aws_access(node);
  const std::string region = region_of_stream(config->stream_arn).value_or("");
  // DynamoDB Local has this one in every ARN, whatever the region that its tables were made in.
  if (region != "ddblocal") settle_region(node, config->access, region);
  config->mapping = read_mapping_settings(node, MappingKind::kDynamodb);
  return config;
}

}  // namespace weir::dynamodb
